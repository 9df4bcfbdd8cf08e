"""The plainest formats: text, JSON and tab-separated values."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from transcript_manager.result import clock, Result, ResultSegment, ResultWord
from transcript_manager.text import spoken


def text_line(segment: ResultSegment, *, timestamps: bool) -> str:
    """Format one segment as a line, with or without its times."""
    text = spoken(segment.text).strip()
    if not timestamps:
        return text
    return f'[{clock(segment.start_s)} - {clock(segment.end_s)}] {text}'


def to_text(result: Result, *, timestamps: bool = False) -> str:
    """Format a result as plain text, a segment a line."""
    return ''.join(text_line(s, timestamps=timestamps) + '\n' for s in result.segments)


def to_json(result: Result) -> str:
    """Format a result as JSON; times in seconds, to the millisecond."""
    value = {
        'text': result.text,
        'language': result.language,
        'segments': [
            {
                'start': round(segment.start_s, 3),
                'end': round(segment.end_s, 3),
                'text': segment.text,
                'words': [_word(word) for word in segment.words],
            }
            for segment in result.segments
        ],
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + '\n'


def _word(word: ResultWord) -> dict[str, Any]:
    known = math.isfinite(word.probability)
    value: dict[str, Any] = {
        'text': word.text,
        'start': round(word.start_s, 3),
        'end': round(word.end_s, 3),
        'probability': round(word.probability, 4) if known else None,
        'occurrences': word.occurrences,
    }
    if word.conflicts:
        value['conflicts'] = [[text, count] for text, count in word.conflicts]
    return value


TSV_COLUMNS = ('start', 'end', 'word', 'probability', 'occurrences', 'conflicts', 'segment')


def to_tsv(result: Result) -> str:
    """
    Format a result as tab-separated values, a word a line, below a line of column names.

    Times are in seconds; an unknown probability is empty; conflicts are ``text:occurrences``,
    separated by spaces; segments count from 1.
    """
    file = io.StringIO()
    # With quotes where they are needed: as spreadsheets read it.
    writer = csv.writer(file, dialect='excel-tab', lineterminator='\n')
    writer.writerow(TSV_COLUMNS)
    for number, segment in enumerate(result.segments, 1):
        for word in segment.words:
            known = math.isfinite(word.probability)
            cells = (
                f'{word.start_s:.3f}',
                f'{word.end_s:.3f}',
                word.text.strip(),
                f'{word.probability:.4f}' if known else '',
                str(word.occurrences),
                ' '.join(f'{text.strip()}:{count}' for text, count in word.conflicts),
                str(number),
            )
            writer.writerow([' '.join(cell.split()) for cell in cells])
    return file.getvalue()
