"""Sound files: any format comes in whole, mono, at the rate asked for."""

from __future__ import annotations

import resource
import struct

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import soundfile

from transcript_manager.audio.files import FileSource
from transcript_manager.audio.source import MonoConverter, to_int16
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


def sine(duration_s, rate_hz, *, channels=1, hz=440.0, amplitude=0.5):
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate_hz)) / rate_hz)
    return np.repeat(wave[:, None], channels, axis=1)


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32768, count).astype(np.int16)


def wav_header(data_bytes, riff_bytes, rate_hz=RATE_HZ):
    return struct.pack(
        '<4sI4s4sIHHIIHH4sI',
        *(b'RIFF', riff_bytes, b'WAVE', b'fmt ', 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16),
        *(b'data', data_bytes),
    )


# ------------------------------------------------------------------------- formats

FORMATS = [
    # format, subtype, rate [Hz], channels, loudest error of a sample (full scale 1)
    ('WAV', 'PCM_U8', 16000, 1, 0.01),
    ('WAV', 'PCM_16', 44100, 2, 0.001),
    ('WAV', 'PCM_24', 96000, 1, 0.001),
    ('WAV', 'PCM_32', 8000, 6, 0.001),
    ('WAV', 'FLOAT', 48000, 2, 0.001),
    ('WAV', 'DOUBLE', 22050, 1, 0.001),
    ('WAV', 'ULAW', 8000, 1, 0.03),
    ('WAV', 'ALAW', 8000, 1, 0.03),
    ('WAV', 'IMA_ADPCM', 16000, 1, 0.1),
    ('WAV', 'MS_ADPCM', 11025, 1, 0.1),
    ('WAV', 'GSM610', 8000, 1, 0.2),
    ('WAVEX', 'PCM_16', 16000, 4, 0.001),
    ('RF64', 'PCM_16', 16000, 1, 0.001),
    ('W64', 'PCM_24', 32000, 2, 0.001),
    ('FLAC', 'PCM_16', 44100, 1, 0.001),
    ('FLAC', 'PCM_24', 192000, 2, 0.001),
    ('OGG', 'VORBIS', 44100, 2, 0.05),
    ('OGG', 'OPUS', 48000, 1, 0.05),
    ('MP3', 'MPEG_LAYER_III', 44100, 2, 0.05),
    ('MP3', 'MPEG_LAYER_III', 16000, 1, 0.05),
    ('AIFF', 'PCM_16', 12000, 2, 0.001),
    ('AU', 'FLOAT', 37800, 1, 0.001),
    ('CAF', 'ALAC_16', 24000, 1, 0.001),
]


