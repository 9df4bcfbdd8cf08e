"""
What others do with overlapping windows, as plainly as possible, to compare the merge with.

Every policy takes decodes one by one and says what became stable and what is shown behind it, so
that all are traced and scored alike. None is tuned; each is what its description says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from transcript_manager.merge.decode import Decode
from transcript_manager.merge.segments import split_text
from transcript_manager.merge.transcript import MergeSettings, Transcript
from transcript_manager.merge.words import fuse, HeardWord
from transcript_manager.streams.trace import TraceLine


class Policy(Protocol):
    """Decodes in, text out."""

    def merge(self, decode: Decode) -> tuple[str, str]:
        """Take a decode; return the text that became stable, and the whole unstable tail."""

    def flush(self) -> str:
        """Return what is left at the end of the stream."""


def trace_of(policy: Policy, decodes: Iterable[Decode]) -> list[TraceLine]:
    """Run a stream through a policy; the last line is the final flush."""
    lines = []
    start_s, end_s = 0.0, 0.0
    for decode in decodes:
        stable, tentative = policy.merge(decode)
        start_s, end_s = decode.start_s, max(end_s, decode.end_s)
        words = getattr(policy, 'frozen_words', ())
        lines.append(TraceLine(start_s, decode.end_s, stable, tentative, tuple(words)))
    rest = policy.flush()
    lines.append(TraceLine(start_s, end_s, rest, '', tuple(getattr(policy, 'frozen_words', ()))))
    return lines


class SlotVoting:
    """The merge of this package."""

    def __init__(self, settings: MergeSettings | None = None) -> None:
        self._transcript = Transcript(settings)
        self.frozen_words: list[tuple[str, float, float]] = []

    def merge(self, decode: Decode) -> tuple[str, str]:
        """Take a decode."""
        merged = self._transcript.merge(decode)
        self._note(merged.frozen)
        return merged.stable_text, split_text(self._transcript.active())[1]

    def flush(self) -> str:
        """Return what is left."""
        text, frozen = self._transcript.flush()
        self._note(frozen)
        return text

    def _note(self, frozen) -> None:
        self.frozen_words = [
            (w.text, w.start_s, w.end_s) for s in frozen for w in s.words if not w.is_punctuation
        ]


def _text(words: Iterable[HeardWord]) -> str:
    return ''.join(w.text + w.suffix for w in words)


class LastWindowWins:
    """The newest window replaces all that it covers; what it no longer covers stays."""

    def __init__(self) -> None:
        self._words: list[HeardWord] = []

    def merge(self, decode: Decode) -> tuple[str, str]:
        """Take a decode."""
        gone = [w for w in self._words if (w.start_s + w.end_s) / 2 < decode.start_s]
        self._words = fuse(decode)
        return _text(gone), _text(self._words)

    def flush(self) -> str:
        """Return what is left."""
        return _text(self._words)


class LocalAgreement:
    """
    LocalAgreement-2: what two windows in a row begin with is stable.

    As whisper_streaming does it (Macháček et al. 2023): words behind the last stable word's time
    are hypotheses, up to five words that repeat the stable end are cut from their front, and the
    longest common prefix with the window before becomes stable. There the audio buffer keeps what
    is not agreed on; here windows move on, so that a hypothesis that leaves them becomes stable as
    it stands.
    """

    def __init__(self) -> None:
        self._stable_forms: list[str] = []
        self._stable_end_s = 0.0
        self._before: list[HeardWord] = []

    def merge(self, decode: Decode) -> tuple[str, str]:
        """Take a decode."""
        left = [w for w in self._before if (w.start_s + w.end_s) / 2 < decode.start_s]
        self._settle(left)
        del self._before[: len(left)]
        words = [w for w in fuse(decode) if w.start_s > self._stable_end_s - 0.1]
        if words and abs(words[0].start_s - self._stable_end_s) < 1.0:
            for length in range(min(5, len(words), len(self._stable_forms)), 0, -1):
                if [w.form for w in words[:length]] == self._stable_forms[-length:]:
                    words = words[length:]
                    break
        agreed = 0
        while (
            agreed < min(len(words), len(self._before))
            and words[agreed].form == self._before[agreed].form
        ):
            agreed += 1
        stable, self._before = words[:agreed], words[agreed:]
        self._settle(stable)
        return _text(left) + _text(stable), _text(self._before)

    def _settle(self, words: list[HeardWord]) -> None:
        if words:
            self._stable_forms = (self._stable_forms + [w.form for w in words])[-10:]
            self._stable_end_s = words[-1].end_s

    def flush(self) -> str:
        """Return what is left."""
        return _text(self._before)


class _Counted:
    """A word of the transcript with its counters, as the specification has them."""

    def __init__(self, word: HeardWord) -> None:
        self.text, self.form, self.end_s = word.text + word.suffix, word.form, word.end_s
        self.occurrences = 1
        self.conflicts: dict[tuple[str, str], int] = {}

    def take(self, word: HeardWord) -> None:
        """Count a hearing; the conflict with more occurrences than the word replaces it."""
        self.end_s = word.end_s
        text = word.text + word.suffix
        if word.form == self.form:
            self.occurrences += 1
        if text == self.text:
            self.occurrences += 1
            return
        key = (text, word.form)
        self.conflicts[key] = self.conflicts.get(key, 0) + 1
        if self.conflicts[key] > self.occurrences:
            occurrences = self.conflicts.pop(key)
            self.conflicts[self.text, self.form] = self.occurrences
            (self.text, self.form), self.occurrences = key, occurrences


class StaleFreeze:
    """
    The specification's way: text alone, and stable is what has left the window.

    The longest common substring with gaps of at most four words aligns a window with what is not
    frozen; from its first match on counters are raised and lowered; a window without any match is
    appended.
    """

    def __init__(self) -> None:
        self._words: list[_Counted] = []

    def merge(self, decode: Decode) -> tuple[str, str]:
        """Take a decode."""
        stale = 0
        while stale < len(self._words) and self._words[stale].end_s < decode.start_s:
            stale += 1
        text = ''.join(w.text for w in self._words[:stale])
        self._words = self._merged(self._words[stale:], fuse(decode))
        return text, ''.join(w.text for w in self._words)

    def flush(self) -> str:
        """Return what is left."""
        return ''.join(w.text for w in self._words)

    @staticmethod
    def _merged(words: list[_Counted], update: list[HeardWord]) -> list[_Counted]:
        pairs = _longest_gapped([w.form for w in words], [w.form for w in update], max_gap=4)
        if not pairs:
            return words + [_Counted(w) for w in update]
        result = words[: pairs[0][0]]
        ends = [*pairs[1:], (len(words), len(update))]
        for (i, j), (next_i, next_j) in zip(pairs, ends, strict=True):
            words[i].take(update[j])
            result.append(words[i])
            here, there = words[i + 1 : next_i], update[j + 1 : next_j]
            for word, heard in zip(here, there):  # noqa: B905 - the rest is extra or missing
                word.take(heard)
            for word in here[len(there) :]:
                word.occurrences -= 1
            result += here
            result += [_Counted(w) for w in there[len(here) :]]
        return [w for w in result if w.occurrences > -1]


def _longest_gapped(a: list[str], b: list[str], *, max_gap: int) -> list[tuple[int, int]]:
    """Return the pairs of the longest common substring with gaps."""
    best: dict[tuple[int, int], tuple[int, tuple[int, int] | None]] = {}
    for i in range(len(a)):
        for j in range(len(b)):
            if a[i] != b[j]:
                continue
            length, link = 0, None
            for k in range(max(0, i - 1 - max_gap), i):
                for m in range(max(0, j - 1 - max_gap), j):
                    if (k, m) in best and best[k, m][0] > length:
                        length, link = best[k, m][0], (k, m)
            best[i, j] = (length + 1, link)
    if not best:
        return []
    at: tuple[int, int] | None = max(best, key=lambda pair: best[pair][0])
    pairs = []
    while at is not None:
        pairs.append(at)
        at = best[at][1]
    return pairs[::-1]
