"""
Alignment of a window's words with the transcript's slots.

The anchor is the inventor's: the longest common substring with gaps, here as a chain over
matching pairs only, so that its cost follows the matches and not the product of the lengths.
Time is the second key: a pair whose times disagree is no pair, which tells the second "one two
three" from the first. A window whose times are all off by the same amount is moved back first.
Between two anchors, gaps.py pairs words that were heard differently. Words without times of their
own are matched by text alone and take their times from the places they match.
"""

from __future__ import annotations

from collections.abc import Sequence

from transcript_manager.merge.gaps import (
    fill_gap,
    Hearing,
    MAX_ESTIMATED_DIFFERENCE_S,
    MAX_TIME_DIFFERENCE_S,
    Pairing,
    Place,
)

_CONFLICT_LIKENESS = 0.7
"""Of a pair that matches another text than the one in the lead."""
_TIME_COST = 0.8
"""Of a pair whose times differ by as much as is allowed at all."""
_RIVAL_S = 0.6
"""A place that lies so much further off than another one with the same word is no match."""
_GAP_COST = 0.05
"""Of a word passed over between two anchors."""
_WIDE_GAP_COST = 0.5
"""Of a gap wider than the inventor's: every pair has passed the test of time already."""
_CHARACTER_S = 0.07
"""Of speech, about, for words before the first one that has a time."""
_MAX_SHIFT_S = 4.0
_SHIFT_TOLERANCE_S = 0.3
_MIN_SHIFTED_PAIRS = 4
_MIN_KNOWN_RUN = 3


def align(
    places: Sequence[Place],
    words: Sequence[Hearing],
    *,
    max_gap_words: int,
    window_s: tuple[float, float] = (float('-inf'), float('inf')),
    merged_end_s: float = float('inf'),
) -> Pairing:
    """
    Align places with words, and put the words where they belong in time.

    If all times of the window are off by the same amount, the words are moved back; words without
    times are given some, by the places that they match.

    :param max_gap_words: longest run of unmatched words inside the common substring, >= 0;
        a wider gap costs as much as half a match
    :param window_s: start and end of the window [s]: where words lie unless all are off
    :param merged_end_s: end of what earlier windows covered [s]; for words without times
    :returns: (place index, word index) in order, each index once; None where one has no
        counterpart
    """
    is_timed = all([w.is_timed for w in words])
    first_place, length = _known_run(places, words) if is_timed else (0, 0)
    if length:
        last_place = first_place + length
        aligned: Pairing = [(i, None) for i in range(first_place)]
        aligned += [(first_place + k, k) for k in range(length)]
        rest = align(
            places[last_place:], words[length:], max_gap_words=max_gap_words, window_s=window_s
        )
        aligned += [
            (None if i is None else last_place + i, None if j is None else length + j)
            for i, j in rest
        ]
        return aligned
    matches = _matches(places, words)
    shift_s = _shift(places, matches) if is_timed else 0.0
    start_s, end_s = window_s
    for word in words:
        if shift_s:  # the window's own times may be off as much
            word.start_s -= shift_s
            word.end_s -= shift_s
        elif word.start_s < start_s or word.end_s > end_s:
            word.start_s = min(max(word.start_s, start_s), end_s)
            word.end_s = min(max(word.end_s, start_s), end_s)
    anchors = _chain(_pairs(places, words, matches, shift_s), max_gap_words)
    if anchors and not is_timed:
        _retime(places, words, anchors, merged_end_s, end_s)
    aligned = []
    place_from = word_from = 0
    for place_to, word_to in anchors:
        if place_from < place_to or word_from < word_to:
            fill_gap(places, words, (place_from, place_to), (word_from, word_to), aligned)
        aligned.append((place_to, word_to))
        place_from, word_from = place_to + 1, word_to + 1
    fill_gap(places, words, (place_from, len(places)), (word_from, len(words)), aligned)
    return aligned


def _known_run(places: Sequence[Place], words: Sequence[Hearing]) -> tuple[int, int]:
    """
    Find the run of words with which a window repeats what is stable, word for word, in place.

    Most of a window is such a run, and needs no search.

    :returns: the first place and the length; the length is 0 if the run is too short to trust
    """
    first = run = 0
    for word in words:
        mid_s = word.start_s + word.end_s
        while first + run < len(places) and places[first + run].stable:
            place = places[first + run]
            late_s = (mid_s - place.start_s - place.end_s) / 2
            if run or late_s <= _SHIFT_TOLERANCE_S:
                break
            first += 1  # before the window
        else:
            break
        if word.form != place.form or not -_SHIFT_TOLERANCE_S < late_s < _SHIFT_TOLERANCE_S:
            break
        run += 1
    # The last one may be the first of two alike.
    return (first, run - 1) if run > _MIN_KNOWN_RUN else (0, 0)


def _matches(places: Sequence[Place], words: Sequence[Hearing]) -> list[list[tuple[int, float]]]:
    """Return for every word the places where it was heard, and how much later it comes [s]."""
    index: dict[str, list[tuple[int, float]]] = {}
    for i, place in enumerate(places):
        entry = (i, (place.start_s + place.end_s) / 2)
        for form in place.forms:
            if form in index:
                index[form].append(entry)
            else:
                index[form] = [entry]
    matches = []
    for word in words:
        found = index.get(word.form)
        if found is None:
            matches.append([])
        else:
            mid_s = (word.start_s + word.end_s) / 2
            matches.append([(i, mid_s - at_s) for i, at_s in found])
    return matches


