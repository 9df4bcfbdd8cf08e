"""`transcript score`: word and character error rate of transcripts against what was said."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
import json
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from transcript_manager.cli.output import check_output, write_output
from transcript_manager.errors import ParameterError, StreamError, TranscriptManagerError

if TYPE_CHECKING:
    from transcript_manager.evaluation.corpus import Pair
    from transcript_manager.evaluation.scoring import CorpusScore

EXIT_OK = 0
STDIN = '-'
_MAX_NOTES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Compare transcripts with what was said: word error rate with substitutions, deletions '
        'and insertions, and character error rate. Case, punctuation and [annotations] do not '
        'count. Either may be plain text, the JSON that `transcript run` and `transcript merge` '
        'write, a truth file ([[word, start, end], ...]), a journal, recorded tokens or a bag; '
        '"-" is standard input. Of two folders, files of the same path are compared: en/a.txt '
        'with en/a.json.'
    )
    parser.add_argument('reference', metavar='REF', nargs='?', help='what was said')
    parser.add_argument('hypothesis', metavar='HYP', nargs='?', help='what was heard')
    parser.add_argument(
        '--list', metavar='LIST.tsv', help='compare these: REF<TAB>HYP[<TAB>LANGUAGE] lines'
    )
    parser.add_argument('--format', choices=('text', 'json'), default='text', help='(%(default)s)')
    parser.add_argument('-o', '--output', metavar='OUT', help='write to OUT, not standard output')
    parser.add_argument('--html', metavar='REPORT.html', help='write a report with all errors too')
    parser.add_argument(
        '--language', metavar='CODE', help='of texts whose language nothing else tells'
    )
    parser.add_argument(
        '--missing',
        choices=('error', 'as-empty'),
        default='error',
        help='a file without partner: an error, or as if the partner were empty (%(default)s)',
    )
    parser.add_argument(
        '--worst', metavar='N', type=int, default=10, help='as text: list N files (%(default)s)'
    )
    parser.add_argument(
        '--show-normalised', action='store_true', help='show the texts as they are compared'
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    try:
        import transcript_manager.evaluation.wer  # noqa: F401
    except ModuleNotFoundError as error:
        raise TranscriptManagerError(
            f'transcripts are compared with the Python package {error.name}: run '
            f'{sys.executable} -m pip install "jiwer>=3.0,<5"'
        ) from error
    _check(args)
    pairs = _pairs(args)
    _check_apart(args, pairs)
    score = _score(args, pairs)
    is_one = args.list is None and len(pairs) == 1 and pairs[0].name == ''
    if args.html is not None:
        from transcript_manager.evaluation.report import to_html

        write_output(to_html(score), args.html)
    write_output(_formatted(args, score, is_one=is_one), args.output)
    return EXIT_OK


def _check(args: argparse.Namespace) -> None:
    from transcript_manager.evaluation.texts import as_language

    if args.list is not None and args.reference is not None:
        raise ParameterError('give REF and HYP, or --list, but not both')
    if args.list is None and args.hypothesis is None:
        raise ParameterError('give REF and HYP, two files or two folders, or --list LIST.tsv')
    if args.worst < 0:
        raise ParameterError(f'--worst {args.worst} is less than 0')
    if args.language is not None and not as_language(args.language):
        raise ParameterError(f'--language {args.language!r} is no language code such as "de"')
    check_output(args.output)
    check_output(args.html)


def _pairs(args: argparse.Namespace) -> list[Pair]:
    from transcript_manager.evaluation.corpus import is_folder, Pair, pair_folders, read_list

    as_empty = args.missing == 'as-empty'
    if args.list is not None:
        return read_list(args.list, as_empty=as_empty)
    if args.reference == args.hypothesis == STDIN:
        raise ParameterError('only one of REF and HYP can be standard input')
    folders = [path for path in (args.reference, args.hypothesis) if is_folder(path)]
    if len(folders) == 1:
        raise ParameterError(f'{folders[0]} is a folder and the other is none; give two of a kind')
    if folders:
        return pair_folders(args.reference, args.hypothesis, as_empty=as_empty)
    return [Pair('', Path(args.reference), Path(args.hypothesis))]


def _check_apart(args: argparse.Namespace, pairs: Iterable[Pair]) -> None:
    """Refuse to write over what is read, or two things to one file."""
    outputs = {Path(p).resolve(): p for p in (args.output, args.html) if p is not None}
    if args.output is not None and args.html is not None and len(outputs) == 1:
        raise ParameterError(f'-o and --html are the same file, {args.html}; give two')
    inputs = [args.list, *(p for pair in pairs for p in (pair.reference, pair.hypothesis))]
    for path in inputs:
        if path is not None and outputs and (to := outputs.get(Path(path).resolve())):
            raise ParameterError(f'{to} is one of the files to compare; write to another')


def _score(args: argparse.Namespace, pairs: Iterable[Pair]) -> CorpusScore:
    from transcript_manager.evaluation.scoring import Item, score
    from transcript_manager.evaluation.texts import as_language, read_text, Text
    from transcript_manager.evaluation.wer import normalise
    from transcript_manager.text import printable

    items, notes = [], []
    for pair in pairs:
        said = Text('') if pair.reference is None else read_text(pair.reference)
        heard = Text('') if pair.hypothesis is None else read_text(pair.hypothesis)
        # What people say about a file goes before what a decoder took its language for.
        languages = (pair.language, said.language, pair.place, heard.language, args.language)
        notes += [*said.notes, *heard.notes]
        if pair.hypothesis is None:
            notes.append(f'{pair.name} has no hypothesis: all of it counts as deleted')
        items.append(
            Item(
                pair.name or str(pair.reference),
                normalise(said.text),
                normalise(heard.text),
                next((as_language(code) for code in languages if code), ''),
                None if pair.reference is None else str(pair.reference),
                None if pair.hypothesis is None else str(pair.hypothesis),
            )
        )
    if not any(item.reference for item in items):
        what = args.list or args.reference
        raise StreamError(f'{what} holds no words to compare with')
    result = score(items, notes=notes)
    for note in result.notes[:_MAX_NOTES]:
        print(f'transcript: {printable(note)}', file=sys.stderr)
    if len(result.notes) > _MAX_NOTES:
        rest = len(result.notes) - _MAX_NOTES
        print(f'transcript: and {rest} more notes; JSON and report have all', file=sys.stderr)
    return result


def _formatted(args: argparse.Namespace, score: CorpusScore, *, is_one: bool) -> str:
    from transcript_manager.evaluation import tables

    if not is_one:
        if args.format == 'text':
            return tables.to_text(score, worst=args.worst, show_normalised=args.show_normalised)
        value = tables.to_value(score, show_normalised=args.show_normalised)
        return json.dumps(value, ensure_ascii=False, indent=1) + '\n'
    file = score.files[0]
    if args.format == 'text':
        lines = tables.lines_of_pair(file.words, file.characters)
        if args.show_normalised:
            lines += tables.normalised_lines(file.item.reference, file.item.hypothesis)
        return '\n'.join(lines) + '\n'
    value = tables.pair_value(file.words, file.characters)
    if args.show_normalised:
        value['normalised_reference'] = tables.spaced(file.item.reference)
        value['normalised_hypothesis'] = tables.spaced(file.item.hypothesis)
    return json.dumps(value) + '\n'
