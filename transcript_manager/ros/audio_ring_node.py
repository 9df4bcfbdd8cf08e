"""
The audio ring as a node: a sound file, bag, microphone or audio topic in, overlapping windows out.

ROS API

* publishes ``audio_window`` (transcript_manager/AudioWindow), once per ``hop_s``
* with ``publish_audio`` publishes ``audio`` (transcript_manager/AudioWindow): 100 ms each, which
  do not overlap
* publishes ``/diagnostics`` (diagnostic_msgs/DiagnosticArray) once a second
* subscribes ``mute`` (std_msgs/Bool): silence in the place of samples while true
* with ``source`` "topic" subscribes ``audio_topic``, of any type of streams/audio_messages.py
* with ``pace`` "lockstep" only, subscribes ``transcript`` (transcript_manager/TranscriptUpdate)
  and ``tokens`` (transcript_manager/WhisperTokens): a window is sent when the one before it is
  merged; where there is no manager, when it is decoded
* parameters: ``AUDIO_RING`` of parameters.py
"""

from __future__ import annotations

import threading
import time

import numpy as np
from std_msgs.msg import Bool

from transcript_manager import msg
from transcript_manager.audio.level import LevelMeter
from transcript_manager.audio.live import StreamBreak
from transcript_manager.audio.mute import Mute
from transcript_manager.audio.ring import AudioRing, Window
from transcript_manager.errors import AudioSourceError
from transcript_manager.ros import parameters, qos
from transcript_manager.ros.audio_health import SourceHealth
from transcript_manager.ros.audio_output import Chunks
from transcript_manager.ros.audio_sources import is_live, open_source, OpenSource
from transcript_manager.ros.conversions import NS_PER_MS, window_to_msg
from transcript_manager.ros.diagnostics import DiagnosticsPublisher, Health
from transcript_manager.ros.managed_node import ManagedNode
from transcript_manager.ros.process import run_node
from transcript_manager.streams.messages import NS_PER_S, to_ns

_POLL_S = 0.05
_DECODE_RETRY_S = 10.0
"""A window that nobody has decoded is sent again: the decoder may have been restarted."""
_MERGE_RETRY_S = 1.0
"""A window that is decoded but not merged is sent again: the manager had not been found yet."""


