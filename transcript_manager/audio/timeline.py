"""
A live stream kept true to the clock: sample n is what was heard n / rate seconds after sample 0.

A device's idea of its rate is off by some hundred parts in a million, samples get lost, publishers
go and come back. Who counts samples to tell the time would be seconds off after a day. So each
block comes with an estimate of when it was captured, and the stream is made to agree with that:
slowly, by one sample more or less now and then, for what is drift; by silence for what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from statistics import median

import numpy as np

NS_PER_S = 1_000_000_000
_SETTLE_S = 1.0
_GROUP_S = 0.5
_JITTER_S = 0.05
"""An estimate may be off by so much; behind by more, for two groups long, samples are missing."""
_DEADBAND_S = 0.0005  # a stream whose stamps count its samples is left as it is, to the last bit
_LOOP_S = 20.0  # time constant: averages jitter of 50 ms away, and follows 500 ppm within 4 ms
_MAX_STRETCH = 0.004  # nobody hears it
_MAX_DRIFT = 0.001
_IDLE_S = 1.0
_IDLE_INTERVALS = 2.5
_IDLE_MARGIN_S = 0.5
_MAX_IDLE_S = 10.0  # at a time
_MAX_INTERVAL_S = 5.0


class Timeline:
    """
    Keep a stream of blocks true to the clock.

    The estimates of the capture times may jitter by 50 ms either way; blocks that were held up
    for less than a second and come all at once do no harm. In the place of those that come later
    there is silence already.

    :param sample_rate_hz: samples per second
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.silence_samples = 0
        """Inserted for what was missing, over all streams."""
        self.gaps = 0
        """How often."""
        self.stretched_samples = 0
        """Added or taken away one by one."""
        self.overlaps = 0
        """Samples dropped because their time was over already."""
        self.begin()

    def begin(self) -> None:
        """Begin a new stream; the counters go on."""
        self.position = 0
        """Samples handed out so far."""
        self._starts: list[int] = []
        self._start_ns = 0
        self._is_settled = False
        self._errors: list[float] = []
        self._group_ns: int | None = None
        self._before: list[float] = []  # the errors of a group that was suspect
        self._drift = 0.0  # samples/s that the stream needs in addition
        self._speed = 0.0  # the same, with the present error's part
        self._owed = 0.0
        self._to_drop = 0
        self._idle_samples = 0
        self._heard_ns = 0
        self._interval_s = 0.0
        self._idle_since_heard = 0

    @property
    def start_ns(self) -> int | None:
        """Capture time of sample 0 [ns]; None before it came. Who asks makes it final."""
        if not self._starts:
            return None
        self._is_settled = True
        return self._start_ns

    @property
    def drift_ppm(self) -> float:
        """How much faster the device's clock is than the computer's [ppm], as far as is known."""
        return -1e6 * self._drift / self.sample_rate_hz

    def behind_s(self, captured_ns: int) -> float:
        """How far the stream is behind a block captured then [s]; negative: it is ahead."""
        if not self._starts:
            return 0.0
        return (captured_ns - self._start_ns) / NS_PER_S - self.position / self.sample_rate_hz

    def push(
        self, samples: np.ndarray, captured_ns: int, *, now_ns: int | None = None
    ) -> np.ndarray:
        """
        Take the next block and return what the stream goes on with.

        :param samples: int16, shape (n,)
        :param captured_ns: estimate of the first sample's capture time [ns]
        :param now_ns: when it came, for :meth:`idle`; None: as soon as it could [ns]
        :returns: int16, shape (m,); the block itself where nothing had to be done
        """
        if not len(samples):
            return samples
        if not self._is_settled:
            self._settle(captured_ns)
        is_back = self._idle_since_heard > 0
        self._note_arrival(len(samples), captured_ns, now_ns)
        error_s = self.behind_s(captured_ns)
        silence = 0
        if is_back and error_s > 0:  # the rest of the silence
            silence = round(error_s * self.sample_rate_hz)
            self.gaps -= 1
            self._idle_samples = 0
        elif not self._idle_samples:
            silence = self._judge(error_s, captured_ns)
        samples = self._without_late(samples, error_s)
        result = self._stretched(samples)
        if silence:
            self.gaps += 1
            self.silence_samples += silence
            result = np.concatenate([np.zeros(silence, np.int16), result])
        self.position += len(result)
        return result

    def idle(self, now_ns: int) -> np.ndarray:
        """
        Return the silence of a source that has given nothing for a while: time goes on.

        For a while is more than a second, and more than twice as long as is usual.

        :param now_ns: on the clock of the capture times [ns]
        """
        idle_s = (now_ns - self._heard_ns) / NS_PER_S
        if not self._starts or idle_s < max(_IDLE_S, _IDLE_INTERVALS * self._interval_s):
            return np.zeros(0, np.int16)
        wanted = int((idle_s - _IDLE_MARGIN_S) * self.sample_rate_hz)
        limit = round(_MAX_IDLE_S * self.sample_rate_hz)  # never a memory full of silence
        count = min(max(0, wanted - self._idle_since_heard), limit)
        if count:
            self.gaps += self._idle_since_heard == 0
            self.silence_samples += count
            self.position += count
            self._idle_samples += count
            self._idle_since_heard += count
            self._forget_group()
        return np.zeros(count, np.int16)

    def _note_arrival(self, count: int, captured_ns: int, now_ns: int | None) -> None:
        length_s = count / self.sample_rate_hz
        now_ns = captured_ns + round(length_s * NS_PER_S) if now_ns is None else now_ns
        since_s = (now_ns - self._heard_ns) / NS_PER_S if self._heard_ns else 0.0
        if not self._idle_since_heard:
            length_s = max(length_s, since_s)
        self._interval_s = min(_MAX_INTERVAL_S, max(length_s, 0.9 * self._interval_s))
        self._heard_ns = now_ns
        self._idle_since_heard = 0

    def _settle(self, captured_ns: int) -> None:
        self._starts.append(captured_ns - self.position * NS_PER_S // self.sample_rate_hz)
        self._start_ns = int(median(self._starts))
        self._is_settled = self.position >= _SETTLE_S * self.sample_rate_hz

    def _without_late(self, samples: np.ndarray, error_s: float) -> np.ndarray:
        """Drop what silence has been given out for already, and what is too much."""
        if self._idle_samples:
            late = min(self._idle_samples, max(0, round(-error_s * self.sample_rate_hz)))
            self._idle_samples = late
            self._to_drop = late
        count = min(self._to_drop, len(samples))
        if count:
            self._to_drop -= count
            self._idle_samples = max(0, self._idle_samples - count)
            self.overlaps += count
        return samples[count:]

    def _judge(self, error_s: float, captured_ns: int) -> int:
        """Learn from a block's error; returns how many samples are missing before it."""
        silence = 0
        if self._group_ns is None:
            self._group_ns = captured_ns
        elapsed_s = (captured_ns - self._group_ns) / NS_PER_S
        if elapsed_s >= _GROUP_S or elapsed_s < -_GROUP_S:
            silence = self._close_group(abs(elapsed_s))
            self._group_ns = captured_ns
            error_s -= silence / self.sample_rate_hz
        self._errors.append(error_s)
        return silence

    def _close_group(self, elapsed_s: float) -> int:
        errors, self._errors = self._errors, []
        if not errors or not self._is_settled:
            return 0
        error_s = median(errors)
        # All on one side: what was held up and comes all at once ends where it should be.
        if abs(error_s) <= _JITTER_S or min(errors) <= 0 <= max(errors):
            self._before = []
            self._steer(error_s, min(elapsed_s, 2.0))
            return 0
        if not self._before or (self._before[0] > 0) != (errors[0] > 0):
            self._before = errors
            return 0
        missing = round(median([*self._before, *errors]) * self.sample_rate_hz)
        self._forget_group()
        if missing > 0:
            return missing
        self._to_drop = -missing
        return 0

    def _forget_group(self) -> None:
        self._errors, self._before, self._group_ns = [], [], None

    def _steer(self, error_s: float, elapsed_s: float) -> None:
        limit_s = _JITTER_S
        error_s = max(-limit_s, min(limit_s, error_s))
        if abs(error_s) < _DEADBAND_S:
            error_s = 0.0
        error = error_s * self.sample_rate_hz
        limit = _MAX_DRIFT * self.sample_rate_hz
        drift = self._drift + error * elapsed_s / _LOOP_S**2
        self._drift = max(-limit, min(limit, drift))
        limit = _MAX_STRETCH * self.sample_rate_hz
        self._speed = max(-limit, min(limit, self._drift + 2 * error / _LOOP_S))

    def _stretched(self, samples: np.ndarray) -> np.ndarray:
        length = len(samples)
        self._owed += self._speed * length / self.sample_rate_hz
        count = max(math.trunc(self._owed), 1 - length)
        if not count or length < 2:
            return samples
        self._owed -= count
        self.stretched_samples += abs(count)
        positions = np.arange(length + count) * (length / (length + count))
        return np.rint(np.interp(positions, np.arange(length), samples)).astype(np.int16)


class ClockWatch:
    """
    Notice that the wall clock has been set: it moved otherwise than the monotonic one.

    :param wall_ns: returns the time of the clock that may be set [ns]
    :param monotonic_ns: returns that of one that only goes on [ns]
    :param least_s: a smaller step between two looks is slewing [s]
    """

    def __init__(
        self,
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        *,
        least_s: float = 0.1,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._least_ns = least_s * NS_PER_S
        self._offset_ns = wall_ns() - monotonic_ns()

    def step_s(self) -> float:
        """Return by how much the clock was set since the last look [s]; 0: it was not."""
        offset_ns = self._wall_ns() - self._monotonic_ns()
        step_ns = offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        return step_ns / NS_PER_S if abs(step_ns) > self._least_ns else 0.0
