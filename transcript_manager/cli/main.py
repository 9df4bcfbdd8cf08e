"""The `transcript` command: one sub-command a module, errors as one line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import errno
import importlib
import io
import os
import sys

from transcript_manager.errors import TranscriptManagerError

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
STDOUT = '-'
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_COMMANDS = {
    'run': 'transcribe a sound file, a microphone, a topic or a bag',
    'watch': 'look at what a running robot understands',
    'merge': 'merge a recorded token stream or bag',
    'export': 'write a session as text, subtitles, a page, ...',
    'plot': 'draw a session over its sound, or how soon its words were known',
    'summarize': 'let a language model of your choice summarize a session',
    'cite': "check the time marks of a language model's answer",
    'score': 'compare transcripts with what was said: error rates',
    'devices': 'list the microphones',
    'models': 'list the models, or fetch one',
}


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    :param args: without the program's name; None takes ``sys.argv``
    :returns: the exit code: 0 if the job was done, 2 for bad usage or bad input
    """
    arguments = list(sys.argv[1:] if args is None else args)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 shows what it cannot as escapes, rather than nothing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    try:
        return _run_command(arguments)
    except KeyboardInterrupt:  # while it was being loaded
        return EXIT_INTERRUPTED


def _run_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog='transcript',
        description='Live, word-timed speech transcription over ROS 2 topics, on this computer.',
    )
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    wanted = next((a for a in arguments if not a.startswith('-')), None)
    for name, summary in _COMMANDS.items():
        # Only the wanted one is imported: merging a bag takes neither ROS nor whisper.cpp.
        command = commands.add_parser(name, help=summary)
        if name == wanted:
            importlib.import_module(f'transcript_manager.cli.{name}').add_arguments(command)
    parsed = parser.parse_args(arguments)
    if getattr(parsed, 'output', None) == STDOUT:
        parsed.output = None
    code = _run(parsed)
    if 'transcript_manager.ros.process' in sys.modules:
        sys.modules['transcript_manager.ros.process'].leave_running_decode(code)
    return code


def _run(parsed: argparse.Namespace) -> int:
    try:
        code = parsed.run(parsed)
        sys.stdout.flush()
        return code
    except TranscriptManagerError as error:
        print(f'transcript: {error}', file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        sys.stderr.close()
        return EXIT_INTERRUPTED
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            raise
        print(f'transcript: cannot write standard output: {error.strerror}', file=sys.stderr)
        # What is left in the buffer would be tried again, and complained of, at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_USAGE


if __name__ == '__main__':
    sys.exit(main())
