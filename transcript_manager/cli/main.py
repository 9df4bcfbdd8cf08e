"""The `transcript` command: one sub-command a module, errors as one line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import sys

from transcript_manager.cli import models, run
from transcript_manager.errors import TranscriptManagerError
from transcript_manager.ros.process import leave_running_decode

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    :param args: without the program's name; None takes ``sys.argv``
    :returns: the exit code: 0 if the job was done, 2 for bad usage or bad input
    """
    parser = argparse.ArgumentParser(
        prog='transcript',
        description='Live, word-timed speech transcription over ROS 2 topics, on this computer.',
    )
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    run.add_parser(commands)
    models.add_parser(commands)
    parsed = parser.parse_args(args)
    code = _run(parsed)
    leave_running_decode(code)
    return code


def _run(parsed: argparse.Namespace) -> int:
    try:
        return parsed.run(parsed)
    except TranscriptManagerError as error:
        print(f'transcript: {error}', file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        sys.stderr.close()
        return EXIT_INTERRUPTED


if __name__ == '__main__':
    sys.exit(main())