def _shift(places: Sequence[Place], matches: list[list[tuple[int, float]]]) -> float:
    """
    Find out by how much all times of a window are off against the stable transcript.

    What is not stable says nothing: decoders fill silence with inventions that move along with
    the window, and look as if the window had moved.

    :returns: the shift [s], positive if the words come too late; 0 unless several matches agree
        on another one, and clearly more than agree on none
    """
    in_place = displaced = 0
    differences_s: list[float] = []
    for found in matches:
        if not found:
            continue
        if min([abs(d) for _, d in found]) < _SHIFT_TOLERANCE_S:
            in_place += 1
            continue
        off_s = [d for i, d in found if places[i].stable and abs(d) < _MAX_SHIFT_S]
        displaced += bool(off_s)
        differences_s += off_s
    if displaced < _MIN_SHIFTED_PAIRS or in_place > 1.5 * displaced:
        return 0.0
    differences_s.sort()
    best: list[float] = []
    low = 0
    for high, difference_s in enumerate(differences_s):
        while difference_s - differences_s[low] > 2 * _SHIFT_TOLERANCE_S:
            low += 1
        if high + 1 - low > len(best):
            best = differences_s[low : high + 1]
    if len(best) < _MIN_SHIFTED_PAIRS or len(best) < 1.3 * in_place + 2:
        return 0.0
    return best[len(best) // 2]


def _pairs(places, words, matches, shift_s: float) -> list[tuple[int, int, float]]:
    """Return the matching pairs whose times agree, as (word, place, gain), in order."""
    pairs = []
    for j, found in enumerate(matches):
        if not found:
            continue
        word = words[j]
        form = word.form
        limit_s = nearest_s = MAX_ESTIMATED_DIFFERENCE_S
        if word.is_timed:
            limit_s = MAX_TIME_DIFFERENCE_S
            nearest_s = min([abs(d - shift_s) for _, d in found]) + _RIVAL_S
        for i, difference_s in found:
            apart_s = abs(difference_s - shift_s)
            if apart_s <= limit_s and apart_s <= nearest_s:
                likeness = 1.0 if places[i].form == form else _CONFLICT_LIKENESS
                pairs.append((j, i, likeness - _TIME_COST * apart_s / limit_s))
    return pairs


def _chain(pairs: list[tuple[int, int, float]], max_gap_words: int) -> list[tuple[int, int]]:
    """Find the heaviest chain of pairs that ascends in both; return it as (place, word)."""
    scores: list[float] = []
    heaviest: list[float] = []  # of the chains so far
    previous: list[int] = []
    best, best_score = -1, 0.0
    for p, (j, i, gain) in enumerate(pairs):
        base, link = 0.0, -1
        for q in range(p - 1, -1, -1):
            if heaviest[q] <= base:
                break  # nothing before can be better; most often the first look has it
            m, k, _ = pairs[q]
            if m >= j or k >= i:
                continue
            skipped = (i - k - 1) + (j - m - 1)
            if i - k - 1 <= max_gap_words and j - m - 1 <= max_gap_words:
                score = scores[q] - min(_WIDE_GAP_COST, _GAP_COST * skipped)
            else:
                score = scores[q] - _WIDE_GAP_COST
            if score > base:
                base, link = score, q
        score = base + gain
        scores.append(score)
        heaviest.append(max(score, heaviest[-1]) if heaviest else score)
        previous.append(link)
        if score > best_score:
            best, best_score = p, score
    chain = []
    while best >= 0:
        j, i, _ = pairs[best]
        chain.append((i, j))
        best = previous[best]
    return chain[::-1]


def _retime(places, words, anchors, merged_end_s: float, window_end_s: float) -> None:
    """Time words by the places that they match, and the others by their neighbours."""
    last_place, last_word = anchors[-1]
    for i, j in anchors:
        words[j].start_s, words[j].end_s = places[i].start_s, places[i].end_s
    first_place, first_word = anchors[0]
    head_s = _CHARACTER_S * sum(len(w.form) for w in words[:first_word])
    _spread(
        words, 0, first_word, places[first_place].start_s - head_s, places[first_place].start_s
    )
    for (i, j), (k, m) in zip(anchors, anchors[1:]):  # noqa: B905 - pairs of neighbours
        _spread(words, j + 1, m, places[i].end_s, places[k].start_s)
    # What earlier windows heard behind the last match comes first, what is new after it.
    known = min(len(places) - last_place - 1, len(words) - last_word - 1)
    at_s = places[last_place].end_s
    split_s = min(max(at_s, merged_end_s), window_end_s)
    _spread(words, last_word + 1, last_word + 1 + known, at_s, split_s)
    _spread(words, last_word + 1 + known, len(words), split_s, max(split_s, window_end_s))


def _spread(words, start: int, stop: int, from_s: float, to_s: float) -> None:
    """Share out a stretch of time by characters."""
    total = sum(len(w.form) for w in words[start:stop])
    at_s = from_s
    for word in words[start:stop]:
        word.start_s = at_s
        at_s += (to_s - from_s) * len(word.form) / total
        word.end_s = at_s
