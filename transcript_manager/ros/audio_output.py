"""The stream itself as a topic, for a bag: each sample once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from transcript_manager.audio.ring import Window

_CHUNK_S = 0.1


class Chunks:
    """
    Cut a stream into chunks of 100 ms.

    :param sample_rate_hz: samples per second
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._chunk_samples = round(_CHUNK_S * sample_rate_hz)
        self._first_sample = 0
        self._rest = np.zeros(0, np.int16)

    def push(self, samples: np.ndarray) -> Iterator[Window]:
        """Add samples, int16, shape (n,); yields what is complete. Consume it to its end."""
        rest = np.concatenate([self._rest, samples])
        while len(rest) >= self._chunk_samples:
            chunk, rest = rest[: self._chunk_samples], rest[self._chunk_samples :]
            yield self._next(chunk, end_of_stream=False)
        self._rest = rest

    def finish(self) -> Window:
        """End the stream and return what is left, possibly nothing."""
        return self._next(self._rest, end_of_stream=True)

    def _next(self, samples: np.ndarray, *, end_of_stream: bool) -> Window:
        chunk = Window(self._first_sample, samples, end_of_stream)
        self._first_sample = chunk.end_sample
        return chunk
