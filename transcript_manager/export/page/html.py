"""
One HTML file that holds everything: text, times, audio, style and script.

It loads nothing: its policy (CSP) allows its own style and script, by their hashes, and media that
the script makes of the audio in the file. The text is readable without the script, too.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
import hashlib
import html
from importlib import resources
import math
import re
import string
import unicodedata

from transcript_manager.result import Result, ResultSegment, ResultWord

LOW_PROBABILITY = 0.7
"""Words below are marked as uncertain ..."""
VERY_LOW_PROBABILITY = 0.5
"""... and below this more so."""
_LANGUAGE = re.compile(r'[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*')


@dataclass(frozen=True, slots=True)
class PageAudio:
    """Audio to be embedded; its time 0 is that of the transcript."""

    data: bytes
    """A whole file."""
    media_type: str
    """What a browser calls its format."""
    duration_s: float


def to_page(result: Result, *, title: str = '', audio: PageAudio | None = None) -> str:
    """
    Format a result as a web page.

    :param title: what was heard, for people
    :param audio: None makes a page without a player
    """
    style, script = _part('page.css'), _part('page.js')
    language = result.language if _LANGUAGE.fullmatch(result.language) else ''
    return string.Template(_part('template.html')).substitute(
        title=_escaped(title or 'Transcript'),
        facts=_escaped(_facts(result, audio)),
        policy="default-src 'none'; media-src blob:; base-uri 'none'; form-action 'none'; "
        f"script-src '{_digest(script)}'; style-src '{_digest(style)}'",
        kind='with-audio' if audio else 'text-only',
        style=style,
        script=script,
        language=f' lang="{language}"' if language else '',
        segments='\n'.join(
            _segment(segment, language, is_first=number == 0, has_audio=audio is not None)
            for number, segment in enumerate(result.segments)
        ),
        player=_player(audio) if audio else '',
        audio=_audio(audio) if audio else '',
    )


def page_clock(seconds: float) -> str:
    """Format a time as M:SS, or H:MM:SS from an hour on: the second in which it is."""
    minutes, whole_s = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{whole_s:02}' if hours else f'{minutes}:{whole_s:02}'


def _part(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding='utf-8')


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f'sha256-{base64.b64encode(digest).decode()}'


def _facts(result: Result, audio: PageAudio | None) -> str:
    count = len(result.words)
    length_s = audio.duration_s if audio else result.end_s
    return f'{count} {"word" if count == 1 else "words"} · {page_clock(length_s)}'


def _segment(segment: ResultSegment, language: str, *, is_first: bool, has_audio: bool) -> str:
    shown = page_clock(segment.start_s)
    lang = f' lang="{language}"' if language else ''
    time = f'<time class="at">{shown}</time>'
    if has_audio:
        time = (
            f'<button type="button" class="at" tabindex="{0 if is_first else -1}" '
            f'aria-label="Play from {shown}">{shown}</button>'
        )
    words = ''.join(_word(word) for word in segment.words).lstrip()
    return f'<div class="segment">{time}<p dir="auto"{lang}>{words}</p></div>'


def _word(word: ResultWord) -> str:
    text = _clean(word.text)
    shown = text.strip()
    others = word.others
    classes = 'w'
    attributes = ''
    if math.isfinite(word.probability):
        attributes += f' data-p="{word.probability:.4f}"'
        if word.probability < LOW_PROBABILITY:
            classes += ' low very' if word.probability < VERY_LOW_PROBABILITY else ' low'
    if word.occurrences:
        attributes += f' data-n="{word.occurrences}"'
    alternatives = ''
    if others:
        classes += ' other'
        told = ', '.join(f'{_clean(t).strip()} ({_times(n)})' for t, n in others)
        attributes += f' title="also heard: {_escaped(told)}"'
        inside = '|'.join(_escaped(t.strip()) for t, _ in others)
        alternatives = (
            f'<span class="alt" role="note" aria-label="also heard: {_escaped(told)}">'
            f' {{{inside}}}</span>'
        )
    space = ' ' if text[:1].isspace() else ''
    behind = ' ' if text[-1:].isspace() else ''
    return (
        f'{space}<span class="{classes}" data-s="{word.start_s:.3f}" data-e="{word.end_s:.3f}"'
        f'{attributes}>{_escaped(shown)}</span>{alternatives}{behind}'
    )


def _times(count: int) -> str:
    return 'in 1 window' if count == 1 else f'in {count} windows'


def _player(audio: PageAudio) -> str:
    return string.Template(_part('player.html')).substitute(
        duration_s=f'{audio.duration_s:.3f}', duration=page_clock(audio.duration_s)
    )


def _audio(audio: PageAudio) -> str:
    data = base64.b64encode(audio.data).decode()
    kind = _escaped(audio.media_type)
    return f'<script type="text/plain" id="audio" data-type="{kind}">{data}</script>'


def _escaped(text: str) -> str:
    return html.escape(_clean(text))


def _clean(text: str) -> str:
    """Replace what HTML or UTF-8 cannot hold: control characters and lone surrogates."""
    return ''.join(
        c if c in '\t\n' or unicodedata.category(c) not in ('Cc', 'Cs') else '\ufffd' for c in text
    )
