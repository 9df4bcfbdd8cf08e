"""What the merge is given: the tokens of one decoded window."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN_S = -1.0
"""A token time that is not known."""


@dataclass(frozen=True, slots=True)
class Token:
    """One text token. Texts are concatenated, so a leading space is part of the word."""

    text: str
    probability: float
    """Of this token given what came before, [0, 1]."""
    start_s: float = UNKNOWN_S
    """Absolute time [s], or ``UNKNOWN_S``."""
    end_s: float = UNKNOWN_S
    """Absolute time [s], or ``UNKNOWN_S``."""


@dataclass(frozen=True, slots=True)
class DecodedSegment:
    """One segment of a decode; its times are absolute [s]."""

    start_s: float
    end_s: float
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Decode:
    """
    One decoded window.

    Times count from any fixed origin, in seconds; all decodes of a stream share the origin.
    """

    start_s: float
    """Time of the window's first sample [s]."""
    duration_s: float
    """Length of the window [s]."""
    segments: tuple[DecodedSegment, ...]
    end_of_stream: bool = False
    """True: no window follows."""

    @property
    def end_s(self) -> float:
        """Time of the end of the window [s]."""
        return self.start_s + self.duration_s
