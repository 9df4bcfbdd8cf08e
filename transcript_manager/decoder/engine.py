"""
whisper.cpp, through pywhispercpp's low-level module: one window in, tokens out.

whisper.cpp asserts, and an assert ends the process. Everything that could trip one is checked
here or by the model file's reader before it is called.
"""

from __future__ import annotations

import atexit
from dataclasses import dataclass
import functools
import logging
import math
import os
import threading

import numpy as np

from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.text import token_texts
from transcript_manager.errors import ModelError, ParameterError

SAMPLE_RATE_HZ = 16000
UNKNOWN_MS = -1
MAX_THREADS = 64

_LOGGER = logging.getLogger(__name__)

_MIN_SAMPLES = SAMPLE_RATE_HZ  # shorter input is padded: whisper.cpp returns nothing for it
_FRAMES_PER_S = 50  # positions of the encoder's output
_AUDIO_CTX_MARGIN = 128  # with less beyond the audio official models repeat themselves
_MAX_TOKEN_MS = 1000  # a token after a pause does not begin where the one before it ended
_GGML_LOG_WARNING, _GGML_LOG_ERROR = 3, 4


@dataclass(frozen=True, slots=True)
class EngineToken:
    """One text token, with times from the window's first sample."""

    id: int
    text: str
    probability: float
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class EngineSegment:
    """One segment, with times from the window's first sample."""

    start_ms: int
    end_ms: int
    tokens: tuple[EngineToken, ...]


@dataclass(frozen=True, slots=True)
class EngineResult:
    """One decode."""

    segments: tuple[EngineSegment, ...]
    language: str
    """ISO 639-1 code of what was spoken."""


def default_threads() -> int:
    """
    Threads that help: one less than the cores this process may use, 1..4.

    whisper.cpp's threads wait for each other busily, and the rest of a robot needs a core. On two
    cores the demo model took 164 ms a window with two threads and 274 ms with one; beside one
    busy process, 460 ms and 247 ms.
    """
    return max(1, min(4, len(os.sched_getaffinity(0)) - 1))


