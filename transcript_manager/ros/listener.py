"""A node that follows a transcript over its topics and keeps what it has heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import String

from transcript_manager import msg
from transcript_manager.result import join_punctuation, Result, ResultSegment, ResultWord
from transcript_manager.ros import qos
from transcript_manager.ros.vitals import followed, Vitals
from transcript_manager.streams.messages import NS_PER_S, to_ns


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The transcript at one moment."""

    revision: int
    position_ns: int
    """End of the audio merged so far, on the clock of the stamps [ns]; 0 before the first."""
    segments: list[msg.TranscriptSegment]
    """Frozen segments, all of them."""
    stable_text: str
    """Of the active part."""
    tentative_text: str
    appended_text: str
    """All of transcript/text so far."""
    language: str
    model: str
    inference_ms: int
    window_s: float
    """Length of the newest window [s]; 0 before the first."""
    is_silent: bool | None
    """Whether the gate heard nobody in the newest window; None before the first."""
    active: list[msg.TranscriptSegment]
    """What is not frozen; what has been frozen since the newest update is left out."""
    has_all_frozen: bool
    """Whether every segment has arrived that the newest update counts as frozen."""
    vitals: Vitals
    silent_s: float
    """For how long nobody has told anything [s]."""
    is_ended: bool
    """Whether the stream has ended."""
    is_complete: bool
    """Whether the stream has ended and every frozen segment has arrived."""


class TranscriptListener(Node):
    """
    Subscribe to ``transcript``, ``transcript/frozen``, ``transcript/text`` and ``tokens``.

    And to ``/diagnostics``, for what it says about the nodes of its own namespace.
    """

    def __init__(self, **options) -> None:
        super().__init__('transcript_listener', **options)
        self.changed = threading.Condition()
        """Notified when anything new has arrived."""
        self._update = msg.TranscriptUpdate()
        self._tokens = msg.WhisperTokens()
        self._vitals = Vitals()
        self._segments: list[msg.TranscriptSegment] = []
        self._newest_index = -1
        self._let_go = 0
        self._heard_s = time.monotonic()
        self._frozen_chars = 0
        self._appended: list[str] = []
        self._appended_chars = 0
        for message_type, topic, callback, profile in (
            (msg.TranscriptSegment, 'transcript/frozen', self._on_frozen, qos.TRANSCRIPT_FROZEN),
            (String, 'transcript/text', self._on_text, qos.TRANSCRIPT_TEXT),
            (msg.TranscriptUpdate, 'transcript', self._on_update, qos.TRANSCRIPT),
            (msg.WhisperTokens, 'tokens', self._on_tokens, qos.TOKENS),
            (DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS),
        ):
            self.create_subscription(message_type, topic, callback, profile)

    def snapshot(self) -> Snapshot:
        """Return what has arrived so far; callable from any thread."""
        with self.changed:
            update = self._update
            has_all_frozen = self._newest_index + 1 >= update.frozen_count
            self._appended[:] = [''.join(self._appended)]
            return Snapshot(
                revision=update.revision,
                position_ns=to_ns(update.header.stamp),
                segments=self._segments[:],
                stable_text=update.stable_text,
                tentative_text=update.tentative_text,
                appended_text=self._appended[0],
                language=self._tokens.language,
                model=self._tokens.model,
                inference_ms=self._tokens.inference_ms,
                window_s=self._tokens.window_ms / 1000,
                is_silent=self._is_silent(),
                active=[s for s in update.active if s.index > self._newest_index],
                has_all_frozen=has_all_frozen,
                vitals=self._vitals,
                silent_s=time.monotonic() - self._heard_s,
                is_ended=update.end_of_stream,
                is_complete=(
                    update.end_of_stream
                    and has_all_frozen
                    and self._appended_chars >= self._frozen_chars
                ),
            )

    def let_go(self, count: int) -> None:
        """
        Forget the words of the first segments, which take most of the memory in hours of speech.

        Their texts, indices and starts stay: a segment that comes again is known by them.
        """
        with self.changed:
            for at in range(self._let_go, min(count, len(self._segments))):
                self._segments[at].words = []
                self._let_go = at + 1

    def _is_silent(self) -> bool | None:
        tokens = self._tokens
        if not tokens.window_ms:
            return None
        return not tokens.segments and tokens.inference_ms == 0

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        with self.changed:
            before = self._vitals
            self._vitals = followed(before, message, self.get_namespace())
            if self._vitals is not before:
                self._heard_s = time.monotonic()
            self.changed.notify_all()

    def _on_frozen(self, message: msg.TranscriptSegment) -> None:
        with self.changed:
            if message.index <= self._newest_index and self._is_known(message):
                return
            self._newest_index = message.index
            self._segments.append(message)
            self._frozen_chars += len(message.text)
            self.changed.notify_all()

    def _is_known(self, message: msg.TranscriptSegment) -> bool:
        """Whether a segment comes again; one that only has its index is of another manager."""
        return any(s.index == message.index and s.start == message.start for s in self._segments)

    def _on_text(self, message: String) -> None:
        with self.changed:
            self._appended.append(message.data)
            self._appended_chars += len(message.data)
            self.changed.notify_all()

    def _on_update(self, message: msg.TranscriptUpdate) -> None:
        with self.changed:
            has_restarted = message.revision < self._update.revision
            if has_restarted and self._newest_index >= message.frozen_count:
                self._newest_index = -1  # another manager, which counts from the beginning
            self._update = message
            self._heard_s = time.monotonic()
            self.changed.notify_all()

    def _on_tokens(self, message: msg.WhisperTokens) -> None:
        with self.changed:
            self._tokens = message


def to_result_segment(message: msg.TranscriptSegment, *, start_ns: int) -> ResultSegment:
    """Convert a frozen segment; its times then count from ``start_ns``."""
    words = to_words(message.words, start_ns=start_ns)
    begin_s = (to_ns(message.start) - start_ns) / NS_PER_S
    length_s = (message.duration.sec * NS_PER_S + message.duration.nanosec) / NS_PER_S
    return ResultSegment(begin_s, begin_s + length_s, message.text, join_punctuation(words))


def to_words(messages: Iterable[msg.TranscriptWord], *, start_ns: int) -> list[ResultWord]:
    """Convert words; their times then count from ``start_ns``."""
    return [
        ResultWord(
            text=w.text,
            start_s=(to_ns(w.start) - start_ns) / NS_PER_S,
            end_s=(to_ns(w.end) - start_ns) / NS_PER_S,
            probability=w.probability,
            occurrences=w.occurrences,
            conflicts=tuple(zip(w.conflicts, w.conflict_occurrences, strict=False)),
        )
        for w in messages
    ]


def to_result(snapshot: Snapshot, *, start_ns: int) -> Result:
    """Convert the frozen part of a snapshot; its times then count from ``start_ns``."""
    segments = [to_result_segment(s, start_ns=start_ns) for s in snapshot.segments]
    return Result(snapshot.language, segments)
