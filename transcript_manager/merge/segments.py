"""What the transcript hands out: words and segments as values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from transcript_manager.merge.slot import Slot


class WordState(IntEnum):
    """State of a word; the numbers are those of TranscriptWord.msg."""

    TENTATIVE = 0
    STABLE = 1
    FROZEN = 2


class TranscriptWord(NamedTuple):
    """One word, or the punctuation behind one."""

    text: str
    """Concatenated with its neighbours it gives the transcript; begins with its space."""
    probability: float
    occurrences: int
    state: WordState
    start_s: float
    end_s: float
    conflicts: tuple[tuple[str, int], ...] = ()
    """(text, occurrences) of what else was heard here, most frequent first."""
    is_punctuation: bool = False


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A stretch of the transcript; its words are in order of speech."""

    index: int
    words: tuple[TranscriptWord, ...]

    @property
    def text(self) -> str:
        """The words' texts, concatenated."""
        return ''.join(w.text for w in self.words)

    @property
    def start_s(self) -> float:
        """Start of the first word [s]."""
        return self.words[0].start_s

    @property
    def end_s(self) -> float:
        """End of the last word [s]."""
        return self.words[-1].end_s


def split_text(segments: Iterable[TranscriptSegment]) -> tuple[str, str]:
    """Concatenate the stable and the tentative texts of active segments."""
    stable, tentative = '', ''
    for segment in segments:
        for word in segment.words:
            if word.state is WordState.TENTATIVE:
                tentative += word.text
            else:
                stable += word.text
    return stable, tentative


MAX_CONFLICTS = 6
"""Of one word, in what is handed out: messages stay bounded however long windows disagree."""


def words_of(slot: Slot, *, frozen: bool, start_s: float, end_s: float) -> list[TranscriptWord]:
    """
    Render one slot: its word, and its closing punctuation as an entry of its own.

    The punctuation is separate because it settles later than its word, and a stable word must
    not change.

    :param start_s: start of the word as it is handed out [s]
    :param end_s: end of the word as it is handed out [s]
    """
    if frozen:
        state = mark_state = WordState.FROZEN
    else:
        state = WordState.STABLE if slot.stable else WordState.TENTATIVE
        mark_state = state if slot.suffix is not None else WordState.TENTATIVE
    leader = slot.leader
    text, probability, occurrences = leader.text, leader.probability, leader.occurrences
    conflicts = tuple([(c.text, c.occurrences) for c in slot.conflicts[:MAX_CONFLICTS]])
    words = [TranscriptWord(text, probability, occurrences, state, start_s, end_s, conflicts)]
    suffix = slot.shown_suffix()
    if suffix:
        words.append(
            TranscriptWord(
                suffix, probability, occurrences, mark_state, end_s, end_s, is_punctuation=True
            )
        )
    return words


def segments_of(
    slots: list[Slot], *, frozen: bool, from_s: float, first_index: int
) -> list[TranscriptSegment]:
    """
    Turn slots into segments; averaged times that overlap are cut to stay in order.

    :param from_s: end of what comes before them [s]
    :param first_index: of the first segment
    """
    segments = []
    at_s = from_s
    following = iter([*slots[1:], None])
    for group in split_segments(slots):
        words = []
        for slot, after in zip(group, following):  # noqa: B905 - following runs across groups
            start_s = max(slot.start_s, at_s)
            end_s = max(slot.end_s, start_s)
            if after is not None:
                end_s = min(end_s, max(after.start_s, start_s))
            words += words_of(slot, frozen=frozen, start_s=start_s, end_s=end_s)
            at_s = end_s
        segments.append(TranscriptSegment(first_index + len(segments), tuple(words)))
    return segments


def split_segments(slots: list[Slot]) -> Iterator[list[Slot]]:
    """Group slots into segments; the first slot opens one whatever its votes."""
    group: list[Slot] = []
    for slot in slots:
        if group and slot.opens_segment:
            yield group
            group = []
        group.append(slot)
    if group:
        yield group
