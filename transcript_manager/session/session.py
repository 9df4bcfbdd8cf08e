"""
A session: the transcript of one stream with what is kept of it, and the ways to interrupt it.

Every merge gives a :class:`Change`: what became stable, what was frozen, what is still active.
What is frozen is in the journal before anybody hears of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transcript_manager.merge.segments import TranscriptSegment, TranscriptWord, WordState
from transcript_manager.merge.settings import MergeSettings
from transcript_manager.merge.transcript import Transcript
from transcript_manager.session.history import History
from transcript_manager.session.journal import Journal, Restored
from transcript_manager.session.listening import Heard
from transcript_manager.session.records import (
    NS_PER_S,
    Record,
    segment_record,
    word_record,
)
from transcript_manager.streams.messages import to_decode, to_ns

NS_PER_MS = 1_000_000
_FAR_NS = 15 * NS_PER_S
"""What was said so long after the newest audio was said on another clock."""


@dataclass(frozen=True, slots=True)
class Change:
    """What something has done to the transcript."""

    stable_text: str
    frozen: tuple[TranscriptSegment, ...]
    active: tuple[TranscriptSegment, ...]
    heard: Heard
    end_ns: int
    """End of the audio merged so far, on the clock of the stamps [ns]."""
    end_of_stream: bool = False
    has_restarted: bool = False
    """The stream's times have jumped back."""
    is_settled: bool = False
    """All that was heard is final, and what is said next stands apart: flushed, paused, reset."""
    restored: int = 0
    """So many of the frozen segments were told as stable text before a restart."""


