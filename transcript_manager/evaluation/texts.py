"""The words of a file to be scored: plain text, a result, a truth file, or a kept session."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
import re
import sys
from typing import Any

from transcript_manager.errors import StreamError
from transcript_manager.streams.bag import has_bag

STDIN = '-'
_LANGUAGE = re.compile('[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*')


@dataclass(frozen=True, slots=True)
class Text:
    """What was said or heard, as it was written."""

    text: str
    language: str = ''
    """As the file says; empty if it does not."""
    notes: tuple[str, ...] = ()
    """What was put right on reading, for people."""


def as_language(value: Any) -> str:
    """Return a language code in one form (``pt-BR`` is ``pt-br``), or '' if it is none."""
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value.strip()):
        return ''
    return value.strip().lower().replace('_', '-')


def read_text(path: str | Path) -> Text:
    """
    Read the words of a text, a result, a truth file, a journal, recorded tokens or a bag.

    :param path: or ``-``: a text, a result or a truth file from standard input
    :raises StreamError: if it cannot be read, or is JSON of another kind
    """
    is_stdin = str(path) == STDIN
    name = 'standard input' if is_stdin else str(path)
    if not is_stdin and has_bag(Path(path)):
        return _session(path)
    try:
        data = sys.stdin.buffer.read() if is_stdin else Path(path).read_bytes()
        text = data.decode('utf-8-sig')
    except OSError as error:
        raise StreamError(f'cannot read {name}: {error.strerror}') from error
    except ValueError as error:  # also a name with a zero byte in it
        raise StreamError(f'{name} is not UTF-8 text') from error
    if not text.lstrip().startswith(('{', '[')):
        return Text(text)
    value = _parsed(text)
    first = value if value is not None else _parsed(text.lstrip().partition('\n')[0])
    if isinstance(first, dict) and ('session' in first or 'stamp' in first):
        if is_stdin:
            raise StreamError(f'{name} is a journal or recorded tokens; give its file instead')
        return _session(path)
    if value is not None:
        return _words(value, name)
    if name.endswith(('.json', '.jsonl')):
        raise StreamError(f'{name} is not JSON, though it is named so')
    return Text(text)  # a text that begins with a bracket


def _session(path: str | Path) -> Text:
    from transcript_manager.export.reading import read_transcript

    loaded = read_transcript(path, allow_empty=True)
    language = as_language(loaded.result.language)
    return Text(loaded.result.text, language, tuple(loaded.notes))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _words(value: Any, name: str) -> Text:
    if isinstance(value, dict) and isinstance(value.get('text'), str):
        return Text(value['text'], as_language(value.get('language')))
    if isinstance(value, list) and all(
        isinstance(entry, list) and entry and isinstance(entry[0], str) for entry in value
    ):
        return Text(' '.join(entry[0] for entry in value))
    raise StreamError(
        f'{name} is JSON, but neither a result (an object with "text") nor a truth file '
        '([[word, start, end], ...])'
    )
