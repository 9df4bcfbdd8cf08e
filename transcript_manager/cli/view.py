"""What a person sees while a transcript grows: a live view, or plain lines."""

from __future__ import annotations

from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from transcript_manager.export.plain import text_line
from transcript_manager.result import clock, ResultSegment
from transcript_manager.ros.listener import Snapshot

_TAIL_LINES = 6  # of the active part; a window seldom holds more
_REFRESH_HZ = 10


class View(Protocol):
    """Shows a session as it goes."""

    def __enter__(self) -> View: ...

    def __exit__(self, *exc: object) -> None: ...

    def segment(self, segment: ResultSegment) -> None:
        """Show a segment that is final."""

    def update(self, snapshot: Snapshot, position_s: float) -> None:
        """Show what is not final yet; ``position_s`` is the end of the audio merged [s]."""


class LiveView:
    """
    For a terminal: final lines scroll up, below them the part that still moves.

    Stable text is plain, tentative text dim and italic.
    """

    def __init__(self, console: Console) -> None:
        self.duration_s: float | None = None
        """Length of the audio [s]; None if it is not known."""
        self.skipped_windows = 0
        """Windows that were overtaken while they waited for the decoder."""
        self._console = console
        self._live = Live(
            console=console, refresh_per_second=_REFRESH_HZ, transient=True, screen=False
        )

    def __enter__(self) -> LiveView:
        """Start drawing."""
        self._live.__enter__()
        self._live.update(Text('waiting for the first decode ...', style='dim'))
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop drawing; the final lines stay on the screen."""
        self._live.update(Text(''))
        self._live.__exit__(*exc)

    def segment(self, segment: ResultSegment) -> None:
        """Print a final line above the moving part."""
        times, _, text = text_line(segment, timestamps=True).partition('] ')
        line = Text.assemble((f'{times}] ', 'cyan'), text)
        self._console.print(line, highlight=False, soft_wrap=False)

    def update(self, snapshot: Snapshot, position_s: float) -> None:
        """Redraw the moving part."""
        moving = Text.assemble(
            snapshot.stable_text.lstrip(), (snapshot.tentative_text, 'dim italic')
        )
        lines = moving.wrap(self._console, max(20, self._console.width - 1))
        self._live.update(Group(self._status(snapshot, position_s), *lines[-_TAIL_LINES:]))

    def _status(self, snapshot: Snapshot, position_s: float) -> Text:
        position = clock(position_s)
        if self.duration_s:
            position += f' of {clock(self.duration_s)}'
        skipped = f', {self.skipped_windows} windows skipped' if self.skipped_windows else ''
        return Text.assemble(
            ('● ', 'red'),
            (position, 'bold cyan'),
            (f'  model {snapshot.model}, decode {snapshot.inference_ms} ms{skipped}  ', 'dim'),
            'stable',
            (' / ', 'dim'),
            ('tentative', 'dim italic'),
            no_wrap=True,
            overflow='ellipsis',
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

    def update(self, snapshot: Snapshot, position_s: float) -> None:
        """Print what is newly stable, and what is tentative behind it."""
        new = snapshot.appended_text[self._shown_length :]
        if self._progress is None or not new:
            return
        self._shown_length = len(snapshot.appended_text)
        tentative = f'  ({snapshot.tentative_text.strip()})' if snapshot.tentative_text else ''
        print(f'{clock(position_s)}  {new.strip()}{tentative}', file=self._progress, flush=True)


def choose_view(
    *,
    stdout: TextIO,
    stderr: TextIO,
    result_on_stdout: bool,
    quiet: bool,
) -> tuple[View, bool]:
    """
    Choose how to show a session.

    On a terminal the final lines of a live view are the result itself, if plain text on standard
    output was asked for: it must not be printed twice.

    :param result_on_stdout: whether the result is plain text for standard output
    :returns: the view, and whether it prints the result
    """
    if quiet:
        return PlainView(None), False
    if result_on_stdout and stdout.isatty():
        return LiveView(Console(file=stdout)), True
    if stderr.isatty():
        return LiveView(Console(file=stderr)), False
    return PlainView(stderr), False
