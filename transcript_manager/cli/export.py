"""`transcript export`: a session in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from transcript_manager.cli.output import check_apart, check_output, write_output
from transcript_manager.cli.page import page_audio
from transcript_manager.errors import ParameterError
from transcript_manager.export.context import SEGMENT, STEPS
from transcript_manager.export.formats import canonical, CHOICES, Options, render
from transcript_manager.export.reading import read_transcript
from transcript_manager.text import spoken

EXIT_OK = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Write a session in another format. IN is a journal (a .jsonl file in the journal_dir of '
        "a robot's transcript_manager), the JSON of `transcript run` or of another tool with "
        'words and their times, a rosbag2 bag with frozen segments or tokens in it, recorded '
        'tokens (.jsonl), or "-": JSON from standard input.'
    )
    parser.add_argument('session', metavar='IN', help='a journal, JSON or bag')
    parser.add_argument(
        '--format',
        required=True,
        choices=CHOICES,
        help='txt: lines; json, tsv: each word with all that is known of it; srt, vtt: subtitles; '
        'lrc: lyrics with a time per word; html: a page to listen and read along; llm: lines that '
        'a language model can cite',
    )
    parser.add_argument('-o', '--output', metavar='OUT', help='write to OUT, not standard output')
    parser.add_argument('--topic', metavar='NAME', help='of a bag, if it has several sessions')
    parser.add_argument(
        '--timestamps', action='store_true', help='txt: put times in front of the lines'
    )
    parser.add_argument('--by', choices=STEPS, help=f'llm: what a line is ({SEGMENT})')
    parser.add_argument(
        '--audio',
        metavar='FILE',
        help='html: what was heard, a sound file or bag, to be played by the page (of a bag IN: '
        'the audio in it)',
    )
    parser.add_argument(
        '--audio-topic', metavar='NAME', help='html: of a bag, if it has several audio topics'
    )
    parser.add_argument('--title', help="what was heard, for people (the file's name)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    if args.timestamps and canonical(args.format) != 'text':
        raise ParameterError('--timestamps is for --format txt; the others have times in them')
    if args.by and args.format != 'llm':
        raise ParameterError('--by is for --format llm: what a line of it is')
    if args.format != 'html' and (args.audio or args.audio_topic):
        raise ParameterError('--audio is for --format html; the other formats hold no sound')
    check_output(args.output)
    check_apart(args.output, args.session, args.audio)
    loaded = read_transcript(args.session, topic=args.topic)
    for note in loaded.notes:
        print(f'transcript: {note}', file=sys.stderr)
    options = Options(
        timestamps=args.timestamps,
        title=spoken(args.title or Path(args.session).stem.strip('-')),
        by=args.by or SEGMENT,
        audio=page_audio(args, loaded) if args.format == 'html' else None,
    )
    write_output(render(loaded.result, args.format, options), args.output)
    return EXIT_OK
