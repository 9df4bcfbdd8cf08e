"""
From the audio messages of other packages, and our own, to frames.

A message is anything with the fields of its type: one from a ROS topic or one out of a bag. No
message package is imported here: two unrelated packages are called audio_common_msgs, and which
one a message is of is told by its fields.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from transcript_manager.errors import AudioSourceError
from transcript_manager.streams.messages import NS_PER_S

AUDIO_WINDOW_TYPE = 'transcript_manager/msg/AudioWindow'
_MULTI_ARRAYS = {
    'std_msgs/msg/Int16MultiArray': np.dtype(np.int16),
    'std_msgs/msg/Int32MultiArray': np.dtype(np.int32),
    'std_msgs/msg/Float32MultiArray': np.dtype(np.float32),
    'std_msgs/msg/Float64MultiArray': np.dtype(np.float64),
}
_BY_FIELDS = (
    'audio_common_msgs/msg/AudioStamped',
    'audio_common_msgs/msg/AudioDataStamped',
    'audio_common_msgs/msg/AudioData',
)
SUPPORTED_TYPES = (AUDIO_WINDOW_TYPE, *_MULTI_ARRAYS, *_BY_FIELDS)
"""Names of the types that :func:`to_block` reads; the last three in either package's form."""

MAX_CHANNELS = 64
RATES_HZ = (1000, 768_000)
"""Lowest and highest rate that is believed."""
_DTYPES = {
    'float32_data': np.dtype(np.float32),
    'int32_data': np.dtype(np.int32),
    'int24_data': np.dtype(np.int32),
    'int16_data': np.dtype(np.int16),
    'int8_data': np.dtype(np.int8),
    'uint8_data': np.dtype(np.uint8),
}
# PortAudio's codes; its 24 bit samples come as 32 bit numbers, in a field of their own or not.
_PORTAUDIO_FIELDS = {
    1: ('float32_data',),
    2: ('int32_data',),
    4: ('int24_data', 'int32_data'),
    8: ('int16_data',),
    16: ('int8_data',),
    32: ('uint8_data',),
}
_PORTAUDIO_INT24 = 4
_FULL_SCALE = {
    np.dtype(np.int8): 2.0**7,
    np.dtype(np.int16): 2.0**15,
    np.dtype(np.int32): 2.0**31,
}
_INT24_SCALE = 2.0**23


class AudioBlock(NamedTuple):
    """What one message carries."""

    frames: np.ndarray
    """float32, shape (n, channels), full scale is -1..1, always finite; n may be 0."""
    sample_rate_hz: int
    stamp_ns: int | None
    """Capture time of the first frame [ns]; None if the type has none or nobody set it."""
    first_sample: int | None
    """Index of the first frame in its stream; None if the type does not tell."""
    end_of_stream: bool
    """Nothing follows in this stream."""
    frame_id: str
    """Frame of the microphone; '' if the type has none."""


def is_audio_type(type_name: str, fields: Collection[str] | None = None) -> bool:
    """
    Whether messages of a type can be read.

    :param type_name: such as 'std_msgs/msg/Int16MultiArray'
    :param fields: the names of its fields, where known: a type of any other name that looks like
        one of the known ones is then taken, too
    """
    if type_name in SUPPORTED_TYPES:
        return True
    if fields is None:
        return False
    names = set(fields)
    return {'sample_rate', 'first_sample', 'samples'} <= names or names == {'header', 'audio'}


