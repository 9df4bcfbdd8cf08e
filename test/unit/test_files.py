"""Sound files of every kind come out as the same samples."""

import os

import numpy as np
import pytest
import soundfile

from transcript_manager.audio.files import FileSource
from transcript_manager.audio.source import to_int16
from transcript_manager.errors import AudioSourceError

FREQUENCY_HZ = 440.0


def sine(rate_hz, duration_s=1.5, channels=1):
    time_s = np.arange(round(rate_hz * duration_s)) / rate_hz
    wave = 0.5 * np.sin(2 * np.pi * FREQUENCY_HZ * time_s)
    return np.repeat(wave[:, None], channels, axis=1)


def read_all(source):
    blocks = []
    with source:
        while (block := source.read()) is not None:
            assert block.dtype == np.int16 and block.ndim == 1
            blocks.append(block)
    return np.concatenate(blocks)


@pytest.mark.parametrize(
    ('name', 'rate_hz', 'channels', 'subtype'),
    [
        ('a.wav', 16000, 1, 'PCM_16'),
        ('a.wav', 44100, 2, 'PCM_24'),
        ('a.wav', 48000, 6, 'FLOAT'),
        ('a.wav', 8000, 1, 'PCM_U8'),
        ('a.wav', 11025, 1, 'ULAW'),
        ('a.flac', 96000, 2, 'PCM_24'),
        ('a.ogg', 22050, 1, 'VORBIS'),
        ('a.mp3', 44100, 2, 'MPEG_LAYER_III'),
        ('a.aiff', 32000, 1, 'PCM_16'),
        ('a.au', 16000, 2, 'PCM_16'),
    ],
)
def test_any_format_gives_the_same_tone(name, rate_hz, channels, subtype, tmp_path):
    path = tmp_path / name
    soundfile.write(path, sine(rate_hz, channels=channels), rate_hz, subtype=subtype)
    source = FileSource(path)
    duration_s = source.duration_s
    samples = read_all(source)
    assert abs(len(samples) - duration_s * 16000) <= 1
    middle = samples[4000:20000].astype(float) / 32768
    assert abs(np.sqrt(2 * np.mean(middle**2)) - 0.5) < 0.02
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(spectrum.argmax() * 16000 / len(middle) - FREQUENCY_HZ) <= 1.0


def test_what_needs_no_change_is_not_changed(tmp_path):
    samples = np.random.default_rng(1).integers(-32768, 32767, 25_001).astype(np.int16)
    soundfile.write(tmp_path / 'a.wav', samples, 16000, subtype='PCM_16')
    assert np.array_equal(read_all(FileSource(tmp_path / 'a.wav')), samples)


def test_a_length_of_whole_blocks_ends_too(tmp_path):
    soundfile.write(tmp_path / 'a.wav', sine(44100, 1.0), 44100)
    assert abs(len(read_all(FileSource(tmp_path / 'a.wav'))) - 16000) <= 1


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([np.full(3200, 0.5), np.full(3200, -0.25)], axis=1)
    soundfile.write(tmp_path / 'a.wav', stereo, 16000, subtype='FLOAT')
    assert np.all(read_all(FileSource(tmp_path / 'a.wav')) == 4096)


def test_conversion_saturates_and_silences_garbage():
    values = np.array([0.0, 1.0, -1.0, 2.0, -2.0, np.nan, np.inf, -np.inf, 0.5])
    expected = [0, 32767, -32768, 32767, -32768, 0, 0, 0, 16384]
    assert to_int16(values).tolist() == expected


def test_other_output_rates(tmp_path):
    soundfile.write(tmp_path / 'a.wav', sine(16000), 16000)
    assert abs(len(read_all(FileSource(tmp_path / 'a.wav', sample_rate_hz=8000))) - 12000) <= 1


@pytest.mark.parametrize(
    ('make', 'says'),
    [
        (lambda p: None, 'no such file'),
        (lambda p: p.mkdir(), 'is a directory'),
        (lambda p: p.write_bytes(b''), r'is empty \(0 bytes\)'),
        (lambda p: p.write_text('no audio at all'), 'not a sound file'),
        (lambda p: p.write_bytes(os.urandom(5000)), 'not a sound file'),
        (lambda p: soundfile.write(p, np.zeros(0), 16000), 'holds no audio'),
        (lambda p: soundfile.write(p, np.zeros(100), 500), 'its sample rate is 500 Hz'),
    ],
)
def test_files_that_cannot_be_used_are_named(make, says, tmp_path):
    path = tmp_path / 'a.wav'
    make(path)
    with pytest.raises(AudioSourceError, match=f'a.wav: .*{says}'):
        FileSource(path)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_a_file_without_permission_is_named(tmp_path):
    path = tmp_path / 'a.wav'
    soundfile.write(path, sine(16000), 16000)
    path.chmod(0)
    with pytest.raises(AudioSourceError, match='no permission'):
        FileSource(path)
