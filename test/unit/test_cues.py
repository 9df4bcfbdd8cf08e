"""Subtitles out of words: bounds that are kept, and sentences that stay together."""

from itertools import pairwise
import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from rich.cells import cell_len

from transcript_manager.export.cues import (
    CueMaker,
    joined,
    make_cues,
    MAX_COLUMNS,
    MAX_COLUMNS_PER_S,
    MAX_CUE_S,
    MAX_LATE_S,
    MAX_LINES,
    MIN_CUE_S,
)
from transcript_manager.export.reading import read_transcript
from transcript_manager.result import ResultWord

BAGS = Path(__file__).resolve().parents[1] / 'bags'


def words(text, *, each_s=0.3, pauses=None, start_s=0.0):
    """Say words, each as long, with pauses after some: {index: seconds}."""
    said = []
    for number, word in enumerate(text.split()):
        said.append(ResultWord(f' {word}', start_s, start_s + each_s, 0.9, 5))
        start_s += each_s + (pauses or {}).get(number, 0.0)
    return said


def texts(cues):
    return ['|'.join(cue.lines) for cue in cues]


def test_a_sentence_is_a_cue_of_two_lines_of_about_the_same_length():
    said = words('Carry the white bag to the office and ask for Maria. Tell her that I wait.')
    assert texts(make_cues(said)) == [
        'Carry the white bag to the|office and ask for Maria.',
        'Tell her that I wait.',
    ]


def test_a_line_ends_at_a_comma_if_that_makes_it_no_longer():
    said = words('Wait twenty whole seconds please, then drive forward very slowly.')
    assert texts(make_cues(said)) == [
        'Wait twenty whole seconds please,|then drive forward very slowly.'
    ]


def test_short_sentences_stay_together_unless_there_is_a_pause():
    assert texts(make_cues(words('Stop. Please stop.'))) == ['Stop. Please stop.']
    assert texts(make_cues(words('Stop. Please stop.', pauses={0: 0.5}))) == [
        'Stop.',
        'Please stop.',
    ]


def test_a_pause_ends_a_cue_in_the_middle_of_a_sentence():
    assert texts(make_cues(words('bring me the tea', pauses={1: 1.2}))) == ['bring me', 'the tea']


def test_a_full_stop_of_an_abbreviation_ends_nothing():
    said = words('we met at the harbour approx. three hours later')
    assert texts(make_cues(said)) == ['we met at the harbour approx.|three hours later']


def test_a_long_sentence_is_split_at_a_comma_and_leaves_no_scrap():
    said = words(
        'to assure everyone the effective freedom to copy and redistribute it, with or without '
        'modifying it, either commercially or noncommercially.'
    )
    cues = make_cues(said)
    assert texts(cues) == [
        'to assure everyone the effective|freedom to copy and redistribute it,',
        'with or without modifying it,|either commercially or noncommercially.',
    ]


def test_a_word_longer_than_a_line_stays_whole():
    long = 'Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen'
    cues = make_cues(words(f'the {long} was found'))
    assert long in [line for cue in cues for line in cue.lines]


def test_parts_that_belong_together_are_not_parted():
    parts = [' very' * 7, ' well', '-', 'known', ' robots']
    said = [ResultWord(t, i * 0.3, i * 0.3 + 0.3, 0.9, 5) for i, t in enumerate(parts)]
    lines = [line for cue in make_cues(said) for line in cue.lines]
    assert any('well-known' in line for line in lines)


def test_scripts_without_spaces_are_broken_between_words_by_their_width():
    said = [ResultWord(c, i * 0.1, i * 0.1 + 0.1, 0.9, 5) for i, c in enumerate('今日は' * 30)]
    cues = make_cues(said)
    assert ''.join(line for cue in cues for line in cue.lines) == '今日は' * 30
    assert max(cell_len(line) for cue in cues for line in cue.lines) <= MAX_COLUMNS


def test_combining_marks_take_no_room():
    word = 'e\u0301' * 40
    cues = make_cues([ResultWord(f' {word}', 0.0, 1.0, 0.9, 5)])
    assert texts(cues) == [word]


