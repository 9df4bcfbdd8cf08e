"""
One place of the transcript and the evidence that windows have given about it.

The inventor's counters, kept as weighted votes (compare ROVER, Fiscus 1997): an exact match
strengthens both the word and its spelling, a loose match the word only and notes the other
spelling as a conflict, a different word is a conflict, a word that should have been there and
was not is a miss. A conflict with more evidence than the word replaces it; a word with more
misses than evidence goes. What is shown gives way to clear evidence only, so that it does not
flicker between two readings of about the same weight.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from transcript_manager.merge.words import HeardWord

_SWITCH_LEAD = 0.1
"""By so much weight must a conflict lead to replace what is shown."""
_HIDE_LEAD = 0.1
"""By so much must the misses lead to hide a word that is shown."""
_MIN_MOVE_S = 0.3
_MOVE_TOLERANCE = 0.3
"""A word that moved as far as the window did, give or take this share, moved along with it."""
_MIN_SHOWN = 0.15
"""Weight that a word must have to be shown: one heard unsurely waits for the next window."""
_LOSS_WEIGHT = 0.8
"""Of the misses, at the deadline: a lost word is worse than an invented one."""
_UNTIMED_WEIGHT = 0.01
"""Of times that the decoder did not give, in the average."""


@dataclass(slots=True)
class Candidate:
    """One text heard in a place."""

    text: str
    form: str
    occurrences: int = 0
    """How many windows heard exactly this text."""
    weight: float = 0.0
    probability_sum: float = 0.0

    @property
    def probability(self) -> float:
        """Mean probability over the windows that heard it, [0, 1]."""
        return self.probability_sum / max(1, self.occurrences)


@dataclass(slots=True)
class Slot:
    """One place of the transcript."""

    start_s: float
    end_s: float
    form: str = ''
    """Comparable form of the leading candidate."""
    misses: float = 0.0
    """Weight of the windows that covered the place and heard nothing there."""
    missed_windows: int = 0
    heard_at_s: float = 0.0
    """Middle of the word in the window that heard it last [s]."""
    heard_until_s: float = float('-inf')
    """End of that window [s]."""
    heard: float = 0.0
    """Weight of the windows that heard anything there."""
    stable: bool = False
    shown: bool = False
    """Whether the transcript shows it; see :meth:`update_shown`."""
    suffix: str | None = None
    """Closing punctuation once it is final; None while it may change."""
    _candidates: dict[str, Candidate] = field(default_factory=dict)
    _form_weights: dict[str, float] = field(default_factory=dict)
    _suffixes: dict[str, float] = field(default_factory=dict)
    _leader: Candidate | None = None
    _suffix_leader: str = ''
    _boundary: float = 0.0
    _time_weight: float = 0.0

    @classmethod
    def opened(cls, word: HeardWord, weight: float, suffix_weight: float) -> Slot:
        """Open a place for a word that no place was found for."""
        slot = cls(start_s=word.start_s, end_s=word.end_s)
        slot.vote(word, weight, suffix_weight)
        return slot

    def vote(self, word: HeardWord, weight: float, suffix_weight: float) -> None:
        """
        Count one window's hearing of this place.

        :param weight: of the word's evidence, > 0; less at the cut edges of a window
        :param suffix_weight: of the evidence of its closing punctuation and segment boundary, > 0
        """
        candidate = self._candidates.get(word.text)
        if candidate is None:
            candidate = self._candidates[word.text] = Candidate(word.text, word.form)
        candidate.occurrences += 1
        candidate.weight += weight
        candidate.probability_sum += word.probability
        self.heard += weight
        self._form_weights[word.form] = self._form_weights.get(word.form, 0.0) + weight
        if self.suffix is None:
            self._suffixes[word.suffix] = self._suffixes.get(word.suffix, 0.0) + suffix_weight
            if word.suffix != self._suffix_leader:
                self._elect_suffix()
        self._boundary += suffix_weight if word.opens_segment else -suffix_weight
        if not self.stable and candidate is not self._leader:
            self._elect(_SWITCH_LEAD)
        if self._leader is not None and word.form == self._leader.form:
            self._average_times(word, weight)

    def moves_along(self, word: HeardWord, window_end_s: float) -> bool:
        """
        Whether a word has moved as far as the window since it was heard here last.

        Speech stays where it is; what decoders invent keeps its place in the window.
        """
        moved_s = window_end_s - self.heard_until_s
        word_s = (word.start_s + word.end_s) / 2 - self.heard_at_s
        return moved_s >= _MIN_MOVE_S and abs(word_s - moved_s) < _MOVE_TOLERANCE * moved_s

    def note(self, word: HeardWord, window_end_s: float) -> None:
        """Remember where a word was heard, and in which window."""
        self.heard_at_s = (word.start_s + word.end_s) / 2
        self.heard_until_s = window_end_s

    def miss(self, weight: float) -> None:
        """Count a window that covered this place and heard nothing in it."""
        self.misses += weight
        self.missed_windows += 1

    def take_over(self, neighbour: Slot) -> None:
        """
        Take from a neighbour what was heard of this place's word.

        Before this place was known, a window that heard its word may have put it there.
        """
        if neighbour.stable or neighbour.form == self.form:
            return
        weight = neighbour._form_weights.pop(self.form, 0.0)
        if not weight:
            return
        for candidate in [c for c in neighbour._candidates.values() if c.form == self.form]:
            del neighbour._candidates[candidate.text]
            own = self._candidates.get(candidate.text)
            if own is None:
                self._candidates[candidate.text] = candidate
                continue
            own.occurrences += candidate.occurrences
            own.weight += candidate.weight
            own.probability_sum += candidate.probability_sum
        self._form_weights[self.form] += weight
        self.heard += weight
        neighbour.heard -= weight
        self.misses = max(0.0, self.misses - weight)
        self._elect(0.0)

    def settle(self) -> None:
        """Make the word final: the text with the most evidence, whatever was shown."""
        self._elect(0.0)
        self.stable = self.shown = True

    @property
    def forms(self) -> Collection[str]:
        """Every comparable form heard here; of a stable slot too, others may be heard again."""
        return self._form_weights

    @property
    def leader(self) -> Candidate:
        """The text in the lead; fixed once the slot is stable."""
        assert self._leader is not None  # a slot is born with a vote
        return self._leader

    @property
    def support(self) -> float:
        """Weight of the evidence for the leader's form, in any spelling."""
        return self._form_weights[self.form]

    @property
    def opposition(self) -> float:
        """The heaviest evidence against the leader: another word, or nothing at all."""
        heaviest = self.misses
        if len(self._form_weights) > 1:
            for form, weight in self._form_weights.items():
                if weight > heaviest and form != self.form:
                    heaviest = weight
        return heaviest

    @property
    def windows(self) -> int:
        """How many windows heard the leader's form, in any spelling."""
        return sum(c.occurrences for c in self._candidates.values() if c.form == self.form)

    @property
    def majority(self) -> int:
        """By how many windows the leader's form leads over everything else together."""
        others = sum(c.occurrences for c in self._candidates.values() if c.form != self.form)
        return self.windows - others - self.missed_windows

    @property
    def is_heard(self) -> bool:
        """Whether a word is to be kept where no more evidence comes; a lost one is worse."""
        return self.heard > _LOSS_WEIGHT * self.misses

    @property
    def opens_segment(self) -> bool:
        """Whether most windows began a segment here."""
        return self._boundary > 0

    @property
    def conflicts(self) -> list[Candidate]:
        """The other texts heard here, most frequent first."""
        if len(self._candidates) == 1:
            return []
        others = [c for c in self._candidates.values() if c is not self._leader]
        return sorted(others, key=lambda c: (-c.occurrences, -c.weight, c.text))

    def update_shown(self) -> None:
        """Decide whether the word is shown: a word that is needs clear evidence to go again."""
        if not self.stable:
            against = self.misses - _HIDE_LEAD if self.shown else max(self.misses, _MIN_SHOWN)
            self.shown = self.heard > against

    def shown_suffix(self) -> str:
        """Closing punctuation as it stands, final or not."""
        return self._suffix_leader if self.suffix is None else self.suffix

    def _elect_suffix(self) -> None:
        if len(self._suffixes) == 1:
            (self._suffix_leader,) = self._suffixes
            return
        best = max(self._suffixes, key=lambda s: (self._suffixes[s], s))
        shown = self._suffixes.get(self._suffix_leader)
        if shown is None or self._suffixes[best] > shown + _SWITCH_LEAD:
            self._suffix_leader = best

    def _elect(self, lead: float) -> None:
        """Let the heaviest candidate win, but replace another one only by a clear lead."""
        leader = self._leader
        weights = self._form_weights
        if len(self._candidates) == 1:
            elected = next(iter(self._candidates.values()))
        else:
            form = max(weights, key=lambda f: (weights[f], f))
            if leader is not None and weights.get(leader.form, 0.0) + lead >= weights[form]:
                form = leader.form
            spellings = [c for c in self._candidates.values() if c.form == form]
            elected = max(spellings, key=lambda c: (c.weight, c.text))
            if (
                leader is not None
                and leader.form == form
                and elected.weight <= leader.weight + lead
            ):
                elected = leader
        if leader is not None and elected.form != leader.form:
            self._time_weight = 0.0  # times of another word say little about this one's
        self.form = elected.form
        self._leader = elected

    def _average_times(self, word: HeardWord, weight: float) -> None:
        if not word.is_timed:
            weight *= _UNTIMED_WEIGHT
        self._time_weight += weight
        share = weight / self._time_weight
        self.start_s += (word.start_s - self.start_s) * share
        self.end_s += (word.end_s - self.end_s) * share
