"""Not to hear oneself: silence in the place of samples while a speaker is on."""

from __future__ import annotations

import numpy as np


class Mute:
    """
    Silence samples while muted, and for a while after it; time goes on.

    :param hold_off_s: still silent after the end of a mute [s]: the room's echo, and what is
        underway
    :param max_s: a mute that lasts longer is lifted, as whoever asked for it must have died [s];
        0: never
    """

    def __init__(self, *, hold_off_s: float, max_s: float) -> None:
        self._hold_off_s = hold_off_s
        self._max_s = max_s
        self._since_s: float | None = None
        self._until_s = -float('inf')
        self.was_lifted = False
        """The last mute had to be lifted; until the next message."""

    def set(self, is_muted: bool, now_s: float) -> None:
        """Begin a mute, or go on with it, or end it; ``now_s`` on any clock that goes on."""
        self.was_lifted = False
        if is_muted:
            self._since_s = now_s
        elif self._since_s is not None:
            self._since_s = None
            self._until_s = now_s + self._hold_off_s

    def is_on(self, now_s: float) -> bool:
        """Whether samples are silenced now."""
        if self._since_s is not None and 0 < self._max_s < now_s - self._since_s:
            self._since_s = None
            self.was_lifted = True
        return self._since_s is not None or now_s < self._until_s

    def apply(self, samples: np.ndarray, now_s: float) -> np.ndarray:
        """Return the samples, or as much silence."""
        return np.zeros_like(samples) if self.is_on(now_s) else samples