def to_block(
    message: Any, *, type_name: str, default_rate_hz: int, default_channels: int
) -> AudioBlock:
    """
    Read an audio message.

    :param message: with the fields of its type
    :param default_rate_hz: of types that do not tell their rate [Hz]
    :param default_channels: of types that do not tell how many channels are interleaved
    :raises AudioSourceError: in one line, if it cannot be read
    """
    try:
        block = _read(message, type_name, default_rate_hz, default_channels)
    except AudioSourceError as error:
        raise AudioSourceError(f'{type_name}: {error}') from error
    except (AttributeError, TypeError, ValueError, OverflowError, IndexError) as error:
        raise AudioSourceError(
            f'{type_name}: not an audio message that is known here ({_one_line(error)}); there '
            f'are: {", ".join(SUPPORTED_TYPES)}'
        ) from error
    low, high = RATES_HZ
    if not low <= block.sample_rate_hz <= high:
        raise AudioSourceError(
            f'{type_name}: its rate is {block.sample_rate_hz} Hz, must be {low}..{high} Hz'
        )
    return block


def _read(message: Any, type_name: str, rate_hz: int, channels: int) -> AudioBlock:
    stamp_ns, frame_id = _header(message)
    first_sample, end_of_stream = None, False
    if type_name in _MULTI_ARRAYS:
        data = _numbers(message.data, _MULTI_ARRAYS[type_name])
        frames = _by_layout(_scaled(data), message.layout, channels)
    elif hasattr(message, 'samples') and hasattr(message, 'first_sample'):
        rate_hz = int(message.sample_rate)
        frames = _interleaved(_scaled(_numbers(message.samples, np.dtype(np.int16))), 1)
        first_sample = int(message.first_sample)
        end_of_stream = bool(message.end_of_stream)
    elif hasattr(message, 'audio') and hasattr(message.audio, 'audio_data'):
        info = message.audio.info
        rate_hz, channels = int(info.rate), int(info.channels)
        data = _typed_arrays(message.audio.audio_data, int(info.format))
        frames = _interleaved(data, channels)
    else:
        payload = message.audio if hasattr(message, 'audio') else message
        if hasattr(payload, 'int16_data'):  # an older form, which does not tell what it holds
            frames = _interleaved(_typed_arrays(payload, None), channels)
        else:
            frames = _interleaved(_from_bytes(payload.data), channels)
    return AudioBlock(frames, rate_hz, stamp_ns, first_sample, end_of_stream, frame_id)


def _header(message: Any) -> tuple[int | None, str]:
    header = getattr(message, 'header', None)
    if header is None:
        return None, ''
    stamp_ns = int(header.stamp.sec) * NS_PER_S + int(header.stamp.nanosec)
    return (stamp_ns if stamp_ns > 0 else None), str(getattr(header, 'frame_id', ''))


def _numbers(data: Any, dtype: np.dtype) -> np.ndarray:
    """Return an array field as it came: array.array, numpy, bytes, or a list."""
    if isinstance(data, (bytes, bytearray)):
        return np.frombuffer(data, dtype=dtype)
    return np.asarray(data).astype(dtype, copy=False).reshape(-1)


def _scaled(data: np.ndarray, full_scale: float | None = None) -> np.ndarray:
    """Convert to float32, full scale -1..1; what is no number becomes silence."""
    if data.dtype.kind == 'f':
        with np.errstate(over='ignore'):
            finite = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
        return np.clip(finite, -1.0, 1.0).astype(np.float32)
    if data.dtype == np.uint8:
        return (data.astype(np.float32) - 128.0) / 128.0
    return (data / (full_scale or _FULL_SCALE[data.dtype])).astype(np.float32)


def _interleaved(samples: np.ndarray, channels: int) -> np.ndarray:
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioSourceError(f'it says {channels} channels, must be 1..{MAX_CHANNELS}')
    if len(samples) % channels:
        raise AudioSourceError(f'{len(samples)} samples are no multiple of {channels} channels')
    return samples.reshape(-1, channels)


