"""
The transcript: overlapping decodes in, words that stay put out.

Each decode is aligned with the slots that are not frozen (align.py) and votes on them (slot.py),
each vote weighed by what is known of it (evidence.py). Slots become stable in order, when enough
windows agree; stable text is only ever appended to. Segments that have left the window are frozen
and handed out once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from transcript_manager.merge.align import align
from transcript_manager.merge.decode import Decode
from transcript_manager.merge.evidence import edge_weight, MISS_WEIGHT
from transcript_manager.merge.horizon import Horizon
from transcript_manager.merge.restart import RestartWatch
from transcript_manager.merge.segments import (
    segments_of,
    split_segments,
    TranscriptSegment,
)
from transcript_manager.merge.settings import MergeSettings
from transcript_manager.merge.slot import Slot
from transcript_manager.merge.window import HeardWindow

_DROP_LEAD = 1.0
"""By so much must the misses lead to drop a word for good: a lost word is worse than a wait."""
_FORGET_LEAD = 2.0
"""By so much must the misses lead for a word to be forgotten."""
_OPPOSITION = 1.0
"""How much evidence for a word is needed against each of what speaks against it."""
_MAJORITY = 4
"""So many more windows for a word than against it are enough, however unsure the decoder was."""
_PATIENCE_S = 2.0
"""So long the lead asked of a word is the whole one; from then on it falls to the deadline."""
_DEADLINE_LEAD = 0.3
"""Share of the lead that is asked for just before the deadline."""
_MARGIN_S = 2.0
"""Slots that end longer than this before a window are not looked for in it."""
_MAX_SEGMENT_S = 20.0
"""A segment that the decoder never ended is cut here, so that the active part stays bounded."""
_MAX_ACTIVE_WORDS = 300
"""Ten words a second: more is no speech, and the active part stays bounded even so."""
_CUT_S = 0.15
"""A word so close to the newest window's end is not shown: it is most often cut."""
_ENDED_SPANS = 3
_LATE_S = 5.0
"""Later than this no window comes, as a rule: where the search for earlier ones stops."""


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What one merge did."""

    stable_text: str
    """What became stable with this merge; appending all of them gives the transcript."""
    frozen: tuple[TranscriptSegment, ...]
    """Segments that became final with this merge."""


class Transcript:
    """
    Fuse overlapping decodes of one stream into a transcript.

    Memory is the part that is not frozen yet; frozen segments are handed out and forgotten.
    """

    def __init__(self, settings: MergeSettings | None = None) -> None:
        self._settings = settings or MergeSettings()
        self._slots: list[Slot] = []
        self._stable_count = 0  # slots[:stable_count] are stable
        self._merged_end_s = float('-inf')
        self._frozen_end_s = float('-inf')
        self._window_s = 0.0
        self._stream_start_s: float | None = None
        self._ended_spans: set[tuple[float, float]] = set()  # the last ones of an ended stream
        self._spans: deque[tuple[float, float]] = deque(maxlen=64)  # (start, end) merged [s]
        self._witnesses: deque[tuple[float, float]] = deque(maxlen=64)  # without looping windows
        self._restart_watch = RestartWatch()
        self._horizon: Horizon | None = None
        self._last_words: deque[tuple[str, float]] = deque(maxlen=4)  # frozen: text, middle [s]
        self.frozen_count = 0
        """Segments frozen so far."""
        self.ignored_windows = 0
        """Windows that came twice, or too late to tell anything."""
        self.restarts = 0
        """How often the times of the windows jumped back, so that a new stream began."""

    @property
    def merged_end_s(self) -> float:
        """End of the audio merged so far [s]; -inf before a stream's first merge."""
        return self._merged_end_s

    def merge(self, decode: Decode) -> MergeResult:
        """
        Merge one decode.

        A decode that comes late has a say about what is not stable yet; one that covers nothing
        of that, or is merged already, is ignored. One of length 0 says that time has gone on and
        nobody has listened. If it ends the stream, what is left is flushed.
        Three windows in a row that are 15 s late and more begin a new stream: the source's clock
        has been set back.
        """
        stable_text = ''
        frozen: list[TranscriptSegment] = []
        span = (decode.start_s, decode.end_s)
        if self._merged_end_s == float('-inf') and span in self._ended_spans:
            self.ignored_windows += 1  # the end of the last stream comes again
            return MergeResult('', ())
        if self._restart_watch.sees_restart(decode.end_s, merged_end_s=self._merged_end_s):
            self.restarts += 1
            horizon = self._horizon
            text, rest = self.flush()
            stable_text += text
            frozen += rest
            if horizon is not None and decode.start_s < horizon.at_s <= decode.end_s:
                self._horizon = horizon  # it was set since the clock was
        if (
            decode.duration_s > 0
            and span not in self._spans
            and decode.end_s > self._settled_end_s
        ):
            self._take(decode)
            stable_text += self._promote(self._merged_end_s)
            text, rest = self._freeze(decode.start_s)
            stable_text += text
            frozen += rest
        elif decode.duration_s == 0 and decode.end_s > self._merged_end_s > float('-inf'):
            # Nobody listened: it says that time has gone on, and nothing else.
            self._merged_end_s = decode.end_s
            stable_text += self._promote(decode.end_s)
            text, rest = self._freeze(decode.end_s - self._window_s)
            stable_text += text
            frozen += rest
        elif not decode.end_of_stream:
            self.ignored_windows += 1
        if decode.end_of_stream:
            # Of a short recording only the last one: it may be played again as a whole.
            count = _ENDED_SPANS if len(self._spans) > 3 * _ENDED_SPANS else 0
            self._ended_spans = {span, *list(self._spans)[len(self._spans) - count :]}
            text, rest = self.flush()
            stable_text += text
            frozen += rest
        return MergeResult(stable_text, tuple(frozen))

    def flush(self) -> tuple[str, list[TranscriptSegment]]:
        """
        Make everything final: the stream has ended.

        What is merged next belongs to a new stream, whose times may start anywhere.

        :returns: the new stable text and the segments frozen
        """
        text = self._promote(float('inf'))
        more, frozen = self._freeze(float('inf'))
        self._merged_end_s = self._frozen_end_s = float('-inf')
        self._stream_start_s = None
        self._spans.clear()
        self._witnesses.clear()
        self._restart_watch.clear()
        self._horizon = None
        return text + more, frozen

    def settle(self) -> tuple[str, list[TranscriptSegment]]:
        """
        Make everything final that was heard so far, while the stream goes on.

        What is cut by the end of the newest window is left to the next one.

        :returns: the new stable text and the segments frozen
        """
        cut_s = self._merged_end_s - _CUT_S
        self._slots = [s for s in self._slots if s.stable or s.end_s <= cut_s]
        text = self._promote(float('inf'))
        more, frozen = self._freeze(float('inf'))
        end_s = self._frozen_end_s
        if end_s > float('-inf') and (self._horizon is None or end_s >= self._horizon.at_s):
            self.ignore_before(end_s)
        return text + more, frozen

    def ignore_before(self, at_s: float) -> None:
        """Take nothing from now on that was said before a time [s]; to be settled first."""
        self._horizon = Horizon(at_s, tuple(self._last_words))

    def resume(
        self, frozen_count: int, end_s: float, last_words: Sequence[tuple[str, float]]
    ) -> None:
        """
        Go on where another transcript of the same stream has ended.

        :param frozen_count: segments it has frozen
        :param end_s: end of its last one [s]
        :param last_words: (text, middle [s]) of its last words
        """
        self.frozen_count = frozen_count
        self._last_words.extend(last_words)
        self._frozen_end_s = end_s
        self.ignore_before(end_s)

    def active(self) -> list[TranscriptSegment]:
        """Return the segments that are not frozen, with what is shown of them."""
        cut_s = self._merged_end_s - _CUT_S
        shown = [s for s in self._slots if s.stable or (s.shown and s.end_s <= cut_s)]
        return self._render(shown, frozen=False)

    @property
    def active_words(self) -> int:
        """How many words are kept, shown or not: what memory and the cost of a merge follow."""
        return len(self._slots)

    @property
    def _settled_end_s(self) -> float:
        """End of the text that takes no more changes [s]."""
        if self._stable_count:
            return max(self._frozen_end_s, self._slots[self._stable_count - 1].end_s)
        return self._frozen_end_s

    # -- voting --------------------------------------------------------------------------------

    def _take(self, decode: Decode) -> None:
        """Let a decode vote on the slots."""
        if self._stream_start_s is None:
            self._stream_start_s = decode.start_s
        window = HeardWindow(
            decode,
            opens_stream=decode.start_s == self._stream_start_s,
            horizon=self._horizon,
        )
        first = 0
        while first < len(self._slots) and self._slots[first].end_s < window.start_s - _MARGIN_S:
            first += 1
        self._slots[first:] = self._vote(window, first)
        self._spans.append((decode.start_s, decode.end_s))
        if not window.has_loop:
            self._witnesses.append((window.start_s, window.end_s))
        self._merged_end_s = max(self._merged_end_s, decode.end_s)
        self._window_s = max(self._window_s, decode.duration_s)
        # What windows after windows did not hear is forgotten, so that inventions do not pile up.
        tentative = self._slots[self._stable_count :]
        tentative = [s for s in tentative if s.misses - s.heard < _FORGET_LEAD]
        for slot in tentative:
            slot.update_shown()
        self._slots[self._stable_count :] = tentative

    def _vote(self, window: HeardWindow, first: int) -> list[Slot]:
        """Let a window vote on the slots from a first one on; return them and the new ones."""
        slots = self._slots[first:]
        aligned = align(
            slots,
            window.words,
            max_gap_words=self._settings.max_gap_words,
            window_s=(window.start_s, window.end_s),
            merged_end_s=self._merged_end_s,
        )
        window.place(slots, aligned)
        settled_end_s = self._settled_end_s
        stable_left = max(0, self._stable_count - first)
        result: list[Slot] = []
        for position, (i, j) in enumerate(aligned):
            if i is None:
                # Settled text takes no insertions: it is never repeated or reopened.
                if stable_left == 0 and self._is_news(window, j, settled_end_s):
                    slot = self._new_slot(window, j)
                    for k, _ in aligned[max(0, position - 1) : position + 2]:
                        if k is not None:
                            slot.take_over(slots[k])
                    result.append(slot)
                continue
            slot = slots[i]
            stable_left -= slot.stable
            result.append(slot)
            if j is not None:
                word = window.words[j]
                if slot.stable:
                    slot.vote(word, *window.weights(j, slot))
                    continue
                if window.is_timed and slot.moves_along(word, window.end_s):
                    slot.miss(MISS_WEIGHT)
                else:
                    slot.vote(word, *window.weights(j, slot))
                slot.note(word, window.end_s)
            elif weight := window.miss_weight(slot):
                slot.miss(weight)
        return result

    def _is_news(self, window: HeardWindow, index: int, settled_end_s: float) -> bool:
        """Whether a word that matches nothing may be one that was not heard before."""
        word = window.words[index]
        if word.is_timed and (word.start_s + word.end_s) / 2 <= settled_end_s:
            return False
        # Other windows have heard what lies before the end of what is merged, and no loop.
        return not window.is_looped(index) or word.end_s > self._merged_end_s

    def _new_slot(self, window: HeardWindow, index: int) -> Slot:
        word = window.words[index]
        slot = Slot.opened(word, *window.weights(index, None))
        slot.note(word, window.end_s)
        for start_s, end_s in reversed(self._witnesses):
            if end_s < word.end_s - _LATE_S:
                break  # and so did those before it, give or take a late one
            if start_s <= word.start_s and word.end_s <= end_s:
                # An earlier window covered the place and heard nothing there.
                slot.miss(MISS_WEIGHT * edge_weight(start_s, end_s, word.start_s, word.end_s))
        return slot

    # -- promotion -----------------------------------------------------------------------------

    def _promote(self, end_s: float) -> str:
        """Make slots stable in order, as far as the evidence goes; return the new stable text."""
        text = ''
        at = self._stable_count
        while at < len(self._slots):
            verdict = self._judge(self._slots[at], end_s)
            if verdict is None:
                break
            if verdict:
                del self._slots[self._stable_count : at]  # passed over: not words
                text += self._commit_next()
                at = self._stable_count
            else:
                at += 1
        return text

    def _judge(self, slot: Slot, end_s: float) -> bool | None:
        """Keep (True), pass over (False) or wait (None)."""
        settings = self._settings
        age_s = end_s - slot.end_s
        if age_s < settings.edge_guard_s:
            return None
        if age_s >= settings.commit_deadline_s:
            return slot.is_heard
        waited = max(0.0, (age_s - _PATIENCE_S) / (settings.commit_deadline_s - _PATIENCE_S))
        share = 1.0 - (1.0 - _DEADLINE_LEAD) * waited
        if slot.misses - slot.heard >= _DROP_LEAD * share:
            return False
        if slot.windows < settings.min_occurrences:
            return None
        lead = slot.support - _OPPOSITION * slot.opposition
        is_clear = lead >= settings.min_lead * share or slot.majority >= _MAJORITY
        return True if is_clear else None

    def _commit_next(self) -> str:
        """Make the first tentative slot stable; its predecessor's punctuation is final with it."""
        slot = self._slots[self._stable_count]
        text = self._close(self._slots[self._stable_count - 1]) if self._stable_count else ''
        slot.settle()
        self._stable_count += 1
        return text + slot.leader.text

    @staticmethod
    def _close(slot: Slot) -> str:
        """Fix a slot's closing punctuation; return it if it was open."""
        if slot.suffix is not None:
            return ''
        slot.suffix = slot.shown_suffix()
        return slot.suffix

    # -- freezing ------------------------------------------------------------------------------

    def _freeze(self, window_start_s: float) -> tuple[str, list[TranscriptSegment]]:
        """Freeze the segments that no window will cover again."""
        gone = 0
        while gone < len(self._slots) and self._slots[gone].end_s < window_start_s:
            gone += 1
        excess = len(self._slots) - _MAX_ACTIVE_WORDS
        if gone == 0 and excess <= 0:
            return '', []
        stop = gone
        if gone < len(self._slots):
            groups = split_segments(self._slots)
            stop = 0
            for group in groups:
                if stop + len(group) > gone:
                    break
                stop += len(group)
            if stop == 0 and self._slots[gone - 1].end_s - self._slots[0].start_s > _MAX_SEGMENT_S:
                stop = gone
            stop = max(stop, excess)
        text = ''
        while self._stable_count < stop:  # left the window before the evidence was enough
            if self._slots[self._stable_count].is_heard:
                text += self._commit_next()
            else:
                del self._slots[self._stable_count]
                stop -= 1
        if stop == 0:
            return text, []
        text += self._close(self._slots[stop - 1])
        frozen = self._render(self._slots[:stop], frozen=True)
        self.frozen_count += len(frozen)
        self._frozen_end_s = max(self._frozen_end_s, frozen[-1].end_s)
        words = [w for segment in frozen[-2:] for w in segment.words if not w.is_punctuation]
        self._last_words.extend((w.text, (w.start_s + w.end_s) / 2) for w in words[-4:])
        del self._slots[:stop]
        self._stable_count -= stop
        return text, frozen

    def _render(self, slots: list[Slot], *, frozen: bool) -> list[TranscriptSegment]:
        return segments_of(
            slots, frozen=frozen, from_s=self._frozen_end_s, first_index=self.frozen_count
        )
