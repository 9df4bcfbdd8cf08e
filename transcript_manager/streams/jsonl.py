"""
STREAM.jsonl: one window a line, what a whisper node would have published.

``{"stamp": s, "duration": s, "segments": [{"start": s, "end": s, "tokens": [{"id": int,
"text": str, "p": float, "start": s, "end": s}]}]}``; times are absolute seconds, a token's start
and end are -1 where unknown. ``language`` and ``end_of_stream`` are read where they stand; other
fields are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
import math
from pathlib import Path
import re
import struct
from typing import Any

from transcript_manager.errors import StreamError
from transcript_manager.streams.messages import (
    Header,
    NS_PER_S,
    SegmentRecord,
    Stamp,
    TokenRecord,
    TokensRecord,
)

_MAX_S = 2.0**31 - 1  # what a message's time can hold
_KINDS = {str: 'a string', list: 'a list', float: 'a number'}


def read_jsonl(path: str | Path) -> Iterator[TokensRecord]:
    """
    Read a file window by window, in the precision of the messages.

    :raises StreamError: naming file, line and field, if it is not as described
    """
    path = Path(path)
    number = 0
    try:
        with path.open('rb') as file:
            for line in file:
                number += 1
                if line.strip():
                    if number == 1 and _is_session(path):
                        raise StreamError(
                            f'{path} is the JSON of a session, which is merged already; to write '
                            'it in another format there is `transcript export`'
                        )
                    yield _window(_parse(line))
    except OSError as error:
        raise StreamError(f'cannot read {path}: {error.strerror}') from error
    except _FieldError as error:
        raise StreamError(f'{path}, line {number}: {error}') from error


def _is_session(path: Path) -> bool:
    """Whether a file begins as the JSON that `transcript run` writes."""
    with path.open('rb') as file:
        return re.match(rb'\s*\{\s*"text"\s*:', file.read(100)) is not None


class _FieldError(ValueError):
    """What is wrong with a line."""


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode('utf-8-sig'))
    except UnicodeDecodeError as error:
        raise _FieldError('not UTF-8 text; a token stream has one JSON object a line') from error
    except (ValueError, RecursionError) as error:
        reason = str(error).partition('\n')[0]
        raise _FieldError(
            f'not JSON ({reason}); a token stream has one JSON object a line'
        ) from error
    if not isinstance(value, dict):
        raise _FieldError('not a JSON object; a token stream has one object a line')
    return value


def _window(entry: dict[str, Any]) -> TokensRecord:
    stamp_s = _number(entry, 'stamp')
    duration_s = _number(entry, 'duration')
    if not 0 <= duration_s <= 3600:
        raise _FieldError(f'duration is {duration_s:g}, must be 0..3600 s')
    if not 0 <= stamp_s <= _MAX_S:
        raise _FieldError(f'stamp is {stamp_s:g}, must be 0..{_MAX_S:g} s')
    segments = []
    for segment in _field(entry, 'segments', list):
        if not isinstance(segment, dict):
            raise _FieldError('a segment is not an object')
        tokens = []
        for token in _field(segment, 'tokens', list):
            if not isinstance(token, dict):
                raise _FieldError('a token is not an object')
            tokens.append(_token(token, stamp_s))
        start_ms = _ms(_number(segment, 'start') - stamp_s)
        segments.append(SegmentRecord(start_ms, _ms(_number(segment, 'end') - stamp_s), tokens))
    return TokensRecord(
        header=Header(Stamp(*divmod(round(stamp_s * NS_PER_S), NS_PER_S))),
        window_ms=round(duration_s * 1000),
        segments=segments,
        language=_field(entry, 'language', str) if 'language' in entry else '',
        end_of_stream=entry.get('end_of_stream') is True,
    )


def _token(entry: dict[str, Any], stamp_s: float) -> TokenRecord:
    text = _field(entry, 'text', str).replace('\0', '')  # a ROS string ends at it
    text = text.encode('utf-8', 'replace').decode('utf-8')  # lone surrogates are no text
    probability = _number(entry, 'p')
    start_s, end_s = _number(entry, 'start'), _number(entry, 'end')
    start_ms = end_ms = -1
    if start_s >= 0 and end_s >= 0:
        start_ms, end_ms = _ms(start_s - stamp_s), _ms(end_s - stamp_s)
        # -1 says "unknown" and nothing else.
        start_ms, end_ms = start_ms + (start_ms == -1), end_ms + (end_ms == -1)
    return TokenRecord(text, _float32(probability), start_ms, end_ms)


def _field(entry: dict[str, Any], name: str, kind: type) -> Any:
    if name not in entry:
        raise _FieldError(f'no "{name}" in {_abridged(entry)}')
    value = entry[name]
    if not isinstance(value, kind):
        raise _FieldError(f'"{name}" is not {_KINDS[kind]} but {_abridged(value)}')
    return value


def _number(entry: dict[str, Any], name: str) -> float:
    if name not in entry:
        raise _FieldError(f'no "{name}" in {_abridged(entry)}')
    value = entry[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _FieldError(f'"{name}" is not a number but {_abridged(value)}')
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or abs(number) > 2 * _MAX_S:
        raise _FieldError(f'"{name}" is {_abridged(value)}, not a number that can be meant')
    return number


def _abridged(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + '...'


def _ms(seconds: float) -> int:
    return max(-(2**31), min(2**31 - 1, round(seconds * 1000)))


def _float32(value: float) -> float:
    """Round to what a message's float32 holds."""
    return struct.unpack('f', struct.pack('f', value))[0]
