"""Sound files with odd names and headers, and what is said of those that cannot be used."""

from __future__ import annotations

import os
import struct
import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import soundfile

from transcript_manager.audio.files import FileSource
from transcript_manager.errors import AudioSourceError

RATE_HZ = 16000


def read_all(path, sample_rate_hz=RATE_HZ):
    """All samples of a file, and its length as the source tells it [s]."""
    with FileSource(path, sample_rate_hz=sample_rate_hz) as source:
        blocks, failure = read_until_failure(source)
        if failure is not None:
            raise failure
        return np.concatenate([np.zeros(0, np.int16), *blocks]), source.duration_s


def read_until_failure(source):
    blocks = []
    while True:
        try:
            block = source.read(timeout_s=0.1)
        except AudioSourceError as error:
            return blocks, error
        if block is None:
            return blocks, None
        assert block.dtype == np.int16 and block.ndim == 1 and len(block) > 0
        blocks.append(block)


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32768, count).astype(np.int16)


def wav_header(data_bytes, riff_bytes, rate_hz=RATE_HZ):
    return struct.pack(
        '<4sI4s4sIHHIIHH4sI',
        *(b'RIFF', riff_bytes, b'WAVE', b'fmt ', 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16),
        *(b'data', data_bytes),
    )


# ------------------------------------------------------- names, headers and other oddities


@pytest.mark.parametrize('name', ['a.raw', 'a b.txt', 'ä.wav', b'\xff\xfe.wav', 'line\nbreak.wav'])
def test_any_name_will_do(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    with path.open('wb') as file:
        soundfile.write(file, noise(2000), RATE_HZ, format='WAV')
    with FileSource(path) as source:
        assert source.name.isprintable()
        assert sum(map(len, read_until_failure(source)[0])) == 2000


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    soundfile.write(tmp_path / 'a.wav', noise(2000), RATE_HZ)
    assert len(read_all('~/a.wav')[0]) == 2000


@pytest.mark.parametrize('claimed', [0xFFFFFFFF, 0x7FFFFF00])
def test_wav_of_a_stream(tmp_path, claimed):
    """What `ffmpeg -f wav -` and recorders leave where the length was not known."""
    sent = noise(20000)
    header = wav_header(claimed, min(claimed + 36, 0xFFFFFFFF))
    (tmp_path / 'a.wav').write_bytes(header + sent.tobytes())
    samples, duration_s = read_all(tmp_path / 'a.wav')
    np.testing.assert_array_equal(samples, sent)
    assert duration_s == 20000 / RATE_HZ


def make_flac_of_unknown_length(path):
    soundfile.write(path, noise(50000), RATE_HZ, format='FLAC')
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO's number of samples: 0 is unknown
    data[22:26] = bytes(4)
    path.write_bytes(data)


def test_flac_of_unknown_length(tmp_path):
    path = tmp_path / 'a.flac'
    make_flac_of_unknown_length(path)
    samples, duration_s = read_all(path)
    np.testing.assert_array_equal(samples, noise(50000))
    assert duration_s is None
    path.write_bytes(path.read_bytes()[:-1000])  # a stream that was recorded until it was cut
    assert 40000 < len(read_all(path)[0]) < 50000


def mp3(path, duration_s=3.0):
    loud = 0.5 * np.sin(np.arange(round(duration_s * 44100)) * 0.06)
    loud *= np.linspace(0, 1, round(duration_s * 44100)) ** 4
    loud += np.random.default_rng(0).standard_normal(len(loud)) * np.linspace(0.3, 0, len(loud))
    soundfile.write(path, loud, 44100, format='MP3', bitrate_mode='VARIABLE')
    return path.read_bytes()


def id3(size):
    return b'ID3\x03\0\0' + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)


