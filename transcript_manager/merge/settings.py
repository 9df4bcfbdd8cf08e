"""How evidence turns words stable: the parameters of the merge."""

from __future__ import annotations

from dataclasses import dataclass

from transcript_manager.errors import ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """How evidence turns words stable."""

    min_occurrences: int = 2
    """Windows that must have heard a word before it is stable, >= 1."""
    min_lead: float = 0.5
    """Weight by which a word must lead over its conflicts and misses to be stable, > 0."""
    edge_guard_s: float = 0.3
    """A word this close to the end of the newest window is not judged yet [s], >= 0."""
    commit_deadline_s: float = 6.0
    """Without agreement, the leading text is taken when the word is this old [s], > 0."""
    max_gap_words: int = 4
    """Longest run of unmatched words inside the common substring, >= 0."""

    def __post_init__(self) -> None:
        """
        Check the ranges.

        :raises ParameterError: naming the field, its value and its range
        """
        for name, low, high in (
            ('min_occurrences', 1, 100),
            ('min_lead', 0.1, 100.0),
            ('edge_guard_s', 0.0, 10.0),
            ('commit_deadline_s', 0.5, 30.0),
            ('max_gap_words', 0, 20),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParameterError(f'{name} is {value:g}, must be {low:g}..{high:g}')
