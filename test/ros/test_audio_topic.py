"""Audio topics in and out of the ring, over real topics; the mute; what is said of them."""

from __future__ import annotations

import array

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
import soundfile
from std_msgs.msg import Bool, Int16MultiArray

from transcript_manager import msg
from transcript_manager.errors import ParameterError
from transcript_manager.ros import qos
from transcript_manager.ros.audio_ring_node import AudioRingNode
from transcript_manager.ros.listener import TranscriptListener
from transcript_manager.ros.process import Process

RATE_HZ = 16000
BLOCK = 1600


class Peer(Node):
    """Publishes audio, hears the windows, the chunks and the diagnostics."""

    def __init__(self):
        super().__init__('peer')
        self.windows, self.chunks, self.health = [], [], None
        self.create_subscription(msg.AudioWindow, 'audio_window', self.windows.append, 100)
        self.create_subscription(msg.AudioWindow, 'audio', self.chunks.append, qos.AUDIO)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self.mute = self.create_publisher(Bool, 'mute', 10)
        self._next = 0
        self._timer = None

    def _on_diagnostics(self, message):
        for status in message.status:
            if status.name == 'audio_ring':
                self.health = status

    def value(self, name):
        values = {v.key: v.value for v in self.health.values} if self.health else {}
        return values.get(name)

    def speak(self, topic, samples, *, window=False, sensor=True, waits=False):
        """
        Publish samples in real time, 100 ms a message, as a microphone's driver does.

        :param waits: publish silence until there is somebody who hears
        """
        kind = msg.AudioWindow if window else Int16MultiArray
        profile = qos_profile_sensor_data if sensor else 10
        publisher = self.create_publisher(kind, topic, profile)
        blocks = iter(np.split(samples, range(BLOCK, len(samples), BLOCK)))
        position = 0
        start_ns = self.get_clock().now().nanoseconds

        def tick():
            nonlocal position
            is_heard = publisher.get_subscription_count() and self.value('audio_type')
            block = np.zeros(BLOCK, np.int16) if waits and not is_heard else next(blocks, None)
            if block is None:
                return
            data = array.array('h', block.tobytes())
            message = kind()
            if window:
                message.samples, message.sample_rate = data, RATE_HZ
                message.first_sample = position
                stamp_ns = start_ns + position * 10**9 // RATE_HZ
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            else:
                message.data = data
            position += len(block)
            publisher.publish(message)

        self._timer = self.create_timer(0.1, tick)
        return publisher

    def hush(self):
        self._timer.cancel()


@pytest.fixture
def process():
    with Process() as running:
        running.spin()
        yield running


def ring_of(process, **values):
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return process.add(lambda: AudioRingNode(parameter_overrides=overrides))


def tone(seconds, amplitude=8000):
    return np.rint(amplitude * np.sin(np.arange(int(seconds * RATE_HZ)) * 0.1)).astype(np.int16)


def test_a_topic_of_another_package_is_transcribed(
    start_node, process, recording, word_error_rate, wait_until
):
    path, reference = recording('second')
    samples, _ = soundfile.read(path, dtype='int16')
    said, _, end_s = reference['sentences'][0]
    listener = process.add(TranscriptListener)
    start_node('transcript_manager')
    start_node('whisper', model='demo').wait_for('is ready')
    start_node('audio_ring', source='topic', audio_topic='mic/audio').wait_for('listening')
    peer = process.add(Peer)
    silence = np.zeros(15 * RATE_HZ, np.int16)
    peer.speak(
        'mic/audio',
        np.concatenate([silence[:RATE_HZ], samples[: int(end_s * RATE_HZ)], silence]),
        waits=True,
    )
    wait_until(
        lambda: word_error_rate(said, listener.snapshot().appended_text) < 0.1, 'the text', 40
    )
    assert peer.value('audio_type') == 'std_msgs/msg/Int16MultiArray'


def test_a_publisher_that_goes_and_comes_back(process, wait_until):
    peer = process.add(Peer)
    ring = ring_of(
        process, source='topic', audio_topic='in', hop_s=0.5, window_s=2.0, no_signal_warn_s=0.5
    )
    wait_until(lambda: 'nobody publishes' in (peer.health.message if peer.health else ''), 'warn')
    publisher = peer.speak('in', tone(30))
    wait_until(lambda: len(peer.windows) > 2, 'windows')
    wait_until(lambda: float(peer.value('level_dbfs')) > -20, 'the level')
    assert peer.windows[-1].samples[-1000:] != array.array('h', bytes(2000))
    peer.hush()
    peer.destroy_publisher(publisher)
    count = len(peer.windows)
    wait_until(lambda: len(peer.windows) > count + 3, 'windows of silence')
    assert not np.any(peer.windows[-1].samples[-8000:])
    wait_until(lambda: 'publisher of the audio has gone' in peer.health.message, 'the warning')
    assert 'no signal' in peer.health.message
    peer.speak('in', tone(30))
    wait_until(lambda: np.any(peer.windows[-1].samples[-4000:]), 'sound again')
    now_ns = peer.get_clock().now().nanoseconds
    position_s = ring._ring.pushed_samples / RATE_HZ
    assert now_ns / 1e9 - ring.stream_start_ns / 1e9 - position_s == pytest.approx(0.1, abs=0.4)
    assert int(peer.value('gaps')) >= 1


