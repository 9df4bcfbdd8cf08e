"""Subtitles, by pysubs2."""

from __future__ import annotations

import pysubs2

from transcript_manager.result import Result

SRT, VTT = 'srt', 'vtt'


def to_subtitles(result: Result, *, kind: str) -> str:
    """
    Format a result as SubRip or WebVTT.

    :param kind: 'srt' or 'vtt'
    """
    subtitles = pysubs2.SSAFile()
    cues = [(s.start_s, s.end_s, s.text) for s in result.segments]
    for start_s, end_s, text in cues:
        start_ms = max(0, round(start_s * 1000))
        subtitles.append(
            pysubs2.SSAEvent(
                start=start_ms,
                end=max(start_ms + 1, round(end_s * 1000)),
                text=_escaped(' '.join(text.split()), kind),
            )
        )
    return subtitles.to_string(kind)


def _escaped(text: str, kind: str) -> str:
    """Keep what was said from being taken for markup."""
    text = text.replace('\\', '\\\u2060').replace('{', '\uff5b').replace('}', '\uff5d')
    if kind == VTT:
        return text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    return text.replace('<', '\uff1c')  # SubRip has no escapes
