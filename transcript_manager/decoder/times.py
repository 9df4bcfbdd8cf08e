"""
When each token was said: from the moments that DTW marks to starts and ends.

Whisper's decoder attends to the audio of a token while it predicts that token. whisper.cpp (1.8.5,
``whisper_exp_compute_token_level_timestamps_dtw``) lays a monotonic path through these attentions,
whose rows are the predictions of the text tokens and of the end of text, and gives token i the
moment at which the path leaves row i for row i + 1. So it marks a token's END, whatever the model
(OpenAI's ``timing.py`` takes the same moment for the end of one word and the start of the next).
How late the moment comes is the model's own: its :class:`~.models.DtwTraits` say so.

What no path through attentions knows is where inside a pause one word has ended and the next has
not begun: there the sound decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import unicodedata

import numpy as np

from transcript_manager.decoder.tokens import RawSegment, UNKNOWN_MS

SAMPLE_RATE_HZ = 16000

_FRAME_MS = 10
_FRAME_SAMPLES = SAMPLE_RATE_HZ * _FRAME_MS // 1000
_PAUSE_MS = 120  # the closure of a stop inside a word is shorter
_MAX_TRAILING_MS = 40  # less quiet than this at a word's end is left to the mark
_LOUDNESS = 0.35  # between the quietest and the loudest of a window, on a scale of dB
_MAX_TOKEN_MS = 1000  # a token after a pause does not begin where the one before it ended


def find_sound(samples: np.ndarray) -> np.ndarray:
    """
    Tell in which frames of 10 ms there is sound, by the window's own loudness range.

    :param samples: int16, shape (n,), 16 kHz
    :returns: bool, shape (n // 160,)
    """
    count = len(samples) // _FRAME_SAMPLES
    if count == 0:
        return np.zeros(0, dtype=bool)
    frames = samples[: count * _FRAME_SAMPLES].astype(np.float32).reshape(count, -1)
    level = np.sqrt(np.mean(frames**2, axis=1)) + 1.0
    level_db = 20 * np.log10(np.convolve(level, np.ones(3) / 3, mode='same'))
    low_db, high_db = np.quantile(level_db, (0.05, 0.95))
    return level_db > low_db + _LOUDNESS * (high_db - low_db)


@dataclass(slots=True)
class _Word:
    """A word on its way: which tokens, and from when to when."""

    tokens: list[tuple[int, int]]
    """(segment, token)"""
    start_ms: int
    end_ms: int
    previous_end_ms: int


def dtw_spans(
    segments: Sequence[RawSegment], sound: np.ndarray, *, late_ms: int = 0
) -> list[list[tuple[int, int]]]:
    """
    Return (start, end) of every token of every segment [ms], -1 where unknown.

    A token begins where the one before it ended, and ends at its mark. A word that follows a pause
    begins with the sound after it, and a word before a pause ends with its sound.

    :param segments: text tokens only, with ``dtw_ms``
    :param sound: from :func:`find_sound`, for the same samples
    :param late_ms: how much later than a token's end the model's mark comes, in the median [ms]
    """
    spans = [[(UNKNOWN_MS, UNKNOWN_MS)] * len(s.tokens) for s in segments]
    words: list[_Word] = []
    letters_end_ms: int | None = None
    for i, segment in enumerate(segments):
        at_ms = segment.start_ms
        begins = True  # the next token with letters begins a word
        for k, token in enumerate(segment.tokens):
            begins = begins or token.bytes.startswith(b' ') or _is_unspaced(token.bytes)
            if token.dtw_ms < 0:
                continue
            end_ms = max(0, token.dtw_ms - late_ms)
            start_ms = max(min(at_ms, end_ms), end_ms - _MAX_TOKEN_MS, 0)
            at_ms = end_ms
            spans[i][k] = (start_ms, end_ms)
            if not _has_letters(token.bytes):
                continue
            if begins or not words:
                begins = False
                from_ms = start_ms if letters_end_ms is None else letters_end_ms
                words.append(_Word([], start_ms, end_ms, min(from_ms, start_ms)))
            words[-1].tokens.append((i, k))
            words[-1].end_ms = letters_end_ms = end_ms
    for word in words:
        _fit_to_sound(word, spans, sound)
    return spans


def _fit_to_sound(word: _Word, spans: list[list[tuple[int, int]]], sound: np.ndarray) -> None:
    i, k = word.tokens[0]
    low = min(word.previous_end_ms // _FRAME_MS, len(sound))
    high = min(max(low + 1, word.end_ms // _FRAME_MS), len(sound))
    # A pause after its first token is one inside the word, or no word at all.
    onset = _after_pause(sound[low : min(high, spans[i][k][1] // _FRAME_MS)])
    if onset is not None:
        word.start_ms = max(0, (low + onset) * _FRAME_MS - _FRAME_MS)
        spans[i][k] = (word.start_ms, spans[i][k][1])
    first = max(0, word.start_ms // _FRAME_MS)
    loud = np.flatnonzero(sound[first:high])
    if len(loud):
        end_ms = (first + int(loud[-1]) + 1) * _FRAME_MS
        if word.end_ms - end_ms >= _MAX_TRAILING_MS:
            for i, k in word.tokens:
                start_ms, token_end_ms = spans[i][k]
                spans[i][k] = (min(start_ms, end_ms), min(token_end_ms, end_ms))


def _after_pause(sound: np.ndarray) -> int | None:
    """Return the first frame with sound after the last pause, if there is one."""
    loud = np.flatnonzero(sound)
    if len(loud) == 0:
        return None
    gaps = np.diff(np.concatenate(([-1], loud))) - 1  # frames of quiet before each loud one
    pauses = np.flatnonzero(gaps * _FRAME_MS >= _PAUSE_MS)
    return int(loud[pauses[-1]]) if len(pauses) else None


def _is_unspaced(text: bytes) -> bool:
    """Whether a token is of a script without spaces: its characters are words of their own."""
    decoded = text.decode('utf-8', errors='ignore')
    return any(unicodedata.category(c) == 'Lo' for c in decoded)


def _has_letters(text: bytes) -> bool:
    # Bytes of a character that is split over tokens count as letters.
    return any(byte >= 0x80 or chr(byte).isalnum() for byte in text)
