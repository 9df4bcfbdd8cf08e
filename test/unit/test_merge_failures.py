"""What other overlap merges got wrong: every shape leaves this transcript right."""

import math

import pytest
from scripted import heard, SENTENCE, Session, slide, spoken, window

from transcript_manager.merge.segments import split_text


@pytest.mark.parametrize(
    'sentence',
    [
        SENTENCE,
        'that that is is and that that is not is not is it',
        'Hello how are you Hello',
        'one two three one two three one two three one two three and four',
        'stop stop stop stop turn left stop stop now go go go home',
        'no no no no no no no no no no no no I said no',
        'cooperation operation nightfall operational cooperation and operations',
    ],
)
@pytest.mark.parametrize('hop_s', [0.5, 1.0, 2.0])
def test_a_perfect_decoder_loses_and_doubles_nothing(sentence, hop_s):
    assert slide(spoken(sentence), until_s=20, hop_s=hop_s) == sentence


def test_a_word_cut_by_the_window_is_completed():
    truth = spoken('after the operation nightfall the operational team left')

    def cut(k, said):
        return [*said, (' opera.', k - 0.2, float(k))] if k in (1, 2) else said

    text = ' '.join(t.strip() for t, _, _ in truth)
    assert slide(truth, until_s=20, change=cut) == text


def test_a_tail_of_a_word_at_the_window_start_eats_no_word():
    truth = spoken('their cooperation operation nightfall was a success')

    def cut(k, said):
        return [('operation', k - 10.0, k - 9.8), *said] if k == 11 else said

    assert slide(truth, until_s=20, change=cut) == (
        'their cooperation operation nightfall was a success'
    )


def test_a_false_sentence_start_doubles_nothing():
    truth = spoken('we had the meeting was long and dull today')

    def capitalise(k, said):
        if k < 11 or not said:
            return said
        (text, a, b), *rest = said
        return [(' ' + text.strip().capitalize(), a, b), *rest]

    assert slide(truth, until_s=20, change=capitalise) == (
        'we had the meeting was long and dull today'
    )


def test_fragments_at_the_window_edge_go():
    truth = spoken('the quick fox jumps over every turing machine in town')

    def fragment(k, said):
        cut = [w for w in truth if w[1] < k < w[2]]
        return said + [(' ' + w[0].strip()[:2] + '.', w[1], float(k)) for w in cut]

    assert slide(truth, until_s=20, change=fragment) == (
        'the quick fox jumps over every turing machine in town'
    )


def test_the_same_word_at_another_time_is_another_word():
    truth = [*spoken('go'), *spoken('go', from_s=3.0), *spoken('go', from_s=6.0)]
    assert slide(truth, until_s=20) == 'go go go'


def test_the_same_word_a_little_later_is_the_same_word():
    truth = spoken(SENTENCE)

    def drift(k, said):
        return [(t, a + 0.3 * (-1) ** k, b + 0.3 * (-1) ** k) for t, a, b in said]

    assert slide(truth, until_s=20, change=drift) == SENTENCE


@pytest.mark.parametrize('shift_s', [-3.0, -1.2, 0.9, 2.5])
def test_a_window_shifted_in_time_doubles_nothing(shift_s):
    truth = spoken(SENTENCE)

    def shift(k, said):
        return [(t, a + shift_s, b + shift_s) for t, a, b in said] if k in (5, 9) else said

    assert slide(truth, until_s=20, change=shift) == SENTENCE


def test_a_reworded_overlap_is_not_appended():
    truth = spoken(SENTENCE)

    def reword(k, said):
        other = spoken('completely other words came out of this one', from_s=1.0)
        return other if k == 6 else said

    assert slide(truth, until_s=20, change=reword) == SENTENCE


def test_a_window_that_matches_nothing_is_not_appended():
    session = Session()
    truth = spoken('and so my fellow Americans ask not')
    for k in range(3, 7):
        session.add(window(0.0, float(k), heard(truth, 0.0, k)))
    session.add(window(0.0, 7.0, spoken('whole other thing which was never ever said')))
    for k in range(8, 12):
        session.add(window(0.0, float(k), heard(truth, 0.0, k)))
    assert session.finish() == 'and so my fellow Americans ask not'


def test_a_stray_word_before_the_overlap_goes():
    truth = spoken('the robot Assistant for the factory is here')

    def stray(k, said):
        return [(' Assistant:', k - 10.0, k - 9.9), *said] if k in (11, 12) else said

    assert slide(truth, until_s=20, change=stray) == 'the robot Assistant for the factory is here'


def test_the_last_words_are_in_the_result():
    session = Session()
    session.add(window(0.0, 2.0, spoken('go home now')))
    assert session.stable == ''  # one window is no agreement
    session.add(window(0.0, 2.0, spoken('go home now'), end_of_stream=True))
    assert session.stable == ' go home now'
    assert [s.text for s in session.frozen] == [' go home now']


