"""
The score of many pairs of texts: over all words, by language, by length, and pair by pair.

Rates over many files are micro-averages: all errors over all words of the references, so that
every word counts the same. The mean of the files, where every file counts the same, stands beside
it. The interval is a percentile bootstrap over files (Bisani and Ney, ICASSP 2004): the corpus is
drawn again from its own files, as a whole each, and 95 % of the rates found so lie in it. It says
how much depends on which files happened to be there, and nothing about other voices or rooms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
import math

import numpy as np

from transcript_manager.evaluation.wer import align, all_character_errors, Chunk, count, Errors
from transcript_manager.merge.words import is_unspaced

UNKNOWN = ''
"""The language of a file that nothing tells."""
LENGTHS = ((0, 0), (1, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, None))
"""Rows of the table by length: words of the reference, both ends included."""
MIN_FILES = 5
"""With fewer files there is no interval: too few to draw from."""
RESAMPLES = 2000
SEED = 20040517


@dataclass(frozen=True, slots=True)
class Item:
    """Two texts to compare."""

    name: str
    reference: Sequence[str]
    """Normalised words."""
    hypothesis: Sequence[str]
    language: str = UNKNOWN
    reference_path: str | None = None
    """None: there was no such file."""
    hypothesis_path: str | None = None


@dataclass(frozen=True, slots=True)
class FileScore:
    """One pair and its errors."""

    item: Item
    chunks: Sequence[Chunk]
    """Its alignment."""
    words: Errors
    characters: Errors


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the files together."""

    label: str
    files: int
    words: Errors
    characters: Errors
    unit: str
    """What is compared: ``words``, or ``characters`` of scripts written without spaces."""


@dataclass(frozen=True, slots=True)
class Confusions:
    """How often every error was made; most frequent first."""

    substitutions: list[tuple[tuple[str, str], int]]
    """((said, heard), times)."""
    deletions: list[tuple[str, int]]
    insertions: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class CorpusScore:
    """All files together, and each."""

    files: list[FileScore]
    """Worst first."""
    total: Group
    mean_wer: float
    """Mean of the files' rates, of those whose reference has words; nan if none has."""
    mean_cer: float
    mean_of: int
    """Of so many files."""
    interval: tuple[float, float] | None
    """In which 95 % of the resampled rates of words lie."""
    languages: list[Group]
    lengths: list[Group]
    """Those rows of ``LENGTHS`` that have files."""
    confusions: Confusions
    notes: list[str] = field(default_factory=list)
    """What is to be said about the files, for people."""


def score(items: Sequence[Item], *, notes: Iterable[str] = ()) -> CorpusScore:
    """
    Compare all pairs.

    :param notes: what is to be said before what is found here
    """
    pairs = [(item.reference, item.hypothesis) for item in items]
    files = [
        FileScore(item, chunks, count(chunks), characters)
        for item, chunks, characters in zip(
            items, align(pairs), all_character_errors(pairs), strict=True
        )
    ]
    files.sort(key=lambda f: (-f.words.rate, -f.words.count, f.item.name))
    with_words = [f for f in files if f.words.reference]
    return CorpusScore(
        files,
        _group('all', files),
        _mean(f.words.rate for f in with_words),
        _mean(f.characters.rate for f in with_words),
        len(with_words),
        _interval(files),
        [
            _group(language, [f for f in files if f.item.language == language])
            for language in sorted({f.item.language for f in files}, key=lambda c: (c == '', c))
        ],
        list(_by_length(files)),
        _confusions(files),
        [*notes, *_empty_notes(files)],
    )


def _group(label: str, files: Sequence[FileScore]) -> Group:
    compared = [w for f in files for w in (f.item.reference or f.item.hypothesis)]
    unspaced = sum(is_unspaced(word[0]) for word in compared)
    return Group(
        label,
        len(files),
        Errors.total(f.words for f in files),
        Errors.total(f.characters for f in files),
        'characters' if unspaced > len(compared) / 2 else 'words',
    )


def _by_length(files: Sequence[FileScore]) -> Iterable[Group]:
    for low, high in LENGTHS:
        inside = [
            f for f in files if low <= f.words.reference <= (math.inf if high is None else high)
        ]
        if inside:
            label = f'> {low - 1}' if high is None else f'{low}-{high}' if high else '0'
            yield _group(label, inside)


def _mean(rates: Iterable[float]) -> float:
    values = list(rates)
    return math.fsum(values) / len(values) if values else math.nan


def _interval(files: Sequence[FileScore]) -> tuple[float, float] | None:
    """Resample files that are in a fixed order: the same files give the same interval."""
    if sum(f.words.reference > 0 for f in files) < MIN_FILES:
        return None
    counts = np.array([(f.words.count, f.words.reference) for f in files], dtype=np.int64)
    random = np.random.default_rng(SEED)
    rates = []
    for _ in range(RESAMPLES):
        errors, words = counts[random.integers(len(counts), size=len(counts))].sum(axis=0)
        if words:  # it can draw empty references only
            rates.append(errors / words)
    low, high = np.percentile(rates, (2.5, 97.5))
    return float(low), float(high)


def _confusions(files: Sequence[FileScore]) -> Confusions:
    substituted: Counter[tuple[str, str]] = Counter()
    deleted: Counter[str] = Counter()
    inserted: Counter[str] = Counter()
    for file in files:
        for chunk in file.chunks:
            said = file.item.reference[chunk.ref_start : chunk.ref_end]
            heard = file.item.hypothesis[chunk.hyp_start : chunk.hyp_end]
            if chunk.kind == 'substitute':
                substituted.update(zip(said, heard, strict=True))
            elif chunk.kind == 'delete':
                deleted.update(said)
            elif chunk.kind == 'insert':
                inserted.update(heard)
    return Confusions(_ranked(substituted), _ranked(deleted), _ranked(inserted))


def _ranked(counter: Counter) -> list:
    return sorted(counter.items(), key=lambda entry: (-entry[1], entry[0]))


def _empty_notes(files: Sequence[FileScore]) -> Iterable[str]:
    for file in sorted(files, key=lambda f: f.item.name):
        if file.words.reference:
            continue
        what = 'has no reference' if file.item.reference_path is None else 'has an empty reference'
        heard = file.words.insertions
        yield f'{file.item.name} {what}: ' + (
            f'what was heard counts as insertions ({heard})' if heard else 'it counts nothing'
        )
