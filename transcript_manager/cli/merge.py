"""`transcript merge`: the merge alone, as fast as it goes; no ROS graph, no model."""

from __future__ import annotations

import argparse
from array import array
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import fields
import gc
import json
from pathlib import Path
import resource
import statistics
import sys
import time
from typing import TextIO

from transcript_manager.cli.output import check_apart, check_output, write_output
from transcript_manager.errors import ParameterError, StreamError, TranscriptManagerError
from transcript_manager.export.formats import canonical, CHOICES, Options, render
from transcript_manager.merge.segments import split_text, TranscriptSegment
from transcript_manager.merge.transcript import MergeSettings, Transcript
from transcript_manager.result import from_segment, Result
from transcript_manager.streams.bag import is_bag, read_bag
from transcript_manager.streams.jsonl import read_jsonl
from transcript_manager.streams.messages import NS_PER_S, to_decode, to_ns
from transcript_manager.streams.trace import TraceLine

EXIT_OK = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Merge recorded tokens: a STREAM.jsonl, or a rosbag2 bag with `tokens` in it. Runs what '
        'the transcript manager node runs, as fast as it goes, without ROS and without a model. '
        'Times of a .jsonl file stay what they are there; those of a bag count from its first '
        'window, as with `transcript run`.'
    )
    parser.add_argument('stream', metavar='STREAM.jsonl|BAG', help='what to merge')
    parser.add_argument('--topic', metavar='NAME', help='of the tokens, if a bag has several')
    parser.add_argument('--format', choices=CHOICES, default='text', help='(%(default)s)')
    parser.add_argument(
        '--timestamps', action='store_true', help='put times in front of the lines of text'
    )
    parser.add_argument('-o', '--output', metavar='FILE', help='write the result to FILE')
    parser.add_argument(
        '--trace', metavar='TRACE.jsonl', help='write what each window made stable and showed'
    )
    parser.add_argument(
        '--stats', action='store_true', help='print what a merge took, as JSON, on standard error'
    )
    parser.add_argument(
        '-p',
        '--param',
        metavar='NAME=VALUE',
        action='append',
        default=[],
        help='set a parameter of the transcript manager, such as min_lead=0.8',
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    if args.timestamps and canonical(args.format) != 'text':
        raise ParameterError('--timestamps is for --format text; the others have times in them')
    settings = _settings(args.param)
    check_output(args.output)
    check_output(args.trace)
    _check_apart(args)
    if not Path(args.stream).exists():  # before a trace of an earlier run is emptied
        raise StreamError(f'cannot read {args.stream}: No such file or directory')
    with _open(args.trace) as trace:
        session = _Session(settings, trace)
        session.merge(Path(args.stream), args.topic)
    final = session.result
    text = render(final, args.format, Options(timestamps=args.timestamps))
    write_output(text, args.output)
    if args.stats:
        print(json.dumps(session.stats()), file=sys.stderr)
    return EXIT_OK


def _check_apart(args: argparse.Namespace) -> None:
    """Refuse to write over what is read, or two results into one file."""
    written = {'-o': args.output, '--trace': args.trace}
    for option, path in written.items():
        check_apart(path, args.stream, option=option)
    if None not in written.values() and len({Path(p).resolve() for p in written.values()}) == 1:
        raise ParameterError(f'-o and --trace are both {args.output}; give two files')


def _open(path: str | None) -> TextIO | nullcontext[None]:
    if path is None:
        return nullcontext()
    try:
        return open(path, 'w', buffering=1, encoding='utf-8')  # whole lines, as they come
    except OSError as error:
        raise TranscriptManagerError(f'cannot write {path}: {error.strerror}') from error


def _settings(assignments: Sequence[str]) -> MergeSettings:
    """Read NAME=VALUE pairs."""
    kinds = {f.name: type(f.default) for f in fields(MergeSettings)}
    values = {}
    for assignment in assignments:
        name, _, value = assignment.partition('=')
        if name not in kinds:
            raise ParameterError(
                f'-p {assignment}: no such parameter; there are {", ".join(kinds)}'
            )
        try:
            values[name] = kinds[name](value)
        except ValueError as error:
            kind = 'a whole number' if kinds[name] is int else 'a number'
            raise ParameterError(f'-p {assignment}: the value is not {kind}') from error
    return MergeSettings(**values)


def _messages(path: Path, topic: str | None) -> Iterator:
    if is_bag(path):
        return read_bag(path, topic=topic)
    if topic is not None:
        raise ParameterError(f'--topic is for bags, {path} is none')
    return read_jsonl(path)


def _peak_rss_kb() -> int:
    """Return the most memory this program had at once [KiB]."""
    try:
        status = Path('/proc/self/status').read_text()
        return int(status.partition('VmHWM:')[2].split()[0])
    except (OSError, IndexError, ValueError):
        # Elsewhere: it may count what the calling process had, too.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class _Session:
    """One stream through the merge."""

    def __init__(self, settings: MergeSettings, trace: TextIO | None) -> None:
        self._transcript = Transcript(settings)
        self._trace = trace
        self._took_us = array('d')
        self._tentative = ''
        self._shown_from_s = 0.0  # what a result's times count from
        self.result = Result()

    def merge(self, path: Path, topic: str | None) -> None:
        """Merge all windows and flush."""
        origin_ns: int | None = None
        start_s = end_s = origin_s = 0.0
        is_flushed = False
        gc.freeze()  # what was imported is not garbage, and looking through it takes milliseconds
        for message in _messages(path, topic):
            if origin_ns is None:
                origin_ns = to_ns(message.header.stamp)
                origin_s = origin_ns / NS_PER_S
                self._shown_from_s = 0.0 if is_bag(path) else origin_s
            self.result.language = self.result.language or message.language
            decode = to_decode(message, origin_ns=origin_ns)
            before_ns = time.perf_counter_ns()
            merged = self._transcript.merge(decode)
            self._took_us.append((time.perf_counter_ns() - before_ns) / 1000)
            start_s, end_s = origin_s + decode.start_s, origin_s + decode.end_s
            is_flushed = decode.end_of_stream
            if is_flushed and self._trace is not None:
                # Such a window most often repeats the last one; what the flush made stable
                # belongs to the line of the flush, which nobody could have known before.
                self._write(start_s, end_s, '', self._tentative, ())
            self._take(start_s, end_s, merged.stable_text, merged.frozen, origin_s)
        if origin_ns is None:
            raise StreamError(f'{path} holds no windows')
        if self._transcript.merged_end_s > float('-inf'):
            end_s = origin_s + self._transcript.merged_end_s
        if not is_flushed:
            stable_text, frozen = self._transcript.flush()
            self._take(start_s, end_s, stable_text, frozen, origin_s)

    def _take(self, start_s, end_s, stable: str, frozen: Sequence[TranscriptSegment], origin_s):
        self.result.segments += [from_segment(s, start_s=self._shown_from_s) for s in frozen]
        if self._trace is None:
            return
        _, self._tentative = split_text(self._transcript.active())
        words = [
            (w.text, origin_s + w.start_s, origin_s + w.end_s)
            for segment in frozen
            for w in segment.words
            if not w.is_punctuation
        ]
        self._write(start_s, end_s, stable, self._tentative, words)

    def _write(self, *values) -> None:
        self._trace.write(TraceLine(*values).to_json() + '\n')

    def stats(self) -> dict[str, float]:
        """Return what a merge took: medians and the 99th percentile, in microseconds."""
        took = self._took_us
        quarter = max(1, len(took) // 4)
        ordered = sorted(took)
        return {
            'updates': len(took),
            'p50_us': round(statistics.median(took), 1),
            'p99_us': round(ordered[min(len(took) - 1, int(len(took) * 0.99))], 1),
            'first_quarter_us': round(statistics.median(took[:quarter]), 1),
            'last_quarter_us': round(statistics.median(took[-quarter:]), 1),
            'peak_rss_mb': round(_peak_rss_kb() / 1024, 1),
        }
