"""Which window is decoded next; overload in simulated time."""

import pytest

from transcript_manager.decoder.schedule import Job, Schedule


def job(stream, end_s, length_s=10.0):
    return Job(stream, (stream, end_s), end_s - length_s, end_s)


def simulate(schedule, streams, *, hop_s, decode_s, seconds):
    """Run windows through a decoder that takes its time; returns (stream, end, done) of each."""
    done = []
    busy_until_s = None
    events = sorted((k * hop_s, s) for s in streams for k in range(1, int(seconds / hop_s) + 1))
    for at_s, stream in [*events, (float('inf'), None)]:
        while busy_until_s is not None and busy_until_s <= at_s:
            running = schedule.running
            schedule.finish(decode_s(running.stream))
            done.append((running.stream, running.end_s, busy_until_s))
            now_s, busy_until_s = busy_until_s, None
            if (next_job := schedule.take()) is not None:
                busy_until_s = now_s + decode_s(next_job.stream)
        if stream is None:
            break
        schedule.offer(job(stream, at_s))
        if busy_until_s is None:
            busy_until_s = at_s + decode_s(schedule.take().stream)
    return done


def test_nothing_is_skipped_while_the_decoder_keeps_up():
    schedule = Schedule()
    done = simulate(schedule, ['a'], hop_s=1.0, decode_s=lambda _: 0.9, seconds=60)
    assert [end_s for _, end_s, _ in done] == list(range(1, 61))
    load = schedule.loads['a']
    assert (load.offered, load.decoded, load.skipped) == (60, 60, 0)
    assert load.duty == pytest.approx(0.9)


@pytest.mark.parametrize('decode_s', [1.35, 2.5, 5.0, 9.0])
def test_lag_does_not_grow_however_slow_the_decoder_is(decode_s):
    schedule = Schedule()
    done = simulate(schedule, ['a'], hop_s=1.0, decode_s=lambda _: decode_s, seconds=600)
    lags_s = [at_s - end_s for _, end_s, at_s in done]
    assert max(lags_s[:-1]) <= decode_s + 1.0  # waiting for less than a hop, then one decode
    assert lags_s[-1] <= 2 * decode_s  # after the last window nothing newer comes
    assert max(lags_s[-50:-1]) <= max(lags_s[:50]) + 1e-6
    load = schedule.loads['a']
    assert load.offered == load.decoded + load.skipped == 600
    assert load.duty == pytest.approx(decode_s)
    assert 0 < load.decoded_hop_s <= decode_s + 1.0


def test_streams_take_turns_and_a_slow_one_starves_nobody():
    schedule = Schedule()
    times_s = {'slow': 3.0, 'b': 0.2, 'c': 0.2}
    done = simulate(schedule, ['slow', 'b', 'c'], hop_s=1.0, decode_s=times_s.get, seconds=300)
    counts = {s: sum(1 for stream, _, _ in done if stream == s) for s in times_s}
    assert max(counts.values()) - min(counts.values()) <= 2
    lags_s = {s: max(at - end for stream, end, at in done if stream == s) for s in times_s}
    assert lags_s['b'] <= 1.0 + 3.0 + 0.2 + 0.2
    assert lags_s['slow'] <= 1.0 + 3.0 + 0.2 + 0.2


def test_a_stream_that_sends_more_gets_no_more():
    schedule = Schedule()
    for _ in range(10):
        for k in range(1000):
            schedule.offer(job('flood', k))
        schedule.offer(job('quiet', 1.0))
        taken = {schedule.take().stream, schedule.take().stream}
        assert taken == {'flood', 'quiet'}
        assert schedule.take() is None
    assert len(schedule._waiting) == 0


def test_the_newest_window_wins():
    schedule = Schedule()
    assert not schedule.offer(job('a', 10.0))
    assert schedule.offer(job('a', 11.0))
    assert schedule.take().end_s == 11.0
    assert schedule.take() is None
    assert schedule.loads['a'].skipped == 1


def test_the_end_of_a_recording_is_not_lost_to_the_beginning_of_the_next():
    schedule = Schedule()
    schedule.offer(Job('a', 'running', 0.0, 10.0, epoch=1))
    schedule.take()
    schedule.offer(Job('a', 'end', 1.0, 11.0, epoch=1, is_last=True))
    assert not schedule.offer(Job('a', 'new', 500.0, 501.0, epoch=2))
    assert schedule.offer(Job('a', 'newer', 500.0, 502.0, epoch=2))
    assert not schedule.obsolete
    schedule.finish(1.0)
    assert schedule.take().window == 'end'
    assert schedule.take().window == 'newer'
    assert schedule.take() is None and schedule.loads['a'].skipped == 1


def test_a_window_that_comes_late_does_not_take_the_place_of_a_newer_one():
    schedule = Schedule()
    schedule.offer(job('a', 11.0))
    assert schedule.offer(job('a', 10.0))
    assert schedule.take().end_s == 11.0 and schedule.take() is None
    schedule.offer(Job('a', 'end', 1.0, 11.0, is_last=True))
    assert schedule.offer(Job('a', 'again', 1.0, 11.0))
    assert schedule.take().window == 'end' and schedule.take() is None
    assert schedule.loads['a'].skipped == 2


def test_a_decode_is_obsolete_when_its_window_is_gone():
    schedule = Schedule()
    schedule.offer(job('a', 10.0))
    schedule.take()
    schedule.offer(job('a', 19.0))
    schedule.offer(job('b', 99.0))
    assert not schedule.obsolete  # they still overlap, and b is somebody else
    schedule.offer(job('a', 20.0))
    assert schedule.obsolete
    schedule.finish(10.0, is_aborted=True)
    assert not schedule.obsolete
    assert schedule.loads['a'].aborted == 1 and schedule.loads['a'].last_aborted
    schedule.take()
    schedule.finish(1.0)
    assert not schedule.loads['b'].last_aborted