def test_mp3_without_its_length(tmp_path):
    """libsndfile guesses the length from the first frame's bit rate and drops what is beyond."""
    data = mp3(tmp_path / 'a.mp3')
    whole, _ = read_all(tmp_path / 'a.mp3')
    first_frame = data.index(data[:2], 100)  # behind the Xing header's
    (tmp_path / 'b.mp3').write_bytes(data[first_frame:])
    samples, duration_s = read_all(tmp_path / 'b.mp3')
    assert duration_s is None
    assert 0 <= len(samples) - len(whole) < 2000  # the encoder's padding is not cut off


@pytest.mark.parametrize(
    ('before', 'behind'),
    [
        (id3(1000), b''),
        (id3(300_000), b''),
        (id3(9) + id3(70_000), b''),
        (b'', b'TAG' + bytes(125)),
    ],
)
def test_mp3_with_tags(tmp_path, before, behind):
    data = mp3(tmp_path / 'a.mp3')
    (tmp_path / 'b.mp3').write_bytes(before + data + behind)
    np.testing.assert_array_equal(read_all(tmp_path / 'b.mp3')[0], read_all(tmp_path / 'a.mp3')[0])


def test_closing_early_leaves_nothing_behind(tmp_path):
    mp3(tmp_path / 'a.mp3', 20.0)
    before = set(os.listdir('/proc/self/fd')), set(threading.enumerate())
    source = FileSource(tmp_path / 'a.mp3')
    assert len(source.read())
    source.close()
    source.close()
    assert source.read() is None
    end_s = time.monotonic() + 10
    while (set(os.listdir('/proc/self/fd')), set(threading.enumerate())) != before:
        assert time.monotonic() < end_s
        time.sleep(0.01)


# ------------------------------------------------------------------------- what cannot be used


def make_unreadable(path):
    path.write_bytes(b'x')
    path.chmod(0)


def make_m4a(path):
    path.write_bytes(b'\0\0\0\x20ftypM4A ' + bytes(range(256)) * 100)


REFUSED = [
    # what, how to make it, words of the message
    ('missing', lambda p: None, ['no such file']),
    ('below_a_file', lambda p: p.parent.rmdir() or p.parent.touch(), ['Not a directory']),
    ('directory', lambda p: p.mkdir(), ['is a directory', 'give a sound file']),
    ('fifo', os.mkfifo, ['not a regular file']),
    ('no_permission', make_unreadable, ['no permission to read it']),
    ('empty', lambda p: p.touch(), ['is empty (0 bytes)']),
    ('text', lambda p: p.write_text('words\n' * 999), ['not a sound file', 'WAV', 'ffmpeg -i ']),
    ('m4a', make_m4a, ['not a sound file', 'WAV, FLAC, OGG, MP3 and AIFF', 'ffmpeg -i ']),
    ('zeros', lambda p: p.write_bytes(bytes(100_000)), ['not a sound file']),
    ('tiny', lambda p: p.write_bytes(b'RIFF'), ['not a sound file']),
    ('half_a_header', lambda p: p.write_bytes(wav_header(0, 36)[:30]), ['not a sound file']),
    ('header_only', lambda p: p.write_bytes(wav_header(0, 36)), ['holds no audio (0 samples)']),
    (
        'interrupted_recording',
        lambda p: p.write_bytes(wav_header(0, 0) + noise(9999).tobytes()),
        ['0 samples', 'interrupted recording', 'ffmpeg -i '],
    ),
    (
        'slow',
        lambda p: p.write_bytes(wav_header(2000, 2036, 999) + bytes(2000)),
        ['sample rate is 999 Hz', 'at least 1000 Hz'],
    ),
]


