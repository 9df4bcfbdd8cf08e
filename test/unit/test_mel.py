"""The spectrogram: whisper's own filter bank, and sounds that are known."""

from pathlib import Path

import numpy as np
import pytest

from transcript_manager.pictures import mel

MODEL = Path(__file__).resolve().parents[2] / 'transcript_manager' / 'models' / 'demo.bin'
_FILTERS_AT = 56  # behind magic, 11 hyperparameters and the two sizes of the bank


def tone(hz, *, seconds=1.0, level=0.5):
    return (
        np.sin(2 * np.pi * hz * np.arange(int(seconds * 16000)) / 16000) * level * 32767
    ).astype(np.int16)


def reader(samples, block=1600):
    blocks = [samples[at : at + block] for at in range(0, len(samples), block)]
    return lambda: blocks.pop(0) if blocks else None


def test_the_filter_bank_is_the_one_that_whisper_models_carry():
    bank = np.frombuffer(MODEL.read_bytes(), '<f4', 80 * 201, _FILTERS_AT).reshape(80, 201)
    assert bank.max() > 0.02
    np.testing.assert_allclose(mel.mel_filters(), bank, atol=1e-7)


@pytest.mark.parametrize('hz', [300, 1000, 3000, 6000])
def test_a_tone_is_in_its_band(hz):
    loudness_db = mel.log_mel(tone(hz)).mean(axis=0)
    assert abs(int(loudness_db.argmax()) - mel.band_of(hz)) <= 1
    assert loudness_db.max() > np.median(loudness_db) + 30


def test_half_the_amplitude_is_6_db_less_and_silence_is_the_floor():
    loud, soft = (mel.log_mel(tone(1000, level=level)).max() for level in (0.5, 0.25))
    assert loud - soft == pytest.approx(6.02, abs=0.05)
    assert (mel.log_mel(np.zeros(1600, np.int16)) == mel.FLOOR_DB).all()


def test_hz_and_mel_are_inverse_and_meet_at_1_khz():
    hz = np.array([0.0, 200.0, 999.0, 1000.0, 1001.0, 8000.0])
    np.testing.assert_allclose(mel.mel_to_hz(mel.hz_to_mel(hz)), hz)
    assert mel.hz_to_mel(1000) == pytest.approx(15.0)


@pytest.mark.parametrize(('start_s', 'length_s'), [(0.0, 0.5), (0.7, 0.33), (1.23, 10.0)])
def test_stretches_are_cut_from_one_spectrogram(start_s, length_s):
    samples = np.random.default_rng(1).integers(-3000, 3000, 16000 * 3).astype(np.int16)
    padded = np.concatenate([np.zeros(200, np.int16), samples, np.zeros(200, np.int16)])
    whole = mel.log_mel(padded)
    parts = list(
        mel.stretches(
            reader(samples),
            start_s=start_s,
            end_s=np.inf,
            length_s=length_s,
            at_end=lambda heard_s: heard_s,
        )
    )
    assert parts[0].start_s == start_s and parts[-1].end_s == 3.0
    for part, after in zip(parts, parts[1:]):  # noqa: B905 - neighbours
        assert part.end_s == after.start_s
    for part in parts:
        first = round(part.start_s * 100)
        count = len(part.log_mel)
        assert count == int((part.end_s - part.start_s) * 100 + 1e-6) + 1
        np.testing.assert_allclose(part.log_mel, whole[first : first + count], atol=1e-3)


def test_stretches_go_on_in_silence_as_far_as_they_are_told():
    told = []

    def at_end(heard_s):
        told.append(heard_s)
        return 1.5

    parts = list(
        mel.stretches(reader(tone(500)), start_s=0.0, end_s=np.inf, length_s=4.0, at_end=at_end)
    )
    assert told == [1.0]
    assert [(p.start_s, p.end_s) for p in parts] == [(0.0, 1.5)]
    assert (parts[0].log_mel[110:] == mel.FLOOR_DB).all()
    assert (parts[0].log_mel[:90].max(axis=1) > -30).all()


def test_stretches_end_where_they_shall_and_read_no_more():
    left = reader(tone(500, seconds=20))
    parts = list(mel.stretches(left, start_s=1.0, end_s=2.0, length_s=0.6, at_end=lambda s: s))
    assert [(p.start_s, p.end_s) for p in parts] == [(1.0, 1.6), (1.6, 2.0)]
    assert left() is not None
