"""`transcript watch`: look at what a running robot understands."""

from __future__ import annotations

import argparse
import sys
import time

from rclpy.exceptions import InvalidNamespaceException
from rclpy.validate_namespace import validate_namespace

from transcript_manager.cli.follow import (
    add_view_arguments,
    check_view_arguments,
    Follower,
    KEYS,
)
from transcript_manager.cli.keys import Keys
from transcript_manager.cli.view import choose_view, LiveView, Marks, View
from transcript_manager.errors import ParameterError, TranscriptManagerError
from transcript_manager.ros.listener import Snapshot, TranscriptListener
from transcript_manager.ros.process import Process
from transcript_manager.streams.messages import NS_PER_S, to_ns

EXIT_OK = 0
_POLL_S = 0.1
_START_PATIENCE_S = 2.5
"""Diagnostics, which tell when the stream began, come once a second."""
_HINT_AFTER_S = 5.0
UPDATE_TYPE = 'transcript_manager/msg/TranscriptUpdate'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Attach to a running transcription, on this machine or another one, and show it live: '
        'final lines on standard output, what is still moving below them on a terminal. Ctrl-C '
        'or q ends the watching; the robot does not notice.'
    )
    parser.add_argument('--namespace', default='', help='ROS namespace of the robot')
    parser.add_argument(
        '--timestamps', action='store_true', help='put times in front of the lines of text'
    )
    parser.add_argument(
        '--until-end', action='store_true', help='end when the stream has ended, e.g. of a file'
    )
    add_view_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    try:
        validate_namespace('/' + args.namespace.strip('/'))
    except InvalidNamespaceException as error:
        raise ParameterError(f'--namespace: {" ".join(str(error).split())}') from error
    check_view_arguments(args)
    marks = Marks(confidence=args.confidence, conflicts=args.conflicts)
    view, view_prints_result = choose_view(
        stdout=sys.stdout,
        stderr=sys.stderr,
        result_on_stdout=True,
        quiet=args.quiet,
        marks=marks,
        keys=KEYS if Keys.available() else '',
    )
    ros_args = ['--ros-args', '--log-level', 'error']
    if isinstance(view, LiveView):
        ros_args.append('--disable-stdout-logs')  # a log line would tear the picture
    with Process(ros_args) as process:
        namespace = '/' + args.namespace.strip('/')
        listener = process.add(lambda: TranscriptListener(namespace=namespace))
        process.spin()
        follower = Follower(
            view,
            marks,
            live=args.live,
            streams_lines=not view_prints_result,
            timestamps=args.timestamps,
        )
        topic = f'{namespace.rstrip("/")}/transcript'
        if isinstance(view, LiveView):
            view.waiting_for = f'a transcript on {topic}'
        with follower:
            _watch(process, listener, view, follower, topic, until_end=args.until_end)
    if follower.unwritten:
        raise TranscriptManagerError(follower.unwritten)
    return EXIT_OK


def _watch(
    process: Process,
    listener: TranscriptListener,
    view: View,
    follower: Follower,
    topic: str,
    *,
    until_end: bool,
) -> None:
    started_s = heard_s = time.monotonic()
    start_ns: int | None = None
    is_hinted = False
    while not process.finished.is_set() and not follower.asks_to_quit():
        with listener.changed:
            listener.changed.wait(_POLL_S)
        if process.failure is not None:
            raise process.failure
        snapshot = listener.snapshot()
        is_heard = snapshot.revision > 0 or snapshot.segments
        if not is_heard:
            heard_s = time.monotonic()
        if not is_heard and not is_hinted and heard_s - started_s > _HINT_AFTER_S:
            is_hinted = True
            view.note(_hint(listener, topic))
        if is_heard and start_ns is None:
            start_ns = _start_ns(snapshot, is_late=time.monotonic() - heard_s > _START_PATIENCE_S)
        follower.press_keys()
        if start_ns is None:
            continue
        follower.show(snapshot, start_ns=start_ns)
        listener.let_go(follower.shown)
        # The text is not asked for: who comes late gets only the newest of it.
        if until_end and snapshot.is_ended and snapshot.has_all_frozen:
            return


def _start_ns(snapshot: Snapshot, *, is_late: bool) -> int | None:
    """
    Return what times count from: the stream's first sample, as with `transcript run`.

    :param is_late: nobody will tell any more; the first that was heard will do
    """
    if snapshot.vitals.stream_start_s is not None:
        return round(snapshot.vitals.stream_start_s * NS_PER_S)
    if not is_late:
        return None
    if snapshot.segments:
        return to_ns(snapshot.segments[0].start)
    return snapshot.position_ns - round(snapshot.window_s * NS_PER_S)


def _hint(listener: TranscriptListener, topic: str) -> str:
    """Say what there is instead of what was asked for."""
    found = sorted(
        name
        for name, kinds in listener.get_topic_names_and_types()
        if UPDATE_TYPE in kinds and listener.count_publishers(name)
    )
    if topic in found:
        return f'{topic} is there, and nothing was heard on it yet'
    spaces = [name.rpartition('/transcript')[0].strip('/') or "''" for name in found]
    if not spaces:
        return (
            f'nobody publishes {topic} here; is the robot in this ROS_DOMAIN_ID, and not kept to '
            'its own machine (ROS_AUTOMATIC_DISCOVERY_RANGE)?'
        )
    return f'nobody publishes {topic}; try --namespace {", or ".join(spaces)}'
