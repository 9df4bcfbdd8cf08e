"""What the merge promises whatever it is given."""

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st
import pytest
from scripted import heard, SENTENCE, Session, spoken, window

from transcript_manager.errors import ParameterError
from transcript_manager.evaluation.simulator import decode_stream, Faults, speak
from transcript_manager.merge.decode import Decode, DecodedSegment, Token
from transcript_manager.merge.segments import WordState
from transcript_manager.merge.transcript import MergeSettings

SAID = st.sampled_from(['go', 'stop', 'the', 'box', 'red', 'one', 'two', 'that'])
WORDS = st.sampled_from([' go', ' stop', ' the', ' box', ' Box', ' red', ' one', ' two', '.', ','])


@st.composite
def noise(draw):
    """Windows over noise: any words at any times, windows lost, late and repeated."""
    decodes = []
    for end_s in draw(st.lists(st.integers(1, 25), max_size=25)):
        start_s = max(0.0, end_s - 10.0)
        times = sorted(draw(st.lists(st.floats(start_s, end_s), max_size=12)))
        said = [
            (('|' if draw(st.booleans()) else '') + draw(WORDS), t, min(t + 0.3, end_s))
            for t in times
        ]
        if draw(st.booleans()):
            said = [(text, -1.0, -1.0) for text, _, _ in said]
        decodes.append(window(start_s, end_s - start_s, said, probability=draw(st.floats(0, 1))))
    return decodes


def check(decodes, **values):
    """Merge and look after every window at what must never happen; return the session."""
    session = Session(**values)
    last_end_s = float('-inf')
    for decode in decodes:
        before, frozen_before = session.stable, len(session.frozen)
        restarts = session.transcript.restarts
        session.add(decode)
        assert session.stable.startswith(before)
        assert session.shown().startswith(session.stable)
        active = [w for s in session.transcript.active() for w in s.words]
        states = [w.state for w in active]
        assert states == sorted(states, reverse=True)  # stable is a prefix
        frozen = [w for s in session.frozen[frozen_before:] for w in s.words]
        assert all(w.state is WordState.FROZEN for w in frozen)
        if session.transcript.restarts > restarts:  # a new stream, whose times start anywhere
            last_end_s = float('-inf')
            continue
        for word in frozen:
            assert last_end_s <= word.start_s <= word.end_s
            last_end_s = word.end_s
        at_s = last_end_s
        for word in active:
            assert at_s <= word.start_s <= word.end_s
            at_s = word.end_s
    session.finish()
    assert [s.index for s in session.frozen] == list(range(len(session.frozen)))
    return session


@settings(deadline=None)
@given(noise())
def test_stable_text_is_append_only_frozen_is_final_and_times_ascend(decodes):
    check(decodes)


@pytest.mark.parametrize('seed', range(12))
def test_the_same_holds_for_every_fault_at_once(seed):
    rng = random.Random(seed)
    faults = Faults(
        irregular_hop=0.9,
        lost_window=0.2,
        late_window=0.1,
        repeated_window=0.1,
        substitution=0.1,
        deletion=0.05,
        insertion=0.05,
        hard_word=0.1,
        split_word=0.1,
        edge_guess_s=0.5,
        shifted_window=0.1,
        untimed=seed % 4 == 3,
        looping_window=0.05,
        filler=0.5,
    )
    truth = speak(rng, 60.0, repetition=0.3, silence=0.2)
    check(decode_stream(rng, truth, 60.0, faults))


@settings(deadline=None)
@given(noise())
def test_the_same_decodes_give_the_same_transcript(decodes):
    first, second = Session(), Session()
    for decode in decodes:
        assert first.add(decode) == second.add(decode)
    assert first.finish() == second.finish()


