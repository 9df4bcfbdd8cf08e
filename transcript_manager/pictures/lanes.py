"""Where the texts of words go: each over its word, in as few lanes as keep them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text goes."""

    middle: float
    """Of the text, in the unit of what was asked for."""
    lane: int
    """From 0, the one nearest to the words; -1: there is no room for it."""


def place_texts(
    middles: Sequence[float],
    widths: Sequence[float],
    *,
    low: float,
    high: float,
    gap: float,
    max_lanes: int,
) -> list[Place]:
    """
    Place texts side by side and above each other; all lengths in one unit, such as pixels.

    Each goes over the middle of its word, moved only as far as the edges ask for, into the first
    lane with room. In order of time this takes the fewest lanes there can be.

    :param middles: of the words, ascending
    :param widths: of the texts
    :param low: texts begin here at the earliest
    :param high: texts end here at the latest
    :param gap: at least so much is between two texts
    :param max_lanes: what finds no room in so many is left out
    """
    ends: list[float] = []
    places = []
    for wanted, width in zip(middles, widths, strict=True):
        middle = max(min(wanted, high - width / 2), low + width / 2)
        start = middle - width / 2
        lane = next((k for k, end in enumerate(ends) if end + gap <= start), len(ends))
        if lane >= max_lanes:
            places.append(Place(middle, -1))
            continue
        if lane == len(ends):
            ends.append(start)
        ends[lane] = start + width
        places.append(Place(middle, lane))
    return places
