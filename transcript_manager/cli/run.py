"""`transcript run`: the three nodes in one process, over their real topics."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
import sys
import time

from rclpy.exceptions import InvalidNamespaceException
from rclpy.parameter import Parameter
from rclpy.validate_namespace import validate_namespace

from transcript_manager.audio.files import FileSource
from transcript_manager.cli.follow import (
    add_view_arguments,
    check_view_arguments,
    Follower,
    KEYS,
)
from transcript_manager.cli.keys import Keys
from transcript_manager.cli.lock import BUSY, topics_locked
from transcript_manager.cli.models import progress_bar
from transcript_manager.cli.output import check_apart, check_output, write_output
from transcript_manager.cli.view import choose_view, LiveView, Marks, View
from transcript_manager.decoder import models
from transcript_manager.errors import AudioSourceError, ParameterError, TranscriptManagerError
from transcript_manager.export.formats import canonical, CHOICES, Options, render
from transcript_manager.export.order import put_in_order
from transcript_manager.export.page.audio import embed, open_audio
from transcript_manager.export.page.html import PageAudio
from transcript_manager.result import Result
from transcript_manager.ros import parameters
from transcript_manager.ros.audio_ring_node import AudioRingNode
from transcript_manager.ros.listener import to_result, TranscriptListener
from transcript_manager.ros.process import Process
from transcript_manager.ros.transcript_node import TranscriptNode
from transcript_manager.ros.whisper_node import WhisperNode
from transcript_manager.streams.audio_bag import BagSource

EXIT_OK = 0
EXIT_INTERRUPTED = 130
_POLL_S = 0.1
_COMPANY_CHECK_S = 5.0
"""Other nodes are discovered within this time; who comes later has to check for us."""
_FLUSH_TIMEOUT_S = 30.0
"""After the end is asked for, the last decode may take this long."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Run the audio ring, whisper.cpp and the transcript manager in one process, over '
        'their real ROS topics; other nodes can subscribe meanwhile. The result goes to '
        'standard output, everything else to standard error.'
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--audio', metavar='FILE', help='a sound file of any common format')
    source.add_argument('--bag', metavar='BAG', help='a rosbag2 bag with audio in it')
    source.add_argument(
        '--mic',
        metavar='NAME',
        nargs='?',
        const='',
        help='the microphone: name, part of a name or index; the default one without NAME',
    )
    parser.add_argument(
        '--topic',
        metavar='NAME',
        help='an audio topic of any known type; with --bag: that of the audio, if it has several',
    )
    parser.add_argument(
        '--channel',
        type=int,
        metavar='N',
        help='of the microphone, topic or bag, from 1 (0: their mean)',
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        '--realtime', action='store_true', help='play it as it was recorded (the default)'
    )
    pace.add_argument(
        '--fast', action='store_true', help='as fast as the machine goes; no window is skipped'
    )
    parser.add_argument(
        '--model',
        default='base.en',
        metavar='NAME|PATH',
        help='"demo", an official name (see `transcript models`) or a ggml file (%(default)s)',
    )
    parser.add_argument('--language', metavar='CODE', help='ISO 639-1 code or "auto" (en)')
    parser.add_argument('--translate', action='store_true', help='into English')
    parser.add_argument(
        '--prompt', metavar='TEXT', help='what the talk is about, names and their spelling'
    )
    parser.add_argument('--no-vad', action='store_true', help='decode windows without speech, too')
    parser.add_argument('--threads', type=int, metavar='N', help='of whisper.cpp (0: automatic)')
    parser.add_argument('--window', type=float, metavar='S', help='window length [s] (10)')
    parser.add_argument('--hop', type=float, metavar='S', help='time between windows [s] (1)')
    parser.add_argument('--namespace', default='', help='ROS namespace of the nodes and topics')
    parser.add_argument('--format', choices=CHOICES, default='text', help='(%(default)s)')
    parser.add_argument(
        '--timestamps', action='store_true', help='put times in front of the lines of text'
    )
    parser.add_argument('-o', '--output', metavar='FILE', help='write the result to FILE')
    add_view_arguments(parser)
    parser.add_argument('-v', '--verbose', action='store_true', help="show the nodes' log")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    _check(args)
    with progress_bar() as progress:
        model = models.resolve(args.model, progress=progress)
    if args.window is not None and args.window > model.max_window_s:
        raise ParameterError(
            f'--window is {args.window:g}, model {model.name} takes windows of at most '
            f'{model.max_window_s:g} s'
        )
    marks = Marks(confidence=args.confidence, conflicts=args.conflicts)
    view, view_prints_result = choose_view(
        stdout=sys.stdout,
        stderr=sys.stderr,
        result_on_stdout=_text_on_stdout(args),
        quiet=args.quiet,
        marks=marks,
        keys=KEYS if Keys.available() else '',
    )
    ros_args = ['--ros-args', '--log-level', 'info' if args.verbose else 'warn']
    if isinstance(view, LiveView):
        ros_args.append('--disable-stdout-logs')  # a log line would tear the picture
    with topics_locked(args.namespace), Process(ros_args) as process:
        session = _Session(args, process)
        follower = Follower(
            view,
            marks,
            live=args.live,
            streams_lines=_text_on_stdout(args) and not view_prints_result,
            timestamps=args.timestamps,
        )
        return session.run(view, follower)


