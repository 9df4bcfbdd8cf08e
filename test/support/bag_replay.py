"""
Stand-ins for `ros2 bag play --clock` and `ros2 bag record`, which are not on PyPI.

The topics, the messages, /clock and the bags are real; only these two programs are not. Both have
a ROS context of their own, so that they go beside whatever a test runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
import importlib
from pathlib import Path
import threading
import time
from typing import Any

from bag_tools import typestore, write_bag
import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock

_TIMEOUT_S = 60.0
_CLOCK_HZ = 40.0  # as `ros2 bag play --clock`
_QOS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
NS_PER_S = 1_000_000_000


def _message_class(type_name: str) -> Any:
    package, _, name = type_name.partition('/msg/')
    return getattr(importlib.import_module(f'{package}.msg'), name)


@contextmanager
def _node(name: str) -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context)
    node = Node(name, context=context, start_parameter_services=False)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def play(
    bag: Path,
    *,
    topics: Collection[str],
    rate: float = 1.0,
    namespace: str = '',
    subscribers: int = 1,
) -> None:
    """
    Publish the messages of a bag as they were recorded, and its time on /clock.

    Begins when all who are to hear it from its beginning are there.

    :param topics: names of those to play
    :param rate: how much faster than they were recorded
    :param namespace: put in front of the topics, with its slash
    :param subscribers: of each topic; the clock has at least one
    """
    with _node('bag_player') as node, AnyReader([bag], default_typestore=typestore()) as reader:
        wanted = [c for c in reader.connections if c.topic in topics]
        assert {c.topic for c in wanted} == set(topics), f'{bag} lacks one of {topics}'
        publishers = {
            c.topic: node.create_publisher(_message_class(c.msgtype), namespace + c.topic, _QOS)
            for c in wanted
        }
        clock = node.create_publisher(Clock, '/clock', 10)
        _wait(
            lambda: (
                clock.get_subscription_count() > 0
                and all(p.get_subscription_count() >= subscribers for p in publishers.values())
            ),
            f'subscribers of /clock and {topics}',
        )
        first_ns, started_s = reader.start_time, time.monotonic()

        def run_to(at_ns: int) -> None:
            """Let time pass until a moment of the bag."""
            while True:
                passed_ns = int((time.monotonic() - started_s) * rate * NS_PER_S)
                now_ns = min(at_ns, first_ns + passed_ns)
                message = Clock()
                message.clock.sec, message.clock.nanosec = divmod(now_ns, NS_PER_S)
                clock.publish(message)
                if now_ns >= at_ns:
                    return
                due_s = (at_ns - now_ns) / NS_PER_S / rate
                time.sleep(min(due_s, 1 / _CLOCK_HZ))

        for connection, recorded_ns, data in reader.messages(connections=wanted):
            run_to(recorded_ns)
            publishers[connection.topic].publish(bytes(data))
        for publisher in publishers.values():
            publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=30))


def _wait(condition, what: str) -> None:
    end_s = time.monotonic() + _TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s, f'{what}: not within {_TIMEOUT_S} s'
        time.sleep(0.02)


class Recorder:
    """
    Write what is published into a bag, from ``__enter__`` to ``__exit__``.

    :param bag: folder to be made
    :param topics: type names by topic
    """

    def __init__(self, bag: Path, topics: dict[str, str]) -> None:
        self._bag = bag
        self._topics = topics
        self.messages: list[tuple[str, str, int, bytes]] = []
        """Topic, type, when it came [ns], as CDR."""

    def wait_for_publishers(self) -> None:
        """Wait until every topic has somebody who publishes on it."""
        _wait(lambda: all(map(self._node.count_publishers, self._topics)), 'publishers')

    def __enter__(self) -> Recorder:
        """Begin."""
        self._entered = _node('bag_recorder')
        self._node = self._entered.__enter__()
        for topic, kind in self._topics.items():
            self._node.create_subscription(
                _message_class(kind),
                topic,
                lambda data, topic=topic, kind=kind: self.messages.append(
                    (topic, kind, time.time_ns(), bytes(data))
                ),
                _QOS,
                raw=True,
            )
        self._executor = SingleThreadedExecutor(context=self._node.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        return self

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def __exit__(self, *exc: object) -> None:
        """End, and write the bag."""
        self._executor.shutdown()
        self._thread.join(_TIMEOUT_S)
        self._entered.__exit__(None, None, None)
        write_bag(self._bag, self.messages)
