"""
Which window is decoded next: the newest of each stream, the streams by turns.

It knows no thread and no clock, so that overload can be tried out in simulated time; whoever uses
it from several threads holds a lock.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

_NEWEST_SHARE = 0.25  # of the newest decode in the running mean


@dataclass(frozen=True, slots=True)
class Job:
    """A window to decode."""

    stream: Hashable
    window: Any
    start_s: float
    """Of the window, on the stream's own time [s]."""
    end_s: float
    epoch: Hashable = 0
    """Windows of one epoch are of one recording; another one has nothing to do with it."""
    is_last: bool = False
    """Whether the recording ends with it."""


@dataclass(slots=True)
class StreamLoad:
    """How one stream fares."""

    offered: int = 0
    skipped: int = 0
    """Windows that a newer one overtook while they waited."""
    decoded: int = 0
    aborted: int = 0
    """Decodes that outlived their window."""
    last_aborted: bool = False
    """Whether the last one did."""
    hop_s: float = 0.0
    """Between the ends of the last two windows that came [s]."""
    decoded_hop_s: float = 0.0
    """Between the ends of the last two windows that were decoded [s]."""
    decode_s: float = 0.0
    """How long decodes take, those of silent windows among them; a running mean [s]."""

    @property
    def duty(self) -> float:
        """Decode time per hop."""
        return self.decode_s / self.hop_s if self.hop_s > 0 else 0.0


class Schedule:
    """
    Newest window wins, least recently served stream first.

    A stream holds one waiting window (and the last one of the recording before, whose end must not
    be lost), so memory and lag are bounded: what is decoded is never older than one decode of each
    other stream. A decode whose window lies wholly before the newest one of the same recording is
    worthless (nothing could be aligned with it), and :attr:`obsolete` says so.
    """

    def __init__(self) -> None:
        self.loads: dict[Hashable, StreamLoad] = {}
        self._waiting: dict[Hashable, list[Job]] = {}
        self._served: dict[Hashable, int] = {}
        self._turn = 0
        self._newest_end_s: dict[Hashable, float] = {}
        self._decoded_end_s: dict[Hashable, float] = {}
        self.running: Job | None = None
        self.obsolete = False
        """Whether the running decode should be aborted."""

    @property
    def has_waiting(self) -> bool:
        """Whether a window waits."""
        return bool(self._waiting)

    @property
    def duty(self) -> float:
        """Decode time per hop of all streams together; above 1 windows are skipped."""
        return sum(load.duty for load in self.loads.values())

    def offer(self, job: Job) -> bool:
        """
        Put a window in its stream's place.

        One that is older than what waits, or ends no recording where that does, is skipped itself.

        :returns: whether a window was skipped by it
        """
        load = self.loads.setdefault(job.stream, StreamLoad())
        load.offered += 1
        newest = self._waiting.get(job.stream, [None])[-1]
        if (
            newest is not None
            and newest.epoch == job.epoch
            and (job.end_s, job.is_last) < (newest.end_s, newest.is_last)
        ):
            load.skipped += 1
            return True
        previous_end_s = self._newest_end_s.get(job.stream)
        if previous_end_s is not None and job.end_s > previous_end_s:
            load.hop_s = job.end_s - previous_end_s
        self._newest_end_s[job.stream] = job.end_s
        waiting = self._waiting.setdefault(job.stream, [])
        ended = [w for w in waiting if w.is_last and w.epoch != job.epoch][-1:]
        skipped = len(waiting) - len(ended)
        load.skipped += skipped
        self._waiting[job.stream] = [*ended, job]
        running = self.running
        if (
            running is not None
            and (running.stream, running.epoch) == (job.stream, job.epoch)
            and job.start_s >= running.end_s > running.start_s
        ):
            self.obsolete = True
        return skipped > 0

    def take(self) -> Job | None:
        """Return the window to decode now, and note that it is being decoded."""
        if not self._waiting:
            return None
        stream = min(self._waiting, key=lambda s: self._served.get(s, -1))
        self._turn += 1
        self._served[stream] = self._turn
        self.running = self._waiting[stream].pop(0)
        if not self._waiting[stream]:
            del self._waiting[stream]
        self.obsolete = False
        return self.running

    def finish(self, decode_s: float, *, is_aborted: bool = False) -> None:
        """
        Note that the running decode has ended.

        :param decode_s: how long it took [s]
        """
        job, self.running, self.obsolete = self.running, None, False
        load = self.loads[job.stream]
        is_first = load.decoded + load.aborted == 0
        load.decode_s += (1.0 if is_first else _NEWEST_SHARE) * (decode_s - load.decode_s)
        load.last_aborted = is_aborted
        if is_aborted:
            load.aborted += 1
            return
        load.decoded += 1
        previous_end_s = self._decoded_end_s.get(job.stream)
        if previous_end_s is not None and job.end_s > previous_end_s:
            load.decoded_hop_s = job.end_s - previous_end_s
        self._decoded_end_s[job.stream] = job.end_s