@settings(deadline=None)
@given(
    said=st.lists(
        st.tuples(
            st.sampled_from(['go', 'stop', 'the', 'box', 'red', 'one', 'two', 'that']),
            st.integers(3, 9),
        ),
        min_size=1,
        max_size=40,
    ),
    lost=st.sets(st.integers(1, 40)),
    hop_s=st.sampled_from([0.5, 1.0, 2.0]),
)
@example(said=[('go', 5)] * 40, lost=set(), hop_s=1.0)
def test_no_word_is_lost_that_two_whole_windows_agree_on(said, lost, hop_s):
    truth, at_s = [], 0.0
    for text, tenths in said:
        truth.append((' ' + text, at_s, at_s + tenths / 10 - 0.05))
        at_s += tenths / 10
    session = Session()
    seen = dict.fromkeys(truth, 0)
    for k in range(1, int((at_s + 12) / hop_s) + 1):
        if k in lost:
            continue
        start_s, end_s = max(0.0, k * hop_s - 10.0), k * hop_s
        words = heard(truth, start_s, end_s)
        for word in words:
            seen[word] += 1
        session.add(window(start_s, end_s - start_s, words))
    if min(seen.values()) >= 2:
        assert session.finish() == ' '.join(text for text, _ in said)


ANYTHING = st.text(max_size=8) | st.binary(max_size=8).map(lambda b: b.decode('utf-8', 'replace'))
ANY_S = st.floats(-1.0, 30.0) | st.sampled_from([-1.0, 0.0, float('nan'), float('inf'), 1e300])


@st.composite
def garbage(draw):
    decodes = []
    for _ in range(draw(st.integers(0, 8))):
        segments = []
        for _ in range(draw(st.integers(0, 3))):
            tokens = tuple(
                Token(draw(ANYTHING), draw(st.floats()), draw(ANY_S), draw(ANY_S))
                for _ in range(draw(st.integers(0, 6)))
            )
            segments.append(
                DecodedSegment(draw(st.floats(-5, 40)), draw(st.floats(-5, 40)), tokens)
            )
        decodes.append(Decode(draw(st.floats(0, 40)), draw(st.floats(-1, 12)), tuple(segments)))
    return decodes


@settings(deadline=None, max_examples=300)
@given(garbage())
def test_garbage_never_raises(decodes):
    check(decodes)


def test_memory_is_the_active_part():
    rng = random.Random(5)
    truth = speak(rng, 600.0)
    session = Session()
    most = 0
    for decode in decode_stream(rng, truth, 600.0, Faults(insertion=0.05, filler=0.5)):
        session.add(decode)
        most = max(most, session.transcript.active_words)
    assert most < 160


@pytest.mark.parametrize(
    ('name', 'value'),
    [('min_occurrences', 0), ('min_lead', 0.0), ('edge_guard_s', -1.0), ('max_gap_words', 21)],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ParameterError, match=f'{name} is {value:g}, must be'):
        MergeSettings(**{name: value})


def test_the_active_part_is_bounded_whatever_is_said():
    session = Session()
    for k in range(1, 40):
        start_s = max(0.0, k - 10.0)
        said = [(f' w{n // 50}', n / 50, n / 50 + 0.01) for n in range(int(start_s * 50), k * 50)]
        session.add(window(start_s, k - start_s, said))
        assert session.transcript.active_words <= 300
    assert len(session.finish().split()) == 39 * 50


def test_a_window_that_nobody_listened_to_says_only_that_time_goes_on():
    truth = spoken(SENTENCE)
    session = Session()
    for end_s in range(1, 21):
        start_s = max(0.0, end_s - 10.0)
        if end_s % 3 == 0:
            session.add(window(float(end_s), 0.0, []))
            assert session.transcript.merged_end_s == end_s
        else:
            session.add(window(start_s, end_s - start_s, heard(truth, start_s, end_s)))
    assert session.finish() == SENTENCE


def test_text_becomes_final_while_nobody_listens():
    session = Session()
    session.add(window(0.0, 5.0, spoken('hello there')))
    assert session.stable == ''
    for end_s in range(6, 20):
        session.add(window(float(end_s), 0.0, []))
    assert session.stable == ' hello there'
    assert [s.text for s in session.frozen] == [' hello there']
