"""Audio messages of all known types as frames, and what is said of those that are none."""

from __future__ import annotations

import array
import io
from types import SimpleNamespace as Fields

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import soundfile

from transcript_manager.errors import AudioSourceError
from transcript_manager.streams.audio_messages import is_audio_type, SUPPORTED_TYPES, to_block

INT16, FLOAT32 = 'std_msgs/msg/Int16MultiArray', 'std_msgs/msg/Float32MultiArray'
STAMPED, DATA = 'audio_common_msgs/msg/AudioStamped', 'audio_common_msgs/msg/AudioData'
DATA_STAMPED = 'audio_common_msgs/msg/AudioDataStamped'
WINDOW = 'transcript_manager/msg/AudioWindow'
NOBODY = {
    name: [] for name in ('float32_data', 'int32_data', 'int16_data', 'int8_data', 'uint8_data')
}


def header(sec=7, nanosec=5, frame_id='mic'):
    return Fields(stamp=Fields(sec=sec, nanosec=nanosec), frame_id=frame_id)


def layout(*dims, data_offset=0):
    return Fields(
        dim=[Fields(label=label, size=size, stride=1) for label, size in dims],
        data_offset=data_offset,
    )


def stamped(code, *, channels=1, rate=16000, **data):
    info = Fields(format=code, channels=channels, rate=rate, chunk=512)
    return Fields(
        header=header(), audio=Fields(audio_data=Fields(**{**NOBODY, **data}), info=info)
    )


def read(message, type_name, *, rate=16000, channels=1):
    return to_block(message, type_name=type_name, default_rate_hz=rate, default_channels=channels)


def test_audio_window():
    samples = array.array('h', [0, 16384, -32768])
    message = Fields(
        header=header(), sample_rate=48000, first_sample=99, samples=samples, end_of_stream=True
    )
    block = read(message, WINDOW)
    assert block.frames.dtype == np.float32
    np.testing.assert_array_equal(block.frames, [[0.0], [0.5], [-1.0]])
    assert block[1:] == (48000, 7_000_000_005, 99, True, 'mic')


def test_the_messages_of_ros2_whisper():
    message = Fields(layout=layout(('audio', 3)), data=array.array('h', [1, 2, 3]))
    block = read(message, INT16)
    np.testing.assert_array_equal(block.frames * 32768, [[1], [2], [3]])
    assert block[1:] == (16000, None, None, False, '')


@pytest.mark.parametrize(
    ('told', 'default'),
    [
        (layout(), 2),
        (layout(('audio', 3)), 1),  # counts the frames of interleaved channels
        (layout(('samples', 3), ('channels', 2)), 1),
        (layout(('', 3), ('', 2)), 1),
    ],
)
def test_interleaved_channels(told, default):
    message = Fields(layout=told, data=[0.1, 0.9, 0.2, 0.8, 0.3, 0.7])
    frames = read(message, FLOAT32, rate=44100, channels=default).frames
    np.testing.assert_allclose(frames, [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])


def test_channels_one_after_the_other():
    message = Fields(layout=layout(('channel', 2), ('sample', 100)), data=np.arange(200))
    frames = read(message, INT16).frames * 32768
    np.testing.assert_array_equal(frames, np.stack([np.arange(100), np.arange(100, 200)], axis=1))


def test_an_offset_into_the_data():
    message = Fields(layout=layout(data_offset=2), data=[9, 9, 1, 2])
    np.testing.assert_array_equal(read(message, INT16).frames[:, 0] * 32768, [1, 2])


@pytest.mark.parametrize(
    ('code', 'data', 'expected'),
    [
        (1, {'float32_data': [0.5, -0.5]}, [0.5, -0.5]),
        (2, {'int32_data': [2**30, -(2**31)]}, [0.5, -1.0]),
        (4, {'int32_data': [2**22, -(2**23)]}, [0.5, -1.0]),
        (4, {'int24_data': [2**22, -(2**23)]}, [0.5, -1.0]),
        (8, {'int16_data': [16384, -32768]}, [0.5, -1.0]),
        (16, {'int8_data': [64, -128]}, [0.5, -1.0]),
        (32, {'uint8_data': [192, 0]}, [0.5, -1.0]),
    ],
)
def test_the_formats_of_portaudio(code, data, expected):
    block = read(stamped(code, rate=44100, **data), STAMPED)
    np.testing.assert_array_equal(block.frames, np.array(expected)[:, None])
    assert block[1:] == (44100, 7_000_000_005, None, False, 'mic')
    two = read(stamped(code, channels=2, **data), STAMPED)
    np.testing.assert_array_equal(two.frames, [expected])


