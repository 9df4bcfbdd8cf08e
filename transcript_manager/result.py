"""The result of a session as values; `export/` reads and writes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
import unicodedata

from transcript_manager.merge.segments import TranscriptSegment
from transcript_manager.merge.words import comparable


@dataclass(frozen=True, slots=True)
class ResultWord:
    """One final word with its closing punctuation; times count from the stream's start."""

    text: str
    start_s: float
    end_s: float
    probability: float
    """0..1; nan if it is not known."""
    occurrences: int
    """Windows that heard it; 0 if that is not known."""
    conflicts: tuple[tuple[str, int], ...] = ()
    """(text, occurrences) of what else was heard here, most frequent first."""

    @property
    def others(self) -> tuple[tuple[str, int], ...]:
        """Conflicts that are other words, not the same one spelled otherwise; for people."""
        own = comparable(self.text)
        return tuple(c for c in self.conflicts if comparable(c[0]) not in ('', own))


@dataclass(frozen=True, slots=True)
class ResultSegment:
    """One final segment; times count from the stream's start."""

    start_s: float
    end_s: float
    text: str
    words: tuple[ResultWord, ...]


@dataclass(slots=True)
class Result:
    """Everything that was said in a session."""

    language: str = ''
    segments: list[ResultSegment] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The segments' texts, concatenated: what ``transcript/text`` carried."""
        return ''.join(s.text for s in self.segments)

    @property
    def words(self) -> list[ResultWord]:
        """All words, in order of speech."""
        return [w for s in self.segments for w in s.words]

    @property
    def end_s(self) -> float:
        """End of the last segment [s]; 0 if there is none."""
        return self.segments[-1].end_s if self.segments else 0.0


def moved(word: ResultWord, by_s: float) -> ResultWord:
    """Return a word that was said so much later [s]."""
    return replace(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s)


def join_punctuation(words: list[ResultWord]) -> tuple[ResultWord, ...]:
    """Attach entries that are punctuation only to the word before them."""
    joined: list[ResultWord] = []
    for word in words:
        if joined and not any(unicodedata.category(c)[0] in 'LMN' for c in word.text):
            joined[-1] = replace(joined[-1], text=joined[-1].text + word.text)
        else:
            joined.append(word)
    return tuple(joined)


def from_segment(segment: TranscriptSegment, *, start_s: float = 0.0) -> ResultSegment:
    """
    Convert a frozen segment of the merge.

    :param start_s: added to its times [s]
    """
    words = [
        ResultWord(
            w.text,
            w.start_s + start_s,
            w.end_s + start_s,
            w.probability,
            w.occurrences,
            w.conflicts,
        )
        for w in segment.words
    ]
    return ResultSegment(
        segment.start_s + start_s,
        segment.end_s + start_s,
        segment.text,
        join_punctuation(words),
    )


def clock(seconds: float) -> str:
    """Format a time as MM:SS.d, or HH:MM:SS.d from an hour on."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f'{minutes:02}:{tenths // 10:02}.{tenths % 10}'
    return f'{hours:02}:{text}' if hours else text