class WhisperEngine:
    """
    One loaded model. Not thread-safe: one thread decodes, any thread may call :meth:`abort`.

    :param model: what to load
    :param threads: of whisper.cpp, 1..64; 0 takes :func:`default_threads`
    :param language: ISO 639-1 code, or 'auto' to detect it in every window
    :raises ModelError: if the model cannot be loaded, or cannot do the language
    :raises ParameterError: if threads or language are out of range
    """

    def __init__(self, model: ModelInfo, *, threads: int = 0, language: str = 'en') -> None:
        if not 0 <= threads <= MAX_THREADS:
            raise ParameterError(f'threads is {threads}, must be 0 (automatic)..{MAX_THREADS}')
        self.model = model
        self.threads = threads or default_threads()
        self._api = _load_api()
        self._language = self._checked_language(language)
        self._aborted = threading.Event()
        self._context = self._load()

    @property
    def max_samples(self) -> int:
        """Longest window that the model takes, at 16 kHz."""
        return int(self.model.max_window_s * SAMPLE_RATE_HZ)

    def transcribe(self, samples: np.ndarray) -> EngineResult:
        """
        Decode one window.

        :param samples: int16, shape (n,), mono, 16 kHz, n at most :attr:`max_samples`
        :raises ValueError: if the array is of another type, shape or too long
        :raises DecodeAborted: if :meth:`abort` was called meanwhile
        :raises DecodeFailed: if whisper.cpp could not decode this window
        """
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f'need int16 of shape (n,), got {samples.dtype} {samples.shape}')
        if len(samples) > self.max_samples:
            raise ValueError(f'{len(samples)} samples, the model takes {self.max_samples}')
        if self._aborted.is_set():
            raise DecodeAborted
        if len(samples) == 0:
            return EngineResult((), '' if self._language == 'auto' else self._language)
        audio = np.zeros(max(len(samples), _MIN_SAMPLES), dtype=np.float32)
        np.multiply(samples, 1 / 32768, out=audio[: len(samples)], dtype=np.float32)
        status = self._api.whisper_full(self._context, self._parameters(audio), audio, len(audio))
        if self._aborted.is_set():
            raise DecodeAborted
        if status != 0:
            raise DecodeFailed(f'whisper.cpp failed on a window, status {status}')
        window_ms = len(samples) * 1000 // SAMPLE_RATE_HZ
        count = self._api.whisper_full_n_segments(self._context)
        segments = (self._segment(k, window_ms) for k in range(count))
        return EngineResult(tuple(s for s in segments if s.tokens), self._spoken_language())

    def abort(self) -> None:
        """
        Let no further encoding begin: the running decode ends after its part, later ones at once.

        Callable from any thread.
        """
        self._aborted.set()

    def close(self) -> None:
        """Free the model. The engine cannot be used afterwards."""
        if self._context is not None:
            self._api.whisper_free(self._context)
            self._context = None

    def __enter__(self) -> WhisperEngine:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Free the model."""
        self.close()

    def _load(self):
        api, model = self._api, self.model
        settings = api.whisper_context_default_params()
        settings.use_gpu = False
        settings.flash_attn = model.dtw is None  # whisper.cpp cannot do both
        if model.dtw is not None:
            settings.dtw_token_timestamps = True
            presets = api.whisper_alignment_heads_preset
            settings.dtw_aheads_preset = getattr(presets, model.dtw.preset)
            settings.dtw_n_top = model.dtw.n_top
        errors: list[str] = []
        with _collected_errors(errors):
            context = api.whisper_init_from_file_with_params(str(model.path), settings)
        if errors:  # a failed load returns a context all the same, and using it would crash
            raise ModelError(f'{model.path}: whisper.cpp cannot load it: {errors[-1].strip()}')
        return context

    def _checked_language(self, language: str) -> str:
        known = {self._api.whisper_lang_str(k) for k in range(self._api.whisper_lang_max_id() + 1)}
        if language != 'auto' and language not in known:
            raise ParameterError(
                f'language {language!r} is unknown; give an ISO 639-1 code such as "en" or "de", '
                'or "auto"'
            )
        if self.model.header.is_multilingual:
            return language
        if language not in ('en', 'auto'):
            raise ModelError(
                f'model {self.model.name} knows English only, not {language!r}; take a '
                'multilingual one, such as "base"'
            )
        return 'en'

    def _parameters(self, audio: np.ndarray):
        api = self._api
        parameters = api.whisper_full_default_params(
            api.whisper_sampling_strategy.WHISPER_SAMPLING_GREEDY
        )
        parameters.n_threads = self.threads
        parameters.language = self._language
        parameters.no_context = True  # feeding text back makes Whisper loop
        parameters.token_timestamps = self.model.dtw is None
        parameters.audio_ctx = self._audio_ctx(len(audio))
        for name in ('print_progress', 'print_realtime', 'print_timestamps', 'print_special'):
            setattr(parameters, name, False)
        # Asked once per encoding. The abort callback would be asked at every node of a graph and
        # could end a decode in its middle; what it costs beside busy threads is not known yet.
        parameters.set_encoder_begin_callback(lambda _: not self._aborted.is_set())
        return parameters

    def _audio_ctx(self, sample_count: int) -> int:
        """Positions the encoder computes: the window instead of 30 s of padding."""
        needed = math.ceil(sample_count / SAMPLE_RATE_HZ * _FRAMES_PER_S)
        wanted = self.model.audio_ctx or needed + _AUDIO_CTX_MARGIN
        return min(max(wanted, needed), self.model.header.n_audio_ctx)

    def _spoken_language(self) -> str:
        if self._language != 'auto':
            return self._language
        return self._api.whisper_lang_str(self._api.whisper_full_lang_id(self._context))

    def _segment(self, index: int, window_ms: int) -> EngineSegment:
        api, context = self._api, self._context
        eot = api.whisper_token_eot(context)
        count = api.whisper_full_n_tokens(context, index)
        tokens = [api.whisper_full_get_token_data(context, index, k) for k in range(count)]
        tokens = [t for t in tokens if t.id < eot]  # the rest are marks, not text
        # Segment times are in 10 ms units, like all of whisper.cpp's.
        start_ms = _clamp(api.whisper_full_get_segment_t0(context, index) * 10, 0, window_ms)
        end_ms = _clamp(api.whisper_full_get_segment_t1(context, index) * 10, start_ms, window_ms)
        texts = token_texts(bytes(api.whisper_token_to_bytes(context, t.id)) for t in tokens)
        spans = self._token_spans(tokens, start_ms, window_ms)
        return EngineSegment(
            start_ms,
            end_ms,
            tuple(
                EngineToken(t.id, text, _clamp(float(t.p), 0.0, 1.0), *span)
                for t, text, span in zip(tokens, texts, spans, strict=True)
            ),
        )

    def _token_spans(self, tokens, segment_start_ms: int, window_ms: int) -> list[tuple[int, int]]:
        if self.model.dtw is None:
            return [_token_span(t.t0 * 10, t.t1 * 10, window_ms) for t in tokens]
        # DTW gives one moment a token. For models whose data says that it marks the token's end,
        # the token begins where the one before it ended.
        spans = []
        at_ms = segment_start_ms
        for token in tokens:
            if token.t_dtw < 0:
                spans.append((UNKNOWN_MS, UNKNOWN_MS))
                continue
            end_ms = _clamp(token.t_dtw * 10, 0, window_ms)
            spans.append((max(min(at_ms, end_ms), end_ms - _MAX_TOKEN_MS, 0), end_ms))
            at_ms = end_ms
        return spans


class DecodeAborted(Exception):
    """The decode was ended by :meth:`WhisperEngine.abort`; there is no result."""


class DecodeFailed(Exception):
    """whisper.cpp could not decode a window; it may do the next one."""


def _token_span(start_ms: int, end_ms: int, window_ms: int) -> tuple[int, int]:
    if start_ms < 0 or end_ms < start_ms:
        return UNKNOWN_MS, UNKNOWN_MS
    start_ms = min(start_ms, window_ms)
    return start_ms, _clamp(end_ms, start_ms, window_ms)


def _clamp(value, low, high):
    return min(max(value, low), high)


@functools.cache
def _load_api():
    """Import whisper.cpp on first use: the rest of the package works without it."""
    try:
        import _pywhispercpp as api
    except ImportError as error:
        raise ModelError(
            f'whisper.cpp cannot be loaded ({error}); install it with: pip install pywhispercpp'
        ) from error
    api.whisper_log_set(_on_log)
    # The callback must be gone before the interpreter is: whisper.cpp may log while it dies.
    atexit.register(api.whisper_log_set, None)
    return api


_error_collectors: list[list[str]] = []


def _on_log(level: int, text: str) -> None:
    if level == _GGML_LOG_ERROR:
        for collector in _error_collectors:
            collector.append(text)
    logged = logging.WARNING if level >= _GGML_LOG_WARNING else logging.DEBUG
    if level > _GGML_LOG_ERROR:
        logged = logging.DEBUG  # continuation lines
    _LOGGER.log(logged, 'whisper.cpp: %s', text.rstrip())


class _collected_errors:
    """Collect what whisper.cpp logs as errors while the block runs."""

    def __init__(self, into: list[str]) -> None:
        self._into = into

    def __enter__(self) -> None:
        _error_collectors.append(self._into)

    def __exit__(self, *_exc: object) -> None:
        _error_collectors.remove(self._into)
