"""A decoder that is too slow, in simulated time, with the real schedule, decoder and merge."""

import pytest
import soundfile

from transcript_manager.audio.ring import AudioRing
from transcript_manager.decoder import models
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.options import DecodeOptions
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings, StreamWindow
from transcript_manager.evaluation.overload import simulate

RATE = 16000
THREADS = DecodeOptions(threads=2)


@pytest.fixture(scope='module')
def engine():
    with WhisperEngine(models.resolve('demo')) as subject:
        yield subject


def windows(samples):
    ring = AudioRing(sample_rate_hz=RATE, window_s=10.0, hop_s=1.0)
    for w in [*ring.push(samples), ring.finish()]:
        yield StreamWindow(w.samples, RATE, w.first_sample, 0, w.end_of_stream)


def run(engine, recording, decode_s):
    path, reference = recording('demo')
    samples, _ = soundfile.read(path, dtype='int16')
    decoder = StreamDecoder(engine, StreamSettings(options=THREADS))
    return simulate(windows(samples), decoder.decode, lambda _: decode_s), reference


def test_a_decoder_slower_than_the_hop_falls_behind_once_and_stays_there(
    engine, recording, word_error_rate
):
    result, reference = run(engine, recording, 1.5)
    lags_s = [a.lag_s for a in result.answers[:-1]]
    assert max(lags_s) <= 1.5 + 1.0
    assert max(lags_s[-10:]) <= max(lags_s[:10]) + 1e-6
    assert result.load.skipped > 10 and result.load.aborted == 0
    assert result.load.offered == result.load.skipped + result.load.decoded
    assert word_error_rate(reference['text'], result.text) <= 0.03


def test_decodes_that_outlive_their_windows_are_given_up(engine, recording):
    result, _ = run(engine, recording, 12.0)
    assert result.load.aborted >= 3
    assert all(a.lag_s <= 10.0 + 1e-6 for a in result.answers if a.is_aborted)
    assert result.answers[-1].lag_s <= 10.0 + 12.0
