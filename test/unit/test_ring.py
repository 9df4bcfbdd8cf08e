"""The audio ring: every sample once in the right place, windows at the right times."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from transcript_manager.audio.ring import AudioRing
from transcript_manager.errors import ParameterError


def ring(window_s=10.0, hop_s=1.0, sample_rate_hz=16000):
    return AudioRing(sample_rate_hz=sample_rate_hz, window_s=window_s, hop_s=hop_s)


def ramp(count):
    return (np.arange(count) % 30011).astype(np.int16)


def test_windows_grow_then_slide():
    stream = ramp(13 * 16000)
    windows = list(ring().push(stream))
    assert [(w.first_sample, w.end_sample) for w in windows] == [
        *((0, k * 16000) for k in range(1, 11)),
        *((k * 16000, (k + 10) * 16000) for k in range(1, 4)),
    ]
    assert not any(w.end_of_stream for w in windows)


@given(
    blocks=st.lists(st.integers(0, 5000), max_size=40),
    window=st.integers(8000, 20000),
    hop=st.integers(800, 8000),
)
def test_every_window_holds_the_stream_whatever_the_blocks(blocks, window, hop):
    stream = ramp(sum(blocks))
    subject = AudioRing(sample_rate_hz=8000, window_s=window / 8000, hop_s=hop / 8000)
    position, windows = 0, []
    for block in blocks:
        windows += subject.push(stream[position : position + block])
        position += block
    windows.append(subject.finish())
    assert [w.end_sample for w in windows[:-1]] == list(range(hop, len(stream) + 1, hop))
    for w in windows:
        assert np.array_equal(w.samples, stream[w.first_sample : w.end_sample])
        assert len(w.samples) == min(window, w.end_sample)
    assert windows[-1].end_of_stream and windows[-1].end_sample == len(stream)


def test_a_window_handed_out_does_not_change_later():
    subject = ring(window_s=1.0, hop_s=0.5)
    first, second = subject.push(ramp(16000))
    before = second.samples.copy()
    list(subject.push(ramp(16000)[::-1].copy()))
    assert np.array_equal(second.samples, before)
    assert len(first.samples) == 8000


def test_an_empty_stream_ends_with_an_empty_window():
    window = ring().finish()
    assert window.end_of_stream and len(window.samples) == 0 and window.first_sample == 0


@pytest.mark.parametrize(
    ('settings', 'says'),
    [
        ({'sample_rate_hz': 4000}, 'sample_rate is 4000 Hz, must be 8000..48000'),
        ({'window_s': 31.0}, 'window_s is 31 s, must be 1..30'),
        ({'window_s': float('nan')}, 'window_s is nan'),
        ({'hop_s': 0.01}, 'hop_s is 0.01 s'),
        ({'hop_s': 11.0}, 'hop_s is 11 s, must be 0.1..10 s'),
    ],
)
def test_settings_out_of_range_are_named(settings, says):
    with pytest.raises(ParameterError, match=says.replace('.', r'\.')):
        ring(**settings)


@pytest.mark.parametrize('samples', [np.zeros(4, np.float32), np.zeros((2, 2), np.int16)])
def test_other_arrays_are_refused(samples):
    with pytest.raises(ValueError, match='int16'):
        list(ring().push(samples))