def _source(args: argparse.Namespace) -> str:
    path = args.audio if args.audio is not None else args.bag
    if path is not None:
        # A file of such a name is still a file.
        is_name = path in (parameters.MICROPHONE, parameters.TOPIC)
        return f'./{path}' if is_name else path
    return parameters.TOPIC if args.topic is not None else parameters.MICROPHONE


def _is_live(args: argparse.Namespace) -> bool:
    """Whether Ctrl-C is how it ends."""
    return args.audio is None and args.bag is None


def _text_on_stdout(args: argparse.Namespace) -> bool:
    return canonical(args.format) == 'text' and args.output is None


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is loaded."""
    given = [s for s in (args.audio, args.bag, args.mic, args.topic) if s is not None]
    if not given:
        raise ParameterError('give --audio FILE, --bag BAG, --mic or --topic NAME to listen to')
    if args.topic is not None and args.bag is None and len(given) > 1:
        raise ParameterError('--topic goes alone, or with --bag: it names where the audio is')
    if _is_live(args) and args.fast:
        raise ParameterError(
            '--fast is for sound files: a microphone or topic gives no audio faster'
        )
    if args.channel is not None and args.audio is not None:
        raise ParameterError('--channel is for --mic, --topic and --bag: of a file all are heard')
    if args.timestamps and canonical(args.format) != 'text':
        raise ParameterError('--timestamps is for --format text; the others have times in them')
    try:
        validate_namespace('/' + args.namespace.removeprefix('/'))
    except InvalidNamespaceException as error:
        raise ParameterError(f'--namespace: {" ".join(str(error).split())}') from error
    if args.audio is not None:
        FileSource(args.audio).close()
    if args.bag is not None:
        BagSource(args.bag, topic=args.topic, channel=args.channel or 0).close()
    check_output(args.output)
    check_apart(args.output, args.audio, args.bag)
    check_view_arguments(args, args.output, args.audio, args.bag)


class _Session:
    """One run: the graph, the view on it, and the result at its end."""

    def __init__(self, args: argparse.Namespace, process: Process) -> None:
        self._args = args
        self._process = process
        self._started_s = time.monotonic()
        self._first_start_ns: int | None = None
        self._is_recording = args.audio is not None or args.bag is not None
        namespace = args.namespace

        def add(factory, values: dict[str, object]):
            overrides = [Parameter(k, value=v) for k, v in values.items() if v is not None]
            return process.add(lambda: factory(namespace=namespace, parameter_overrides=overrides))

        self._listener: TranscriptListener = add(TranscriptListener, {})
        add(TranscriptNode, {})
        self._whisper: WhisperNode = add(
            WhisperNode,
            {
                'model': args.model,
                'threads': args.threads,
                'language': args.language,
                'translate': args.translate or None,
                'prompt': args.prompt,
                'vad': False if args.no_vad else None,
                # Its stamps are of when it was recorded: today's clock has no part in it.
                'use_sim_time': True if args.bag is not None else None,
            },
        )
        process.spin()
        pace = parameters.LOCKSTEP if args.fast else parameters.REALTIME
        # Last: a microphone's first words find the model loaded.
        self._ring: AudioRingNode = add(
            AudioRingNode,
            {
                'source': _source(args),
                'bag_topic': args.topic,
                'device': args.mic,
                'channel': args.channel,
                'audio_topic': args.topic,
                'pace': pace,
                'start_delay_s': 0.0,  # whom we need to find is in this process
                'window_s': args.window,
                'hop_s': args.hop,
            },
        )

    def run(self, view: View, follower: Follower) -> int:
        if isinstance(view, LiveView):
            view.duration_s = self._ring.duration_s
        with follower:
            is_complete = self._follow(follower)
        # From here on nobody looks at the process's events: Ctrl-C ends what is written now.
        self._process.release_signals()
        final = to_result(self._listener.snapshot(), start_ns=self._start_ns() or 0)
        for note in put_in_order(final):
            print(f'transcript: {note}', file=sys.stderr)
        if not _text_on_stdout(self._args):
            self._write(final)
        if not self._args.quiet:
            self._summarise(final)
        if self._ring.failure is not None:
            raise self._ring.failure
        if follower.unwritten:
            raise TranscriptManagerError(follower.unwritten)
        if is_complete and (_is_live(self._args) or not self._process.interrupted):
            return EXIT_OK
        return EXIT_INTERRUPTED

    def _start_ns(self) -> int | None:
        """Return what times count from: the first stream's start, whatever follows it [ns]."""
        if self._first_start_ns is None:
            self._first_start_ns = self._ring.stream_start_ns
        return self._first_start_ns

    def _follow(self, follower: Follower) -> bool:
        """Show the session until it is complete; False if its end had to be given up."""
        is_ending = False
        give_up_s: float | None = None  # time.monotonic()
        while True:
            with self._listener.changed:
                self._listener.changed.wait(_POLL_S)
            failure = self._process.failure
            if failure is not None and not isinstance(failure, AudioSourceError):
                raise failure
            self._refuse_company()
            snapshot = self._listener.snapshot()
            follower.press_keys()
            start_ns = self._start_ns()
            if start_ns is not None:
                follower.show(snapshot, start_ns=start_ns)
            # A live source goes on behind the end of a stream: its clock was set, perhaps.
            may_end = self._is_recording or is_ending
            if snapshot.is_complete and may_end:
                return True
            if snapshot.is_ended and may_end and give_up_s is None:
                give_up_s = time.monotonic() + _FLUSH_TIMEOUT_S
            if follower.asks_to_quit():
                self._process.interrupt()
            if self._process.finished.is_set():
                if is_ending:  # a second signal
                    return False
                # A signal, or the source has failed: what was heard so far is the result.
                is_ending = True
                give_up_s = time.monotonic() + _FLUSH_TIMEOUT_S
                self._process.finished.clear()
                self._ring.end_stream()
            if give_up_s is not None and time.monotonic() > give_up_s:
                return False

    def _refuse_company(self) -> None:
        """Refuse company that the lock cannot see: nodes of their own, or other machines."""
        if time.monotonic() - self._started_s > _COMPANY_CHECK_S:
            return
        for topic in ('audio_window', 'tokens', 'transcript'):
            if self._listener.count_publishers(topic) > 1:
                raise TranscriptManagerError(BUSY)

    def _write(self, final: Result) -> None:
        args = self._args
        path = args.audio if args.audio is not None else args.bag
        options = Options(timestamps=args.timestamps)
        failure: TranscriptManagerError | None = None
        if path is not None and args.format == 'html':
            options = replace(options, title=Path(path).stem)
            try:
                options = replace(options, audio=self._page_audio(path))
            except TranscriptManagerError as error:  # the text is kept, without the sound
                failure = error
        write_output(render(final, args.format, options), args.output)
        if failure is not None:
            raise failure

    def _page_audio(self, path: str) -> PageAudio | None:
        if self._ring.failure is not None:  # the text is kept, without what cannot be read
            return None
        channel = self._args.channel or 0
        with open_audio(path, topic=self._args.topic, channel=channel) as source:
            return embed(source)

    def _summarise(self, final: Result) -> None:
        whisper = self._whisper
        words = sum(len(s.words) for s in final.segments)
        per_window_ms = 1000 * whisper.busy_s / max(1, whisper.decoded_windows)
        print(
            f'{words} words in {len(final.segments)} segments; {whisper.decoded_windows} windows '
            f'decoded at {per_window_ms:.0f} ms, {whisper.silent_windows} silent, '
            f'{whisper.skipped_windows} skipped',
            file=sys.stderr,
        )
