"""
The transcript manager as a node: decodes of overlapping windows in, one stable transcript out.

ROS API

* subscribes ``tokens`` (transcript_manager/WhisperTokens)
* publishes ``transcript`` (transcript_manager/TranscriptUpdate), after each merge
* publishes ``transcript/frozen`` (transcript_manager/TranscriptSegment), each segment once
* publishes ``transcript/text`` (std_msgs/String), words as they become stable
* parameters: ``TRANSCRIPT_MANAGER`` of parameters.py
"""

from __future__ import annotations

from std_msgs.msg import String

from transcript_manager import msg
from transcript_manager.merge.segments import split_text
from transcript_manager.merge.transcript import Transcript
from transcript_manager.ros import parameters, qos
from transcript_manager.ros.conversions import (
    active_to_msgs,
    NS_PER_MS,
    to_time,
    transcript_segment_to_msg,
)
from transcript_manager.ros.managed_node import ManagedNode
from transcript_manager.ros.process import run_node
from transcript_manager.streams.messages import to_decode, to_ns


class TranscriptNode(ManagedNode):
    """Merge decodes as they come. A merge takes about a millisecond, so it needs no thread."""

    def __init__(self, **options) -> None:
        super().__init__('transcript_manager', parameters.TRANSCRIPT_MANAGER, **options)
        self._updates = self.create_publisher(msg.TranscriptUpdate, 'transcript', qos.TRANSCRIPT)
        self._frozen = self.create_publisher(
            msg.TranscriptSegment, 'transcript/frozen', qos.TRANSCRIPT_FROZEN
        )
        self._text = self.create_publisher(String, 'transcript/text', qos.TRANSCRIPT_TEXT)

    def configure(self) -> None:
        """Begin with an empty transcript."""
        self._transcript = Transcript(parameters.merge_settings(self.values))
        self._origin_ns: int | None = None
        self._merged_end_ns = 0
        self._restarts = 0
        self._revision = 0

    def activate(self) -> None:
        """Merge from now on."""
        self._tokens = self.create_subscription(
            msg.WhisperTokens, 'tokens', self._on_tokens, qos.TOKENS
        )
        self.get_logger().info('transcript manager is ready')

    def deactivate(self) -> None:
        """Merge no more."""
        self.destroy_subscription(self._tokens)

    def _on_tokens(self, message: msg.WhisperTokens) -> None:
        if self._origin_ns is None:
            self._origin_ns = to_ns(message.header.stamp)
        decode = to_decode(message, origin_ns=self._origin_ns)
        result = self._transcript.merge(decode)
        if self._transcript.restarts > self._restarts:
            self.get_logger().warn('the times of tokens have jumped back: a new stream begins')
        for segment in result.frozen:
            self._frozen.publish(transcript_segment_to_msg(segment, origin_ns=self._origin_ns))
        if result.stable_text:
            self._text.publish(String(data=result.stable_text))
        self._publish_update(message)

    def _publish_update(self, tokens: msg.WhisperTokens) -> None:
        self._revision += 1
        active = self._transcript.active()
        stable_text, tentative_text = split_text(active)
        update = msg.TranscriptUpdate(
            revision=self._revision,
            frozen_count=self._transcript.frozen_count,
            active=active_to_msgs(active, origin_ns=self._origin_ns),
            stable_text=stable_text,
            tentative_text=tentative_text,
            end_of_stream=tokens.end_of_stream,
        )
        end_ns = to_ns(tokens.header.stamp) + tokens.window_ms * NS_PER_MS
        if tokens.end_of_stream or self._transcript.restarts > self._restarts:
            self._merged_end_ns = end_ns
        self._restarts = self._transcript.restarts
        self._merged_end_ns = max(self._merged_end_ns, end_ns)  # a late window ends earlier
        update.header.stamp = to_time(self._merged_end_ns)
        update.header.frame_id = tokens.header.frame_id
        self._updates.publish(update)


def main() -> int:
    """Entry point of ``ros2 run transcript_manager transcript_manager``."""
    return run_node('transcript_manager', TranscriptNode)
