"""A session over its sound: rows of spectrogram, each word in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import math

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
import numpy as np

from transcript_manager.pictures.canvas import (
    DIM_COLOUR,
    mm_ss,
    new_figure,
    shortened,
    text_widths,
    UNKNOWN_COLOUR,
)
from transcript_manager.pictures.lanes import Place, place_texts
from transcript_manager.pictures.mel import band_of, BANDS, HOP_S, MelStretch
from transcript_manager.result import Result, ResultSegment, ResultWord

_SCRAP = 0.1  # of a row
ROWS = 30
"""In one picture."""
_WIDTH = 1400  # pixels, as all lengths here
_LEFT, _RIGHT = 52, 26
_PLOT = _WIDTH - _LEFT - _RIGHT
_HEADER = 48
_SPECTRUM = 104
_STRIP = 9  # the words' spans, coloured
_LANE = 15
_BRACKET = 9  # over a segment
_TIMES = 26  # the labels of the time axis, and what parts the rows
_MAX_LANES = 8
_TEXT_PT = 9
_TEXT_GAP = 5
_MIN_SPAN = 2  # a word that takes no time is seen even so
_MAX_CHARACTERS = 40
_MAX_TITLE = 36
_RANGE_DB = 60.0
_QUIET_DB = -55.0
"""A picture's loudest sound is taken to be at least this, or silence would look like a storm."""
_LABELLED_HZ = (500, 1000, 2000, 4000)
_SOUND_MAP = 'magma'
_SOUND_LEVELS = 32  # as many as are told apart; the files are smaller for it
_WORD_MAP = 'viridis'


@dataclass(frozen=True, slots=True)
class Picture:
    """One of the pictures of a session."""

    figure: Figure
    left_out: int
    """Words whose text found no room; their spans are drawn."""


def shown_text(word: ResultWord) -> str:
    """Return a word as it is written into a picture: on one line, and not without end."""
    return shortened(word.text, _MAX_CHARACTERS)


def draw(stretch: MelStretch, result: Result, *, row_s: float, title: str) -> Picture:
    """
    Draw a stretch of a session, within the style of :func:`canvas.style`.

    :param stretch: of the sound, at most ``ROWS`` rows long
    :param result: its times count from the start of the sound
    :param row_s: length of a row [s]; the last one may be shorter
    :param title: what was heard
    """
    length_s = stretch.end_s - stretch.start_s
    row_s = min(row_s, length_s)
    count = max(1, math.ceil((length_s - HOP_S) / row_s))
    if count > 1 and length_s - (count - 1) * row_s < _SCRAP * row_s:
        count -= 1  # instead of a row with next to nothing in it
        row_s = length_s / count
    rows = []
    for k in range(count):
        start_s = stretch.start_s + k * row_s
        rows.append(_Row(start_s, min(start_s + row_s, stretch.end_s), row_s, result))
    lanes = max(2, *(1 + place.lane for row in rows for place in row.places), 0)
    above = _STRIP + 3 + lanes * _LANE + _BRACKET
    row_height = _SPECTRUM + above + _TIMES
    height = _HEADER + count * row_height
    figure = new_figure(_WIDTH, height)
    title = shortened(title, _MAX_TITLE)
    _draw_header(figure, height, f'{title}   {mm_ss(stretch.start_s)} to {mm_ss(stretch.end_s)}')
    loudest_db = max(_QUIET_DB, float(np.percentile(stretch.log_mel, 99.9)))
    for k, row in enumerate(rows):
        bottom = height - _HEADER - (k + 1) * row_height + _TIMES
        axes = figure.add_axes(
            (
                _LEFT / _WIDTH,
                bottom / height,
                _PLOT * (row.end_s - row.start_s) / row_s / _WIDTH,
                (_SPECTRUM + above) / height,
            )
        )
        axes.set_xlim(row.start_s, row.end_s)
        axes.set_ylim(0, _SPECTRUM + above)
        _draw_sound(axes, stretch, row, loudest_db)
        _draw_words(axes, row)
        _draw_segments(axes, row, result.segments, _SPECTRUM + above)
        _draw_axes(axes, row, row_s)
    return Picture(figure, sum(p.lane < 0 for row in rows for p in row.places))


