"""Show a transcript that grows on its topics, for `transcript run` and `transcript watch`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from transcript_manager import msg
from transcript_manager.cli.keys import Keys
from transcript_manager.cli.output import check_output
from transcript_manager.cli.view import LiveView, Marks, Moment, View
from transcript_manager.errors import ParameterError
from transcript_manager.export.live import check_live, LiveFile
from transcript_manager.export.plain import text_line
from transcript_manager.result import ResultWord
from transcript_manager.ros.listener import Snapshot, to_result_segment, to_words
from transcript_manager.ros.vitals import Vitals
from transcript_manager.streams.messages import NS_PER_S

KEYS = 'c conflicts  p confidence  q quit'
_SILENT_S = 5.0
"""Each node tells how it is once a second."""
_MAX_LAG_S = 3600.0
"""More is not lag: the audio has another clock, or comes faster than it was spoken."""


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of everything that shows a growing transcript."""
    parser.add_argument(
        '--confidence', action='store_true', help='mark improbable words (key p in the live view)'
    )
    parser.add_argument(
        '--conflicts',
        action='store_true',
        help='show what else was heard, as in "six {6|sick}" (key c in the live view)',
    )
    parser.add_argument(
        '--live',
        metavar='FILE',
        action='append',
        default=[],
        help='write subtitles (.srt, .vtt) or lyrics (.lrc) while it runs; may be repeated',
    )
    parser.add_argument('-q', '--quiet', action='store_true', help='show no progress')


def check_view_arguments(args: argparse.Namespace, *others: str | None) -> None:
    """
    Refuse live files that cannot be, before any work is done.

    :param others: files that the same command reads or writes
    :raises ParameterError: naming the file
    """
    taken = {Path(p).resolve() for p in others if p is not None}
    for path in args.live:
        check_live(path)
        check_output(path)
        if Path(path).resolve() in taken:
            raise ParameterError(f'--live {path}: the same file twice; give another one')
        taken.add(Path(path).resolve())


class Follower:
    """
    One session on the screen, on standard output and in live files.

    :param marks: what keys change; those of ``view``
    :param streams_lines: print final lines on standard output
    """

    def __init__(
        self,
        view: View,
        marks: Marks,
        *,
        live: Sequence[str],
        streams_lines: bool,
        timestamps: bool = False,
    ) -> None:
        self._view = view
        self._marks = marks
        self._streams_lines = streams_lines
        self._timestamps = timestamps
        self._paths = live
        self._files: list[LiveFile] = []
        self._complaints: dict[Path, str] = {}
        self._keys = Keys()
        self._stack = ExitStack()
        self.shown = 0
        """Segments that were shown."""
        self._moment: Moment | None = None
        self._asks_to_quit = False

    def __enter__(self) -> Follower:
        """Open the files, show the view, take the keyboard."""
        with ExitStack() as stack:
            for path in self._paths:
                self._files.append(LiveFile(path))
                stack.callback(self._files[-1].close)
            if isinstance(self._view, LiveView):
                stack.enter_context(self._keys)
            stack.enter_context(self._view)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Close them all."""
        self._stack.__exit__(*exc)
        self._complain()

    def asks_to_quit(self) -> bool:
        """Whether the key for it was pressed since this was last asked."""
        asks, self._asks_to_quit = self._asks_to_quit, False
        return asks

    def show(self, snapshot: Snapshot, *, start_ns: int) -> None:
        """
        Show what is new.

        :param start_ns: stamp that times count from [ns]
        """
        for message in snapshot.segments[self.shown :]:
            segment = to_result_segment(message, start_ns=start_ns)
            self._view.segment(segment)
            if self._streams_lines:
                print(text_line(segment, timestamps=self._timestamps), flush=True)
            for file in self._files:
                file.add(segment.words)
            self.shown += 1
        if snapshot.revision == 0:
            return
        moment = moment_of(snapshot, start_ns)
        if moment == self._moment:
            return
        self._moment = moment
        self._view.update(moment)
        first = [w.start_s for w in (*moment.stable, *moment.tentative)]
        if snapshot.has_all_frozen:
            # Nobody is heard anew in what is older than a window.
            before_s = min([moment.position_s - snapshot.window_s, *first])
            for file in self._files:
                file.settle(before_s)
        self._complain()

    def press_keys(self) -> None:
        """Do what the keys ask for that were pressed."""
        keys = self._keys.pressed()
        for key in keys:
            if key == 'c':
                self._marks.conflicts = not self._marks.conflicts
            elif key == 'p':
                self._marks.confidence = not self._marks.confidence
            elif key == 'q':
                self._asks_to_quit = True
        if keys and isinstance(self._view, LiveView):
            self._view.redraw()

    def _complain(self) -> None:
        for file in self._files:
            if file.complaint and file.complaint != self._complaints.get(file.path):
                self._view.note(file.complaint)
            self._complaints[file.path] = file.complaint

    @property
    def unwritten(self) -> str:
        """What could not be written at the end; '' if all was."""
        return '; '.join(file.complaint for file in self._files if file.complaint)


def moment_of(snapshot: Snapshot, start_ns: int) -> Moment:
    """Make what there is to see of what has arrived; times count from ``start_ns``."""
    stable: list[ResultWord] = []
    tentative: list[ResultWord] = []
    for segment in snapshot.active:
        for message, word in zip(
            segment.words, to_words(segment.words, start_ns=start_ns), strict=True
        ):
            is_tentative = message.state == msg.TranscriptWord.TENTATIVE
            (tentative if is_tentative else stable).append(word)
    vitals = snapshot.vitals
    complaints = [f'{node}: {text}' for node, text in vitals.complaints.items()]
    if snapshot.silent_s > _SILENT_S and not snapshot.is_ended:
        vitals = Vitals()  # what they said last is not how they are
        complaints = [f'nothing has come for {snapshot.silent_s:.0f} s: is the robot still there?']
    gate = '' if snapshot.is_silent is None else 'silence' if snapshot.is_silent else 'speech'
    return Moment(
        position_s=max(0.0, (snapshot.position_ns - start_ns) / NS_PER_S),
        stable=tuple(stable),
        tentative=tuple(tentative),
        appended_text=snapshot.appended_text,
        model=snapshot.model,
        decode_ms=snapshot.inference_ms if snapshot.model else None,
        lag_s=vitals.lag_s if 0 <= (vitals.lag_s or -1) < _MAX_LAG_S else None,
        duty=vitals.duty,
        level_dbfs=vitals.level_dbfs,
        clipping=vitals.clipping,
        gate='muted' if vitals.is_muted else gate,
        skipped_windows=vitals.skipped_windows,
        complaint='; '.join(complaints),
    )
