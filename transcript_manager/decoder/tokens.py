"""What a decode gives: tokens in segments, and how they are read off whisper.cpp's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transcript_manager.decoder.text import token_texts

UNKNOWN_MS = -1
_TIMESTAMP_STEP_MS = 20  # of Whisper's timestamp tokens


@dataclass(frozen=True, slots=True)
class EngineToken:
    """One text token, with times from the window's first sample."""

    id: int
    text: str
    probability: float
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class EngineSegment:
    """One segment, with times from the window's first sample."""

    start_ms: int
    end_ms: int
    tokens: tuple[EngineToken, ...]


@dataclass(frozen=True, slots=True)
class EngineResult:
    """One decode."""

    segments: tuple[EngineSegment, ...]
    language: str
    """ISO 639-1 code of what was spoken; '' if unknown."""


@dataclass(frozen=True, slots=True)
class RawToken:
    """One token as whisper.cpp gave it, marks included."""

    id: int
    bytes: bytes
    probability: float
    start_ms: int = UNKNOWN_MS
    end_ms: int = UNKNOWN_MS
    dtw_ms: int = UNKNOWN_MS
    """What DTW marked."""


@dataclass(frozen=True, slots=True)
class RawSegment:
    """A segment as whisper.cpp gave it."""

    start_ms: int
    end_ms: int
    tokens: Sequence[RawToken]


def split_at_timestamps(segment: RawSegment, *, first_timestamp: int) -> Iterator[RawSegment]:
    """
    Split a segment where its own timestamp tokens say so.

    whisper.cpp's ``single_segment`` leaves them inside the one segment it makes.

    :param first_timestamp: id of the timestamp token for 0.00 s
    """
    start_ms = segment.start_ms
    tokens: list[RawToken] = []
    for token in segment.tokens:
        if token.id < first_timestamp:
            tokens.append(token)
            continue
        at_ms = (token.id - first_timestamp) * _TIMESTAMP_STEP_MS
        if tokens:
            yield RawSegment(start_ms, max(start_ms, at_ms), tokens)
            tokens = []
        start_ms = at_ms
    if tokens:
        yield RawSegment(start_ms, max(start_ms, segment.end_ms), tokens)


def to_segment(
    segment: RawSegment, spans: Sequence[tuple[int, int]], *, window_ms: int
) -> EngineSegment:
    """
    Make a segment of text tokens with their times.

    :param spans: (start, end) of each of its tokens [ms]; -1 where unknown
    :param window_ms: times beyond the window's end are brought to it
    """
    start_ms = clamp(segment.start_ms, 0, window_ms)
    texts = token_texts(token.bytes for token in segment.tokens)
    return EngineSegment(
        start_ms,
        clamp(segment.end_ms, start_ms, window_ms),
        tuple(
            EngineToken(
                token.id, text, clamp(token.probability, 0.0, 1.0), *_span(*span, window_ms)
            )
            for token, text, span in zip(segment.tokens, texts, spans, strict=True)
        ),
    )


def _span(start_ms: int, end_ms: int, window_ms: int) -> tuple[int, int]:
    if start_ms < 0 or end_ms < start_ms:
        return UNKNOWN_MS, UNKNOWN_MS
    start_ms = min(start_ms, window_ms)
    return start_ms, clamp(end_ms, start_ms, window_ms)


def clamp(value, low, high):
    """Bring a value into a range."""
    return min(max(value, low), high)
