"""The audio ring: a stream of samples in, overlapping windows out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from transcript_manager.errors import ParameterError

MAX_WINDOW_S = 30.0  # Whisper's own context
MIN_WINDOW_S = 1.0  # whisper.cpp decodes nothing shorter
MIN_HOP_S = 0.1
SAMPLE_RATES_HZ = (8000, 48000)  # inclusive range


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of the stream."""

    first_sample: int
    """Index of ``samples[0]`` in the stream."""
    samples: np.ndarray
    """int16, shape (n_samples,), mono; empty only if the stream ended without any."""
    end_of_stream: bool
    """True: nothing follows."""

    @property
    def end_sample(self) -> int:
        """Index one past the last sample."""
        return self.first_sample + len(self.samples)


class AudioRing:
    """
    Keep the last ``window_s`` seconds of a stream and hand them out every ``hop_s`` seconds.

    Windows end at whole multiples of the hop; while the stream is shorter than a window they
    begin at sample 0 and grow. Memory is one window, whatever is pushed.

    :param sample_rate_hz: samples per second, 8000..48000
    :param window_s: longest window [s], 1..30
    :param hop_s: time between the ends of two windows [s], 0.1..window_s
    :raises ParameterError: if a value is out of its range
    """

    def __init__(self, *, sample_rate_hz: int, window_s: float, hop_s: float) -> None:
        low, high = SAMPLE_RATES_HZ
        if not low <= sample_rate_hz <= high:
            raise ParameterError(f'sample_rate is {sample_rate_hz} Hz, must be {low}..{high} Hz')
        if not MIN_WINDOW_S <= window_s <= MAX_WINDOW_S:
            raise ParameterError(
                f'window_s is {window_s:g} s, must be {MIN_WINDOW_S:g}..{MAX_WINDOW_S:g} s'
            )
        if not MIN_HOP_S <= hop_s <= window_s:
            raise ParameterError(
                f'hop_s is {hop_s:g} s, must be {MIN_HOP_S:g}..{window_s:g} s (window_s): '
                'a longer hop would lose audio between windows'
            )
        self.sample_rate_hz = sample_rate_hz
        self._hop_samples = round(hop_s * sample_rate_hz)
        self._buffer = np.zeros(round(window_s * sample_rate_hz), dtype=np.int16)
        self._pushed_samples = 0
        self._ended = False

    @property
    def pushed_samples(self) -> int:
        """How many samples the stream has had so far."""
        return self._pushed_samples

    def push(self, samples: np.ndarray) -> Iterator[Window]:
        """
        Add samples, yielding each window as soon as it is complete.

        Consume the iterator to its end: samples behind a yielded window are stored only then.

        :param samples: int16, shape (n,), mono
        :raises ValueError: if the array is of another type or shape, or the stream has ended
        """
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f'need int16 of shape (n,), got {samples.dtype} {samples.shape}')
        if self._ended:
            raise ValueError('the stream has ended')
        while len(samples):
            until_hop = self._hop_samples - self._pushed_samples % self._hop_samples
            taken, samples = samples[:until_hop], samples[until_hop:]
            self._store(taken)
            if len(taken) == until_hop:
                yield self._window(end_of_stream=False)

    def finish(self) -> Window:
        """
        End the stream and return its last window, the last ``window_s`` seconds once more.

        It carries the samples even where the previous window reached as far: the previous one may
        have been overtaken on its way, and the last words must not depend on it.
        """
        self._ended = True
        return self._window(end_of_stream=True)

    def _store(self, samples: np.ndarray) -> None:
        capacity = len(self._buffer)
        position = self._pushed_samples % capacity
        first = min(len(samples), capacity - position)
        self._buffer[position : position + first] = samples[:first]
        self._buffer[: len(samples) - first] = samples[first:]
        self._pushed_samples += len(samples)

    def _window(self, *, end_of_stream: bool) -> Window:
        capacity = len(self._buffer)
        if self._pushed_samples <= capacity:
            samples = self._buffer[: self._pushed_samples].copy()
            return Window(0, samples, end_of_stream)
        position = self._pushed_samples % capacity
        samples = np.concatenate([self._buffer[position:], self._buffer[:position]])
        return Window(self._pushed_samples - capacity, samples, end_of_stream)
