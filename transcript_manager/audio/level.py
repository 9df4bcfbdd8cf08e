"""How loud a stream is, whether it is clipped, and whether there is anything in it at all."""

from __future__ import annotations

from collections import deque
import math

import numpy as np

SILENCE_DBFS = -120.0
"""Level of digital silence, in the place of minus infinity."""
_SIGNAL_DBFS = -80.0
_FULL_SCALE = 32767
_SPAN_S = 1.0


class LevelMeter:
    """
    Meter the last second of a stream.

    :param sample_rate_hz: samples per second
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.no_signal_s = 0.0
        """For how long no sample has been above -80 dBFS [s]."""
        self._parts: deque[tuple[int, int, float, int]] = deque()  # count, peak, power, clipped

    def push(self, samples: np.ndarray) -> None:
        """Meter a block: int16, shape (n,)."""
        if not len(samples):
            return
        # Not abs(): int16 has no +32768.
        peak = max(int(samples.max()), -int(samples.min()))
        power = float(np.square(samples, dtype=np.float64).sum())
        clipped = int(np.count_nonzero((samples >= _FULL_SCALE) | (samples <= -_FULL_SCALE)))
        self._parts.append((len(samples), peak, power, clipped))
        kept = sum(part[0] for part in self._parts)
        while kept - self._parts[0][0] >= _SPAN_S * self.sample_rate_hz:
            kept -= self._parts.popleft()[0]
        if _dbfs(peak) > _SIGNAL_DBFS:
            self.no_signal_s = 0.0
        else:
            self.no_signal_s += len(samples) / self.sample_rate_hz

    @property
    def peak_dbfs(self) -> float:
        """Highest sample of the last second [dBFS]; -120 for digital silence."""
        return _dbfs(max((part[1] for part in list(self._parts)), default=0))

    @property
    def rms_dbfs(self) -> float:
        """Root mean square of the last second [dBFS]; -120 for digital silence."""
        parts = list(self._parts)
        count = sum(part[0] for part in parts)
        return _dbfs(math.sqrt(sum(part[2] for part in parts) / count)) if count else SILENCE_DBFS

    @property
    def clipping(self) -> float:
        """Share of the last second's samples that are at full scale, 0..1."""
        parts = list(self._parts)
        count = sum(part[0] for part in parts)
        return sum(part[3] for part in parts) / count if count else 0.0


def _dbfs(amplitude: float) -> float:
    if amplitude <= 0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 20 * math.log10(amplitude / 32768))
