"""
Two speech engines, each returning a spoken sentence and when its words are said.

Both are called through ctypes: they need only the engines' shared libraries. An engine carries
the state of its noise source from one sentence to the next, so a sentence sounds a little
different each time; the same sentences in the same order in a new process come out the same.
"""

from __future__ import annotations

from collections.abc import Iterator
import ctypes
from dataclasses import dataclass
from itertools import pairwise, takewhile
import re
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
import soxr

RATE_HZ = 16_000


class SpeechError(Exception):
    """What stops the speech from being made; the message is one line and says what to do."""


class Word(NamedTuple):
    """One word as written, punctuation attached, and when it is said."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Clip:
    """One spoken sentence."""

    samples: NDArray[np.float32]
    """Shape (n_samples,), [-1, 1], mono 16 kHz."""
    words: list[Word]
    """In order; seconds from the first sample."""


class Voice(Protocol):
    """Something that speaks sentences; made from the voice's name within its engine."""

    def __init__(self, name: str) -> None: ...

    @staticmethod
    def library() -> ctypes.CDLL:
        """Open the engine, or raise SpeechError where it is not installed."""

    def say(self, text: str) -> Clip:
        """Speak one sentence, its words separated by single spaces."""


def open_library(soname: str, package: str) -> ctypes.CDLL:
    """Open a shared library that the Debian package ``package`` installs."""
    try:
        return ctypes.CDLL(soname, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        message = f'{soname} not found; on Debian and Ubuntu: apt-get install {package}'
        raise SpeechError(message) from error


def resample(pcm: NDArray[np.int16], rate_hz: int) -> NDArray[np.float32]:
    """Turn int16 samples of any rate into float32 ones at 16 kHz."""
    resampled: NDArray[np.float32] = soxr.resample(
        pcm.astype(np.float32) / 32768, rate_hz, RATE_HZ
    )
    return resampled


class _FliteWave(ctypes.Structure):
    """The ``cst_wave`` of flite's ``cst_wave.h``."""

    _fields_ = (
        ('type', ctypes.c_char_p),
        ('rate_hz', ctypes.c_int),
        ('n_samples', ctypes.c_int),
        ('n_channels', ctypes.c_int),
        ('samples', ctypes.POINTER(ctypes.c_short)),
    )


class Flite:
    """A flite voice (awb, kal16, rms, slt); a word's times are those of its segments."""

    _SIGNATURES = {
        'flite_synth_text': (ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_void_p)),
        'utt_wave': (ctypes.POINTER(_FliteWave), (ctypes.c_void_p,)),
        'utt_relation': (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_char_p)),
        'relation_head': (ctypes.c_void_p, (ctypes.c_void_p,)),
        'item_next': (ctypes.c_void_p, (ctypes.c_void_p,)),
        'ffeature_float': (ctypes.c_float, (ctypes.c_void_p, ctypes.c_char_p)),
        'delete_utterance': (None, (ctypes.c_void_p,)),
    }
    _WORD_START = b'R:SylStructure.daughter1.daughter1.R:Segment.p.end'
    _WORD_END = b'R:SylStructure.daughtern.daughtern.R:Segment.end'

    def __init__(self, name: str) -> None:
        self._lib = self.library()
        for function_name, (result, arguments) in self._SIGNATURES.items():
            function = getattr(self._lib, function_name)
            function.restype, function.argtypes = result, arguments
        self._lib.flite_init()
        voice_lib = open_library(f'libflite_cmu_us_{name}.so.1', 'libflite1')
        register = getattr(voice_lib, f'register_cmu_us_{name}')
        register.restype, register.argtypes = ctypes.c_void_p, (ctypes.c_char_p,)
        self._voice = register(None)

    @staticmethod
    def library() -> ctypes.CDLL:
        """Open libflite."""
        return open_library('libflite.so.1', 'libflite1')

    def say(self, text: str) -> Clip:
        """Speak one sentence."""
        utterance = self._lib.flite_synth_text(text.encode(), self._voice)
        wave = self._lib.utt_wave(utterance).contents
        pcm = np.ctypeslib.as_array(wave.samples, (wave.n_samples,))
        samples = resample(pcm, wave.rate_hz)
        spans = list(self._word_spans(utterance))
        self._lib.delete_utterance(utterance)
        written = text.split()
        if len(spans) != len(written):
            raise SpeechError(f'flite does not speak this word for word; reword it: {text}')
        return Clip(
            samples, [Word(word, *span) for word, span in zip(written, spans, strict=True)]
        )

    def _word_spans(self, utterance: int) -> Iterator[tuple[float, float]]:
        """Yield each spoken word's start and end, in seconds."""
        item = self._lib.relation_head(self._lib.utt_relation(utterance, b'Word'))
        while item:
            yield (
                self._lib.ffeature_float(item, self._WORD_START),
                self._lib.ffeature_float(item, self._WORD_END),
            )
            item = self._lib.item_next(item)


class _EspeakEventId(ctypes.Union):
    _fields_ = (
        ('number', ctypes.c_int),
        ('name', ctypes.c_char_p),
        ('string', ctypes.c_char * 8),
    )


class _EspeakEvent(ctypes.Structure):
    """The ``espeak_EVENT`` of espeak-ng's ``speak_lib.h``."""

    _fields_ = (
        ('type', ctypes.c_int),
        ('unique_identifier', ctypes.c_uint),
        ('text_position', ctypes.c_int),
        ('length', ctypes.c_int),
        ('audio_position', ctypes.c_int),
        ('sample', ctypes.c_int),
        ('user_data', ctypes.c_void_p),
        ('id', _EspeakEventId),
    )


_EspeakCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent)
)


class _Phoneme(NamedTuple):
    """One phoneme event; a name starting with ``_`` is a pause."""

    name: str
    start_s: float


class _WordEvent(NamedTuple):
    """One word event: its time and the index of the phoneme that follows it."""

    start_s: float
    phoneme_idx: int


class Espeak:
    """An espeak-ng voice such as en-us+f2; its events tell where words start and sound ends."""

    _WORDS_PER_MINUTE = 160
    _PITCH = 50
    """0 to 100; 50 is the voice's own pitch."""

    _AUDIO_OUTPUT_SYNCHRONOUS = 2
    _INITIALIZE_PHONEME_EVENTS = 1
    _PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
    _CHARS_UTF8 = 1
    _EVENT_LIST_TERMINATED, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7

    _PAUSE = '_'
    _STOPS = tuple('bdgkpt')
    _PAIR_ONSETS = {'a': '@', 'not': 'n', 'the': 'D'}
    """First phoneme of the words that espeak-ng fuses with the one before them ("of the")."""

    def __init__(self, name: str) -> None:
        self._lib = self.library()
        self._rate_hz = self._lib.espeak_Initialize(
            self._AUDIO_OUTPUT_SYNCHRONOUS, 0, None, self._INITIALIZE_PHONEME_EVENTS
        )
        if self._rate_hz <= 0:
            raise SpeechError('espeak-ng has no voice data; apt-get install espeak-ng-data')
        if self._lib.espeak_SetVoiceByName(name.encode()) != 0:
            raise SpeechError(f'espeak-ng has no voice {name!r}; see: espeak-ng --voices')
        self._lib.espeak_SetParameter(self._PARAMETER_RATE, self._WORDS_PER_MINUTE, 0)
        self._lib.espeak_SetParameter(self._PARAMETER_PITCH, self._PITCH, 0)
        self._callback = _EspeakCallback(self._collect)  # the library keeps only a pointer to it
        self._lib.espeak_SetSynthCallback(self._callback)
        self._pcm: list[NDArray[np.int16]] = []
        self._phonemes: list[_Phoneme] = []
        self._word_events: dict[int, _WordEvent] = {}

    @staticmethod
    def library() -> ctypes.CDLL:
        """Open libespeak-ng."""
        return open_library('libespeak-ng.so.1', 'libespeak-ng1')

    def say(self, text: str) -> Clip:
        """Speak one sentence."""
        self._pcm, self._phonemes, self._word_events = [], [], {}
        encoded = text.encode()
        self._lib.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, self._CHARS_UTF8, None, None)
        pcm = np.concatenate(self._pcm)
        tokens = list(re.finditer(r'\S+', text))
        edges_s = [*self._word_starts(tokens), len(pcm) / self._rate_hz]
        words = [
            Word(token.group(), start_s, self._end_of_sound(start_s, next_s))
            for token, (start_s, next_s) in zip(tokens, pairwise(edges_s), strict=True)
        ]
        return Clip(resample(pcm, self._rate_hz), words)

    def _collect(self, pcm: Any, n_samples: int, events: Any) -> int:
        """Take what the library has made: int16 samples, and the events among them."""
        if n_samples > 0:
            self._pcm.append(np.ctypeslib.as_array(pcm, (n_samples,)).copy())
        for event in takewhile(lambda e: e.type != self._EVENT_LIST_TERMINATED, events):
            start_s = event.sample / self._rate_hz
            if event.type == self._EVENT_WORD:
                word_event = _WordEvent(start_s, len(self._phonemes))
                self._word_events.setdefault(event.text_position - 1, word_event)
            elif event.type == self._EVENT_PHONEME:
                self._phonemes.append(_Phoneme(event.id.string.decode(), start_s))
        return 0

    def _word_starts(self, tokens: list[re.Match[str]]) -> Iterator[float]:
        """Yield where each word is first heard, in seconds."""
        previous = _WordEvent(0.0, 0)
        for token in tokens:
            event = self._word_events.get(token.start())
            if event is None:
                yield self._start_in_pair(token.group(), previous)
            else:
                yield self._start_of_sound(event)
                previous = event

    def _start_of_sound(self, event: _WordEvent) -> float:
        """
        Correct a word event's time, in seconds.

        It is early after a pause and after a nasal, where the first phoneme's own event is right.
        In running speech a stop begins with its silent closure, and its event is the burst.
        """
        phoneme = self._phonemes[event.phoneme_idx]
        before = self._phonemes[event.phoneme_idx - 1].name if event.phoneme_idx else self._PAUSE
        in_running_speech = not before.startswith(self._PAUSE)
        if in_running_speech and phoneme.name.startswith(self._STOPS):
            return event.start_s
        return phoneme.start_s

    def _start_in_pair(self, word: str, first: _WordEvent) -> float:
        """Find the second word of a fused pair by its first phoneme, in seconds."""
        onset = self._PAIR_ONSETS.get(word)
        for phoneme in self._phonemes[first.phoneme_idx + 1 :]:
            if phoneme.name == onset:
                return phoneme.start_s
        raise SpeechError(f'espeak-ng does not tell when {word!r} starts; reword the sentence')

    def _end_of_sound(self, start_s: float, next_s: float) -> float:
        """Find where a word ends, in seconds: at a pause, or where the next word starts."""
        pauses_s = (p.start_s for p in self._phonemes if p.name.startswith(self._PAUSE))
        return next((pause_s for pause_s in pauses_s if start_s < pause_s < next_s), next_s)
