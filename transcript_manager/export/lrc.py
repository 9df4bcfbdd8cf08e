"""
Enhanced LRC: lyrics with a time per line and per word, as karaoke players read them.

A line is a cue (cues.py). Players show it until the next one comes, so that an empty line ends it
where a pause follows. Minutes go on past 99: the format knows no hours.
"""

from __future__ import annotations

from transcript_manager.export.cues import Cue, make_cues
from transcript_manager.result import Result

CLEAR_AFTER_S = 2.0
"""A line goes off the screen if nothing is said for so long."""
HEADER = '[re:transcript_manager]\n'


def to_lrc(result: Result, *, title: str = '') -> str:
    """Format a result as enhanced LRC."""
    cues = make_cues(result.words)
    following = [*cues[1:], None]
    lines = [cue_lines(cue, after) for cue, after in zip(cues, following, strict=True)]
    head = f'[ti:{_plain(title)}]\n' if title else ''
    return head + HEADER + ''.join(lines)


def cue_lines(cue: Cue, after: Cue | None) -> str:
    """
    Format a cue: a line, and an empty one where nothing is said for a while.

    :param after: the next one, if there is any
    """
    start_s = cue.words[0].start_s
    parts = [f'[{_time(start_s)}]']
    for word, next_word in zip(cue.words, [*cue.words[1:], None], strict=True):
        space = ' ' if next_word is not None and _is_apart(word.text, next_word.text) else ''
        parts.append(f'<{_time(word.start_s)}>{_plain(word.text)}{space}')
    end_s = cue.words[-1].end_s
    text = f'{"".join(parts)}<{_time(end_s)}>\n'
    if after is None or after.words[0].start_s - end_s >= CLEAR_AFTER_S:
        text += f'[{_time(end_s)}]\n'
    return text


def _is_apart(before: str, after: str) -> bool:
    return before[-1:].isspace() or after[:1].isspace()


def _time(at_s: float) -> str:
    minutes, hundredths = divmod(max(0, round(at_s * 100)), 6000)
    return f'{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}'


def _plain(text: str) -> str:
    """Keep what was said from being taken for a time or a tag."""
    text = ' '.join(text.split())
    return text.translate(str.maketrans('<>[]', '\uff1c\uff1e\uff3b\uff3d'))
