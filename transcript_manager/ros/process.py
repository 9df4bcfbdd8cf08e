"""
A process of nodes: start them, spin them, end them cleanly.

The executor spins in a thread of its own, and the main thread waits: Python runs signal handlers
in the main thread only, and there it is free to run them at once. On SIGINT or SIGTERM the nodes
are stopped first and ROS is shut down last, so that no thread publishes into a dead context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import os
import queue
import signal
import sys
import threading
import time

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from transcript_manager.errors import TranscriptManagerError
from transcript_manager.ros.managed_node import ManagedNode, WORKER_NAME

EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 2
_JOIN_TIMEOUT_S = 2.0
"""Longer than anything but a large model's decode; `ros2 launch` loses patience after 5 s."""


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
        # A handler that set `finished` could wait for ever, for a lock that the thread it
        # interrupts holds in finished.wait(); the put of a SimpleQueue may interrupt itself.
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()

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
        threading.Thread(target=self._await_signal, name='signals', daemon=True).start()
        return self

    def _await_signal(self) -> None:
        while self._signals.get():
            self.finished.set()

    def _on_signal(self, number: int, _frame: object) -> None:
        self.interrupted = True
        self._signals.put(True)
        if self._is_constructing:  # fetching or loading a model: nobody waits for `finished` yet
            raise KeyboardInterrupt

    def interrupt(self) -> None:
        """Do what a signal does."""
        self.interrupted = True
        self.finished.set()

    def release_signals(self) -> None:
        """Let signals do again what they did before; may be called twice."""
        while self._previous_handlers:
            signal.signal(*self._previous_handlers.popitem())

    def add(self, factory: Callable[[], Node]) -> Node:
        """
        Create a node here and bring it up; its failure ends the process.

        :raises TranscriptManagerError: if ROS refuses it: a name, an enclave, a middleware
            without security
        """
        self._is_constructing = True
        try:
            try:
                node = factory()
            except rclpy_implementation.RCLError as error:
                raise TranscriptManagerError(
                    f'ROS refuses the node: {_one_line(error)}'
                ) from error
            self._nodes.append(node)
            if isinstance(node, ManagedNode):
                node.on_failure = self._fail
                node.bring_up()
        finally:
            self._is_constructing = False
        self._executor.add_node(node)
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

    def _run_in_executor(self, act: Callable[[], object]) -> None:
        """Let the executor's thread do something, and wait for it, for a while."""
        done = threading.Event()

        def run() -> None:
            try:
                act()
            finally:
                done.set()

        self._executor.create_task(run)
        done.wait(_JOIN_TIMEOUT_S)

    def __exit__(self, *_exc: object) -> None:
        """Stop the nodes, then ROS."""
        managed = [node for node in self._nodes if isinstance(node, ManagedNode)]
        for node in managed:
            node.stop()
        if self._spinner.is_alive():
            # While it still spins: goals that run are told their result.
            self._run_in_executor(lambda: [node.close() for node in managed])
            # What was answered is lost with a middleware that is shut down at once.
            time.sleep(max((node.linger_s for node in managed), default=0.0))
        self._executor.shutdown(timeout_sec=0)
        if self._spinner.is_alive():
            self._spinner.join(_JOIN_TIMEOUT_S)
        if not self._spinner.is_alive():  # a callback that hangs may be using them
            for node in managed:
                node.close()
        for node in self._nodes:
            if not (isinstance(node, ManagedNode) and node.is_working):
                node.destroy_node()
        rclpy.try_shutdown()
        self.release_signals()
        self._signals.put(False)


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
    if any(thread.name == WORKER_NAME for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # who read it has gone, or it is closed
                stream.flush()
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
