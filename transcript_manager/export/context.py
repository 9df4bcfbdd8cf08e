"""A session as numbered, time-stamped lines that a language model can read and cite."""

from __future__ import annotations

from collections.abc import Iterator
import math
import re
import unicodedata

from transcript_manager.result import Result, ResultSegment

SEGMENT, WORD = 'segment', 'word'
STEPS = (SEGMENT, WORD)
_S_PER_HOUR = 3600


def to_context(result: Result, *, by: str = SEGMENT) -> str:
    """
    Format a result as lines ``number [MM:SS] text`` below a line that says what they are.

    The mark is the start, rounded down to the second, so that it never points behind the words;
    sessions that reach an hour have ``[HH:MM:SS]`` on all lines. A line never holds a line break.

    :param by: a line a 'segment' or a line a 'word'
    """
    entries = _words(result) if by == WORD else _segments(result)
    with_hours = result.end_s >= _S_PER_HOUR
    lines = [
        f'{number} [{clock_mark(start_s, with_hours=with_hours)}] {text}\n'
        for number, (start_s, text) in enumerate(entries, 1)
    ]
    body = ''.join(lines)
    form = 'HH:MM:SS' if with_hours else 'MM:SS'
    length = clock_mark(result.end_s, with_hours=with_hours)
    facts = f'# {length} of speech, {len(result.words)} words'
    if result.language:
        facts += f', language {_one_line(result.language)}'
    cite = f'; a line: number [{form} it was said at] words; cite as [{form}]\n'
    tokens = estimate_tokens(f'{facts}, about 1000 tokens{cite}{body}')
    return f'{facts}, about {tokens} tokens{cite}{body}'


def clock_mark(at_s: float, *, with_hours: bool) -> str:
    """
    Format a time as MM:SS or HH:MM:SS, rounded down.

    :param at_s: from the start of the session [s]; taken to the millisecond, as in JSON
    """
    minutes, seconds = divmod(math.floor(round(max(0.0, at_s), 3)), 60)
    if not with_hours:
        return f'{minutes:02}:{seconds:02}'
    return f'{minutes // 60:02}:{minutes % 60:02}:{seconds:02}'


def _segments(result: Result) -> Iterator[tuple[float, str]]:
    for segment in result.segments:
        text = _one_line(segment.text) or _one_line(_joined(segment))
        if text:
            yield segment.start_s, text


def _words(result: Result) -> Iterator[tuple[float, str]]:
    for word in result.words:
        text = _one_line(word.text)
        if text:
            yield word.start_s, text


def _joined(segment: ResultSegment) -> str:
    return ''.join(word.text for word in segment.words)


def _one_line(text: str) -> str:
    """Keep text on its line: white space of any kind becomes a space, controls are dropped."""
    kept = (c for c in text if c.isspace() or unicodedata.category(c) not in ('Cc', 'Cs'))
    return ' '.join(''.join(kept).split())


# -- tokens -------------------------------------------------------------------------------------

_PIECE = re.compile(r'(?P<break>\s*\n)|(?P<digits>\d+)|(?P<word>[^\W\d_]+)|(?P<rest>[^\w\s]+|_+)')
_FREE_LETTERS = 5
_LETTERS_PER_TOKEN = 5.0
_ACCENT_TOKENS = 0.4
# Tokens a character in scripts other than Latin, by the first word of a character's Unicode name.
_SCRIPT_TOKENS = {
    'ARABIC': 0.42,
    'CYRILLIC': 0.4,
    'GREEK': 0.5,
    'HEBREW': 0.55,
    'CJK': 0.9,
    'HIRAGANA': 0.65,
    'KATAKANA': 0.65,
    'HANGUL': 0.7,
}
_OTHER_SCRIPT_TOKENS = 0.7


def estimate_tokens(text: str) -> int:
    """
    Estimate how many tokens a language model counts, without its tokenizer.

    A word of Latin letters is a token up to 5 letters and one more for each 5 further letters, in
    parts; digits go in groups of three; a run of punctuation and a line break are a token each; a
    letter of another script is its share of a token. docs/language-models.md has the measured
    errors.
    """
    tokens = 0.0
    after_mark = False
    for match in _PIECE.finditer(text):
        kind, piece = match.lastgroup, match.group()
        if kind == 'digits':
            tokens += -(-len(piece) // 3)
        elif kind == 'word':
            tokens += _word_tokens(piece)
        elif kind == 'rest':
            tokens += max(1.0, len(piece) / 4)
        elif not after_mark:  # a line break joins the punctuation before it
            tokens += 1
        after_mark = kind == 'rest'
    return math.ceil(tokens)


def _word_tokens(word: str) -> float:
    if word.isascii():
        return 1 + max(0, len(word) - _FREE_LETTERS) / _LETTERS_PER_TOKEN
    latin = accents = 0
    tokens = 0.0
    for char in word:
        script = unicodedata.name(char, '').partition(' ')[0]
        if char.isascii():
            latin += 1
        elif script == 'LATIN':
            latin += 1
            accents += 1
        else:
            tokens += _SCRIPT_TOKENS.get(script, _OTHER_SCRIPT_TOKENS)
    if latin:
        tokens += 1 + max(0, latin - _FREE_LETTERS) / _LETTERS_PER_TOKEN
    return max(1.0, tokens + accents * _ACCENT_TOKENS)
