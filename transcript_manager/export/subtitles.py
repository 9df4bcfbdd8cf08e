"""Subtitles: SubRip and WebVTT, by pysubs2."""

from __future__ import annotations

import pysubs2

from transcript_manager.export.cues import Cue, make_cues
from transcript_manager.result import Result

SRT, VTT = 'srt', 'vtt'


_MAX_MS = 100 * 3600 * 1000
"""From here on pysubs2 has no times; the formats have."""


def to_subtitles(result: Result, *, kind: str) -> str:
    """
    Format a result as SubRip or WebVTT.

    :param kind: 'srt' or 'vtt'
    """
    cues = enumerate(make_cues(result.words), 1)
    return header(kind) + ''.join(format_cue(cue, number, kind=kind) for number, cue in cues)


def header(kind: str) -> str:
    """Return what a file begins with."""
    return 'WEBVTT\n\n' if kind == VTT else ''


def format_cue(cue: Cue, number: int, *, kind: str) -> str:
    """
    Format a cue that goes on with a file.

    :param number: of the cue, from 1
    :param kind: 'srt' or 'vtt'
    """
    start_ms = max(0, round(cue.start_s * 1000))
    end_ms = max(start_ms + 1, round(cue.end_s * 1000))
    lines = [_escaped(line, kind) for line in cue.lines]
    if end_ms >= _MAX_MS:
        times = f'{_time(start_ms, kind)} --> {_time(end_ms, kind)}'
        return '\n'.join([str(number), times, *lines, '', ''])
    # pysubs2 writes whole files only: one of this cue, without its header and its number.
    whole = pysubs2.SSAFile()
    whole.append(pysubs2.SSAEvent(start=start_ms, end=end_ms, text='\\N'.join(lines)))
    _, _, block = whole.to_string(kind).removeprefix(header(kind)).partition('\n')
    return f'{number}\n{block}'


def _time(at_ms: int, kind: str) -> str:
    seconds, ms = divmod(at_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    point = '.' if kind == VTT else ','
    return f'{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{ms:03}'


def _escaped(text: str, kind: str) -> str:
    """Keep what was said from being taken for markup."""
    text = text.replace('\\', '\\\u2060').replace('{', '\uff5b').replace('}', '\uff5d')
    if kind == VTT:
        return text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    # SubRip has no escapes.
    return text.replace('<', '\uff1c').replace('-->', '--\uff1e')
