"""whisper.cpp with the real bundled model."""

import shutil
import threading

import multilingual
import numpy as np
import pytest
import soundfile

from transcript_manager.decoder import models
from transcript_manager.decoder.engine import DecodeAborted, WhisperEngine
from transcript_manager.decoder.options import DecodeOptions
from transcript_manager.decoder.text import token_texts
from transcript_manager.errors import ModelError, ParameterError

ENGLISH = DecodeOptions()


@pytest.fixture(scope='module')
def engine():
    with WhisperEngine(models.resolve('demo')) as subject:
        yield subject


def text_of(result):
    return ''.join(t.text for s in result.segments for t in s.tokens)


def heard(path, frames=160000, start=0):
    samples, _ = soundfile.read(path, dtype='int16', start=start, frames=frames)
    return samples


def test_tokens_come_with_text_probabilities_and_times(engine, recording):
    path, reference = recording('demo')
    result = engine.transcribe(heard(path), ENGLISH)
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


def test_segments_end_where_the_model_put_its_timestamps(engine, recording):
    path, _ = recording('demo')
    segments = engine.transcribe(heard(path, start=9 * 16000), ENGLISH).segments
    assert len(segments) >= 2  # there are sentences with pauses between them
    for before, after in zip(segments, segments[1:], strict=False):
        assert before.end_ms <= after.start_ms


@pytest.mark.parametrize('count', [0, 1, 100, 1599, 16000, 163840])
def test_windows_of_every_length_are_safe(engine, count):
    assert engine.transcribe(np.zeros(count, np.int16), ENGLISH).segments == ()


@pytest.mark.parametrize(
    'samples',
    [np.zeros(163841, np.int16), np.zeros(16000, np.float32), np.zeros((2, 800), np.int16)],
)
def test_what_the_model_cannot_take_is_refused(engine, samples):
    with pytest.raises(ValueError):
        engine.transcribe(samples, ENGLISH)


@pytest.mark.parametrize('kind', ['noise', 'square', 'constant', 'one click'])
def test_garbage_at_full_scale_is_safe(engine, kind):
    samples = {
        'noise': np.random.default_rng(0).integers(-32768, 32767, 160000),
        'square': np.where(np.arange(160000) % 40 < 20, 32767, -32768),
        'constant': np.full(160000, -32768),
        'one click': np.eye(1, 160000, 80000).ravel() * 32767,
    }[kind].astype(np.int16)
    engine.transcribe(samples, ENGLISH)


class SetWhenAsked(threading.Event):
    """An event that is set when it is asked for the nth time."""

    def __init__(self, nth):
        super().__init__()
        self.nth = nth
        self.asked = 0

    def is_set(self):
        self.asked += 1
        return self.asked >= self.nth


def test_an_abort_ends_a_decode_in_its_middle(engine, recording):
    path, _ = recording('demo')
    never = SetWhenAsked(10**9)
    engine.transcribe(heard(path), ENGLISH, abort=never)
    assert never.asked > 20  # after the encoder and after each token
    early = SetWhenAsked(10)
    with pytest.raises(DecodeAborted):
        engine.transcribe(heard(path), ENGLISH, abort=early)
    assert early.asked <= 12
    assert text_of(engine.transcribe(heard(path), ENGLISH))  # and the next one works


def test_what_is_aborted_already_is_not_begun(engine, recording):
    path, _ = recording('demo')
    with pytest.raises(DecodeAborted):
        engine.transcribe(heard(path), ENGLISH, abort=SetWhenAsked(1))


@pytest.mark.parametrize('timestamps', ['segment', 'token', 'dtw'])
def test_each_kind_of_timestamps(timestamps, recording):
    path, _ = recording('demo')
    with WhisperEngine(models.resolve('demo'), timestamps=timestamps) as engine:
        assert engine.flash_attention == (timestamps != 'dtw')
        result = engine.transcribe(heard(path), ENGLISH)
    assert "I'm inclined to reserve all judgments" in text_of(result)
    times = [(t.start_ms, t.end_ms) for s in result.segments for t in s.tokens]
    if timestamps == 'segment':
        assert set(times) == {(-1, -1)}
    else:
        assert all(0 <= start <= end <= 10000 for start, end in times)


