"""The audio ring's source, by its parameters: a sound file or bag, a microphone, a topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import time
from typing import Any

from rclpy.node import Node
from rclpy.validate_full_topic_name import validate_full_topic_name

from transcript_manager.audio.blocks import BlockSource
from transcript_manager.audio.live import LiveSource
from transcript_manager.audio.microphone import Microphone
from transcript_manager.audio.recovering import RecoveringMicrophone
from transcript_manager.audio.source import AudioSource
from transcript_manager.audio.timeline import ClockWatch
from transcript_manager.errors import ParameterError
from transcript_manager.ros import parameters
from transcript_manager.ros.audio_topic import AudioTopic
from transcript_manager.ros.recordings import open_recording


@dataclass(slots=True)
class OpenSource:
    """What is being listened to."""

    source: AudioSource
    microphone: RecoveringMicrophone | None = None
    topic: AudioTopic | None = None
    blocks: BlockSource | None = None

    @property
    def live(self) -> LiveSource | None:
        """The source, if it is a live one."""
        return self.source if isinstance(self.source, LiveSource) else None

    def close(self) -> None:
        """Let go of it; may be called twice."""
        if self.topic is not None:
            self.topic.close()
            self.topic = None
        self.source.close()


def is_live(values: Mapping[str, Any]) -> bool:
    """Whether the source is a microphone or a topic."""
    return values['source'] in (parameters.MICROPHONE, parameters.TOPIC)


def open_source(node: Node, values: Mapping[str, Any]) -> OpenSource:
    """
    Open the source.

    :raises TranscriptManagerError: if it cannot be opened
    """
    rate_hz, channel = values['sample_rate'], values['channel']
    if not is_live(values):
        return OpenSource(open_recording(values))
    watch = ClockWatch(time.time_ns, time.monotonic_ns)
    if values['source'] == parameters.MICROPHONE:
        wanted = values['device']

        def open_microphone() -> Microphone:
            nonlocal wanted
            opened = Microphone(wanted, channel=channel, sample_rate_hz=rate_hz)
            if wanted.strip().isdecimal():  # indices are given anew when a device comes back
                wanted = opened.device_name
            return opened

        microphone = RecoveringMicrophone(open_microphone)
        live = LiveSource(microphone, sample_rate_hz=rate_hz, watch=watch)
        return OpenSource(live, microphone=microphone)
    try:
        topic_name = node.resolve_topic_name(values['audio_topic'])
        validate_full_topic_name(topic_name)
    except Exception as error:  # rclpy's own types differ by distribution
        reason = ' '.join(str(error).split())
        raise ParameterError(
            f'parameter audio_topic is {values["audio_topic"]!r}, no name of a topic: {reason}'
        ) from error
    blocks = BlockSource(
        f'topic {topic_name}',
        sample_rate_hz=rate_hz,
        channel=channel,
    )
    topic = AudioTopic(
        node,
        blocks,
        topic=values['audio_topic'],
        type_name=values['audio_type'],
        rate_hz=values['audio_rate'],
        channels=values['audio_channels'],
    )
    uses_sim_time = node.get_parameter('use_sim_time').value
    live = LiveSource(
        blocks,
        sample_rate_hz=rate_hz,
        now_ns=lambda: node.get_clock().now().nanoseconds,
        watch=None if uses_sim_time else watch,
    )
    return OpenSource(live, topic=topic, blocks=blocks)
