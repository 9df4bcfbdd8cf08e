"""The microphone as a source, through PortAudio."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time

import numpy as np

from transcript_manager.audio.devices import (
    choose_device,
    import_sounddevice,
    InputDevice,
    list_input_devices,
)
from transcript_manager.audio.source import BLOCK_S, MonoConverter
from transcript_manager.errors import AudioSourceError

__all__ = ['InputDevice', 'Microphone', 'choose_device', 'list_input_devices']

_LOGGER = logging.getLogger(__name__)
_QUEUE_S = 30.0  # longer than any stall of the reader that is worth catching up with
_MAX_CHANNELS = 2  # one would be the left one only; an array's others are seldom microphones
_MAX_LATENCY_S = 5.0  # PortAudio's times are not believed beyond
_CLOSE_TIMEOUT_S = 3.0
_NS_PER_S = 1_000_000_000


OPEN: list[Microphone] = []
"""Those that are recording, or hang."""


class Microphone:
    """
    A recording device at its own rate, downmixed and resampled.

    It records from the start. When nobody reads for longer than the queue lasts (30 s), samples
    are dropped and silence takes their place, so that the rest keeps its time.

    :param device: see :func:`choose_device`
    :param channel: the channel to hear, from 1; 0: the mean of the first two
    :param sample_rate_hz: rate of the samples handed out
    :param stall_timeout_s: a device that has delivered nothing for so long is gone [s]
    :raises AudioSourceError: if PortAudio, the device or the channel is missing, or the device
        does not open
    """

    def __init__(
        self,
        device: str = '',
        *,
        channel: int = 0,
        sample_rate_hz: int = 16000,
        stall_timeout_s: float = 5.0,
    ) -> None:
        sounddevice = import_sounddevice()
        chosen = choose_device(device, list_input_devices())
        self.device_name = chosen.name
        self.name = f'microphone "{chosen.name}"'
        if channel > chosen.channels:
            raise AudioSourceError(
                f'{self.name} has {chosen.channels} channels, channel {channel} is asked for; '
                'see: transcript devices'
            )
        self.sample_rate_hz = sample_rate_hz
        self.duration_s: float | None = None
        """Always None: a microphone has no end."""
        self.start_time_s: float | None = None
        """When the first sample was captured, Unix time [s]; None before it came."""
        self.overflows = 0
        """How often PortAudio lost samples; how many it does not tell."""
        self._rate_hz = chosen.sample_rate_hz
        self._channel = channel
        self._channels = channel or min(chosen.channels, _MAX_CHANNELS)
        self._converter = MonoConverter(self._rate_hz, sample_rate_hz)
        self._block_frames = round(BLOCK_S * self._rate_hz)
        # Written by PortAudio's thread.
        self._queue: queue.SimpleQueue[tuple[int, int, np.ndarray]] = queue.SimpleQueue()
        self._latency_s: float | None = None
        self._queued_frames = 0  # ever put into the queue
        self._dropped_frames = 0
        self._gap_frames = 0  # dropped since the last put
        # Written by the reader.
        self._taken_frames = 0  # ever taken out of the queue
        self._silence_frames = 0  # to be handed out before _waiting
        self._waiting: np.ndarray | None = None
        self._waiting_ns = 0  # when its first frame was captured
        self._part_ns = 0  # of what was taken last
        self._converted_frames = 0
        self._converted_samples = 0
        self._stall_timeout_s = stall_timeout_s
        self._starved_s = 0.0
        self._checked_s = time.monotonic()
        self._stream = None
        try:
            self._stream = sounddevice.InputStream(
                device=chosen.index,
                samplerate=self._rate_hz,
                channels=self._channels,
                dtype='float32',
                latency='high',
                callback=self._on_frames,
            )
            self._stream.start()
            OPEN.append(self)
        except sounddevice.PortAudioError as error:
            self.close()
            raise AudioSourceError(
                f'{self.name} does not open at {self._rate_hz} Hz ({error}); is another program '
                'using it?'
            ) from error

    @property
    def dropped_samples(self) -> int:
        """How many samples were dropped because nobody read them, at the output rate."""
        return round(self._dropped_frames * self.sample_rate_hz / self._rate_hz)

    def _on_frames(self, data: np.ndarray, frames: int, times, status) -> None:
        """Keep what came; PortAudio's thread may do no more than that."""
        length_s = frames / self._rate_hz
        latency_s = times.currentTime - times.inputBufferAdcTime
        # Some host APIs give no times; then the last frame is taken to be new. What a host API
        # gives now and then only would make the times jump.
        if self._latency_s is None or self._latency_s > 0:
            is_believed = length_s <= latency_s <= _MAX_LATENCY_S
            if self._latency_s is None:
                self._latency_s = latency_s if is_believed else 0.0
            elif is_believed:
                self._latency_s = latency_s
        latency_s = self._latency_s or length_s
        # Unix time only when it is read: the clock may be set in between.
        captured_ns = time.monotonic_ns() - round(latency_s * _NS_PER_S)
        if self.start_time_s is None:
            self.start_time_s = time.time() - latency_s
        if status.input_overflow:
            self.overflows += 1
        if self._queued_frames - self._taken_frames + frames > _QUEUE_S * self._rate_hz:
            self._dropped_frames += frames
            self._gap_frames += frames
            return
        self._queue.put((self._gap_frames, captured_ns, data.copy()))
        self._gap_frames = 0
        self._queued_frames += frames

    def read(self, timeout_s: float) -> np.ndarray | None:
        """
        Return what has come, at most about 100 ms of it; see :class:`AudioSource`.

        :raises AudioSourceError: if the device has stopped or is stalled
        """
        return self.read_timed(timeout_s)[0]

    def read_timed(self, timeout_s: float) -> tuple[np.ndarray | None, int]:
        """
        Return what :meth:`read` does, and an estimate of when its first sample was captured.

        :returns: the block, and Unix time [ns], of no meaning where there is no sample
        :raises AudioSourceError: if the device has stopped or is stalled
        """
        if self._stream is None:
            return None, 0
        end_s = time.monotonic() + min(timeout_s, self._stall_timeout_s)
        parts: list[np.ndarray] = []
        count = 0
        first_ns = 0
        while count < self._block_frames:
            part = self._take(max(0.0, end_s - time.monotonic()))
            if part is None:
                break
            if not parts:
                first_ns = self._part_ns
            parts.append(part)
            count += len(part)
        self._check_alive(bool(parts), timeout_s)
        if not parts:
            return np.zeros(0, dtype=np.int16), 0
        # The resampler holds some back, which comes out first now.
        held_s = (
            self._converted_frames / self._rate_hz - self._converted_samples / self.sample_rate_hz
        )
        samples = self._converter.convert(np.concatenate(parts))
        self._converted_frames += count
        self._converted_samples += len(samples)
        offset_ns = time.time_ns() - time.monotonic_ns()
        return samples, offset_ns + first_ns - round(held_s * _NS_PER_S)

    def _take(self, timeout_s: float) -> np.ndarray | None:
        """Return the next frames of the queue, float32, shape (n, channels); None for none."""
        if self._waiting is None:
            try:
                entry = self._queue.get(timeout=timeout_s)
            except queue.Empty:
                return None
            self._silence_frames, self._waiting_ns, frames = entry
            self._waiting = frames[:, self._channel - 1 :] if self._channel else frames
            self._taken_frames += len(frames)
        self._part_ns = self._waiting_ns - self._silence_frames * _NS_PER_S // self._rate_hz
        if self._silence_frames:
            count = min(self._silence_frames, self._block_frames)
            self._silence_frames -= count
            return np.zeros((count, self._waiting.shape[1]), dtype=np.float32)
        frames, self._waiting = self._waiting, None
        return frames

    def _check_alive(self, has_delivered: bool, timeout_s: float) -> None:
        now_s = time.monotonic()
        # Time in which nobody was reading, or the process was suspended, is not the device's.
        waited_s = min(now_s - self._checked_s, timeout_s + 0.5)
        self._checked_s = now_s
        self._starved_s = 0.0 if has_delivered else self._starved_s + waited_s
        if has_delivered:
            return
        if not self._stream.active:
            raise AudioSourceError(f'{self.name} has stopped; is it still connected?')
        if self._starved_s >= self._stall_timeout_s:
            raise AudioSourceError(
                f'{self.name} has delivered nothing for {self._stall_timeout_s:g} s; is it '
                'still connected?'
            )

    def close(self) -> None:
        """Stop recording; may be called twice. What follows is the end of the stream."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        # A device that hangs makes PortAudio hang, now and again at the end of the process.
        closer = threading.Thread(target=_close, args=(stream,), daemon=True)
        closer.start()
        closer.join(_CLOSE_TIMEOUT_S)
        if not closer.is_alive():
            if self in OPEN:
                OPEN.remove(self)
        else:
            _LOGGER.warning('%s hangs and is left open', self.name)
            del self._converter  # or soxr reports it as leaked: the callback keeps this alive
            leave_portaudio()

    def __enter__(self) -> Microphone:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop recording."""
        self.close()


def leave_portaudio() -> None:
    """Do not end PortAudio at the end of the process: it hangs, and would make that hang."""
    atexit.unregister(getattr(import_sounddevice(), '_exit_handler', _close))


def _close(stream) -> None:
    stream.abort()
    stream.close()
