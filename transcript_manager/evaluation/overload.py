"""
A decoder that is too slow, in simulated time: what it still hears, and how far behind it is.

Windows come at the moment their last sample is recorded; the real schedule picks which is decoded,
the real decoder and merge do the work, and only the time that a decode takes is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from transcript_manager.decoder.schedule import Job, Schedule, StreamLoad
from transcript_manager.decoder.stream import StreamResult, StreamWindow
from transcript_manager.merge.decode import Decode, DecodedSegment, Token, UNKNOWN_S
from transcript_manager.merge.transcript import MergeSettings, Transcript

_STREAM = 'only'


@dataclass(frozen=True, slots=True)
class Answer:
    """When a window's tokens were there."""

    end_s: float
    """End of the window's audio [s]."""
    at_s: float
    """When the decode was done, or given up [s]."""
    is_aborted: bool

    @property
    def lag_s(self) -> float:
        """How far behind the audio the answer is [s]."""
        return self.at_s - self.end_s


@dataclass(frozen=True, slots=True)
class OverloadRun:
    """What came of a stream."""

    text: str
    answers: tuple[Answer, ...]
    load: StreamLoad


def simulate(
    windows: Iterable[StreamWindow],
    decode: Callable[[StreamWindow], StreamResult],
    decode_s: Callable[[StreamResult], float],
    *,
    settings: MergeSettings | None = None,
) -> OverloadRun:
    """
    Run a stream of windows through a slow decoder.

    :param windows: of one stream, in order
    :param decode: what is heard in a window
    :param decode_s: how long that is to have taken [s]
    """
    schedule = Schedule()
    transcript = Transcript(settings or MergeSettings())
    answers: list[Answer] = []
    texts: list[str] = []
    running: tuple[StreamWindow, StreamResult, float, float] | None = None

    def begin(now_s: float) -> None:
        nonlocal running
        job = schedule.take()
        if job is not None:
            result = decode(job.window)
            running = (job.window, result, now_s + decode_s(result), now_s)

    def end(at_s: float, *, is_aborted: bool) -> None:
        nonlocal running
        window, result, _, began_s = running
        end_s = (window.first_sample + len(window.samples)) / window.sample_rate_hz
        running = None
        schedule.finish(at_s - began_s, is_aborted=is_aborted)
        answers.append(Answer(end_s, at_s, is_aborted))
        merged = transcript.merge(as_decode(window, None if is_aborted else result))
        texts.append(merged.stable_text)
        begin(at_s)

    for window in windows:
        start_s = window.first_sample / window.sample_rate_hz
        now_s = start_s + len(window.samples) / window.sample_rate_hz
        while running is not None and running[2] <= now_s:
            end(running[2], is_aborted=False)
        schedule.offer(Job(_STREAM, window, start_s, now_s))
        if running is None:
            begin(now_s)
        elif schedule.obsolete:
            end(now_s, is_aborted=True)
    while running is not None:
        end(running[2], is_aborted=False)
    texts.append(transcript.flush()[0])
    return OverloadRun(''.join(texts), tuple(answers), schedule.loads[_STREAM])


def as_decode(window: StreamWindow, result: StreamResult | None) -> Decode:
    """
    Convert what was heard in a window for the merge; times count from the stream's sample 0.

    :param result: None: the window was not listened to
    """
    start_s = window.first_sample / window.sample_rate_hz
    duration_s = len(window.samples) / window.sample_rate_hz
    if result is None:
        return Decode(start_s + duration_s, 0.0, (), window.end_of_stream)

    def at(ms: int) -> float:
        return UNKNOWN_S if ms < 0 else start_s + ms / 1000

    segments = [
        DecodedSegment(
            at(segment.start_ms),
            at(segment.end_ms),
            tuple(
                Token(t.text, t.probability, at(t.start_ms), at(t.end_ms)) for t in segment.tokens
            ),
        )
        for segment in result.segments
    ]
    skipped_s = result.skipped_ms / 1000
    return Decode(
        start_s + skipped_s, duration_s - skipped_s, tuple(segments), window.end_of_stream
    )
