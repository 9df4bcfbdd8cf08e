"""Sound files as a source: any format of libsndfile, any rate, any number of channels."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import soundfile
import soxr

from transcript_manager.audio.source import BLOCK_S, to_int16
from transcript_manager.errors import AudioSourceError

_MIN_RATE_HZ, _MAX_RATE_HZ = 1000, 768000


class _Stream(soundfile.SoundFile):
    """
    A file that is only ever read forward.

    After each read soundfile seeks to where the read has ended anyway; an MP3 decoder loses its
    state by it, and every block begins with a gap.
    """

    def seekable(self) -> bool:
        return False


class FileSource:
    """
    A sound file, downmixed by the mean of its channels and resampled.

    Memory does not depend on the file's length.

    :param path: the file
    :param sample_rate_hz: rate of the samples handed out
    :raises AudioSourceError: if the file cannot be used; the message names it and what to do
    """

    def __init__(self, path: str | Path, *, sample_rate_hz: int = 16000) -> None:
        self.name = str(path)
        self.sample_rate_hz = sample_rate_hz
        self._file = _open(Path(path))
        try:
            self._check()
        except AudioSourceError:
            self._file.close()
            raise
        rate_hz = self._file.samplerate
        self.duration_s: float | None = self._file.frames / rate_hz
        self._block_frames = max(1, round(BLOCK_S * rate_hz))
        self._is_plain = (
            rate_hz == sample_rate_hz
            and self._file.channels == 1
            and self._file.subtype == 'PCM_16'
        )
        self._resampler = (
            soxr.ResampleStream(rate_hz, sample_rate_hz, 1, dtype='float32')
            if rate_hz != sample_rate_hz
            else None
        )
        self._ended = False

    def read(self, timeout_s: float = 0.0) -> np.ndarray | None:
        """
        Return the next block, about 100 ms; see :class:`AudioSource`. A file never waits.

        :raises AudioSourceError: if the file turns out to be damaged here
        """
        if self._ended:
            return None
        dtype = 'int16' if self._is_plain else 'float32'
        try:
            block = self._file.read(self._block_frames, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioSourceError(f'{self.name}: damaged: {_reason(error)}') from error
        self._ended = len(block) < self._block_frames
        if self._is_plain:
            return block[:, 0]
        mono = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0).mean(axis=1)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono.astype(np.float32), last=self._ended)
        return to_int16(mono)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def __enter__(self) -> FileSource:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close the file."""
        self.close()

    def _check(self) -> None:
        rate_hz = self._file.samplerate
        if not _MIN_RATE_HZ <= rate_hz <= _MAX_RATE_HZ:
            raise AudioSourceError(
                f'{self.name}: its sample rate is {rate_hz} Hz, '
                f'must be {_MIN_RATE_HZ}..{_MAX_RATE_HZ} Hz'
            )
        if self._file.frames <= 0:
            raise AudioSourceError(f'{self.name}: holds no audio (0 samples)')


def _open(path: Path) -> soundfile.SoundFile:
    # libsndfile says "System error" for most of these; ask the system first.
    try:
        if path.is_dir():
            raise AudioSourceError(f'{path}: is a directory; give a sound file')
        with open(path, 'rb') as file:
            is_empty = os.fstat(file.fileno()).st_size == 0
    except OSError as error:
        reasons = {
            errno.ENOENT: 'no such file',
            errno.EACCES: 'no permission to read it',
        }
        raise AudioSourceError(f'{path}: {reasons.get(error.errno, error.strerror)}') from error
    except ValueError as error:  # a NUL in the name
        raise AudioSourceError(f'{str(path)!r}: {error}') from error
    if is_empty:
        raise AudioSourceError(f'{path}: is empty (0 bytes)')
    try:
        return _Stream(str(path))
    except (soundfile.LibsndfileError, TypeError) as error:
        raise AudioSourceError(
            f'{path}: not a sound file that can be read ({_reason(error)}); WAV, FLAC, OGG, MP3 '
            'and AIFF work, others after: ffmpeg -i FILE out.wav'
        ) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, 'error_string', error)).strip().rstrip('.')
