"""
What lies between two anchors: words that were heard differently, or not at all.

A small edit alignment pairs them by time and likeness; what has no counterpart is put in order of
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

MAX_TIME_DIFFERENCE_S = 1.5
"""Two hearings of one word lie closer than this; whisper.cpp's own token times are no better."""
MAX_ESTIMATED_DIFFERENCE_S = 12.0
"""The same for words without times of their own."""

_SKIP_COST = 0.55
"""Of a word without a counterpart; two of them cost more than any allowed substitution."""
_APART_S = 0.5
"""Words that lie so far apart, end to start, are as unlike as two words that meet, again."""
_IMPOSSIBLE = 3.0
_MAX_CELLS = 120
"""Largest edit alignment; what is larger, a loop against speech say, is paired greedily."""

Pairing = list[tuple[int | None, int | None]]


class Place(Protocol):
    """What alignment needs to know of a slot; times in seconds."""

    form: str
    start_s: float
    end_s: float
    stable: bool

    @property
    def forms(self) -> Sequence[str]:
        """Every comparable form heard here."""


class Hearing(Protocol):
    """What alignment needs to know of a word, and sets if there is no time; in seconds."""

    form: str
    start_s: float
    end_s: float
    is_timed: bool


def fill_gap(
    places: Sequence[Place],
    words: Sequence[Hearing],
    place_span: tuple[int, int],
    word_span: tuple[int, int],
    aligned: Pairing,
) -> None:
    """
    Align what lies between two anchors.

    :param place_span: first place and the one after the last
    :param word_span: first word and the one after the last
    :param aligned: receives (place index, word index) in order, None for no counterpart
    """
    (i0, i1), (j0, j1) = place_span, word_span
    n, m = i1 - i0, j1 - j0
    if n == 0 or m == 0:
        aligned += [(i, None) for i in range(i0, i1)]
        aligned += [(None, j) for j in range(j0, j1)]
    elif n * m > _MAX_CELLS:
        _fill_by_overlap(places, words, place_span, word_span, aligned)
    else:
        _fill_by_edits(places, words, place_span, word_span, aligned)


def _fill_by_time(places, words, place_span, word_span, aligned: Pairing) -> None:
    """Put places and words without counterparts in order of time."""
    (i, i1), (j, j1) = place_span, word_span
    while i < i1 or j < j1:
        if j == j1 or (i < i1 and places[i].start_s <= words[j].start_s):
            aligned.append((i, None))
            i += 1
        else:
            aligned.append((None, j))
            j += 1


def _fill_by_overlap(places, words, place_span, word_span, aligned: Pairing) -> None:
    """Pair every place with the next word that could be its own."""
    (i, i1), (j, j1) = place_span, word_span
    while i < i1 and j < j1:
        if _substitution_cost(places[i], words[j]) < 2 * _SKIP_COST:
            aligned.append((i, j))
            i, j = i + 1, j + 1
        elif places[i].start_s <= words[j].start_s:
            aligned.append((i, None))
            i += 1
        else:
            aligned.append((None, j))
            j += 1
    _fill_by_time(places, words, (i, i1), (j, j1), aligned)


def _fill_by_edits(places, words, place_span, word_span, aligned: Pairing) -> None:
    """Find the cheapest way to turn the places into the words."""
    (i0, i1), (j0, j1) = place_span, word_span
    n, m = i1 - i0, j1 - j0
    above = [_SKIP_COST * b for b in range(m + 1)]
    moves: list[list[int]] = []  # 0: pair, 1: place alone, 2: word alone
    for a in range(n):
        place = places[i0 + a]
        row = [above[0] + _SKIP_COST]
        move = [1]
        for b in range(m):
            pair = above[b] + _substitution_cost(place, words[j0 + b])
            alone = above[b + 1] + _SKIP_COST
            word_alone = row[b] + _SKIP_COST
            if pair < alone and pair < word_alone:
                row.append(pair)
                move.append(0)
            elif word_alone <= alone:
                row.append(word_alone)
                move.append(2)
            else:
                row.append(alone)
                move.append(1)
        above = row
        moves.append(move)
    pairs: list[tuple[int, int]] = []
    a, b = n, m
    while a and b:
        step = moves[a - 1][b]
        a -= step != 2
        b -= step != 1
        if step == 0:
            pairs.append((i0 + a, j0 + b))
    for i, j in reversed(pairs):
        _fill_by_time(places, words, (i0, i), (j0, j), aligned)
        aligned.append((i, j))
        i0, j0 = i + 1, j + 1
    _fill_by_time(places, words, (i0, i1), (j0, j1), aligned)


def _substitution_cost(place: Place, word: Hearing) -> float:
    """0 for the same place and spelling, above two skips for words that cannot be the same."""
    difference_s = abs(place.start_s + place.end_s - word.start_s - word.end_s) / 2
    limit_s = MAX_TIME_DIFFERENCE_S if word.is_timed else MAX_ESTIMATED_DIFFERENCE_S
    if difference_s > limit_s:
        return _IMPOSSIBLE
    if word.is_timed:
        overlap_s = min(place.end_s, word.end_s) - max(place.start_s, word.start_s)
        if overlap_s > 0:
            shorter_s = max(0.02, min(place.end_s - place.start_s, word.end_s - word.start_s))
            apart = 1.0 - min(1.0, overlap_s / shorter_s)
        else:
            apart = 1.0 - overlap_s / _APART_S
    else:
        apart = difference_s / limit_s
    return 0.35 * _unlikeness(place.form, word.form) + 0.75 * apart


def _unlikeness(a: str, b: str) -> float:
    """Share of letters that differ, counted from both ends: enough for a word cut short."""
    if a == b:
        return 0.0
    shorter = min(len(a), len(b))
    head = 0
    while head < shorter and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < shorter - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    return 1.0 - (head + tail) / max(1, shorter)
