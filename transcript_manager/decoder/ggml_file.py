"""
A reader of whisper.cpp's model files that checks them from end to end without loading them.

whisper.cpp trusts its files: a damaged one can end the process. The layout is the one its
``whisper_model_load`` reads: magic, hyperparameters, mel filters, vocabulary, then one record
after another, each a tensor, up to the end of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import struct
from typing import BinaryIO

from transcript_manager.errors import ModelError

_MAGIC = b'lmgg'  # 0x67676d6c, little-endian
_FFT_BINS = 201  # 1 + 400 / 2
_MULTILINGUAL_VOCAB = 51865

# ggml type: (values in a block, bytes of a block)
_BLOCKS = {
    0: (1, 4),  # f32
    1: (1, 2),  # f16
    2: (32, 18),  # q4_0
    3: (32, 20),  # q4_1
    6: (32, 22),  # q5_0
    7: (32, 24),  # q5_1
    8: (32, 34),  # q8_0
    10: (256, 84),  # q2_K
    11: (256, 110),  # q3_K
    12: (256, 144),  # q4_K
    13: (256, 176),  # q5_K
    14: (256, 210),  # q6_K
}

# What people hand over instead of a model, by its first bytes.
_MISTAKES = (
    (b'GGUF', 'a GGUF file; whisper.cpp takes ggml-*.bin files'),
    (b'PK\x03\x04', "a PyTorch or zip file; convert it with whisper.cpp's scripts first"),
    (b'version https://git-lfs', 'a Git LFS pointer, not the model itself; run "git lfs pull"'),
    (b'<', 'a web page, not a model; the download went wrong'),
    (b'RIFF', 'a WAV file, not a model'),
)

_RANGES = {
    'n_vocab': (1000, 200_000),
    'n_audio_ctx': (8, 3000),
    'n_audio_state': (8, 4096),
    'n_audio_head': (1, 64),
    'n_audio_layer': (1, 64),
    'n_text_ctx': (8, 4096),
    'n_text_state': (8, 4096),
    'n_text_head': (1, 64),
    'n_text_layer': (1, 64),
    'n_mels': (1, 256),
    'ftype': (0, 9999),
}


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """The hyperparameters of a model."""

    n_vocab: int
    n_audio_ctx: int
    """Positions of the encoder's output, 50 a second."""
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int
    n_mels: int
    ftype: int

    @property
    def is_multilingual(self) -> bool:
        """Whether the model knows languages other than English."""
        return self.n_vocab >= _MULTILINGUAL_VOCAB


class _Truncated(Exception):
    """The file ended inside a record."""


class _Corrupt(Exception):
    """A record says something that cannot be."""


def read_header(path: Path) -> ModelHeader:
    """
    Check a model file completely and return its hyperparameters.

    :raises ModelError: if it is missing, unreadable, no model, truncated or damaged
    """
    try:
        if path.is_dir():
            raise ModelError(f'{path}: is a directory; give a ggml model file')
        with open(path, 'rb') as file:
            return _read(path, file, os.fstat(file.fileno()).st_size)
    except FileNotFoundError as error:
        raise ModelError(f'{path}: no such model file') from error
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ModelError(f'{path}: cannot be read: {reason}') from error


def _read(path: Path, file: BinaryIO, size_bytes: int) -> ModelHeader:
    start = file.read(32)
    if not start:
        raise ModelError(f'{path}: is empty (0 bytes)')
    if start[:4] != _MAGIC:
        what = next((w for s, w in _MISTAKES if start.startswith(s)), 'not a ggml model file')
        raise ModelError(f'{path}: {what}')
    file.seek(4)
    try:
        header = ModelHeader(*_unpack(file, '<11i'))
        _check_header(header)
        _skip_filters(file, header)
        _skip_vocabulary(file, header)
        _skip_tensors(file, header, size_bytes)
    except _Truncated:
        raise ModelError(f'{path}: is truncated at {size_bytes} bytes; fetch it again') from None
    except _Corrupt as error:
        raise ModelError(f'{path}: is damaged ({error}); fetch it again') from None
    return header


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    size = struct.calcsize(layout)
    data = file.read(size)
    if len(data) < size:
        raise _Truncated
    return struct.unpack(layout, data)


def _check_header(header: ModelHeader) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(header, name)
        if not low <= value <= high:
            raise _Corrupt(f'{name} is {value}')
    if header.n_audio_state % header.n_audio_head or header.n_text_state % header.n_text_head:
        raise _Corrupt('its heads do not divide its states')
    if header.n_audio_state != header.n_text_state:
        raise _Corrupt('encoder and decoder differ in width')
    if header.ftype % 1000 not in (0, 1, 2, 3, 7, 8, 9, *range(10, 19)):
        raise _Corrupt(f'ftype is {header.ftype}')


def _skip_filters(file: BinaryIO, header: ModelHeader) -> None:
    n_mels, n_bins = _unpack(file, '<2i')
    if n_mels != header.n_mels or n_bins != _FFT_BINS:
        raise _Corrupt(f'mel filters of {n_mels} x {n_bins}')
    file.seek(n_mels * n_bins * 4, os.SEEK_CUR)


def _skip_vocabulary(file: BinaryIO, header: ModelHeader) -> None:
    (count,) = _unpack(file, '<i')
    if not 0 < count <= header.n_vocab:
        raise _Corrupt(f'a vocabulary of {count} for {header.n_vocab} tokens')
    for _ in range(count):
        (length,) = _unpack(file, '<I')
        if length > 1024:
            raise _Corrupt(f'a token of {length} bytes')
        if len(file.read(length)) < length:
            raise _Truncated


def _skip_tensors(file: BinaryIO, header: ModelHeader, size_bytes: int) -> None:
    names: set[bytes] = set()
    while file.tell() < size_bytes:
        n_dims, name_length, kind = _unpack(file, '<3i')
        if not 1 <= n_dims <= 4 or not 1 <= name_length <= 256 or kind not in _BLOCKS:
            raise _Corrupt(f'tensor {len(names)}: {n_dims} dimensions, type {kind}')
        shape = _unpack(file, f'<{n_dims}i')
        name = file.read(name_length)
        values = 1
        for length in shape:
            if not 1 <= length <= 1_000_000:
                raise _Corrupt(f'tensor {name!r} of shape {shape}')
            values *= length
        block_values, block_bytes = _BLOCKS[kind]
        if shape[0] % block_values or name in names:
            raise _Corrupt(f'tensor {name!r} of shape {shape}, type {kind}')
        names.add(name)
        file.seek(values // block_values * block_bytes, os.SEEK_CUR)
    if file.tell() > size_bytes:
        raise _Truncated
    # 7 + 4 outside the layers; 15 in an encoder's layer, 24 in a decoder's.
    expected = 11 + 15 * header.n_audio_layer + 24 * header.n_text_layer
    if len(names) < expected:
        raise _Truncated
    if len(names) > expected:
        raise _Corrupt(f'{len(names)} tensors, must be {expected}')
