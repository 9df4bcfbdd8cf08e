"""
The decoder's work on one stream of windows: gate, language, whisper.cpp, guards.

One engine serves several streams; what belongs to a single one (the gate's state, the language,
the counters) is here. It knows no clock, no thread and no ROS.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
import threading

import numpy as np
import soxr

from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.guards import Cut, guard, GuardCounts, GuardSettings
from transcript_manager.decoder.language import LanguageLock
from transcript_manager.decoder.options import AUTO, DecodeOptions
from transcript_manager.decoder.tokens import EngineSegment, EngineToken
from transcript_manager.decoder.voice import (
    CHUNK_SAMPLES,
    speech_spans,
    VoiceActivity,
    VoiceSettings,
)

SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Everything that may change between two windows."""

    options: DecodeOptions = field(default_factory=DecodeOptions)
    gate: bool = True
    """Whether windows without speech are left undecoded, and silence around speech cut off."""
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    guards: GuardSettings = field(default_factory=GuardSettings)
    rolling_context: bool = False
    """Whether the prompt goes on with what was said before the window."""


@dataclass(frozen=True, slots=True)
class StreamWindow:
    """A window as it comes."""

    samples: np.ndarray
    """int16, shape (n,), mono."""
    sample_rate_hz: int
    first_sample: int
    """Index of ``samples[0]`` in the stream."""
    stream_start_ns: int
    """Capture time of the stream's sample 0."""
    end_of_stream: bool = False

    @property
    def duration_ms(self) -> int:
        """Its length [ms]."""
        return round(len(self.samples) * 1000 / self.sample_rate_hz)


@dataclass(frozen=True, slots=True)
class StreamResult:
    """What was heard in a window."""

    segments: tuple[EngineSegment, ...]
    """With times from the window's first sample."""
    language: str
    """ISO 639-1; '' while unknown."""
    is_silent: bool = False
    """Whether the gate heard nobody, so that nothing was decoded."""
    skipped_ms: int = 0
    """So much of the window's start was not looked at: it is longer than the model takes [ms]."""
    cuts: tuple[Cut, ...] = ()


