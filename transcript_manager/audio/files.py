"""Sound files as a source: any format of libsndfile, any rate, any number of channels."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import threading
from typing import BinaryIO

import numpy as np
import soundfile

from transcript_manager.audio.source import BLOCK_S, MonoConverter
from transcript_manager.errors import AudioSourceError

_MIN_RATE_HZ = 1000  # nothing below carries speech; the header is damaged
_UNKNOWN_FRAMES = 2**62  # libsndfile says 2**63 - 1 where a header does not tell
_HEADER_BYTES = 4096  # a file that is longer and has no frames is more than a header
_PUMP_BYTES = 65536


class FileSource:
    """
    A sound file, downmixed by the mean of its channels and resampled.

    Memory does not depend on the file's length.

    :param path: the file; a leading ``~`` is the home folder
    :param sample_rate_hz: rate of the samples handed out
    :raises AudioSourceError: if the file cannot be used; the message names it and what to do
    """

    def __init__(self, path: str | os.PathLike[str], *, sample_rate_hz: int = 16000) -> None:
        self.name = _printable(os.fspath(path))
        self.sample_rate_hz = sample_rate_hz
        self.start_time_s: float | None = None
        """Always None: a file does not tell when it was recorded."""
        self._file = _open_file(path, self.name)
        try:
            self._sound, self._file = _open_sound(self._file, self.name)
            self._check()
        except BaseException:
            self._file.close()
            raise
        rate_hz, frames = self._sound.samplerate, self._sound.frames
        self._frames = frames if frames < _UNKNOWN_FRAMES else None
        self.duration_s = self._frames / rate_hz if self._frames is not None else None
        self._block_frames = round(BLOCK_S * rate_hz)
        self._converter = MonoConverter(rate_hz, sample_rate_hz)
        self._decoded_frames = 0
        self._ended = False
        self._failure: AudioSourceError | None = None

    def read(self, timeout_s: float = 0.0) -> np.ndarray | None:
        """
        Return the next block, about 100 ms; see :class:`AudioSource`. A file never waits.

        :raises AudioSourceError: if the file is damaged or cut off here; all there was before
            has been returned
        """
        while not self._ended:
            frames = self._decode()
            samples = self._converter.convert(frames, last=self._ended)
            if len(samples):
                return samples
        if self._failure is not None:
            raise self._failure
        return None

    def close(self) -> None:
        """Close the file; may be called twice. What follows is the end of the stream."""
        self._ended = True
        self._failure = None
        self._sound.close()
        self._file.close()

    def __enter__(self) -> FileSource:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close the file."""
        self.close()

    def _decode(self) -> np.ndarray:
        """Read the next frames, float32, shape (n, channels); n = 0 at the end."""
        block = np.full((self._block_frames, self._sound.channels), np.nan, dtype=np.float32)
        try:
            frames = self._sound.read(out=block)
        except soundfile.SoundFileError as error:
            # How much came before the damage is not told; what was written is not NaN any more.
            written = np.flatnonzero(~np.isnan(block).all(axis=1))
            frames = block[: written[-1] + 1 if len(written) else 0]
            self._decoded_frames += len(frames)
            self._ended = True
            # A stream that was recorded until it was cut ends within a frame: nothing is wrong.
            if self._frames is not None or self._file.read(1):
                self._fail(_reason(error))
            return frames
        self._decoded_frames += len(frames)
        if len(frames) == 0:
            self._ended = True
            missing = (self._frames or 0) - self._decoded_frames
            if missing > self._block_frames:  # less is rounding by some formats
                self._fail('part of it is missing')
        return frames

    def _fail(self, reason: str) -> None:
        good_s = self._decoded_frames / self._sound.samplerate
        whole = f' of {self.duration_s:.1f} s' if self.duration_s is not None else ''
        self._failure = AudioSourceError(
            f'{self.name}: damaged after {good_s:.1f} s{whole} ({reason}); get a whole copy of it'
        )

    def _check(self) -> None:
        if self._sound.frames <= 0:
            hint = ''
            if os.fstat(self._file.fileno()).st_size > _HEADER_BYTES:
                hint = (
                    ' by its header, as after an interrupted recording; try: '
                    f'ffmpeg -i {shlex.quote(self.name)} repaired.wav'
                )
            raise AudioSourceError(f'{self.name}: holds no audio (0 samples){hint}')
        if self._sound.samplerate < _MIN_RATE_HZ:
            raise AudioSourceError(
                f'{self.name}: its sample rate is {self._sound.samplerate} Hz, '
                f'must be at least {_MIN_RATE_HZ} Hz'
            )


