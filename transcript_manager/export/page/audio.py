"""
The audio of a page: decoded from a sound file or bag, encoded small.

Ogg Opus, because a word must be heard where it is said to be: in Chromium, what is played after a
seek is within 1 ms of the time asked for; in MP3 it is off by up to 32 ms, in Ogg Vorbis by up to
0.9 s. FLAC is exact, too, and six times larger. Measured by ``bench/page.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
import io
from pathlib import Path
import zlib

import numpy as np
import soundfile

from transcript_manager.audio.files import FileSource
from transcript_manager.errors import AudioSourceError
from transcript_manager.export.page.html import PageAudio
from transcript_manager.streams.audio_bag import BagSource
from transcript_manager.streams.bag import has_bag

MEDIA_TYPE = 'audio/ogg; codecs=opus'
SAMPLE_RATE_HZ = 16000
_COMPRESSION = 0.928
"""Of libsndfile: about 21 kbit/s of speech."""
_SLACK_S = 0.5
"""A transcript may go on so long behind the audio: times are estimates."""
_STREAM_SERIAL = 1


def open_audio(
    path: str | Path, *, topic: str | None = None, channel: int = 0
) -> FileSource | BagSource:
    """
    Open a sound file, or the audio in a bag.

    :param topic: of a bag: where the audio is, if it has several such topics
    :param channel: of a bag: the one to hear, from 1; 0: their mean
    :raises AudioSourceError: if it cannot be used
    """
    if has_bag(Path(path)):
        return BagSource(path, sample_rate_hz=SAMPLE_RATE_HZ, topic=topic, channel=channel)
    return FileSource(path, sample_rate_hz=SAMPLE_RATE_HZ)


def embed(
    source: FileSource | BagSource, *, end_s: float = 0.0, start_s: float = 0.0
) -> PageAudio:
    """
    Encode the audio of a page. Memory grows with the encoded size only, 0.16 MB a minute.

    :param source: is read to its end
    :param end_s: where the transcript ends [s]; 0: it is of this very audio, nothing is checked
    :param start_s: where the audio begins in the transcript's time [s]; silence is put in front,
        or, if negative, so much of it is left out
    :raises AudioSourceError: if it is damaged, or does not reach to the transcript's end
    """
    if isinstance(source, FileSource) and source.duration_s is not None:
        _check_length(source.name, source.duration_s + start_s, end_s)  # before the work
    if start_s > end_s > 0:
        raise AudioSourceError(
            f'{source.name} begins {start_s - end_s:.1f} s after the transcript has ended: '
            'is it the right recording?'
        )
    file = io.BytesIO()
    count = 0
    with soundfile.SoundFile(
        file,
        'w',
        SAMPLE_RATE_HZ,
        1,
        format='OGG',
        subtype='OPUS',
        compression_level=_COMPRESSION,
    ) as sound:
        for samples in _placed(source, round(start_s * SAMPLE_RATE_HZ)):
            sound.write(samples)
            count += len(samples)
    duration_s = count / SAMPLE_RATE_HZ
    _check_length(source.name, duration_s, end_s)
    return PageAudio(_with_fixed_serial(file.getvalue()), MEDIA_TYPE, duration_s)


def _placed(source: FileSource | BagSource, start: int) -> Iterator[np.ndarray]:
    """Yield blocks of int16, with silence before, or without the first samples."""
    second = np.zeros(SAMPLE_RATE_HZ, np.int16)
    for at in range(0, start, len(second)):
        yield second[: start - at]
    to_skip = max(0, -start)
    while (samples := source.read()) is not None:
        if to_skip < len(samples):
            yield samples[to_skip:]
        to_skip = max(0, to_skip - len(samples))


def _check_length(name: str, duration_s: float, end_s: float) -> None:
    if duration_s < end_s - _SLACK_S:
        raise AudioSourceError(
            f'{name} is {duration_s:.1f} s long, the transcript goes to {end_s:.1f} s: '
            'is it the right recording?'
        )


# -- Ogg ----------------------------------------------------------------------------------------

_MIRRORED = bytes(int(f'{byte:08b}'[::-1], 2) for byte in range(256))


def _with_fixed_serial(data: bytes) -> bytes:
    """
    Give an Ogg stream a fixed serial number, which libsndfile draws by chance.

    So that the same session makes the same page. Pages as in RFC 3533, section 6.
    """
    stream = bytearray(data)
    at = 0
    while at < len(stream):
        segments = stream[at + 26]
        size = 27 + segments + sum(stream[at + 27 : at + 27 + segments])
        stream[at + 14 : at + 18] = _STREAM_SERIAL.to_bytes(4, 'little')
        stream[at + 22 : at + 26] = bytes(4)
        checksum = _ogg_crc(bytes(stream[at : at + size]))
        stream[at + 22 : at + 26] = checksum.to_bytes(4, 'little')
        at += size
    return bytes(stream)


def _ogg_crc(page: bytes) -> int:
    """Return Ogg's CRC-32: zlib's on mirrored bits, begun with 0 and not inverted at the end."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f'{mirrored:032b}'[::-1], 2)
