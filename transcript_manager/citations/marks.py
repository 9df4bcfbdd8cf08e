"""
Time marks in a language model's answer.

A mark is a point or a range between brackets of any kind: clock times (``[00:03]``,
``[01:00:03-01:00:09]``) or seconds (``(12.3-15.0)``, ``(12.3 s)``). Several may share a pair of
brackets. Numbers that can be something else are none: seconds need a unit, or the decimals of a
range, so that ``[1]``, ``(2024)``, ``(3.11)``, ``(3-4 people)`` and ``(1.2.3)`` stay text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import re

# Brackets of other scripts become plain ones, character by character, so that places stay.
_PLAIN = str.maketrans(
    {'\uff08': '(', '\uff09': ')', '\u3010': '[', '\u3011': ']', '\uff1a': ':'}
    | dict.fromkeys('\uff0c\u3001', ',')
)
_BRACKETS = re.compile(r'\[([^\[\]()\n]{1,300})\]|\(([^\[\]()\n]{1,300})\)')
_SEPARATOR = re.compile(r'[;&]| and |,(?!\d{3}(?![\d:]))')  # no decimal comma
_DASH = r'(?:-{1,2}|[\u2010-\u2015\u2212\uff5e~]|\bto\b)'
_CLOCK = r'(?:(?P<h{0}>\d{{1,4}}):)?(?P<m{0}>\d{{1,3}}):(?P<s{0}>\d{{2}}(?:[.,]\d{{1,6}})?)'
_CLOCKS = re.compile(rf'{_CLOCK.format(1)}(?:\s*{_DASH}\s*{_CLOCK.format(2)})?', re.IGNORECASE)
_NUMBER = r'\d{1,7}(?:\.\d{1,6})?'
_UNIT = r's(?:ec(?:s|onds?)?)?\.?'
_SECONDS = re.compile(
    rf'(?P<a>{_NUMBER})\s*(?P<ua>{_UNIT})?\s*{_DASH}\s*(?P<b>{_NUMBER})\s*(?P<ub>{_UNIT})?'
    rf'|(?P<point>{_NUMBER})\s*{_UNIT}',
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One time mark; times count from the start of the session."""

    text: str
    """As written, with brackets if it has them for itself."""
    at: int
    """Where its brackets begin in the answer [characters]."""
    end: int
    """Where they end."""
    start_s: float | None
    """None: it is malformed."""
    end_s: float | None
    """None: a point, or malformed."""
    is_range: bool
    is_clock: bool


def find_marks(text: str) -> Iterator[Mark]:
    """Yield the time marks of a text, in order."""
    for match in _BRACKETS.finditer(text.translate(_PLAIN)):
        inner = match[1] if match[1] is not None else match[2]
        parts = _times(inner)
        if parts is None:
            continue
        written = text[match.start() : match.end()]
        for part, (start_s, end_s, is_range, is_clock) in parts:
            own = written if len(parts) == 1 else part
            yield Mark(own, match.start(), match.end(), start_s, end_s, is_range, is_clock)


_Times = tuple[float | None, float | None, bool, bool]


def _times(inner: str) -> list[tuple[str, _Times]] | None:
    """Read what is between brackets; None if any of it is no time."""
    found = []
    for part in _SEPARATOR.split(inner):
        times = _clocks(part.strip()) or _seconds(part.strip())
        if times is None:
            return None
        found.append((part.strip(), times))
    return found


def _clocks(part: str) -> _Times | None:
    match = _CLOCKS.fullmatch(part)
    if match is None:
        return None
    is_range = match['m2'] is not None
    start_s = _clock_s(match, 1)
    end_s = _clock_s(match, 2) if is_range else None
    if start_s is None or (is_range and end_s is None):
        return None, None, is_range, True
    return start_s, end_s, is_range, True


def _clock_s(match: re.Match[str], which: int) -> float | None:
    hours, minutes = match[f'h{which}'], int(match[f'm{which}'])
    seconds = float(match[f's{which}'].replace(',', '.'))
    if seconds >= 60 or (hours is not None and minutes >= 60):
        return None
    return int(hours or 0) * 3600 + minutes * 60 + seconds


def _seconds(part: str) -> _Times | None:
    match = _SECONDS.fullmatch(part)
    if match is None:
        return None
    if match['point'] is not None:
        return float(match['point']), None, False, False
    if not (match['ua'] or match['ub'] or '.' in match['a'] or '.' in match['b']):
        return None  # pages, people, years
    return float(match['a']), float(match['b']), True, False
