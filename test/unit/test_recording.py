"""A real recording: PortAudio, ALSA and a private PulseAudio; skipped where that is missing."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

RATE_HZ = 16000
TIMEOUT_S = 30.0

RECORDER = """
import json, sys, threading, time
import numpy as np
from transcript_manager.audio.devices import list_input_devices
from transcript_manager.audio.microphone import Microphone
from transcript_manager.errors import AudioSourceError

stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
blocks, error, is_heard = [], None, False
started_s = time.time()
with Microphone(sys.argv[2], stall_timeout_s=2.0) as microphone:
    try:
        while not stop.is_set():
            blocks.append(microphone.read(timeout_s=0.1))
            if len(blocks[-1]) and not is_heard:
                is_heard = True
                print('recording', flush=True)
    except AudioSourceError as failure:
        error = str(failure)
    end_s = time.time()
samples = np.concatenate(blocks)
np.save(sys.argv[1], samples)
print(json.dumps({
    'start_s': microphone.start_time_s, 'started_s': started_s, 'end_s': end_s, 'error': error,
    'overflows': microphone.overflows, 'dropped': microphone.dropped_samples,
    'names': [d.name for d in list_input_devices()], 'closed_s': time.time() - end_s,
}))
"""


class Recorder:
    """A process that records until it is told to stop."""

    def __init__(self, virtual_microphone, folder: Path, name: str = '') -> None:
        self.path = folder / 'recorded.npy'
        self.process = subprocess.Popen(
            [sys.executable, '-c', RECORDER, str(self.path), name],
            env={**os.environ, **virtual_microphone.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Without it a device that never starts would block readline() for ever.
        watchdog = threading.Timer(TIMEOUT_S, self.process.kill)
        watchdog.daemon = True
        watchdog.start()
        line = self.process.stdout.readline()
        assert line == 'recording\n', line + self.process.communicate()[1]

    def result(self, *, stop: bool = True):
        """End it (or let it end by itself); returns its samples and its report."""
        if not stop:
            self.process.wait(TIMEOUT_S)  # communicate() would tell it to stop
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        assert self.process.returncode == 0, err
        return np.load(self.path), json.loads(out.splitlines()[-1])


def chirp(duration_s, rate_hz):
    """Sweep from 200 to 3000 Hz: its place in a recording is found to the sample."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return 0.5 * np.sin(2 * np.pi * (200 * time_s + 2800 / duration_s / 2 * time_s**2))


def find(needle, haystack):
    """Where a signal is, in samples, and how much of what is there it explains, 0..1."""
    size = len(needle) + len(haystack)
    spectrum = np.fft.rfft(haystack, size) * np.conj(np.fft.rfft(needle, size))
    products = np.fft.irfft(spectrum, size)[: len(haystack) - len(needle)]
    place = int(np.argmax(products))
    there = haystack[place : place + len(needle)]
    return place, products[place] / (np.linalg.norm(needle) * np.linalg.norm(there) + 1e-9)


def test_what_is_played_is_recorded(virtual_microphone, tmp_path):
    played = chirp(2.0, 44100)
    soundfile.write(tmp_path / 'chirp.wav', played, 44100)
    recorder = Recorder(virtual_microphone, tmp_path)
    played_s = time.time()
    assert virtual_microphone.play(tmp_path / 'chirp.wav').wait(TIMEOUT_S) == 0
    samples, report = recorder.result()

    assert (report['error'], report['overflows'], report['dropped']) == (None, 0, 0)
    assert 'default' in report['names'] and 'pulse' in report['names']
    # All the time is there ...
    assert report['started_s'] <= report['start_s'] <= played_s
    recorded_s = report['end_s'] - report['start_s']
    assert len(samples) / RATE_HZ == pytest.approx(recorded_s, abs=0.3)
    # ... and so is the sound, as loud as it was and when it was.
    expected = chirp(2.0, RATE_HZ)
    place, likeness = find(expected, samples / 32768)
    assert likeness > 0.95
    heard = samples[place : place + len(expected)] / 32768
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.05)
    heard_s = report['start_s'] + place / RATE_HZ
    assert played_s - 0.1 <= heard_s <= played_s + 1.0


def test_a_device_that_is_unplugged(virtual_microphone, tmp_path):
    recorder = Recorder(virtual_microphone, tmp_path, 'pulse')
    virtual_microphone.unplug()
    samples, report = recorder.result(stop=False)
    assert 'is it still connected?' in report['error']
    assert len(samples)


def test_a_device_that_hangs(virtual_microphone, tmp_path):
    """PortAudio itself never comes back from closing it; the process must."""
    recorder = Recorder(virtual_microphone, tmp_path)
    virtual_microphone.hang()
    _, report = recorder.result(stop=False)
    assert 'has delivered nothing for 2 s' in report['error']
    assert report['closed_s'] < 10.0