class _Row:
    """What is seen in one row."""

    def __init__(self, start_s: float, end_s: float, row_s: float, result: Result) -> None:
        self.start_s, self.end_s = start_s, end_s
        self.pixels_per_s = _PLOT / row_s
        self.words = [w for w in _words(result) if w.end_s >= start_s and w.start_s <= end_s]
        # A word that two rows share has its text where most of it is.
        last_s = math.inf if end_s >= result.end_s - HOP_S else end_s
        self.texts = [w for w in self.words if start_s <= (w.start_s + w.end_s) / 2 < last_s]
        self._widths = text_widths([shown_text(w) for w in self.texts], _TEXT_PT)
        self.places: list[Place] = place_texts(
            [self.pixel((w.start_s + w.end_s) / 2) for w in self.texts],
            self._widths,
            low=4,
            high=_WIDTH - 4,
            gap=_TEXT_GAP,
            max_lanes=_MAX_LANES,
        )

    def pixel(self, at_s: float) -> float:
        """Return where a time is, from the left edge of the picture."""
        return _LEFT + (at_s - self.start_s) * self.pixels_per_s

    def time_s(self, pixel: float) -> float:
        """Return what time is at a pixel [s]."""
        return self.start_s + (pixel - _LEFT) / self.pixels_per_s

    def is_free_below(self, place: Place) -> bool:
        """Whether no other text is between a text and its word."""
        return not any(
            0 <= other.lane < place.lane and abs(other.middle - place.middle) < width / 2 + 2
            for other, width in zip(self.places, self._widths, strict=True)
        )


def _words(result: Result) -> Iterator[ResultWord]:
    return (w for s in result.segments for w in s.words if w.text.strip())


def _draw_sound(axes: Axes, stretch: MelStretch, row: _Row, loudest_db: float) -> None:
    first = max(0, math.floor((row.start_s - stretch.start_s) / HOP_S))
    last = math.ceil((row.end_s - stretch.start_s) / HOP_S) + 1
    image = stretch.log_mel[first:last]
    left_s = stretch.start_s + (first - 0.5) * HOP_S
    axes.imshow(
        image.T,
        origin='lower',
        aspect='auto',
        extent=(left_s, left_s + len(image) * HOP_S, 0, _SPECTRUM),
        cmap=matplotlib.colormaps[_SOUND_MAP].resampled(_SOUND_LEVELS),
        vmin=loudest_db - _RANGE_DB,
        vmax=loudest_db,
        interpolation='none',
    )
    axes.set_xlim(row.start_s, row.end_s)
    axes.set_ylim(0, axes.get_ylim()[1])


def _draw_words(axes: Axes, row: _Row) -> None:
    """Draw the words' spans, their bounds in the sound, and their texts."""
    colours = word_colours(row.words)
    shortest_s = _MIN_SPAN / row.pixels_per_s
    spans = [(w.start_s, max(shortest_s, w.end_s - w.start_s)) for w in row.words]
    axes.broken_barh(spans, (_SPECTRUM + 1, _STRIP), facecolors=colours, linewidth=0)
    bounds_s = sorted({at_s for w in row.words for at_s in (w.start_s, w.end_s)})
    axes.vlines(bounds_s, 0, _SPECTRUM, colors='white', linewidth=0.6, alpha=0.75)
    axes.vlines(bounds_s, _SPECTRUM, _SPECTRUM + 1 + _STRIP, colors='white', linewidth=0.8)
    disputed_s = [(w.start_s + w.end_s) / 2 for w in row.words if w.others]
    axes.plot(disputed_s, [_SPECTRUM + 1 + _STRIP / 2] * len(disputed_s), **_conflict_mark())
    for word, place in zip(row.texts, row.places, strict=True):
        if place.lane < 0:
            continue
        at_s, low = row.time_s(place.middle), _SPECTRUM + _STRIP + 4
        high = low + place.lane * _LANE
        if place.lane and row.is_free_below(place):
            axes.vlines(at_s, low - 2, high - 2, colors=DIM_COLOUR, linewidth=0.5)
        axes.text(at_s, high + 2, shown_text(word), size=_TEXT_PT, ha='center', va='baseline')


