"""
A transcript cut into utterances, as robots that talk want it: said so far, and said to the end.

An utterance ends where its words are stable and nobody says another one for a while, or with the
stream. What ended is handed out once; together, the utterances are the transcript's stable text.

Punctuation settles later than its word: whether a sentence has ended shows best when the next one
begins. Whoever answers cannot wait for that, so an utterance has two texts, see `Utterance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from transcript_manager.errors import ParameterError
from transcript_manager.merge.segments import TranscriptSegment, TranscriptWord, WordState

SILENCE_S = (0.2, 60.0)
"""From, to: how long nobody must speak for an utterance to end."""
_SPEAKING_S = 1.0
"""Somebody speaks if the newest word ends so close to the end of the audio."""
_BACK_S = 1.0
"""Times that go back by more than this are of another stream."""
_MAX_WORDS = 250
"""An utterance without end is cut where a segment ends, so that it stays bounded."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was said between two silences."""

    text: str
    """Of the stable text, what this utterance adds: concatenated, they are exactly that. It may
    begin with punctuation that closes the utterance before and has settled only now; with the
    stream's end, it may be nothing but that."""
    said: str
    """The same for people: its own words only, with the punctuation behind the last one as it is
    shown now, settled or not; '' if it has no words."""
    confidence: float
    """Mean probability of its words, each weighing as much as it has letters, [0, 1]."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one merge means for a listener."""

    ended: tuple[Utterance, ...]
    """Utterances that have ended, in order; each is handed out once."""
    incremental: str
    """The utterance that goes on, as it is shown now: it may change; '' if none."""
    is_speaking: bool
    """Whether words go on to the end of the audio."""


class Utterances:
    """
    Cut one transcript into utterances.

    Memory is the utterance that goes on.

    :param silence_s: without a word for so long, an utterance has ended [s]
    :raises ParameterError: if that is out of range
    """

    def __init__(self, silence_s: float = 1.0) -> None:
        low, high = SILENCE_S
        if not low <= silence_s <= high:
            raise ParameterError(
                f'utterance_silence_s is {silence_s:g}, must be {low:g}..{high:g} s'
            )
        self._silence_s = silence_s
        self._waiting: list[TranscriptWord] = []  # frozen, of the utterance that goes on
        self._done = 0  # of the active part's stable words, how many are handed out

    def update(
        self,
        active: Sequence[TranscriptSegment],
        frozen: Sequence[TranscriptSegment],
        merged_end_s: float,
        *,
        end_of_stream: bool = False,
    ) -> Heard:
        """
        Take what a merge has left; to be called after every one.

        :param active: the segments that are not frozen, as the transcript shows them
        :param frozen: those that this merge has frozen
        :param merged_end_s: end of the audio merged so far [s], on the words' clock
        :param end_of_stream: true: nothing follows, what is stable is said to the end
        """
        shown = list(_words(active))
        stable = [w for w in shown if w.state is not WordState.TENTATIVE]
        tentative = shown[len(stable) :]  # in the transcript, stable words come first
        fresh = list(_words(frozen))
        self._waiting += fresh[self._done :]
        self._done = max(0, self._done - len(fresh))
        settled = self._waiting + stable[self._done :]

        ended = []
        rest = settled
        while length := self._ending(
            rest, len(settled) - len(rest), tentative, merged_end_s, end_of_stream
        ):
            following = (rest + tentative)[length : length + 1]
            ended.append(_utterance(rest[:length], following))
            rest = rest[length:]
        taken = len(settled) - len(rest)
        self._done += max(0, taken - len(self._waiting))
        del self._waiting[:taken]

        return Heard(
            tuple(ended),
            _text(_from_first_word(rest + tentative)),
            not end_of_stream and _is_speaking(shown or fresh, merged_end_s),
        )

    def _ending(
        self,
        settled: list[TranscriptWord],
        taken: int,
        tentative: list[TranscriptWord],
        merged_end_s: float,
        end_of_stream: bool,
    ) -> int:
        """Return how many of the settled words are an utterance that has ended; 0 if none has."""
        last: TranscriptWord | None = None
        count = 0
        for word in settled:
            # Punctuation settles after its word, so it may open what is left; it is no utterance.
            if not word.is_punctuation:
                if last is not None and self._parts(last, word.start_s):
                    return count
                last = word
            count += 1
        if end_of_stream:
            return count
        if last is None:
            return 0
        following = next((w for w in tentative if not w.is_punctuation), None)
        until_s = merged_end_s if following is None else following.start_s
        if self._parts(last, until_s):
            return count
        waiting = len(self._waiting) - taken  # of the settled words, how many are frozen
        return waiting if waiting > _MAX_WORDS else 0

    def _parts(self, last: TranscriptWord, until_s: float) -> bool:
        """Whether the silence from a word to a time ends an utterance."""
        silence_s = until_s - last.end_s
        return silence_s >= self._silence_s or silence_s < -_BACK_S


def _words(segments: Iterable[TranscriptSegment]) -> Iterator[TranscriptWord]:
    for segment in segments:
        yield from segment.words


def _text(words: Iterable[TranscriptWord]) -> str:
    return ''.join(w.text for w in words)


def _from_first_word(words: Sequence[TranscriptWord]) -> Sequence[TranscriptWord]:
    """Leave out the punctuation that closes what was said before."""
    first = next((k for k, w in enumerate(words) if not w.is_punctuation), len(words))
    return words[first:]


def _utterance(words: Sequence[TranscriptWord], following: Sequence[TranscriptWord]) -> Utterance:
    own = _from_first_word(words)
    said = _text(own)
    if own and following and following[0].is_punctuation:
        said += following[0].text
    weighed = [(w.probability, len(w.text.strip())) for w in own if not w.is_punctuation]
    letters = sum(weight for _, weight in weighed)
    mean = sum(p * weight for p, weight in weighed) / letters if letters else 0.0
    return Utterance(_text(words), said, min(1.0, max(0.0, mean)))


def _is_speaking(words: Iterable[TranscriptWord], merged_end_s: float) -> bool:
    ends_s = [w.end_s for w in words if not w.is_punctuation]
    return bool(ends_s) and abs(merged_end_s - max(ends_s)) <= _SPEAKING_S
