"""
Alignment of a window's words with the transcript's slots.

The anchor is the inventor's: the longest common substring with gaps, here as a chain over
matching pairs only, so that its cost follows the matches and not the product of the lengths.
Time is the second key: a pair whose times disagree is no pair, which tells the second "one two
three" from the first. Between two anchors a small edit alignment, again by time and likeness,
pairs words that were heard differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_TIME_DIFFERENCE_S = 1.5
"""Two hearings of one word lie closer than this; whisper.cpp's own token times are no better."""

_SKIP_COST = 0.55
"""Of a word without a counterpart; two of them cost more than any allowed substitution."""


class Timed(Protocol):
    """Anything with a comparable form and a time."""

    form: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class _Link:
    score: float
    previous: tuple[int, int] | None


def align(
    slots: Sequence[Timed],
    words: Sequence[Timed],
    *,
    matches: Callable[[int, str], float],
    max_gap_words: int,
) -> list[tuple[int | None, int | None]]:
    """
    Align slots with words.

    :param matches: how well slot ``i`` matches a comparable form, 0 (not at all) .. 1
    :param max_gap_words: longest run of unmatched words inside the common substring, >= 0;
        only pairs whose times agree closely may bridge more
    :returns: (slot index, word index) in order, each index once; None where one has no counterpart
    """
    anchors = _chain(slots, words, matches, max_gap_words)
    aligned: list[tuple[int | None, int | None]] = []
    slot_from = word_from = 0
    for slot_to, word_to in [*anchors, (len(slots), len(words))]:
        aligned += _align_gap(slots, words, (slot_from, slot_to), (word_from, word_to))
        if slot_to < len(slots):
            aligned.append((slot_to, word_to))
        slot_from, word_from = slot_to + 1, word_to + 1
    return aligned


def _chain(slots, words, matches, max_gap_words) -> list[tuple[int, int]]:
    """Find the heaviest chain of matching pairs, ascending in both, with bounded gaps."""
    by_slot: list[list[tuple[int, float]]] = []
    word_from = 0
    for i, slot in enumerate(slots):
        row = []
        while (
            word_from < len(words)
            and words[word_from].start_s < slot.start_s - 2 * MAX_TIME_DIFFERENCE_S
        ):
            word_from += 1
        for j in range(word_from, len(words)):
            word = words[j]
            if word.start_s > slot.start_s + 2 * MAX_TIME_DIFFERENCE_S:
                break
            difference_s = _difference_s(slot, word)
            if difference_s > MAX_TIME_DIFFERENCE_S:
                continue
            likeness = matches(i, word.form)
            if likeness > 0:
                row.append((j, likeness - 0.4 * difference_s / MAX_TIME_DIFFERENCE_S))
        by_slot.append(row)

    links: dict[tuple[int, int], _Link] = {}
    best_end: tuple[int, int] | None = None
    for i, row in enumerate(by_slot):
        for j, gain in row:
            previous, base = _best_predecessor(links, by_slot, i, j, max_gap_words)
            links[i, j] = _Link(base + gain, previous)
            if best_end is None or links[i, j].score > links[best_end].score:
                best_end = (i, j)

    chain = []
    at = best_end
    while at is not None:
        chain.append(at)
        at = links[at].previous
    return chain[::-1]


def _best_predecessor(links, by_slot, i, j, max_gap_words):
    """Look back a gap's length; where nothing lies there, to whatever chain came before."""
    best, base = None, 0.0
    nearest = max(0, i - 1 - max_gap_words)
    for k in range(i - 1, nearest - 1, -1):
        for m, _ in by_slot[k]:
            if j - 1 - max_gap_words <= m < j:
                score = links[k, m].score - 0.05 * ((i - k - 1) + (j - m - 1))
                if score > base:
                    best, base = (k, m), score
    if best is not None:
        return best, base
    # Every pair has passed the test of time, so a wider gap is a stretch heard differently.
    for k in range(i - 1, -1, -1):
        for m, _ in by_slot[k]:
            if m < j and links[k, m].score - 0.5 > base:
                best, base = (k, m), links[k, m].score - 0.5
    return best, base


def _align_gap(slots, words, slot_span, word_span) -> list[tuple[int | None, int | None]]:
    """Edit alignment of what lies between two anchors."""
    (i0, i1), (j0, j1) = slot_span, word_span
    n, m = i1 - i0, j1 - j0
    if n == 0 or m == 0:
        return [(i, None) for i in range(i0, i1)] + [(None, j) for j in range(j0, j1)]
    costs = [[0.0] * (m + 1) for _ in range(n + 1)]
    for a in range(1, n + 1):
        costs[a][0] = a * _SKIP_COST
    for b in range(1, m + 1):
        costs[0][b] = b * _SKIP_COST
    for a in range(1, n + 1):
        slot, row, above = slots[i0 + a - 1], costs[a], costs[a - 1]
        for b in range(1, m + 1):
            row[b] = min(
                above[b - 1] + _substitution_cost(slot, words[j0 + b - 1]),
                above[b] + _SKIP_COST,
                row[b - 1] + _SKIP_COST,
            )
    aligned: list[tuple[int | None, int | None]] = []
    a, b = n, m
    while a or b:
        here = costs[a][b]
        substitution = (
            costs[a - 1][b - 1] + _substitution_cost(slots[i0 + a - 1], words[j0 + b - 1])
            if a and b
            else None
        )
        if substitution is not None and here == substitution:
            a, b = a - 1, b - 1
            aligned.append((i0 + a, j0 + b))
        elif b and here == costs[a][b - 1] + _SKIP_COST:
            b -= 1
            aligned.append((None, j0 + b))
        else:
            a -= 1
            aligned.append((i0 + a, None))
    return aligned[::-1]


def _substitution_cost(slot: Timed, word: Timed) -> float:
    """0 for the same place and spelling, above two skips for words that cannot be the same."""
    difference_s = _difference_s(slot, word)
    if difference_s > MAX_TIME_DIFFERENCE_S:
        return 3.0
    overlap_s = min(slot.end_s, word.end_s) - max(slot.start_s, word.start_s)
    shorter_s = max(0.02, min(slot.end_s - slot.start_s, word.end_s - word.start_s))
    apart = 1.0 - max(0.0, min(1.0, overlap_s / shorter_s))
    return 0.35 * _unlikeness(slot.form, word.form) + 0.75 * apart


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


def _difference_s(a: Timed, b: Timed) -> float:
    return abs(a.start_s + a.end_s - b.start_s - b.end_s) / 2
