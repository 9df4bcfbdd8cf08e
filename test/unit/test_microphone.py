"""The microphone's stream, driven by a fake PortAudio."""

from __future__ import annotations

import subprocess
import sys
import time
import types

import numpy as np
import pytest

from transcript_manager.audio.devices import InputDevice, list_input_devices
from transcript_manager.audio.microphone import Microphone
from transcript_manager.errors import AudioSourceError

RATE_HZ = 16000
TIMEOUT_S = 30.0


class FakeStream:
    def __init__(self, **options):
        self.options = options
        self.active = False
        self.is_closed = False

    def start(self):
        self.active = True

    def abort(self):
        self.active = False

    def close(self):
        self.is_closed = True

    def deliver(self, frames, *, overflow=False, latency_s=0.0):
        """Call back as PortAudio does, with a buffer that is reused at once."""
        buffer = np.array(frames, dtype=np.float32)
        times = types.SimpleNamespace(currentTime=100.0, inputBufferAdcTime=100.0 - latency_s)
        status = types.SimpleNamespace(input_overflow=overflow)
        self.options['callback'](buffer, len(buffer), times, status)
        buffer[:] = np.nan


class FakePortAudioError(Exception):
    pass


@pytest.fixture
def fake_sounddevice(monkeypatch):
    """A module in the place of sounddevice: a loudspeaker, a mono and a 6 channel microphone."""

    def row(name, inputs, rate_hz):
        return {
            'name': name,
            'hostapi': 0,
            'max_input_channels': inputs,
            'default_samplerate': rate_hz,
        }

    fake = types.ModuleType('sounddevice')
    fake.streams = []
    fake.table = [row('speaker', 0, 48000.0), row('mono', 1, 16000.0), row('array', 6, 48000.0)]

    def query_devices(kind=None):
        if kind is None:
            return fake.table
        if not any(d['max_input_channels'] for d in fake.table):
            raise FakePortAudioError('Error querying device -1')
        return {**fake.table[2], 'index': 2}

    def open_stream(**options):
        fake.streams.append(FakeStream(**options))
        return fake.streams[-1]

    fake.PortAudioError = FakePortAudioError
    fake.query_devices = query_devices
    fake.query_hostapis = lambda: [{'name': 'Fake'}]
    fake.InputStream = open_stream
    monkeypatch.setitem(sys.modules, 'sounddevice', fake)
    return fake


def collect(microphone, count):
    """Read at least that many samples."""
    blocks = []
    end_s = time.monotonic() + TIMEOUT_S
    while sum(map(len, blocks)) < count:
        assert time.monotonic() < end_s
        blocks.append(microphone.read(timeout_s=0.05))
    return np.concatenate(blocks)


def test_devices_are_listed(fake_sounddevice):
    assert list_input_devices() == [
        InputDevice(1, 'mono', 'Fake', 16000, 1, False),
        InputDevice(2, 'array', 'Fake', 48000, 6, True),
    ]


def test_no_recording_device(fake_sounddevice):
    del fake_sounddevice.table[1:]
    assert list_input_devices() == []
    with pytest.raises(AudioSourceError, match='no microphone found'):
        Microphone()


def test_device_is_opened_at_its_own_rate(fake_sounddevice):
    with Microphone() as microphone:
        options = fake_sounddevice.streams[0].options
        assert (options['device'], options['samplerate'], options['channels']) == (2, 48000, 2)
        assert microphone.name == 'microphone "array"'
        assert (microphone.duration_s, microphone.start_time_s) == (None, None)
    assert fake_sounddevice.streams[0].is_closed
    microphone.close()
    assert microphone.read(timeout_s=TIMEOUT_S) is None


def test_mono_at_the_rate_comes_out_bit_exact(fake_sounddevice):
    sent = (np.arange(4000) * 17 % 65536 - 32768).astype(np.int16)
    with Microphone('mono') as microphone:
        assert len(microphone.read(timeout_s=0.0)) == 0
        for part in np.split(sent, [1, 7, 1600, 1601]):
            fake_sounddevice.streams[0].deliver(part[:, None] / 32768)
        blocks = [microphone.read(timeout_s=0.05) for _ in range(3)]
    assert blocks[0].dtype == np.int16
    np.testing.assert_array_equal(np.concatenate(blocks), sent)


def test_two_channels_are_averaged_and_resampled(fake_sounddevice):
    tone = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    with Microphone('array') as microphone:
        for part in np.split(np.stack([0.8 * tone, 0.2 * tone], axis=1), 100):
            fake_sounddevice.streams[0].deliver(part)
        heard = collect(microphone, 15000) / 32768  # the filter holds some back
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(heard)) / RATE_HZ)
    assert np.abs(heard - expected)[200:].max() < 0.01


def test_one_channel_is_heard(fake_sounddevice):
    frames = np.tile(np.arange(6) / 8, (1600, 1))
    with Microphone('array', channel=4, sample_rate_hz=48000) as microphone:
        stream = fake_sounddevice.streams[0]
        assert stream.options['channels'] == 4
        stream.deliver(frames[:, :4])
        assert set(microphone.read(timeout_s=0.1)) == {3 * 4096}
    with pytest.raises(AudioSourceError, match='"array" has 6 channels, channel 7 is asked for'):
        Microphone('array', channel=7)


