"""The merge: the inventor's table case by case, the field's failures, and its promises."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from transcript_manager.errors import ParameterError
from transcript_manager.merge.align import align
from transcript_manager.merge.decode import Decode, DecodedSegment, Token
from transcript_manager.merge.segments import split_text, WordState
from transcript_manager.merge.transcript import MergeSettings, Transcript


def window(start_s, duration_s, said, *, end_of_stream=False, probability=0.95):
    """
    Make the decode of a window.

    :param said: (text, start_s, end_s) absolute; '|' in front of a text opens a segment
    """
    groups = [[]]
    for text, begin_s, until_s in said:
        if text.startswith('|'):
            text = text[1:]
            if groups[-1]:
                groups.append([])
        groups[-1].append(Token(text, probability, begin_s, until_s))
    segments = tuple(DecodedSegment(g[0].start_s, g[-1].end_s, tuple(g)) for g in groups if g)
    return Decode(start_s, duration_s, segments, end_of_stream)


def spoken(sentence, *, from_s=0.0, word_s=0.4):
    """Time the words of a sentence evenly; punctuation stays on its word."""
    words = sentence.split()
    return [
        (' ' + w, from_s + k * word_s, from_s + (k + 0.9) * word_s) for k, w in enumerate(words)
    ]


def heard(truth, start_s, end_s):
    """Return what a perfect decoder hears of the truth in a window."""
    return [w for w in truth if start_s <= w[1] and w[2] <= end_s]


class Session:
    """Feeds windows and keeps what came out."""

    def __init__(self, **values):
        self.transcript = Transcript(MergeSettings(**values))
        self.stable = ''
        self.frozen = []

    def add(self, decode):
        result = self.transcript.merge(decode)
        self.stable += result.stable_text
        self.frozen += result.frozen
        return result

    def shown(self):
        stable, tentative = split_text(self.transcript.active())
        return ''.join(s.text for s in self.frozen) + stable + tentative

    def finish(self):
        text, frozen = self.transcript.flush()
        self.stable += text
        self.frozen += frozen
        assert self.stable == ''.join(s.text for s in self.frozen)
        return self.stable.strip()


def slide(truth, *, until_s, window_s=10.0, hop_s=1.0, change=lambda k, said: said, **values):
    """Play the truth through sliding windows; ``change`` spoils what window k hears."""
    session = Session(**values)
    for k in range(1, int(until_s / hop_s) + 1):
        end_s = k * hop_s
        start_s = max(0.0, end_s - window_s)
        session.add(window(start_s, end_s - start_s, change(k, heard(truth, start_s, end_s))))
    return session.finish()


SENTENCE = 'the robot carries a small red box to the kitchen and waits there for Anna'


# -- the inventor's table ---------------------------------------


def merged_word(texts, **values):
    """Merge windows that differ in one word only; return what is shown in its place."""
    session = Session(min_occurrences=100, commit_deadline_s=30.0, **values)
    for k, text in enumerate(texts):
        said = spoken('put the') + [(text, 0.8, 1.2)] * bool(text) + spoken('on it', from_s=1.2)
        session.add(window(0.0, 4.0 + 0.1 * k, said))
    words = [w for s in session.transcript.active() for w in s.words]
    return session.shown(), {w.text: w for w in words}


def test_exact_match_counts_an_occurrence():
    shown, words = merged_word([' box', ' box', ' box'])
    assert shown == ' put the box on it'
    assert words[' box'].occurrences == 3 and words[' box'].conflicts == ()


def test_loose_match_supports_the_word_and_notes_the_spelling():
    shown, words = merged_word([' box', ' Box', ' box'])
    assert shown == ' put the box on it'
    assert words[' box'].occurrences == 2 and words[' box'].conflicts == ((' Box', 1),)


def test_a_different_word_is_a_conflict_and_replaces_when_it_has_more():
    shown, words = merged_word([' teacher', ' preacher'])
    assert len(words) == 5  # one place, not two
    shown, words = merged_word([' teacher', ' preacher', ' preacher'])
    assert shown == ' put the preacher on it'
    assert words[' preacher'].conflicts == ((' teacher', 1),)


def test_closing_punctuation_of_a_cut_edge_gives_way_to_words():
    session = Session()
    session.add(window(0.0, 2.0, [*spoken('we are'), ('...', 0.8, 0.8)]))
    session.add(window(0.0, 3.0, spoken('we are discussing it')))
    assert session.shown() == ' we are discussing it'


def test_a_missing_word_is_inserted():
    shown, _ = merged_word(['', ' egg-salad', ' egg-salad'])
    assert shown == ' put the egg-salad on it'


def test_an_extra_word_goes_when_windows_do_not_hear_it():
    shown, _ = merged_word([' box', '', '', ''])
    assert shown == ' put the on it'


def test_segment_boundaries_are_voted_on():
    session = Session()
    for k in range(5):
        said = spoken('it is done') + spoken('Now wait', from_s=1.5)
        if k != 1:
            said[3] = ('|' + said[3][0], *said[3][1:])
        session.add(window(0.0, 5.0 + k, said))
    assert [s.text for s in session.transcript.active()] == [' it is done', ' Now wait']


def test_stale_segments_are_frozen_and_the_cut_one_is_kept():
    truth = spoken('it is done.', word_s=1.0) + [
        ('| Now', 3.0, 3.9),
        *spoken('wait for me please', from_s=4.0, word_s=1.0),
    ]
    session = Session()
    for end_s in range(1, 14):
        start_s = max(0.0, end_s - 8.0)
        session.add(window(start_s, end_s - start_s, heard(truth, start_s, end_s)))
        if start_s <= 2.9:
            assert session.frozen == []
        if start_s == 4.0:  # "Now" is gone, but its segment is not
            assert [s.text for s in session.frozen] == [' it is done.']
    assert all(w.state is WordState.FROZEN for s in session.frozen for w in s.words)


def test_the_alignment_example():
    class Item:
        def __init__(self, form, at_s):
            self.form, self.start_s, self.end_s = form, at_s, at_s + 0.3

    existing = [Item(w, 0.3 * k) for k, w in enumerate(['once', 'up', 'on', 'a', 'time'])]
    update = [
        Item(w, at)
        for w, at in zip(['once', 'upon', 'a', 'time'], (0, 0.3, 0.9, 1.2), strict=True)
    ]
    pairs = align(
        existing,
        update,
        matches=lambda i, form: float(existing[i].form == form),
        max_gap_words=4,
    )
    assert {(0, 0), (3, 2), (4, 3)} <= set(pairs)
    assert sorted(i for i, _ in pairs if i is not None) == [0, 1, 2, 3, 4]


# -- failures of others -----------------------------------------


@pytest.mark.parametrize(
    'sentence',
    [
        SENTENCE,
        'that that is is and that that is not is not is it',
        'one two three one two three one two three one two three and four',
        'stop stop stop stop turn left stop stop now go go go home',
        'cooperation operation nightfall operational cooperation and operations',
    ],
)
def test_a_perfect_decoder_loses_and_doubles_nothing(sentence):
    truth = spoken(sentence)
    assert slide(truth, until_s=20) == sentence


def test_a_late_word_flicker_does_not_double():
    truth = spoken(SENTENCE)

    def spoil(k, said):
        if said and k % 2:
            said = [*said[:-1], (said[-1][0][:3], *said[-1][1:])]  # a cut last word
        return said

    assert slide(truth, until_s=20, change=spoil) == SENTENCE


def test_a_reworded_overlap_is_not_appended():
    truth = spoken(SENTENCE)

    def spoil(k, said):
        return (
            spoken('completely other words came out of this one', from_s=1.0) if k == 6 else said
        )

    assert slide(truth, until_s=20, change=spoil) == SENTENCE


def test_a_looping_window_leaves_the_transcript_right():
    truth = spoken(SENTENCE)

    def spoil(k, said):
        if k != 5:
            return said
        return said[:6] + spoken("I'm going to " * 8, from_s=2.4, word_s=0.1)

    assert slide(truth, until_s=20, change=spoil) == SENTENCE


def test_invented_filler_over_silence_is_dropped():
    truth = spoken('hello there')

    def spoil(k, said):
        return [*said, *spoken('thank you', from_s=k - 2.0)] if k == 7 else said

    assert slide(truth, until_s=20, change=spoil) == 'hello there'


def test_late_repeated_and_empty_windows_change_nothing():
    truth = spoken(SENTENCE)
    session = Session()
    for end_s in range(1, 21):
        start_s = max(0.0, end_s - 10.0)
        decode = window(start_s, end_s - start_s, heard(truth, start_s, end_s))
        session.add(decode)
        session.add(decode)  # repeated
        if end_s > 4:
            session.add(window(start_s, 3.0, heard(truth, start_s, start_s + 3.0)))  # late
    assert session.transcript.ignored_windows == 36
    assert session.finish() == SENTENCE


def test_lost_windows_lose_no_words():
    truth = spoken(SENTENCE + ' ' + SENTENCE)
    session = Session()
    for end_s in (1, 2, 9, 10, 15, 20):
        start_s = max(0.0, end_s - 10.0)
        session.add(window(start_s, end_s - start_s, heard(truth, start_s, end_s)))
    assert session.finish() == SENTENCE + ' ' + SENTENCE


def test_a_segment_without_leading_space_gets_no_glue_of_ours():
    session = Session()
    for k in range(4):
        session.add(window(0.0, 3.0 + k, [('你', 0.1, 0.4), ('好', 0.5, 0.9)]))
    assert session.finish() == '你好'


def test_the_last_words_are_in_the_result():
    session = Session()
    session.add(window(0.0, 2.0, spoken('go home now')))
    assert session.stable == ''  # too close to the edge to be judged
    session.add(window(0.0, 2.0, spoken('go home now'), end_of_stream=True))
    assert session.stable == ' go home now'
    assert [s.text for s in session.frozen] == [' go home now']


def test_a_second_stream_begins_where_the_clock_stands():
    session = Session()
    session.add(window(100.0, 3.0, spoken('first one', from_s=100.0), end_of_stream=True))
    session.add(window(100.0, 3.0, spoken('first one', from_s=100.0), end_of_stream=True))
    session.add(window(50.0, 3.0, spoken('second one', from_s=50.0), end_of_stream=True))
    assert session.finish() == 'first one second one'
    assert [s.index for s in session.frozen] == [0, 1]


def test_without_agreement_the_deadline_decides():
    truth = spoken(SENTENCE)

    def disagree(k, said):
        return [(f' w{k}x{j}', a, b) for j, (_, a, b) in enumerate(said)]

    words = slide(truth, until_s=20, change=disagree).split()
    assert len(words) == len(truth)


# -- promises ---------------------------------------------------

WORDS = st.sampled_from([' go', ' stop', ' the', ' box', ' Box', ' red', ' one', ' two', '.', ','])


@st.composite
def streams(draw):
    """Windows over noise: any words at any times, windows lost, late and repeated."""
    decodes = []
    for end_s in draw(st.lists(st.integers(1, 25), max_size=25)):
        start_s = max(0.0, end_s - 10.0)
        times = sorted(draw(st.lists(st.floats(start_s, end_s), max_size=12)))
        said = [
            (('|' if draw(st.booleans()) else '') + draw(WORDS), t, min(t + 0.3, end_s))
            for t in times
        ]
        decodes.append(window(start_s, end_s - start_s, said, probability=draw(st.floats(0, 1))))
    return decodes


@settings(deadline=None)
@given(streams())
def test_stable_text_is_append_only_and_frozen_is_final(decodes):
    session = Session()
    for decode in decodes:
        before = session.stable
        session.add(decode)
        assert session.stable.startswith(before)
        assert session.shown().startswith(session.stable)
        words = [w for s in session.transcript.active() for w in s.words]
        states = [w.state for w in words]
        assert states == sorted(states, reverse=True)  # stable is a prefix
        starts = [w.start_s for w in words]
        assert starts == sorted(starts)
        ends = [w.end_s for w in words]
        assert ends == sorted(ends)
        assert all(a <= b for a, b in zip(starts, ends, strict=True))
    session.finish()
    assert [s.index for s in session.frozen] == list(range(len(session.frozen)))


@settings(deadline=None)
@given(streams())
def test_the_same_decodes_give_the_same_transcript(decodes):
    first, second = Session(), Session()
    for decode in decodes:
        assert first.add(decode) == second.add(decode)
    assert first.finish() == second.finish()


@pytest.mark.parametrize(
    ('name', 'value'),
    [('min_occurrences', 0), ('min_lead', 0.0), ('edge_guard_s', -1.0), ('max_gap_words', 21)],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ParameterError, match=f'{name} is {value:g}, must be'):
        MergeSettings(**{name: value})
