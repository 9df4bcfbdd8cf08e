"""A stream of windows through gate, language, whisper.cpp and guards: the real ones."""

from dataclasses import replace
import threading

import multilingual
import numpy as np
import pytest
import soundfile
import soxr

from transcript_manager.decoder import models
from transcript_manager.decoder.engine import DecodeAborted, WhisperEngine
from transcript_manager.decoder.guards import GuardSettings
from transcript_manager.decoder.options import DecodeOptions
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings, StreamWindow
from transcript_manager.decoder.voice import VoiceActivity

RATE = 16000
PLAIN = StreamSettings()


@pytest.fixture(scope='module')
def engine():
    with WhisperEngine(models.resolve('demo')) as subject:
        yield subject


@pytest.fixture
def demo(recording):
    samples, _ = soundfile.read(recording('demo')[0], dtype='int16')
    return samples


def window(samples, first=0, rate=RATE, start_ns=0, **values):
    return StreamWindow(samples, rate, first, start_ns, **values)


def windows(samples, *, window_s=10, hop_s=1):
    for end in range(hop_s * RATE, len(samples) + 1, hop_s * RATE):
        first = max(0, end - window_s * RATE)
        yield window(samples[first:end], first)


def text_of(result):
    return ''.join(t.text for s in result.segments for t in s.tokens)


def test_no_word_in_sixty_seconds_of_silence_fan_and_music(engine, noises):
    for name, samples in noises(60.0).items():
        samples = (samples * 32767).astype(np.int16)
        decoder = StreamDecoder(engine, PLAIN)
        for w in windows(samples):
            assert text_of(decoder.decode(w)) == '', name
        assert decoder.counts.silent == decoder.counts.windows == 60, name
        assert decoder.counts.decoded == 0, name


def test_silence_costs_no_decode_and_speech_after_it_is_heard(engine, demo):
    samples = np.concatenate([np.zeros(12 * RATE, np.int16), demo[: 10 * RATE]])
    decoder = StreamDecoder(engine, PLAIN)
    results = [decoder.decode(w) for w in windows(samples)]
    assert [r.is_silent for r in results[:12]] == [True] * 12
    assert text_of(results[-1]).startswith(" In consequence, I'm inclined")
    assert decoder.counts.decoded <= 10


def test_times_count_from_the_window_whatever_was_cut_off(engine, demo):
    speech = demo[: 4 * RATE]
    quiet = np.zeros(5 * RATE, np.int16)
    plain = StreamDecoder(engine, replace(PLAIN, gate=False)).decode(window(speech))
    late = StreamDecoder(engine, PLAIN).decode(window(np.concatenate([quiet, speech])))
    starts = [[t.start_ms for s in r.segments for t in s.tokens] for r in (plain, late)]
    assert len(starts[0]) == len(starts[1])
    for before, after in zip(*starts, strict=True):
        assert abs(after - before - 5000) <= 40


@pytest.mark.parametrize('rate', [8000, 11025, 44100, 48000])
def test_other_sample_rates_are_heard(engine, demo, rate):
    samples = np.ascontiguousarray(soxr.resample(demo[: 8 * RATE], RATE, rate), np.int16)
    result = StreamDecoder(engine, PLAIN).decode(window(samples, rate=rate))
    assert 'reserve all' in text_of(result)


def test_a_window_longer_than_the_model_takes_gives_its_end(engine, demo):
    decoder = StreamDecoder(engine, PLAIN)
    result = decoder.decode(window(demo[: 20 * RATE]))
    assert decoder.counts.too_long == 1
    assert 9000 < result.skipped_ms < 10500
    assert 'find the yellow box' in text_of(result).lower()
    assert all(s.start_ms >= result.skipped_ms for s in result.segments)


def test_a_window_that_comes_again_costs_nothing(engine, demo):
    decoder = StreamDecoder(engine, PLAIN)
    first = decoder.decode(window(demo[: 10 * RATE]))
    again = decoder.decode(window(demo[: 10 * RATE], end_of_stream=True))
    assert text_of(again).startswith(text_of(first))
    assert (decoder.counts.decoded, decoder.counts.repeated) == (1, 1)
    other_prompt = replace(PLAIN, options=DecodeOptions(prompt='robots'))
    decoder.configure(other_prompt)
    decoder.decode(window(demo[: 10 * RATE]))
    assert decoder.counts.decoded == 2  # it was another question


