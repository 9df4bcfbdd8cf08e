"""One listening: what is said from now on until time is up, or nobody speaks any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from transcript_manager.merge.segments import TranscriptSegment, TranscriptWord, WordState


class Reason(IntEnum):
    """Why a listening has ended; the numbers are those of Transcribe.action."""

    MAX_DURATION = 0
    SILENCE = 1
    NOTHING_SAID = 2
    END_OF_STREAM = 3
    CANCELLED = 4
    NO_AUDIO = 5
    INTERRUPTED = 6


REASONS = {
    Reason.MAX_DURATION: 'the time is up',
    Reason.SILENCE: 'nothing more was said',
    Reason.NOTHING_SAID: 'nothing was said',
    Reason.END_OF_STREAM: 'the audio has ended',
    Reason.CANCELLED: 'cancelled',
    Reason.NO_AUDIO: 'no audio comes any more',
    Reason.INTERRUPTED: 'the transcript was reset or paused, or the node was stopped',
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What a merge has left: all that a listening needs to know of it."""

    frozen: Sequence[TranscriptSegment]
    """Segments frozen by this merge."""
    frozen_entries: int
    """Words and marks frozen before those, ever."""
    active: Sequence[TranscriptSegment]
    end_s: float
    """End of the audio merged so far [s]."""
    end_of_stream: bool = False


class Listening:
    """
    Collect what is said from a time on; the transcript takes no notice.

    :param start_s: from when on, on the transcript's clock [s]
    :param max_duration_s: how long at most [s]
    :param silence_s: end when something was said and nothing more for so long [s]; 0: do not
    :param give_up_s: end when nothing at all was said for so long [s]; 0: do not
    """

    def __init__(
        self, start_s: float, *, max_duration_s: float, silence_s: float, give_up_s: float
    ) -> None:
        self._start_s = start_s
        self._max_duration_s = max_duration_s
        self._silence_s = silence_s
        self._give_up_s = give_up_s
        self._first_entry: int | None = None  # number of the first word, once it is stable
        self._seen_entries = 0  # stable words up to this number are decided
        self._frozen: list[TranscriptSegment] = []
        self._active: list[TranscriptSegment] = []
        self._end_s = start_s
        self.stable_text = ''
        """Said so far, append-only."""
        self.tentative_text = ''

    @property
    def elapsed_s(self) -> float:
        """Since the beginning, in the audio's time [s]."""
        return max(0.0, self._end_s - self._start_s)

    @property
    def segments(self) -> list[TranscriptSegment]:
        """What was said, counted from 0."""
        found = [s for s in (*self._frozen, *self._active) if s.words]
        return [TranscriptSegment(k, s.words) for k, s in enumerate(found)]

    @property
    def text(self) -> str:
        """What was said."""
        return ''.join(s.text for s in self.segments)

    def hear(self, heard: Heard) -> Reason | None:
        """Take in what a merge has left; returns why the listening is over, if it is."""
        number = heard.frozen_entries
        for segment in heard.frozen:
            self._frozen += self._cut(segment, number)
            number += len(segment.words)
        self._active = []
        self.tentative_text = ''
        for segment in heard.active:
            self._active += self._cut(segment, number)
            number += len(segment.words)
        self._end_s = max(self._end_s, heard.end_s)
        return self._verdict(heard)

    def _cut(self, segment: TranscriptSegment, number: int) -> list[TranscriptSegment]:
        """Return the part of a segment that belongs to this listening."""
        words = []
        for entry, word in enumerate(segment.words, start=number):
            if word.state is WordState.TENTATIVE:
                if self._first_entry is not None or self._is_within(word):
                    words.append(word)
                    self.tentative_text += word.text
                continue
            if self._first_entry is None and self._is_within(word):
                self._first_entry = entry
            if self._first_entry is not None and entry >= self._first_entry:
                words.append(word)
                if entry >= self._seen_entries:
                    self.stable_text += word.text
            self._seen_entries = max(self._seen_entries, entry + 1)
        return [TranscriptSegment(0, tuple(words))] if words else []

    def _is_within(self, word: TranscriptWord) -> bool:
        return (word.start_s + word.end_s) / 2 >= self._start_s

    def _verdict(self, heard: Heard) -> Reason | None:
        if heard.end_of_stream:
            return Reason.END_OF_STREAM
        elapsed_s = heard.end_s - self._start_s
        if elapsed_s >= self._max_duration_s:
            return Reason.MAX_DURATION
        said = self.segments
        if said:
            quiet_s = heard.end_s - said[-1].end_s
            return Reason.SILENCE if 0 < self._silence_s <= quiet_s else None
        return Reason.NOTHING_SAID if 0 < self._give_up_s <= elapsed_s else None
