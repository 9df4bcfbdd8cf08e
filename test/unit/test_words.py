"""Token fusing: words, their comparable forms, punctuation and times."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from transcript_manager.merge import words as words_module
from transcript_manager.merge.decode import Decode, DecodedSegment, Token
from transcript_manager.merge.words import comparable, fuse


def decode(*segments, start_s=0.0, duration_s=10.0):
    """Make a decode of untimed tokens, each segment a list of texts over the whole window."""
    return Decode(
        start_s,
        duration_s,
        tuple(
            DecodedSegment(start_s, start_s + duration_s, tuple(Token(t, 0.9) for t in texts))
            for texts in segments
        ),
    )


def test_the_inventors_example():
    first = (
        "[_BEG_]| In| consequence|,| I|'m| inclined| to| reserve| all| judgments|,| a| habit"
        '| that| has| opened| up| many|[_TT_284]'
    )
    second = (
        ' curious| n|atures| to| me| and| also| made| me| the| victim| of| not| a| few|.|[_TT_500]'
    )
    words = fuse(decode(first.split('|'), second.split('|')))
    assert ''.join(w.text + w.suffix for w in words) == (
        " In consequence, I'm inclined to reserve all judgments, a habit that has opened up many"
        ' curious natures to me and also made me the victim of not a few.'
    )
    assert [w.text for w in words[:4]] == [' In', ' consequence', " I'm", ' inclined']
    assert [w.text for w in words if w.suffix] == [' consequence', ' judgments', ' few']
    assert [w.text for w in words if w.opens_segment] == [' In', ' curious']


@pytest.mark.parametrize(
    ('tokens', 'expected'),
    [
        ([' Hello', '...'], [(' Hello', '...')]),
        ([' (', 'what'], [(' (what', '')]),
        ([' [', 'BL', 'ANK', '_', 'AUDIO', ']', ' go'], [(' go', '')]),
        ([' go', ' (', 'wind', ' blowing', ').', ' now'], [(' go', ''), (' now', '')]),
        ([' ♪', ' la', ' la', ' ♪'], [(' la', ''), (' la', '')]),
        (['you', ' go'], [(' you', ''), (' go', '')]),
        ([' twenty', '-', 'one'], [(' twenty-one', '')]),
        ([' 3', '.', '5', ' km'], [(' 3.5', ''), (' km', '')]),
        ([' Hello world'], [(' Hello', ''), (' world', '')]),
        ([' a', ' -', ' b'], [(' a', ' -'), (' b', '')]),
        (['...', ' now'], [(' now', '')]),
        ([' Ljubljana', ',', ' \u017d', 'eljko'], [(' Ljubljana', ','), (' Željko', '')]),
        (['你好', '，', '世界', '。'], [('你', ''), ('好', '，'), ('世', ''), ('界', '。')]),
        (['ありがとう'], [(c, '') for c in 'ありがとう']),
        (['', ' a', ''], [(' a', '')]),
        ([' ', 'word'], [(' word', '')]),
    ],
)
def test_fusing(tokens, expected):
    assert [(w.text, w.suffix) for w in fuse(decode(tokens))] == expected


def test_thai_marks_stay_on_their_letter():
    words = fuse(decode(['กี่']))
    assert ''.join(w.text for w in words) == 'กี่'
    assert len(words) == 1


@pytest.mark.parametrize(
    ('a', 'b'),
    [
        (' World', 'world'),
        (" I'm", ' Im'),
        (' e-mail', ' email'),
        (' Straße', ' STRASSE'),
        ('Å', 'Å'),
    ],
)
def test_forms_that_compare_equal(a, b):
    assert comparable(a) == comparable(b)


def test_accents_and_digits_stay_different():
    assert comparable('schon') != comparable('schön')
    assert comparable('6') != comparable('six')


def test_known_times_are_kept_and_unknown_ones_shared_out():
    segment = DecodedSegment(
        1.0, 5.0, (Token(' one', 0.9, 1.0, 2.0), Token(' two', 0.9), Token(' six', 0.9, 4.0, 5.0))
    )
    words = fuse(Decode(0.0, 10.0, (segment,)))
    assert [(w.start_s, w.end_s) for w in words] == [(1.0, 2.0), (2.0, 4.0), (4.0, 5.0)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [' go', ' ho', 'me', '.', '...', " I'm", '-', ' (', ')', ' 3', '5', ' ']
            ),
            st.floats(0, 1),
            st.floats(0, 10),
            st.floats(0, 1),
        ),
        max_size=12,
    )
)
def test_ordinary_segments_take_a_short_cut_to_the_same_words(drawn):
    tokens = tuple(
        Token(text, p, start_s, start_s + length_s) for text, p, start_s, length_s in drawn
    )
    subject = Decode(0.0, 10.0, (DecodedSegment(0.0, 10.0, tokens),))
    short = fuse(subject)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_module, '_plain_groups', lambda segment, decode: None)
        assert fuse(subject) == short


anything = st.text(max_size=8)
times = st.floats(-5, 50) | st.just(-1.0) | st.just(float('nan')) | st.just(float('inf'))


@given(
    st.lists(
        st.lists(st.builds(Token, anything, st.floats(allow_nan=True), times, times), max_size=8),
        max_size=4,
    )
)
def test_no_garbage_raises_and_times_stay_near_the_window(segments):
    subject = Decode(
        3.0, 10.0, tuple(DecodedSegment(4.0, 9.0, tuple(tokens)) for tokens in segments)
    )
    words = fuse(subject)
    starts = [w.start_s for w in words]
    assert starts == sorted(starts)
    for w in words:
        assert -7.0 <= w.start_s <= w.end_s <= 23.1
        assert w.form and 0.0 <= w.probability <= 1.0
