"""
Subtitles and lyrics written while the session runs: frozen words only, never taken back.

A cue is added when it is known whole, at once and forced to disk: whoever reads the file finds
whole cues at any moment, and a kill leaves them.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
import os
from pathlib import Path

from transcript_manager.errors import ParameterError, TranscriptManagerError
from transcript_manager.export.cues import Cue, CueMaker
from transcript_manager.export.lrc import CLEAR_AFTER_S, cue_lines, HEADER
from transcript_manager.export.order import OVERLAP_S
from transcript_manager.export.subtitles import format_cue, header
from transcript_manager.files import append_whole
from transcript_manager.result import moved, ResultWord

FORMATS = ('srt', 'vtt', 'lrc')


class LiveFile:
    """
    One such file; its suffix says which kind it is. It is written anew.

    What cannot be written is kept, tried again with the next cue, and told in ``complaint``.

    :param path: ends in .srt, .vtt or .lrc
    :raises ParameterError: if it does not
    :raises TranscriptManagerError: if it cannot be written
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.kind = check_live(path)
        self.complaint = ''
        """What is wrong with writing; '' if nothing is."""
        self._maker = CueMaker()
        self._written = 0
        self._shift_s = 0.0
        self._end_s = -math.inf
        self._waiting: list[Cue] = []
        self._good_bytes = 0
        begin = HEADER if self.kind == 'lrc' else header(self.kind)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o644)
            self._append(begin)
        except OSError as error:
            raise TranscriptManagerError(f'cannot write {path}: {error.strerror}') from error

    def add(self, words: Sequence[ResultWord]) -> None:
        """Take frozen words, in order of speech; never raises."""
        for word in words:
            if word.start_s + self._shift_s < self._end_s - OVERLAP_S:
                # The clock was set back: players want times that go on.
                self._shift_s = self._end_s - word.start_s
            word = moved(word, self._shift_s)
            self._end_s = max(self._end_s, word.end_s)
            self._write(self._maker.add([word]))

    def settle(self, before_s: float) -> None:
        """
        Write what can be told without the next word; never raises.

        :param before_s: no word will be frozen that starts before this [s]
        """
        before_s += self._shift_s
        self._write(self._maker.settle(before_s), before_s=before_s)

    def close(self) -> None:
        """Write the rest and close the file; may be called twice."""
        if self._descriptor < 0:
            return
        self._write(self._maker.finish(), before_s=math.inf)
        os.close(self._descriptor)
        self._descriptor = -1

    def _write(self, cues: list[Cue], *, before_s: float = -math.inf) -> None:
        self._waiting += cues
        try:
            while self._waiting and self._is_known(before_s):
                cue, after = self._waiting[0], self._waiting[1:2]
                if self.kind == 'lrc':
                    self._append(cue_lines(cue, after[0] if after else None))
                else:
                    self._append(format_cue(cue, self._written + 1, kind=self.kind))
                self._written += 1
                del self._waiting[0]
            self.complaint = ''
        except OSError as error:
            self.complaint = (
                f'cannot write {self.path}: {error.strerror}; {len(self._waiting)} cues wait'
            )

    def _is_known(self, before_s: float) -> bool:
        """Whether the next cue can be written: of a line of lyrics, what follows it matters."""
        if self.kind != 'lrc' or len(self._waiting) > 1:
            return True
        next_s = self._maker.next_start_s(before_s)
        return next_s - self._waiting[0].words[-1].end_s >= CLEAR_AFTER_S

    def _append(self, text: str) -> None:
        data = text.encode(errors='replace')
        append_whole(self._descriptor, data, at_bytes=self._good_bytes)
        self._good_bytes += len(data)


def check_live(path: str | Path) -> str:
    """
    Return the kind of a file that is to be written while the session runs.

    :raises ParameterError: naming it, if there is no such kind, or it is a pipe or device
    """
    kind = Path(path).suffix.lower().removeprefix('.')
    if kind not in FORMATS:
        wanted = ', '.join(f'.{name}' for name in FORMATS)
        raise ParameterError(f'--live {path}: the name must end in one of {wanted}')
    if Path(path).exists() and not Path(path).is_file():
        raise ParameterError(f'--live {path}: not a file that can be written anew')
    return kind
