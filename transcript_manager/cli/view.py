"""What a person sees while a transcript grows: a live view, or plain lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from transcript_manager.result import clock, ResultSegment, ResultWord
from transcript_manager.text import spoken

_TAIL_LINES = 6  # of the active part; a window seldom holds more
_REFRESH_HZ = 10
_METER_CELLS = 8
_WIDE = 60
_METER_FLOOR_DBFS = -60.0
_CLIPPING = 0.001
_LOW, _MIDDLE = 0.5, 0.7  # of probabilities; as on the page


@dataclass(frozen=True, slots=True)
class Moment:
    """What there is to see at one moment; None where nobody has told."""

    position_s: float = 0.0
    """End of the audio merged [s]."""
    stable: Sequence[ResultWord] = ()
    """Of what is not frozen."""
    tentative: Sequence[ResultWord] = ()
    appended_text: str = ''
    """All that is stable or frozen."""
    model: str = ''
    decode_ms: int | None = None
    lag_s: float | None = None
    duty: float | None = None
    """Decode time per hop."""
    level_dbfs: float | None = None
    clipping: float = 0.0
    """Share of samples at full scale, 0..1."""
    gate: str = ''
    """'speech', 'silence' or 'muted'."""
    skipped_windows: int = 0
    complaint: str = ''
    """What the nodes complain of."""


@dataclass(slots=True)
class Marks:
    """What is shown of a word beside its text."""

    confidence: bool = False
    """Improbable words in another colour, and underlined."""
    conflicts: bool = False
    """What else was heard in its place: ``six {6|sick}``."""


class View(Protocol):
    """Shows a session as it goes."""

    def __enter__(self) -> View: ...

    def __exit__(self, *exc: object) -> None: ...

    def segment(self, segment: ResultSegment) -> None:
        """Show a segment that is final."""

    def update(self, moment: Moment) -> None:
        """Show what is not final yet, and how it goes."""

    def note(self, text: str) -> None:
        """Say something about the session."""


class LiveView:
    """
    For a terminal: final lines scroll up, below them the part that still moves.

    Stable text is plain, tentative text dim and italic.

    :param marks: may be changed while it is shown
    :param keys: what the keyboard does, for people; '' if it does nothing
    """

    def __init__(self, console: Console, marks: Marks, *, keys: str = '') -> None:
        self.duration_s: float | None = None
        """Length of the audio [s]; None if it is not known."""
        self.waiting_for = 'the first decode'
        self._marks = marks
        self._keys = keys
        self._console = console
        self._moment: Moment | None = None
        self._live = Live(
            console=console, refresh_per_second=_REFRESH_HZ, transient=True, screen=False
        )

    def __enter__(self) -> LiveView:
        """Start drawing."""
        self._live.__enter__()
        self.redraw()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop drawing; the final lines stay on the screen."""
        self._live.update(Text(''))
        self._live.__exit__(*exc)

    def segment(self, segment: ResultSegment) -> None:
        """Print a final line above the moving part."""
        times = f'[{clock(segment.start_s)} - {clock(segment.end_s)}] '
        line = Text.assemble((times, 'cyan'))
        line.append_text(styled(segment.words, self._marks))
        self._console.print(line, highlight=False, soft_wrap=False)

    def note(self, text: str) -> None:
        """Print a line above the moving part."""
        self._console.print(Text(spoken(text), 'yellow'), highlight=False)

    def update(self, moment: Moment) -> None:
        """Redraw the moving part."""
        self._moment = moment
        self.redraw()

    def redraw(self) -> None:
        """Draw again what is known."""
        moment = self._moment
        if moment is None:
            self._live.update(Text(f'waiting for {self.waiting_for} ...', style='dim'))
            return
        text = styled(moment.stable, self._marks)
        text.append_text(styled(moment.tentative, self._marks, tentative=True))
        lines = _stripped(text).wrap(self._console, max(20, self._console.width - 1))
        parts = [self._position(moment), self._state(moment), *lines[-_TAIL_LINES:]]
        if moment.complaint:
            complaint = spoken(moment.complaint)
            parts.append(Text(complaint, 'yellow', no_wrap=True, overflow='ellipsis'))
        self._live.update(Group(*parts))

    def _position(self, moment: Moment) -> Table | Text:
        head = Text.assemble(('● ', 'red'), (clock(moment.position_s), 'bold cyan'))
        if not self.duration_s:
            tail = '  live'
            if self._keys:
                tail += f'   {self._keys_shown()}'
            return Text.assemble(head, (tail, 'dim'), no_wrap=True, overflow='ellipsis')
        share = min(1.0, moment.position_s / self.duration_s)
        row = Table.grid(padding=(0, 1), expand=False)
        bar = ProgressBar(total=1.0, completed=share, width=max(8, self._console.width - 60))
        length = Text(f'{clock(self.duration_s)} {share:4.0%}', 'dim')
        row.add_row(head, bar, length, Text(self._keys_shown(), 'dim'))
        return row

    def _keys_shown(self) -> str:
        """Return what the keys do; on a narrow terminal only which there are."""
        if self._console.width >= _WIDE:
            return self._keys
        return ' '.join(key[:1] for key in self._keys.split('  '))

    def _state(self, moment: Moment) -> Text:
        parts: list[Text] = []
        if moment.level_dbfs is not None:
            parts.append(meter(moment.level_dbfs, moment.clipping))
        if moment.gate:
            parts.append(Text(moment.gate, 'green' if moment.gate == 'speech' else 'dim'))
        if moment.lag_s is not None:
            parts.append(Text(f'lag {moment.lag_s:.1f} s', 'dim'))
        if moment.duty is not None:
            parts.append(Text(f'duty {moment.duty:.0%}', 'yellow' if moment.duty > 1 else 'dim'))
        if moment.decode_ms is not None:
            parts.append(Text(f'decode {moment.decode_ms} ms', 'dim'))
        if moment.skipped_windows:
            parts.append(Text(f'{moment.skipped_windows} skipped', 'yellow'))
        if moment.model:
            parts.append(Text(spoken(moment.model), 'dim'))
        line = Text('  ', no_wrap=True, overflow='ellipsis')
        line.append_text(Text('  ').join(parts))
        return line


