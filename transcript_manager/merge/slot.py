"""
One place of the transcript and the evidence that windows have given about it.

The inventor's counters, kept as weighted votes (compare ROVER, Fiscus 1997): an exact match
strengthens both the word and its spelling, a loose match the word only and notes the other
spelling as a conflict, a different word is a conflict, a word that should have been there and
was not is a miss. A conflict with more evidence than the word replaces it; a word with more
misses than evidence goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from transcript_manager.merge.words import HeardWord


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
    stable: bool = False
    suffix: str | None = None
    """Closing punctuation once it is final; None while it may change."""
    _candidates: dict[str, Candidate] = field(default_factory=dict)
    _suffixes: dict[str, float] = field(default_factory=dict)
    _leader: Candidate | None = None
    _form_weights: dict[str, float] = field(default_factory=dict)
    _boundary: float = 0.0
    _time_weight: float = 0.0

    @classmethod
    def heard(cls, word: HeardWord, weight: float, suffix_weight: float) -> Slot:
        """Open a place for a word that no place was found for."""
        slot = cls(start_s=word.start_s, end_s=word.end_s)
        slot.vote(word, weight, suffix_weight)
        return slot

    def vote(self, word: HeardWord, weight: float, suffix_weight: float) -> None:
        """
        Count one window's hearing of this place.

        :param weight: of the word's evidence, > 0; less at the cut edges of a window
        :param suffix_weight: of the evidence of its closing punctuation and its times, > 0
        """
        candidate = self._candidates.get(word.text)
        if candidate is None:
            candidate = self._candidates[word.text] = Candidate(word.text, word.form)
        candidate.occurrences += 1
        candidate.weight += weight
        candidate.probability_sum += word.probability
        self._form_weights[word.form] = self._form_weights.get(word.form, 0.0) + weight
        self._suffixes[word.suffix] = self._suffixes.get(word.suffix, 0.0) + suffix_weight
        self._boundary += suffix_weight if word.opens_segment else -suffix_weight
        if not self.stable:
            self._elect()
        if self._leader is not None and word.form == self._leader.form:
            self._average_times(word, weight)

    def miss(self, weight: float) -> None:
        """Count a window that covered this place and heard nothing in it."""
        self.misses += weight

    def take_over(self, neighbour: Slot) -> None:
        """
        Take from a neighbour what was heard of this place's word.

        Before this place was known, a window that heard its word may have put it there.
        """
        taken = [c for c in neighbour._candidates.values() if c.form == self.form]
        if neighbour.stable or neighbour.form == self.form or not taken:
            return
        weight = neighbour._form_weights.pop(self.form)
        for candidate in taken:
            del neighbour._candidates[candidate.text]
            own = self._candidates.get(candidate.text)
            if own is None:
                self._candidates[candidate.text] = candidate
                continue
            own.occurrences += candidate.occurrences
            own.weight += candidate.weight
            own.probability_sum += candidate.probability_sum
        self._form_weights[self.form] += weight
        self.misses = max(0.0, self.misses - weight)
        self._elect()

    def likeness(self, form: str) -> float:
        """How well a comparable form matches this place: 1 the leader, less a conflict, 0 none."""
        if form == self.form:
            return 1.0
        return 0.7 if form in self._form_weights else 0.0

    @property
    def leader(self) -> Candidate:
        """The text with the most evidence; fixed once the slot is stable."""
        assert self._leader is not None  # a slot is born with a vote
        return self._leader

    @property
    def support(self) -> float:
        """Weight of the evidence for the leader's form, in any spelling."""
        return self._form_weights[self.form]

    @property
    def opposition(self) -> float:
        """The heaviest evidence against the leader: another word, or nothing at all."""
        others = (w for form, w in self._form_weights.items() if form != self.form)
        return max(self.misses, max(others, default=0.0))

    @property
    def windows(self) -> int:
        """How many windows heard the leader's form, in any spelling."""
        return sum(c.occurrences for c in self._candidates.values() if c.form == self.form)

    @property
    def is_heard(self) -> bool:
        """Whether more evidence says that there is a word than that there is none."""
        return sum(self._form_weights.values()) > self.misses

    @property
    def opens_segment(self) -> bool:
        """Whether most windows began a segment here."""
        return self._boundary > 0

    @property
    def conflicts(self) -> list[Candidate]:
        """The other texts heard here, most frequent first."""
        others = [c for c in self._candidates.values() if c is not self._leader]
        return sorted(others, key=lambda c: (-c.occurrences, -c.weight, c.text))

    def shown_suffix(self) -> str:
        """Closing punctuation as it stands, final or not."""
        if self.suffix is not None:
            return self.suffix
        return max(self._suffixes, key=lambda s: (self._suffixes[s], s))

    def _elect(self) -> None:
        self.form = max(self._form_weights, key=lambda f: (self._form_weights[f], f))
        spellings = (c for c in self._candidates.values() if c.form == self.form)
        elected = max(spellings, key=lambda c: (c.weight, c.text))
        if self._leader is not None and elected.form != self._leader.form:
            self._time_weight = 0.0  # times of another word say little about this one's
        self._leader = elected

    def _average_times(self, word: HeardWord, weight: float) -> None:
        self._time_weight += weight
        share = weight / self._time_weight
        self.start_s += (word.start_s - self.start_s) * share
        self.end_s += (word.end_s - self.end_s) * share
