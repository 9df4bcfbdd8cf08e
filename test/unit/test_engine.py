"""whisper.cpp with the real bundled model."""

import threading
import time

import numpy as np
import pytest
import soundfile

from transcript_manager.decoder import models
from transcript_manager.decoder.engine import DecodeAborted, WhisperEngine
from transcript_manager.decoder.text import token_texts
from transcript_manager.errors import ModelError, ParameterError


@pytest.fixture(scope='module')
def engine():
    with WhisperEngine(models.resolve('demo')) as subject:
        yield subject


def text_of(result):
    return ''.join(t.text for s in result.segments for t in s.tokens)


def test_tokens_come_with_text_probabilities_and_times(engine, recording):
    path, reference = recording('demo')
    samples, _ = soundfile.read(path, dtype='int16', frames=160000)
    result = engine.transcribe(samples)
    assert text_of(result).startswith(" In consequence, I'm inclined to reserve all judgments")
    assert result.language == 'en'
    tokens = [t for s in result.segments for t in s.tokens]
    assert all(0 < t.probability <= 1 and t.id < 50256 for t in tokens)
    ends = {word.strip('.,').lower(): end_s for word, _, end_s in reference['words'][:12]}
    for token in tokens:
        word = token.text.strip().lower()
        if word in ends and token.end_ms < 4000:
            assert abs(token.end_ms / 1000 - ends[word]) < 0.1, word
    starts = [t.start_ms for t in tokens]
    assert starts == sorted(starts)
    assert all(0 <= t.start_ms <= t.end_ms <= 10000 for t in tokens)
    for s in result.segments:
        assert 0 <= s.start_ms <= s.end_ms <= 10000


@pytest.mark.parametrize('count', [0, 1, 100, 1599, 16000, 163840])
def test_windows_of_every_length_are_safe(engine, count):
    assert engine.transcribe(np.zeros(count, np.int16)).segments == ()


@pytest.mark.parametrize(
    'samples',
    [np.zeros(163841, np.int16), np.zeros(16000, np.float32), np.zeros((2, 800), np.int16)],
)
def test_what_the_model_cannot_take_is_refused(engine, samples):
    with pytest.raises(ValueError):
        engine.transcribe(samples)


def test_full_scale_noise_is_safe(engine):
    noise = np.random.default_rng(0).integers(-32768, 32767, 160000).astype(np.int16)
    engine.transcribe(noise)


def test_an_abort_ends_the_decoding(recording):
    path, _ = recording('demo')
    samples, _ = soundfile.read(path, dtype='int16', frames=160000)
    with WhisperEngine(models.resolve('demo'), threads=1) as engine:
        engine.transcribe(samples)
        threading.Timer(0.03, engine.abort).start()
        started_s = time.monotonic()
        with pytest.raises(DecodeAborted):
            while time.monotonic() - started_s < 30:
                engine.transcribe(samples)


@pytest.mark.parametrize(
    ('settings', 'error', 'says'),
    [
        ({'threads': 65}, ParameterError, 'threads is 65'),
        ({'language': 'klingon'}, ParameterError, "'klingon' is unknown"),
        ({'language': 'de'}, ModelError, 'knows English only'),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, error, says):
    with pytest.raises(error, match=says):
        WhisperEngine(models.resolve('demo'), **settings)


@pytest.mark.parametrize(
    ('tokens', 'texts'),
    [
        ([b' a', b'b'], [' a', 'b']),
        ([b' \xc5', b'\xbd', b'eljko'], [' ', '\u017d', 'eljko']),
        ([b'\xe4', b'\xbd', b'\xa0'], ['', '', '你']),
        ([b'\xf0\x9f', b'\x99\x82!'], ['', '\U0001f642!']),
        ([b'\xff', b'ok'], ['\ufffd', 'ok']),
        ([b'ok', b'\xe4\xbd'], ['ok', '\ufffd']),
        ([b'a\0b'], ['ab']),
        ([], []),
    ],
)
def test_characters_split_over_tokens_arrive_whole(tokens, texts):
    assert token_texts(tokens) == texts
