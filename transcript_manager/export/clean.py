"""Texts that are fit for every format."""

from __future__ import annotations

from dataclasses import replace

from transcript_manager.result import Result, ResultSegment
from transcript_manager.text import spoken


def cleaned(result: Result) -> Result:
    """
    Return a result without control characters, halves of characters and the like in its texts.

    What was said comes from a model, a file or the network; see :mod:`transcript_manager.text`.
    """
    return Result(spoken(result.language), [_cleaned(s) for s in result.segments])


def _cleaned(segment: ResultSegment) -> ResultSegment:
    texts = [segment.text, *(t for w in segment.words for t in (w.text, *dict(w.conflicts)))]
    if all(text.isprintable() for text in texts):
        return segment
    words = tuple(
        replace(
            word,
            text=spoken(word.text),
            conflicts=tuple((spoken(text), count) for text, count in word.conflicts),
        )
        for word in segment.words
    )
    return replace(segment, text=spoken(segment.text), words=words)