@pytest.mark.parametrize('kind', [DATA, DATA_STAMPED])
def test_bytes_are_16_bit_samples(kind):
    payload = Fields(data=array.array('B', np.array([1, -2, 3, -4], '<i2').tobytes()))
    message = payload if kind == DATA else Fields(header=header(), audio=payload)
    block = read(message, kind, rate=44100, channels=2)
    np.testing.assert_array_equal(block.frames * 32768, [[1, -2], [3, -4]])
    assert (block.sample_rate_hz, block.stamp_ns) == (
        44100,
        None if kind == DATA else 7_000_000_005,
    )


@pytest.mark.parametrize('rate_hz', [16000, 44100])
def test_mp3_is_told_from_samples(rate_hz):
    tone = np.sin(np.arange(rate_hz) * 0.05) * 0.5
    file = io.BytesIO()
    soundfile.write(file, tone, rate_hz, format='MP3')
    mp3 = file.getvalue()
    for content in (mp3, mp3[:2000], b'ID3\x04\x00' + mp3):
        with pytest.raises(AudioSourceError, match='publishes MP3; start it with format:=wave'):
            read(Fields(data=content), DATA)


def test_samples_are_not_taken_for_mp3():
    rng = np.random.default_rng(1)
    # The worst there is: every message begins with the sync bits.
    for _ in range(3000):
        samples = rng.integers(-3000, 3000, 512, dtype=np.int16)
        samples[0] = np.frombuffer(b'\xff\xfb', '<i2')[0]
        assert len(read(Fields(data=samples.tobytes()), DATA).frames) == 512


@pytest.mark.parametrize(
    ('message', 'kind', 'said'),
    [
        (stamped(3), STAMPED, 'its format is 3'),
        (stamped(8, channels=0), STAMPED, '0 channels'),
        (stamped(8, rate=0), STAMPED, 'its rate is 0 Hz'),
        (stamped(8, channels=2, int16_data=[1, 2, 3]), STAMPED, 'no multiple of 2'),
        (Fields(data=b'abc'), DATA, '3 bytes are no 16 bit samples'),
        (Fields(data=b'OggS0000'), DATA, 'publishes Ogg'),
        (Fields(text='hello'), 'std_msgs/msg/String', 'not an audio message'),
        (Fields(layout=None, data=['x']), INT16, 'not an audio message'),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(message, kind, said):
    with pytest.raises(AudioSourceError, match=said) as raised:
        read(message, kind)
    assert str(raised.value).startswith(kind) and '\n' not in str(raised.value)


def test_no_number_is_silence_and_full_scale_the_limit():
    data = [np.nan, np.inf, -np.inf, 1e30, -5.0, 0.25]
    for dtype in (np.float32, np.float64):
        message = Fields(layout=layout(), data=np.array(data, dtype))
        frames = read(message, f'std_msgs/msg/{np.dtype(dtype).name.title()}MultiArray').frames
        np.testing.assert_array_equal(frames[:, 0], np.float32([0, 0, 0, 1, -1, 0.25]))


def test_a_stamp_that_nobody_set():
    message = Fields(header=header(0, 0), audio=Fields(data=b''))
    block = read(message, DATA_STAMPED)
    assert block.stamp_ns is None and block.frames.shape == (0, 1)


def test_which_types_are_audio():
    assert all(is_audio_type(name) for name in SUPPORTED_TYPES)
    assert not is_audio_type('std_msgs/msg/String')
    assert not is_audio_type('sensor_msgs/msg/Image', ['header', 'height', 'data'])
    assert is_audio_type('my_msgs/msg/Audio', ['header', 'audio'])


numbers = st.one_of(
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9),
    st.lists(st.floats(width=32), max_size=9),
    st.binary(max_size=9),
)
anything = st.one_of(st.integers(-(2**31), 2**63), st.none(), st.text(max_size=3), numbers)


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from([*SUPPORTED_TYPES, 'x/msg/Y']),
    data=numbers,
    number=anything,
    other=anything,
    shape=st.lists(st.integers(-5, 2**32), max_size=3),
)
def test_garbage_is_refused_or_read_but_never_fails_otherwise(kind, data, number, other, shape):
    arrays = Fields(**{name: data for name in (*NOBODY, 'int24_data')})
    audio = Fields(
        data=data, audio_data=arrays, info=Fields(format=number, channels=other, rate=16000)
    )
    message = Fields(
        header=Fields(stamp=Fields(sec=other, nanosec=3)),
        layout=layout(*[('channel', s) for s in shape], data_offset=number),
        data=data,
        audio=audio,
    )
    window = Fields(
        header=header(),
        samples=data,
        sample_rate=number,
        first_sample=other,
        end_of_stream=number,
    )
    for each in (message, window, Fields(audio=Fields(data=data)), Fields(data=data, layout=None)):
        try:
            block = read(each, kind)
        except AudioSourceError:
            continue
        assert block.frames.dtype == np.float32 and block.frames.ndim == 2
        assert np.isfinite(block.frames).all() and np.abs(block.frames).max(initial=0) <= 1
