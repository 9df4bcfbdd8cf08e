"""`transcript score`: word and character error rate of one transcript against another."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
import sys
from typing import Any

from transcript_manager.errors import ParameterError, StreamError, TranscriptManagerError

EXIT_OK = 0
STDIN = '-'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Compare a transcript with what was said: word error rate with substitutions, deletions '
        'and insertions, and character error rate. Case, punctuation and [annotations] do not '
        'count. Either may be plain text, the JSON that `transcript run` and `transcript merge` '
        'write, or a truth file ([[word, start, end], ...]); "-" is standard input.'
    )
    parser.add_argument('reference', metavar='REF', help='what was said')
    parser.add_argument('hypothesis', metavar='HYP', help='what was heard')
    parser.add_argument('--format', choices=('text', 'json'), default='text', help='(%(default)s)')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    try:
        from transcript_manager.evaluation.wer import character_errors, normalise, word_errors
    except ModuleNotFoundError as error:
        raise TranscriptManagerError(
            f'transcripts are compared with the Python package {error.name}: run '
            f'{sys.executable} -m pip install "jiwer>=3.0,<5"'
        ) from error
    if args.reference == args.hypothesis == STDIN:
        raise ParameterError('only one of REF and HYP can be standard input')
    reference = normalise(read_text(args.reference))
    hypothesis = normalise(read_text(args.hypothesis))
    if not reference:
        raise StreamError(f'{args.reference} holds no words to compare with')
    words = word_errors(reference, hypothesis)
    characters = character_errors(reference, hypothesis)
    if args.format == 'json':
        value = {
            'wer': _rate(words.rate),
            'substitutions': words.substitutions,
            'deletions': words.deletions,
            'insertions': words.insertions,
            'words': words.reference,
            'cer': _rate(characters.rate),
            'characters': characters.reference,
        }
        print(json.dumps(value))
        return EXIT_OK
    print(
        f'WER {100 * words.rate:.2f} %: {words.substitutions} substituted, '
        f'{words.deletions} deleted, {words.insertions} inserted, of {words.reference} words'
    )
    print(f'CER {100 * characters.rate:.2f} %, of {characters.reference} characters')
    return EXIT_OK


def _rate(rate: float) -> float | None:
    return round(rate, 6) if math.isfinite(rate) else None


def read_text(path: str) -> str:
    """
    Read the words of a text, a result or a truth file.

    :raises StreamError: if it cannot be read, or is JSON of another kind
    """
    name = 'standard input' if path == STDIN else path
    try:
        data = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
        text = data.decode('utf-8-sig')
    except OSError as error:
        raise StreamError(f'cannot read {name}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise StreamError(f'{name} is not UTF-8 text') from error
    if not text.lstrip().startswith(('{', '[')):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if path.endswith('.json'):
            raise StreamError(f'{name} is not JSON, though it is named so') from None
        return text  # a text that begins with a bracket
    return _words(value, name)


def _words(value: Any, name: str) -> str:
    if isinstance(value, dict) and isinstance(value.get('text'), str):
        return value['text']
    if isinstance(value, list) and all(
        isinstance(entry, list) and entry and isinstance(entry[0], str) for entry in value
    ):
        return ' '.join(entry[0] for entry in value)
    raise StreamError(
        f'{name} is JSON, but neither a result (an object with "text") nor a truth file '
        '([[word, start, end], ...])'
    )
