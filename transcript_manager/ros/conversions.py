"""Between messages and values: pure functions, the only place where ROS time meets stream time."""

from __future__ import annotations

import array
from collections.abc import Sequence

from builtin_interfaces.msg import Duration, Time
import numpy as np

from transcript_manager import msg
from transcript_manager.audio.ring import Window
from transcript_manager.decoder.tokens import EngineSegment
from transcript_manager.merge.segments import TranscriptSegment, TranscriptWord
from transcript_manager.streams.messages import NS_PER_S

NS_PER_MS = 1_000_000
_MAX_INT32 = 2**31 - 1
_MAX_UPDATE_BYTES = 56_000
_WORD_BYTES = 56
"""Of a word in a message, beside its texts."""
_STRING_BYTES = 12
"""Of a conflict in a message, beside its text: length, count, alignment."""


def to_time(ns: int) -> Time:
    """Convert nanoseconds to a message's time; what the message cannot hold is clipped."""
    sec, nanosec = divmod(ns, NS_PER_S)
    if sec > _MAX_INT32:
        return Time(sec=_MAX_INT32, nanosec=NS_PER_S - 1)
    return Time(sec=max(sec, -_MAX_INT32 - 1), nanosec=nanosec)


def to_duration(ns: int) -> Duration:
    """Convert nanoseconds to a message's duration."""
    time = to_time(ns)
    return Duration(sec=time.sec, nanosec=time.nanosec)


def window_to_msg(
    window: Window, *, sample_rate_hz: int, stream_start_ns: int, frame_id: str
) -> msg.AudioWindow:
    """Convert a window; ``stream_start_ns`` is the capture time of the stream's sample 0."""
    message = msg.AudioWindow()
    message.header.stamp = to_time(
        stream_start_ns + window.first_sample * NS_PER_S // sample_rate_hz
    )
    message.header.frame_id = frame_id
    message.sample_rate = sample_rate_hz
    message.first_sample = window.first_sample
    # An array is taken over as it is; a list would be checked number by number, 30 times slower.
    message.samples = array.array('h', window.samples.tobytes())
    message.end_of_stream = window.end_of_stream
    return message


def msg_to_samples(message: msg.AudioWindow) -> np.ndarray:
    """Return a window's samples: int16, shape (n,), mono."""
    return np.frombuffer(message.samples, dtype=np.int16)


def window_ms(message: msg.AudioWindow) -> int:
    """Length of a window [ms]."""
    return round(len(message.samples) * 1000 / message.sample_rate)


def segment_to_msg(segment: EngineSegment, *, earlier_ms: int = 0) -> msg.WhisperSegment:
    """
    Convert one decoded segment.

    :param earlier_ms: taken from its times: the window it was heard in begins later [ms]
    """

    def earlier(at_ms: int) -> int:
        return max(0, at_ms - earlier_ms) if at_ms >= 0 else at_ms

    return msg.WhisperSegment(
        start_ms=earlier(segment.start_ms),
        end_ms=earlier(segment.end_ms),
        tokens=[
            msg.WhisperToken(
                id=t.id,
                text=t.text,
                probability=t.probability,
                start_ms=earlier(t.start_ms),
                end_ms=earlier(t.end_ms),
            )
            for t in segment.tokens
        ],
    )


def active_to_msgs(
    segments: Sequence[TranscriptSegment], *, origin_ns: int
) -> list[msg.TranscriptSegment]:
    """
    Convert the active part of a transcript for an update, which stays below 64 KiB.

    The merge bounds the words. If they are many and long, their conflicts are left out: who needs
    them finds them in the frozen segments.
    """
    words = [w for s in segments for w in s.words]
    text_bytes = sum(len(w.text.encode()) for w in words)
    conflict_bytes = sum(len(t.encode()) + _STRING_BYTES for w in words for t, _ in w.conflicts)
    # Each text stands in its word, its segment and the update.
    size_bytes = len(words) * _WORD_BYTES + 3 * text_bytes + conflict_bytes
    is_large = size_bytes > _MAX_UPDATE_BYTES
    return [
        transcript_segment_to_msg(s, origin_ns=origin_ns, with_conflicts=not is_large)
        for s in segments
    ]


def transcript_segment_to_msg(
    segment: TranscriptSegment, *, origin_ns: int, with_conflicts: bool = True
) -> msg.TranscriptSegment:
    """Convert a segment whose times count from ``origin_ns``."""
    start_ns = origin_ns + round(segment.start_s * NS_PER_S)
    end_ns = origin_ns + round(segment.end_s * NS_PER_S)
    return msg.TranscriptSegment(
        index=segment.index,
        start=to_time(start_ns),
        duration=to_duration(end_ns - start_ns),
        text=segment.text,
        words=[_word_to_msg(word, origin_ns, with_conflicts) for word in segment.words],
    )


def _word_to_msg(word: TranscriptWord, origin_ns: int, with_conflicts: bool) -> msg.TranscriptWord:
    conflicts = word.conflicts if with_conflicts else ()
    return msg.TranscriptWord(
        text=word.text,
        probability=word.probability,
        occurrences=word.occurrences,
        state=int(word.state),
        start=to_time(origin_ns + round(word.start_s * NS_PER_S)),
        end=to_time(origin_ns + round(word.end_s * NS_PER_S)),
        conflicts=[text for text, _ in conflicts],
        conflict_occurrences=[count for _, count in conflicts],
    )
