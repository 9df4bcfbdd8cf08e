"""
The microphone as a source, through PortAudio.

sounddevice is imported on first use: reading files and replaying bags need no PortAudio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import functools
import queue
import time

import numpy as np
import soxr

from transcript_manager.audio.source import BLOCK_S, to_int16
from transcript_manager.errors import AudioSourceError

_QUEUE_BLOCKS = 300  # 30 s: longer than any stall that is worth catching up with
_STALL_TIMEOUT_S = 5.0
_MAX_CHANNELS = 2  # the rest of an array's channels are seldom microphones


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that can record."""

    index: int
    name: str
    host_api: str
    sample_rate_hz: int
    """Its own default rate."""
    channels: int
    is_default: bool


def list_input_devices() -> list[InputDevice]:
    """
    List what PortAudio can record from.

    :raises AudioSourceError: if PortAudio is missing
    """
    sounddevice = _sounddevice()
    host_apis = sounddevice.query_hostapis()
    default = sounddevice.default.device[0]
    return [
        InputDevice(
            index=index,
            name=device['name'],
            host_api=host_apis[device['hostapi']]['name'],
            sample_rate_hz=round(device['default_samplerate']),
            channels=device['max_input_channels'],
            is_default=index == default,
        )
        for index, device in enumerate(sounddevice.query_devices())
        if device['max_input_channels'] > 0
    ]


def choose_device(wanted: str, devices: Sequence[InputDevice]) -> InputDevice:
    """
    Choose a device.

    :param wanted: '' for the default, an index, a name, or part of a name in any case; an exact
        name wins over a part
    :raises AudioSourceError: if there is none or more than one; the message lists what there is
    """
    if not devices:
        raise AudioSourceError('no microphone found: PortAudio knows no device that can record')
    if not wanted:
        return next((d for d in devices if d.is_default), devices[0])
    if wanted.isdecimal():
        matching = [d for d in devices if d.index == int(wanted)]
    else:
        matching = [d for d in devices if d.name == wanted] or [
            d for d in devices if wanted.casefold() in d.name.casefold()
        ]
    if len(matching) == 1:
        return matching[0]
    problem = 'no device is called' if not matching else 'more than one device is called'
    there_is = '; '.join(f'{d.index}: {d.name}' for d in matching or devices)
    raise AudioSourceError(f'{problem} {wanted!r}; there is {there_is}')


class Microphone:
    """
    A recording device at its own rate, downmixed by the mean of its channels and resampled.

    :param device: see :func:`choose_device`
    :param sample_rate_hz: rate of the samples handed out
    :raises AudioSourceError: if PortAudio or the device is missing, or the device does not open
    """

    def __init__(self, device: str = '', *, sample_rate_hz: int = 16000) -> None:
        sounddevice = _sounddevice()
        chosen = choose_device(device, list_input_devices())
        self.name = f'microphone "{chosen.name}"'
        self.sample_rate_hz = sample_rate_hz
        self.duration_s: float | None = None
        self.start_time_s: float | None = None
        """When the first sample was captured, Unix time [s]; None before it came."""
        self.overflows = 0
        """How often PortAudio or the queue lost samples."""
        self._rate_hz = chosen.sample_rate_hz
        self._resampler = (
            soxr.ResampleStream(self._rate_hz, sample_rate_hz, 1, dtype='float32')
            if self._rate_hz != sample_rate_hz
            else None
        )
        self._blocks: queue.Queue[np.ndarray] = queue.Queue(_QUEUE_BLOCKS)
        self._last_block_s = time.monotonic()
        try:
            self._stream = sounddevice.InputStream(
                device=chosen.index,
                samplerate=self._rate_hz,
                channels=min(chosen.channels, _MAX_CHANNELS),
                dtype='float32',
                blocksize=round(BLOCK_S * self._rate_hz),
                callback=self._on_block,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise AudioSourceError(f'{self.name} does not open: {error}') from error

    def _on_block(self, data: np.ndarray, frames: int, times, status) -> None:
        """Keep a block; PortAudio's thread may do no more than that."""
        if self.start_time_s is None:
            latency_s = max(0.0, times.currentTime - times.inputBufferAdcTime)
            # Some host APIs give no times; then the block has just been filled.
            if not 0.0 < latency_s < 10.0:
                latency_s = frames / self._rate_hz
            self.start_time_s = time.time() - latency_s
        if status.input_overflow:
            self.overflows += 1
        try:
            self._blocks.put_nowait(data.copy())
        except queue.Full:
            self.overflows += 1

    def read(self, timeout_s: float) -> np.ndarray | None:
        """
        Return the next block; see :class:`AudioSource`.

        :raises AudioSourceError: if the device has delivered nothing for 5 s
        """
        try:
            block = self._blocks.get(timeout=timeout_s)
        except queue.Empty:
            if time.monotonic() - self._last_block_s > _STALL_TIMEOUT_S:
                raise AudioSourceError(
                    f'{self.name} has delivered nothing for {_STALL_TIMEOUT_S:g} s; is it '
                    'still connected?'
                ) from None
            return np.zeros(0, dtype=np.int16)
        self._last_block_s = time.monotonic()
        mono = block.mean(axis=1)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono)
        return to_int16(mono)

    def close(self) -> None:
        """Stop recording; may be called twice."""
        self._stream.close()

    def __enter__(self) -> Microphone:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop recording."""
        self.close()


@functools.cache
def _sounddevice():
    try:
        import sounddevice
    except OSError as error:  # what it raises when the library is not there
        raise AudioSourceError(
            f'the microphone needs PortAudio ({error}); install it with: '
            'apt-get install libportaudio2'
        ) from error
    except ImportError as error:
        raise AudioSourceError(
            'the microphone needs sounddevice; install it with: pip install sounddevice'
        ) from error
    return sounddevice
