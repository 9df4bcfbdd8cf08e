"""A session's two files as they lie on disk: the journal, and what was stable and not frozen."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from transcript_manager.errors import StreamError
from transcript_manager.session.records import is_record, is_time, is_word_record, Record

_MAX_STATE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class KeptSession:
    """What the files of a session hold."""

    records: list[Record]
    """Its frozen segments; of a session that was not ended, a last one of what was stable."""
    started_s: float
    """Unix time of the start of its audio [s]."""
    active_words: int
    """Words and marks of that last one; 0 if there is none."""
    cut_lines: int
    """Lines at the end that were not written whole."""


def read_session(path: Path) -> KeptSession:
    """
    Read a journal, and what was kept beside it if the session has not ended.

    :raises StreamError: naming the line that is none of a journal
    """
    header: dict[str, Any] | None = None
    records: list[Record] = []
    has_ended = False
    cut = 0
    try:
        with path.open('rb') as file:
            for number, line in enumerate(file, 1):
                value = parse_line(line)
                if value is None and not line.endswith(b'\n'):
                    cut += 1  # killed, or read, while it was being written
                elif header is None and is_header(value):
                    header = value
                elif is_record(value):
                    records.append(value)
                elif value is not None and 'ended' in value:
                    has_ended = True
                else:
                    raise StreamError(f'{path}, line {number}: not a line of a journal')
    except OSError as error:
        raise StreamError(f'cannot read {path}: {error.strerror}') from error
    if header is None:
        raise StreamError(f'{path} is no journal: its first line tells of no session')
    entries = records[-1]['entries'] if records else 0
    state = kept_state(path.with_suffix('.active.json'))
    # Killed between the two files: the first words are in the last segment already.
    words = [] if has_ended else state['words'][max(0, entries - state['entries']) :]
    if words:
        text = ''.join(w['text'] for w in words)
        last = {'start': words[0]['start'], 'end': words[-1]['end'], 'text': text, 'words': words}
        records.append(last)
    return KeptSession(records, header['started'], len(words), cut)


def is_header(value: Any) -> bool:
    """Whether a value is the first line of a journal."""
    return (
        isinstance(value, dict)
        and isinstance(value.get('session'), str)
        and is_time(value.get('started'))
        and isinstance(value.get('first_index'), int)
    )


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return a line's object; None if it is none, or was cut."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def kept_state(path: Path) -> dict[str, Any]:
    """Return what was kept beside a journal; nothing if that cannot be read."""
    nothing = {'entries': 0, 'words': [], 'paused': False}
    try:
        if path.stat().st_size > _MAX_STATE_BYTES:
            return nothing
        state = json.loads(path.read_text('utf-8'))
        is_whole = (
            isinstance(state['entries'], int)
            and isinstance(state['paused'], bool)
            and isinstance(state['words'], list)
            and all(is_word_record(w) for w in state['words'])
        )
        return state if is_whole else nothing
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return nothing
