"""
Word and character error rates, by jiwer, over words that are compared in one pinned way.

The normaliser: case and width are folded (NFKC), typographic apostrophes become plain ones, text
in [brackets] and (parentheses) is dropped, and words are runs of letters, marks, digits and
apostrophes; of scripts that are written without spaces every character is a word. Digits and
number words are not made equal: "6" for "six" is an error, as it would be on a screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import re
import unicodedata

import jiwer

from transcript_manager.merge.words import is_unspaced

_ANNOTATION = re.compile(r'\[[^\]]*\]|\([^)]*\)')
_ASCII_WORD = re.compile(r"[a-z0-9']+")
_APOSTROPHES = str.maketrans(dict.fromkeys('\u2018\u2019\u201b\u02bc', "'"))


def normalise(text: str) -> list[str]:
    """Return the words of a text in the form in which they are compared."""
    if text.isascii():  # most text is, and this is ten times faster
        return _ASCII_WORD.findall(_ANNOTATION.sub(' ', text.lower()))
    folded = unicodedata.normalize('NFKC', text).casefold()
    folded = unicodedata.normalize('NFKC', folded).translate(_APOSTROPHES)
    folded = _ANNOTATION.sub(' ', folded)  # now that wide brackets are brackets
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
    def rate(self) -> float:
        """(S + D + I) / N; of an empty reference 0 if nothing was inserted, inf otherwise."""
        errors = self.substitutions + self.deletions + self.insertions
        if self.reference == 0:
            return float('inf') if errors else 0.0
        return errors / self.reference


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """Count the errors of normalised words."""
    if not reference or not hypothesis:  # jiwer refuses them
        return Errors(len(reference), 0, 0, len(reference), len(hypothesis))
    output = jiwer.process_words(' '.join(reference), ' '.join(hypothesis))
    return Errors(
        len(reference), output.hits, output.substitutions, output.deletions, output.insertions
    )


def character_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """
    Count the errors of characters.

    The space between two words counts as one, except in scripts that are written without.
    """
    expected, heard = _spaced(reference), _spaced(hypothesis)
    if not expected or not heard:
        return Errors(len(expected), 0, 0, len(expected), len(heard))
    output = jiwer.process_characters(expected, heard)
    return Errors(
        len(expected), output.hits, output.substitutions, output.deletions, output.insertions
    )


def _spaced(words: Sequence[str]) -> str:
    parts: list[str] = []
    for word in words:
        if parts and not (is_unspaced(word[0]) and is_unspaced(parts[-1][0])):
            parts.append(' ')
        parts.append(word)
    return ''.join(parts)


def alignment(
    reference: Sequence[str], hypothesis: Sequence[str]
) -> Iterator[tuple[int | None, int | None]]:
    """Yield (reference index, hypothesis index) in order; None where one has no counterpart."""
    if not reference or not hypothesis:
        yield from ((r, None) for r in range(len(reference)))
        yield from ((None, h) for h in range(len(hypothesis)))
        return
    output = jiwer.process_words(' '.join(reference), ' '.join(hypothesis))
    for chunk in output.alignments[0]:
        expected = range(chunk.ref_start_idx, chunk.ref_end_idx)
        heard = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
        if chunk.type == 'delete':
            yield from ((r, None) for r in expected)
        elif chunk.type == 'insert':
            yield from ((None, h) for h in heard)
        else:
            yield from zip(expected, heard, strict=True)
