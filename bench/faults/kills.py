"""Each node killed in the middle of speech and started again, as `ros2 launch` does it."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import runpy
import signal
import subprocess
import sysconfig
import tempfile
import time

from streams import compare, is_once, journaled

from transcript_manager.ros.listener import TranscriptListener
from transcript_manager.ros.process import Process

ROOT = Path(__file__).resolve().parents[2]
NODES = Path(sysconfig.get_path('data')) / 'lib' / 'transcript_manager'
RESPAWN_S = 2.0  # of launch/transcribe.launch.py
KILL_AFTER_S = 14.0
TIMEOUT_S = 60.0
ALLOWED_LOST = {'': 3, 'transcript_manager': 3, 'whisper': 3, 'audio_ring': 30}
"""What is said while nothing listens to the microphone is lost, and nothing else."""


class _Node:
    """An executable, with its output in a file."""

    def __init__(self, name: str, env: dict[str, str], log, **parameters: object) -> None:
        arguments = [x for k, v in parameters.items() for x in ('-p', f'{k}:={v}')]
        self._command = [NODES / name, '--ros-args', *arguments]
        self._env, self._log = {**os.environ, **env}, log
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, env=self._env, stdout=self._log, stderr=self._log
        )

    def kill_and_respawn(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        time.sleep(RESPAWN_S)
        self.start()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def run() -> Iterator[dict]:
    """Play the bundled speech into a virtual microphone, once for each node killed."""
    microphones = runpy.run_path(str(ROOT / 'test' / 'virtual_microphone.py'))
    if reason := microphones['why_not']():
        yield {'fault': 'nodes killed', 'done': 'nothing', 'came_out': reason, 'ok': True}
        return
    reference = json.loads((ROOT / 'demo' / 'second.json').read_text('utf-8'))['text']
    for victim in ALLOWED_LOST:
        with tempfile.TemporaryDirectory(prefix='mic-', dir='/tmp') as folder:
            microphone = microphones['VirtualMicrophone'](Path(folder))
            try:
                microphone.wait_ready()
                yield _one(victim, microphone, reference)
            finally:
                microphone.close()


def _one(victim: str, microphone, reference: str) -> dict:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context(open(folder / 'log', 'wb'))
        process = stack.enter_context(Process(['--ros-args', '--log-level', 'error']))
        process.spin()
        listener = process.add(TranscriptListener)
        journal = folder / 'journal'
        nodes = {
            'transcript_manager': _Node('transcript_manager', {}, log, journal_dir=journal),
            'whisper': _Node('whisper', {}, log, model='demo'),
            'audio_ring': _Node('audio_ring', microphone.env, log, device='pulse'),
        }
        _wait(lambda: listener.snapshot().revision > 2)
        player = microphone.play(ROOT / 'demo' / 'second.flac')
        time.sleep(KILL_AFTER_S)
        if victim:
            nodes[victim].kill_and_respawn()
        player.wait(TIMEOUT_S)
        time.sleep(6.0)  # the last words become stable
        codes = [nodes[name].stop() for name in ('audio_ring', 'whisper', 'transcript_manager')]
        records = journaled(journal)
        texts = listener.snapshot().appended_text
    said = ''.join(r['text'] for r in records)
    result = compare(reference, said)
    lost = result.deletions + result.substitutions
    on_topic = compare(reference, texts)
    files = len({r['index'] for r in records}) == len(records)
    ok = (
        is_once(records)
        and files
        and codes == [0, 0, 0]
        and lost <= ALLOWED_LOST[victim]
        and result.insertions <= 3
    )
    return {
        'fault': f'{victim} killed (-9) in the middle of speech, started again after {RESPAWN_S:g} s'
        if victim
        else 'nothing killed (for comparison)',
        'done': f'34 s of speech played into a virtual microphone; three processes; kill after {KILL_AFTER_S:g} s',
        'came_out': f'of {len(reference.split())} words {lost} lost or changed, {result.insertions} inserted in the journal; every segment once: {is_once(records)}; on transcript/text {on_topic.insertions} inserted',
        'ok': ok,
    }


def _wait(condition) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError('the graph does not come up')
        time.sleep(0.05)
