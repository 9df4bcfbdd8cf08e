"""What the ring is fed from."""

from __future__ import annotations

from typing import Protocol

import numpy as np

BLOCK_S = 0.1
"""Sources hand out blocks of about this length [s]."""


class AudioSource(Protocol):
    """A stream of mono samples at a fixed rate."""

    name: str
    """For people: the file or the device."""
    sample_rate_hz: int
    """Of what :meth:`read` returns."""
    duration_s: float | None
    """Length of the stream [s]; None if it has no known end."""

    def read(self, timeout_s: float) -> np.ndarray | None:
        """
        Return the next block.

        :param timeout_s: longest time to wait for samples [s]
        :returns: int16, shape (n,), n = 0 if none came in time; None at the end of the stream
        :raises AudioSourceError: if the source fails
        """

    def close(self) -> None:
        """Release the file or device; may be called twice."""

    def __enter__(self) -> AudioSource: ...

    def __exit__(self, *exc: object) -> None: ...


def to_int16(samples: np.ndarray) -> np.ndarray:
    """
    Convert samples to 16 bit, with rounding and saturation.

    :param samples: floating point, full scale is -1..1; NaN and infinities become silence
    """
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(np.rint(finite * 32768.0), -32768, 32767).astype(np.int16)
