"""Messages and values: nothing is lost on the way."""

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from scripted import window

from transcript_manager import msg
from transcript_manager.audio.ring import Window
from transcript_manager.decoder.tokens import EngineSegment, EngineToken
from transcript_manager.merge.segments import (
    split_text,
    TranscriptSegment,
    TranscriptWord,
    WordState,
)
from transcript_manager.merge.transcript import Transcript
from transcript_manager.ros import conversions
from transcript_manager.streams.messages import to_decode, to_ns


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_times_round_trip(ns):
    assert to_ns(conversions.to_time(ns)) == ns


def test_times_that_do_not_fit_are_clipped():
    assert conversions.to_time(10**30) == Time(sec=2**31 - 1, nanosec=999_999_999)
    assert conversions.to_time(-(10**30)).sec == -(2**31)


def test_a_window_goes_over_the_wire_sample_for_sample():
    samples = np.arange(-30000, 30000, dtype=np.int16)
    message = conversions.window_to_msg(
        Window(16000 * 3600 * 100, samples, True),
        sample_rate_hz=16000,
        stream_start_ns=5_000_000_000,
        frame_id='head_mic',
    )
    received = deserialize_message(serialize_message(message), msg.AudioWindow)
    assert np.array_equal(conversions.msg_to_samples(received), samples)
    assert received.first_sample == 16000 * 3600 * 100 and received.end_of_stream
    assert to_ns(received.header.stamp) == 5_000_000_000 + 360_000 * 10**9
    assert received.header.frame_id == 'head_mic'
    assert conversions.window_ms(received) == 3750


def test_a_decode_reaches_the_merge_with_absolute_times():
    segment = EngineSegment(
        500, 2000, (EngineToken(7, ' č', 0.5, 500, 900), EngineToken(8, '!', 0.25, -1, -1))
    )
    message = msg.WhisperTokens(window_ms=2500, segments=[conversions.segment_to_msg(segment)])
    message.header.stamp = Time(sec=12, nanosec=500_000_000)
    received = deserialize_message(serialize_message(message), msg.WhisperTokens)
    decode = to_decode(received, origin_ns=2_000_000_000)
    assert (decode.start_s, decode.end_s) == (10.5, 13.0)
    first, second = decode.segments[0].tokens
    assert (first.text, first.probability, first.start_s, first.end_s) == (' č', 0.5, 11.0, 11.4)
    assert second.start_s < 0 and second.end_s < 0


def test_a_segment_becomes_a_message():
    word = TranscriptWord(' hi', 0.5, 3, WordState.STABLE, 1.25, 1.75, ((' Hi', 1), (' high', 1)))
    message = conversions.transcript_segment_to_msg(
        TranscriptSegment(4, (word,)), origin_ns=10**18
    )
    assert message.index == 4 and message.text == ' hi'
    assert to_ns(message.start) == 10**18 + 1_250_000_000
    assert (message.duration.sec, message.duration.nanosec) == (0, 500_000_000)
    sent = message.words[0]
    assert sent.state == msg.TranscriptWord.STABLE and sent.occurrences == 3
    assert list(sent.conflicts) == [' Hi', ' high']
    assert list(sent.conflict_occurrences) == [1, 1]


def test_word_states_are_those_of_the_message():
    for state in WordState:
        assert getattr(msg.TranscriptWord, state.name) == state


@pytest.mark.parametrize('letters', [3, 8, 14])
def test_an_update_stays_below_64_kib_whatever_windows_say(letters):
    transcript = Transcript()
    largest = conflicts = 0
    for k in range(1, 40):
        start_s = max(0.0, k - 10.0)
        said = [
            (' ' + f'{k % 9}{n:x}'.ljust(letters, 'x'), n / 12, n / 12 + 0.08)
            for n in range(int(start_s * 12), k * 12)
        ]
        transcript.merge(window(start_s, k - start_s, said))
        active = transcript.active()
        stable_text, tentative_text = split_text(active)
        update = msg.TranscriptUpdate(
            active=conversions.active_to_msgs(active, origin_ns=10**18),
            stable_text=stable_text,
            tentative_text=tentative_text,
        )
        largest = max(largest, len(serialize_message(update)))
        conflicts += sum(len(w.conflicts) for s in update.active for w in s.words)
    assert 20_000 < largest < 65_536
    assert conflicts > 0
