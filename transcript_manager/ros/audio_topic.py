"""Audio topics of any known type, found and subscribed when they are there."""

from __future__ import annotations

import functools
import importlib

from rclpy.clock import Clock, ClockType
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from transcript_manager.audio.blocks import BlockSource
from transcript_manager.errors import ParameterError
from transcript_manager.ros import qos
from transcript_manager.streams.audio_messages import is_audio_type, SUPPORTED_TYPES, to_block

RCLError = rclpy_implementation.RCLError
_LOOK_S = 0.25


class AudioTopic:
    """
    Feed a source from a topic.

    A type's package is imported when somebody publishes it, and only if it is installed.

    :param topic: its name, relative to the node's namespace
    :param type_name: such as 'std_msgs/msg/Int16MultiArray'; '' for what is published there
    :param rate_hz: of types that do not tell their rate [Hz]
    :param channels: of types that do not tell
    :raises ParameterError: if the type is not known, or the node would hear itself
    """

    def __init__(
        self,
        node: Node,
        source: BlockSource,
        *,
        topic: str,
        type_name: str,
        rate_hz: int,
        channels: int,
    ) -> None:
        self.complaint = ''
        """Why nothing is subscribed yet."""
        self.type_name = ''
        """Of what is subscribed; '' for nothing yet."""
        self._node = node
        self._source = source
        self._topic = node.resolve_topic_name(topic)
        own = [p.topic_name for p in node.publishers]
        if self._topic in own:
            raise ParameterError(
                f'parameter audio_topic is {topic!r}, which this node publishes itself; choose '
                'another one, or remap one of them'
            )
        parts = type_name.split('/')
        wanted = f'{parts[0]}/msg/{parts[-1]}' if len(parts) in (2, 3) else type_name
        if type_name and len(parts) not in (2, 3):
            raise ParameterError(
                f'parameter audio_type is {type_name!r}, must be one of: '
                f'{", ".join(SUPPORTED_TYPES)}'
            )
        self._wanted = wanted
        self._read = {'default_rate_hz': rate_hz, 'default_channels': channels}
        self._subscription = None
        self._timer = node.create_timer(
            _LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._look()

    @property
    def publishers(self) -> int:
        """How many there are on the topic."""
        return self._node.count_publishers(self._topic)

    def _look(self) -> None:
        """Subscribe to what is published, or to what was named; another type replaces it."""
        names = sorted(
            {p.topic_type for p in self._node.get_publishers_info_by_topic(self._topic)}
        )
        if self._wanted:
            names = [self._wanted]
        elif not names:
            if not self.type_name:
                self.complaint = f'nobody publishes {self._topic}'
            return
        if self.type_name in names:
            self.complaint = ''
            return
        problems = []
        for name in names:
            kind, problem = _load(name)
            if kind is None:
                problems.append(problem)
                continue
            self._subscribe(kind, name)
            return
        self._complain('; '.join(problems))

    def _subscribe(self, kind: type, name: str) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self.type_name = ''
        try:
            self._subscription = self._node.create_subscription(
                kind, self._topic, self._on_message, qos.AUDIO_IN
            )
        except RCLError as error:  # this process has the topic with another type
            self._complain(f'{self._topic} cannot be subscribed: {" ".join(str(error).split())}')
            return
        self.type_name = name
        self.complaint = ''
        self._node.get_logger().info(f'{self._topic} carries {name}')

    def _complain(self, complaint: str) -> None:
        if complaint != self.complaint:
            self._node.get_logger().warning(complaint)
        self.complaint = complaint

    def _on_message(self, message) -> None:
        read = functools.partial(to_block, message, type_name=self.type_name, **self._read)
        self._source.put(read, self._node.get_clock().now().nanoseconds)

    def close(self) -> None:
        """Subscribe no longer."""
        self._node.destroy_timer(self._timer)
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None


def _load(name: str) -> tuple[type | None, str]:
    """Return a message's class, or None and what is wrong with it."""
    package, _, kind = name.partition('/msg/')
    try:
        found = getattr(importlib.import_module(f'{package}.msg'), kind)
        fields = found.get_fields_and_field_types()
    except (ImportError, AttributeError, ValueError):
        return None, f'the message type {name} is not installed here: install {package}'
    if not is_audio_type(name, fields):
        return None, f'{name} is no audio that is known here: {", ".join(SUPPORTED_TYPES)}'
    return found, ''
