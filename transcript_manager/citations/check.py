"""
Whether the phrases of an answer were said where the answer says so.

Words are compared in the normal form of `evaluation/wer.py`, in order; words of four letters and
more count as equal from a similarity of 0.85 on (RapidFuzz's ratio), so that "judgements" is
"judgments". A phrase was said if four fifths of its words were, and no "not" is in one of the two
only. Of a phrase with quotation marks in it, what is between them must have been said word by
word; an ellipsis stands for words left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from operator import itemgetter
import re
from typing import Any

from transcript_manager.citations.lookup import Found, Lookup, Part, SAID_SHARE
from transcript_manager.citations.marks import Mark
from transcript_manager.citations.phrases import find_phrases, Group, quoted, without_marks
from transcript_manager.evaluation.wer import normalise
from transcript_manager.result import clock, Result, ResultSegment, ResultWord

TOLERANCE_S = 1.0
"""Marks may be off by so much: models see them rounded down to a second."""
_ROUNDING_S = 0.06
"""Times in an answer are often rounded to a tenth."""
_MAX_SAID = 1000
_MAX_PHRASE = 5000
"""Of a longer phrase so many characters are looked up."""
_ELLIPSIS = re.compile(r'\.{3,}|\u2026')


@dataclass(slots=True)
class Citation:
    """One time mark of an answer, checked; times from the start of the session [s]."""

    text: str
    """The phrase it belongs to."""
    mark: str
    """As written."""
    start: float | None
    """None: the mark is malformed."""
    end: float | None
    """Of a range as written; of a point from the transcript, None if nothing was said there."""
    was_said: bool
    match: float
    """Share of the phrase's words that were said there, in order, 0..1."""
    said: str
    """What the transcript has there."""
    found_at: tuple[float, float] | None = None
    """Where the phrase was said, if not there [s]."""
    problem: str = ''
    """What is wrong with the mark; '' if nothing is."""


class Checker:
    """A session that phrases are looked up in."""

    def __init__(self, result: Result) -> None:
        self._segments = [s for s in result.segments if s.words]
        self._words = [w for s in self._segments for w in s.words]
        self._end_s = max((max(s.end_s, s.words[-1].end_s) for s in self._segments), default=0.0)
        tokens: list[str] = []
        self._owners: list[int] = []  # of each token the word it is of
        for number, word in enumerate(self._words):
            for token in normalise(word.text):
                tokens.append(token)
                self._owners.append(number)
        self._known: dict[tuple[str, str], Citation] = {}
        self._lookup = Lookup(tokens)

    def check(self, phrase: str, mark: Mark) -> Citation:
        """Look up a phrase where its mark says it was said."""
        key = phrase, mark.text  # small models fall into loops
        if key not in self._known:
            self._known[key] = self._check(phrase, mark)
        return replace(self._known[key])

    def _check(self, phrase: str, mark: Mark) -> Citation:
        start_s, end_s = mark.start_s, mark.end_s
        citation = Citation(phrase, mark.text, start_s, end_s, False, 0.0, '')
        problems = self._problems(mark)
        parts = _parts(phrase)
        known = self._lookup.encode(parts)
        total = sum(map(len, parts))
        is_quoted = bool(quoted(phrase[:_MAX_PHRASE]))
        if not total:
            problems.append('no words belong to this mark')
        usable = start_s is not None and (end_s is None or end_s > start_s)
        found = None
        if usable:
            near = self._near(start_s, end_s)
            found = self._find_near(known, start_s, end_s, near, total)
            citation.match = round(found.matched / total, 3) if found else 0.0
            citation.was_said = bool(found and found.is_said(total, is_quoted=is_quoted))
            self._describe(citation, mark, near, found)
            if not citation.said and not problems:
                problems.append('nothing was said there')
            elif found and found.is_turned and citation.match >= SAID_SHARE:
                problems.append('a word that says no is not in both')
        if total and not citation.was_said:
            elsewhere = self._lookup.find(known, 0, len(self._lookup.tokens))
            if elsewhere and elsewhere.is_said(total, is_quoted=is_quoted):
                first, last = self._word(elsewhere.first), self._word(elsewhere.last)
                citation.found_at = _rounded(first.start_s), _rounded(last.end_s)
                problems.append(f'said at {clock(first.start_s)}')
        citation.problem = '; '.join(problems)
        return citation

    def _problems(self, mark: Mark) -> list[str]:
        if mark.start_s is None:
            return ['no time: minutes and seconds end at 59']
        problems = []
        if mark.end_s is not None and mark.end_s <= mark.start_s:
            problems.append('ends before it begins')
        if mark.start_s > self._end_s or (mark.end_s or 0) > self._end_s + TOLERANCE_S:
            problems.append(f'behind the end of the session ({clock(self._end_s)})')
        return problems

    def _near(self, start_s: float, end_s: float | None) -> range:
        """Return the tokens that may be meant by a mark."""
        if end_s is None:
            # A mark of a segment may be given for what is said anywhere in it.
            segment = self._spoken(start_s)
            until_s = segment.end_s if segment else start_s + TOLERANCE_S
        else:
            until_s = end_s + TOLERANCE_S
        near = [
            n
            for n, owner in enumerate(self._owners)
            if self._words[owner].end_s > start_s - TOLERANCE_S
            and self._words[owner].start_s < until_s
        ]
        return range(near[0], near[-1] + 1) if near else range(0)

    def _spoken(self, at_s: float) -> ResultSegment | None:
        """Return the segment a point means: one that begins within its second, or is going on."""
        spoken = [s for s in self._segments if s.start_s - TOLERANCE_S <= at_s <= s.end_s]
        return max(spoken, key=lambda s: s.start_s, default=None)

    def _find_near(
        self,
        known: list[Part],
        start_s: float,
        end_s: float | None,
        near: range,
        total: int,
    ) -> Found | None:
        if not near:
            return None
        if end_s is not None:
            return self._lookup.find(known, near.start, near.stop)
        # A phrase may be longer than the segment it begins in; it must begin there.
        found = self._lookup.find(
            known, near.start, min(near.stop + total, len(self._lookup.tokens))
        )
        if found and found.first in near:
            return found
        return self._lookup.find(known, near.start, near.stop)

    def _describe(self, citation: Citation, mark: Mark, near: range, found: Found | None) -> None:
        """Put what was really said there, and of a point its end, into a citation."""
        start_s = mark.start_s or 0.0
        if mark.end_s is not None:
            words = [w for w in self._words if _is_within(w, start_s, mark.end_s)]
        elif citation.was_said and found is not None:
            words = self._words[self._owners[found.first] : self._owners[found.last] + 1]
            citation.end = _end_after(start_s, words)
        else:
            words = []
        segment = self._spoken(start_s)
        if mark.end_s is None and citation.end is None and segment is not None:
            words = words or list(segment.words)
            citation.end = _end_after(start_s, segment.words)
        citation.said = _cut(''.join(w.text for w in words).strip())

    def _word(self, token: int) -> ResultWord:
        return self._words[self._owners[token]]


