"""
The transcript manager as a node: decodes of overlapping windows in, one stable transcript out.

ROS API

* subscribes ``tokens`` (transcript_manager/WhisperTokens)
* publishes ``transcript`` (transcript_manager/TranscriptUpdate), after each merge
* publishes ``transcript/frozen`` (transcript_manager/TranscriptSegment), each segment once
* publishes ``transcript/text`` (std_msgs/String), words as they become stable
* publishes ``/diagnostics`` (diagnostic_msgs/DiagnosticArray)
* services ``~/get_transcript`` (transcript_manager/GetTranscript), ``~/reset``, ``~/flush``,
  ``~/pause``, ``~/resume`` (std_srvs/Trigger): transcript_services.py
* action ``~/transcribe`` (transcript_manager/Transcribe): transcribe_action.py
* publishes what REP-155 asks for, where hri_msgs is installed: hri.py
* parameters: ``TRANSCRIPT_MANAGER`` of parameters.py
"""

from __future__ import annotations

import time

from std_msgs.msg import String

from transcript_manager import msg
from transcript_manager.merge.segments import split_text
from transcript_manager.ros import parameters, qos
from transcript_manager.ros.conversions import (
    active_to_msgs,
    to_time,
    transcript_segment_to_msg,
)
from transcript_manager.ros.diagnostics import DiagnosticsPublisher, Health
from transcript_manager.ros.hri import hri_publisher
from transcript_manager.ros.managed_node import ManagedNode
from transcript_manager.ros.process import run_node
from transcript_manager.ros.transcribe_action import TranscribeAction
from transcript_manager.ros.transcript_services import TranscriptServices
from transcript_manager.session.journal import Journal
from transcript_manager.session.listening import Reason
from transcript_manager.session.session import Change, Session
from transcript_manager.streams.messages import NS_PER_S

_LINGER_S = 0.5
_SAME_CLOCK_S = 30.0
"""Audio that is older than this by the node's clock was stamped by another one."""


