"""
The log-mel spectrogram that whisper sees: 25 ms Hann windows every 10 ms, 80 mel bands.

The bands are those of whisper's own filter bank (librosa.filters.mel with its defaults): triangles
on Slaney's mel scale, linear up to 1 kHz and logarithmic above, each of the same area (Slaney,
"Auditory Toolbox", version 2, 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

RATE_HZ = 16000
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
HOP_S = HOP_SAMPLES / RATE_HZ
BANDS = 80
FLOOR_DB = -100.0
"""Digital silence; nothing is below."""
_LINEAR_HZ = 200 / 3  # a mel, up to 1 kHz
_KNEE_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27  # a mel, above
_CHUNK_FRAMES = 2000  # transformed at once, to bound memory


def hz_to_mel(hz: np.ndarray | float) -> np.ndarray:
    """Convert frequencies [Hz] to Slaney's mel."""
    hz = np.asarray(hz, dtype=np.float64)
    above = _KNEE_HZ / _LINEAR_HZ + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return np.where(hz < _KNEE_HZ, hz / _LINEAR_HZ, above)


def mel_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """Convert Slaney's mel to frequencies [Hz]."""
    mel = np.asarray(mel, dtype=np.float64)
    knee = _KNEE_HZ / _LINEAR_HZ
    above = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mel, knee) - knee))
    return np.where(mel < knee, mel * _LINEAR_HZ, above)


def band_of(hz: float) -> float:
    """Return where a frequency [Hz] is among the bands; the middle of band k is at k."""
    return float(hz_to_mel(hz) / hz_to_mel(RATE_HZ / 2) * (BANDS + 1)) - 1


@cache
def mel_filters() -> np.ndarray:
    """Return the filter bank: float32, shape (bands, frame samples / 2 + 1)."""
    edges_hz = mel_to_hz(np.linspace(0.0, hz_to_mel(RATE_HZ / 2), BANDS + 2))
    bins_hz = np.fft.rfftfreq(FRAME_SAMPLES, 1 / RATE_HZ)
    low_hz, middle_hz, high_hz = (edges_hz[k : k + BANDS, None] for k in range(3))
    rising = (bins_hz - low_hz) / (middle_hz - low_hz)
    falling = (high_hz - bins_hz) / (high_hz - middle_hz)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2.0 / (high_hz - low_hz)).astype(np.float32)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """
    Compute the log-mel spectrogram.

    :param samples: int16, shape (n,), n >= 400, at 16 kHz; frame k is samples 160 k to 160 k + 400
    :returns: power in dB, at least ``FLOOR_DB``: float32, shape ((n - 400) // 160 + 1, 80)
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)
    window = (hann / 32768.0).astype(np.float32)
    result = np.empty((len(frames), BANDS), np.float32)
    for at in range(0, len(frames), _CHUNK_FRAMES):
        spectrum = np.fft.rfft(frames[at : at + _CHUNK_FRAMES] * window)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ mel_filters().T
        result[at : at + _CHUNK_FRAMES] = 10.0 * np.log10(np.maximum(power, 1e-10))
    return result


@dataclass(frozen=True, slots=True)
class MelStretch:
    """The spectrogram of a stretch of sound."""

    start_s: float
    end_s: float
    log_mel: np.ndarray
    """[dB], float32, shape (frames, 80); the middle of frame k is ``start_s + 0.01 k``."""


def stretches(
    read: Callable[[], np.ndarray | None],
    *,
    start_s: float,
    end_s: float,
    length_s: float,
    at_end: Callable[[float], float],
) -> Iterator[MelStretch]:
    """
    Compute spectrograms of consecutive stretches, one at a time: memory is that of one.

    :param read: returns the next block, int16 at 16 kHz, shape (n,); None at the end
    :param start_s: of the first stretch
    :param end_s: of the last one, if the sound is that long; inf: all there is, but for less
        than a hop
    :param length_s: of each but the last one, > 0
    :param at_end: is told how long the sound was when it ends before ``end_s`` [s], and tells how
        long to go on, with silence [s]; it may raise
    """
    margin = FRAME_SAMPLES // 2
    buffer = np.zeros(margin, np.int16)  # frames are centred: the first one reaches back
    at = -margin  # sample number of the buffer's first
    has_ended = False
    number = 0
    while True:
        first = round((start_s + number * length_s) * RATE_HZ)
        last = round(min(start_s + (number + 1) * length_s, end_s, 2.0**40) * RATE_HZ)
        parts, size = [buffer], len(buffer)
        while not has_ended and at + size < last + margin:
            block = read()
            if block is None:
                has_ended = True
                heard_s = (at + size) / RATE_HZ
                if heard_s < end_s:
                    end_s = min(end_s, at_end(heard_s))
                break
            parts.append(block)
            size += len(block)
            if at + size < first - margin:  # not wanted: forgotten
                at, parts, size = at + size, [], 0
        buffer = np.concatenate([*parts, np.zeros(0, np.int16)])
        last = min(last, round(min(end_s, 2.0**40) * RATE_HZ))
        if last - first < HOP_SAMPLES:
            return
        skip = max(0, first - margin - at)
        buffer, at = buffer[skip:], at + skip
        missing = max(0, last + margin - at - len(buffer))
        wanted = np.concatenate([buffer, np.zeros(missing, np.int16)])[: last + margin - at]
        yield MelStretch(first / RATE_HZ, last / RATE_HZ, log_mel(wanted))
        number += 1
