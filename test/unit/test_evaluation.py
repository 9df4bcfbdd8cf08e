"""The yardsticks: metrics on traces worked out by hand, normaliser, baselines, simulator."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st
import pytest
from scripted import heard, SENTENCE, spoken, window

from transcript_manager.errors import TranscriptManagerError
from transcript_manager.evaluation import baselines
from transcript_manager.evaluation.metrics import evaluate, read_truth, TimedWord
from transcript_manager.evaluation.scenarios import Scenario, SCENARIOS
from transcript_manager.evaluation.simulator import Faults
from transcript_manager.evaluation.wer import (
    alignment,
    character_errors,
    normalise,
    word_errors,
)
from transcript_manager.streams.trace import TraceLine

TRUTH = [TimedWord('go', 0.0, 1.0), TimedWord('home', 1.0, 2.0), TimedWord('now', 2.0, 3.0)]


def test_scores_of_a_trace_worked_out_by_hand():
    trace = [
        TraceLine(0.0, 2.0, '', ' go hum'),
        TraceLine(0.0, 3.0, ' Go', ' home no'),  # "hum" taken back: 1 word
        TraceLine(0.0, 4.0, ' home', ' now then'),  # "no": 1
        TraceLine(0.0, 5.0, '', ' now'),  # "then": 1
        TraceLine(0.0, 5.0, ' now', ''),
    ]
    words = [TimedWord('go', 0.1, 1.0), TimedWord('home', 1.3, 2.0), TimedWord('now', 2.0, 3.0)]
    scores = evaluate(trace, TRUTH, words)
    assert scores.wer == 0.0 and scores.words == 3
    assert scores.erasure == pytest.approx(3 / 3)
    # "go" became "Go" at once, and with it all behind it: 2, 1, 1
    assert scores.erasure_raw == pytest.approx(4 / 3)
    # go at 3 - 1, home at 4 - 2, now at 5 - 3
    assert (scores.latency_p50_s, scores.latency_p95_s) == (2.0, 2.0)
    # go from 2 on, home from 3 on, now from 4 on
    assert (scores.settled_p50_s, scores.settled_p95_s) == (1.0, 1.0)
    assert scores.coverage == pytest.approx(2 / 3)
    assert scores.false_commits == 0.0
    assert scores.time_error_s == pytest.approx((0.1 + 0.3 + 0.0) / 3)


def test_errors_are_told_apart():
    trace = [TraceLine(0.0, 4.0, ' go hum so now', ''), TraceLine(0.0, 4.0, '', '')]
    scores = evaluate(trace, TRUTH)
    assert (scores.substitutions, scores.deletions, scores.insertions) == (1, 0, 1)
    assert scores.wer == pytest.approx(2 / 3)
    assert scores.false_commits == pytest.approx(2 / 4)
    assert math.isnan(scores.time_error_s)


def test_a_word_committed_in_two_pieces_counts_once():
    trace = [TraceLine(0.0, 2.0, ' ho', ''), TraceLine(0.0, 3.0, 'me', '')]
    scores = evaluate(trace, [TimedWord('home', 0.0, 1.0)])
    assert scores.wer == 0.0 and scores.words == 1


def test_nothing_at_all_scores():
    scores = evaluate([TraceLine(0.0, 1.0, '', '')], TRUTH)
    assert scores.wer == 1.0 and scores.deletions == 3 and scores.erasure == 0.0
    assert evaluate([], []).wer == 0.0


@pytest.mark.parametrize('content', ['', '{}', '[["a", 1]]', '[1]', '[["a", "x", 2]]'])
def test_what_is_no_truth_file_is_named(tmp_path, content):
    path = tmp_path / 'x.truth.json'
    path.write_text(content)
    if content == '{}':
        assert read_truth(path) == []
        return
    with pytest.raises(TranscriptManagerError, match='is no truth file'):
        read_truth(path)


# -- the normaliser ----------------------------------------------------------------------------


@given(st.text(alphabet="abcXYZ 019',.!?-_[]()\n\t", max_size=60))
def test_ascii_words_are_runs_of_letters_digits_and_apostrophes(text):
    plain = re.sub(r'\[[^\]]*\]|\([^)]*\)', ' ', text.lower())
    assert normalise(text) == re.findall(r"[a-z0-9']+", plain)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('Ça va, Željko?', ['ça', 'va', 'željko']),
        ('It’s ＯＫ', ["it's", 'ok']),
        ('你好，世界', ['你', '好', '世', '界']),
        ('かx が', ['か', 'x', 'が']),
        ('straße STRASSE', ['strasse', 'strasse']),
        ('[BLANK_AUDIO] (laughs)', []),
    ],
)
def test_other_scripts(text, words):
    assert normalise(text) == words


def test_errors_of_words_and_characters():
    reference, hypothesis = ['the', 'cat', 'sat'], ['the', 'bat', 'sat', 'down']
    errors = word_errors(reference, hypothesis)
    assert (errors.hits, errors.substitutions, errors.deletions, errors.insertions) == (2, 1, 0, 1)
    assert errors.rate == pytest.approx(2 / 3)
    assert character_errors(reference, hypothesis).rate == pytest.approx(6 / 11)
    assert list(alignment(reference, hypothesis)) == [(0, 0), (1, 1), (2, 2), (None, 3)]


def test_empty_sides():
    assert word_errors([], []).rate == 0.0
    assert word_errors([], ['a']).rate == math.inf
    assert word_errors(['a'], []).deletions == 1
    assert list(alignment(['a'], [])) == [(0, None)]
    assert list(alignment([], ['a'])) == [(None, 0)]


# -- baselines and simulator -------------------------------------------------------------------


@pytest.mark.parametrize(
    'policy',
    [
        baselines.SlotVoting,
        baselines.LastWindowWins,
        baselines.LocalAgreement,
        baselines.StaleFreeze,
    ],
)
def test_every_policy_gets_perfect_windows_right(policy):
    truth = spoken(SENTENCE)
    decodes = []
    for k in range(1, 20):
        start_s = max(0.0, k - 10.0)
        decodes.append(window(start_s, k - start_s, heard(truth, start_s, k)))
    trace = baselines.trace_of(policy(), decodes)
    assert ''.join(line.stable for line in trace).strip() == SENTENCE


def test_the_merge_is_better_than_all_of_them_where_it_counts():
    for name in ('clean', 'noisy', 'loops', 'shifted', 'hard words'):
        words, decodes = SCENARIOS[name].make(7, 150.0)
        truth = [TimedWord(w.text, w.start_s, w.end_s) for w in words]
        decodes = list(decodes)
        ours = evaluate(baselines.trace_of(baselines.SlotVoting(), decodes), truth)
        for policy in (baselines.LastWindowWins, baselines.LocalAgreement, baselines.StaleFreeze):
            other = evaluate(baselines.trace_of(policy(), decodes), truth)
            assert ours.wer <= other.wer and ours.erasure < other.erasure
            assert ours.latency_p50_s < other.latency_p50_s


@pytest.mark.parametrize(
    ('name', 'wer', 'p50_s', 'p95_s'),
    [
        ('clean', 0.004, 1.9, 3.3),
        ('repetition', 0.010, 2.0, 4.0),
        ('noisy', 0.010, 2.6, 4.6),
        ('lost', 0.006, 3.4, 7.5),
        ('late', 0.006, 2.5, 5.0),
        ('loops', 0.006, 2.2, 4.5),
        ('shifted', 0.006, 2.0, 4.0),
        ('no times', 0.025, 2.2, 4.0),
        ('silence', 0.015, 2.1, 3.8),
        ('constant p', 0.006, 2.0, 3.8),
        ('hard words', 0.016, 2.2, 4.6),
    ],
)
def test_the_merge_keeps_its_level(name, wer, p50_s, p95_s):
    words, decodes = SCENARIOS[name].make(11, 300.0)
    truth = [TimedWord(w.text, w.start_s, w.end_s) for w in words]
    scores = evaluate(baselines.trace_of(baselines.SlotVoting(), decodes), truth)
    assert scores.wer <= wer
    assert scores.latency_p50_s <= p50_s and scores.latency_p95_s <= p95_s
    assert scores.erasure <= 0.6


def test_a_stream_without_faults_is_what_was_said():
    scenario = Scenario(
        about='none',
        faults=Faults(substitution=0.0, deletion=0.0, insertion=0.0, flicker=0.0, cut_word=0.0),
    )
    words, decodes = scenario.make(1, 30.0)
    said = {w.text for w in words}
    decodes = list(decodes)
    assert len(decodes) == 30 and decodes[-1].end_s == 30.0
    for decode in decodes:
        for segment in decode.segments:
            text = normalise(''.join(t.text for t in segment.tokens))
            assert set(text) <= said


def test_the_same_seed_makes_the_same_stream():
    first, second = (list(SCENARIOS['everything'].make(3, 40.0)[1]) for _ in range(2))
    assert first == second
    assert first != list(SCENARIOS['everything'].make(4, 40.0)[1])
