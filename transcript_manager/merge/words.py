"""Token fusing: from the tokens of a decode to the words that were heard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import re
from typing import NamedTuple
import unicodedata

from transcript_manager.merge.decode import Decode, DecodedSegment, UNKNOWN_S

# whisper.cpp's own notation for tokens that are not text, such as [_BEG_] or [_TT_284].
_SPECIAL = re.compile(r'\[_[A-Z]+_?\d*_?\]')

# What decoders say of sounds that are no speech: [BLANK_AUDIO], (wind blowing), and notes.
_CLOSING = {'[': ']', '(': ')'}
_MAX_ANNOTATION_WORDS = 8
_MARKS = frozenset((',', '.', '?', '!', ':', ';', '...'))
_NOTES = re.compile('[\u2669-\u266c]')

_FIRST_UNSPACED = '\u0e00'

_MAX_OUTSIDE_S = 10.0
"""Times so far outside the window are garbage; less can be a window whose times are all off."""

# Scripts written without spaces: every character is a word of its own for the merge.
_UNSPACED = re.compile(
    '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff'
    '\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]'
)


@dataclass(slots=True)
class HeardWord:
    """One word as one window heard it."""

    text: str
    """With its leading space and any opening punctuation, without closing punctuation."""
    form: str
    """The comparable form: equal for words that differ in case and punctuation only."""
    suffix: str
    """Closing punctuation, ``''`` if there is none."""
    probability: float
    """Mean over the word's tokens, [0, 1]."""
    start_s: float
    end_s: float
    opens_segment: bool
    """True: the decoder began a segment with this word."""
    is_timed: bool = True
    """False: the decoder gave no times, the word's are shared out from its segment's."""


class _Piece(NamedTuple):
    """A run of characters that belongs to one word, with its share of the token's time."""

    text: str
    probability: float
    start_s: float
    end_s: float
    is_timed: bool


@lru_cache(maxsize=8192)
def comparable(text: str) -> str:
    """
    Reduce a word to what decides whether two windows heard the same one.

    Case and width are folded, accents are kept, and everything that is neither letter, mark nor
    digit is dropped: "I'm" and "Im", "e-mail" and "email" compare equal.
    """
    folded = unicodedata.normalize('NFKC', text).casefold()
    return ''.join(c for c in folded if unicodedata.category(c)[0] in 'LMN')


def fuse(decode: Decode) -> list[HeardWord]:
    """
    Fuse the tokens of a decode into words, by white space and punctuation.

    Tokens without times get a share of the time between their neighbours. Punctuation in front
    of the first word is dropped: it belongs to a word that the window does not hold. So are
    annotations of what is no speech, in brackets or parentheses.

    :returns: words in order of speech, their starts ascend; times may lie outside the window
    """
    words: list[HeardWord] = []
    for segment in decode.segments:
        opens_segment = True
        groups = _plain_groups(segment, decode)
        if groups is None:
            groups = _groups(_pieces(segment, decode))
        for pieces in groups:
            word = _word(pieces, opens_segment)
            if word.form:
                if opens_segment and not (word.text[0].isspace() or is_unspaced(word.text[0])):
                    word.text = ' ' + word.text  # some decoders strip segments
                words.append(word)
                opens_segment = False
            elif words:
                words[-1].suffix += (word.text + word.suffix).rstrip()
    return _ascending(_without_annotations(words))


def _plain_groups(segment: DecodedSegment, decode: Decode) -> list[list[_Piece]] | None:
    """
    Group the tokens of an ordinary segment into words, in a third of the time.

    :returns: what :func:`_groups` would; None if a token is anything but printable ASCII of one
        word, with a time
    """
    low_s, high_s = decode.start_s - _MAX_OUTSIDE_S, decode.end_s + _MAX_OUTSIDE_S
    groups: list[list[_Piece]] = []
    group = None
    for token in segment.tokens:
        text, start_s, end_s = token.text, token.start_s, token.end_s
        if not (
            text.isascii()
            and text.isprintable()
            and text
            and text.rfind(' ') < 1
            and '[' not in text
            and low_s <= start_s <= end_s <= high_s
            and start_s != UNKNOWN_S
            and end_s != UNKNOWN_S
            and 0.0 <= token.probability <= 1.0
        ):
            return None
        piece = _Piece(text, token.probability, start_s, end_s, True)
        if group is None or text[0] == ' ':
            group = [piece]
            groups.append(group)
        else:
            group.append(piece)
    return groups


def _without_annotations(words: list[HeardWord]) -> list[HeardWord]:
    if not any(['[' in w.text or '(' in w.text for w in words]):
        return words
    kept: list[HeardWord] = []
    at = 0
    while at < len(words):
        opening = words[at].text.lstrip()[0]
        closing = _CLOSING.get(opening)
        if closing is not None:
            for end in range(at, min(len(words), at + _MAX_ANNOTATION_WORDS)):
                if closing in words[end].suffix:
                    at = end
                    break
            else:
                closing = None  # never closed: words after all
        if closing is None:
            kept.append(words[at])
        at += 1
    return kept


