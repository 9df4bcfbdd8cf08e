"""Guards against inventions: what they cut, and what they must leave alone."""

import pytest

from transcript_manager.decoder.guards import (
    EDGE,
    guard,
    GuardCounts,
    GuardSettings,
    LOOP,
    SILENCE,
)
from transcript_manager.decoder.tokens import EngineSegment, EngineToken

ALL = GuardSettings()


def token(text, start_ms=-1, end_ms=-1, probability=0.9):
    return EngineToken(1, text, probability, start_ms, end_ms)


def said(text, *, start_ms=0, word_ms=250, probability=0.9):
    """Say words one after the other, each a token."""
    tokens = []
    for k, word in enumerate(text.split()):
        at_ms = start_ms + k * word_ms
        tokens.append(token(' ' + word, at_ms, at_ms + word_ms, probability))
    return EngineSegment(start_ms, start_ms + len(tokens) * word_ms, tuple(tokens))


def text_of(segments):
    return ' '.join(''.join(t.text for t in s.tokens).strip() for s in segments)


def run(*segments, settings=ALL, window_ms=10000, **options):
    kept, cuts = guard(segments, settings, window_ms=window_ms, **options)
    return text_of(kept), [(c.guard, c.text) for c in cuts]


def test_a_loop_faster_than_speech_is_cut_to_what_was_said():
    text, cuts = run(said('turn left now. ' + 'turn left now. ' * 20, word_ms=20))
    assert text == 'turn left now.'
    assert [g for g, _ in cuts] == [LOOP]


def test_a_loop_whose_beginning_was_said_keeps_it():
    spoken = said('no no no no', word_ms=300)
    stuck = said('no ' * 40, start_ms=1200, word_ms=10)
    text, _ = run(EngineSegment(0, 2000, (*spoken.tokens, *stuck.tokens)))
    assert text == 'no no no no'


def test_the_text_around_a_loop_stays():
    tokens = (
        *said('we go to the').tokens,
        *said('lab and the ' * 12, start_ms=1000, word_ms=30).tokens,
        *said('kitchen now', start_ms=5000).tokens,
    )
    text, _ = run(EngineSegment(0, 6000, tokens))
    assert text == 'we go to the lab and the kitchen now'


def test_a_phrase_that_comes_twice_the_second_time_in_no_time():
    tokens = (
        *said('and so my fellow Americans.').tokens,
        *said('And so my fellow Americans.', start_ms=1250, word_ms=0).tokens,
    )
    assert run(EngineSegment(0, 3000, tokens))[0] == 'and so my fellow Americans.'


@pytest.mark.parametrize(
    'text',
    [
        'that that',
        'stop stop stop stop stop stop stop',
        'turn left now turn left now turn left now turn left now',
        'one two three one two three',
        'no, no, do not push the robot',
        'very very very very very very very good',
    ],
)
def test_what_is_repeated_at_the_pace_of_speech_stays(text):
    assert run(said(text)) == (text, [])


def test_a_loop_at_the_pace_of_speech_could_be_speech_and_keeps_nine_copies():
    assert run(said('thank you ' * 9))[0] == ('thank you ' * 9).strip()
    assert run(said('thank you ' * 20))[0] == ('thank you ' * 9).strip()


def test_a_loop_over_segments_and_without_times():
    segments = [
        EngineSegment(k * 50, k * 50 + 50, (token(' Thank'), token(' you'), token('.')))
        for k in range(30)
    ]
    assert run(*segments)[0] == 'Thank you.'


def test_scripts_without_spaces_loop_too():
    tokens = tuple(token(c, k * 10, k * 10 + 10) for k, c in enumerate('谢谢观看' * 15))
    assert run(EngineSegment(0, 600, tokens))[0] == '谢谢观看'


def test_text_over_silence_is_cut_and_text_at_its_border_is_not():
    segment = said('hello there thanks for watching', word_ms=500)
    text, cuts = run(segment, speech_ms=[(0, 600)])
    assert text == 'hello there'
    assert cuts == [(SILENCE, 'thanks for watching')]
    assert run(segment)[0] == 'hello there thanks for watching'  # nobody knows of silence


def test_words_of_no_length_at_the_border_of_speech_stay():
    segment = EngineSegment(0, 5000, (token(' a', 0, 0), token(' b', 5000, 5000)))
    assert run(segment, speech_ms=[(0, 5000)])[0] == 'a b'


def test_the_cut_edge_of_a_window_that_was_not_heard_from_its_start():
    segment = EngineSegment(
        5000, 9000, (token(' ell', 5010, 5200, 0.02), token(' so', 6000, 6400))
    )
    assert run(segment)[0] == 'ell so'
    assert run(segment, start_ms=5000)[0] == 'so'


def test_without_times_nothing_is_over_silence():
    segment = EngineSegment(0, 5000, (token(' hello'), token(' there')))
    assert run(segment, speech_ms=[(9000, 9500)])[0] == 'hello there'


def test_improbable_words_go_at_cut_edges_only():
    segment = EngineSegment(
        0,
        10000,
        (
            token(' ell', 50, 200, 0.05),
            token(' people', 5000, 5400, 0.05),
            token(' and', 9300, 9500, 0.9),
            token(' th', 9700, 9990, 0.05),
        ),
    )
    assert run(segment) == ('people and', [(EDGE, 'th'), (EDGE, 'ell')])
    assert run(segment, is_end_cut=False)[0] == 'people and th'
    assert run(segment, is_start_cut=False)[0] == 'ell people and'
    off = GuardSettings(edge_probability=0)
    assert run(segment, settings=off)[0] == 'ell people and th'


def test_a_word_is_as_probable_as_its_worst_token():
    tokens = (
        token(' hello', 8000, 9000),
        token(' won', 9600, 9800),
        token('der', 9800, 9990, 0.05),
    )
    assert run(EngineSegment(0, 10000, tokens))[0] == 'hello'


def test_everything_may_go():
    text, cuts = run(said('a b c', probability=0.05), speech_ms=[])
    assert (text, len(cuts)) == ('', 1)
    assert guard((), ALL, window_ms=0) == ((), [])


def test_segments_shrink_to_what_is_left_in_them():
    kept, _ = guard([said('a b', word_ms=1000)], ALL, window_ms=10000, speech_ms=[(0, 900)])
    assert (kept[0].start_ms, kept[0].end_ms) == (0, 1000)


def test_cuts_are_counted():
    counts = GuardCounts()
    _, cuts = guard([said('a b', word_ms=1000)], ALL, window_ms=10000, speech_ms=[])
    counts.add(cuts)
    counts.add(cuts)
    assert counts.cuts == {LOOP: 0, SILENCE: 2, EDGE: 0}
    assert counts.words[SILENCE] == 4
    assert counts.last[SILENCE] == 'a b'


def test_switched_off_guards_cut_nothing():
    off = GuardSettings(loops=False, silence=False, edge_probability=0)
    segment = said('a ' * 50, word_ms=5)
    assert guard([segment], off, window_ms=300, speech_ms=[])[0] == (segment,)