def word_colours(words: Sequence[ResultWord]) -> list[tuple[float, ...] | str]:
    """Return a word's colour by its probability; grey where that is not known."""
    colours = _word_map()
    return [
        colours(min(1.0, max(0.0, w.probability)))
        if math.isfinite(w.probability)
        else UNKNOWN_COLOUR
        for w in words
    ]


def _word_map() -> Colormap:
    return matplotlib.colormaps[_WORD_MAP]


def _conflict_mark() -> dict[str, object]:
    return {
        'marker': 'D',
        'linestyle': 'none',
        'markersize': 4.5,
        'markerfacecolor': 'white',
        'markeredgecolor': 'black',
        'markeredgewidth': 0.8,
    }


def _draw_segments(axes: Axes, row: _Row, segments: Sequence[ResultSegment], top: float) -> None:
    """Draw a bracket over each segment; it is open where the segment goes on in another row."""
    for segment in segments:
        if segment.end_s < row.start_s or segment.start_s > row.end_s:
            continue
        xs, ys = [], []
        low, high = top - _BRACKET + 3, top - 2
        if segment.start_s >= row.start_s:
            xs, ys = [segment.start_s], [low]
        xs += [max(segment.start_s, row.start_s), min(segment.end_s, row.end_s)]
        ys += [high, high]
        if segment.end_s <= row.end_s:
            xs, ys = [*xs, segment.end_s], [*ys, low]
        axes.plot(xs, ys, color=DIM_COLOUR, linewidth=0.9, solid_joinstyle='miter')


def _draw_axes(axes: Axes, row: _Row, row_s: float) -> None:
    step_s = next((s for s in (0.5, 1, 2, 5) if row_s / s <= 15), 10)
    first = math.ceil(row.start_s / step_s - 1e-6)
    ticks_s = np.arange(first, math.floor(row.end_s / step_s + 1e-6) + 1) * step_s
    axes.set_xticks(ticks_s, [mm_ss(t) for t in ticks_s])
    between_s = (
        np.arange(math.ceil(row.start_s / step_s * 10), row.end_s / step_s * 10) * step_s / 10
    )
    # As one collection: a hundred minor ticks a row would take most of the time of a picture.
    axes.vlines(between_s, -2, 0, colors=DIM_COLOUR, linewidth=0.4, clip_on=False)
    axes.set_yticks(
        [(band_of(hz) + 0.5) / BANDS * _SPECTRUM for hz in _LABELLED_HZ],
        [f'{hz / 1000:g} kHz' for hz in _LABELLED_HZ],
    )
    axes.tick_params(labelsize=7.5, length=4, pad=2)
    for side in ('top', 'right', 'left', 'bottom'):
        axes.spines[side].set_visible(False)


def _draw_header(figure: Figure, height: float, title: str) -> None:
    """Draw the title, what the marks mean, and the scale of the colours."""
    figure.text(
        _LEFT / _WIDTH, 1 - 14 / height, title, size=11, va='top', ha='left', weight='normal'
    )
    bar = figure.add_axes((1 - 236 / _WIDTH, 1 - 24 / height, 220 / _WIDTH, 9 / height))
    scale = figure.colorbar(
        ScalarMappable(Normalize(0, 1), _word_map()), cax=bar, orientation='horizontal'
    )
    scale.set_ticks([0, 0.5, 1], labels=['0', '0.5', '1'])
    scale.outline.set_visible(False)
    bar.tick_params(labelsize=7.5, length=2, pad=2)
    figure.text(
        1 - 246 / _WIDTH,
        1 - 24 / height,
        "a word's probability",
        size=8,
        ha='right',
        va='baseline',
    )
    figure.legend(
        handles=[
            Patch(color=UNKNOWN_COLOUR, label='not known'),
            Line2D([], [], label='something else was heard, too', **_conflict_mark()),
            Line2D([], [], color=DIM_COLOUR, linewidth=0.9, label='a segment'),
        ],
        loc='upper right',
        bbox_to_anchor=(1 - 400 / _WIDTH, 1 - 10 / height),
        ncols=3,
        frameon=False,
        fontsize=8,
        borderpad=0,
        handlelength=1.2,
        handleheight=0.6,
    )
