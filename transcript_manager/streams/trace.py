"""
TRACE.jsonl: what became stable with each window, and what was shown behind it.

One line per window, and a last one with the final flush: ``{"stamp": s, "end": s, "stable": str,
"tentative": str}``, ``end`` being the window's end. Lines may carry ``words``, the words that were
frozen with the window, as [text, start, end]. Times are those of the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path

from transcript_manager.errors import StreamError


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One line; times in seconds."""

    stamp_s: float
    end_s: float
    stable: str
    """Text that became stable with this window."""
    tentative: str
    """The whole unstable tail now shown."""
    words: Sequence[tuple[str, float, float]] = ()
    """(text, start, end) of what was frozen with this window."""

    def to_json(self) -> str:
        """Format it, without the line's end."""
        value = {
            'stamp': round(self.stamp_s, 6),
            'end': round(self.end_s, 6),
            'stable': self.stable,
            'tentative': self.tentative,
        }
        if self.words:
            value['words'] = [[t, round(a, 3), round(b, 3)] for t, a, b in self.words]
        return json.dumps(value, ensure_ascii=False)


def read_trace(path: str | Path) -> list[TraceLine]:
    """
    Read a trace.

    :raises StreamError: naming file and line, if it is no trace
    """
    lines = []
    number = 0
    try:
        with Path(path).open(encoding='utf-8') as file:
            for line in file:
                number += 1
                if line.strip():
                    lines.append(_parse(line))
    except OSError as error:
        raise StreamError(f'cannot read {path}: {error.strerror}') from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StreamError(
            f'{path}, line {number}: not a line of a trace, which has stamp, end, stable and '
            'tentative'
        ) from error
    return lines


def _parse(line: str) -> TraceLine:
    value = json.loads(line)
    words = [(str(text), float(start), float(end)) for text, start, end in value.get('words', ())]
    return TraceLine(
        float(value['stamp']),
        float(value['end']),
        str(value['stable']),
        str(value['tentative']),
        words,
    )
