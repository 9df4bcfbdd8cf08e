"""
A process of nodes: start them, spin them, end them cleanly.

The executor spins in a thread of its own, and the main thread waits: Python runs signal handlers
in the main thread only, and there it is free to run them at once. On SIGINT or SIGTERM the nodes
are stopped first and ROS is shut down last, so that no thread publishes into a dead context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
import signal
import sys
import threading

from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from transcript_manager.errors import TranscriptManagerError

_WORKER_NAME = 'transcript_manager worker'
EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 2
_JOIN_TIMEOUT_S = 2.0
"""Longer than anything but a large model's decode; `ros2 launch` loses patience after 5 s."""


class WorkerNode(Node):
    """
    A node whose heavy work is done in one thread of its own.

    A subclass calls :meth:`start_worker` at the end of its constructor and checks
    ``self.stopping`` in its loops.
    """

    def __init__(self, name: str, **options) -> None:
        super().__init__(name, **options)
        self.stopping = threading.Event()
        self.on_failure: Callable[[Exception], None] | None = None
        """Called from the worker's thread with what ended it; set before the worker starts."""
        self.failure: Exception | None = None
        self._worker: threading.Thread | None = None

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters, all or none; of unknown ones the reason says which there are."""
        unknown = [p.name for p in parameter_list if not self.has_parameter(p.name)]
        if unknown:  # rclpy's own reason does not name it
            known = ', '.join(sorted(self._parameters))
            reason = f'unknown parameter {unknown[0]!r}; {self.get_name()} has: {known}'
            return SetParametersResult(successful=False, reason=reason)
        return super().set_parameters_atomically(parameter_list)

    def start_worker(self, work: Callable[[], None]) -> None:
        """Run ``work`` in the node's thread; what it raises is the node's failure."""
        self._worker = threading.Thread(
            target=self._run, args=(work,), name=_WORKER_NAME, daemon=True
        )
        self._worker.start()

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
        if self._worker is not None:
            self._worker.join(_JOIN_TIMEOUT_S)

    @property
    def is_working(self) -> bool:
        """Whether the worker is still at it: inside a decode, it cannot be told to end."""
        return self._worker is not None and self._worker.is_alive()


class Process:
    """
    Nodes spinning in this process, between ``__enter__`` and ``__exit__``.

    ``finished`` is set by SIGINT, SIGTERM, a failing node, or whoever has seen the end.

    :param args: command-line arguments for ROS; None takes none
    """

    def __init__(self, args: Sequence[str] | None = None) -> None:
        self.finished = threading.Event()
        self.failure: Exception | None = None
        self.interrupted = False
        self._args = list(args or ())
        self._is_constructing = False
        self._nodes: list[Node] = []
        self._previous_handlers: dict[int, object] = {}

    def __enter__(self) -> Process:
        """Initialise ROS and take over SIGINT and SIGTERM."""
        try:
            rclpy.init(args=self._args, signal_handler_options=SignalHandlerOptions.NO)
        except Exception as error:  # rclpy's own types for bad arguments differ by distribution
            raise TranscriptManagerError(f'ROS arguments: {_one_line(error)}') from error
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous_handlers[number] = signal.signal(number, self._on_signal)
        self._executor = SingleThreadedExecutor()
        self._spinner = threading.Thread(target=self._spin, name='executor', daemon=True)
        return self

    def _on_signal(self, number: int, _frame: object) -> None:
        self.interrupted = True
        self.finished.set()
        if self._is_constructing:  # fetching or loading a model: nobody waits for `finished` yet
            raise KeyboardInterrupt

    def add(self, factory: Callable[[], Node]) -> Node:
        """Create a node here; its failure ends the process."""
        self._is_constructing = True
        try:
            node = factory()
        finally:
            self._is_constructing = False
        self._nodes.append(node)
        self._executor.add_node(node)
        if isinstance(node, WorkerNode):
            node.on_failure = self._fail
            if node.failure is not None:  # it was quicker than we are
                self._fail(node.failure)
        return node

    def _fail(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
        self.finished.set()

    def spin(self) -> None:
        """Start spinning, in the background."""
        self._spinner.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:
            self._fail(error)

    def __exit__(self, *_exc: object) -> None:
        """Stop the nodes, then ROS."""
        for node in self._nodes:
            if isinstance(node, WorkerNode):
                node.stop()
        self._executor.shutdown(timeout_sec=0)
        if self._spinner.is_alive():
            self._spinner.join(_JOIN_TIMEOUT_S)
        for node in self._nodes:
            if not (isinstance(node, WorkerNode) and node.is_working):
                node.destroy_node()
        rclpy.try_shutdown()
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)


def run_node(name: str, factory: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """
    Run one node until SIGINT, SIGTERM or its failure; the body of every executable.

    :returns: the exit code: 0 after a signal, 2 for a mistake of the user, 1 for a defect
    """
    code = _run_node(name, factory, args)
    leave_running_decode(code)
    return code


def leave_running_decode(code: int) -> None:
    """End the process here and now if a worker is inside a decode: it would outlive Python."""
    if any(thread.name == _WORKER_NAME for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run_node(name: str, factory: Callable[[], Node], args: Sequence[str] | None) -> int:
    try:
        with Process(sys.argv if args is None else args) as process:
            try:
                process.add(factory)
                process.spin()
                process.finished.wait()
                if process.failure is not None:
                    raise process.failure
            except TranscriptManagerError as error:
                get_logger(name).fatal(str(error))
                return EXIT_USAGE
    except KeyboardInterrupt:  # by a signal, before there was a node to stop
        return EXIT_OK
    except TranscriptManagerError as error:
        print(f'{name}: {error}', file=sys.stderr)
        return EXIT_USAGE
    return EXIT_OK


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())
