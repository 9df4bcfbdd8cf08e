"""What a node says about itself on /diagnostics, for rqt_robot_monitor and its like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

TOPIC = '/diagnostics'
_PERIOD_S = 1.0
_OTHER_CLOCK_S = 3600.0

_LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
}


@dataclass(slots=True)
class Health:
    """How one part of a node is."""

    part: str
    """What it is about, such as a namespace; '' for the node itself."""
    values: Mapping[str, object]
    level: str = 'ok'
    """'ok', 'warn' or 'error'."""
    messages: list[str] = field(default_factory=list)

    def note(self, level: str, message: str) -> None:
        """Add a complaint; the worst one gives the level."""
        if list(_LEVELS).index(level) > list(_LEVELS).index(self.level):
            self.level = level
        self.messages.append(message)

    def note_lag(self, lag_s: float, thresholds: Mapping[str, float]) -> None:
        """
        Add a complaint if what a node makes comes late.

        :param thresholds: with ``lag_warn_s`` and ``lag_error_s``
        """
        if lag_s > _OTHER_CLOCK_S:
            return  # a replay, or stamps of another clock: nothing can be said
        for level in ('error', 'warn'):
            if lag_s > thresholds[f'lag_{level}_s']:
                self.note(level, f'text comes {lag_s:.1f} s after its audio')
                return


class DiagnosticsPublisher:
    """
    Publish a node's health once a second, by a clock that goes on when simulated time does not.

    :param ask: returns how each part of the node is
    """

    def __init__(self, node: Node, ask: Callable[[], list[Health]]) -> None:
        self._node = node
        self._ask = ask
        self._publisher = node.create_publisher(DiagnosticArray, TOPIC, 10)
        node.create_timer(_PERIOD_S, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        """Publish now."""
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        array.status = [self._status(health) for health in self._ask()]
        self._publisher.publish(array)

    def _status(self, health: Health) -> DiagnosticStatus:
        name = self._node.get_fully_qualified_name().lstrip('/')
        return DiagnosticStatus(
            level=_LEVELS[health.level],
            name=f'{name}: {health.part}' if health.part else name,
            message='; '.join(health.messages) or 'running',
            values=[KeyValue(key=k, value=_text(v)) for k, v in health.values.items()],
        )


def _text(value: object) -> str:
    if isinstance(value, float):
        return f'{value:.3f}'
    return str(value).lower() if isinstance(value, bool) else str(value)
