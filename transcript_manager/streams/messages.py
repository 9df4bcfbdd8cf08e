"""
From token messages to what the merge is given.

A message is anything with the fields of WhisperTokens.msg: one from a ROS topic, one out of a
bag, or a :class:`TokensRecord`. All of them take this one path, so that a stream gives the same
transcript wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from transcript_manager.merge.decode import Decode, DecodedSegment, Token, UNKNOWN_S

NS_PER_S = 1_000_000_000


class Stamp(NamedTuple):
    """As builtin_interfaces/Time."""

    sec: int
    nanosec: int


class Header(NamedTuple):
    """As std_msgs/Header, what is needed of it."""

    stamp: Stamp


class TokenRecord(NamedTuple):
    """As WhisperToken.msg: times in ms from the window's start, -1 where unknown."""

    text: str
    probability: float
    start_ms: int
    end_ms: int


class SegmentRecord(NamedTuple):
    """As WhisperSegment.msg: times in ms from the window's start."""

    start_ms: int
    end_ms: int
    tokens: Sequence[TokenRecord]


class TokensRecord(NamedTuple):
    """As WhisperTokens.msg, what the merge needs of it."""

    header: Header
    window_ms: int
    segments: Sequence[SegmentRecord]
    language: str = ''
    end_of_stream: bool = False


def to_ns(stamp: Any) -> int:
    """Convert a message's time to nanoseconds."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def to_decode(message: Any, *, origin_ns: int) -> Decode:
    """
    Convert a token message; its times then count in seconds from ``origin_ns``.

    :param message: with the fields of WhisperTokens.msg
    """
    start_s = (to_ns(message.header.stamp) - origin_ns) / NS_PER_S
    return Decode(
        start_s=start_s,
        duration_s=message.window_ms / 1000,
        end_of_stream=bool(message.end_of_stream),
        segments=tuple(
            [
                DecodedSegment(
                    start_s=start_s + segment.start_ms / 1000,
                    end_s=start_s + segment.end_ms / 1000,
                    tokens=tuple([_to_token(token, start_s) for token in segment.tokens]),
                )
                for segment in message.segments
            ]
        ),
    )


def _to_token(token: Any, window_start_s: float) -> Token:
    if token.start_ms == -1 or token.end_ms == -1:
        return Token(token.text, token.probability, UNKNOWN_S, UNKNOWN_S)
    return Token(
        token.text,
        token.probability,
        window_start_s + token.start_ms / 1000,
        window_start_s + token.end_ms / 1000,
    )