def test_each_sample_is_published_once_and_read_again(process, wait_until, tmp_path):
    sent = np.random.default_rng(1).integers(-9000, 9000, int(2.37 * RATE_HZ), dtype=np.int16)
    soundfile.write(tmp_path / 'a.wav', sent, RATE_HZ)
    peer = process.add(Peer)
    ring_of(
        process,
        source=str(tmp_path / 'a.wav'),
        publish_audio=True,
        start_delay_s=0.5,
        hop_s=1.0,
        window_s=2.0,
    )
    wait_until(lambda: peer.chunks and peer.chunks[-1].end_of_stream, 'the end')
    firsts = [c.first_sample for c in peer.chunks]
    assert firsts == [BLOCK * k for k in range(len(firsts))]
    np.testing.assert_array_equal(np.concatenate([c.samples for c in peer.chunks]), sent)
    start_ns = peer.chunks[0].header.stamp.sec * 10**9 + peer.chunks[0].header.stamp.nanosec
    for each in [*peer.chunks, *peer.windows]:
        stamp_ns = each.header.stamp.sec * 10**9 + each.header.stamp.nanosec
        assert stamp_ns == start_ns + each.first_sample * 10**9 // RATE_HZ


def test_windows_of_another_ring_are_taken_without_doubling(process, wait_until):
    """What a ring publishes and another one hears are the same samples, bit by bit."""
    peer = process.add(Peer)
    ring_of(process, source='topic', audio_topic='in', publish_audio=True, hop_s=0.5)
    sent = np.random.default_rng(2).integers(-9000, 9000, 3 * RATE_HZ, dtype=np.int16)
    wait_until(lambda: peer.count_subscribers('audio') and peer.count_publishers('audio'), 'it')
    publisher = peer.create_publisher(msg.AudioWindow, 'in', 10)
    wait_until(lambda: publisher.get_subscription_count(), 'the subscription')
    start_ns = peer.get_clock().now().nanoseconds - 3 * 10**9
    for end in (8000, 16000, 16000, 24000, 32000, 48000):  # growing, then the last 1.5 s
        first = max(0, end - 24000)
        message = msg.AudioWindow(sample_rate=RATE_HZ, first_sample=first)
        message.samples = array.array('h', sent[first:end].tobytes())
        stamp_ns = start_ns + first * 10**9 // RATE_HZ
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        message.end_of_stream = end == len(sent)
        publisher.publish(message)
    wait_until(lambda: peer.chunks and peer.chunks[-1].end_of_stream, 'the end')
    np.testing.assert_array_equal(np.concatenate([c.samples for c in peer.chunks]), sent)
    first = peer.chunks[0].header.stamp
    assert first.sec * 10**9 + first.nanosec == start_ns


def test_a_mute_silences_and_time_goes_on(process, wait_until):
    peer = process.add(Peer)
    ring_of(process, source='topic', audio_topic='in', publish_audio=True, mute_max_s=1.5)
    peer.speak('in', tone(60))
    wait_until(lambda: len(peer.chunks) > 5, 'audio')
    assert all(np.any(c.samples) for c in peer.chunks[1:])
    peer.mute.publish(Bool(data=True))
    wait_until(lambda: not np.any(peer.chunks[-1].samples), 'silence')
    wait_until(lambda: peer.value('muted') == 'true', 'the report')
    peer.mute.publish(Bool(data=False))
    wait_until(lambda: np.any(peer.chunks[-1].samples), 'sound')
    silent = sum(not np.any(c.samples) for c in peer.chunks)
    assert silent >= 5  # at least the hold-off
    peer.mute.publish(Bool(data=True))  # and whoever did it dies
    wait_until(lambda: not np.any(peer.chunks[-1].samples), 'silence')
    wait_until(lambda: 'nobody ended it' in peer.health.message, 'the error')
    assert peer.health.level == b'\x02'
    wait_until(lambda: np.any(peer.chunks[-1].samples), 'sound')
    ends = [c.first_sample + len(c.samples) for c in peer.chunks]
    assert [c.first_sample for c in peer.chunks[1:]] == ends[:-1]
    peer.mute.publish(Bool(data=False))
    wait_until(lambda: 'nobody ended it' not in peer.health.message, 'no error')


@pytest.mark.parametrize(
    ('audio_type', 'said'),
    [
        ('nobody_msgs/msg/Audio', 'install nobody_msgs'),
        ('std_msgs/String', 'std_msgs/msg/String is no audio'),
    ],
)
def test_a_type_that_cannot_be_heard_is_said(process, wait_until, audio_type, said):
    peer = process.add(Peer)
    ring_of(process, source='topic', audio_topic='in', audio_type=audio_type)
    wait_until(lambda: peer.health is not None and said in peer.health.message, 'the warning')


def test_a_ring_does_not_hear_itself(process):
    for values in ({'publish_audio': True}, {'audio_topic': 'audio_window'}):
        with pytest.raises(ParameterError, match='which this node publishes itself'):
            ring_of(process, source='topic', **values)
