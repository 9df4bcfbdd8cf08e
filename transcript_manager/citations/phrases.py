"""
Which words of an answer a time mark belongs to, and the answer without its marks.

An answer is read in blocks: a paragraph, a list entry, a heading, or a line that a mark begins.
In a block that a mark begins, marks lead: each belongs to the text up to the next one, as in the
context that models are given. In other blocks they follow: each belongs to the sentence, or the
part of it since the mark before, that ends with it. Three marks go the other way: in a leading
block one that closes an unfinished sentence; in other blocks one before a colon or after "at",
"from", "around", and one with no words before it. Marks with nothing between them share their
phrase.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
import re

from transcript_manager.citations.marks import find_marks, Mark

_LETTER = re.compile(r'[^\W_]')
_OPENING_PART = r'[\s>#|*_"\u201c~`]*(?:[-+*\u2022]\s+|\d{1,3}[.)]\s+)?[\s>#|*_"\u201c~`]*'
_OPENING = re.compile(_OPENING_PART)
_COPIED_NUMBER = re.compile(r'([\s>*+-]*)(\d{1,6}[ \t]+)')
_LINE_OPENING = re.compile(_OPENING_PART + r'(?:\d{1,6}[ \t]+)?')
_AFTER_LEADING = re.compile(r'[ \t]*(?:[:\u2013\u2014-][ \t]+|[:,][ \t]*)?')
_CLOSES = re.compile(r'[\s.,;:!?)\u2026\u3002]|$')
_BLOCK_START = re.compile(r'\s*(?:[-+*\u2022]\s|\d{1,3}[.)]\s|#|>|\|)')
_HEADING = re.compile(r'\s*#')
_SENTENCE_END = re.compile(
    r'(?<!\b[^\W\d_])(?<![.!?\u2026])[.!?\u2026]+["\'\u201d\u2019\u00bb)*_]*\s+(?=[^\sa-z\u00df-\u00ff])|[\u3002\uff01\uff1f]+\s*'
)
_STOPS = re.compile(r'[\s*_`|]*(?:[.!?;\u2026\u3002]|$)')
_ENDED = re.compile(r'(?:[.!?:;|\u2026\u3002\u2013\u2014\n]["\'\u201d\u2019\u00bb)*_]*\s*|^\s*)$')
_LEAD_IN = re.compile(r'(?:^|\W)(?:at|from|around)[\s*_`]*$', re.IGNORECASE)
_JOINER = re.compile(r'[\s,;&*_`/]*(?:and|und)?[\s,;&*_`/]*', re.IGNORECASE)
_MAX_JOINER = 20
_MAX_OPENING = 100
_MAX_ENDING = 50
_QUOTES = re.compile(
    r'"([^"]+)"|\u201c([^\u201d\u201c]+)["\u201d\u201c]|\u201e([^\u201c\u201d\u201e]+)[\u201c\u201d]'
    r'|\u00ab([^\u00bb\u00ab]+)\u00bb|\u300c([^\u300d\u300c]+)\u300d'
    r'|\u300e([^\u300f\u300e]+)\u300f'
)
_WRAPPERS = (
    ('**', '**'),
    ('__', '__'),
    ('*', '*'),
    ('_', '_'),
    ('`', '`'),
    ('(', ')'),
    ('[', ']'),
)


@dataclass(slots=True)
class Group:
    """Marks with nothing between them, and the phrase they belong to."""

    marks: list[Mark]
    phrase: str = ''

    @property
    def at(self) -> int:
        """Where it begins in the answer [characters]."""
        return self.marks[0].at

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.marks[-1].end


def find_phrases(answer: str) -> list[Group]:
    """Find the marks of an answer, and for each the words it belongs to."""
    groups: list[Group] = []
    for mark in find_marks(answer):
        between = answer[groups[-1].end : mark.at] if groups else '\n'
        if len(between) <= _MAX_JOINER and '\n' not in between and _JOINER.fullmatch(between):
            groups[-1].marks.append(mark)
        else:
            groups.append(Group([mark]))
    waiting = iter(groups)
    group = next(waiting, None)
    for begin, end in _blocks(answer, {g.at for g in groups}):
        own = []
        while group is not None and group.at < end:
            own.append(group)
            group = next(waiting, None)
        if own:
            _assign(answer, begin, end, own)
    return groups


def quoted(phrase: str) -> list[str]:
    """Return the parts of a phrase that are between quotation marks."""
    parts = (next(filter(None, match.groups())) for match in _QUOTES.finditer(phrase))
    return [part for part in parts if _LETTER.search(part)]


def without_marks(answer: str, groups: list[Group]) -> str:
    """Return an answer without its marks, and without the spaces and brackets they leave."""
    text, last = '', 0
    for group in groups:
        begin, end = _wrapped(answer, group.at, group.end, last)
        text += answer[last:begin]
        line = text[-_MAX_OPENING:].rpartition('\n')[2]
        if copied := _COPIED_NUMBER.fullmatch(line):
            line = copied[1]
            text = text[: len(text) - len(copied[2])]
        last = end
        if len(line) < _MAX_OPENING and _OPENING.fullmatch(line):
            last = _AFTER_LEADING.match(answer, end).end()
        elif _CLOSES.match(answer, end):
            text = text.rstrip(' \t')
    text += answer[last:]
    lines = '\n'.join(line.rstrip() for line in text.splitlines())
    return re.sub(r'\n{3,}', '\n\n', lines).strip()


def _wrapped(answer: str, begin: int, end: int, least: int) -> tuple[int, int]:
    """Take in the emphasis and brackets that stand around a mark only."""
    while True:
        for left, right in _WRAPPERS:
            at = begin - len(left)
            if at >= least and answer.startswith(left, at) and answer.startswith(right, end):
                begin, end = at, end + len(right)
                break
        else:
            return begin, end


def _blocks(answer: str, marks_at: set[int]) -> Iterator[tuple[int, int]]:
    """Yield where blocks begin and end."""
    at = begin = 0
    was_heading = True
    for line in answer.splitlines(keepends=True):
        opening = _LINE_OPENING.match(line).end()
        is_new = (
            not line.strip()
            or was_heading
            or _BLOCK_START.match(line) is not None
            or any(at + k in marks_at for k in range(opening + 1))
        )
        if is_new and at > begin:
            yield begin, at
            begin = at
        was_heading = not line.strip() or _HEADING.match(line) is not None
        at += len(line)
    if at > begin:
        yield begin, at


def _assign(answer: str, begin: int, end: int, groups: list[Group]) -> None:
    """Give the marks of a block their phrases."""
    opening = _LINE_OPENING.match(answer, begin, groups[0].at)
    marks_lead = opening is not None and not _LETTER.search(answer[opening.end() : groups[0].at])
    sentences = _sentence_starts(answer, begin, end)
    edges = [begin, *(g.end for g in groups)]
    follows: list[int | None] = []  # where the phrase of a mark that follows begins
    for n, group in enumerate(groups):
        until = groups[n + 1].at if n + 1 < len(groups) else end
        phrase_at = _last_sentence(answer, edges[n], group.at, sentences)
        before, after = answer[edges[n] : group.at], answer[group.end : until]
        has_before, has_after = bool(_LETTER.search(before)), bool(_LETTER.search(after))
        if n == 0 and marks_lead:
            has_before = False
        if not has_before:
            leads = has_after
        elif marks_lead:
            leads = bool(_ENDED.search(before[-_MAX_ENDING:])) or not _STOPS.match(after)
        else:
            ends = _STOPS.match(after)  # the sentence, which is then what it belongs to
            leads = (
                has_after
                and not ends
                and bool(_LEAD_IN.search(before[-_MAX_ENDING:]) or re.match(r'[*_`]*:\s', after))
            )
        follows.append(None if leads else phrase_at)
    for n, group in enumerate(groups):
        phrase_at = follows[n]
        if phrase_at is not None:
            group.phrase = _clean(answer[phrase_at : group.at])
            continue
        until = groups[n + 1].at if n + 1 < len(groups) else end
        if n + 1 < len(groups) and follows[n + 1] is not None:
            rest = answer[group.end : follows[n + 1]]
            until = follows[n + 1] if _LETTER.search(rest) else until
        group.phrase = _clean(answer[group.end : until])


def _sentence_starts(answer: str, begin: int, end: int) -> list[int]:
    """Return where sentences begin; one within quotation marks is part of what quotes it."""
    quotes = [m.span() for m in _QUOTES.finditer(answer, begin, end)]
    starts = []
    for match in _SENTENCE_END.finditer(answer, begin, end):
        before = bisect_left(quotes, (match.end(), 0)) - 1
        if before < 0 or match.end() >= quotes[before][1]:
            starts.append(match.end())
    return starts


def _last_sentence(answer: str, begin: int, at: int, sentences: list[int]) -> int:
    """Return where the last sentence with words in it begins, before a mark."""
    last = next((n for n in range(at - 1, begin, -1) if _LETTER.match(answer, n)), begin)
    which = bisect_right(sentences, last) - 1
    return max(begin, sentences[which]) if which >= 0 else begin


def _clean(text: str) -> str:
    """Take line breaks and Markdown from a phrase, and what separates it from its mark."""
    text = ' '.join(re.sub(r'\*\*|__|`', '', text).split())
    text = re.sub(r'^(?:[-+*\u2022#>|]+\s+|\d{1,3}[.)]\s+)+', '', text)
    text = text.strip(' *_#>|~-\u2013\u2014:;,').lstrip('.!?)\u2026\u3002 ')
    return text if _LETTER.search(text) else ''
