"""A live source as the ring needs it: samples that are true to the clock, without an end."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Protocol

import numpy as np

from transcript_manager.audio.level import LevelMeter
from transcript_manager.audio.timeline import ClockWatch, NS_PER_S, Timeline

_MAX_ERROR_S = 10.0
"""A block whose time is so far off belongs to another stream; gaps are filled as they come."""


class TimedSource(Protocol):
    """What gives samples with estimates of their capture time, as it can."""

    name: str

    def read_timed(self, timeout_s: float) -> tuple[np.ndarray | None, int]:
        """
        Return the next block and when its first sample was captured [ns].

        :returns: int16, shape (n,), n = 0 if none came in time; None once it is closed
        :raises StreamBreak: if what follows is another stream
        """

    def close(self) -> None:
        """Release what it holds; may be called twice."""


class StreamBreak(Exception):
    """What follows belongs to another stream: end this one, then read on."""


class LiveSource:
    """
    An :class:`AudioSource` made of a timed one.

    :param timed: gives samples at ``sample_rate_hz``
    :param now_ns: the clock of its capture times
    :param watch: tells that this clock was set
    """

    def __init__(
        self,
        timed: TimedSource,
        *,
        sample_rate_hz: int,
        now_ns: Callable[[], int] = time.time_ns,
        watch: ClockWatch | None = None,
    ) -> None:
        self.timed = timed
        self.sample_rate_hz = sample_rate_hz
        self.duration_s: float | None = None
        """Always None: it has no end."""
        self.timeline = Timeline(sample_rate_hz)
        self.meter = LevelMeter(sample_rate_hz)
        self.clock_steps = 0
        """How often the clock was set."""
        self._now_ns = now_ns
        self._watch = watch
        self._next: tuple[np.ndarray, int] | None = None
        self._begins_anew = False
        self._last_now_ns: int | None = None

    @property
    def name(self) -> str:
        """For people; of a device that is chosen anew when it is opened again, it may change."""
        return self.timed.name

    @property
    def start_time_s(self) -> float | None:
        """When the first sample was captured [s]; None before it came."""
        start_ns = self.timeline.start_ns
        return None if start_ns is None else start_ns / NS_PER_S

    def read(self, timeout_s: float) -> np.ndarray | None:
        """
        Return what the stream goes on with, silence included; see :class:`AudioSource`.

        :raises StreamBreak: if what follows is another stream
        """
        if self._begins_anew:  # only now: who ends a stream asks for its start
            self._begins_anew = False
            self.timeline.begin()
        self._look_at_clock()
        if self._next is not None:
            (samples, captured_ns), self._next = self._next, None
        else:
            try:
                samples, captured_ns = self.timed.read_timed(timeout_s)
            except StreamBreak:
                self._begins_anew = True
                raise
            if samples is None:
                return None
            self._next = (samples, captured_ns) if len(samples) else None
            self._look_at_clock()  # it may have been set while we waited
            self._next = None
        now_ns = self._now_ns()
        if not len(samples):
            return self._metered(self.timeline.idle(now_ns))
        behind_s = self.timeline.behind_s(captured_ns)
        if abs(behind_s) > _MAX_ERROR_S:
            self._next = samples, captured_ns
            self._break(f'the times of its samples jumped by {behind_s:+.1f} s')
        return self._metered(self.timeline.push(samples, captured_ns, now_ns=now_ns))

    def _look_at_clock(self) -> None:
        step_s = self._watch.step_s() if self._watch is not None else 0.0
        now_ns, before_ns = self._now_ns(), self._last_now_ns
        self._last_now_ns = now_ns
        if step_s:
            self.clock_steps += 1
        elif before_ns is not None and abs(now_ns - before_ns) > _MAX_ERROR_S * NS_PER_S:
            # Simulated time that jumps, or a process that was stopped for long.
            step_s = (now_ns - before_ns) / NS_PER_S
        if step_s and self.timeline.position:
            self._break(f'the clock was set by {step_s:+.1f} s')

    def _break(self, reason: str) -> None:
        self._begins_anew = True
        raise StreamBreak(reason)

    def _metered(self, samples: np.ndarray) -> np.ndarray:
        self.meter.push(samples)
        return samples

    def close(self) -> None:
        """Release the source; may be called twice."""
        self.timed.close()

    def __enter__(self) -> LiveSource:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close."""
        self.close()
