"""Where the words of a phrase are among the words of a session; knows no times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import re

from rapidfuzz import fuzz, process
from rapidfuzz.distance import LCSseq

SAID_SHARE = 0.8
"""
From this share of its words on a phrase without quotation marks counts as said: models smooth the
grammar of what they repeat, which is a word of a sentence; paraphrases share less.
"""
_NEAR = 85.0
_NEAR_LETTERS = 4
_NO = re.compile(
    r"not?|never|nor|cannot|without|\w*n't|nicht|nie|niemals|kein(?:e[mnr]?)?|ohne|pas|jamais|sans"
    r'|nunca|non|senza|niet|geen|n\u00e3o|sem|\u043d\u0435|\u043d\u0435\u0442'
)
"""In English, German, French, Spanish, Italian, Dutch, Portuguese and Russian."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where parts of a phrase were found: indices of transcript words, both included."""

    matched: int
    first: int
    last: int
    is_exact: bool
    """All its words, and no other between them."""
    is_turned: bool
    """A word that says no is in the phrase only, or in the transcript only."""

    def is_said(self, total: int, *, is_quoted: bool) -> bool:
        """Tell whether this counts as said, of a phrase of so many words."""
        if is_quoted:
            return self.is_exact
        return self.matched >= SAID_SHARE * total and not self.is_turned


@dataclass(frozen=True, slots=True)
class Part:
    """Words of a phrase that must have been said one after the other."""

    words: list[str]
    phrase: list[int]
    """The words as numbers."""
    said: list[int]
    """The words of the whole transcript by the same numbers."""


class Lookup:
    """The words of a session in their normal form, to find phrases among."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        self._vocabulary = sorted(set(self.tokens))

    def encode(self, parts: list[list[str]]) -> list[Part]:
        """Number the words of the parts of a phrase, and by them those of the transcript."""
        encoded = []
        for part in parts:
            numbers = {word: n for n, word in enumerate(dict.fromkeys(part))}
            same = dict(numbers)
            for word, number in numbers.items():
                if len(word) >= _NEAR_LETTERS and not word.isdecimal():
                    matches = process.extract(
                        word, self._vocabulary, scorer=fuzz.ratio, score_cutoff=_NEAR, limit=None
                    )
                    for near, _, _ in matches:
                        # "likely" is near "unlikely", and something else.
                        if len(near) >= _NEAR_LETTERS and near[0] == word[0]:
                            same.setdefault(near, number)
            said = [same.get(token, len(numbers)) for token in self.tokens]
            encoded.append(Part(part, [numbers[word] for word in part], said))
        return encoded

    def find(self, known: list[Part], begin: int, end: int) -> Found | None:
        """Find the parts of a phrase within a span of tokens; None if no word of it is there."""
        matched, places = 0, []
        is_exact, is_turned = True, False
        for part in known:
            window = part.said[begin:end]
            best = fuzz.partial_ratio_alignment(part.phrase, window) if window else None
            if best is None:
                is_exact = False
                continue
            # Words that were said between those of the phrase make it longer than the phrase.
            slack = len(part.phrase) // 4 if best.score < 100 else 0
            at = max(0, best.dest_start - slack)
            span = window[at : best.dest_end + slack]
            if len(part.phrase) > len(window):
                at, span = 0, window
            steps = LCSseq.opcodes(part.phrase, span)
            equal = [step for step in steps if step.tag == 'equal']
            is_exact &= len(equal) == 1 and equal[0].dest_end - equal[0].dest_start == len(
                part.phrase
            )
            if not equal:
                continue
            first, last = equal[0].dest_start, equal[-1].dest_end
            matched += sum(step.dest_end - step.dest_start for step in equal)
            places += [begin + at + first, begin + at + last - 1]
            for step in steps:
                if step.tag != 'equal':
                    others = part.words[step.src_start : step.src_end]
                    inside = range(max(first, step.dest_start), min(last, step.dest_end))
                    others += [self.tokens[begin + at + n] for n in inside]
                    is_turned |= any(map(_NO.fullmatch, others))
        return Found(matched, min(places), max(places), is_exact, is_turned) if matched else None
