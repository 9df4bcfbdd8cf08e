"""
Recorded audio messages back in the order in which they were captured.

A bag keeps messages in the order of their arrival. Within a few messages they are put in order
here, and told apart into parts: whenever the stream starts anew (the ring was restarted) or its
rate changes, a part begins whose place is told by its stamp.
"""

from __future__ import annotations

from collections.abc import Iterator
import heapq
from typing import NamedTuple

from transcript_manager.streams.audio_messages import AudioBlock
from transcript_manager.streams.messages import NS_PER_S

DEPTH = 8
"""So many messages are held back: one that is later than that is left out."""
_RESTART_NS = NS_PER_S // 2
"""What has the numbers of earlier messages, but another beginning, repeats none of them."""


class Placed(NamedTuple):
    """A message and where it belongs; they compare by that."""

    part: int
    """0, 1, 2, ... of the stream."""
    key: int
    """Order within the part: sample index, capture time or order of arrival."""
    arrival: int
    recorded_ns: int
    block: AudioBlock

    @property
    def start_ns(self) -> int:
        """Capture time of its first frame [ns]; where nobody told, from when it was recorded."""
        if self.block.stamp_ns is not None:
            return self.block.stamp_ns
        return self.recorded_ns - self._length_ns

    @property
    def end_ns(self) -> int:
        """Capture time of its end [ns]."""
        return self.start_ns + self._length_ns

    @property
    def _length_ns(self) -> int:
        return len(self.block.frames) * NS_PER_S // self.block.sample_rate_hz


class BlockOrder:
    """Put messages in order, a few at a time."""

    def __init__(self) -> None:
        self.late = 0
        """Messages left out because they belong before a part that has begun."""
        self._heap: list[Placed] = []
        self._arrivals = 0
        self._part = -1
        self._part_rate_hz = 0
        self._part_start_ns = 0
        self._seen_key = 0
        self._first_origin_ns = self._last_origin_ns = 0  # capture time of the stream's sample 0
        self._has_ended = False

    def put(self, recorded_ns: int, block: AudioBlock) -> Iterator[Placed]:
        """
        Add a message, yielding those whose turn it is.

        :param recorded_ns: when it was recorded [ns]
        """
        placed = self._place(recorded_ns, block)
        if placed is None:
            self.late += 1
            return
        heapq.heappush(self._heap, placed)
        if len(self._heap) > DEPTH:
            yield heapq.heappop(self._heap)

    def rest(self) -> Iterator[Placed]:
        """Yield what is left."""
        while self._heap:
            yield heapq.heappop(self._heap)

    def _place(self, recorded_ns: int, block: AudioBlock) -> Placed | None:
        self._arrivals += 1
        key = self._arrivals
        if block.first_sample is not None:
            key = block.first_sample
        elif block.stamp_ns is not None:
            key = block.stamp_ns
        placed = Placed(self._part, key, self._arrivals, recorded_ns, block)
        if self._part < 0 or block.sample_rate_hz != self._part_rate_hz:
            return self._begin(placed)
        if block.first_sample is not None:
            # The clock may have been set on the way: a late message has the origin of before.
            origins = (self._first_origin_ns, self._last_origin_ns)
            is_other = all(abs(_origin_ns(placed) - o) > _RESTART_NS for o in origins)
            if is_other and (self._has_ended or key + len(block.frames) <= self._seen_key):
                return self._begin(placed)
        if self._part > 0 and placed.end_ns <= self._part_start_ns:
            return None
        if key + self._width(block) > self._seen_key:
            self._seen_key = key + self._width(block)
            self._last_origin_ns = _origin_ns(placed)
        self._has_ended |= block.end_of_stream
        return placed

    def _begin(self, placed: Placed) -> Placed:
        self._part += 1
        self._part_rate_hz = placed.block.sample_rate_hz
        self._part_start_ns = placed.start_ns
        self._seen_key = placed.key + self._width(placed.block)
        self._first_origin_ns = self._last_origin_ns = _origin_ns(placed)
        self._has_ended = placed.block.end_of_stream
        return placed._replace(part=self._part)

    @staticmethod
    def _width(block: AudioBlock) -> int:
        return len(block.frames) if block.first_sample is not None else 0


def _origin_ns(placed: Placed) -> int:
    earlier = placed.block.first_sample or 0
    return placed.start_ns - earlier * NS_PER_S // placed.block.sample_rate_hz
