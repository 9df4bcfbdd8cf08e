"""
The devices PortAudio can record from, and the choice of one of them.

sounddevice is imported on first use: reading files and replaying bags need no PortAudio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import sys
import threading

from transcript_manager.errors import AudioSourceError

PORTAUDIO = threading.Lock()
"""PortAudio must not be ended while another thread opens a stream."""


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
    List what PortAudio can record from, as it was when this process first asked.

    :raises AudioSourceError: if PortAudio is missing
    """
    sounddevice = import_sounddevice()
    host_apis = sounddevice.query_hostapis()
    try:
        default = sounddevice.query_devices(kind='input')['index']
    except sounddevice.PortAudioError:  # there is none
        default = None
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


def look_again() -> None:
    """
    Let PortAudio see the devices that are there now; it looks once, when it is initialised.

    No stream may be open. Whoever opens one or looks holds :data:`PORTAUDIO`.

    :raises AudioSourceError: if PortAudio is missing
    """
    is_new = 'sounddevice' not in sys.modules
    sounddevice = import_sounddevice()
    if is_new:  # it has looked just now
        return
    # There is no public way; without it, what was plugged in again would never be seen.
    if sounddevice._initialized:  # not if it could not be initialised the last time
        sounddevice._terminate()
    sounddevice._initialize()


def choose_device(wanted: str, devices: Sequence[InputDevice]) -> InputDevice:
    """
    Choose a device.

    :param wanted: '' for the default, an index, a name, or part of a name in any case; an exact
        name wins over a part
    :raises AudioSourceError: if there is none or more than one; the message lists what there is
    """
    wanted = wanted.strip()
    if not devices:
        raise AudioSourceError(
            'no microphone found: PortAudio knows no device that can record; connect one'
        )
    if not wanted:
        return next((d for d in devices if d.is_default), devices[0])
    if wanted.isdecimal():
        matching = [d for d in devices if d.index == int(wanted)]
        problem = f'no device is called {wanted!r}'
    else:
        folded = wanted.casefold()
        matching = (
            [d for d in devices if d.name == wanted]
            or [d for d in devices if d.name.casefold() == folded]
            or [d for d in devices if folded in d.name.casefold()]
        )
        problem = f'{"more than one" if matching else "no"} device is called {wanted!r}'
    if len(matching) == 1:
        return matching[0]
    there_is = '; '.join(f'{d.index}: {d.name} ({d.host_api})' for d in matching or devices)
    raise AudioSourceError(f'{problem}; there is {there_is}')


def import_sounddevice():
    """
    Return the module sounddevice.

    :raises AudioSourceError: if it or PortAudio is missing
    """
    try:
        import sounddevice
    except ImportError as error:
        raise AudioSourceError(
            'the microphone needs sounddevice; install it with: pip install sounddevice'
        ) from error
    except OSError as error:  # what it raises when the library is not there
        raise AudioSourceError(
            f'the microphone needs PortAudio ({error}); install it with: '
            'apt-get install libportaudio2'
        ) from error
    return sounddevice