class AudioRingNode(ManagedNode):
    """Feed the ring from a source and publish its windows."""

    def __init__(self, **options) -> None:
        super().__init__('audio_ring', parameters.AUDIO_RING, **options)
        values = self.values
        self._sample_rate_hz = values['sample_rate']
        self._frame_id = values['frame_id']
        self._is_file = not is_live(values)
        self._lockstep = self._is_file and values['pace'] == parameters.LOCKSTEP
        self._waits = self._is_file and values['wait_for_subscriber']
        self._start_delay_s = values['start_delay_s'] if self._waits else 0.0
        self._opened: OpenSource | None = None
        self._mute = Mute(hold_off_s=values['mute_hold_off_s'], max_s=values['mute_max_s'])
        self._published_windows = 0
        self.duration_s: float | None = None
        """Length of the source [s]; None for a microphone or topic."""
        self.stream_start_ns: int | None = None
        """Capture time of sample 0 [ns]; None before the first sample."""
        self._ending = threading.Event()
        self._answer = threading.Condition()
        self._publisher = self.create_publisher(msg.AudioWindow, 'audio_window', qos.AUDIO_WINDOW)
        self._audio_publisher = (
            self.create_publisher(msg.AudioWindow, 'audio', qos.AUDIO)
            if values['publish_audio']
            else None
        )
        self._source_health = SourceHealth(values)
        self._diagnostics = DiagnosticsPublisher(self, self._health)
        self.create_subscription(Bool, 'mute', self._on_mute, qos.MUTE)
        if self._lockstep:
            self.create_subscription(msg.WhisperTokens, 'tokens', self._on_tokens, qos.TOKENS)
            self.create_subscription(
                msg.TranscriptUpdate, 'transcript', self._on_update, qos.TRANSCRIPT
            )

    def configure(self) -> None:
        """Check the settings and open a file; a microphone is opened when it is listened to."""
        self._new_ring()
        if self._is_file:
            self._open()

    def activate(self) -> None:
        """Listen, in a stream of its own."""
        self.check_idle()
        if self._opened is None:
            self._open()
        self._new_ring()
        self._ending.clear()
        self._decoded_end_ns = self._merged_end_ns = 0
        self.get_logger().info(f'listening to {self._opened.source.name}')
        self.start_worker(self._work)

    def deactivate(self) -> None:
        """Stop listening and let go of the device; what was heard goes out as a last window."""
        self.stop()
        if not self.is_working and self._ring.pushed_samples and not self._has_ended:
            self._finish_chunks()
            self._publisher.publish(self._to_msg(self._ring.finish()))
        self.cleanup()

    def cleanup(self) -> None:
        """Close the source."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _open(self) -> None:
        self._opened = open_source(self, self.values)
        self.duration_s = self._opened.source.duration_s

    def _new_ring(self) -> None:
        self._ring = AudioRing(
            sample_rate_hz=self._sample_rate_hz,
            window_s=self.values['window_s'],
            hop_s=self.values['hop_s'],
        )
        self._chunks = Chunks(self._sample_rate_hz)
        self._meter = LevelMeter(self._sample_rate_hz)
        self.stream_start_ns = None
        self._has_ended = False

    def end_stream(self) -> None:
        """End the stream here: the last window goes out as if the source had ended."""
        self._ending.set()

    def _work(self) -> None:
        source = self._opened.source
        with source:
            if self._waits:
                self._wait_for_subscriber()
            started_s = time.monotonic()
            try:
                while not self._feed(source, started_s):
                    self._new_ring()
            except AudioSourceError as error:
                # What came before the damage is not lost with it. Noted first: who has seen the
                # end of the stream can tell what sort of end it was.
                self.failure = error
                self._finish(started_s)
                raise
            if self.stopping.is_set():
                return
            self._finish(started_s)
            length_s = self._ring.pushed_samples / self._sample_rate_hz
            self.get_logger().info(f'{source.name} ended after {length_s:.1f} s')

    def _feed(self, source, started_s: float) -> bool:
        """
        Read the source and publish the windows on the way.

        :returns: True at its end, False where another stream begins
        """
        while not self.stopping.is_set():
            try:
                block = source.read(timeout_s=_POLL_S)
            except StreamBreak as reason:
                self.get_logger().warning(f'{reason}; a new stream begins')
                if self._ring.pushed_samples:
                    self._finish(started_s)
                return False
            if block is None or self._ending.is_set():
                return True
            if self._is_file:
                self._meter.push(block)
            block = self._mute.apply(block, time.monotonic())
            if self._audio_publisher is not None:
                self._publish_chunks(block, started_s)
            for window in self._ring.push(block):
                self._publish(window, started_s)
                if self.stopping.is_set():
                    return True
        return True

    def _finish(self, started_s: float) -> None:
        """End the stream: its last window goes out."""
        self._has_ended = True
        self._finish_chunks()
        self._publish(self._ring.finish(), started_s)

    def _publish_chunks(self, block: np.ndarray, started_s: float) -> None:
        for chunk in self._chunks.push(block):
            message = self._to_msg(chunk)
            if not self._pace(chunk, started_s):
                return
            self._audio_publisher.publish(message)

    def _finish_chunks(self) -> None:
        if self._audio_publisher is not None:
            self._audio_publisher.publish(self._to_msg(self._chunks.finish()))

    def _on_mute(self, message: Bool) -> None:
        self._mute.set(message.data, time.monotonic())

    def _health(self) -> list[Health]:
        health = Health(
            '',
            {
                'state': self.state,
                'muted': self._mute.is_on(time.monotonic()),
                'windows_published': self._published_windows,
                'subscribers': self._publisher.get_subscription_count(),
            },
        )
        if self.stream_start_ns is not None:
            health.values['stream_start_s'] = self.stream_start_ns / NS_PER_S
        opened = self._opened
        if opened is not None:
            self._source_health.judge(health, opened, self._meter)
        if self._mute.was_lifted:
            health.note(
                'error',
                f'muted for more than {self.values["mute_max_s"]:g} s and nobody ended it: '
                'listening again',
            )
        return [health]

    def _wait_for_subscriber(self) -> None:
        """Lose no window to a decoder that is still loading its model."""
        told = False
        waited_s = 0.0
        while not self.stopping.is_set():
            decoders = self._publisher.get_subscription_count()
            if decoders and (not self._lockstep or self.count_publishers('tokens')):
                self.stopping.wait(self._start_delay_s)
                return
            if waited_s > 2.0 and not told:
                self.get_logger().info('waiting for a whisper node on audio_window')
                told = True
            self.stopping.wait(_POLL_S)
            waited_s += _POLL_S

    def _to_msg(self, window: Window) -> msg.AudioWindow:
        if self.stream_start_ns is None:
            self.stream_start_ns = self._first_stamp_ns(window)
        return window_to_msg(
            window,
            sample_rate_hz=self._sample_rate_hz,
            stream_start_ns=self.stream_start_ns,
            frame_id=self._frame_id,
        )

    def _publish(self, window: Window, started_s: float) -> None:
        message = self._to_msg(window)
        if not self._pace(window, started_s):
            return
        self._publisher.publish(message)
        self._published_windows += 1
        if self._lockstep:
            self._wait_for_answer(message, window)

    def _pace(self, window: Window, started_s: float) -> bool:
        """Wait until a file's window is due; False if the node stops meanwhile."""
        if not self._is_file or self._lockstep:
            return True
        due_s = started_s + window.end_sample / self._sample_rate_hz
        return not self.stopping.wait(max(0.0, due_s - time.monotonic()))

    def _first_stamp_ns(self, window: Window) -> int:
        live = self._opened.live
        start_ns = None if live is None else live.timeline.start_ns
        uses_sim_time = self.get_parameter('use_sim_time').value
        # A topic's times are on the node's clock already.
        if start_ns is not None and (self._opened.blocks is not None or not uses_sim_time):
            return start_ns
        now_ns = self.get_clock().now().nanoseconds
        if self._is_file:
            # A bag tells when it was recorded, a sound file does not.
            recorded_s = self._opened.source.start_time_s
            return now_ns if recorded_s is None else round(recorded_s * NS_PER_S)
        return max(0, now_ns - window.end_sample * NS_PER_S // self._sample_rate_hz)

    def _on_tokens(self, message: msg.WhisperTokens) -> None:
        end_ns = to_ns(message.header.stamp) + message.window_ms * NS_PER_MS
        with self._answer:
            self._decoded_end_ns = max(self._decoded_end_ns, end_ns)
            self._answer.notify()

    def _on_update(self, message: msg.TranscriptUpdate) -> None:
        with self._answer:
            self._merged_end_ns = max(self._merged_end_ns, to_ns(message.header.stamp))
            self._answer.notify()

    def _wait_for_answer(self, message: msg.AudioWindow, window: Window) -> None:
        # A millisecond less: the answers' times come from a length in whole milliseconds.
        end_ns = (
            self.stream_start_ns + window.end_sample * NS_PER_S // self._sample_rate_hz - NS_PER_MS
        )
        sent_s = time.monotonic()
        with self._answer:
            while not self.stopping.is_set():
                is_decoded = self._decoded_end_ns >= end_ns
                if self._merged_end_ns >= end_ns:
                    return
                if is_decoded and not self.count_publishers('transcript'):
                    return
                self._answer.wait(_POLL_S)
                patience_s = _MERGE_RETRY_S if is_decoded else _DECODE_RETRY_S
                if time.monotonic() - sent_s > patience_s:
                    self.get_logger().warning('a window got no answer and is sent again')
                    self._publisher.publish(message)
                    sent_s = time.monotonic()


def main() -> int:
    """Entry point of ``ros2 run transcript_manager audio_ring``."""
    return run_node('audio_ring', AudioRingNode)