def _pieces(segment: DecodedSegment, decode: Decode) -> list[_Piece]:
    """Give every token a time and cut it where a word ends inside it."""
    tokens = []
    is_timed = True
    for token in segment.tokens:
        text = token.text
        if not text.isascii():
            text = _NOTES.sub('', text)
        if text and not ('[' in text and _SPECIAL.fullmatch(text.strip())):
            tokens.append((text, token.probability, token.start_s, token.end_s))
            is_timed = is_timed and _is_known(token.start_s, token.end_s, decode)
    if not is_timed:
        spans = _token_spans(segment, decode, tokens)
    pieces = []
    for k, (text, probability, start_s, end_s) in enumerate(tokens):
        own_time = is_timed or _is_known(start_s, end_s, decode)
        if not is_timed:
            start_s, end_s = spans[k]
        if not 0.0 <= probability <= 1.0:
            probability = 1.0 if probability > 1.0 else 0.0
        if text.isascii() and ' ' not in text[1:]:
            pieces.append(_Piece(text, probability, start_s, end_s, own_time))
            continue
        share_s = (end_s - start_s) / len(text)
        at_s = start_s
        for part in _split(text):
            until_s = at_s + share_s * len(part)
            pieces.append(_Piece(part, probability, at_s, until_s, own_time))
            at_s = until_s
    return pieces


def _is_known(start_s: float, end_s: float, decode: Decode) -> bool:
    """Whether a token has times that can be meant: not unknown, not garbage."""
    if start_s == UNKNOWN_S or end_s == UNKNOWN_S:
        return False
    return decode.start_s - _MAX_OUTSIDE_S <= start_s <= end_s <= decode.end_s + _MAX_OUTSIDE_S


def _split(text: str) -> list[str]:
    """Cut a token's text before white space inside it and around unspaced characters."""
    parts: list[str] = []
    for char in text:
        joins = parts and not (
            (char.isspace() and not parts[-1].isspace())
            or is_unspaced(char)
            or (is_unspaced(parts[-1][-1]) and unicodedata.category(char)[0] in 'LN')
        )
        if (
            joins
            or (parts and unicodedata.category(char)[0] == 'M')
            or parts
            and parts[-1].isspace()
            and not char.isspace()
        ):
            parts[-1] += char
        else:
            parts.append(char)
    return parts


def _is_word_character(char: str) -> bool:
    """Whether a character is a letter, a mark or a digit."""
    return char.isalnum() or unicodedata.category(char)[0] in 'LMN'


def is_unspaced(char: str) -> bool:
    """Whether a character belongs to a script that is written without spaces."""
    # Combining marks of these scripts belong to the character before them.
    return (
        char >= _FIRST_UNSPACED  # most often it is not, and looking it up takes time
        and _UNSPACED.match(char) is not None
        and unicodedata.category(char)[0] != 'M'
    )


def _token_spans(segment: DecodedSegment, decode: Decode, tokens) -> list[tuple[float, float]]:
    """Find start and end of every token [s], sharing out unknown stretches by characters."""
    low_s, high_s = decode.start_s, decode.end_s
    from_s = min(max(segment.start_s, low_s), high_s)
    to_s = min(max(segment.end_s, from_s), high_s)
    spans: list[tuple[float, float] | None] = []
    for _, _, start_s, end_s in tokens:
        spans.append((start_s, end_s) if _is_known(start_s, end_s, decode) else None)
    index = 0
    while index < len(spans):
        if spans[index] is not None:
            from_s = spans[index][1]
            index += 1
            continue
        stop = index
        while stop < len(spans) and spans[stop] is None:
            stop += 1
        until_s = min(spans[stop][0], high_s) if stop < len(spans) else to_s
        until_s = max(until_s, from_s)
        total = sum(len(text) for text, *_ in tokens[index:stop])
        at_s = from_s
        for k in range(index, stop):
            next_s = at_s + (until_s - from_s) * len(tokens[k][0]) / total
            spans[k] = (at_s, next_s)
            at_s = next_s
        index = stop
    return spans


def _groups(pieces: list[_Piece]):
    """Group pieces into words: a new one begins at white space and at unspaced characters."""
    group: list[_Piece] = []
    for piece in pieces:
        first = piece.text[0]
        begins = first == ' ' or first.isspace() or is_unspaced(first)
        if group and not begins:
            begins = is_unspaced(group[-1].text[-1]) and unicodedata.category(first)[0] in 'LN'
        if group and begins:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _word(pieces: list[_Piece], opens_segment: bool) -> HeardWord:
    text, probability, start_s, end_s, is_timed = pieces[0]
    suffix = pieces[1].text if len(pieces) == 2 else ''
    if text[-1].isalnum() and (len(pieces) == 1 or suffix in _MARKS):  # most words
        end_s = max(start_s, end_s)
        form = comparable(text)
        return HeardWord(text, form, suffix, probability, start_s, end_s, opens_segment, is_timed)
    text = ''.join([p.text for p in pieces])
    core_length = len(text)
    while core_length and not _is_word_character(text[core_length - 1]):
        core_length -= 1
    core, suffix = text[:core_length], text[core_length:].rstrip()
    # Closing punctuation has its own times and probability; they are not the word's.
    own, length = [], 0
    for piece in pieces:
        if length < core_length:
            own.append(piece)
        length += len(piece.text)
    own = own or pieces
    return HeardWord(
        text=core,
        form=comparable(core),
        suffix=suffix if core else text,
        probability=sum(p.probability for p in own) / len(own),
        start_s=own[0].start_s,
        end_s=max(own[0].start_s, own[-1].end_s),
        opens_segment=opens_segment,
        is_timed=own[0].is_timed,
    )


def _ascending(words: list[HeardWord]) -> list[HeardWord]:
    """Repair times that run backwards: whisper.cpp's own token times do, at times."""
    at_s = float('-inf')
    for word in words:
        if word.start_s < at_s:
            word.start_s = at_s
        at_s = word.start_s
        if word.end_s < at_s:
            word.end_s = at_s
    return words