class _Sound(soundfile.SoundFile):
    """
    A sound file that is only read forward.

    soundfile seeks to where it is after every read; MP3 decodes differently after that.
    """

    def seekable(self) -> bool:
        return False


def _open_file(path: str | os.PathLike[str], name: str) -> BinaryIO:
    try:
        expanded = os.path.expanduser(path)
        mode = os.stat(expanded).st_mode
        if stat.S_ISDIR(mode):
            raise AudioSourceError(f'{name}: is a directory; give a sound file')
        if not stat.S_ISREG(mode):  # opening a FIFO would wait for its writer
            raise AudioSourceError(f'{name}: is not a regular file; give a sound file')
        file = open(expanded, 'rb', buffering=0)  # noqa: SIM115
    except OSError as error:
        reasons = {
            errno.ENOENT: 'no such file' if name else 'the name of the sound file is empty',
            errno.EACCES: 'no permission to read it',
        }
        reason = reasons.get(error.errno, error.strerror)
        raise AudioSourceError(f'{name}: {reason}' if name else reason) from error
    except ValueError as error:  # a NUL in the name
        raise AudioSourceError(f'{name}: {error}') from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise AudioSourceError(f'{name}: is empty (0 bytes)')
    return file


def _open_sound(file: BinaryIO, name: str) -> tuple[_Sound, BinaryIO]:
    """Return the sound and the file it is read from now."""
    # By descriptor: libsndfile's Python binding takes neither a name that is not UTF-8 nor one
    # that ends in .raw.
    try:
        sound = _Sound(file.fileno(), closefd=False)
    except soundfile.SoundFileError as error:
        raise AudioSourceError(
            f'{name}: not a sound file that can be read ({_reason(error)}); WAV, FLAC, OGG, MP3 '
            f'and AIFF work, others after: ffmpeg -i {shlex.quote(name)} speech.wav'
        ) from error
    if sound.format != 'MP3':
        return sound, file
    # Without a Xing header libsndfile guesses the length from the first frame's bit rate, and
    # drops what is beyond the guess. From a pipe it reads to the end.
    _seek_behind_tags(file)
    reader, writer = os.pipe()
    pipe = open(reader, 'rb', buffering=0)  # noqa: SIM115
    threading.Thread(target=_pump, args=(file, writer), name='mp3', daemon=True).start()
    try:
        return _Sound(reader, closefd=False), pipe
    except soundfile.SoundFileError as error:
        pipe.close()
        raise AudioSourceError(f'{name}: cannot be read ({_reason(error)})') from error


def _seek_behind_tags(file: BinaryIO) -> None:
    """Skip ID3v2 tags: from a pipe, libsndfile finds no MP3 behind a picture of the cover."""
    position = 0
    while True:
        file.seek(position)
        header = file.read(10)
        if len(header) < 10 or header[:3] != b'ID3':
            break
        size = 0
        for byte in header[6:10]:
            size = size << 7 | byte & 0x7F
        position += 10 + size + (10 if header[5] & 0x10 else 0)  # 0x10: a footer follows
    file.seek(position)


def _pump(file: BinaryIO, descriptor: int) -> None:
    """Write a file into a pipe and close both."""
    try:
        with file, open(descriptor, 'wb', buffering=0) as writer:
            while data := file.read(_PUMP_BYTES):
                writer.write(data)
    except BrokenPipeError:
        pass  # the source was closed early


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _reason(error: Exception) -> str:
    text = str(getattr(error, 'error_string', error)).strip().rstrip('.')
    return text.removeprefix('Error : ')
