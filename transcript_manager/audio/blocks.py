"""Blocks out of messages as a timed source: in order, each sample once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import queue

import numpy as np

from transcript_manager.audio.live import StreamBreak
from transcript_manager.audio.source import MonoConverter
from transcript_manager.errors import AudioSourceError
from transcript_manager.streams.audio_messages import AudioBlock
from transcript_manager.streams.messages import NS_PER_S

_MAX_QUEUED = 1000  # messages
_ABSURD_NS = 5 * NS_PER_S
_TRUSTED_NS = 30 * NS_PER_S
"""Stamps that have agreed with the clock before may be so far off: messages were held up."""
_BACK_NS = NS_PER_S
_OTHER_ORIGIN_NS = NS_PER_S
_MAX_GAP_S = 10.0
_MAX_OLD = 20


class BlockSource:
    """
    What a topic brings, mono and at the ring's rate.

    :param name: for people
    :param sample_rate_hz: rate of the samples handed out
    :param channel: the channel to hear, from 1; 0: the mean of all
    """

    def __init__(self, name: str, *, sample_rate_hz: int, channel: int = 0) -> None:
        self.name = name
        self.sample_rate_hz = sample_rate_hz
        self.dropped_messages = 0
        """Left out because nobody took them in time."""
        self.unreadable_messages = 0
        self.overlaps = 0
        """Samples that had come before, at the rate they came with."""
        self.gap_samples = 0
        """Counted as missing by the stream's own index, at the rate they came with."""
        self.gaps = 0
        self.complaint = ''
        """What is wrong with the messages now; '' if nothing is."""
        self._channel = channel
        self._queue: queue.Queue[tuple[Callable[[], AudioBlock], int]] = queue.Queue(_MAX_QUEUED)
        self._again: deque[tuple[Callable[[], AudioBlock], int]] = deque()
        self._last_arrival_ns: int | None = None
        self._is_closed = False
        self._ends_next = False
        self._form: tuple[int, int] | None = None
        self._begin()

    def _begin(self) -> None:
        """Know nothing of what came before."""
        self._expected: int | None = None
        self._origin_ns: int | None = None
        self._last_stamp_ns: int | None = None
        self._last_frames: np.ndarray | None = None
        self._since_stamp = 0
        self._trusts_stamps = False
        self._repeated: list[tuple[Callable[[], AudioBlock], int]] = []  # in a row

    def put(self, read: Callable[[], AudioBlock], arrival_ns: int) -> None:
        """
        Take a message, from any thread; never waits.

        :param read: returns its block, or raises :class:`AudioSourceError`
        :param arrival_ns: when it came, on the clock of the stamps [ns]
        """
        try:
            self._queue.put_nowait((read, arrival_ns))
        except queue.Full:
            self.dropped_messages += 1

    def read_timed(self, timeout_s: float) -> tuple[np.ndarray | None, int]:
        """Return the next block; see :class:`TimedSource`."""
        nothing = np.zeros(0, np.int16), 0
        if self._is_closed:
            return None, 0
        if self._ends_next:
            self._ends_next = False
            self._begin()
            raise StreamBreak('the publisher has ended its stream')
        try:
            item = self._again.popleft() if self._again else self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return nothing
        read, arrival_ns = item
        if arrival_ns <= 0:
            self.complaint = 'there is no time on /clock yet; audio until then is left out'
            return nothing
        last_ns, self._last_arrival_ns = self._last_arrival_ns, arrival_ns
        if last_ns is not None and arrival_ns < last_ns - _BACK_NS:  # a bag is played again
            self._again.append(item)
            self._begin()
            raise StreamBreak('time has jumped back')
        try:
            block = read()
            self._check_channel(block)
        except AudioSourceError as error:
            self.unreadable_messages += 1
            self.complaint = str(error)
            return nothing
        self.complaint = ''
        self._ends_next = block.end_of_stream
        frames, first_ns = self._new_frames(block, arrival_ns)
        if not len(frames):
            if len(block.frames) and not block.end_of_stream:
                self._note_repeated(item)
            return nothing
        self._repeated.clear()
        return self._converted(frames, block.sample_rate_hz, first_ns)

    def _check_channel(self, block: AudioBlock) -> None:
        channels = block.frames.shape[1]
        if self._channel > channels:
            raise AudioSourceError(
                f'{self.name} has {channels} channels, channel {self._channel} is asked for'
            )

    def _new_frames(self, block: AudioBlock, arrival_ns: int) -> tuple[np.ndarray, int]:
        """Return what has not come before, silence for what is missing, and when it began."""
        count, rate_hz = len(block.frames), block.sample_rate_hz
        frames = block.frames
        if self._channel:
            frames = frames[:, self._channel - 1 :][:, :1]
        length_ns = count * NS_PER_S // rate_hz
        first_ns = block.stamp_ns
        limit_ns = _TRUSTED_NS if self._trusts_stamps else _ABSURD_NS
        if first_ns is not None and abs(first_ns + length_ns - arrival_ns) <= limit_ns:
            self._trusts_stamps = True
        elif first_ns is not None:
            off_s = (first_ns + length_ns - arrival_ns) / NS_PER_S
            self.complaint = (
                f"the stamps are {off_s:+.0f} s off this node's clock and are not used: set the "
                "clocks, or use_sim_time for a bag's"
            )
            first_ns = None
        if first_ns is None:
            first_ns = arrival_ns - length_ns
        if block.first_sample is None:
            is_repeated = self._is_repeated(block)
            first_ns += self._since_stamp * NS_PER_S // rate_hz
            return (frames[:0] if is_repeated else frames), first_ns
        skip = self._known(block)
        if skip > 0:
            skip = min(skip, count)
            self.overlaps += skip
            return frames[skip:], first_ns + skip * NS_PER_S // rate_hz
        if skip < 0:
            self.gaps += 1
            self.gap_samples -= skip
            silence = np.zeros((-skip, frames.shape[1]), np.float32)
            return np.concatenate([silence, frames]), first_ns + skip * NS_PER_S // rate_hz
        return frames, first_ns

    def _known(self, block: AudioBlock) -> int:
        """Return how many of the block's frames came before; below 0: so many are missing."""
        first, count, rate_hz = block.first_sample, len(block.frames), block.sample_rate_hz
        end = first + count
        expected, self_origin = self._expected, self._origin_ns
        if block.stamp_ns is not None:
            self._origin_ns = block.stamp_ns - first * NS_PER_S // rate_hz
        if expected is None:
            self._expected = end
            return 0
        if self_origin is not None and block.stamp_ns is not None:
            is_other = abs(self._origin_ns - self_origin) > _OTHER_ORIGIN_NS
        else:
            is_other = first == 0 and expected > end
        # A publisher that was started again counts from 0.
        if is_other or first - expected > _MAX_GAP_S * rate_hz:
            self._expected = end
            return 0
        self._expected = max(expected, end)
        return expected - first

    def _is_repeated(self, block: AudioBlock) -> bool:
        """Whether a block that has a stamp at most came before."""
        stamp_ns, last_ns = block.stamp_ns, self._last_stamp_ns
        if stamp_ns is None:
            return False
        is_same = stamp_ns == last_ns
        # A clock that is coarser than the blocks gives several of them the same stamp.
        is_old = last_ns is not None and 0 < last_ns - stamp_ns < _ABSURD_NS
        if is_old or (is_same and np.array_equal(block.frames, self._last_frames)):
            self.overlaps += len(block.frames)
            return True
        self._since_stamp = self._since_stamp + len(self._last_frames) if is_same else 0
        self._last_stamp_ns, self._last_frames = stamp_ns, block.frames
        return False

    def _note_repeated(self, item: tuple[Callable[[], AudioBlock], int]) -> None:
        """
        Take what only repeats for another stream, after a while: a recording is played again.

        :raises StreamBreak: if it is one; its blocks come again
        """
        self._repeated.append(item)
        if len(self._repeated) < _MAX_OLD:
            return
        self._again.extend(self._repeated)
        self._last_arrival_ns = None
        self._begin()
        raise StreamBreak('the publisher has started over')

    def _converted(
        self, frames: np.ndarray, rate_hz: int, first_ns: int
    ) -> tuple[np.ndarray, int]:
        form = rate_hz, frames.shape[1]
        if form != self._form:
            self._form = form
            self._converter = MonoConverter(rate_hz, self.sample_rate_hz)
            self._in_frames = self._out_samples = 0
        held_s = self._in_frames / rate_hz - self._out_samples / self.sample_rate_hz
        samples = self._converter.convert(frames)
        self._in_frames += len(frames)
        self._out_samples += len(samples)
        return samples, first_ns - round(held_s * NS_PER_S)

    def close(self) -> None:
        """End it; may be called twice."""
        self._is_closed = True
