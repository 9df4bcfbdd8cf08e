"""
Frozen segments as records: what the journal holds, a line each, and the history in memory.

``{"index": int, "start": s, "end": s, "text": str, "language": str, "entries": int, "words":
[{"text": str, "start": s, "end": s, "probability": p, "occurrences": n, "conflicts": [[str, n],
...]}]}``; times are Unix seconds on the clock of the audio's stamps. ``entries`` counts the words
and punctuation marks of the session up to and with this segment.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transcript_manager.merge.segments import TranscriptSegment, TranscriptWord
from transcript_manager.result import join_punctuation, Result, ResultSegment, ResultWord

Record = dict[str, Any]
_MAX_S = 1e11
NS_PER_S = 1_000_000_000


def word_record(word: TranscriptWord, *, origin_ns: int) -> Record:
    """Convert a word whose times count from ``origin_ns``."""
    record: Record = {
        'text': word.text,
        'start': _absolute_s(word.start_s, origin_ns),
        'end': _absolute_s(word.end_s, origin_ns),
        'probability': round(word.probability, 4),
        'occurrences': word.occurrences,
    }
    if word.conflicts:
        record['conflicts'] = [[text, count] for text, count in word.conflicts]
    return record


def segment_record(
    segment: TranscriptSegment, *, origin_ns: int, language: str, entries: int
) -> Record:
    """Convert a frozen segment whose times count from ``origin_ns``."""
    words = [word_record(w, origin_ns=origin_ns) for w in segment.words]
    return {
        'index': segment.index,
        'start': words[0]['start'],
        'end': words[-1]['end'],
        'text': segment.text,
        'language': language,
        'entries': entries,
        'words': words,
    }


def is_record(value: Any) -> bool:
    """Whether a line of a journal is a segment as described above."""
    return (
        isinstance(value, dict)
        and {'index', 'start', 'end', 'text', 'words', 'entries'} <= value.keys()
        and isinstance(value['index'], int)
        and isinstance(value['entries'], int)
        and isinstance(value['text'], str)
        and isinstance(value.get('language', ''), str)
        and all(is_time(value[k]) for k in ('start', 'end'))
        and isinstance(value['words'], list)
        and len(value['words']) > 0
        and all(is_word_record(w) for w in value['words'])
    )


def is_word_record(value: Any) -> bool:
    """Whether a value is a word as described above."""
    return (
        isinstance(value, dict)
        and isinstance(value.get('text'), str)
        and all(is_time(value.get(k)) for k in ('start', 'end', 'probability'))
        and isinstance(value.get('occurrences'), int)
        and isinstance(value.get('conflicts', []), list)
        and all(_is_conflict(c) for c in value.get('conflicts', []))
    )


def is_time(value: Any) -> bool:
    """Whether a value is a number that a time or a probability can be."""
    return isinstance(value, int | float) and -_MAX_S < value < _MAX_S


def _is_conflict(value: Any) -> bool:
    match value:
        case [str(), int()]:
            return True
    return False


def to_result(records: Iterable[Record], *, start_s: float, language: str = '') -> Result:
    """
    Make a result of records.

    :param start_s: Unix time that its times count from [s]
    """
    result = Result(language)
    for record in records:
        result.language = result.language or record.get('language', '')
        words = [
            ResultWord(
                w['text'],
                w['start'] - start_s,
                w['end'] - start_s,
                w.get('probability', 0.0),
                w.get('occurrences', 0),
                tuple((text, count) for text, count in w.get('conflicts', ())),
            )
            for w in record['words']
        ]
        result.segments.append(
            ResultSegment(
                record['start'] - start_s,
                record['end'] - start_s,
                record['text'],
                join_punctuation(words),
            )
        )
    return result


def _absolute_s(at_s: float, origin_ns: int) -> float:
    return round(at_s + origin_ns / NS_PER_S, 3)
