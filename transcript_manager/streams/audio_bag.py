"""
The audio of a bag as one stream, for the ring.

Whatever was recorded becomes one timeline that begins with the first sample: windows that overlap
and messages that came twice are cut to what is new, and where audio is missing there is silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from transcript_manager.audio.source import BLOCK_S, MonoConverter
from transcript_manager.errors import AudioSourceError, StreamError
from transcript_manager.streams.audio_messages import to_block
from transcript_manager.streams.bag import audio_topics, Bag, TOKENS_TYPE
from transcript_manager.streams.block_order import BlockOrder, Placed
from transcript_manager.streams.messages import NS_PER_S

_STAMP_JITTER_S = 0.2
"""Stamps of messages without sample numbers may be off by so much."""
_RECORD_JITTER_S = 1.0
"""So much later than due, a message without stamp may still be recorded."""
_GAP_SLACK_S = 60.0
"""A gap that is longer than the whole bag by so much is no gap: the stamp is wrong."""


class BagSource:
    """
    The audio of a bag, an :class:`AudioSource`. Memory does not depend on the bag's length.

    Parts recorded at another rate are resampled each by itself.

    :param path: the bag's folder, or its only .mcap or .db3 file
    :param sample_rate_hz: rate of the samples handed out
    :param topic: of the audio; None takes the only one there is, ``audio`` before ``audio_window``
    :param channel: the one to hear, from 1; 0: their mean
    :param default_rate_hz: of message types that do not tell their rate [Hz]
    :param default_channels: of message types that do not tell how many are interleaved
    :raises AudioSourceError: if there is no audio to be read, or several topics have some
    """

    def __init__(
        self,
        path: str | Path,
        *,
        sample_rate_hz: int = 16000,
        topic: str | None = None,
        channel: int = 0,
        default_rate_hz: int = 16000,
        default_channels: int = 1,
    ) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._defaults = {'default_rate_hz': default_rate_hz, 'default_channels': default_channels}
        self._channel = channel
        self.gaps = 0
        """How often audio was missing."""
        self.silent_samples = 0
        """How much silence stands for it, at ``sample_rate_hz``."""
        self.repeated = 0
        """Messages that brought nothing new, or came too late."""
        self.start_time_s: float | None = None
        self._start_ns = 0
        self._handed_out = 0
        self._has_closed = False
        try:
            self._bag = Bag(path)
        except StreamError as error:
            raise AudioSourceError(str(error)) from error
        try:
            self._topic = _choose(self._bag, topic)
            self.name = f'{path} ({self._topic})'
            self.duration_s: float | None = self._bag.duration_s
            self._pieces = self._read_all()
            self._next = next(self._pieces, None)
            if self._next is None:
                raise AudioSourceError(f'{self.name}: holds no audio (0 samples)')
        except BaseException:
            self._bag.close()
            raise

    def read(self, timeout_s: float = 0.0) -> np.ndarray | None:
        """
        Return the next block, at most 100 ms; see :class:`AudioSource`. A bag never waits.

        :raises AudioSourceError: if the bag is damaged here; all there was before has been
            returned
        """
        piece, self._next = self._next, None
        if piece is None and not self._has_closed:
            piece = next(self._pieces, None)
        return piece

    def close(self) -> None:
        """Close the bag; may be called twice. What follows is the end of the stream."""
        self._has_closed = True
        self._next = None
        self._pieces.close()
        self._bag.close()

    def __enter__(self) -> BagSource:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close the bag."""
        self.close()

    def _read_all(self) -> Iterator[np.ndarray]:
        """Yield the whole stream in blocks."""
        block_samples = round(BLOCK_S * self.sample_rate_hz)
        for samples in self._converted():
            self._handed_out += len(samples)
            for start in range(0, len(samples), block_samples):
                yield samples[start : start + block_samples]

    def _converted(self) -> Iterator[np.ndarray]:
        order = BlockOrder()
        failure: Exception | None = None
        part: _Part | None = None
        for placed in self._ordered(order):
            if isinstance(placed, Exception):
                failure = placed
                break
            if part is None or placed.part != part.number:
                if part is not None:
                    yield part.end()
                yield from self._until(placed, is_first=part is None)
                part = _Part(placed, self.sample_rate_hz)
            yield from self._add(part, placed)
        if part is not None:
            yield part.end()
        self.repeated += order.late
        if failure is not None:
            raise failure

    def _ordered(self, order: BlockOrder) -> Iterator[Placed | Exception]:
        """Yield messages in order; what ended the reading comes last, behind all before it."""
        failure: Exception | None = None
        kind = self._bag.topics[self._topic]
        try:
            for recorded_ns, message in self._bag.messages(self._topic):
                block = to_block(message, type_name=kind, **self._defaults)
                if self._channel:
                    block = block._replace(frames=self._heard(block.frames))
                yield from order.put(recorded_ns, block)
        except StreamError as error:
            failure = AudioSourceError(str(error))
        except AudioSourceError as error:
            failure = AudioSourceError(f'{self.name}: {error}')
        yield from order.rest()
        if failure is not None:
            yield failure

    def _heard(self, frames: np.ndarray) -> np.ndarray:
        channels = frames.shape[1]
        if self._channel > channels:
            raise AudioSourceError(f'channel is {self._channel}, it has {channels}')
        return frames[:, self._channel - 1 : self._channel]

    def _until(self, placed: Placed, *, is_first: bool) -> Iterator[np.ndarray]:
        """Begin the timeline, or go on with silence until a new part begins."""
        if is_first:
            self._start_ns = placed.start_ns
            self.start_time_s = placed.start_ns / NS_PER_S
            return
        due = (placed.start_ns - self._start_ns) * self.sample_rate_hz // NS_PER_S
        yield from self._silence(due - self._handed_out, self.sample_rate_hz)

    def _add(self, part: _Part, placed: Placed) -> Iterator[np.ndarray]:
        """Yield what a message adds to its part."""
        frames = placed.block.frames
        ahead = part.frames_ahead(placed)
        if ahead is None or -ahead >= len(frames):
            self.repeated += 1 if len(frames) and not placed.block.end_of_stream else 0
            return
        if ahead > 0:
            for silence in self._silence(ahead, part.rate_hz, native=True):
                yield part.add(silence)
            part.go_on_from(placed)
        yield part.add(frames[max(0, -ahead) :])
        part.last_stamp_ns, part.last_frames = placed.block.stamp_ns, placed.block.frames

    def _silence(self, count: int, rate_hz: int, *, native: bool = False) -> Iterator[np.ndarray]:
        """Yield silence block by block, and count it; none for what cannot be a gap."""
        longest = (self.duration_s or 0.0) + _GAP_SLACK_S
        if count <= 0:
            return
        self.gaps += 1
        if count > longest * rate_hz:
            return
        self.silent_samples += count * self.sample_rate_hz // rate_hz
        block = round(BLOCK_S * rate_hz)
        for start in range(0, count, block):
            length = min(block, count - start)
            yield np.zeros((length, 1), np.float32) if native else np.zeros(length, np.int16)


