"""
The transcript: overlapping decodes in, words that stay put out.

Each decode is aligned with the slots that are not frozen (align.py) and votes on them (slot.py).
Slots become stable in order, when enough windows agree and the window's edge is past; stable text
is only ever appended to. Segments that have left the window are frozen and handed out once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from transcript_manager.errors import ParameterError
from transcript_manager.merge.align import align
from transcript_manager.merge.decode import Decode
from transcript_manager.merge.segments import TranscriptSegment, words_of
from transcript_manager.merge.slot import Slot
from transcript_manager.merge.words import fuse, HeardWord

_LEFT_EDGE_S = 0.5
_RIGHT_EDGE_S = 1.0
_EDGE_WEIGHT = 0.25
"""Weight of evidence at the very edge of a window, where words are cut; 1 beyond the zones."""
_DROP_MARGIN = 1.0
"""By so much more than to keep a word must the evidence to drop it lead: a lost word is worse."""
_MAX_SEGMENT_S = 20.0
"""A segment that the decoder never ended is cut here, so that the active part stays bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """How evidence turns words stable."""

    min_occurrences: int = 2
    """Windows that must have heard a word before it is stable, >= 1."""
    min_lead: float = 1.5
    """Weight by which a word must lead over its conflicts and misses to be stable, > 0."""
    edge_guard_s: float = 0.8
    """A word this close to the end of the newest window is not judged yet [s], >= 0."""
    commit_deadline_s: float = 6.0
    """Without agreement, the leading text is taken when the word is this old [s], > 0."""
    max_gap_words: int = 4
    """Longest run of unmatched words inside the common substring, >= 0."""

    def __post_init__(self) -> None:
        """
        Check the ranges.

        :raises ParameterError: naming the field, its value and its range
        """
        for name, low, high in (
            ('min_occurrences', 1, 100),
            ('min_lead', 0.1, 100.0),
            ('edge_guard_s', 0.0, 10.0),
            ('commit_deadline_s', 0.5, 30.0),
            ('max_gap_words', 0, 20),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParameterError(f'{name} is {value:g}, must be {low:g}..{high:g}')


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
        self._stream_start_s: float | None = None
        self._last_stream_end: tuple[float, float] | None = None
        self._windows: deque[tuple[float, float]] = deque(maxlen=64)  # (start, end) merged [s]
        self.frozen_count = 0
        """Segments frozen so far."""
        self.ignored_windows = 0
        """Windows that came late or twice."""

    @property
    def merged_end_s(self) -> float:
        """End of the audio merged so far [s]; -inf before a stream's first merge."""
        return self._merged_end_s

    def merge(self, decode: Decode) -> MergeResult:
        """
        Merge one decode.

        A decode that does not reach past what is merged already tells nothing new in time and
        is ignored, unless it ends the stream; then what is left is flushed.
        """
        is_new = decode.end_s > self._merged_end_s and decode.duration_s > 0
        is_repeated_end = (decode.start_s, decode.end_s) == self._last_stream_end
        if is_repeated_end or not (is_new or decode.end_of_stream):
            self.ignored_windows += 1
            return MergeResult('', ())
        stable_text = ''
        frozen: list[TranscriptSegment] = []
        if is_new:
            if self._stream_start_s is None:
                self._stream_start_s = decode.start_s
            self._merged_end_s = decode.end_s
            self._vote(decode, fuse(decode))
            self._windows.append((decode.start_s, decode.end_s))
            stable_text += self._promote(decode.end_s)
            text, frozen = self._freeze(decode.start_s)
            stable_text += text
        if decode.end_of_stream:
            text, rest = self.flush()
            stable_text += text
            frozen += rest
            self._last_stream_end = (decode.start_s, decode.end_s)
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
        self._windows.clear()
        return text + more, frozen

    def active(self) -> list[TranscriptSegment]:
        """Return the segments that are not frozen, with what is shown of them."""
        shown = [s for k, s in enumerate(self._slots) if k < self._stable_count or s.is_heard]
        return self._render(shown, frozen=False)

    # -- voting --------------------------------------------------------------------------------

    def _vote(self, decode: Decode, words: list[HeardWord]) -> None:
        slots = self._slots
        aligned = align(
            slots,
            words,
            matches=lambda i, form: slots[i].likeness(form),
            max_gap_words=self._settings.max_gap_words,
        )
        result: list[Slot] = []
        settled_end_s = self._frozen_end_s
        if self._stable_count:
            settled_end_s = max(settled_end_s, slots[self._stable_count - 1].end_s)
        for position, (slot_index, word_index) in enumerate(aligned):
            if slot_index is None:
                word = words[word_index]
                behind_stable = sum(s.stable for s in result) < self._stable_count
                if behind_stable or (word.start_s + word.end_s) / 2 <= settled_end_s:
                    continue  # settled text takes no insertions: it is never repeated or reopened
                slot = self._new_slot(decode, words, word_index)
                neighbours = aligned[max(0, position - 1) : position + 2]
                for neighbour in (slots[i] for i, _ in neighbours if i is not None):
                    slot.take_over(neighbour)
                result.append(slot)
                continue
            slot = slots[slot_index]
            result.append(slot)
            if word_index is not None:
                slot.vote(words[word_index], *self._weights(decode, words, word_index))
            elif decode.start_s <= slot.start_s and slot.end_s <= decode.end_s:
                slot.miss(self._position_weight(decode, slot.start_s, slot.end_s))
        self._slots = result

    def _new_slot(self, decode: Decode, words: list[HeardWord], index: int) -> Slot:
        word = words[index]
        slot = Slot.heard(word, *self._weights(decode, words, index))
        # Earlier windows that covered the place heard nothing there.
        for start_s, end_s in self._windows:
            if start_s <= word.start_s and word.end_s <= end_s:
                slot.miss(self._edge_weight(start_s, end_s, word.start_s, word.end_s))
        return slot

    def _weights(self, decode: Decode, words: list[HeardWord], index: int) -> tuple[float, float]:
        word = words[index]
        weight = self._position_weight(decode, word.start_s, word.end_s)
        weight *= 0.3 + 0.7 * word.probability
        suffix_weight = weight
        is_last = index == len(words) - 1 and not decode.end_of_stream
        is_cut_first = index == 0 and decode.start_s != self._stream_start_s
        if is_last or is_cut_first:
            # Decoders like to end a cut window with a full stop and to begin it as a sentence.
            suffix_weight *= 0.1
        return weight, suffix_weight

    def _position_weight(self, decode: Decode, start_s: float, end_s: float) -> float:
        right_s = float('inf') if decode.end_of_stream else decode.end_s
        left_s = decode.start_s
        if left_s == self._stream_start_s:
            left_s = float('-inf')
        return self._edge_weight(left_s, right_s, start_s, end_s)

    @staticmethod
    def _edge_weight(left_s: float, right_s: float, start_s: float, end_s: float) -> float:
        left = min(1.0, max(0.0, (start_s - left_s) / _LEFT_EDGE_S))
        right = min(1.0, max(0.0, (right_s - end_s) / _RIGHT_EDGE_S))
        return _EDGE_WEIGHT + (1 - _EDGE_WEIGHT) * min(left, right)

    # -- promotion -----------------------------------------------------------------------------

    def _promote(self, end_s: float) -> str:
        """Make slots stable in order, as far as the evidence goes; return the new stable text."""
        text = ''
        while self._stable_count < len(self._slots):
            verdict = self._judge(self._slots[self._stable_count], end_s)
            if verdict is None:
                break
            if verdict:
                text += self._commit_next()
            else:
                del self._slots[self._stable_count]
        return text

    def _judge(self, slot: Slot, end_s: float) -> bool | None:
        """Keep (True), drop (False) or wait (None)."""
        settings = self._settings
        age_s = end_s - slot.end_s
        if age_s < settings.edge_guard_s:
            return None
        if age_s >= settings.commit_deadline_s:
            return slot.is_heard
        lead = slot.support - slot.opposition
        if slot.windows >= settings.min_occurrences and lead >= settings.min_lead:
            return True
        if slot.misses - slot.support >= settings.min_lead + _DROP_MARGIN:
            return False
        return None

    def _commit_next(self) -> str:
        """Make the first tentative slot stable; its predecessor's punctuation is final with it."""
        slot = self._slots[self._stable_count]
        text = self._close(self._slots[self._stable_count - 1]) if self._stable_count else ''
        slot.stable = True
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
        if gone == 0:
            return '', []
        stop = gone
        if gone < len(self._slots):
            groups = _split_segments(self._slots)
            stop = 0
            for group in groups:
                if stop + len(group) > gone:
                    break
                stop += len(group)
            if stop == 0 and self._slots[gone - 1].end_s - self._slots[0].start_s > _MAX_SEGMENT_S:
                stop = gone
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
        del self._slots[:stop]
        self._stable_count -= stop
        return text, frozen

    def _render(self, slots: list[Slot], *, frozen: bool) -> list[TranscriptSegment]:
        """Turn slots into segments; averaged times that overlap are cut to stay in order."""
        segments = []
        at_s = self._frozen_end_s
        following = iter([*slots[1:], None])
        for group in _split_segments(slots):
            words = []
            for slot, after in zip(group, following):  # noqa: B905 - following runs across groups
                start_s = max(slot.start_s, at_s)
                end_s = max(slot.end_s, start_s)
                if after is not None:
                    end_s = min(end_s, max(after.start_s, start_s))
                words += words_of(slot, frozen=frozen, start_s=start_s, end_s=end_s)
                at_s = end_s
            segments.append(TranscriptSegment(self.frozen_count + len(segments), tuple(words)))
        return segments


def _split_segments(slots: list[Slot]) -> Iterator[list[Slot]]:
    """Group slots into segments; the first slot opens one whatever its votes."""
    group: list[Slot] = []
    for slot in slots:
        if group and slot.opens_segment:
            yield group
            group = []
        group.append(slot)
    if group:
        yield group