@pytest.mark.parametrize(('what', 'make', 'words'), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_by_the_constructor(tmp_path, what, make, words):
    if what == 'no_permission' and os.geteuid() == 0:
        pytest.skip('root may read everything')
    (tmp_path / 'in here').mkdir()
    path = tmp_path / 'in here' / 'a.wav'
    make(path)
    descriptors = os.listdir('/proc/self/fd')
    with pytest.raises(AudioSourceError) as raised:
        FileSource(path)
    message = str(raised.value)
    assert message.startswith(f'{path}: ')
    assert all(word in message for word in words), message
    assert '\n' not in message
    assert len(os.listdir('/proc/self/fd')) == len(descriptors)
    if 'ffmpeg' in message:
        assert f"ffmpeg -i '{path}' " in message  # to be copied as it stands


@pytest.mark.parametrize(
    ('path', 'words'),
    [('', 'the name of the sound file is empty'), ('a\0b', 'null'), ('x' * 5000, 'too long')],
)
def test_refused_names(path, words):
    with pytest.raises(AudioSourceError, match=words) as raised:
        FileSource(path)
    assert str(raised.value).isprintable()


# ----------------------------------------------------------------------------- damaged files


@pytest.mark.parametrize('fmt', ['FLAC', 'MP3'])
def test_cut_off_file(tmp_path, fmt):
    """Everything before the cut is delivered, then it is told."""
    wave = 0.5 * np.sin(np.arange(4 * 44100) * 0.06) + noise(4 * 44100) * 1e-6
    soundfile.write(tmp_path / 'whole', wave, 44100, format=fmt)
    whole, _ = read_all(tmp_path / 'whole')
    data = (tmp_path / 'whole').read_bytes()
    (tmp_path / 'cut').write_bytes(data[: len(data) // 2])
    with FileSource(tmp_path / 'cut') as source:
        blocks, failure = read_until_failure(source)
        samples = np.concatenate(blocks)
        assert str(tmp_path / 'cut') in str(failure)
        assert f'damaged after {len(samples) / RATE_HZ:.1f} s of 4.0 s' in str(failure)
        with pytest.raises(AudioSourceError):  # and again, should anybody go on
            source.read()
    assert 1.8 < len(samples) / RATE_HZ < 2.1  # a frame or two of the codec are lost at most
    np.testing.assert_array_equal(samples[:-100], whole[: len(samples) - 100])


def test_cut_off_file_loses_no_whole_frame_of_its_codec(tmp_path):
    soundfile.write(tmp_path / 'a.flac', noise(80000), RATE_HZ)
    data = (tmp_path / 'a.flac').read_bytes()
    (tmp_path / 'a.flac').write_bytes(data[: len(data) // 2])
    with FileSource(tmp_path / 'a.flac') as source:
        blocks, failure = read_until_failure(source)
    samples = np.concatenate(blocks)
    assert failure is not None
    assert len(samples) % 4096 == 0  # FLAC's own blocks, not those that are read
    np.testing.assert_array_equal(samples, noise(80000)[: len(samples)])


def test_hole_in_a_file(tmp_path):
    soundfile.write(tmp_path / 'a.ogg', noise(3 * 44100) / 65536, 44100)
    data = bytearray((tmp_path / 'a.ogg').read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    (tmp_path / 'a.ogg').write_bytes(data)
    with FileSource(tmp_path / 'a.ogg') as source:
        _, failure = read_until_failure(source)
    assert 'part of it is missing' in str(failure)


@settings(max_examples=60, deadline=None)
@given(
    fmt=st.sampled_from(['WAV', 'FLAC', 'OGG', 'MP3', 'AIFF', 'CAF', 'AU']),
    damage=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=50)), max_size=5),
    kept=st.floats(0, 1),
)
def test_no_damage_is_more_than_an_error(tmp_path_factory, fmt, damage, kept):
    path = tmp_path_factory.getbasetemp() / 'damaged'
    soundfile.write(path, noise(30000) / 65536, 44100, format=fmt)
    data = bytearray(path.read_bytes())
    for place, junk in damage:
        start = int(place**3 * len(data))  # headers are the interesting part
        data[start : start + len(junk)] = junk
    path.write_bytes(data[: int(len(data) * (1 - kept**4))])
    end_s = time.monotonic() + 20
    try:
        with FileSource(path) as source:
            while source.read() is not None:
                assert time.monotonic() < end_s
    except AudioSourceError as error:
        assert str(path) in str(error) and '\n' not in str(error)