class _Part:
    """A stretch of one stream at one rate."""

    def __init__(self, first: Placed, to_rate_hz: int) -> None:
        self.number = first.part
        self.rate_hz = first.block.sample_rate_hz
        self._converter = MonoConverter(self.rate_hz, to_rate_hz)
        self._start_ns = first.start_ns
        self._start_sample = first.block.first_sample
        self._frames = 0  # so far
        self.last_stamp_ns: int | None = None
        self.last_frames: np.ndarray | None = None

    def frames_ahead(self, placed: Placed) -> int | None:
        """Return how many frames are missing before a message; negative: so many it repeats."""
        block = placed.block
        if block.first_sample is not None and self._start_sample is not None:
            return block.first_sample - self._start_sample - self._frames
        # A clock that is coarser than the messages gives several of them the same stamp.
        if block.stamp_ns is not None and block.stamp_ns == self.last_stamp_ns:
            return None if np.array_equal(block.frames, self.last_frames) else 0
        due_ns = self._start_ns + self._frames * NS_PER_S // self.rate_hz
        late_s = (placed.start_ns - due_ns) / NS_PER_S
        jitter_s = _RECORD_JITTER_S if block.stamp_ns is None else _STAMP_JITTER_S
        return round(late_s * self.rate_hz) if late_s > jitter_s else 0

    def go_on_from(self, placed: Placed) -> None:
        """Let a message be in its place, though there was no silence for all that is missing."""
        if placed.block.first_sample is not None:
            self._start_sample = placed.block.first_sample - self._frames
        self._start_ns = placed.start_ns - self._frames * NS_PER_S // self.rate_hz

    def add(self, frames: np.ndarray) -> np.ndarray:
        """Convert the next frames, float32, shape (n, channels), to int16 mono."""
        self._frames += len(frames)
        return self._converter.convert(frames)

    def end(self) -> np.ndarray:
        """Return what the filter still holds back: int16, shape (n,)."""
        return self._converter.convert(np.zeros((0, 1), np.float32), last=True)


def _choose(bag: Bag, topic: str | None) -> str:
    """Find the topic of the audio."""
    found = audio_topics(bag)
    listed = ', '.join(f'{name} ({kind})' for name, kind in sorted(found.items()))
    if topic is not None:
        wanted = [name for name in found if name in (topic, '/' + topic)]
        if not wanted:
            raise AudioSourceError(
                f'{bag.path} has no audio on {topic}; there is: {listed or "none"}'
            )
        return wanted[0]
    if not found:
        if TOKENS_TYPE in bag.topics.values():
            raise AudioSourceError(
                f'{bag.path} holds tokens and no audio: run transcript merge {bag.path}'
            )
        others = ', '.join(sorted(bag.all_topics)) or 'none'
        raise AudioSourceError(
            f'{bag.path} has no audio; record `audio`, or `audio_window`. Its topics: {others}'
        )
    names = set(found)
    # Arrays of numbers can be anything; what says that it is audio goes first.
    names = {name for name in names if 'MultiArray' not in found[name]} or names
    # Windows hold the same audio as the chunks beside them.
    names -= {f'{name}_window' for name in names if name.endswith('/audio')}
    if len(names) > 1:
        raise AudioSourceError(
            f'{bag.path} has audio on several topics; choose one with --topic (of the node: '
            f'bag_topic; of `transcript export`: --audio-topic): {", ".join(sorted(names))}'
        )
    return names.pop()
