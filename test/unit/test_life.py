"""The lives of words: when they were shown, stable and frozen, in scripted windows."""

from pathlib import Path
import statistics

import pytest
from scripted import heard, spoken, window

from transcript_manager.pictures.life import follow
from transcript_manager.streams.bag import read_bag
from transcript_manager.streams.messages import to_decode, to_ns

BAGS = Path(__file__).resolve().parents[1] / 'bags'
TRUTH = spoken('the robot carries a small red box', from_s=0.1)
"""Word k is said from 0.1 + 0.4 k s to 0.46 + 0.4 k s."""


def windows(truth, *, until_s, change=lambda k, said: said):
    return [
        window(
            max(0.0, k - 10.0),
            min(k, 10.0),
            change(k, heard(truth, max(0.0, k - 10.0), k)),
            end_of_stream=k == until_s,
        )
        for k in range(1, until_s + 1)
    ]


def test_words_are_shown_stable_and_frozen_when_windows_say_so():
    lives = follow(windows(TRUTH, until_s=14))
    assert ''.join(life.text for life in lives) == ' the robot carries a small red box'
    for k, life in enumerate(lives):
        assert life.start_s == pytest.approx(0.1 + 0.4 * k)
        assert life.end_s == pytest.approx(0.46 + 0.4 * k)
        assert life.changes == 0
        assert life.settled_s == life.shown_s
    # The ends: 0.46, 0.86, 1.26, 1.66, 2.06, 2.46, 2.86 s. What ends 0.15 s before a window's
    # end, as 0.86 and 2.86 s do, is not shown yet.
    assert [life.shown_s for life in lives] == [1, 2, 2, 2, 3, 3, 4]
    # With the second window that heard the whole word, shown or not.
    assert [life.stable_s for life in lives] == [2, 2, 3, 3, 4, 4, 4]
    # With the first window that begins behind all of them.
    assert [life.frozen_s for life in lives] == [13] * 7


def test_another_word_in_the_place_first_is_a_change():
    def change(k, said):
        return [(' cherries' if k == 2 and w[0] == ' carries' else w[0], *w[1:]) for w in said]

    lives = follow(windows(TRUTH, until_s=14, change=change))
    carries = next(life for life in lives if life.text.strip() == 'carries')
    assert carries.changes == 1
    assert carries.shown_s > 2  # at 2 s it was something else
    assert carries.settled_s == carries.shown_s <= carries.stable_s
    assert sum(life.changes for life in lives) == 1


def test_a_word_is_the_same_though_its_times_wander():
    def change(k, said):
        return [(t, a - 0.3, b - 0.3) for t, a, b in said] if k == 2 else said

    lives = follow(windows(spoken('over there', from_s=1.1), until_s=14, change=change))
    assert lives[0].shown_s == 2


def test_the_same_word_elsewhere_is_another_one():
    def change(k, said):
        return [*said, (' stop', 1.1, 1.46)] if k == 2 else said

    lives = follow(windows(spoken('stop', from_s=5.1), until_s=16, change=change))
    assert [(life.text, life.shown_s) for life in lives] == [(' stop', 6)]


def test_words_said_twice_are_told_apart():
    truth = spoken('stop stop stop', from_s=0.1)
    lives = follow(windows(truth, until_s=12))
    assert [life.shown_s for life in lives] == [1, 2, 2]
    assert [life.changes for life in lives] == [0, 0, 0]


def test_what_the_flush_makes_stable_is_stable_at_the_end_of_the_stream():
    lives = follow([window(0.0, 3.0, TRUTH)])
    assert {(life.stable_s, life.frozen_s) for life in lives} == {(3.0, 3.0)}
    assert [life.shown_s for life in lives] == [3.0] * 7


def test_late_windows_do_not_turn_time_back():
    decodes = windows(TRUTH, until_s=14)
    decodes[2], decodes[3] = decodes[3], decodes[2]
    for life in follow(decodes):
        assert life.shown_s <= life.settled_s <= life.stable_s <= life.frozen_s
    assert follow([]) == []


@pytest.mark.parametrize('name', ['demo', 'heldout_slt'])
def test_real_decodes_give_the_delays_of_the_trace(name, tmp_path, capsys):
    """The same stage of the same words, found by `transcript merge --trace` and its scores."""
    from transcript_manager.cli.main import main
    from transcript_manager.evaluation.metrics import evaluate, TimedWord
    from transcript_manager.streams.trace import read_trace

    messages = list(read_bag(BAGS / name))
    origin_ns = to_ns(messages[0].header.stamp)
    lives = follow(to_decode(m, origin_ns=origin_ns) for m in messages)
    trace = tmp_path / 'trace.jsonl'
    assert main(['merge', str(BAGS / name), '--trace', str(trace)]) == 0
    capsys.readouterr()
    origin_s = origin_ns / 1e9
    said = [TimedWord(w.text, w.start_s + origin_s, w.end_s + origin_s) for w in lives]
    scores = evaluate(read_trace(trace), said)
    assert scores.words == len(lives) and scores.wer == 0
    stable_s = statistics.median(w.stable_s - w.end_s for w in lives)
    assert stable_s == pytest.approx(scores.latency_p50_s, abs=0.01)
    settled_s = statistics.median(w.settled_s - w.end_s for w in lives)
    assert settled_s == pytest.approx(scores.settled_p50_s, abs=0.1)
