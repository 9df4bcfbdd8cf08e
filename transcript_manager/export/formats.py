"""The formats a session is written in, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transcript_manager.errors import ParameterError
from transcript_manager.export.clean import cleaned
from transcript_manager.export.context import SEGMENT, to_context
from transcript_manager.export.lrc import to_lrc
from transcript_manager.export.page.html import PageAudio, to_page
from transcript_manager.export.plain import to_json, to_text, to_tsv
from transcript_manager.export.subtitles import to_subtitles
from transcript_manager.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a format may be told; each takes what concerns it."""

    timestamps: bool = False
    """Of text: put times in front of the lines."""
    title: str = ''
    """What was heard, for people."""
    by: str = SEGMENT
    """Of llm: what a line is, one of ``context.STEPS``."""
    audio: PageAudio | None = None
    """Of html: what a page plays."""


_WRITERS: dict[str, Callable[[Result, Options], str]] = {
    'text': lambda result, options: to_text(result, timestamps=options.timestamps),
    'json': lambda result, options: to_json(result),
    'srt': lambda result, options: to_subtitles(result, kind='srt'),
    'vtt': lambda result, options: to_subtitles(result, kind='vtt'),
    'lrc': lambda result, options: to_lrc(result, title=options.title),
    'llm': lambda result, options: to_context(result, by=options.by),
    'tsv': lambda result, options: to_tsv(result),
    'html': lambda result, options: to_page(result, title=options.title, audio=options.audio),
}
FORMATS = tuple(_WRITERS)
CHOICES = ('txt', *FORMATS)
"""What a user may write: ``txt`` is ``text``."""


def canonical(kind: str) -> str:
    """Return a format's one name."""
    return 'text' if kind == 'txt' else kind


def render(result: Result, kind: str, options: Options | None = None) -> str:
    """
    Format a result.

    :param kind: one of ``CHOICES``
    :raises ParameterError: if there is no such format
    """
    try:
        write = _WRITERS[canonical(kind)]
    except KeyError:
        raise ParameterError(
            f'there is no format {kind!r}; there are {", ".join(FORMATS)}'
        ) from None
    return write(cleaned(result), options or Options())
