"""
One decoded window, ready to give evidence: its words, and what each of them is worth.

What a window does not say is evidence too: a place that it covers and hears nothing in. Not where
the window is cut, not where its decoder ran in a loop, and not outside the words that it matched
if it gave no times.
"""

from __future__ import annotations

from collections.abc import Sequence

from transcript_manager.merge.decode import Decode
from transcript_manager.merge.evidence import (
    edge_weight,
    isolated,
    ISOLATED_WEIGHT,
    LOOP_WEIGHT,
    looped,
    MISS_WEIGHT,
    place_weight,
    probability_weight,
    UNSURE_MARK_WEIGHT,
)
from transcript_manager.merge.gaps import Pairing
from transcript_manager.merge.horizon import Horizon
from transcript_manager.merge.slot import Slot
from transcript_manager.merge.words import fuse, HeardWord


class HeardWindow:
    """
    The words of one decode and their weights.

    :param opens_stream: True if nothing was said before the window: its start cuts nothing
    :param horizon: before which the window is taken to hold nothing
    """

    def __init__(
        self, decode: Decode, *, opens_stream: bool, horizon: Horizon | None = None
    ) -> None:
        self.start_s = decode.start_s
        self.end_s = decode.end_s
        self.words: list[HeardWord] = fuse(decode)
        if horizon is not None and horizon.at_s > decode.start_s:
            self.start_s = min(horizon.at_s, decode.end_s)
            self.words = horizon.keep(self.words)
            opens_stream = True  # the audio before is there, so nothing is cut
        self.is_timed = all(w.is_timed for w in self.words)
        self._cut_left_s = float('-inf') if opens_stream else self.start_s
        self._cut_right_s = float('inf') if decode.end_of_stream else decode.end_s
        self._covered_s = (self.start_s, decode.end_s)
        self._loops = looped(self.words)
        self._isolated = isolated(self.words)
        self.has_loop = True in self._loops
        self._loop_s = (float('inf'), float('-inf'))
        self._weights: list[float] = []

    def place(self, slots: Sequence[Slot], aligned: Pairing) -> None:
        """Weigh the words, now that they have their final times, and what is not heard."""
        left_s, right_s = self._cut_left_s, self._cut_right_s
        self._weights = [
            probability_weight(w.probability) * edge_weight(left_s, right_s, w.start_s, w.end_s)
            for w in self.words
        ]
        for k, (is_looped, is_isolated) in enumerate(
            zip(self._loops, self._isolated, strict=True)
        ):
            if is_looped:
                self._weights[k] *= LOOP_WEIGHT
            if is_isolated:
                self._weights[k] *= ISOLATED_WEIGHT
        if self.has_loop:
            looping = [
                w for w, is_looped in zip(self.words, self._loops, strict=True) if is_looped
            ]
            self._loop_s = (looping[0].start_s, max(w.end_s for w in looping))
        if not self.is_timed:
            # Where the words lie is known only as far as they match slots.
            matched = [slots[i] for i, j in aligned if i is not None and j is not None]
            if matched:
                self._covered_s = (matched[0].start_s, matched[-1].end_s)

    def is_looped(self, index: int) -> bool:
        """Whether a word is the repetition of a loop."""
        return self._loops[index]

    def weights(self, index: int, slot: Slot | None) -> tuple[float, float]:
        """
        Weigh a word.

        :param slot: where it is heard; None in a place of its own
        :returns: weights of the word, and of its closing punctuation and segment boundary
        """
        word = self.words[index]
        weight = self._weights[index]
        is_cut = (index == 0 and self._cut_left_s == self.start_s) or (
            index == len(self.words) - 1 and self._cut_right_s == self.end_s
        )
        mark_weight = weight * UNSURE_MARK_WEIGHT if is_cut else weight
        if slot is not None and word.is_timed:
            weight *= place_weight(
                (word.start_s + word.end_s - slot.start_s - slot.end_s) / 2,
            )
        return weight, mark_weight

    def miss_weight(self, slot: Slot) -> float:
        """Weigh that the window heard nothing in a slot; 0 if it says nothing about it."""
        from_s, to_s = self._covered_s
        if slot.start_s < from_s or slot.end_s > to_s:
            return 0.0
        if self.has_loop and self._loop_s[0] < slot.end_s and slot.start_s < self._loop_s[1]:
            return 0.0
        weight = edge_weight(self._cut_left_s, self._cut_right_s, slot.start_s, slot.end_s)
        return MISS_WEIGHT * weight
