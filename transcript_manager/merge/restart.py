"""Whether a stream has started over: its clock was set back, or a recording is played again."""

from __future__ import annotations

_WINDOWS = 3
_LATE_S = 15.0
"""Three windows in a row that are so late are no late ones: the source has started over."""


class RestartWatch:
    """Look at the ends of windows as they come."""

    def __init__(self) -> None:
        self._past_ends_s: list[float] = []  # of windows from the far past, in a row

    def sees_restart(self, end_s: float, *, merged_end_s: float) -> bool:
        """Whether window after window comes from before all that could be late."""
        past = self._past_ends_s
        if end_s >= merged_end_s - _LATE_S:
            past.clear()
            return False
        if past and end_s <= past[-1]:
            past.clear()
        past.append(end_s)
        return len(past) >= _WINDOWS

    def clear(self) -> None:
        """Begin anew."""
        self._past_ends_s.clear()