class Session:
    """
    Merge token messages, and remember.

    :param settings: of the merge
    :param journal: where frozen segments go; None: nowhere
    :param restored: what a killed session of the same journal has left
    """

    def __init__(
        self,
        settings: MergeSettings,
        *,
        journal: Journal | None = None,
        restored: Restored | None = None,
    ) -> None:
        self._transcript = Transcript(settings)
        self._journal = journal
        self.history = History(journal)
        self._origin_ns: int | None = None
        self._merged_end_ns = 0
        self._seen_end_ns = 0
        self._has_ended = False
        self._entries = 0  # words and marks frozen
        self._ignore_before_ns: int | None = None  # until there is a clock to put it on
        self._restarts = 0
        self._restored = restored
        self.is_paused = restored is not None and restored.is_paused
        self._kept = (0, 0, self.is_paused)
        self.language = ''
        self.words_stable = 0
        """Words that have become stable, frozen ones included."""
        self.words_frozen = 0
        self.start_ns = 0
        """Stamp of the session's first window [ns]; 0 before there was one."""
        if restored is not None:
            self.start_ns = round(restored.started_s * NS_PER_S)
            self.history.begin(restored.first_index)

    # -- how it is -----------------------------------------------------------------------------

    @property
    def frozen_count(self) -> int:
        """Segments frozen so far."""
        return self._transcript.frozen_count

    @property
    def ignored_windows(self) -> int:
        """Windows that came twice, or too late."""
        return self._transcript.ignored_windows

    @property
    def restarts(self) -> int:
        """How often the stream's times have jumped back."""
        return self._transcript.restarts

    @property
    def active_words(self) -> int:
        """Words that are not frozen, shown or not."""
        return self._transcript.active_words

    @property
    def end_ns(self) -> int:
        """End of the newest audio that is known of, merged or not [ns]; 0 before there was any."""
        return self._seen_end_ns

    def origin_ns(self) -> int:
        """Return what the times of segments count from [ns]."""
        return self._origin_ns or 0

    def to_s(self, at_ns: int) -> float:
        """Convert a time to the transcript's clock [s]."""
        return (at_ns - self.origin_ns()) / NS_PER_S

    def active_records(self) -> list[Record]:
        """Return what is not frozen, as segments."""
        entries = self._entries
        records = []
        for segment in self._transcript.active():
            entries += len(segment.words)
            records.append(self._record(segment, entries))
        return records

    # -- what is done to it --------------------------------------------------------------------

    def take(self, message: Any) -> Change | None:
        """
        Merge a token message; None while the session is paused, but for the end of the stream.

        :param message: with the fields of WhisperTokens.msg
        """
        start_ns = to_ns(message.header.stamp)
        end_ns = start_ns + message.window_ms * NS_PER_MS
        self._seen_end_ns = end_ns
        if self.is_paused:
            return self._end_paused(end_ns) if message.end_of_stream else None
        frozen: list[TranscriptSegment] = []
        if self._origin_ns is None:
            self._begin_at(start_ns)
            frozen += self._restore(end_ns)
            if self._ignore_before_ns is not None:
                self._transcript.ignore_before(self.to_s(self._ignore_before_ns))
                self._ignore_before_ns = None
        restored = len(frozen)
        self.language = message.language or self.language
        result = self._transcript.merge(to_decode(message, origin_ns=self._origin_ns))
        frozen += result.frozen
        has_restarted = self._transcript.restarts > self._restarts
        self._restarts = self._transcript.restarts
        if message.end_of_stream or has_restarted or self._has_ended:
            self._merged_end_ns = end_ns  # a new stream may be of any time
        self._has_ended = message.end_of_stream
        self._merged_end_ns = max(self._merged_end_ns, end_ns)  # a late window ends earlier
        return self._change(
            result.stable_text,
            frozen,
            end_of_stream=message.end_of_stream,
            has_restarted=has_restarted,
            restored=restored,
        )

    def settle(self) -> Change:
        """Freeze what was heard so far; the stream goes on."""
        text, frozen = self._transcript.settle()
        return self._change(text, frozen, is_settled=True)

    def pause(self) -> Change:
        """Freeze what was heard so far, and take nothing until :meth:`resume`."""
        self.is_paused = True
        return self.settle()

    def resume(self, now_ns: int) -> None:
        """
        Go on with what is said from now on.

        :param now_ns: now, on the clock of the stamps [ns]
        """
        self.is_paused = False
        self._save([], [])
        self._ignore_before(now_ns)

    def reset(self, now_ns: int) -> Change:
        """
        End this session and begin another, with what is said from now on.

        What was heard so far is frozen and stays in the old session. Segments are counted on.

        :param now_ns: now, on the clock of the stamps [ns]
        """
        restored: list[TranscriptSegment] = []
        if self._restored is not None:  # it belongs to the session that ends
            self._begin_at(self.start_ns)
            restored = self._restore(now_ns)
        text, frozen = self._transcript.settle()
        change = self._change(text, restored + frozen, is_settled=True, restored=len(restored))
        if self._journal is not None:
            self._journal.end()
        self.history.begin(self._transcript.frozen_count)
        self._ignore_before(now_ns)
        self.start_ns = now_ns
        self._entries, self._kept = 0, (0, 0, self.is_paused)
        if self._journal is not None:
            first_index = self._transcript.frozen_count
            self._journal.begin(now_ns / NS_PER_S, first_index=first_index)
            self._save([], [])
        return change

    def close(self) -> Change | None:
        """Freeze the rest and end the session; None if there never was anything."""
        change = None
        if self._origin_ns is not None:
            text, frozen = self._transcript.flush()
            change = self._change(text, frozen, is_settled=True)
        if self._journal is not None and self._restored is None:
            self._journal.end()
        elif self._journal is not None:  # nothing was heard: the next one may go on
            self._journal.release()
        return change

    def touch(self) -> None:
        """Say that the session goes on; to be called every second or so."""
        if self._journal is not None:
            self._journal.append([])  # what waits for the disk is tried again
            self._journal.touch()

    # -- inside --------------------------------------------------------------------------------

    def _ignore_before(self, at_ns: int) -> None:
        if self._origin_ns is None:
            self._ignore_before_ns = at_ns
        else:
            self._transcript.ignore_before(self.to_s(at_ns))

    def _end_paused(self, end_ns: int) -> Change:
        """End a stream of which nothing is taken."""
        text, frozen = self._transcript.flush()
        self._merged_end_ns = end_ns
        self._has_ended = True
        return self._change(text, frozen, end_of_stream=True)

    def _begin_at(self, start_ns: int) -> None:
        self._origin_ns = start_ns
        if self.start_ns == 0:
            self.start_ns = start_ns
        if self._journal is not None and self._restored is None and self._journal.path is None:
            self._journal.begin(self.start_ns / NS_PER_S)

    def _restore(self, first_end_ns: int) -> list[TranscriptSegment]:
        """
        Take over what a killed session has left; returns what had to be frozen for it.

        :param first_end_ns: end of the first window since then [ns]
        """
        restored, self._restored = self._restored, None
        if restored is None:
            return []
        last = restored.last
        count = last['index'] + 1 if last else restored.first_index
        self._entries = last['entries'] if last else 0
        words = list(last['words']) if last else []
        self.language = restored.language
        segments: list[TranscriptSegment] = []
        if restored.active:
            # Stable words never change: they are final as they are.
            frozen = [self._word(w) for w in restored.active]
            segments = [TranscriptSegment(count, tuple(frozen))]
            words += restored.active
            count += 1
        ends_s = [w['end'] for w in words[-8:]] or [restored.started_s]
        end_ns = round(max(ends_s) * NS_PER_S)
        if end_ns > first_end_ns + _FAR_NS:  # the clock was set back meanwhile
            self._transcript.frozen_count = count
            return segments
        last_words = [
            (w['text'], self.to_s(round((w['start'] + w['end']) / 2 * NS_PER_S)))
            for w in words
            if any(c.isalnum() for c in w['text'])
        ]
        self._transcript.resume(count, self.to_s(end_ns), last_words)
        return segments

    def _word(self, record: Record) -> TranscriptWord:
        return TranscriptWord(
            record['text'],
            record['probability'],
            record['occurrences'],
            WordState.FROZEN,
            self.to_s(round(record['start'] * NS_PER_S)),
            self.to_s(round(record['end'] * NS_PER_S)),
            tuple((text, count) for text, count in record.get('conflicts', ())),
            is_punctuation=not any(c.isalnum() for c in record['text']),
        )

    def _record(self, segment: TranscriptSegment, entries: int) -> Record:
        return segment_record(
            segment, origin_ns=self.origin_ns(), language=self.language, entries=entries
        )

    def _change(
        self,
        stable_text: str,
        frozen: list[TranscriptSegment] | tuple[TranscriptSegment, ...],
        *,
        end_of_stream: bool = False,
        has_restarted: bool = False,
        is_settled: bool = False,
        restored: int = 0,
    ) -> Change:
        before = self._entries
        records = []
        for segment in frozen:
            self._entries += len(segment.words)
            self.words_frozen += sum(not w.is_punctuation for w in segment.words)
            records.append(self._record(segment, self._entries))
            self.history.add(records[-1])
        active = tuple(self._transcript.active())
        stable = [w for s in active for w in s.words if w.state is not WordState.TENTATIVE]
        self.words_stable = self.words_frozen + sum(not w.is_punctuation for w in stable)
        self._save(records, stable)
        end_s = self.to_s(self._merged_end_ns)
        heard = Heard(tuple(frozen), before, active, end_s, end_of_stream)
        return Change(
            stable_text,
            tuple(frozen),
            active,
            heard,
            self._merged_end_ns,
            end_of_stream,
            has_restarted,
            is_settled,
            restored,
        )

    def _save(self, records: list[Record], stable: list[TranscriptWord]) -> None:
        if self._journal is None:
            return
        if records:
            self._journal.append(records)
        state = (self._entries, len(stable), self.is_paused)
        if state == self._kept:
            return
        self._kept = state
        origin_ns, entries = self.origin_ns(), self._entries
        words = [word_record(w, origin_ns=origin_ns) for w in stable]
        if self._restored is not None:  # not taken over yet: what is kept must stay
            last, words = self._restored.last, self._restored.active
            entries = last['entries'] if last else 0
        self._journal.keep(words, entries=entries, is_paused=self.is_paused)
