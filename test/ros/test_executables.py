"""The three executables, each a process of its own, heard by a fourth."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import signal
import sys
import threading
import time

import pytest


def test_another_process_reads_the_transcript(
    start_node, following, recording, word_error_rate, wait_until
):
    path, reference = recording('second')
    listener = following()
    manager = start_node('transcript_manager')
    whisper = start_node('whisper', model='demo')
    ring = start_node('audio_ring', source=path, pace='lockstep')
    wait_until(lambda: listener.snapshot().is_complete, 'the end of the stream')
    snapshot = listener.snapshot()
    text = ''.join(s.text for s in snapshot.segments)
    assert snapshot.appended_text == text
    assert word_error_rate(reference['text'], text) < 0.03
    assert [s.index for s in snapshot.segments] == list(range(len(snapshot.segments)))
    assert snapshot.stable_text == snapshot.tentative_text == ''
    for program in (ring, whisper, manager):
        assert program.stop() == 0, program.output
        assert 'Traceback' not in program.output


def test_a_late_subscriber_gets_the_frozen_segments(start_node, following, recording, wait_until):
    path, _ = recording('second')
    early = following()
    start_node('transcript_manager')
    start_node('whisper', model='demo')
    start_node('audio_ring', source=path, pace='lockstep')
    wait_until(lambda: early.snapshot().is_complete, 'the end of the stream')
    late = following()
    wait_until(
        lambda: len(late.snapshot().segments) == len(early.snapshot().segments),
        'the frozen segments',
    )
    assert [s.text for s in late.snapshot().segments] == [
        s.text for s in early.snapshot().segments
    ]


def test_the_stream_survives_the_death_of_the_decoder(
    start_node, following, recording, word_error_rate, wait_until
):
    path, reference = recording('second')
    listener = following()
    start_node('transcript_manager')
    whisper = start_node('whisper', model='demo')
    start_node('audio_ring', source=path, pace='lockstep')
    wait_until(lambda: len(listener.snapshot().appended_text) > 100, 'some text')
    whisper.process.kill()
    whisper.wait()
    start_node('whisper', model='demo')
    wait_until(lambda: listener.snapshot().is_complete, 'the end of the stream')
    text = ''.join(s.text for s in listener.snapshot().segments)
    assert word_error_rate(reference['text'], text) < 0.03


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ('executable', 'parameters', 'ready'),
    [
        ('audio_ring', {'source': 'demo'}, 'listening to'),
        ('whisper', {'model': 'demo'}, 'is ready'),
        ('transcript_manager', {}, 'is ready'),
    ],
)
def test_signals_end_a_node_cleanly(executable, parameters, ready, number, start_node, recording):
    if 'source' in parameters:
        parameters = {'source': recording('demo')[0]}
    node = start_node(executable, **parameters)
    node.wait_for(ready)
    assert node.stop(number, timeout_s=10) == 0
    assert 'Traceback' not in node.output and 'Error' not in node.output


INTERRUPTED_WAIT = """
import os, signal
from transcript_manager.ros.process import Process

with Process() as process:
    for number in (signal.SIGINT, signal.SIGTERM):
        with process.finished._cond:  # as the main thread has it inside finished.wait()
            os.kill(os.getpid(), number)
        assert process.finished.wait(10)
        process.finished.clear()
print('ended')
"""


def test_a_signal_in_the_middle_of_a_wait_does_not_lock_the_process(start):
    program = start([sys.executable, '-c', INTERRUPTED_WAIT])
    assert program.wait(20) == 0, program.output
    assert program.output.strip() == 'ended'


def test_a_signal_during_a_decode_ends_the_node_at_once(
    start_node, following, recording, wait_until
):
    listener = following()
    start_node('transcript_manager')
    whisper = start_node('whisper', model='demo')
    start_node('audio_ring', source=recording('demo')[0], pace='lockstep')
    wait_until(lambda: listener.snapshot().revision > 3, 'some updates')
    assert whisper.stop(signal.SIGTERM, timeout_s=10) == 0
    assert 'Traceback' not in whisper.output


def test_a_namespace_keeps_robots_apart(start_node, following, recording, wait_until):
    path, _ = recording('second')
    ours, other = following('/robot1'), following('/robot2')
    remap = {'source': path, 'pace': 'lockstep'}
    for executable, parameters in (
        ('transcript_manager', {}),
        ('whisper', {'model': 'demo'}),
        ('audio_ring', remap),
    ):
        start_node(executable, namespace='/robot1', **parameters)
    wait_until(lambda: len(ours.snapshot().appended_text) > 20, 'text of robot1')
    assert other.snapshot().revision == 0


class Trickle(BaseHTTPRequestHandler):
    """A server that never gets done."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(1 << 18))
                time.sleep(0.1)
        except OSError:
            return  # the other side is gone

    def log_message(self, *_args):
        pass


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_fetch_and_leaves_nothing(start_node, tmp_path, number):
    server = ThreadingHTTPServer(('127.0.0.1', 0), Trickle)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {
        'TRANSCRIPT_MANAGER_CACHE': str(tmp_path),
        'TRANSCRIPT_MANAGER_MODELS_URL': f'http://127.0.0.1:{server.server_port}/',
    }
    try:
        whisper = start_node('whisper', model='tiny.en', env=env)
        whisper.wait_for('fetching the model')
        assert whisper.stop(number) == 0
        assert 'Traceback' not in whisper.output
        assert list(tmp_path.iterdir()) == []
    finally:
        server.shutdown()
        server.server_close()