def cite(answer: str, result: Result) -> dict[str, Any]:
    """
    Check every time mark of an answer against the session it is about.

    :returns: ``summary_text``, the answer without marks, and ``timestamps``, a list of
        `Citation` as objects, in the order of the answer
    """
    groups = find_phrases(answer)
    checker = Checker(result)
    citations: list[Citation] = []
    for group in groups:
        citations += [checker.check(group.phrase, mark) for mark in group.marks]
    _note_repeats(groups, citations)
    return {
        'summary_text': without_marks(answer, groups),
        'timestamps': [asdict(citation) for citation in citations],
    }


def _note_repeats(groups: list[Group], citations: list[Citation]) -> None:
    """Tell of marks given twice for a phrase, and of ranges that overlap an earlier one."""
    marks = [mark for group in groups for mark in group.marks]
    seen: dict[tuple[str, float | None, float | None], None] = {}
    ranges: list[tuple[float, float, Mark]] = []  # apart from each other, by their start
    for mark, citation in zip(marks, citations, strict=True):
        key = (citation.text, mark.start_s, mark.end_s)
        problem = ''
        if mark.start_s is not None and key in seen:
            problem = 'given twice for the same words'
        elif mark.end_s is not None and mark.start_s < mark.end_s:
            other = _add(ranges, mark)
            problem = f'overlaps {other.text}' if other else ''
        seen[key] = None
        if problem:
            citation.problem = '; '.join(filter(None, (citation.problem, problem)))


def _add(ranges: list[tuple[float, float, Mark]], mark: Mark) -> Mark | None:
    """
    Note a range, if it overlaps none in part; return the one that it overlaps.

    The same range may be cited for several phrases. Those noted are apart from each other, so only
    the neighbours matter.
    """
    start_s, end_s = mark.start_s, mark.end_s
    at = bisect_left(ranges, start_s, key=itemgetter(0))
    for other_start_s, other_end_s, other in ranges[max(0, at - 1) : at + 1]:
        if (other_start_s, other_end_s) == (start_s, end_s):
            return None
        if min(end_s, other_end_s) - max(start_s, other_start_s) > _ROUNDING_S:
            return other
    ranges.insert(at, (start_s, end_s, mark))
    return None


def _parts(phrase: str) -> list[list[str]]:
    """Return the words of what must have been said: of the quoted parts, if there are any."""
    phrase = phrase[:_MAX_PHRASE]
    pieces: Sequence[str] = quoted(phrase) or [phrase]
    parts = (normalise(part) for piece in pieces for part in _ELLIPSIS.split(piece))
    return [part for part in parts if part]


def _is_within(word: ResultWord, start_s: float, end_s: float) -> bool:
    middle_s = (word.start_s + word.end_s) / 2
    return start_s - _ROUNDING_S <= middle_s <= end_s + _ROUNDING_S


def _end_after(start_s: float, words: Sequence[ResultWord]) -> float | None:
    end_s = max((w.end_s for w in words), default=0.0)
    return _rounded(end_s) if end_s > start_s else None


def _rounded(at_s: float) -> float:
    return round(at_s, 3)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SAID else text[:_MAX_SAID].rstrip() + '\u2026'
