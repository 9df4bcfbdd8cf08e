"""Times that go on, where the clock was set back in the middle of a session."""

from __future__ import annotations

from transcript_manager.result import moved, Result, ResultSegment

OVERLAP_S = 0.05
"""Segments may overlap by so much: times are rounded on the way."""


def put_in_order(result: Result) -> list[str]:
    """
    Let times go on where they step back, and make none negative.

    A session whose clock was set has segments that begin before the end of the one before, though
    they were said after it: from there on all are moved.

    :returns: what was done, for people
    """
    notes = []
    first_s = result.segments[0].start_s if result.segments else 0.0
    shift_s = max(0.0, -first_s)
    before: ResultSegment | None = None
    for at, segment in enumerate(result.segments):
        shifted = _shifted(segment, shift_s)
        if before is not None and shifted.start_s < before.end_s - OVERLAP_S:
            shift_s += before.end_s - shifted.start_s
            shifted = _shifted(segment, shift_s)
            notes.append(
                f'the clock was set back before segment {at + 1}; from there on times are '
                f'{shift_s:.1f} s later than they were noted, so that they go on'
            )
        result.segments[at] = before = shifted
    return notes


def _shifted(segment: ResultSegment, by_s: float) -> ResultSegment:
    if by_s == 0:
        return segment
    words = tuple(moved(word, by_s) for word in segment.words)
    return ResultSegment(segment.start_s + by_s, segment.end_s + by_s, segment.text, words)
