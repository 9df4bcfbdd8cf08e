"""
Word and character error rates, by jiwer, over words that are compared in one pinned way.

The normaliser: case and width are folded (NFKC), typographic apostrophes become plain ones, text
in [brackets] and (parentheses) is dropped, and words are runs of letters, marks, digits and
apostrophes; of scripts that are written without spaces every character is a word. Digits and
number words are not made equal: "6" for "six" is an error, as it would be on a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
import re
from typing import Any, NamedTuple
import unicodedata

import jiwer

from transcript_manager.merge.words import is_unspaced

_OPENING = re.compile(r'[\[(]')
_CLOSING = {'[': ']', '(': ')'}
_ASCII_WORD = re.compile(r"[a-z0-9']+")
_APOSTROPHES = str.maketrans(dict.fromkeys('\u2018\u2019\u201b\u02bc', "'"))


def normalise(text: str) -> list[str]:
    """Return the words of a text in the form in which they are compared."""
    if text.isascii():  # most text is, and this is ten times faster
        return _ASCII_WORD.findall(_without_annotations(text.lower()))
    folded = unicodedata.normalize('NFKC', text).casefold()
    folded = unicodedata.normalize('NFKC', folded).translate(_APOSTROPHES)
    folded = _without_annotations(folded)  # now that wide brackets are brackets
    words: list[str] = []
    is_open = False
    for char in folded:
        if is_unspaced(char):
            words.append(char)
            is_open = True  # its marks follow
            continue
        kind = unicodedata.category(char)[0]
        if kind == 'M' and is_open:
            words[-1] += char
        elif kind in 'LMN' or char == "'":
            if is_open and not is_unspaced(words[-1][0]):
                words[-1] += char
            else:
                words.append(char)
                is_open = True
        else:
            is_open = False
    return words


def _without_annotations(text: str) -> str:
    """Put a space for every [annotation] and (aside)."""
    # Not by a regular expression: that looks for the end of every bracket, however many are open.
    parts: list[str] = []
    at = 0
    unclosed: set[str] = set()
    for match in _OPENING.finditer(text):
        if match.start() < at or match[0] in unclosed:
            continue
        end = text.find(_CLOSING[match[0]], match.end())
        if end < 0:
            unclosed.add(match[0])
            continue
        parts += [text[at : match.start()], ' ']
        at = end + 1
    return ''.join([*parts, text[at:]])


@dataclass(frozen=True, slots=True)
class Errors:
    """What it takes to turn a hypothesis into the reference: of words, or of characters."""

    reference: int
    """Length of the reference."""
    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def count(self) -> int:
        """S + D + I."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """(S + D + I) / N; of an empty reference 0 if nothing was inserted, inf otherwise."""
        if self.reference == 0:
            return float('inf') if self.count else 0.0
        return self.count / self.reference

    @classmethod
    def total(cls, parts: Iterable[Errors]) -> Errors:
        """Add up the errors of several texts; its rate is their micro-average."""
        columns = [
            (e.reference, e.hits, e.substitutions, e.deletions, e.insertions) for e in parts
        ]
        return cls(*(sum(column) for column in zip(*columns, strict=True))) if columns else NONE


NONE = Errors(0, 0, 0, 0, 0)


class Chunk(NamedTuple):
    """A run of an alignment; the spans are half open, and empty where one side has nothing."""

    kind: str
    """``equal``, ``substitute``, ``delete`` or ``insert``."""
    ref_start: int
    ref_end: int
    hyp_start: int
    hyp_end: int


Words = Sequence[str]


def align(pairs: Sequence[tuple[Words, Words]]) -> list[list[Chunk]]:
    """
    Align many hypotheses with their references, word by word.

    :param pairs: (reference, hypothesis), normalised
    :returns: the runs of every pair, in order
    """
    return _align(pairs, ' '.join, jiwer.process_words)


def _align(
    pairs: Sequence[tuple[Words, Words]],
    joined: Callable[[Words], str],
    process: Callable[[list[str], list[str]], Any],
) -> list[list[Chunk]]:
    result: list[list[Chunk]] = []
    both = [k for k, (reference, hypothesis) in enumerate(pairs) if reference and hypothesis]
    for reference, hypothesis in pairs:  # those with an empty side; jiwer < 4 refuses them
        runs = [
            Chunk('delete', 0, len(reference), 0, 0),
            Chunk('insert', 0, 0, 0, len(hypothesis)),
        ]
        result.append([c for c in runs if c.ref_end or c.hyp_end])
    if both:
        output = process([joined(pairs[k][0]) for k in both], [joined(pairs[k][1]) for k in both])
        for k, chunks in zip(both, output.alignments, strict=True):
            result[k] = [
                Chunk(c.type, c.ref_start_idx, c.ref_end_idx, c.hyp_start_idx, c.hyp_end_idx)
                for c in chunks
            ]
    return result


def count(chunks: Iterable[Chunk]) -> Errors:
    """Count the errors of an alignment."""
    counts = dict.fromkeys(('equal', 'substitute', 'delete', 'insert'), 0)
    reference = 0
    for chunk in chunks:
        length = chunk.ref_end - chunk.ref_start
        reference += length
        counts[chunk.kind] += length or chunk.hyp_end - chunk.hyp_start
    return Errors(
        reference, counts['equal'], counts['substitute'], counts['delete'], counts['insert']
    )


def word_errors(reference: Words, hypothesis: Words) -> Errors:
    """Count the errors of normalised words."""
    return count(align([(reference, hypothesis)])[0])


def character_errors(reference: Words, hypothesis: Words) -> Errors:
    """
    Count the errors of characters.

    The space between two words counts as one, except in scripts that are written without.
    """
    return all_character_errors([(reference, hypothesis)])[0]


def all_character_errors(pairs: Sequence[tuple[Words, Words]]) -> list[Errors]:
    """Count the errors of characters of every pair, as :func:`character_errors` does."""
    texts = [(spaced(reference), spaced(hypothesis)) for reference, hypothesis in pairs]
    return [count(chunks) for chunks in _align(texts, ''.join, jiwer.process_characters)]


def spaced(words: Words) -> str:
    """Write words as a text: with spaces between them, but not in scripts without."""
    parts: list[str] = []
    for word in words:
        if parts and not (is_unspaced(word[0]) and is_unspaced(parts[-1][0])):
            parts.append(' ')
        parts.append(word)
    return ''.join(parts)


def alignment(reference: Words, hypothesis: Words) -> Iterator[tuple[int | None, int | None]]:
    """Yield (reference index, hypothesis index) in order; None where one has no counterpart."""
    for chunk in align([(reference, hypothesis)])[0]:
        expected = range(chunk.ref_start, chunk.ref_end)
        heard = range(chunk.hyp_start, chunk.hyp_end)
        if chunk.kind == 'delete':
            yield from ((r, None) for r in expected)
        elif chunk.kind == 'insert':
            yield from ((None, h) for h in heard)
        else:
            yield from zip(expected, heard, strict=True)
