"""
whisper.cpp, through pywhispercpp's low-level module: one window in, tokens out.

whisper.cpp asserts, and an assert ends the process. Everything that could trip one is checked
here or by the model file's reader before it is called.
"""

from __future__ import annotations

import math
import threading
import time

import numpy as np

from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.options import (
    AUTO,
    DecodeOptions,
    default_threads,
    MAX_FALLBACKS,
    MAX_THREADS,
)
from transcript_manager.decoder.times import dtw_spans, find_sound, SAMPLE_RATE_HZ
from transcript_manager.decoder.tokens import (
    EngineResult,
    EngineSegment,
    RawSegment,
    RawToken,
    split_at_timestamps,
    to_segment,
    UNKNOWN_MS,
)
from transcript_manager.decoder.whisper_api import collected_errors, collected_log, load_api
from transcript_manager.errors import ModelError, ParameterError

TIMESTAMPS = ('segment', 'token', 'dtw')

_MIN_SAMPLES = SAMPLE_RATE_HZ  # shorter input is padded: whisper.cpp returns nothing for it
_FRAMES_PER_S = 50  # positions of the encoder's output
_AUDIO_CTX_MARGIN = 128  # with less beyond the audio official models repeat themselves
_DTW_COPIES = 4  # of the attention weights that whisper.cpp holds at a time
_MAX_FRAMES = 1500
_VOCAB_BEFORE_LANGUAGES = 51766  # of a multilingual model; each language adds a token
_ENDED = threading.Event()
_ENDED.set()


