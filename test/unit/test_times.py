"""Token times: DTW's marks and the sound around them."""

import json

import numpy as np
import pytest
import soundfile

from transcript_manager.decoder import models
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.options import DecodeOptions
from transcript_manager.decoder.times import dtw_spans, find_sound
from transcript_manager.decoder.tokens import RawSegment, RawToken, split_at_timestamps

RATE = 16000


def raw(*tokens, start_ms=0, end_ms=10000):
    return RawSegment(
        start_ms, end_ms, [RawToken(1, text.encode(), 0.9, dtw_ms=at_ms) for text, at_ms in tokens]
    )


def sound(seconds, *loud_s):
    """Tell where there is sound, in frames of 10 ms."""
    frames = np.zeros(round(seconds * 100), dtype=bool)
    for start_s, end_s in loud_s:
        frames[round(start_s * 100) : round(end_s * 100)] = True
    return frames


def test_a_token_lies_between_two_marks():
    spans = dtw_spans([raw((' one', 300), (' two', 700))], sound(10, (0, 10)))
    assert spans == [[(0, 300), (300, 700)]]


def test_a_late_mark_is_brought_forward():
    spans = dtw_spans([raw((' one', 400), (' two', 800))], sound(10, (0, 10)), late_ms=100)
    assert spans == [[(0, 300), (300, 700)]]


def test_a_word_after_a_pause_begins_with_its_sound():
    words = raw((' one', 400), ('.', 900), (' two', 2400))
    spans = dtw_spans([words], sound(10, (0.1, 0.42), (2.0, 3.0)))[0]
    assert spans[0] == (0, 400)
    assert spans[2] == (1990, 2400)


def test_a_word_before_a_pause_ends_with_its_sound():
    spans = dtw_spans([raw((' one', 800))], sound(10, (0.2, 0.5)))
    assert spans == [[(190, 500)]]


def test_a_word_before_a_pause_stays_there_whatever_follows_it():
    # The quotation mark has the space, and the word behind it none.
    words = raw((' said', 1000), (' "', 1100), ('Hello', 2700))
    spans = dtw_spans([words], sound(10, (0.5, 1.0), (2.5, 3.0)))[0]
    assert spans[0] == (490, 1000)
    assert spans[2] == (2490, 2700)


def test_scripts_without_spaces_keep_their_order_over_a_pause():
    words = raw(('我', 500), ('们', 800), ('去', 1200), ('家', 5300))
    spans = dtw_spans([words], sound(10, (0.2, 1.2), (5.0, 5.4)))[0]
    assert spans[:3] == [(190, 500), (500, 800), (800, 1200)]
    assert spans[3] == (4990, 5300)


def test_a_dip_inside_a_word_is_no_pause():
    spans = dtw_spans([raw((' one', 300), (' stop', 700))], sound(10, (0, 0.4), (0.48, 0.7)))
    assert spans[0][1] == (300, 700)


def test_without_sound_the_marks_stand():
    spans = dtw_spans([raw((' one', 300), (' two', 700))], sound(10))
    assert spans == [[(0, 300), (300, 700)]]
    assert dtw_spans([raw((' one', 300))], np.zeros(0, dtype=bool)) == [[(0, 300)]]


def test_tokens_without_a_mark_have_no_times():
    assert dtw_spans([raw((' one', -1), (' two', 700))], sound(10, (0, 10))) == [
        [(-1, -1), (0, 700)]
    ]
    assert dtw_spans([], sound(1)) == []


def test_a_long_gap_makes_no_long_token():
    spans = dtw_spans([raw((' one', 300), (' two', 8000))], sound(10, (0, 10)))
    assert spans[0][1] == (7000, 8000)


def test_silence_and_single_frames_have_no_sound():
    assert find_sound(np.zeros(100, np.int16)).tolist() == []
    assert not find_sound(np.zeros(RATE, np.int16)).any()


def test_segments_are_split_where_timestamps_stand():
    def token(number):
        return RawToken(number, b'x', 0.9)

    one = RawSegment(0, 5000, [token(n) for n in (100, 1, 2, 150, 175, 3, 250)])
    parts = list(split_at_timestamps(one, first_timestamp=100))
    assert [(p.start_ms, p.end_ms, [t.id for t in p.tokens]) for p in parts] == [
        (0, 1000, [1, 2]),
        (1500, 3000, [3]),
    ]
    open_end = RawSegment(500, 5000, [token(n) for n in (1, 150, 2)])
    parts = list(split_at_timestamps(open_end, first_timestamp=100))
    assert [(p.start_ms, p.end_ms) for p in parts] == [(500, 1000), (1000, 5000)]


@pytest.mark.parametrize('name', ['demo', 'second'])
def test_words_of_the_demo_speech_are_where_they_were_said(name, recording):
    """The bundled model's marks are its own; what is checked is start and end of real words."""
    path, reference = recording(name)
    samples, _ = soundfile.read(path, dtype='int16', frames=10 * RATE)
    with WhisperEngine(models.resolve('demo')) as engine:
        result = engine.transcribe(samples, DecodeOptions())
    heard = {}
    for segment in result.segments:
        for token in segment.tokens:
            heard.setdefault(token.text.strip().lower(), (token.start_ms, token.end_ms))
    words = [w.strip('.,?').lower() for w, _, _ in reference['words']]
    errors_ms = []
    for (_, start_s, end_s), word in zip(reference['words'], words, strict=True):
        if end_s < 9.5 and words.count(word) == 1 and word in heard:
            start_ms, end_ms = heard[word]
            errors_ms += [abs(start_ms - start_s * 1000), abs(end_ms - end_s * 1000)]
    assert len(errors_ms) >= 20, json.dumps(heard)
    assert np.mean(errors_ms) < 30
    assert np.max(errors_ms) < 250
