"""
The nodes' common base: a managed (lifecycle) node with one thread for its heavy work.

configure reads what is needed (a model, a file) and makes publishers, activate begins to work,
deactivate ends that, cleanup lets go of what configure took. With the parameter ``autostart``, the
default, a node takes the first two steps itself, so that it works wherever it is started; without
it, a lifecycle manager takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
import threading
import traceback

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from transcript_manager.errors import TranscriptManagerError
from transcript_manager.ros.specs import declare, Spec

WORKER_NAME = 'transcript_manager worker'
_JOIN_TIMEOUT_S = 2.0
"""Longer than anything but a large model's decode; `ros2 launch` loses patience after 5 s."""


class ManagedNode(LifecycleNode):
    """
    A managed node whose heavy work is done in one thread of its own.

    A subclass overrides :meth:`configure`, :meth:`activate`, :meth:`deactivate` and
    :meth:`cleanup`, which raise a :class:`TranscriptManagerError` if they fail. Its worker checks
    ``self.stopping`` in its loops.

    :param specs: its parameters; their values are in ``self.values``
    :raises ParameterError: if a parameter given from outside does not fit
    """

    def __init__(self, name: str, specs: Iterable[Spec], **options) -> None:
        self.stopping = threading.Event()
        self.on_failure: Callable[[Exception], None] | None = None
        """Called from the worker's thread with what ended it; set before the worker starts."""
        self.failure: Exception | None = None
        self.is_active = False
        self.linger_s = 0.0
        """At the end of the process, for how long answers of this node are on their way [s]."""
        self._is_configured = False
        self._worker: threading.Thread | None = None
        self._refusal: Exception | None = None
        super().__init__(name, **options)
        # rclpy lets the exception of a transition that is not possible now end the executor.
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state
        self.values = declare(self, specs)

    # -- to be overridden ----------------------------------------------------------------------

    def configure(self) -> None:
        """Take what is needed."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """End the work; what is half done is completed."""

    def cleanup(self) -> None:
        """Let go of what configure has taken."""

    # -- states --------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """Name of the lifecycle state, e.g. 'active'."""
        return self._state_machine.current_state[1]

    def bring_up(self) -> None:
        """
        Configure and activate, if the parameter ``autostart`` says so.

        :raises TranscriptManagerError: if either fails
        """
        if not self.values['autostart']:
            return
        for trigger in (self.trigger_configure, self.trigger_activate):
            self._refusal = None
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise self._refusal or TranscriptManagerError(f'{self.get_name()} did not start')

    def close(self) -> None:
        """Deactivate and clean up; for the end of the process, when nothing spins any more."""
        if self._is_configured and self.state in ('active', 'inactive'):
            self.trigger_shutdown()

    def on_configure(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Configure; what fails is logged and leaves the node unconfigured."""
        result = self._step(self.configure)
        self._is_configured = result == TransitionCallbackReturn.SUCCESS
        if not self._is_configured:
            self._step(self.cleanup)
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate; what fails is logged and leaves the node inactive."""
        result = self._step(self.activate)
        self.is_active = result == TransitionCallbackReturn.SUCCESS
        super().on_activate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate."""
        self.is_active = False
        result = self._step(self.deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Clean up."""
        result = self._step(self.cleanup)
        self._is_configured = result != TransitionCallbackReturn.SUCCESS
        return result

    def on_shutdown(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """End whatever is still going on."""
        if self.is_active:
            self.is_active = False
            self._step(self.deactivate)
        if self._is_configured:
            self._is_configured = False
            self._step(self.cleanup)
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a defect."""
        return self.on_shutdown(state)

    def _step(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
        except TranscriptManagerError as error:
            self._refusal = error
            if not self.values['autostart']:  # otherwise the process says it as it ends
                self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._refusal = error
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _on_change_state(self, request, response):
        try:
            return self._change_state(request, response)
        except Exception as error:  # RCLError: from this state there is no such transition
            reason = ' '.join(str(error).split())
            self.get_logger().warning(f'no such transition from state {self.state!r}: {reason}')
            response.success = False
            return response

    # -- parameters ----------------------------------------------------------------------------

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters, all or none; of unknown ones the reason says which there are."""
        unknown = [p.name for p in parameter_list if not self.has_parameter(p.name)]
        if unknown:  # rclpy's own reason does not name it
            known = ', '.join(sorted(self._parameters))
            reason = f'unknown parameter {unknown[0]!r}; {self.get_name()} has: {known}'
            return SetParametersResult(successful=False, reason=reason)
        return super().set_parameters_atomically(parameter_list)

    # -- the worker ----------------------------------------------------------------------------

    def start_worker(self, work: Callable[[], None]) -> None:
        """
        Run ``work`` in the node's thread; what it raises is the node's failure.

        :raises TranscriptManagerError: if the last one is still at it
        """
        self.check_idle()
        self.stopping.clear()
        self._worker = threading.Thread(
            target=self._run, args=(work,), name=WORKER_NAME, daemon=True
        )
        self._worker.start()

    def check_idle(self) -> None:
        """Raise a :class:`TranscriptManagerError` if the last worker is still at it."""
        if self.is_working:
            raise TranscriptManagerError(f'{self.get_name()} is still ending its work; try again')

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if self.stopping.is_set():
                return
            self.failure = error
            if self.on_failure is not None:
                self.on_failure(error)

    def stop(self) -> None:
        """Ask the worker to end and wait for it, for a while."""
        self.stopping.set()
        # Not alive yet: a signal came while it was being started; it sees that it has to stop.
        if self.is_working and self._worker is not threading.current_thread():
            self._worker.join(_JOIN_TIMEOUT_S)

    @property
    def is_working(self) -> bool:
        """Whether the worker is still at it: inside a decode, it cannot be told to end."""
        return self._worker is not None and self._worker.is_alive()