def test_the_prompt_reaches_the_decoder(engine, recording):
    path, _ = recording('demo')
    samples = heard(path)
    probabilities = [
        [t.probability for s in engine.transcribe(samples, options).segments for t in s.tokens]
        for options in (ENGLISH, DecodeOptions(prompt='A habit of mine: advice.'), ENGLISH)
    ]
    assert probabilities[0] != probabilities[1]
    assert probabilities[0] == probabilities[2]  # and stays nowhere


def test_a_prompt_is_measured_in_tokens(engine):
    assert engine.count_tokens('') == 0
    assert engine.count_tokens(' robot') == 1
    assert engine.count_tokens('Željko in Ljubljana') > 5
    engine.check(DecodeOptions(prompt=' robot' * 223))
    with pytest.raises(ParameterError, match='prompt is 224 tokens long, .* takes at most 223'):
        engine.check(DecodeOptions(prompt=' robot' * 224))


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        ({'threads': 65}, 'threads is 65'),
        ({'fallbacks': 6}, 'fallbacks is 6, must be 0..5'),
        ({'audio_ctx': 1501}, 'audio_ctx is 1501'),
        ({'language': 'klingon'}, "'klingon' is unknown"),
        ({'language': 'de'}, 'knows English only'),
        ({'translate': True}, 'translate is on, .* knows English only'),
    ],
)
def test_options_that_do_not_fit_are_named(engine, options, says):
    with pytest.raises(ParameterError, match=says):
        engine.check(DecodeOptions(**options))


def test_an_audio_ctx_below_the_window_is_raised_to_it(engine, recording):
    # whisper.cpp asserts otherwise, and with it the process ends.
    path, _ = recording('demo')
    assert text_of(engine.transcribe(heard(path), DecodeOptions(audio_ctx=8)))


def test_settings_of_the_engine_are_checked():
    with pytest.raises(ParameterError, match="timestamps is 'words', must be one of"):
        WhisperEngine(models.resolve('demo'), timestamps='words')
    with pytest.raises(ModelError, match="openvino_device is 'CPU', but whisper.cpp cannot use"):
        WhisperEngine(models.resolve('demo'), openvino_device='CPU')


def test_a_gpu_that_is_not_there_is_no_mistake(recording):
    path, _ = recording('demo')
    with WhisperEngine(models.resolve('demo'), use_gpu=True, gpu_device=3) as engine:
        assert text_of(engine.transcribe(heard(path), ENGLISH))


def test_a_model_file_that_is_replaced_does_not_matter_to_what_is_loaded(tmp_path, recording):
    path, _ = recording('demo')
    copy = tmp_path / 'copy.bin'
    shutil.copy(models.resolve('demo').path, copy)
    shutil.copy(models.resolve('demo').path.with_suffix('.json'), tmp_path / 'copy.json')
    with WhisperEngine(models.resolve(str(copy))) as engine:
        before = text_of(engine.transcribe(heard(path), ENGLISH))
        copy.write_bytes(b'something else')
        assert text_of(engine.transcribe(heard(path), ENGLISH)) == before


def test_fallbacks_change_nothing_where_nothing_failed(engine, recording):
    path, _ = recording('demo')
    results = [engine.transcribe(heard(path), DecodeOptions(fallbacks=n)) for n in (0, 2)]
    assert text_of(results[0]) == text_of(results[1])


def test_a_multilingual_model_detects_translates_and_takes_any_language(tmp_path, recording):
    path, _ = recording('demo')
    model = multilingual.make(tmp_path / 'many.bin', language_index=2)
    with WhisperEngine(models.resolve(str(model))) as engine:
        for options, language in (
            (DecodeOptions(language='auto'), 'de'),
            (DecodeOptions(language='fr'), 'fr'),
            (DecodeOptions(language='de', translate=True), 'de'),
        ):
            engine.check(options)
            result = engine.transcribe(heard(path), options)
            assert result.language == language
            assert 'reserve all judgments' in text_of(result)
        probabilities = engine.detect_language(heard(path))
        assert max(probabilities, key=probabilities.get) == 'de' and probabilities['de'] > 0.9


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
