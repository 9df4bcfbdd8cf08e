"""The merge's specification: its table case by case, its worked examples, its segments."""

import pytest
from scripted import heard, Session, spoken, window

from transcript_manager.merge.align import align
from transcript_manager.merge.segments import WordState


def merged_word(texts, *, probability=0.95, **values):
    """Merge windows that differ in one word only; return what is shown and its words."""
    session = Session(min_occurrences=100, commit_deadline_s=30.0, **values)
    for k, text in enumerate(texts):
        said = spoken('put the') + [(text, 0.8, 1.15)] * bool(text) + spoken('on it', from_s=1.2)
        session.add(window(0.0, 4.0 + 0.1 * k, said, probability=probability))
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
    assert shown == ' put the teacher on it'  # one against one: what is shown stays
    assert words[' teacher'].conflicts == ((' preacher', 1),)
    shown, words = merged_word([' teacher', ' preacher', ' preacher'])
    assert shown == ' put the preacher on it'
    assert words[' preacher'].conflicts == ((' teacher', 1),)


def test_closing_punctuation_of_a_cut_edge_gives_way_to_words():
    session = Session()
    session.add(window(0.0, 2.0, [*spoken('we are'), ('...', 0.8, 0.8)]))
    session.add(window(0.0, 3.0, spoken('we are discussing it')))
    assert session.shown() == ' we are discussing it'


def test_a_missing_word_is_inserted():
    shown, words = merged_word(['', ' egg-salad', ' egg-salad'])
    assert shown == ' put the egg-salad on it'
    assert words[' egg-salad'].occurrences == 2


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


def test_times_are_averaged_over_the_windows():
    session = Session()
    for k, off_s in enumerate((0.0, 0.1, 0.2)):
        said = [(t, a + off_s, b + off_s) for t, a, b in spoken('go home now', from_s=1.0)]
        session.add(window(0.0, 5.0 + k, said))
    first = session.transcript.active()[0].words[0]
    assert first.start_s == pytest.approx(1.1, abs=0.02)
    assert first.end_s == pytest.approx(1.46, abs=0.02)


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


class Item:
    """A place or a hearing."""

    is_timed = stable = True

    def __init__(self, form, at_s):
        self.form, self.start_s, self.end_s = form, at_s, at_s + 0.3
        self.forms = (form,)


def test_the_alignment_example():
    existing = [Item(w, 0.3 * k) for k, w in enumerate(['once', 'up', 'on', 'a', 'time'])]
    update = [
        Item(w, at)
        for w, at in zip(['once', 'upon', 'a', 'time'], (0, 0.3, 0.9, 1.2), strict=True)
    ]
    pairs = align(existing, update, max_gap_words=4)
    assert {(0, 0), (3, 2), (4, 3)} <= set(pairs)
    assert sorted(i for i, _ in pairs if i is not None) == [0, 1, 2, 3, 4]
    assert sorted(j for _, j in pairs if j is not None) == [0, 1, 2, 3]


def test_the_alignment_example_becomes_upon():
    session = Session()
    session.add(window(0.0, 4.0, spoken('Once up on a time', word_s=0.3)))
    for k in range(3):
        said = [*spoken('Once', word_s=0.3), (' upon', 0.3, 0.87)]
        said += spoken('a time', from_s=0.9, word_s=0.3)
        session.add(window(0.0, 4.5 + k / 2, said))
    assert session.finish() == 'Once upon a time'


@pytest.mark.parametrize('other', ['6', 'Six', 'sicks'])
def test_similar_sounding_words_lie_in_one_place(other):
    shown, words = merged_word([' six', ' ' + other, ' six'])
    assert shown == ' put the six on it'
    assert words[' six'].conflicts == ((' ' + other, 1),)


def test_a_wide_gap_keeps_what_lies_behind_it():
    truth = spoken('alpha beta gamma delta epsilon zeta eta theta iota kappa')
    reworded = [truth[0], *[(' x' + t.strip(), a, b) for t, a, b in truth[1:8]], *truth[8:]]
    session = Session()
    for k, said in enumerate((truth, reworded, truth, truth)):
        session.add(window(0.0, 5.0 + k, said))
    assert session.finish() == ' '.join(t.strip() for t, _, _ in truth)
