"""
How much one window's hearing of a word is worth.

Three things are known of it before any other window is asked: how sure the decoder was, how close
the word is to an edge of the window, where words are cut, and whether the decoder was caught in a
loop there. A fourth shows in the alignment: a hearing far from where the word was heard before may
be another word, or an invention that moves with the window.
"""

from __future__ import annotations

from collections.abc import Sequence

from transcript_manager.merge.words import HeardWord

EDGE_S = 0.4
"""Words closer than this to a cut edge of the window count for less."""
EDGE_WEIGHT = 0.15
"""Weight at the very edge; 1 from ``EDGE_S`` on."""
DOUBT_WEIGHT = 0.05
"""Weight of a hearing that the decoder gave no probability at all."""
POWER = 3
LOOP_WEIGHT = 0.1
"""Weight of a word in a loop: said so often, it may be real, but other windows must agree."""
ISOLATED_WEIGHT = 0.4
"""Weight of a few words with silence around them: what decoders invent to fill it looks so."""
MISS_WEIGHT = 0.4
"""Of a window that heard nothing in a place, against one that heard a word there, and surely."""
UNSURE_MARK_WEIGHT = 0.1
"""Of punctuation at a cut edge: decoders end a window with a full stop and begin a sentence."""
_PLACE_TOLERANCE_S = 0.5

_ISOLATION_S = 2.0
_MAX_ISOLATED_WORDS = 3
_MAX_LOOP_WORDS = 8
_MIN_LOOPS = 5
_MIN_LOOPED_WORDS = 8


def edge_weight(left_s: float, right_s: float, start_s: float, end_s: float) -> float:
    """
    Weigh what a window says about a stretch of time, by its distance to the window's edges.

    :param left_s: start of the window [s]; -inf where nothing is cut
    :param right_s: end of the window [s]; inf where nothing is cut
    :returns: ``EDGE_WEIGHT`` at an edge .. 1 inside
    """
    inside_s = min(start_s - left_s, right_s - end_s)
    if inside_s >= EDGE_S:
        return 1.0
    return EDGE_WEIGHT + (1.0 - EDGE_WEIGHT) * max(0.0, inside_s) / EDGE_S


def probability_weight(probability: float) -> float:
    """
    Weigh a hearing by the decoder's own probability.

    A right word and a wrong one differ most at the upper end: a decoder is seldom wrong and sure,
    and half sure is nearer to wrong. Yet many half sure hearings of the same word are evidence,
    so that the weight never vanishes.
    """
    return DOUBT_WEIGHT + (1.0 - DOUBT_WEIGHT) * probability**POWER


def place_weight(difference_s: float) -> float:
    """Weigh a hearing by its distance from where the word was heard before [s]."""
    return 1.0 / (1.0 + (difference_s / _PLACE_TOLERANCE_S) ** 2)


def looped(words: Sequence[HeardWord]) -> list[bool]:
    """Mark the words of a loop: one to eight words five times or more in a row, eight at least."""
    forms = [w.form for w in words]
    marks = [False] * len(forms)
    counts: dict[str, int] = {}
    for form in forms:
        counts[form] = counts.get(form, 0) + 1
    if not counts or max(counts.values()) < _MIN_LOOPS:
        return marks  # no word is said often enough for any loop
    for period in range(1, _MAX_LOOP_WORDS + 1):
        run = 0
        for k in range(period, len(forms) + 1):
            if k < len(forms) and forms[k] == forms[k - period]:
                run += 1
                continue
            if run + period >= max(_MIN_LOOPS * period, _MIN_LOOPED_WORDS):
                marks[k - run - period : k] = [True] * (run + period)
            run = 0
    return marks


def isolated(words: Sequence[HeardWord]) -> list[bool]:
    """Mark words that stand in groups of three at most, 2 s and more from any other."""
    marks: list[bool] = []
    first = 0
    for k in range(1, len(words) + 1):
        if k == len(words) or words[k].start_s - words[k - 1].end_s >= _ISOLATION_S:
            marks += [k - first <= _MAX_ISOLATED_WORDS] * (k - first)
            first = k
    return marks