def test_capture_times(fake_sounddevice):
    """With a resampler, which holds some back: what comes out late was still captured early."""
    with Microphone('array') as microphone:
        stream = fake_sounddevice.streams[0]
        came = 0
        for delivered in range(30):
            stream.deliver(np.zeros((4800, 2)), latency_s=0.3)
            now_s = time.time()
            samples, captured_ns = microphone.read_timed(0.0)
            if len(samples):
                held_s = 0.1 * delivered - came / RATE_HZ
                assert 0 <= held_s < 0.1
                assert captured_ns / 1e9 == pytest.approx(now_s - 0.3 - held_s, abs=0.03)
            came += len(samples)


@pytest.mark.parametrize(
    ('latency_s', 'believed_s'),
    [(0.3, 0.3), (0.0, 0.1), (-3.0, 0.1), (0.01, 0.1), (1e9, 0.1)],
)
def test_start_time(fake_sounddevice, latency_s, believed_s):
    with Microphone('mono') as microphone:
        before_s = time.time()
        fake_sounddevice.streams[0].deliver(np.zeros((1600, 1)), latency_s=latency_s)
        after_s = time.time()
        first_s = microphone.start_time_s
        fake_sounddevice.streams[0].deliver(np.zeros((1600, 1)))
    assert before_s <= first_s + believed_s <= after_s
    assert microphone.start_time_s == first_s


def test_overflows_are_counted(fake_sounddevice):
    with Microphone('mono') as microphone:
        for overflow in (True, False, True):
            fake_sounddevice.streams[0].deliver(np.zeros((1600, 1)), overflow=overflow)
        assert (microphone.overflows, microphone.dropped_samples) == (2, 0)


def test_dropped_samples_become_silence(fake_sounddevice):
    """Nobody reads for 40 s: 30 s are kept, and what comes later keeps its time."""
    block = np.full((1600, 1), 0.5)
    with Microphone('mono') as microphone:
        for _ in range(400):
            fake_sounddevice.streams[0].deliver(block)
        assert microphone.dropped_samples == 10 * RATE_HZ
        kept = collect(microphone, 30 * RATE_HZ)
        fake_sounddevice.streams[0].deliver(block)
        fake_sounddevice.streams[0].deliver(block)
        later = collect(microphone, 10 * RATE_HZ + 3200)
        assert len(microphone.read(timeout_s=0.0)) == 0
    assert len(kept) == 30 * RATE_HZ and (kept == 16384).all()
    assert len(later) == 10 * RATE_HZ + 3200
    assert (later[: 10 * RATE_HZ] == 0).all() and (later[10 * RATE_HZ :] == 16384).all()
    assert microphone.overflows == 0


@pytest.mark.parametrize('timeout_s', [0.0, 0.02, 60.0])
def test_a_stall_is_an_error(fake_sounddevice, timeout_s):
    with Microphone('mono', stall_timeout_s=0.3) as microphone:
        fake_sounddevice.streams[0].deliver(np.zeros((1600, 1)))
        assert len(microphone.read(timeout_s=0.0)) == 1600
        started_s = time.monotonic()
        with pytest.raises(AudioSourceError, match='"mono" has delivered nothing for 0.3 s'):
            while time.monotonic() < started_s + TIMEOUT_S:
                assert len(microphone.read(timeout_s)) == 0
        assert 0.25 < time.monotonic() - started_s < 5.0


def test_time_without_a_reader_is_no_stall(fake_sounddevice):
    with Microphone('mono', stall_timeout_s=1.0) as microphone:
        microphone._checked_s -= 3600.0  # the last read was an hour ago
        assert len(microphone.read(timeout_s=0.0)) == 0


def test_a_stopped_device_is_an_error_after_what_it_delivered(fake_sounddevice):
    with Microphone('mono') as microphone:
        fake_sounddevice.streams[0].deliver(np.zeros((1600, 1)))
        fake_sounddevice.streams[0].active = False
        assert len(microphone.read(timeout_s=0.1)) == 1600
        with pytest.raises(AudioSourceError, match='has stopped; is it still connected'):
            microphone.read(timeout_s=0.0)


@pytest.mark.parametrize('fails', ['open', 'start'])
def test_a_device_that_does_not_open(fake_sounddevice, fails, monkeypatch):
    def fail(*_args, **_options):
        raise FakePortAudioError('Device unavailable [PaErrorCode -9985]')

    target = (fake_sounddevice, 'InputStream') if fails == 'open' else (FakeStream, 'start')
    monkeypatch.setattr(*target, fail)
    with pytest.raises(AudioSourceError, match=r'"array" does not open at 48000 Hz \(Device un'):
        Microphone()
    assert all(stream.is_closed for stream in fake_sounddevice.streams)


@pytest.mark.parametrize(
    ('raised', 'remedy'),
    [
        ("OSError('PortAudio library not found')", 'apt-get install libportaudio2'),
        ("ModuleNotFoundError('sounddevice')", 'pip install sounddevice'),
    ],
)
def test_portaudio_is_missing(tmp_path, raised, remedy):
    (tmp_path / 'sounddevice.py').write_text(f'raise {raised}\n')
    script = (
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        'import transcript_manager.audio.files\n'  # needs none
        'from transcript_manager.audio.microphone import Microphone\n'
        'from transcript_manager.errors import AudioSourceError\n'
        'try:\n    Microphone()\nexcept AudioSourceError as error:\n    print(error)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert remedy in done.stdout, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1
