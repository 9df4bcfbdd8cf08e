"""Subtitles: SubRip and WebVTT, by pysubs2."""

from __future__ import annotations

from collections.abc import Iterable

import pysubs2

from transcript_manager.export.cues import Cue, make_cues
from transcript_manager.result import Result

SRT, VTT = 'srt', 'vtt'


def to_subtitles(result: Result, *, kind: str) -> str:
    """
    Format a result as SubRip or WebVTT.

    :param kind: 'srt' or 'vtt'
    """
    return format_cues(make_cues(result.words), kind=kind)


def format_cues(cues: Iterable[Cue], *, kind: str) -> str:
    """
    Format cues as a whole file.

    :param kind: 'srt' or 'vtt'
    """
    subtitles = pysubs2.SSAFile()
    for cue in cues:
        start_ms = max(0, round(cue.start_s * 1000))
        subtitles.append(
            pysubs2.SSAEvent(
                start=start_ms,
                end=max(start_ms + 1, round(cue.end_s * 1000)),
                text='\\N'.join(_escaped(line, kind) for line in cue.lines),
            )
        )
    return subtitles.to_string(kind)


def format_cue(cue: Cue, number: int, *, kind: str) -> str:
    """
    Format a cue that goes on with a file: pysubs2 only writes whole ones.

    :param number: of the cue, from 1
    """
    text = format_cues([cue], kind=kind)
    body = text.removeprefix(header(kind))
    _, _, block = body.partition('\n')  # pysubs2's own number
    return f'{number}\n{block}'


def header(kind: str) -> str:
    """Return what a file begins with."""
    return 'WEBVTT\n\n' if kind == VTT else ''


def _escaped(text: str, kind: str) -> str:
    """Keep what was said from being taken for markup."""
    text = text.replace('\\', '\\\u2060').replace('{', '\uff5b').replace('}', '\uff5d')
    if kind == VTT:
        return text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    return text.replace('<', '\uff1c')  # SubRip has no escapes
