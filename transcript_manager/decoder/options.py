"""What may differ from decode to decode."""

from __future__ import annotations

from dataclasses import dataclass
import os

MAX_THREADS = 64
MAX_FALLBACKS = 5
AUTO = 'auto'


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What may differ from decode to decode; :meth:`.engine.WhisperEngine.check` validates it."""

    language: str = 'en'
    """ISO 639-1 code, or 'auto' to detect it in this window."""
    translate: bool = False
    """Into English; multilingual models only."""
    prompt: str = ''
    """What the talk is about, for the decoder to go on."""
    threads: int = 0
    """Of whisper.cpp, 1..64; 0 takes :func:`default_threads`."""
    audio_ctx: int = 0
    """Positions the encoder computes, 50 a second; 0: by the window's length."""
    fallbacks: int = 0
    """Further decodes at higher temperature where one has failed, 0..5."""
    no_speech_threshold: float = 0.6
    log_probability_threshold: float = -1.0
    """
    A segment with a no-speech probability above the one and a mean log probability below the
    other is dropped by whisper.cpp.
    """


def default_threads() -> int:
    """
    Threads that help: one less than the cores this process may use, 1..4.

    whisper.cpp's threads wait for each other busily, and the rest of a robot needs a core. On two
    cores the demo model took 164 ms a window with two threads and 274 ms with one; beside one
    busy process, 460 ms and 247 ms.
    """
    return max(1, min(4, len(os.sched_getaffinity(0)) - 1))
