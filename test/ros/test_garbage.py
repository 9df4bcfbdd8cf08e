"""
Garbage in every field of every message: no crash, no hang, bounded memory, and it works after it.

`make faults` runs the same with many more messages.
"""

import array
import gc
import os
from pathlib import Path
import time

from garbage import messages
from hypothesis import given, HealthCheck, settings
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Bool, Float32MultiArray, Int16MultiArray, String
from transcript_manager.srv import GetTranscript

from transcript_manager import msg
from transcript_manager.audio.files import FileSource
from transcript_manager.audio.ring import AudioRing
from transcript_manager.ros.audio_ring_node import AudioRingNode
from transcript_manager.ros.conversions import window_to_msg
from transcript_manager.ros.process import Process
from transcript_manager.ros.transcript_node import TranscriptNode
from transcript_manager.ros.whisper_node import WhisperNode
from transcript_manager.streams.bag import read_bag

MESSAGES = int(os.environ.get('GARBAGE_MESSAGES', '150'))
"""Of each type."""
MAX_GROWTH_MB = 60.0
BAG = Path(__file__).resolve().parents[1] / 'bags' / 'demo'


def memory_mb():
    gc.collect()
    status = Path('/proc/self/status').read_text()
    return int(status.partition('VmRSS:')[2].split()[0]) / 1024


def garbage(kind, count=MESSAGES):
    """Make messages of a type, as they are on the wire."""
    made = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(messages(kind))
    def make(message):
        made.append(serialize_message(message))

    make()
    return kind, made


def bombard(*targets):
    """Deliver garbage: (garbage of a type, who receives it); returns how many messages."""
    # Made before: hypothesis remembers what it has made, and that is no memory of ours.
    before_mb = memory_mb()
    for (kind, made), receive in targets:
        for data in made:
            receive(deserialize_message(data, kind))
    growth_mb = memory_mb() - before_mb
    sent = sum(len(made) for (_, made), _ in targets)
    print(f'{sent} messages, memory grew by {growth_mb:.1f} MB')
    assert growth_mb < MAX_GROWTH_MB
    return sent


def test_garbage_for_the_manager(tmp_path, recording):
    tokens = garbage(msg.WhisperTokens)
    requests = garbage(GetTranscript.Request, MESSAGES // 3)
    with Process(['--ros-args', '--log-level', 'fatal']) as process:
        values = [Parameter('journal_dir', value=str(tmp_path))]
        node = process.add(lambda: TranscriptNode(parameter_overrides=values))
        said = []
        node._text.publish = lambda message: said.append(message.data)
        answers = []
        bombard(
            (tokens, node._on_tokens),
            (requests, lambda m: answers.append(node._api._on_get(m, GetTranscript.Response()))),
        )
        assert all(a.success or a.message for a in answers)
        assert all(h.values for h in node._health())
        said.clear()
        # And it works afterwards, from the third window on: the clock was set by garbage.
        for message in read_bag(BAG):
            node._on_tokens(message)
        assert len(''.join(said).split()) > 80
        assert process.failure is None
    written = {p.parent for p in tmp_path.rglob('*') if p.is_file()}
    assert written <= {tmp_path, tmp_path / 'saved'}


def test_garbage_for_the_decoder(recording):
    kinds = (msg.AudioWindow, String, msg.TranscriptSegment)
    windows, prompts, segments = (garbage(kind) for kind in kinds)
    with Process(['--ros-args', '--log-level', 'fatal']) as process:
        values = [Parameter('model', value='demo')]
        node = process.add(lambda: WhisperNode(parameter_overrides=values))
        (stream,) = node._streams
        heard = []
        stream._publisher.publish = heard.append
        bombard(
            (windows, lambda m: node._on_window(stream, m)),
            (prompts, stream._on_prompt),
            (segments, stream._on_frozen),
        )
        stream._on_prompt(String(data=''))
        assert all(h.values for h in node._health())
        # And it works afterwards.
        window = next(w for w in windows_of(recording('demo')[0]) if w.first_sample > 0)
        end_s = time.monotonic() + 60.0
        while not any(m.header == window.header and m.segments for m in heard):
            assert time.monotonic() < end_s and node.is_working and node.failure is None
            node._on_window(stream, window)
            time.sleep(0.5)


def test_garbage_for_the_ring(wait_until):
    kinds = (msg.AudioWindow, Int16MultiArray, Float32MultiArray)
    made = [garbage(kind, MESSAGES // 2) for kind in kinds]
    mutes = garbage(Bool, 10)
    with Process(['--ros-args', '--log-level', 'fatal']) as process:
        values = [Parameter('source', value='topic')]
        node = process.add(lambda: AudioRingNode(parameter_overrides=values))
        windows = []
        node._publisher.publish = lambda message: windows.append(len(message.samples))
        opened = node._opened

        def receive(message):
            kind = type(message)
            opened.topic.type_name = f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'
            opened.topic._on_message(message)
            while opened.blocks._queue.qsize() > 900:  # a flood is another test
                time.sleep(0.01)

        bombard(*((g, receive) for g in made), (mutes, node._on_mute))
        node._on_mute(Bool(data=False))
        assert all(h.values for h in node._health())
        wait_until(lambda: opened.blocks._queue.empty(), 'all of it is read')
        # And it works afterwards.
        count = len(windows)
        sound = Int16MultiArray(data=array.array('h', [1000]) * 1600)

        def goes_on():
            receive(sound)
            return len(windows) > count + 1

        wait_until(goes_on, 'windows')
        assert max(windows) <= 160_000
        assert node.is_working and node.failure is None and process.failure is None


def windows_of(path):
    """Return a recording's windows as messages."""
    ring = AudioRing(sample_rate_hz=16000, window_s=10.0, hop_s=1.0)
    with FileSource(path) as source:
        while (block := source.read()) is not None:
            for window in ring.push(block):
                yield window_to_msg(
                    window,
                    sample_rate_hz=16000,
                    stream_start_ns=time.time_ns(),
                    frame_id='microphone',
                )
