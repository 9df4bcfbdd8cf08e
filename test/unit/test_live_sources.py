"""Level, mute, blocks of messages, a microphone that comes and goes, a clock that is set."""

from __future__ import annotations

import functools
import time

import numpy as np
import pytest

from transcript_manager.audio.blocks import BlockSource
from transcript_manager.audio.level import LevelMeter
from transcript_manager.audio.live import LiveSource, StreamBreak
from transcript_manager.audio.mute import Mute
from transcript_manager.audio.recovering import RecoveringMicrophone
from transcript_manager.audio.timeline import ClockWatch, NS_PER_S
from transcript_manager.errors import AudioSourceError
from transcript_manager.streams.audio_messages import AudioBlock

RATE_HZ = 16000
T0_NS = 1_700_000_000 * NS_PER_S


# -- level -----------------------------------------------------------------------------------


def test_level():
    meter = LevelMeter(RATE_HZ)
    assert (meter.peak_dbfs, meter.rms_dbfs, meter.clipping) == (-120.0, -120.0, 0.0)
    tone = np.rint(16384 * np.sin(np.arange(RATE_HZ) * 0.1)).astype(np.int16)
    meter.push(tone)
    assert meter.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert meter.rms_dbfs == pytest.approx(-9.03, abs=0.02)
    assert (meter.clipping, meter.no_signal_s) == (0.0, 0.0)
    for sample in (-32768, 32767):
        meter.push(np.full(RATE_HZ // 2, sample, np.int16))
    assert meter.clipping == 1.0 and meter.peak_dbfs == 0.0


def test_no_signal_is_what_is_below_minus_80_dbfs():
    meter = LevelMeter(RATE_HZ)
    for amplitude in (0, 3):  # 3: -80.8 dBFS
        for _ in range(20):
            meter.push(np.full(1600, amplitude, np.int16))
    assert meter.no_signal_s == pytest.approx(4.0)
    meter.push(np.full(1600, -4, np.int16))
    assert meter.no_signal_s == 0.0


# -- mute ------------------------------------------------------------------------------------


def test_mute_with_hold_off():
    mute = Mute(hold_off_s=0.5, max_s=60.0)
    sound = np.ones(5, np.int16)
    assert not mute.is_on(0.0)
    mute.set(False, 0.0)
    assert mute.apply(sound, 0.1).all()
    mute.set(True, 1.0)
    assert mute.apply(sound, 1.0).tolist() == [0] * 5 and sound.all()
    mute.set(False, 3.0)
    assert mute.is_on(3.49) and not mute.is_on(3.51)


def test_a_mute_that_nobody_ends_is_lifted():
    mute = Mute(hold_off_s=0.5, max_s=60.0)
    mute.set(True, 0.0)
    mute.set(True, 50.0)  # still at it
    assert mute.is_on(109.0) and not mute.was_lifted
    assert not mute.is_on(111.0) and mute.was_lifted
    mute.set(True, 200.0)
    assert mute.is_on(200.0) and not mute.was_lifted
    endless = Mute(hold_off_s=0.5, max_s=0.0)
    endless.set(True, 0.0)
    assert endless.is_on(1e6)


# -- blocks of messages ----------------------------------------------------------------------


def block(samples, *, at_s=None, first=None, rate=RATE_HZ, end=False):
    frames = np.asarray(samples, np.float32)
    frames = frames[:, None] / 32768 if frames.ndim == 1 else frames / 32768
    stamp_ns = None if at_s is None else T0_NS + round(at_s * NS_PER_S)
    return AudioBlock(frames, rate, stamp_ns, first, end, '')


def put(source, item, *, arrived_s=0.0):
    source.put(lambda: item, T0_NS + round(arrived_s * NS_PER_S))


def take(source):
    samples, captured_ns = source.read_timed(0.0)
    return samples.tolist(), (captured_ns - T0_NS) / NS_PER_S


@pytest.fixture
def source():
    return BlockSource('topic /audio', sample_rate_hz=RATE_HZ)


def test_arrival_gives_the_time_where_there_is_no_stamp(source):
    put(source, block(np.arange(1600)), arrived_s=5.1)
    assert take(source) == (list(range(1600)), pytest.approx(5.0))
    assert take(source)[0] == []


def test_windows_that_overlap_give_each_sample_once(source):
    sent = np.arange(1000)
    for first, end in ((0, 200), (0, 300), (100, 400), (100, 400), (400, 500)):
        put(source, block(sent[first:end], at_s=first / RATE_HZ, first=first))
    got = [take(source) for _ in range(5)]
    assert sum((g[0] for g in got), []) == list(range(500))
    assert got[2][1] == pytest.approx(300 / RATE_HZ)
    assert (source.overlaps, source.gaps) == (200 + 200 + 300, 0)


def test_samples_that_are_missing_by_their_index_are_silence(source):
    put(source, block([1, 2, 3], at_s=0.0, first=0))
    put(source, block([7, 8], at_s=6 / RATE_HZ, first=6))
    assert [take(source)[0] for _ in range(2)] == [[1, 2, 3], [0, 0, 0, 7, 8]]
    assert (source.gaps, source.gap_samples) == (1, 3)


def test_a_publisher_that_starts_over(source):
    put(source, block([1] * 1600, at_s=0.0, first=80000))
    put(source, block([2] * 100, at_s=3.0, first=0))
    put(source, block([3] * 100, at_s=3.0 + 100 / RATE_HZ, first=100))
    got = [take(source) for _ in range(3)]
    assert [len(g[0]) for g in got] == [1600, 100, 100] and got[1][1] == pytest.approx(3.0)
    assert (source.gaps, source.overlaps) == (0, 0)


def test_a_repeated_stamp_is_heard_once(source):
    for at_s in (0.0, 0.1, 0.1, 0.0, 0.2):
        put(source, block([1] * 1600, at_s=at_s), arrived_s=0.3)
    assert [len(take(source)[0]) for _ in range(5)] == [1600, 1600, 0, 0, 1600]
    assert source.overlaps == 3200


def test_blocks_with_the_same_stamp_are_all_heard(source):
    """A clock that is coarser than the blocks, such as /clock at 10 Hz."""
    for k in range(10):
        put(source, block([k] * 320, at_s=k // 5 * 0.1), arrived_s=k * 0.02)
    got = [take(source) for _ in range(10)]
    assert [g[0][:1] for g in got] == [[k] for k in range(10)]
    assert [g[1] for g in got] == pytest.approx([k * 0.02 for k in range(10)])
    put(source, block([9] * 320, at_s=0.1), arrived_s=0.2)  # the same message again
    assert take(source)[0] == [] and source.overlaps == 320


@pytest.mark.parametrize('has_index', [True, False])
def test_a_recording_that_is_played_again_is_heard_again(source, has_index):
    def play(arrived_s):
        heard, breaks = [], 0
        for k in range(50):
            first = k * 1600 if has_index else None
            put(source, block([k + 1] * 1600, at_s=k * 0.1, first=first), arrived_s=arrived_s(k))
        while source._again or not source._queue.empty():
            try:
                heard += take(source)[0][:1]
            except StreamBreak:
                breaks += 1
        return heard, breaks

    whole = list(range(1, 51))
    assert play(lambda k: k * 0.1) == (whole, 0)
    assert play(lambda k: k * 0.1) == (whole, 1)  # its clock went back
    assert play(lambda k: 6.0 + k * 0.1) == (whole, 1)  # it did not


def test_before_there_is_a_clock_nothing_is_heard(source):
    source.put(lambda: block([1, 2], at_s=1.0), 0)
    assert source.read_timed(0.0)[0].tolist() == [] and 'no time on /clock' in source.complaint


def test_absurd_stamps_are_not_used_and_said(source):
    put(source, block([1] * 1600, at_s=-3600.0), arrived_s=7.0)
    assert take(source)[1] == pytest.approx(6.9)
    assert 'stamps are -3607 s off' in source.complaint


def test_a_rate_that_changes(source):
    put(source, block([100] * 1600), arrived_s=0.1)
    put(source, block([[200, 400]] * 48000, rate=48000), arrived_s=1.1)
    first, second = take(source)[0], take(source)[0]
    assert first == [100] * 1600 and len(second) == pytest.approx(16000, abs=400)
    assert np.median(second) == 300


def test_one_channel_of_several():
    source = BlockSource('topic /audio', sample_rate_hz=RATE_HZ, channel=2)
    put(source, block([[1, 2, 3], [4, 5, 6]]))
    assert take(source)[0] == [2, 5]
    put(source, block([1, 2]))
    assert take(source)[0] == [] and 'has 1 channels' in source.complaint
    assert source.unreadable_messages == 1


def test_the_end_of_a_stream(source):
    put(source, block([1, 2], at_s=0.0, first=0, end=True))
    put(source, block([3], at_s=9.0, first=0), arrived_s=9.0)
    assert take(source)[0] == [1, 2]
    with pytest.raises(StreamBreak, match='ended its stream'):
        take(source)
    assert take(source) == ([3], 9.0)


def test_a_flood_is_bounded(source):
    item = block([1] * 16)
    for _ in range(5000):
        put(source, item)
    assert source.dropped_messages == 4000


# -- a clock that is set ---------------------------------------------------------------------


@pytest.mark.parametrize('step_s', [3600.0, -3600.0, 0.5])
def test_a_clock_that_is_set_begins_another_stream(step_s):
    """What comes at any time is either before or behind the break, once."""
    clock = {'wall': T0_NS, 'monotonic': 0}

    class Timed:
        name = 'fake'
        count = 0

        def read_timed(self, timeout_s):
            for name in clock:
                clock[name] += NS_PER_S // 10
            self.count += 1
            return np.full(1600, self.count, np.int16), clock['wall'] - NS_PER_S // 10

    live = LiveSource(
        Timed(),
        sample_rate_hz=RATE_HZ,
        now_ns=lambda: clock['wall'],
        watch=ClockWatch(lambda: clock['wall'], lambda: clock['monotonic']),
    )
    before = [live.read(0.0) for _ in range(30)]
    assert live.start_time_s == pytest.approx(T0_NS / NS_PER_S)
    clock['wall'] += round(step_s * NS_PER_S)
    with pytest.raises(StreamBreak, match='the clock was set by'):
        live.read(0.0)
    after = [live.read(0.0) for _ in range(30)]
    assert live.start_time_s == pytest.approx(T0_NS / NS_PER_S + 3.0 + step_s)
    heard = np.concatenate(before + after)
    np.testing.assert_array_equal(heard, np.repeat(np.arange(1, 61), 1600))
    assert live.clock_steps == 1 and live.timeline.gaps == 0


@pytest.mark.parametrize('step_s', [3600.0, -3600.0])
def test_a_clock_that_is_set_while_nothing_comes(step_s):
    """A device that is unplugged just then: no hour of silence."""
    clock = {'wall': T0_NS, 'monotonic': 0}
    blocks = [np.ones(1600, np.int16)] * 20

    class Timed:
        name = 'fake'

        def read_timed(self, timeout_s):
            for name in clock:
                clock[name] += NS_PER_S // 10
            if blocks:
                return blocks.pop(), clock['wall'] - NS_PER_S // 10
            if len(silent) == 15:
                clock['wall'] += round(step_s * NS_PER_S)
            return np.zeros(0, np.int16), 0

    silent = []
    live = LiveSource(
        Timed(),
        sample_rate_hz=RATE_HZ,
        now_ns=lambda: clock['wall'],
        watch=ClockWatch(lambda: clock['wall'], lambda: clock['monotonic']),
    )
    heard = sum(len(live.read(0.0)) for _ in range(20))
    with pytest.raises(StreamBreak, match='the clock was set by'):
        while len(silent) < 40:
            silent.append(live.read(0.0))
    assert heard == 32000 and len(silent) == 15
    start_s = live.start_time_s  # who ends the stream still asks
    assert start_s == pytest.approx(T0_NS / NS_PER_S)
    assert sum(len(live.read(0.0)) for _ in range(50)) == 0 and live.start_time_s is None


def test_simulated_time_that_jumps_is_no_silence():
    now = {'ns': T0_NS}
    blocks = [np.ones(1600, np.int16)] * 20

    class Timed:
        name = 'fake'

        def read_timed(self, timeout_s):
            now['ns'] += NS_PER_S // 10
            if blocks:
                return blocks.pop(), now['ns'] - NS_PER_S // 10
            return np.zeros(0, np.int16), 0

    live = LiveSource(Timed(), sample_rate_hz=RATE_HZ, now_ns=lambda: now['ns'])
    for _ in range(20):
        live.read(0.0)
    now['ns'] += 86400 * NS_PER_S
    with pytest.raises(StreamBreak, match='clock was set'):
        live.read(0.0)


# -- a microphone that comes and goes --------------------------------------------------------


class FakeMicrophone:
    """In the place of a device: gives ten blocks, then it is gone."""

    name = 'microphone "fake"'
    overflows = 1
    dropped_samples = 16

    def __init__(self, number):
        self.number, self.left, self.is_closed = number, 10, False

    def read_timed(self, timeout_s):
        self.left -= 1
        if self.left < 0:
            raise AudioSourceError('it has stopped; is it still connected?')
        return np.full(160, self.number, np.int16), 5

    def close(self):
        self.is_closed = True


def test_a_microphone_is_opened_again(monkeypatch):
    opened, looked = [], []

    def open_it():
        if len(opened) == 1 and len(looked) < 3:
            raise AudioSourceError('no microphone found')
        opened.append(FakeMicrophone(len(opened)))
        return opened[-1]

    recovering = RecoveringMicrophone(open_it, prepare=functools.partial(looked.append, 1))
    heard = []
    complaints = set()
    end_s = time.monotonic() + 20
    while recovering.reopenings < 1 or len(heard) < 20:
        assert time.monotonic() < end_s
        samples, _ = recovering.read_timed(0.01)
        complaints.add(recovering.complaint)
        heard += [samples[0]] if len(samples) else []
    assert heard == [0] * 10 + [1] * 10
    assert opened[0].is_closed and len(looked) == 3
    assert complaints == {'', 'it has stopped; is it still connected?', 'no microphone found'}
    assert (recovering.overflows, recovering.dropped_samples) == (2, 32)
    recovering.close()
    assert opened[1].is_closed and recovering.read_timed(0.0)[0] is None


def test_a_microphone_that_is_missing_at_the_start_raises():
    def open_it():
        raise AudioSourceError('no microphone found')

    with pytest.raises(AudioSourceError, match='no microphone found'):
        RecoveringMicrophone(open_it)