def test_a_cue_stands_a_little_longer_than_its_last_word_but_not_into_the_next():
    first, second = make_cues(words('Bring me the tea. Now go away from here', pauses={3: 0.5}))
    assert first.end_s == pytest.approx(1.2 + 0.3)
    assert second.end_s == pytest.approx(second.words[-1].end_s + 0.3)
    first, second = make_cues(words('bring me the tea. Now go away', pauses={3: 0.1}))
    assert first.end_s == pytest.approx(second.start_s) == pytest.approx(1.3)


def test_fast_speech_may_be_read_a_little_later():
    said = words('Understanding rapid conversations demands concentration.', each_s=0.4)
    said += words('Afterwards everybody relaxes.', start_s=said[-1].end_s, each_s=0.5)
    first, second = make_cues(said)
    columns = cell_len(' '.join(first.lines))
    assert first.end_s - first.start_s >= columns / MAX_COLUMNS_PER_S - 1e-9
    assert 0 < second.start_s - second.words[0].start_s <= MAX_LATE_S


WORDS = st.lists(
    st.tuples(
        st.sampled_from(
            ['a', 'robot', 'well,', 'stop.', 'kitchen?', 'שלום', '茶', 'x' * 50, 'Dr.']
        ),
        st.floats(0.0, 1.5),
        st.sampled_from([0.0, 0.0, 0.0, 0.2, 0.6, 1.5, 8.0]),
    ),
    max_size=60,
)


def spoken(entries):
    said = []
    at_s = 0.0
    for text, length_s, pause_s in entries:
        said.append(ResultWord(f' {text}', at_s, at_s + length_s, 0.9, 3))
        at_s += length_s + pause_s
    return said


@given(WORDS)
def test_whatever_is_said_the_bounds_are_kept_and_nothing_is_lost(entries):
    said = spoken(entries)
    cues = make_cues(said)
    assert [w for cue in cues for w in cue.words] == said
    for cue in cues:
        assert ' '.join(cue.lines) == joined(cue.words)
        assert 1 <= len(cue.lines) <= MAX_LINES
        assert all(cell_len(line) <= MAX_COLUMNS or 'x' * 50 in line for line in cue.lines)
        spoken_s = cue.words[-1].end_s - cue.words[0].start_s
        assert spoken_s <= MAX_CUE_S or len(cue.words) == 1
        assert cue.words[0].start_s <= cue.start_s <= cue.words[0].start_s + MAX_LATE_S + 1e-9
        assert cue.end_s >= cue.start_s
    for before, after in pairwise(cues):
        assert before.end_s <= after.start_s


@settings(max_examples=50)
@given(WORDS, st.lists(st.integers(1, 5), max_size=60))
def test_cues_made_word_by_word_are_those_made_at_once(entries, sizes):
    said = spoken(entries)
    maker = CueMaker()
    cues = []
    rest = list(said)
    for size in [*sizes, *[1] * len(said)]:
        part, rest = rest[:size], rest[size:]
        cues += maker.add(part)
        if rest:  # nothing starts before the next word: that may be told at any time
            cues += maker.settle(rest[0].start_s)
    cues += maker.finish()
    assert cues == make_cues(said)


@pytest.mark.parametrize('name', ['demo', 'second', 'heldout_slt', 'heldout_enus'])
def test_the_cues_of_real_speech_are_readable(name):
    cues = make_cues(read_transcript(BAGS / name).result.words)
    assert len(cues) > 5
    for cue in cues:
        length_s = cue.end_s - cue.start_s
        assert length_s >= MIN_CUE_S
        assert cell_len(' '.join(cue.lines)) / length_s <= MAX_COLUMNS_PER_S
        assert max(map(cell_len, cue.lines)) <= MAX_COLUMNS
    said = json.loads((BAGS / f'{name}.truth.json').read_text())
    assert sum(len(cue.words) for cue in cues) == pytest.approx(len(said), rel=0.05)