class TranscriptNode(ManagedNode):
    """Merge decodes as they come. A merge takes about a millisecond, so it needs no thread."""

    def __init__(self, **options) -> None:
        self._transcribe: TranscribeAction | None = None  # rclpy destroys half-made nodes, too
        super().__init__('transcript_manager', parameters.TRANSCRIPT_MANAGER, **options)
        self._updates = self.create_publisher(msg.TranscriptUpdate, 'transcript', qos.TRANSCRIPT)
        self._frozen = self.create_publisher(
            msg.TranscriptSegment, 'transcript/frozen', qos.TRANSCRIPT_FROZEN
        )
        self._text = self.create_publisher(String, 'transcript/text', qos.TRANSCRIPT_TEXT)
        self.session: Session | None = None
        """None while the node is not configured."""
        self.journal: Journal | None = None
        self._frame_id = ''
        self._revision = 0
        self._lag_s = 0.0
        self._tokens_s = time.monotonic()
        self._api = TranscriptServices(self)
        self._transcribe = TranscribeAction(self)
        self._diagnostics = DiagnosticsPublisher(self, self._health)
        self._hri = hri_publisher(self, self.values)

    def configure(self) -> None:
        """Begin with an empty transcript, or go on with the one that was killed."""
        values = self.values
        parameters.check_lags(values)
        restored = None
        if values['journal_dir']:
            self.journal = Journal(values['journal_dir'], self.get_namespace())
            restored = self.journal.resume(values['journal_continue_s'])
            if restored is not None:
                self.get_logger().info(f'going on with the session of {self.journal.path}')
            if self.journal.complaint:
                self.get_logger().error(self.journal.complaint)
        self.session = Session(
            parameters.merge_settings(values), journal=self.journal, restored=restored
        )
        self._revision = 0
        if self._hri is not None:
            self._hri.begin()

    def activate(self) -> None:
        """Merge from now on."""
        self._tokens_s = time.monotonic()
        self._tokens = self.create_subscription(
            msg.WhisperTokens, 'tokens', self._on_tokens, qos.TOKENS
        )
        self.get_logger().info('transcript manager is ready')

    def deactivate(self) -> None:
        """Merge no more; what was heard so far is final."""
        self.destroy_subscription(self._tokens)
        if not self.session.is_paused:
            self.publish(self.session.settle())
        self.linger_s = _LINGER_S if self._transcribe.count else 0.0
        self._transcribe.interrupt(Reason.INTERRUPTED)

    def cleanup(self) -> None:
        """End the session and its journal."""
        if self.session is not None:
            change = self.session.close()
            if change is not None and (change.frozen or change.stable_text):
                self.publish(change)
        if self.journal is not None and self.journal.pending:
            self.get_logger().error(
                f'{self.journal.pending} segments could not be written: {self.journal.complaint}'
            )
        self.session = self.journal = None

    def destroy_node(self) -> None:
        """Take the action along: rclpy leaves it in the graph."""
        if self._transcribe is not None:
            self._transcribe.destroy()
            self._transcribe = None
        super().destroy_node()

    def stream_now_ns(self) -> int:
        """Return what time it is on the clock of the audio's stamps [ns]."""
        now_ns, end_ns = self.get_clock().now().nanoseconds, self.session.end_ns
        is_same = end_ns == 0 or abs(now_ns - end_ns) < _SAME_CLOCK_S * NS_PER_S
        return now_ns if is_same else end_ns

    def interrupt_goals(self) -> None:
        """End all goals: what they listen to is cut here."""
        self._transcribe.interrupt(Reason.INTERRUPTED)

    def _on_tokens(self, message: msg.WhisperTokens) -> None:
        self._tokens_s = time.monotonic()
        self._frame_id = message.header.frame_id
        change = self.session.take(message)
        if change is None:
            return
        if change.has_restarted:
            self.get_logger().warn('the times of tokens have jumped back: a new stream begins')
        self._lag_s = (self.get_clock().now().nanoseconds - change.end_ns) / NS_PER_S
        self.publish(change)

    def publish(self, change: Change) -> None:
        """Tell everybody what has changed."""
        session = self.session
        origin_ns = session.origin_ns()
        for segment in change.frozen:
            self._frozen.publish(transcript_segment_to_msg(segment, origin_ns=origin_ns))
        if change.stable_text:
            self._text.publish(String(data=change.stable_text))
        self._revision += 1
        stable_text, tentative_text = split_text(change.active)
        update = msg.TranscriptUpdate(
            revision=self._revision,
            frozen_count=session.frozen_count,
            active=active_to_msgs(change.active, origin_ns=origin_ns),
            stable_text=stable_text,
            tentative_text=tentative_text,
            end_of_stream=change.end_of_stream,
        )
        update.header.stamp = to_time(change.end_ns)
        update.header.frame_id = self._frame_id
        self._updates.publish(update)
        if self._hri is not None:
            self._hri.update(change, header=update.header, language=session.language)
        self._transcribe.hear(change.heard)

    def _health(self) -> list[Health]:
        session, journal, values = self.session, self.journal, self.values
        if session is None:
            return [Health('', {'state': self.state})]
        silent_s = time.monotonic() - self._tokens_s
        health = Health(
            '',
            {
                'state': self.state,
                'paused': session.is_paused,
                'language': session.language,
                'lag_s': self._lag_s,
                'since_tokens_s': silent_s,
                'updates': self._revision,
                'windows_ignored': session.ignored_windows,
                'stream_restarts': session.restarts,
                'words_stable': session.words_stable,
                'words_frozen': session.words_frozen,
                'segments_frozen': session.frozen_count,
                'words_active': session.active_words,
                'goals': self._transcribe.count,
            },
        )
        if self.is_active and not session.is_paused:
            if silent_s > values['no_tokens_warn_s']:
                health.note(
                    'warn', f'no tokens for {silent_s:.0f} s; does a whisper node publish them?'
                )
            else:
                health.note_lag(self._lag_s, values)
        if journal is not None:
            session.touch()
            health.values |= {
                'journal': journal.path or journal.directory,
                'journal_segments': journal.written,
                'journal_waiting': journal.pending,
                'journal_dropped': journal.dropped,
                'journal_slowest_write_s': journal.slowest_write_s,
            }
            if journal.complaint:
                health.note('error', f'{journal.complaint}; {journal.pending} segments wait')
                self.get_logger().error(journal.complaint, throttle_duration_sec=60.0)
        return [health]


def main() -> int:
    """Entry point of ``ros2 run transcript_manager transcript_manager``."""
    return run_node('transcript_manager', TranscriptNode)
