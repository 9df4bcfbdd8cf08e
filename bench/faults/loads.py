"""Too much: a full disk, and a flood of messages."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
import statistics
import subprocess
import sysconfig
import tempfile
import time

from rclpy.node import Node
from streams import is_once, journaled

from transcript_manager import msg
from transcript_manager.merge.settings import MergeSettings
from transcript_manager.ros import qos
from transcript_manager.ros.conversions import to_time
from transcript_manager.ros.process import Process
from transcript_manager.session.journal import Journal
from transcript_manager.session.session import Session
from transcript_manager.streams.bag import read_bag

ROOT = Path(__file__).resolve().parents[2]
NODES = Path(sysconfig.get_path('data')) / 'lib' / 'transcript_manager'
FLOOD_HZ = 1000
FLOOD_S = 10


def disk_full() -> Iterator[dict]:
    """Fill a real, small file system while a session goes on, then make room again."""
    row = {
        'fault': 'disk full for a while',
        'done': 'a 64 KiB tmpfs filled up while recorded speech is merged; later there is room again',
    }
    with tempfile.TemporaryDirectory() as folder:
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]
        if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
            yield row | {'came_out': 'not tried: mounting needs root', 'ok': True}
            return
        try:
            yield row | _fill(Path(folder))
        finally:
            subprocess.run(['umount', folder], check=True)


def _fill(folder: Path) -> dict:
    messages = list(read_bag(ROOT / 'test' / 'bags' / 'demo'))
    journal = Journal(folder, 'full')
    session = Session(MergeSettings(), journal=journal)
    complaints = set()
    waiting = 0
    said = ''
    for k, message in enumerate(messages):
        if k == 10:
            with contextlib.suppress(OSError), open(folder / 'ballast', 'wb') as file:
                while True:
                    file.write(bytes(512))
                    file.flush()
        if k == len(messages) - 5:
            (folder / 'ballast').unlink()
            journal._tried_s = float('-inf')  # five seconds have passed
        change = session.take(message)
        said += change.stable_text
        if journal.complaint:
            complaints.add(journal.complaint.rpartition(': ')[2])
        waiting = max(waiting, journal.pending)
    session.close()
    records = journaled(folder)
    same = ''.join(r['text'] for r in records) == said
    return {
        'came_out': f'said: {", ".join(sorted(complaints))}; {waiting} segments waited in memory and were written when there was room; journal is the text that was published, every segment once: {same and is_once(records)}',
        'ok': same and is_once(records) and bool(complaints) and waiting > 0,
    }


def memory_mb(pid: int) -> float:
    """Return a process's memory [MB]."""
    status = Path(f'/proc/{pid}/status').read_text()
    return int(status.partition('VmRSS:')[2].split()[0]) / 1024


class _Flooder(Node):
    """Sends, and hears what comes back."""

    def __init__(self) -> None:
        super().__init__('flooder')
        self.windows = self.create_publisher(msg.AudioWindow, 'audio_window', qos.AUDIO_WINDOW)
        self.tokens = self.create_publisher(msg.WhisperTokens, 'tokens', qos.TOKENS)
        self.heard: list[tuple[float, int]] = []
        self.create_subscription(
            msg.WhisperTokens,
            'tokens',
            lambda m: self.heard.append((time.monotonic(), m.header.stamp.sec)),
            qos.TOKENS,
        )


def flood() -> Iterator[dict]:
    """Send a thousand windows a second to a whisper node, the real one, in a process of its own."""
    window = msg.AudioWindow(sample_rate=16000, samples=_speech_samples())
    with (
        tempfile.TemporaryFile() as log,
        Process(['--ros-args', '--log-level', 'error']) as process,
    ):
        process.spin()
        flooder = process.add(_Flooder)
        command = [NODES / 'whisper', '--ros-args', '-p', 'model:=demo', '--log-level', 'error']
        whisper = subprocess.Popen(command, stdout=log, stderr=log)
        manager = subprocess.Popen([NODES / 'transcript_manager'], stdout=log, stderr=log)
        try:
            while (
                flooder.windows.get_subscription_count() < 1
                or flooder.count_subscribers('tokens') < 2
            ):
                time.sleep(0.05)
            before = memory_mb(whisper.pid), memory_mb(manager.pid)
            sent, ends = _send(flooder, window)
            time.sleep(0.5)
            peak = memory_mb(whisper.pid), memory_mb(manager.pid)
            # Afterwards: how long until a new window is answered.
            window.header.stamp = to_time((10**9 + 100_000) * 10**9)
            window.first_sample = 0
            asked_s = time.monotonic()
            flooder.windows.publish(window)
            answered = False
            while not answered and time.monotonic() - asked_s < 30:
                time.sleep(0.01)
                answered = any(sec == 10**9 + 100_000 for _, sec in list(flooder.heard))
            answer_s = time.monotonic() - asked_s
            alive = whisper.poll() is None and manager.poll() is None
        finally:
            for node in (whisper, manager):
                node.terminate()
                node.wait(20)
    during = [at_s for at_s, sec in flooder.heard if sec != 10**9 + 100_000]
    lags = [at_s - ends[sec] for at_s, sec in flooder.heard if sec in ends]
    growth = peak[0] - before[0], peak[1] - before[1]
    yield {
        'fault': f'{FLOOD_HZ} windows a second',
        'done': f'{sent} windows of 2 s of speech in {FLOOD_S} s to the whisper node and its tokens to the manager, processes of their own',
        'came_out': f'{len(during)} decoded, the newest each time ({statistics.median(lags):.2f} s from sending to tokens, median); memory {growth[0]:+.0f} MB (whisper), {growth[1]:+.0f} MB (manager); a window after the flood answered in {answer_s:.2f} s',
        'ok': alive and answered and max(growth) < 150,
    }


def _speech_samples():
    import array

    from transcript_manager.audio.files import FileSource

    with FileSource(ROOT / 'demo' / 'demo.flac') as source:
        samples = array.array('h')
        while len(samples) < 32000:
            samples.extend(source.read().tolist())
    return samples[:32000]


def _send(flooder: _Flooder, window: msg.AudioWindow) -> tuple[int, dict[int, float]]:
    """Send at the pace of the flood; returns how many, and when each second's stamp was sent."""
    sent, sent_at = 0, {}
    began_s = time.monotonic()
    while (now_s := time.monotonic() - began_s) < FLOOD_S:
        if sent < now_s * FLOOD_HZ:
            window.first_sample = sent * 16000
            window.header.stamp = to_time((10**9 + sent) * 10**9)
            flooder.windows.publish(window)
            sent_at[10**9 + sent] = time.monotonic()
            sent += 1
        else:
            time.sleep(0.0005)
    return sent, sent_at
