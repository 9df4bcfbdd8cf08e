"""How soon words were known: each word's life, or of many words the delays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
import numpy as np

from transcript_manager.pictures.canvas import (
    BLUE,
    DIM_COLOUR,
    GREEN,
    mm_ss,
    new_figure,
    ORANGE,
    shortened,
    text_widths,
    VERMILLION,
)
from transcript_manager.pictures.life import Life

WORDS = 60
"""Drawn one by one in one picture."""
MAX_WORDS = 300
"""Of more words the delays are drawn, not each life."""
_STAGES = (('shown', ORANGE, 'o'), ('stable', BLUE, 's'), ('frozen', GREEN, 'D'))
_SPOKEN = '#505050'
_WIDTH = 1200  # pixels, as all lengths here
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 16, 56, 44
_ROW = 13
_TEXT_PT = 8
_MAX_CHARACTERS = 24
_MAX_TITLE = 70
_DELAY_HEIGHT = 420
_HISTOGRAM = 150
_DELAYS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_BINS = 60


def draw(lives: Sequence[Life], *, title: str) -> Iterator[Figure]:
    """
    Draw the lives of words, within the style of :func:`canvas.style`.

    :param lives: in order; at least one
    :param title: of what
    :returns: figures, one after another
    """
    if len(lives) > MAX_WORDS:
        yield _draw_delays(lives, title)
        return
    pages = math.ceil(len(lives) / WORDS)
    size = math.ceil(len(lives) / pages)
    for at in range(0, len(lives), size):
        yield _draw_lives(lives[at : at + size], lives, title)


def delays_s(lives: Sequence[Life], stage: str) -> np.ndarray:
    """
    Return how long after its end each word reached a stage [s].

    :param stage: shown, stable or frozen
    :returns: float64, shape (n,); below 0 where a word was shown before it had ended
    """
    return np.array([getattr(life, f'{stage}_s') - life.end_s for life in lives])


def _draw_lives(page: Sequence[Life], lives: Sequence[Life], title: str) -> Figure:
    """Draw a line a word, over the time of the stream."""
    height = _TOP + len(page) * _ROW + _BOTTOM
    figure, axes = _new(height, _WIDTH - _LEFT - _RIGHT)
    rows = np.arange(len(page))
    start_s, end_s = page[0].start_s, max(life.frozen_s for life in page)
    widest = max(text_widths([_text(life) for life in page[:8]], _TEXT_PT))
    margin_s = (end_s - start_s) * (widest + 14) / (_WIDTH - _LEFT - _RIGHT - widest)
    axes.set_xlim(max(start_s - margin_s, min(0.0, start_s) - margin_s), end_s + margin_s / 8)
    axes.set_ylim(len(page) - 0.4, -0.6)
    ends_s, stable_s = [w.end_s for w in page], [w.stable_s for w in page]
    axes.hlines(rows, stable_s, [w.frozen_s for w in page], colors='#d0d0d0', linewidth=0.8)
    axes.hlines(rows, ends_s, stable_s, colors='#909090', linewidth=1.4)
    spans = [(w.start_s, max(0.02, w.end_s - w.start_s)) for w in page]
    for row, span in enumerate(spans):
        axes.broken_barh([span], (row - 0.28, 0.56), facecolors=_SPOKEN, linewidth=0)
    for stage, colour, marker in _STAGES:
        at_s = [getattr(w, f'{stage}_s') for w in page]
        # A word that was stable as soon as it was shown has both marks, the larger one behind.
        size = 6.5 if stage == 'shown' else 4.5
        axes.plot(at_s, rows, marker, color=colour, markersize=size, markeredgewidth=0)
    changed = [row for row, life in enumerate(page) if life.changes]
    axes.plot([page[row].shown_s for row in changed], changed, **_changed_mark())
    for row, life in enumerate(page):
        axes.annotate(
            _text(life),
            (life.start_s, row),
            (-4, 0),
            textcoords='offset points',
            size=_TEXT_PT,
            ha='right',
            va='center_baseline',
        )
    axes.set_yticks([])
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=16, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: mm_ss(at_s) if at_s >= 0 else ''))
    axes.set_xlabel('time of the stream', size=8.5)
    axes.grid(axis='x', color='#e8e8e8', linewidth=0.6)
    _draw_header(figure, height, lives, title, with_spans=True)
    return figure


def _draw_delays(lives: Sequence[Life], title: str) -> Figure:
    """Draw the delays of all words over the time of the stream, and how they are spread."""
    height = _TOP + _DELAY_HEIGHT + _BOTTOM
    figure, axes = _new(height, _WIDTH - _LEFT - _RIGHT - _HISTOGRAM - 10)
    beside = figure.add_axes(
        (
            1 - (_RIGHT + _HISTOGRAM) / _WIDTH,
            _BOTTOM / height,
            _HISTOGRAM / _WIDTH,
            _DELAY_HEIGHT / height,
        )
    )
    ended_s = np.array([life.end_s for life in lives])
    low_s = _DELAYS_S[0]
    high_s = max(2.0, 1.3 * float(delays_s(lives, 'frozen').max()))
    bins_s = np.geomspace(low_s, high_s, _BINS)
    for stage, colour, marker in _STAGES:
        delay_s = np.maximum(delays_s(lives, stage), low_s)
        size = 9 if len(lives) < 2000 else 3
        axes.scatter(
            ended_s, delay_s, s=size, c=colour, marker=marker, alpha=0.35, lw=0, rasterized=True
        )
        axes.plot(*_running_median(ended_s, delay_s), color='white', linewidth=2.6)
        axes.plot(*_running_median(ended_s, delay_s), color=colour, linewidth=1.3)
        beside.hist(delay_s, bins_s, orientation='horizontal', color=colour, alpha=0.75)
        median_s = float(np.median(delay_s))
        beside.axhline(median_s, color=colour, linewidth=1.0)
    for each in (axes, beside):
        each.set_yscale('log')
        each.set_ylim(low_s * 0.9, high_s)
        each.set_yticks([s for s in _DELAYS_S if s < high_s])
        each.yaxis.set_major_formatter(FuncFormatter(lambda s, _: f'{s:g}'))
        each.minorticks_off()
        each.grid(axis='y', color='#e8e8e8', linewidth=0.6)
        each.set_axisbelow(True)
    axes.set_xlim(min(0.0, float(ended_s[0])), float(ended_s[-1]))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: mm_ss(at_s)))
    axes.set_xlabel('time of the stream', size=8.5)
    axes.set_ylabel("seconds after the word's end", size=8.5)
    beside.set_yticklabels([])
    beside.set_xlabel('words', size=8.5)
    beside.tick_params(labelsize=7.5, length=3)
    _draw_header(figure, height, lives, title, with_spans=False)
    return figure


def _running_median(at_s: np.ndarray, delay_s: np.ndarray) -> tuple[list[float], list[float]]:
    """Return (times, medians) of runs of words: a fortieth of all, at least 15."""
    run = max(15, math.ceil(len(at_s) / 40))
    starts = range(0, len(at_s), run)
    return (
        [float(np.median(at_s[k : k + run])) for k in starts],
        [float(np.median(delay_s[k : k + run])) for k in starts],
    )


def _text(life: Life) -> str:
    return shortened(life.text, _MAX_CHARACTERS)


def _new(height: float, width: float) -> tuple[Figure, Axes]:
    figure = new_figure(_WIDTH, height)
    axes = figure.add_axes(
        (
            _LEFT / _WIDTH,
            _BOTTOM / height,
            width / _WIDTH,
            (height - _TOP - _BOTTOM) / height,
        )
    )
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=7.5, length=3, pad=2)
    return figure, axes


def _changed_mark() -> dict[str, object]:
    return {
        'marker': 'o',
        'linestyle': 'none',
        'markersize': 9,
        'markerfacecolor': 'none',
        'markeredgecolor': VERMILLION,
        'markeredgewidth': 1.0,
    }


def _draw_header(
    figure: Figure, height: float, lives: Sequence[Life], title: str, *, with_spans: bool
) -> None:
    """Draw the title and the legend, with the medians of all words."""
    title = shortened(title, _MAX_TITLE)
    figure.text(_LEFT / _WIDTH, 1 - 10 / height, title, size=11, va='top', ha='left')
    handles = []
    if with_spans:
        handles.append(Line2D([], [], color=_SPOKEN, linewidth=5, label='spoken'))
    for stage, colour, marker in _STAGES:
        median_s = float(np.median(delays_s(lives, stage)))
        handles.append(
            Line2D(
                [],
                [],
                marker=marker,
                linestyle='none',
                color=colour,
                markersize=5,
                markeredgewidth=0,
                label=f'{stage}: {median_s:.2f} s after its end (median)',
            )
        )
    changed = sum(life.changes > 0 for life in lives)
    mark = _changed_mark() if with_spans else {'linestyle': 'none'}
    handles.append(
        Line2D([], [], label=f'changed before it was stable: {changed} of {len(lives)}', **mark)
    )
    figure.legend(
        handles=handles,
        loc='upper left',
        bbox_to_anchor=(_LEFT / _WIDTH, 1 - 28 / height),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.2,
        columnspacing=1.6,
        handletextpad=0.5,
    )
    figure.text(
        1 - _RIGHT / _WIDTH,
        1 - 12 / height,
        "by the end of the newest audio merged; the decoder's own time is not in it",
        size=7.5,
        color=DIM_COLOUR,
        va='top',
        ha='right',
    )
