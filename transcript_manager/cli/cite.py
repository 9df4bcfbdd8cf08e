"""`transcript cite`: was said what a language model's answer says was said, and then?"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import sys
from typing import Any

from transcript_manager.cli.output import check_apart, check_output, write_output
from transcript_manager.errors import ParameterError, StreamError, TranscriptManagerError
from transcript_manager.export.reading import read_transcript, STDIN
from transcript_manager.result import Result

EXIT_OK = 0
_MAX_BYTES = 4 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Read an answer with time marks, such as [00:12:03] or (12.3-15.0), and check each mark '
        'against the session: JSON with the answer without marks, and for each mark its phrase, '
        'whether it was said there, what was said there, and where it was said if elsewhere.'
    )
    parser.add_argument('answer', metavar='ANSWER', help='a text; "-" is standard input')
    parser.add_argument('session', metavar='TRANSCRIPT', help='a journal, JSON or bag')
    parser.add_argument('-o', '--output', metavar='OUT', help='write to OUT, not standard output')
    parser.add_argument('--topic', metavar='NAME', help='of a bag, if it has several sessions')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    if args.answer == args.session == STDIN:
        raise ParameterError('only one of ANSWER and TRANSCRIPT can be standard input')
    check_output(args.output)
    check_apart(args.output, args.answer, args.session)
    answer = _read_answer(args.answer)
    loaded = read_transcript(args.session, topic=args.topic)
    for note in loaded.notes:
        print(f'transcript: {note}', file=sys.stderr)
    value = checked(answer, loaded.result)
    write_json(value, args.output)
    return EXIT_OK


def write_json(value: Any, path: str | None) -> None:
    """Write JSON to standard output or a file; halves of characters become question marks."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + '\n'
    write_output(text.encode('utf-8', 'replace').decode(), path)


def check_installed() -> None:
    """
    See to it that answers can be checked, before one is made.

    :raises TranscriptManagerError: if a package is missing, naming it
    """
    _cite()


def checked(answer: str, result: Result) -> dict[str, Any]:
    """Check an answer's marks, and tell the user how they are."""
    value = _cite()(answer, result)
    marks = value['timestamps']
    if not marks:
        print('transcript: there are no time marks in the answer', file=sys.stderr)
    else:
        said = sum(mark['was_said'] for mark in marks)
        wrong = sum(bool(mark['problem']) for mark in marks)
        print(
            f'transcript: {len(marks)} time marks: {said} with words that were said there, '
            f'{len(marks) - said} without; {wrong} with a problem',
            file=sys.stderr,
        )
    return value


def _cite() -> Callable[[str, Result], dict[str, Any]]:
    try:
        from transcript_manager.citations.check import cite
    except ModuleNotFoundError as error:
        raise TranscriptManagerError(
            f'answers are checked with the Python package {error.name}: run '
            f'{sys.executable} -m pip install "jiwer>=3.0,<5"'
        ) from error
    return cite


def _read_answer(path: str) -> str:
    name = 'standard input' if path == STDIN else path
    try:
        if path == STDIN:
            data = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(path).open('rb') as file:
                data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise StreamError(f'{name} is longer than {_MAX_BYTES >> 20} MiB: that is no answer')
        answer = data.decode('utf-8-sig')
    except OSError as error:
        raise StreamError(f'cannot read {name}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise StreamError(f'{name} is not UTF-8 text') from error
    if not answer.strip():
        raise StreamError(f'{name} is empty: there is no answer to check')
    return answer
