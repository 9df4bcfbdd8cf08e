"""What a hearing is worth: less at edges, unsure, out of place, in loops, alone in silence."""

import pytest
from scripted import Session, spoken, window

from transcript_manager.merge.evidence import (
    edge_weight,
    isolated,
    looped,
    place_weight,
    probability_weight,
)
from transcript_manager.merge.words import fuse

INF = float('inf')


def test_edges_weigh_less():
    weights = [edge_weight(0.0, 10.0, end_s - 0.2, end_s) for end_s in (10.0, 9.8, 9.5, 5.0)]
    assert weights == sorted(weights) and weights[0] < 0.2 and weights[-1] == 1.0
    assert edge_weight(0.0, 10.0, 0.0, 0.5) == weights[0]
    assert edge_weight(-INF, INF, 0.0, 10.0) == 1.0


def test_unsure_hearings_weigh_less_but_something():
    weights = [probability_weight(p) for p in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert weights == sorted(weights)
    assert weights[0] > 0.0 and weights[-1] == 1.0
    assert weights[3] > 2 * weights[2]


def test_hearings_out_of_place_weigh_less():
    assert place_weight(0.0) == 1.0
    assert place_weight(0.1) > 0.9
    assert place_weight(-1.0) == place_weight(1.0) < 0.3


@pytest.mark.parametrize(
    ('text', 'marked'),
    [
        ("I'm going to " * 8, 24),
        ('well ' + 'the ' * 8, 8),
        ('go ' * 5, 0),
        ('that derivative ' * 4 + 'works', 0),
        ('one two three four five six seven eight nine ten', 0),
        ('', 0),
    ],
)
def test_loops_are_marked(text, marked):
    words = fuse(window(0.0, 10.0, spoken(text, word_s=0.2)))
    assert sum(looped(words)) == marked


def test_small_groups_far_from_others_are_isolated():
    said = [
        *spoken('thank you'),
        *spoken('then we go on', from_s=3.0),
        *spoken('so', from_s=8.0),
    ]
    words = fuse(window(0.0, 10.0, said))
    assert isolated(words) == [True] * 2 + [False] * 4 + [True]
    assert isolated([]) == []


def stable_after_two(said_in, **values):
    """Merge two windows; return what is stable."""
    session = Session()
    for k, said in enumerate(said_in):
        session.add(window(0.0, 6.0 + k, said, **values))
    return session.stable


@pytest.mark.parametrize(('at_s', 'is_stable'), [(2.5, True), (2.4, True), (1.9, False)])
def test_two_hearings_in_one_place_suffice_and_elsewhere_do_not(at_s, is_stable):
    before = spoken('now we go there', from_s=0.2)
    session = Session()
    for end_s, from_s in ((3.4, 2.5), (3.9, at_s)):
        said = [*before, (' slowly', from_s, from_s + 0.4)]
        session.add(window(0.0, end_s, said, probability=0.66))
    assert session.stable == ' now we go there' + ' slowly' * is_stable


def test_what_stands_alone_in_silence_needs_more():
    alone = [spoken('okay', from_s=3.0)] * 2
    assert stable_after_two(alone, probability=0.65) == ''
    amid = [spoken('well this is okay now', from_s=3.0)] * 2
    assert stable_after_two(amid, probability=0.65) == ' well this is okay now'
    assert stable_after_two(alone, probability=0.95) == ' okay'  # a robot is told so


def test_what_moves_along_with_the_window_is_never_stable():
    session = Session()
    session.add(window(0.0, 2.0, spoken('hello there')))
    for k in range(3, 60):
        start_s = max(0.0, k - 10.0)
        said = spoken('hello there') if start_s == 0.0 else []
        said = said + spoken('thank you so much', from_s=k - 1.9) if k > 5 else said
        session.add(window(start_s, k - start_s, said))
    assert session.stable == ' hello there'
