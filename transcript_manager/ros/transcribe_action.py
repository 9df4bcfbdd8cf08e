"""
The action ``~/transcribe``: listen for a while and return what was said.

Goals are event-driven: each merge tells every goal what was heard, and a goal's coroutine only
waits for its end. So they run side by side in the executor's one thread and disturb nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
import time
from typing import TYPE_CHECKING

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.task import Future

from transcript_manager.action import Transcribe
from transcript_manager.ros.conversions import to_duration, transcript_segment_to_msg
from transcript_manager.session.listening import Heard, Listening, Reason, REASONS
from transcript_manager.streams.messages import NS_PER_S

if TYPE_CHECKING:
    from transcript_manager.ros.transcript_node import TranscriptNode

_MAX_GOALS = 16
_CHECK_S = 0.5
_GRACE_S = 5.0
"""After its time is up by the wall clock a goal waits so long for the audio's to be up, too."""


@dataclass(slots=True)
class _Goal:
    handle: ServerGoalHandle
    future: Future
    max_duration_s: float
    accepted_s: float
    listening: Listening | None = None
    start_ns: int = 0


class TranscribeAction:
    """The action server of a transcript manager node."""

    def __init__(self, node: TranscriptNode) -> None:
        self._node = node
        self._goals: list[_Goal] = []
        self._server = ActionServer(
            node,
            Transcribe,
            '~/transcribe',
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
        )
        node.create_timer(_CHECK_S, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy(self) -> None:
        """Leave the graph."""
        self._server.destroy()

    @property
    def count(self) -> int:
        """Goals that are running."""
        return len(self._goals)

    def hear(self, heard: Heard) -> None:
        """Tell every goal what a merge has left."""
        if self._node.session.end_ns == 0:
            return  # a flush before the first window: there is no clock yet
        for goal in list(self._goals):
            if goal.listening is None:
                goal.listening = self._listening(goal, heard.end_s)
            reason = goal.listening.hear(heard)
            self._give_feedback(goal)
            if reason is not None:
                self._end(goal, reason)

    def interrupt(self, reason: Reason) -> None:
        """End all goals."""
        for goal in list(self._goals):
            self._end(goal, reason)

    # -- goals ---------------------------------------------------------------------------------

    def _on_goal(self, request: Transcribe.Goal) -> GoalResponse:
        node = self._node
        refusal = ''
        if not node.is_active or node.session is None:
            refusal = 'the node is not active'
        elif node.session.is_paused:
            refusal = 'the transcript is paused'
        elif len(self._goals) >= _MAX_GOALS:
            refusal = f'{_MAX_GOALS} goals are running already'
        elif min(_seconds(d) for d in _durations(request)) < 0:
            refusal = 'a duration is negative'
        elif _seconds(request.max_duration) > node.values['transcribe_max_s']:
            refusal = f'max_duration is over transcribe_max_s, {node.values["transcribe_max_s"]:g}'
        if refusal:
            node.get_logger().warning(f'a goal for transcribe is refused: {refusal}')
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        # The coroutine goes on when this callback has returned and the goal is "canceling".
        for goal in self._goals:
            if goal.handle.goal_id == handle.goal_id:
                self._node.executor.create_task(self._end, goal, Reason.CANCELLED)
                return CancelResponse.ACCEPT
        return CancelResponse.REJECT

    async def _execute(self, handle: ServerGoalHandle) -> Transcribe.Result:
        node = self._node
        goal = _Goal(
            handle,
            Future(executor=node.executor),
            _seconds(handle.request.max_duration) or node.values['transcribe_max_s'],
            time.monotonic(),
        )
        if node.session is None:
            handle.abort()
            return self._result(goal, Reason.INTERRUPTED)
        goal.start_ns = node.stream_now_ns()
        self._goals.append(goal)
        reason, result = await goal.future
        if reason is Reason.CANCELLED:
            handle.canceled()
        elif reason in (Reason.NO_AUDIO, Reason.INTERRUPTED):
            handle.abort()
        else:
            handle.succeed()
        return result

    def _listening(self, goal: _Goal, end_s: float) -> Listening:
        """Begin to listen, at a goal's first merge."""
        session = self._node.session
        request = goal.handle.request
        start_s = session.to_s(goal.start_ns)
        if abs(start_s - end_s) > 2 * _GRACE_S + goal.max_duration_s:
            start_s = end_s  # the stamps are of another clock
        return Listening(
            start_s,
            max_duration_s=goal.max_duration_s,
            silence_s=_seconds(request.stop_after_silence),
            give_up_s=_seconds(request.give_up_after),
        )

    def _give_feedback(self, goal: _Goal) -> None:
        goal.handle.publish_feedback(
            Transcribe.Feedback(
                stable_text=goal.listening.stable_text,
                tentative_text=goal.listening.tentative_text,
                elapsed=to_duration(round(goal.listening.elapsed_s * NS_PER_S)),
            )
        )

    def _check(self) -> None:
        """End goals whose audio does not go on."""
        now_s = time.monotonic()
        for goal in list(self._goals):
            if now_s - goal.accepted_s > goal.max_duration_s + _GRACE_S:
                is_deaf = goal.listening is None
                self._end(goal, Reason.NO_AUDIO if is_deaf else Reason.MAX_DURATION)

    def _end(self, goal: _Goal, reason: Reason) -> None:
        if goal in self._goals:
            self._goals.remove(goal)
            # Made now: a session that ends takes its clock along.
            goal.future.set_result((reason, self._result(goal, reason)))

    def _result(self, goal: _Goal, reason: Reason) -> Transcribe.Result:
        session = self._node.session
        segments = goal.listening.segments if goal.listening is not None else []
        origin_ns = session.origin_ns() if session is not None else 0
        return Transcribe.Result(
            reason=int(reason),
            message=REASONS[reason],
            text=''.join(s.text for s in segments).strip(),
            segments=[transcript_segment_to_msg(s, origin_ns=origin_ns) for s in segments],
            language=session.language if session is not None else '',
        )


def _durations(request: Transcribe.Goal) -> tuple:
    return request.max_duration, request.stop_after_silence, request.give_up_after


def _seconds(duration) -> float:
    return duration.sec + duration.nanosec / NS_PER_S
