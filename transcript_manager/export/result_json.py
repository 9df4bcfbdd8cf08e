"""The JSON of a result, ours or that of another tool with words and their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
import json
import math
from typing import Any

from transcript_manager.errors import StreamError
from transcript_manager.export.order import OVERLAP_S
from transcript_manager.merge.words import is_unspaced
from transcript_manager.result import join_punctuation, Result, ResultSegment, ResultWord

_MAX_S = 1e8
"""Three years; more is a clock's time, not that of a recording."""


def from_json(name: str, value: dict[str, Any]) -> Result:
    """
    Make a result of its JSON.

    :param name: of where it came from
    :raises StreamError: naming the segment or word that does not fit
    """
    segments = value['segments']
    if not isinstance(segments, list):
        raise StreamError(f'{name}: "segments" is not a list')
    language = value.get('language')
    result = Result(language if isinstance(language, str) else '')
    for number, segment in enumerate(segments, 1):
        read = _segment(f'{name}, segment {number}', segment)
        if result.segments:
            before = result.segments[-1]
            if read.start_s < before.end_s - OVERLAP_S:
                raise StreamError(
                    f'{name}: segment {number} starts at {read.start_s:.2f} s, before segment '
                    f'{number - 1} has ended ({before.end_s:.2f} s): segments must not overlap'
                )
            read = _apart(before, read)
        result.segments.append(read)
    return result


def _segment(where: str, value: Any) -> ResultSegment:
    if not isinstance(value, dict):
        raise StreamError(f'{where}: not an object with start, end, text and words')
    entries = value.get('words')
    if not isinstance(entries, list) or not entries:
        raise StreamError(f'{where} has no words with times; make the JSON with word times')
    words = [_word(f'{where}, word {n}', entry) for n, entry in enumerate(entries, 1)]
    for number, (before, word) in enumerate(zip(words, words[1:]), 2):  # noqa: B905 - neighbours
        if word.start_s < before.start_s:
            raise StreamError(
                f'{where}, word {number} ({word.text.strip()!r}) starts at {word.start_s:g} s, '
                f'before word {number - 1} ({before.start_s:g} s)'
            )
    text = value.get('text')
    if not _has_spaces(words) and _are_spaced(text, words):
        words = [replace(w, text=f' {w.text}') for w in words]  # other tools strip them
    start_s = _time(where, value, 'start') if 'start' in value else words[0].start_s
    end_s = _time(where, value, 'end') if 'end' in value else words[-1].end_s
    return ResultSegment(
        start_s,
        max(start_s, end_s),
        text if isinstance(text, str) else ''.join(w.text for w in words),
        join_punctuation(words),
    )


def _has_spaces(words: Sequence[ResultWord]) -> bool:
    return any(w.text[:1].isspace() or w.text[-1:].isspace() for w in words[1:]) or len(words) < 2


def _are_spaced(text: Any, words: Sequence[ResultWord]) -> bool:
    """Whether there should be spaces between words that have none."""
    if isinstance(text, str):
        return len(text.split()) > 1
    return not any(is_unspaced(w.text[:1] or ' ') for w in words)


def _apart(before: ResultSegment, segment: ResultSegment) -> ResultSegment:
    """Put a space before a segment that would stick to the one before it."""
    last, first = before.text[-1:], segment.text[:1]
    if not last or not first or last.isspace() or first.isspace():
        return segment
    if is_unspaced(last) or is_unspaced(first):
        return segment
    words = (replace(segment.words[0], text=f' {segment.words[0].text}'), *segment.words[1:])
    return replace(segment, text=f' {segment.text}', words=words)


def _word(where: str, value: Any) -> ResultWord:
    text = value.get('text', value.get('word')) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise StreamError(f'{where}: not an object with text, start and end')
    where = f'{where} ({text.strip()!r})'
    start_s, end_s = _time(where, value, 'start'), _time(where, value, 'end')
    if end_s < start_s:
        raise StreamError(f'{where} ends at {end_s:g} s, before it starts ({start_s:g} s)')
    probability, occurrences = value.get('probability'), value.get('occurrences')
    conflicts = value.get('conflicts')
    return ResultWord(
        text,
        start_s,
        end_s,
        float(probability) if _is_number(probability) and 0 <= probability <= 1 else math.nan,
        occurrences if isinstance(occurrences, int) else 0,
        tuple(_conflicts(where, conflicts)) if conflicts else (),
    )


def _conflicts(where: str, value: Any) -> Iterator[tuple[str, int]]:
    for entry in value if isinstance(value, list) else [value]:
        match entry:
            case [str(text), int(count)]:
                yield text, count
            case _:
                raise StreamError(f'{where}: "conflicts" is not a list of [text, occurrences]')


def _time(where: str, value: dict[str, Any], key: str) -> float:
    at_s = value.get(key)
    if not _is_number(at_s) or not 0 <= at_s < _MAX_S:
        raise StreamError(
            f'{where} has no {key} time: "{key}" is {json.dumps(at_s)[:50]}, '
            'must be in seconds from the start of the audio'
        )
    return float(at_s)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _MAX_S  # also no nan