def test_cuts_are_counted_once_a_window(engine, demo):
    strict = replace(PLAIN, guards=GuardSettings(edge_probability=1.0, edge_s=5.0))
    decoder = StreamDecoder(engine, strict)
    counted = []
    for _ in range(2):
        assert decoder.decode(window(demo[RATE : 11 * RATE], RATE)).cuts
        counted.append(dict(decoder.counts.guards.cuts))
    assert counted[0] == counted[1] and sum(counted[0].values()) > 0


def test_an_abort_is_passed_on_and_the_window_can_be_decoded_later(engine, demo):
    decoder = StreamDecoder(engine, PLAIN)
    abort = threading.Event()
    abort.set()
    with pytest.raises(DecodeAborted):
        decoder.decode(window(demo[: 10 * RATE]), abort=abort)
    assert text_of(decoder.decode(window(demo[: 10 * RATE])))


def test_an_empty_window_is_silent(engine):
    result = StreamDecoder(engine, PLAIN).decode(window(np.zeros(0, np.int16)))
    assert result.is_silent and result.segments == ()


@pytest.mark.parametrize('seed', range(6))
def test_garbage_is_survived(engine, seed):
    random = np.random.default_rng(seed)
    decoder = StreamDecoder(engine, replace(PLAIN, gate=seed % 2 == 0))
    for _ in range(4):
        count = int(random.integers(1, 12 * RATE))
        samples = random.integers(-32768, 32768, count).astype(np.int16)
        rate = int(random.choice([8000, 16000, 44100, 48000]))
        first = int(random.integers(0, 2**63))
        result = decoder.decode(
            window(samples, first, rate, int(random.integers(-(2**62), 2**62)))
        )
        for segment in result.segments:
            assert 0 <= segment.start_ms <= segment.end_ms <= window(samples, 0, rate).duration_ms


@pytest.fixture(scope='module')
def polyglot(tmp_path_factory):
    path = multilingual.make(tmp_path_factory.mktemp('models') / 'many.bin', language_index=2)
    with WhisperEngine(models.resolve(str(path))) as subject:
        yield subject


def test_language_is_detected_once_and_then_kept(polyglot, demo):
    asked = []
    decoder = StreamDecoder(polyglot, replace(PLAIN, options=DecodeOptions(language='auto')))
    detect = polyglot.detect_language
    polyglot.detect_language = lambda *args, **kw: asked.append(1) or detect(*args, **kw)
    assert decoder.language == ''
    try:
        results = [decoder.decode(w) for w in list(windows(demo[: 8 * RATE]))]
        assert [r.language for r in results] == ['de'] * 8
        assert decoder.is_language_locked and 1 <= len(asked) <= 4
        before = len(asked)
        decoder.detect_language_again()
        assert decoder.decode(window(demo[8 * RATE : 16 * RATE], 8 * RATE)).language == 'de'
        assert decoder.is_language_locked and len(asked) == before + 1
        decoder.configure(replace(PLAIN, options=DecodeOptions(language='fr')))
        assert decoder.decode(window(demo[9 * RATE : 17 * RATE], 9 * RATE)).language == 'fr'
        assert len(asked) == before + 1
    finally:
        del polyglot.detect_language


def test_context_is_what_was_said_as_far_as_it_fits(engine, demo):
    settings = replace(PLAIN, rolling_context=True, options=DecodeOptions(prompt='About robots.'))
    decoder = StreamDecoder(engine, settings, voice=VoiceActivity())
    prompts = []
    transcribe = engine.transcribe
    engine.transcribe = lambda s, o, **kw: prompts.append(o.prompt) or transcribe(s, o, **kw)
    try:
        decoder.decode(window(demo[: 5 * RATE]))
        decoder.context = 'one two three'
        decoder.decode(window(demo[RATE : 6 * RATE], RATE))
        decoder.context = 'word ' * 500 + 'the end'
        decoder.decode(window(demo[2 * RATE : 7 * RATE], 2 * RATE))
    finally:
        del engine.transcribe
    assert prompts[:2] == ['About robots.', 'About robots. one two three']
    assert prompts[2].startswith('About robots. word') and prompts[2].endswith('the end')
    assert 150 < engine.count_tokens(prompts[2]) <= engine.max_prompt_tokens