def styled(words: Sequence[ResultWord], marks: Marks, *, tentative: bool = False) -> Text:
    """Concatenate words as they are shown."""
    text = Text()
    for word in words:
        style = 'dim italic' if tentative else ''
        if marks.confidence and math.isfinite(word.probability):
            if word.probability < _LOW:
                style += ' red underline'
            elif word.probability < _MIDDLE:
                style += ' yellow underline'
        said = spoken(word.text)
        bare = said.lstrip()
        text.append(said[: len(said) - len(bare)])
        text.append(bare, style)
        if marks.conflicts and word.others:
            others = '|'.join(spoken(other).strip() for other, _ in word.others)
            text.append(f' {{{others}}}', 'magenta')
    return _stripped(text) if not tentative else text


def _stripped(text: Text) -> Text:
    plain = text.plain
    return text[len(plain) - len(plain.lstrip()) :]


def meter(level_dbfs: float, clipping: float) -> Text:
    """Draw a level, from -60 dBFS to full scale."""
    share = min(1.0, max(0.0, 1 - level_dbfs / _METER_FLOOR_DBFS))
    cells = round(share * _METER_CELLS)
    is_clipped = clipping > _CLIPPING
    style = 'red' if is_clipped else 'green' if level_dbfs < -6 else 'yellow'
    return Text.assemble(
        ('▮' * cells, style),
        ('▯' * (_METER_CELLS - cells), 'dim'),
        (f' {level_dbfs:4.0f} dB', 'dim'),
        (' clipped' if is_clipped else '', 'red'),
    )


class PlainView:
    """
    For logs and pipes: a line whenever text has become stable.

    :param progress: where the lines go; None shows none
    """

    def __init__(self, progress: TextIO | None) -> None:
        self._progress = progress
        self._shown_length = 0

    def __enter__(self) -> PlainView:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Do nothing."""

    def segment(self, segment: ResultSegment) -> None:
        """Do nothing: its words were shown when they became stable."""

    def note(self, text: str) -> None:
        """Print a line."""
        if self._progress is not None:
            print(spoken(text), file=self._progress, flush=True)

    def update(self, moment: Moment) -> None:
        """Print what is newly stable, and what is tentative behind it."""
        new = moment.appended_text[self._shown_length :]
        if self._progress is None or not new:
            return
        self._shown_length = len(moment.appended_text)
        behind = ''.join(w.text for w in moment.tentative).strip()
        tentative = f'  ({behind})' if behind else ''
        line = f'{clock(moment.position_s)}  {new.strip()}{tentative}'
        print(spoken(line), file=self._progress, flush=True)


def choose_view(
    *,
    stdout: TextIO,
    stderr: TextIO,
    result_on_stdout: bool,
    quiet: bool,
    marks: Marks,
    keys: str,
) -> tuple[View, bool]:
    """
    Choose how to show a session.

    On a terminal the final lines of a live view are the result itself, if plain text on standard
    output was asked for: it must not be printed twice.

    :param result_on_stdout: whether the result is plain text for standard output
    :param keys: what the keyboard does while a live view is shown
    :returns: the view, and whether it prints the result
    """
    if quiet:
        return PlainView(None), False
    if result_on_stdout and stdout.isatty():
        return LiveView(Console(file=stdout), marks, keys=keys), True
    if stderr.isatty():
        return LiveView(Console(file=stderr), marks, keys=keys), False
    return PlainView(stderr), False