def _by_layout(samples: np.ndarray, layout: Any, channels: int) -> np.ndarray:
    """
    Give a multi-array its channels.

    Two dimensions are frames and channels, in whichever order their labels say; one dimension
    that is shorter than the data counts the frames; everything else leaves it to ``channels``.
    """
    samples = samples[max(0, int(layout.data_offset)) :]
    sizes = [int(d.size) for d in layout.dim]
    labels = [str(d.label).casefold() for d in layout.dim]
    if len(sizes) == 2 and sizes[0] * sizes[1] == len(samples) > 0:
        if 'channel' in labels[0] and 'channel' not in labels[1]:
            return _interleaved(samples.reshape(sizes).T.reshape(-1), sizes[0])
        return _interleaved(samples, sizes[1])
    if len(sizes) == 1 and 0 < sizes[0] < len(samples) and len(samples) % sizes[0] == 0:
        told = len(samples) // sizes[0]
        if told <= MAX_CHANNELS:
            return _interleaved(samples, told)
    return _interleaved(samples, channels)


def _typed_arrays(data: Any, code: int | None) -> np.ndarray:
    """Return the samples that stand in one of several fields, by PortAudio's code or without."""
    if code is None:
        names = [name for name in _DTYPES if len(getattr(data, name, ()))] or ['int16_data']
    elif code not in _PORTAUDIO_FIELDS:
        known = ', '.join(map(str, _PORTAUDIO_FIELDS))
        raise AudioSourceError(f'its format is {code}, must be one of PortAudio: {known}')
    else:
        fields = _PORTAUDIO_FIELDS[code]
        names = [name for name in fields if len(getattr(data, name, ()))] or [fields[-1]]
    samples = _numbers(getattr(data, names[0]), _DTYPES[names[0]])
    is_24_bit = code == _PORTAUDIO_INT24 or names[0] == 'int24_data'
    return np.clip(_scaled(samples, _INT24_SCALE if is_24_bit else None), -1.0, 1.0)


def _from_bytes(data: Any) -> np.ndarray:
    """Return the samples of bytes that are 16 bit little-endian, as far as anybody can tell."""
    content = data if isinstance(data, bytes) else _numbers(data, np.dtype(np.uint8)).tobytes()
    if _is_mp3(content):
        raise AudioSourceError('it publishes MP3; start it with format:=wave')
    for magic, name in ((b'OggS', 'Ogg'), (b'fLaC', 'FLAC')):
        if content.startswith(magic):
            raise AudioSourceError(f'it publishes {name}; start it with format:=wave')
    if len(content) % 2:
        raise AudioSourceError(
            f'{len(content)} bytes are no 16 bit samples; start it with format:=wave and S16LE'
        )
    return _scaled(np.frombuffer(content, dtype='<i2').astype(np.int16, copy=False))


def _is_mp3(content: bytes) -> bool:
    """Whether it begins with a tag, or with a frame that is followed by another or by nothing."""
    if content.startswith(b'ID3') and len(content) > 4 and content[3] < 5:
        return True
    length = _mp3_frame_bytes(content)
    if length is None:
        return False
    # A header alone is a pair of quiet samples, too; two that agree, just so far apart, are not.
    following = content[length : length + 4]
    return len(content) == length or (
        _mp3_frame_bytes(following) is not None
        and following[1] == content[1]
        and (following[2] ^ content[2]) & 0x0C == 0  # the rate
        and (following[3] ^ content[3]) & 0xC0 == 0  # mono or stereo
    )


_KBITS_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _mp3_frame_bytes(content: bytes) -> int | None:
    """Return the length of the layer III frame that begins here, by its header; None: no frame."""
    if len(content) < 4 or content[0] != 0xFF or content[1] & 0xE6 != 0xE2:
        return None
    version = content[1] >> 3 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    bit_rate, rate = content[2] >> 4, content[2] >> 2 & 3
    if version == 1 or bit_rate in (0, 15) or rate == 3:
        return None
    rate_hz = (44100, 48000, 32000)[rate] // {3: 1, 2: 2, 0: 4}[version]
    kbits = (_KBITS_V1 if version == 3 else _KBITS_V2)[bit_rate]
    padding = content[2] >> 1 & 1
    return (144 if version == 3 else 72) * kbits * 1000 // rate_hz + padding


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())[:120]
