"""
Subtitles out of words: where one ends and the next begins, how it is broken into lines, and for
how long it stands.

A cue ends with a sentence or a pause; one that would be too long is split at its best place:
behind a comma, at the longest pause. At most two lines of 42 columns, no word is ever cut, and a
cue stands long enough to be read, if need be a little into the next one's time. The bounds are
those common in broadcasting (42 columns, two lines, 20 characters a second, 7 s).

Words come one after the other and a cue is given out as soon as it is known whole, so that a file
can be written while the session runs and is the same as one written afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
import math
import unicodedata

from rich.cells import cell_len

from transcript_manager.merge.words import is_unspaced
from transcript_manager.result import ResultWord

MAX_LINES = 2
MAX_COLUMNS = 42
"""Of a line; an East Asian character takes two, a combining mark none."""
MAX_COLUMNS_PER_S = 20.0
"""Reading speed."""
MIN_CUE_S = 1.0
MAX_CUE_S = 7.0
MAX_LATE_S = 1.0
"""A cue comes at most so much after its first word, so that the one before it can be read."""
_LINGER_S = 0.3
"""A cue stays a little longer than its last word, if nothing follows."""
_PAUSE_S = 1.0
"""Whoever is silent for so long has ended the cue."""
_SHORT_PAUSE_S = 0.4
_SHORT_COLUMNS = 16
"""A sentence of less is taken together with the next one, if that follows at once."""
_MAX_GLUED = 50
_CUE_COLUMNS = MAX_LINES * MAX_COLUMNS
_SHORT_SHARE = 0.35
"""Of a cue's columns: less is only given out if a sentence or pause makes it so."""
_SENTENCE_ENDS = '.?!…。？！؟।։'
_CLAUSE_ENDS = ',;:，、；：،؛–—'
_CLOSERS = '"\'”’»›)]}」』）'


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle; times count from the start of the audio."""

    start_s: float
    end_s: float
    words: tuple[ResultWord, ...]
    lines: tuple[str, ...]
    """One or two; no break inside a word."""


class CueMaker:
    """Make cues of words as they come."""

    def __init__(self) -> None:
        self._open: list[ResultWord] = []
        self._closed: list[list[ResultWord]] = []
        self._shown_until_s = -math.inf

    def add(self, words: Iterable[ResultWord]) -> list[Cue]:
        """
        Take the next words, in order of speech.

        :returns: the cues that are known whole by now
        """
        for word in words:
            self._take(word)
        return self._ready(self._open[0].start_s if self._open else -math.inf)

    def settle(self, before_s: float) -> list[Cue]:
        """
        Give out what can be told without the next word.

        :param before_s: no word will come that starts before this [s]
        """
        if self._open and before_s - self._open[-1].end_s >= _PAUSE_S:
            self._close()
        return self._ready(self._open[0].start_s if self._open else before_s)

    def finish(self) -> list[Cue]:
        """Give out the rest: nothing follows."""
        if self._open:
            self._close()
        return self._ready(math.inf)

    def next_start_s(self, before_s: float) -> float:
        """
        Return when what follows the cues given out starts, at the earliest [s].

        :param before_s: no word will come that starts before this [s]
        """
        for words in (*self._closed, self._open):
            if words:
                return words[0].start_s
        return before_s

    def _take(self, word: ResultWord) -> None:
        if self._open and _ends_before(self._open, word):
            self._close()
        self._open.append(word)
        # Where it is split best is only known with what comes behind.
        if _is_long(self._open) and (at := _best_split(self._open)) is not None:
            self._closed.append(self._open[:at])
            del self._open[:at]

    def _close(self) -> None:
        rest, self._open = self._open, []
        while not _fits(rest) and (at := _best_split(rest)) is not None:
            self._closed.append(rest[:at])
            rest = rest[at:]
        self._closed.append(rest)

    def _ready(self, next_start_s: float) -> list[Cue]:
        """Give out closed cues; the last only if what comes at ``next_start_s`` cannot matter."""
        cues = []
        while self._closed:
            words = self._closed[0]
            start_s = max(words[0].start_s, self._shown_until_s)
            lines = wrap(words)
            columns = cell_len(' '.join(lines))
            read_s = start_s + max(MIN_CUE_S, columns / MAX_COLUMNS_PER_S)
            wanted_s = max(words[-1].end_s + _LINGER_S, read_s)
            is_last = len(self._closed) == 1
            follows_s = next_start_s if is_last else self._closed[1][0].start_s
            if is_last and not self._open and wanted_s > follows_s:
                break
            spoken_s = max(start_s, words[-1].end_s)
            end_s = min(wanted_s, max(follows_s, spoken_s, min(read_s, follows_s + MAX_LATE_S)))
            cues.append(Cue(start_s, end_s, tuple(words), lines))
            self._shown_until_s = end_s
            del self._closed[0]
        return cues


def make_cues(words: Iterable[ResultWord]) -> list[Cue]:
    """Make the cues of a whole session."""
    maker = CueMaker()
    return maker.add(words) + maker.finish()


def wrap(words: Sequence[ResultWord]) -> tuple[str, ...]:
    """Break words into lines: as few as can be, of about the same length."""
    text = joined(words)
    if cell_len(text) <= MAX_COLUMNS:
        return (text,)
    best: tuple[float, tuple[str, ...]] | None = None
    for at in _breaks(words):
        first, second = joined(words[:at]), joined(words[at:])
        longest = max(cell_len(first), cell_len(second))
        cost = longest + (0 if _ends_with(words[at - 1], _CLAUSE_ENDS + _SENTENCE_ENDS) else 6)
        if longest > MAX_COLUMNS:
            cost += 1000 * longest
        if best is None or cost < best[0]:
            best = cost, (first, second)
    return best[1] if best else (text,)


def joined(words: Sequence[ResultWord]) -> str:
    """Concatenate words; white space is one space, and none at the ends."""
    return ' '.join(''.join(w.text for w in words).split())


def is_sentence_end(word: ResultWord) -> bool:
    """Whether a word ends with a full stop or its like, behind which quotes may be closed."""
    return _ends_with(word, _SENTENCE_ENDS)


def _ends_with(word: ResultWord, marks: str) -> bool:
    text = word.text.rstrip().rstrip(_CLOSERS)
    return bool(text) and text[-1] in marks


def _breaks(words: Sequence[ResultWord]) -> list[int]:
    """Return where words may be parted: not inside of "well-known", if that came in two."""
    return [
        at
        for at, (before, after) in enumerate(pairwise(words), 1)
        if after.text[:1].isspace()
        or before.text[-1:].isspace()
        or is_unspaced(after.text[:1] or ' ')
        or is_unspaced(before.text[-1:] or ' ')
    ]


def _fits(words: Sequence[ResultWord]) -> bool:
    lines = wrap(words)
    if words[-1].end_s - words[0].start_s > MAX_CUE_S:
        return False
    return len(lines) <= MAX_LINES and all(cell_len(line) <= MAX_COLUMNS for line in lines)


def _ends_before(words: Sequence[ResultWord], word: ResultWord) -> bool:
    """Whether a cue ends before this word, whatever comes."""
    pause_s = word.start_s - words[-1].end_s
    if pause_s >= _PAUSE_S:
        return True
    if not is_sentence_end(words[-1]) or _starts_small(word) or not _breaks([words[-1], word]):
        return False
    return pause_s >= _SHORT_PAUSE_S or cell_len(joined(words)) >= _SHORT_COLUMNS


def _starts_small(word: ResultWord) -> bool:
    """Whether a word goes on with a sentence: the stop before it was of an abbreviation."""
    text = word.text.strip()
    return bool(text) and unicodedata.category(text[0]) == 'Ll'


def _is_long(words: Sequence[ResultWord]) -> bool:
    """Whether words make more than two cues."""
    return (
        cell_len(joined(words)) > 2 * _CUE_COLUMNS
        or words[-1].end_s - words[0].start_s > 2 * MAX_CUE_S
    )


def _best_split(words: Sequence[ResultWord]) -> int | None:
    """Return where words that are too long for a cue are split best; None if they cannot be."""
    best: tuple[float, int] | None = None
    for at in _breaks(words):
        head, rest = words[:at], words[at:]
        if at > 1 and not _fits(head) and best is not None:
            break  # neither does anything longer
        worth = cell_len(joined(head)) / _CUE_COLUMNS
        # A line of one or two words is read worse than two cues of the same length.
        worth -= sum(cell_len(joined(part)) < _SHORT_SHARE * _CUE_COLUMNS for part in (head, rest))
        worth += min(1.0, words[at].start_s - words[at - 1].end_s)
        if _ends_with(words[at - 1], _SENTENCE_ENDS):
            worth += 1.0
        elif _ends_with(words[at - 1], _CLAUSE_ENDS):
            worth += 0.6
        if best is None or worth > best[0]:
            best = worth, at
    if best is None and len(words) > _MAX_GLUED:
        return _MAX_GLUED  # nobody has a word so long: these have lost their spaces
    return best[1] if best else None