class WhisperEngine:
    """
    One loaded model. Not thread-safe: one thread decodes, any thread may set an abort event.

    :param model: what to load
    :param timestamps: 'dtw' takes token times from the model's cross-attention, 'token' from
        whisper.cpp's estimates, 'segment' has none
    :param flash_attention: faster; DTW goes without it
    :param use_gpu: where whisper.cpp was built for one
    :param gpu_device: which, 0 is the first
    :param openvino_device: 'CPU', 'GPU', ...: the encoder runs there, where whisper.cpp was built
        with OpenVINO and the model's encoder lies beside it; '' is off
    :raises ModelError: if the model cannot be loaded
    :raises ParameterError: if a value is none of these
    """

    def __init__(
        self,
        model: ModelInfo,
        *,
        timestamps: str = 'dtw',
        flash_attention: bool = True,
        use_gpu: bool = False,
        gpu_device: int = 0,
        openvino_device: str = '',
    ) -> None:
        if timestamps not in TIMESTAMPS:
            raise ParameterError(
                f'timestamps is {timestamps!r}, must be one of: {", ".join(TIMESTAMPS)}'
            )
        self.model = model
        self.timestamps = timestamps
        self.flash_attention = flash_attention and timestamps != 'dtw'  # not both
        self.busy_s = 0.0
        """Time spent in whisper.cpp, all decodes together [s]."""
        self.uses_gpu = False
        """Whether whisper.cpp found a GPU to use."""
        self._api = load_api()
        self._context = self._load(use_gpu, gpu_device, openvino_device)

    @property
    def max_samples(self) -> int:
        """Longest window that the model takes, at 16 kHz."""
        return int(self.model.max_window_s * SAMPLE_RATE_HZ)

    @property
    def max_prompt_tokens(self) -> int:
        """Longest prompt that the decoder sees."""
        return self.model.header.n_text_ctx // 2 - 1

    def check(self, options: DecodeOptions) -> None:
        """
        Check options against the model.

        :raises ParameterError: naming the option and what it may be
        """
        if not 0 <= options.threads <= MAX_THREADS:
            raise ParameterError(
                f'threads is {options.threads}, must be 0 (automatic)..{MAX_THREADS}'
            )
        if not 0 <= options.fallbacks <= MAX_FALLBACKS:
            raise ParameterError(f'fallbacks is {options.fallbacks}, must be 0..{MAX_FALLBACKS}')
        if not 0 <= options.audio_ctx <= self.model.header.n_audio_ctx:
            raise ParameterError(
                f'audio_ctx is {options.audio_ctx}, model {self.model.name} takes 0 (automatic)..'
                f'{self.model.header.n_audio_ctx}'
            )
        self._check_language(options)
        tokens = self.count_tokens(options.prompt)
        if tokens > self.max_prompt_tokens:
            raise ParameterError(
                f'prompt is {tokens} tokens long, model {self.model.name} takes at most '
                f'{self.max_prompt_tokens}; shorten it'
            )

    def _check_language(self, options: DecodeOptions) -> None:
        language = options.language
        if language != AUTO and language not in self.languages():
            raise ParameterError(
                f'language {language!r} is unknown; give an ISO 639-1 code such as "en" or "de", '
                'or "auto"'
            )
        if self.model.header.is_multilingual:
            return
        if language not in ('en', AUTO):
            raise ParameterError(
                f'language is {language!r}, model {self.model.name} knows English only; take a '
                'multilingual one, such as "base"'
            )
        if options.translate:
            raise ParameterError(
                f'translate is on, model {self.model.name} knows English only; take a '
                'multilingual one, such as "base"'
            )

    def languages(self) -> set[str]:
        """Return the codes of the languages that the model can be told."""
        return {self._api.whisper_lang_str(k) for k in range(self._language_count)}

    @property
    def _language_count(self) -> int:
        """How many languages the model has tokens for; whisper.cpp knows one more than most."""
        known = self._api.whisper_lang_max_id() + 1
        if not self.model.header.is_multilingual:
            return known
        return min(known, self.model.header.n_vocab - _VOCAB_BEFORE_LANGUAGES)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text is."""
        if not text:
            return 0
        # With room for none it answers how many it would have needed, negated, and logs an error.
        with collected_errors():
            return -self._api.whisper_tokenize(self._context, text, 0, 0)

    def warm_up(self, options: DecodeOptions, *, window_s: float = 10.0) -> None:
        """Decode noise once: memory is allocated and weights are read before they are needed."""
        count = min(int(window_s * SAMPLE_RATE_HZ), self.max_samples)
        noise = np.random.default_rng(0).integers(-1000, 1000, count).astype(np.int16)
        self.transcribe(noise, options)

    def transcribe(
        self,
        samples: np.ndarray,
        options: DecodeOptions,
        *,
        abort: threading.Event | None = None,
    ) -> EngineResult:
        """
        Decode one window.

        :param samples: int16, shape (n,), mono, 16 kHz, n at most :attr:`max_samples`
        :param options: checked by :meth:`check`
        :param abort: ends the decode soon after it is set, from any thread
        :raises ValueError: if the array is of another type, shape or too long
        :raises DecodeAborted: if ``abort`` was set before the end
        :raises DecodeFailed: if whisper.cpp could not decode this window
        """
        abort = abort or threading.Event()
        audio = self._audio(samples)
        if abort.is_set():
            raise DecodeAborted
        if len(samples) == 0:
            return EngineResult((), '' if options.language == AUTO else options.language)
        started_s = time.perf_counter()
        with collected_errors() as errors:  # it logs one for the language "auto"
            parameters = self._parameters(options, len(audio), abort)
            status = self._api.whisper_full(self._context, parameters, audio, len(audio))
        self.busy_s += time.perf_counter() - started_s
        if abort.is_set():
            raise DecodeAborted
        if status != 0:
            reason = f': {errors[-1]}' if errors else ''
            raise DecodeFailed(f'whisper.cpp failed on a window, status {status}{reason}')
        return EngineResult(self._segments(samples), self._spoken_language(options))

    def detect_language(self, samples: np.ndarray, *, threads: int = 0) -> dict[str, float]:
        """
        Return the probability of each language in a window; costs one run of the encoder.

        :param samples: as for :meth:`transcribe`
        :raises DecodeFailed: if whisper.cpp could not tell
        """
        if not self.model.header.is_multilingual:
            return {'en': 1.0}
        audio = self._audio(samples)
        threads = threads or default_threads()
        probabilities = np.zeros(self._api.whisper_lang_max_id() + 1, dtype=np.float32)
        started_s = time.perf_counter()
        with collected_errors() as errors:
            # The encoder's context is that of the decode before, maybe of a shorter window: a
            # decode that is ended before the encoder sets it, and computes the spectrogram.
            parameters = self._parameters(DecodeOptions(threads=threads), len(audio), _ENDED)
            self._api.whisper_full(self._context, parameters, audio, len(audio))
            status = self._api.whisper_lang_auto_detect(self._context, 0, threads, probabilities)
        self.busy_s += time.perf_counter() - started_s
        if status < 0:
            reason = f': {errors[-1]}' if errors else ''
            raise DecodeFailed(f'whisper.cpp could not detect the language{reason}')
        probabilities = probabilities[: self._language_count]
        probabilities /= max(float(probabilities.sum()), 1e-9)
        return {self._api.whisper_lang_str(k): float(p) for k, p in enumerate(probabilities)}

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

    def _load(self, use_gpu: bool, gpu_device: int, openvino_device: str):
        api, model = self._api, self.model
        settings = api.whisper_context_default_params()
        settings.use_gpu = use_gpu
        settings.gpu_device = gpu_device
        settings.flash_attn = self.flash_attention
        if self.timestamps == 'dtw':
            settings.dtw_token_timestamps = True
            presets = api.whisper_alignment_heads_preset
            settings.dtw_aheads_preset = getattr(presets, model.dtw.preset)
            settings.dtw_n_top = model.dtw.n_top
            settings.dtw_mem_size = self._dtw_bytes()
        with collected_log() as lines:
            context = api.whisper_init_from_file_with_params(str(model.path), settings)
        # A failed load returns a context all the same, and using it would crash. A back end that
        # finds no device logs an error, too, and is no reason to fail.
        errors = [text for is_error, text in lines if is_error and text.startswith('whisper_')]
        if errors:
            raise ModelError(f'{model.path}: whisper.cpp cannot load it: {errors[-1]}')
        self.uses_gpu = any(
            'whisper_backend_init_gpu: using' in text and 'no GPU' not in text for _, text in lines
        )
        if openvino_device:
            with collected_errors() as errors:
                status = api.whisper_ctx_init_openvino_encoder(
                    context, None, openvino_device, None
                )
            if status != 0:
                reason = errors[-1] if errors else 'not built with OpenVINO'
                raise ModelError(
                    f'openvino_device is {openvino_device!r}, but whisper.cpp cannot use it: '
                    f'{reason}'
                )
        return context

    def _dtw_bytes(self) -> int:
        """Memory that DTW may use [bytes]: with too little, whisper.cpp ends the process."""
        header, dtw = self.model.header, self.model.dtw
        heads = dtw.n_top * header.n_text_head if dtw.n_top else header.n_text_head * 8
        weights = header.n_text_ctx * _MAX_FRAMES * heads * 4
        return (64 << 20) + _DTW_COPIES * weights

    def _audio(self, samples: np.ndarray) -> np.ndarray:
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f'need int16 of shape (n,), got {samples.dtype} {samples.shape}')
        if len(samples) > self.max_samples:
            raise ValueError(f'{len(samples)} samples, the model takes {self.max_samples}')
        audio = np.zeros(max(len(samples), _MIN_SAMPLES), dtype=np.float32)
        np.multiply(samples, 1 / 32768, out=audio[: len(samples)], dtype=np.float32)
        return audio

    def _parameters(self, options: DecodeOptions, sample_count: int, abort: threading.Event):
        api = self._api
        parameters = api.whisper_full_default_params(
            api.whisper_sampling_strategy.WHISPER_SAMPLING_GREEDY
        )
        parameters.n_threads = options.threads or default_threads()
        is_multilingual = self.model.header.is_multilingual
        parameters.language = options.language if is_multilingual else 'en'
        parameters.translate = options.translate
        parameters.initial_prompt = options.prompt
        parameters.no_context = True  # feeding text back makes Whisper loop
        parameters.token_timestamps = self.timestamps == 'token'
        # With DTW a second pass over the last bit of a window could be shorter than the filter
        # over the attentions is wide, which whisper.cpp asserts.
        parameters.single_segment = self.timestamps == 'dtw'
        parameters.audio_ctx = self._audio_ctx(sample_count, options.audio_ctx)
        # whisper.cpp tries temperatures 0, inc, 2 inc ... 1; with 0 there is one decode only.
        parameters.temperature_inc = 1 / options.fallbacks if options.fallbacks else 0.0
        parameters.greedy = {'best_of': 1}
        parameters.no_speech_thold = options.no_speech_threshold
        parameters.logprob_thold = options.log_probability_threshold
        for name in ('print_progress', 'print_realtime', 'print_timestamps', 'print_special'):
            setattr(parameters, name, False)
        # Asked after the encoder and after each token, by a thread that needs Python's lock: not
        # measurable on an idle interpreter, beside a busy Python thread up to that lock's 5 ms.
        parameters.set_abort_callback(lambda: abort.is_set())
        parameters.set_encoder_begin_callback(lambda _: not abort.is_set())
        return parameters

    def _audio_ctx(self, sample_count: int, wanted: int) -> int:
        """Positions the encoder computes: the window instead of 30 s of padding."""
        needed = math.ceil(sample_count / SAMPLE_RATE_HZ * _FRAMES_PER_S)
        wanted = wanted or self.model.audio_ctx or needed + _AUDIO_CTX_MARGIN
        return min(max(wanted, needed), self.model.header.n_audio_ctx)

    def _spoken_language(self, options: DecodeOptions) -> str:
        if not self.model.header.is_multilingual:
            return 'en'
        if options.language != AUTO:
            return options.language
        return self._api.whisper_lang_str(self._api.whisper_full_lang_id(self._context))

    def _segments(self, samples: np.ndarray) -> tuple[EngineSegment, ...]:
        api = self._api
        window_ms = len(samples) * 1000 // SAMPLE_RATE_HZ
        first_timestamp = api.whisper_token_beg(self._context)
        eot = api.whisper_token_eot(self._context)
        segments = []
        for k in range(api.whisper_full_n_segments(self._context)):
            for part in split_at_timestamps(self._raw(k), first_timestamp=first_timestamp):
                tokens = [t for t in part.tokens if t.id < eot]  # the rest are marks, not text
                if tokens:
                    segments.append(RawSegment(part.start_ms, part.end_ms, tokens))
        if self.timestamps == 'dtw':
            spans = dtw_spans(segments, find_sound(samples), late_ms=self.model.dtw.late_ms)
        elif self.timestamps == 'token':
            spans = [[(t.start_ms, t.end_ms) for t in s.tokens] for s in segments]
        else:
            spans = [[(UNKNOWN_MS, UNKNOWN_MS)] * len(s.tokens) for s in segments]
        return tuple(
            to_segment(s, s_spans, window_ms=window_ms)
            for s, s_spans in zip(segments, spans, strict=True)
        )

    def _raw(self, index: int) -> RawSegment:
        api, context = self._api, self._context
        tokens = []
        for k in range(api.whisper_full_n_tokens(context, index)):
            data = api.whisper_full_get_token_data(context, index, k)
            tokens.append(
                RawToken(
                    data.id,
                    bytes(api.whisper_token_to_bytes(context, data.id)),
                    float(data.p),
                    data.t0 * 10,  # in units of 10 ms, like all of whisper.cpp's times
                    data.t1 * 10,
                    data.t_dtw * 10 if data.t_dtw >= 0 else UNKNOWN_MS,
                )
            )
        return RawSegment(
            api.whisper_full_get_segment_t0(context, index) * 10,
            api.whisper_full_get_segment_t1(context, index) * 10,
            tokens,
        )


class DecodeAborted(Exception):
    """The decode was ended before it was done; there is no result."""


class DecodeFailed(Exception):
    """whisper.cpp could not decode a window; it may do the next one."""
