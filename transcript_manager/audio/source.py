"""What the ring is fed from, and the way from any samples to the ring's."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import soxr

BLOCK_S = 0.1
"""Sources hand out blocks of about this length [s]."""


class AudioSource(Protocol):
    """A stream of mono samples at a fixed rate."""

    name: str
    """For people: the file or the device."""
    sample_rate_hz: int
    """Of what :meth:`read` returns."""
    duration_s: float | None
    """Length of the stream [s]; None if it is not known or has no end."""
    start_time_s: float | None
    """When the first sample was captured, Unix time [s]; None if not known (yet)."""

    def read(self, timeout_s: float) -> np.ndarray | None:
        """
        Return the next block.

        :param timeout_s: longest time to wait for samples [s]
        :returns: int16, shape (n,), n = 0 if none came in time; None at the end of the stream
        :raises AudioSourceError: if the source fails
        """

    def close(self) -> None:
        """Release the file or device; may be called twice."""

    def __enter__(self) -> AudioSource:
        """Return itself."""

    def __exit__(self, *exc: object) -> None:
        """Close."""


class MonoConverter:
    """
    Turn a stream of frames of any rate and number of channels into int16 mono at one rate.

    How the stream is cut into blocks makes no difference, not even in the last bit, and 16 bit
    mono that is at the right rate already comes out as it is.

    :param from_rate_hz: rate of the frames
    :param to_rate_hz: rate of the samples handed out
    """

    def __init__(self, from_rate_hz: int, to_rate_hz: int) -> None:
        self._resampler = (
            soxr.ResampleStream(from_rate_hz, to_rate_hz, 1, dtype='float32')
            if from_rate_hz != to_rate_hz
            else None
        )

    def convert(self, frames: np.ndarray, *, last: bool = False) -> np.ndarray:
        """
        Convert the next block; the channels are averaged.

        :param frames: float32, shape (n, channels), full scale is -1..1; NaN and infinities
            become silence
        :param last: the stream ends here, give out what the filter still holds back
        :returns: int16, shape (m,); m fits the ratio of the rates over the whole stream
        """
        # One NaN or 1e38 would stay in the filter and take the audio around it along.
        finite = np.nan_to_num(frames, nan=0.0, posinf=0.0, neginf=0.0)
        mono = np.clip(finite, -1.0, 1.0).mean(axis=1)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=last)
        return to_int16(mono)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """
    Convert samples to 16 bit, with rounding and saturation.

    :param samples: floating point, full scale is -1..1; NaN and infinities become silence
    """
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(np.rint(finite * 32768.0), -32768, 32767).astype(np.int16)
