"""
The horizon: what was said before it is final, dropped or not to be heard.

After a flush, a reset, a pause or a restart of the process the next windows still hold audio from
before it. Their words there are left out; what is said from there on is taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from transcript_manager.merge.words import comparable, HeardWord

_SLACK_S = 0.4
"""A word heard again is found this far from where it was: times vary from decode to decode."""
_WORDS = 4


class Horizon:
    """
    A time before which nothing is taken any more.

    :param at_s: the time [s]
    :param last_words: (text, middle [s]) of words that are final already, the newest last: one of
        them that is heard again just behind the horizon is no new word
    """

    def __init__(self, at_s: float, last_words: Sequence[tuple[str, float]] = ()) -> None:
        self.at_s = at_s
        self._last = [(comparable(text), middle_s) for text, middle_s in last_words[-_WORDS:]]

    def keep(self, words: list[HeardWord]) -> list[HeardWord]:
        """Return the words of a window that lie behind the horizon."""
        kept = [w for w in words if (w.start_s + w.end_s) / 2 > self.at_s]
        known = deque(self._last)
        while kept and known and self._is_known(kept[0], known):
            del kept[0]
        return kept

    def _is_known(self, word: HeardWord, known: deque[tuple[str, float]]) -> bool:
        """Whether a word is one of the final ones; those before it are then done with."""
        middle_s = (word.start_s + word.end_s) / 2
        while known:
            form, known_s = known.popleft()
            if form and form == word.form and abs(middle_s - known_s) <= _SLACK_S:
                return True
        return False
