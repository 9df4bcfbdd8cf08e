"""Token fusing: from the tokens of a decode to the words that were heard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
import re
import unicodedata

from transcript_manager.merge.decode import Decode, DecodedSegment

# whisper.cpp's own notation for tokens that are not text, such as [_BEG_] or [_TT_284].
_SPECIAL = re.compile(r'\[_[A-Z]+_?\d*_?\]')

# Scripts written without spaces: every character is a word of its own for the merge.
_UNSPACED = re.compile(
    '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff'
    '\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]'
)


@dataclass(frozen=True, slots=True)
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


@dataclass(slots=True)
class _Piece:
    """A run of characters that belongs to one word, with its share of the token's time."""

    text: str
    probability: float
    start_s: float
    end_s: float


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
    of the first word is dropped: it belongs to a word that the window does not hold.

    :returns: words in order of speech; starts and ends lie inside the window, starts ascend
    """
    words: list[HeardWord] = []
    for segment in decode.segments:
        opens_segment = True
        for pieces in _groups(_pieces(segment, decode)):
            word = _word(pieces, opens_segment)
            if word.form:
                words.append(word)
                opens_segment = False
            elif words:
                words[-1] = replace(words[-1], suffix=words[-1].suffix + word.text + word.suffix)
    return _ascending(words, decode)


def _pieces(segment: DecodedSegment, decode: Decode) -> list[_Piece]:
    """Give every token a time and cut it where a word ends inside it."""
    tokens = [t for t in segment.tokens if t.text and not _SPECIAL.fullmatch(t.text.strip())]
    spans = _token_spans(segment, decode, tokens)
    pieces = []
    for token, (start_s, end_s) in zip(tokens, spans, strict=True):
        parts = _split(token.text)
        share_s = (end_s - start_s) / len(token.text)
        at_s = start_s
        for part in parts:
            until_s = at_s + share_s * len(part)
            pieces.append(_Piece(part, min(1.0, max(0.0, token.probability)), at_s, until_s))
            at_s = until_s
    return pieces


def _split(text: str) -> list[str]:
    """Cut a token's text before white space inside it and around unspaced characters."""
    if text.isascii() and ' ' not in text[1:]:
        return [text]
    parts: list[str] = []
    for char in text:
        joins = parts and not (
            (char.isspace() and not parts[-1].isspace())
            or _is_unspaced(char)
            or (_is_unspaced(parts[-1][-1]) and unicodedata.category(char)[0] in 'LN')
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


def _is_unspaced(char: str) -> bool:
    # Combining marks of these scripts belong to the character before them.
    return bool(_UNSPACED.match(char)) and unicodedata.category(char)[0] != 'M'


def _token_spans(segment: DecodedSegment, decode: Decode, tokens) -> list[tuple[float, float]]:
    """Find start and end of every token [s], sharing out unknown stretches by characters."""
    low_s, high_s = decode.start_s, decode.end_s
    from_s = min(max(segment.start_s, low_s), high_s)
    to_s = min(max(segment.end_s, from_s), high_s)
    spans: list[tuple[float, float] | None] = []
    for token in tokens:
        known = 0 <= token.start_s <= token.end_s
        spans.append(
            (min(max(token.start_s, low_s), high_s), min(max(token.end_s, low_s), high_s))
            if known
            else None
        )
    index = 0
    while index < len(spans):
        if spans[index] is not None:
            from_s = spans[index][1]
            index += 1
            continue
        stop = index
        while stop < len(spans) and spans[stop] is None:
            stop += 1
        until_s = spans[stop][0] if stop < len(spans) else to_s
        until_s = max(until_s, from_s)
        total = sum(len(t.text) for t in tokens[index:stop])
        at_s = from_s
        for k in range(index, stop):
            next_s = at_s + (until_s - from_s) * len(tokens[k].text) / total
            spans[k] = (at_s, next_s)
            at_s = next_s
        index = stop
    return spans


def _groups(pieces: list[_Piece]):
    """Group pieces into words: a new one begins at white space and at unspaced characters."""
    group: list[_Piece] = []
    for piece in pieces:
        first = piece.text[0]
        begins = first.isspace() or _is_unspaced(first)
        if group and not begins:
            begins = _is_unspaced(group[-1].text[-1]) and unicodedata.category(first)[0] in 'LN'
        if group and begins:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _word(pieces: list[_Piece], opens_segment: bool) -> HeardWord:
    text = ''.join(p.text for p in pieces)
    core_length = len(text)
    while core_length and unicodedata.category(text[core_length - 1])[0] not in 'LMN':
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
    )


def _ascending(words: list[HeardWord], decode: Decode) -> list[HeardWord]:
    """Repair times that run backwards: whisper.cpp's own token times do, at times."""
    result = []
    at_s = decode.start_s
    for word in words:
        start_s = max(word.start_s, at_s)
        end_s = max(word.end_s, start_s)
        if start_s != word.start_s or end_s != word.end_s:
            word = replace(word, start_s=start_s, end_s=end_s)
        at_s = start_s
        result.append(word)
    return result