@pytest.mark.parametrize(('fmt', 'subtype', 'rate_hz', 'channels', 'error'), FORMATS)
def test_sine_survives(tmp_path, fmt, subtype, rate_hz, channels, error):
    path = tmp_path / 'sine.bin'  # the contents count, not the name
    soundfile.write(path, sine(1.7, rate_hz, channels=channels), rate_hz, subtype, format=fmt)
    samples, duration_s = read_all(path)
    assert abs(len(samples) - duration_s * RATE_HZ) <= 1
    assert duration_s == pytest.approx(1.7, abs=0.1)  # some fill up their last frame
    expected = sine(1.7, RATE_HZ)[:, 0]
    middle = slice(RATE_HZ // 10, len(expected) - RATE_HZ // 10)
    heard = samples[: len(expected)] / 32768
    # Speech codecs delay a little, so these are told by pitch and loudness.
    spectrum = np.abs(np.fft.rfft(heard[middle] * np.hanning(len(heard[middle]))))
    assert np.argmax(spectrum) * RATE_HZ / len(heard[middle]) == pytest.approx(440, abs=2)
    assert np.sqrt(2 * np.mean(heard[middle] ** 2)) == pytest.approx(0.5, rel=0.1)
    assert np.abs(heard - expected)[middle].max() < error or subtype in ('GSM610', 'OPUS')


@pytest.mark.parametrize('rate_hz', [1000, 6000, 8000, 11025, 16000, 22050, 44100, 48000, 192000])
@pytest.mark.parametrize('to_rate_hz', [8000, 16000, 48000])
def test_length_is_kept(tmp_path, rate_hz, to_rate_hz):
    for frames in (1, 2, 99, 100, 101, 1600, 44141):
        soundfile.write(tmp_path / 'a.wav', np.full(frames, 0.25), rate_hz)
        samples, duration_s = read_all(tmp_path / 'a.wav', to_rate_hz)
        assert abs(len(samples) - duration_s * to_rate_hz) <= 1, frames
        assert duration_s == frames / rate_hz


@pytest.mark.parametrize('frames', [1, 1599, 1600, 1601, 3200, 50001])
@pytest.mark.parametrize('fmt', ['WAV', 'FLAC', 'AIFF'])
def test_16_bit_mono_at_the_rate_is_bit_exact(tmp_path, fmt, frames):
    sent = noise(frames)
    soundfile.write(tmp_path / 'a', sent, RATE_HZ, format=fmt)
    samples, _ = read_all(tmp_path / 'a')
    np.testing.assert_array_equal(samples, sent)


@pytest.mark.parametrize('fmt', ['WAV', 'FLAC', 'OGG', 'MP3'])
def test_blocks_are_bit_exact_against_the_whole(tmp_path, fmt):
    """Also for MP3, which decodes differently after the seeks soundfile makes by itself."""
    soundfile.write(tmp_path / 'a', noise((50000, 2)) * 0.3 / 32768, 44100, format=fmt)
    whole, rate_hz = soundfile.read(tmp_path / 'a', dtype='float32')
    expected = MonoConverter(rate_hz, RATE_HZ).convert(whole, last=True)
    with FileSource(tmp_path / 'a') as source:
        blocks, failure = read_until_failure(source)
    assert failure is None
    assert max(map(len, blocks)) <= 2 * RATE_HZ // 10
    np.testing.assert_array_equal(np.concatenate(blocks), expected)


@given(
    cuts=st.lists(st.integers(0, 9000), max_size=20),
    rates_hz=st.sampled_from([(16000, 16000), (44100, 16000), (8000, 16000), (48000, 16000)]),
)
def test_where_a_stream_is_cut_makes_no_difference(cuts, rates_hz):
    frames = noise((9000, 2)).astype(np.float32) / 32768
    whole = MonoConverter(*rates_hz).convert(frames, last=True)
    converter = MonoConverter(*rates_hz)
    parts = [converter.convert(part) for part in np.split(frames, sorted(cuts))]
    parts.append(converter.convert(frames[:0], last=True))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_channels_are_averaged(tmp_path):
    frames = np.array([[1000, 3000], [-5, -6], [32767, 32767], [-32768, -32768], [100, -100]])
    soundfile.write(tmp_path / 'a.wav', frames.astype(np.int16), RATE_HZ)
    samples, _ = read_all(tmp_path / 'a.wav')
    assert samples.tolist() == [2000, -6, 32767, -32768, 0]  # -5.5 goes to the even one


def test_conversion_rounds_and_saturates():
    values = np.array([0.0, 0.4 / 32768, 0.6 / 32768, 1.0, -1.0, 1.5, -1.5, np.nan, np.inf])
    assert to_int16(values).tolist() == [0, 0, 1, 32767, -32768, 32767, -32768, 0, 0]


@pytest.mark.parametrize('rate_hz', [RATE_HZ, 48000])
def test_bad_numbers_are_silence_and_stay_where_they_are(tmp_path, rate_hz):
    wave = sine(1.0, rate_hz, channels=2).astype(np.float32)
    wave[rate_hz // 2] = np.nan
    wave[rate_hz // 2 + 1] = np.inf
    wave[rate_hz // 2 + 2] = -np.inf
    wave[rate_hz // 2 + 3] = 3e38
    wave[0] = np.nan
    wave[-1] = np.nan
    soundfile.write(tmp_path / 'a.wav', wave, rate_hz, 'FLOAT')
    samples, _ = read_all(tmp_path / 'a.wav')
    assert len(samples) == RATE_HZ
    error = np.abs(samples / 32768 - sine(1.0, RATE_HZ)[:, 0])
    near = np.arange(RATE_HZ)
    is_far = (np.abs(near - RATE_HZ // 2) > 200) & (near > 200) & (near < RATE_HZ - 200)
    assert error[is_far].max() < 0.001


def test_too_loud_saturates(tmp_path):
    soundfile.write(tmp_path / 'a.wav', sine(1.0, 48000, amplitude=3.0), 48000, 'FLOAT')
    samples, _ = read_all(tmp_path / 'a.wav')
    assert samples.max() == 32767 and samples.min() == -32768
    middle = samples[200:-200].astype(int)
    assert np.abs(np.diff(middle)).max() < 32768  # no wrapping around


def test_memory_does_not_depend_on_the_length(tmp_path):
    path = tmp_path / 'long.wav'
    seconds = 1200  # sparse on the disk
    with path.open('wb') as file:
        file.write(wav_header(8000 * 2 * seconds, 36 + 8000 * 2 * seconds, 8000))
        file.truncate(44 + 8000 * 2 * seconds)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 0
    with FileSource(path) as source:
        while (block := source.read()) is not None:
            count += len(block)
    assert count == RATE_HZ * seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 10_000