def test_words_that_only_the_last_window_holds_are_in_the_result():
    session = Session()
    session.add(window(0.0, 2.0, spoken('go home')))
    session.add(window(0.0, 3.0, spoken('go home and rest now'), end_of_stream=True))
    assert session.stable == ' go home and rest now'


def test_a_stretch_that_some_windows_skip_is_kept():
    truth = spoken(SENTENCE)

    def skip(k, said):
        return [w for w in said if not 2.0 < w[1] < 4.0] if k in (6, 8) else said

    assert slide(truth, until_s=20, change=skip) == SENTENCE


def test_segments_without_a_leading_space_are_not_glued():
    session = Session()
    for k in range(4):
        said = [('|we', 0.1, 0.4), (' go', 0.5, 0.9), ('|then', 1.5, 1.8), (' stop', 2.0, 2.4)]
        session.add(window(0.0, 3.0 + k, said))
    assert session.finish() == 'we go then stop'


def test_languages_without_spaces_get_none():
    session = Session()
    for k in range(4):
        session.add(window(0.0, 3.0 + k, [('你', 0.1, 0.4), ('好', 0.5, 0.9), ('|吗', 1.5, 1.8)]))
    assert session.finish() == '你好吗'


@pytest.mark.parametrize('phrase', ["I'm going to", 'the', 'thank you'])
@pytest.mark.parametrize('at', [5, 8, 12])
def test_a_looping_window_leaves_the_transcript_right(phrase, at):
    truth = spoken(SENTENCE)

    def loop(k, said):
        start_s = max(0.0, k - 10.0)
        times = max(8, 20 // len(phrase.split()))
        word_s = (k - start_s) / (times * len(phrase.split()))
        looped = spoken(' '.join([phrase] * times), from_s=start_s, word_s=word_s)
        return looped if k == at else said

    assert slide(truth, until_s=20, change=loop) == SENTENCE


def test_a_loop_behind_the_first_words_leaves_the_transcript_right():
    truth = spoken(SENTENCE)

    def loop(k, said):
        if k != 5:
            return said
        return said[:6] + spoken("I'm going to " * 8, from_s=2.4, word_s=0.1)

    assert slide(truth, until_s=20, change=loop) == SENTENCE


@pytest.mark.parametrize('hallucinated', [(7,), (7, 8), (7, 9, 11)])
def test_invented_filler_over_silence_is_dropped(hallucinated):
    truth = spoken('hello there')

    def invent(k, said):
        filler = spoken('Thanks for watching', from_s=max(3.0, k - 4.0))
        return [*said, *filler] if k in hallucinated else said

    assert slide(truth, until_s=20, change=invent) == 'hello there'


def test_filler_that_moves_with_the_window_is_dropped():
    truth = spoken('hello there')

    def invent(k, said):
        return [*said, *spoken('Thank you.', from_s=k - 5.0)] if k >= 8 else said

    assert slide(truth, until_s=70, change=invent) == 'hello there'


@pytest.mark.parametrize('note', [' [BLANK_AUDIO]', ' (wind blowing)', ' ♪', ' [Music]'])
def test_annotations_over_a_minute_of_silence_give_no_words(note):
    def annotate(k, said):
        return said or [(note, k - 1.0, float(k))]

    assert slide(spoken('hello there'), until_s=75, change=annotate) == 'hello there'


def test_an_empty_window_takes_nothing_away():
    truth = spoken(SENTENCE)
    text = slide(truth, until_s=20, change=lambda k, said: [] if k % 4 == 0 else said)
    assert text == SENTENCE


def test_late_repeated_and_empty_windows_change_nothing():
    truth = spoken(SENTENCE)
    session = Session()
    for end_s in range(1, 21):
        start_s = max(0.0, end_s - 10.0)
        decode = window(start_s, end_s - start_s, heard(truth, start_s, end_s))
        session.add(decode)
        before = session.stable
        session.add(decode)  # repeated
        assert session.stable == before
        if end_s > 7:  # late, and nothing but what is stable long since
            session.add(window(start_s, 3.0, heard(truth, start_s, start_s + 3.0)))
            assert session.stable == before
    assert session.transcript.ignored_windows >= 20
    assert session.finish() == SENTENCE


def test_windows_out_of_order_all_count():
    truth = spoken(SENTENCE)
    session = Session()
    order = [1, 3, 2, 4, 6, 7, 5, 9, 8, 10, 12, 13, 14, 11, 16, 15, 17]
    for end_s in order:
        start_s = max(0.0, end_s - 10.0)
        session.add(window(start_s, end_s - start_s, heard(truth, start_s, end_s)))
    assert session.finish() == SENTENCE


def test_lost_windows_lose_no_words():
    truth = spoken(SENTENCE + ' ' + SENTENCE)
    session = Session()
    for end_s in (1, 2, 9, 10, 15, 20):
        start_s = max(0.0, end_s - 10.0)
        session.add(window(start_s, end_s - start_s, heard(truth, start_s, end_s)))
    assert session.finish() == SENTENCE + ' ' + SENTENCE


def test_another_language_in_between_is_kept():
    truth = spoken('we go to Ljubljana in grem v Maribor and back')

    def translate(k, said):  # one window heard it all in the wrong language
        return [(' ' + t.strip()[::-1], a, b) for t, a, b in said] if k == 5 else said

    assert slide(truth, until_s=20, change=translate) == (
        'we go to Ljubljana in grem v Maribor and back'
    )


def test_without_agreement_the_deadline_decides():
    truth = spoken(SENTENCE)

    def disagree(k, said):
        return [(f' w{k}x{j}', a, b) for j, (_, a, b) in enumerate(said)]

    assert len(slide(truth, until_s=20, change=disagree).split()) == len(truth)


def test_tokens_without_times_are_merged_by_text_alone():
    sentence = SENTENCE + ' and then it goes back to the kitchen for another small red box'
    truth = spoken(sentence)

    def forget(k, said):
        return [(t, -1.0, -1.0) for t, _, _ in said]

    session = Session()
    for k in range(1, 25):
        start_s = max(0.0, k - 10.0)
        said = heard(truth, start_s, k)
        decode = window(start_s, k - start_s, said)
        untimed = window(start_s, k - start_s, forget(k, said))
        segments = tuple(
            type(s)(t.start_s, t.end_s, s.tokens)
            for s, t in zip(untimed.segments, decode.segments, strict=True)
        )
        session.add(type(decode)(start_s, k - start_s, segments))
    assert session.finish() == sentence
    starts = [w.start_s for s in session.frozen for w in s.words]
    errors = [abs(a - b[1]) for a, b in zip(starts, truth, strict=True)]
    assert sum(errors) / len(errors) < 0.6  # a word is new in one second or the next


# -- defects of the reference implementation ---------------------------------------------------


def test_probabilities_are_means_and_finite():
    session = Session()
    for k, probability in enumerate((1.0, 0.5, 0.0)):
        session.add(window(0.0, 4.0 + k, spoken('go home'), probability=probability))
    words = session.transcript.active()[0].words
    assert [w.probability for w in words] == [0.5, 0.5]
    assert all(math.isfinite(w.probability) for w in words)


def test_a_conflict_heard_once_does_not_flicker():
    session = Session()
    shown = []
    for k, text in enumerate((' preacher', ' teacher', ' preacher', ' teacher', ' preacher')):
        said = [*spoken('put the'), (text, 0.8, 1.15), *spoken('on', from_s=1.2)]
        session.add(window(0.0, 2.0 + k / 10, said))
        shown.append(session.shown())
    assert set(shown) == {' put the preacher on'}


def test_one_long_segment_does_not_stay_active():
    truth = spoken(' '.join(f'word{k}' for k in range(300)))
    session = Session()
    longest_s = 0.0
    for end_s in range(1, 125):
        start_s = max(0.0, end_s - 10.0)
        session.add(window(start_s, end_s - start_s, heard(truth, start_s, end_s)))
        active = session.transcript.active()
        if active:
            longest_s = max(longest_s, active[-1].end_s - active[0].start_s)
    assert longest_s < 35.0
    assert session.finish() == ' '.join(t.strip() for t, _, _ in truth)


# -- streams -----------------------------------------------------------------------------------


def test_a_second_stream_begins_where_the_clock_stands():
    session = Session()
    session.add(window(100.0, 3.0, spoken('first one', from_s=100.0), end_of_stream=True))
    session.add(window(100.0, 3.0, spoken('first one', from_s=100.0), end_of_stream=True))
    session.add(window(50.0, 3.0, spoken('second one', from_s=50.0), end_of_stream=True))
    assert session.finish() == 'first one second one'
    assert [s.index for s in session.frozen] == [0, 1]


def test_a_clock_set_back_begins_a_new_stream():
    session = Session()
    for origin_s in (1000.0, 10.0):
        truth = spoken(SENTENCE, from_s=origin_s)
        for k in range(1, 15):
            start_s = origin_s + max(0.0, k - 10.0)
            said = heard(truth, start_s, origin_s + k)
            session.add(window(start_s, origin_s + k - start_s, said))
    assert session.finish() == SENTENCE + ' ' + SENTENCE
    assert session.transcript.restarts == 1


def test_one_window_from_the_far_past_is_ignored():
    truth = spoken(SENTENCE, from_s=1000.0)
    session = Session()
    for k in range(1, 15):
        start_s = 1000.0 + max(0.0, k - 10.0)
        session.add(window(start_s, 1000.0 + k - start_s, heard(truth, start_s, 1000.0 + k)))
        if k in (4, 8):
            session.add(window(0.0, 10.0, spoken('a ghost')))
    assert session.finish() == SENTENCE
    assert split_text(session.transcript.active()) == ('', '')