@dataclass(slots=True)
class StreamCounts:
    """What has happened on a stream so far."""

    windows: int = 0
    silent: int = 0
    decoded: int = 0
    repeated: int = 0
    """Windows that came again, answered without another decode."""
    too_long: int = 0
    detections: int = 0
    """Of the language."""
    speech: float = 0.0
    """Of the last window, the share that the gate took for speech."""
    guards: GuardCounts = field(default_factory=GuardCounts)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A window before the guards."""

    segments: tuple[EngineSegment, ...]
    speech_ms: list[tuple[int, int]] | None
    skipped_ms: int
    is_silent: bool


class StreamDecoder:
    """
    Decode the windows of one stream.

    :param engine: shared with other streams; one thread at a time decodes
    :param settings: may be replaced between two windows, see :meth:`configure`
    :param voice: the gate's model; None loads Silero's when the gate is first used
    """

    def __init__(
        self,
        engine: WhisperEngine,
        settings: StreamSettings,
        *,
        voice: VoiceActivity | None = None,
    ) -> None:
        self.engine = engine
        self.counts = StreamCounts()
        self.context = ''
        """What was said before the next window, for rolling context."""
        self._settings = settings
        self._voice = voice
        self._lock = LanguageLock(settings.options.language)
        self._last: tuple[tuple, _Heard] | None = None

    @property
    def language(self) -> str:
        """The language given, locked or guessed so far; '' before the first guess."""
        return self._lock.language

    @property
    def is_language_locked(self) -> bool:
        """Whether detection is over."""
        return self._lock.is_locked

    def configure(self, settings: StreamSettings) -> None:
        """Take other settings from the next window on; setting a language starts it anew."""
        if settings.options.language != self._settings.options.language:
            self._lock = LanguageLock(settings.options.language)
        self._settings = settings

    def detect_language_again(self) -> None:
        """Forget a detected language; the next windows with speech are asked again."""
        self._lock.detect_again()

    def decode(
        self, window: StreamWindow, *, abort: threading.Event | None = None
    ) -> StreamResult:
        """
        Hear one window.

        :param abort: see :meth:`WhisperEngine.transcribe`
        :raises DecodeAborted: if it was set
        :raises DecodeFailed: if whisper.cpp could not decode this window
        """
        self.counts.windows += 1
        settings = self._settings  # they may be replaced meanwhile
        identity = (window.stream_start_ns, window.first_sample, len(window.samples), settings)
        if self._last is not None and self._last[0] == identity:
            heard = self._last[1]  # sent again, or once more as the last one
            is_new = False
            self.counts.repeated += 1
        else:
            heard = self._hear(window, settings, abort)
            is_new = True
            self._last = (identity, heard)
        segments, cuts = guard(
            heard.segments,
            settings.guards,
            window_ms=window.duration_ms,
            start_ms=heard.skipped_ms,
            speech_ms=heard.speech_ms,
            is_start_cut=window.first_sample > 0 or heard.skipped_ms > 0,
            is_end_cut=not window.end_of_stream,
        )
        if is_new:
            self.counts.guards.add(cuts)
        return StreamResult(
            segments, self.language, heard.is_silent, heard.skipped_ms, tuple(cuts)
        )

    def _hear(
        self, window: StreamWindow, settings: StreamSettings, abort: threading.Event | None
    ) -> _Heard:
        samples = window.samples
        if window.sample_rate_hz != SAMPLE_RATE_HZ and len(samples):
            samples = soxr.resample(samples, window.sample_rate_hz, SAMPLE_RATE_HZ)
        samples = np.ascontiguousarray(samples, dtype=np.int16)
        spans, speech_s = self._speech(samples, window, settings)
        if not spans:
            self.counts.silent += 1
            return _Heard((), [], 0, is_silent=True)
        first, end = spans[0][0], spans[-1][1]
        skipped_ms = 0
        if end - first > self.engine.max_samples:
            # The newest part: windows before this one have heard the rest.
            self.counts.too_long += 1
            first = end - self.engine.max_samples
            skipped_ms = first * 1000 // SAMPLE_RATE_HZ
        part = samples[first:end]
        if self._lock.wants(speech_s):
            self._lock.hear(self._detected(part, settings), speech_s)
            self.counts.detections += 1
        result = self.engine.transcribe(part, self._options(settings), abort=abort)
        self.counts.decoded += 1
        offset_ms = first * 1000 // SAMPLE_RATE_HZ
        speech_ms = None
        if settings.gate:
            speech_ms = [
                (a * 1000 // SAMPLE_RATE_HZ, b * 1000 // SAMPLE_RATE_HZ) for a, b in spans
            ]
        segments = tuple(_moved(s, offset_ms) for s in result.segments)
        return _Heard(segments, speech_ms, skipped_ms, is_silent=False)

    def _speech(
        self, samples: np.ndarray, window: StreamWindow, settings: StreamSettings
    ) -> tuple[list[tuple[int, int]], float]:
        """Return where there is speech, and how much [s]; without the gate it is everywhere."""
        length_s = len(samples) / SAMPLE_RATE_HZ
        if len(samples) == 0:
            return [], 0.0
        if not settings.gate:
            self.counts.speech = 1.0
            return [(0, len(samples))], length_s
        if self._voice is None:
            self._voice = VoiceActivity()
        first_sample = window.first_sample * SAMPLE_RATE_HZ // window.sample_rate_hz
        probabilities = self._voice.judge(samples, first_sample, window.stream_start_ns)
        voice = settings.voice
        spans = speech_spans(
            probabilities,
            voice,
            sample_count=len(samples),
            start=self._voice.chunk_start(0),
        )
        spoken = int(np.count_nonzero(probabilities >= voice.threshold)) * CHUNK_SAMPLES
        speech_s = min(spoken / SAMPLE_RATE_HZ, length_s)
        self.counts.speech = speech_s / length_s
        return spans, speech_s

    def _options(self, settings: StreamSettings) -> DecodeOptions:
        options = settings.options
        if options.language == AUTO and self.language:
            options = replace(options, language=self.language)
        if settings.rolling_context and self.context:
            options = replace(options, prompt=self._with_context(options.prompt))
        return options

    def _detected(self, samples: np.ndarray, settings: StreamSettings) -> dict[str, float]:
        return self.engine.detect_language(samples, threads=settings.options.threads)

    def _with_context(self, prompt: str) -> str:
        """Append what was said, as much of its end as the model's context holds."""
        words = self.context.split()
        while words:
            text = ' '.join([prompt, *words]).strip()
            if self.engine.count_tokens(text) <= self.engine.max_prompt_tokens:
                return text
            words = words[max(1, len(words) // 8) :]
        return prompt


def _moved(segment: EngineSegment, by_ms: int) -> EngineSegment:
    if by_ms == 0:
        return segment
    tokens = tuple(
        EngineToken(t.id, t.text, t.probability, t.start_ms + by_ms, t.end_ms + by_ms)
        if t.start_ms >= 0
        else t
        for t in segment.tokens
    )
    return EngineSegment(segment.start_ms + by_ms, segment.end_ms + by_ms, tokens)
