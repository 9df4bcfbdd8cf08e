"""
A reader of whisper.cpp's model files that checks them from end to end without loading them.

whisper.cpp trusts its files: a damaged one can end the process. So a file passes only if it holds
exactly the tensors its hyperparameters call for, each in the shape and type whisper.cpp will read
it in. The layout: magic, hyperparameters, mel filters, vocabulary, then one record after another,
each a tensor, up to the end of the file.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
import math
import os
from pathlib import Path
import stat
import struct
from typing import BinaryIO

from transcript_manager.errors import ModelError

_MAGIC = b'lmgg'  # 0x67676d6c, little-endian
_HEADER_BYTES = 48  # the magic and eleven numbers
_FFT_BINS = 201  # 1 + 400 / 2
_MULTILINGUAL_VOCAB = 51865
_MAX_TOKEN_BYTES = 1024
_F32, _F16 = 0, 1

# ggml type: (values in a block, bytes of a block)
_BLOCKS = {
    _F32: (1, 4),
    _F16: (1, 2),
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

# The header's ftype, without its quantisation version: ggml type of the large tensors. Without
# 0, all f32: whisper.cpp loads that and aborts when its CPU code meets the first convolution.
_WEIGHT_TYPES = {1: _F16, 2: 2, 3: 3, 7: 8, 8: 6, 9: 7, 10: 10, 11: 11, 12: 12, 13: 13, 14: 14}

# What people hand over instead of a model, by its first bytes.
_MISTAKES = (
    (b'GGUF', 'a GGUF file; whisper.cpp takes ggml-*.bin files'),
    (b'PK\x03\x04', "a PyTorch or zip file; convert it with whisper.cpp's scripts first"),
    (b'\x80\x02', "a PyTorch file; convert it with whisper.cpp's scripts first"),
    (b'version https://git-lfs', 'a Git LFS pointer, not the model itself; run "git lfs pull"'),
    (b'<', 'a web page, not a model; the download went wrong'),
    (b'RIFF', 'a WAV file, not a model'),
)

# Beyond 48 layers whisper.cpp's graph overflows; it knows the languages of three vocabularies.
_RANGES = {
    'n_vocab': (51864, 51866),
    'n_audio_ctx': (8, 3000),
    'n_audio_state': (8, 4096),
    'n_audio_head': (1, 64),
    'n_audio_layer': (1, 48),
    'n_text_ctx': (8, 4096),
    'n_text_state': (8, 4096),
    'n_text_head': (1, 64),
    'n_text_layer': (1, 48),
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
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ModelError(f'{path}: is a directory; give a ggml model file')
        if not stat.S_ISREG(mode):  # opening a pipe could wait forever
            raise ModelError(f'{path}: is a device or a pipe; give a ggml model file')
        with open(path, 'rb') as file:
            return _Reader(file, os.fstat(file.fileno()).st_size).read(path)
    except FileNotFoundError as error:
        raise ModelError(f'{path}: no such model file') from error
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ModelError(f'{path}: cannot be read: {reason}') from error


class _Reader:
    """One pass over an open file."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._needed_bytes = _HEADER_BYTES  # at least; rises as the file tells more

    def read(self, path: Path) -> ModelHeader:
        start = self._file.read(32)
        if not start:
            raise ModelError(f'{path}: is empty (0 bytes)')
        if start[:4] != _MAGIC:
            what = next((w for s, w in _MISTAKES if start.startswith(s)), 'not a ggml model file')
            raise ModelError(f'{path}: {what}')
        self._file.seek(4)
        try:
            header = ModelHeader(*self._numbers(11))
            _check_header(header)
            tensors = _tensors(header)
            tensors_bytes = sum(_record_bytes(name, *tensor) for name, tensor in tensors.items())
            self._needed_bytes += tensors_bytes
            self._check_filters(header)
            self._check_vocabulary(header)
            self._needed_bytes = self._file.tell() + tensors_bytes
            self._check_tensors(tensors)
        except _Truncated:
            raise ModelError(
                f'{path}: is truncated at {self._size_bytes} bytes, needs at least '
                f'{self._needed_bytes}; fetch it again'
            ) from None
        except _Corrupt as error:
            raise ModelError(
                f'{path}: is damaged or no Whisper model ({error}); fetch it again'
            ) from None
        return header

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise _Truncated
        return data

    def _numbers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f'<{count}i', self._bytes(4 * count))

    def _check_filters(self, header: ModelHeader) -> None:
        n_mels, n_bins = self._numbers(2)
        if n_mels != header.n_mels or n_bins != _FFT_BINS:
            raise _Corrupt(f'mel filters of {n_mels} x {n_bins}')
        count = n_mels * n_bins
        if not all(map(math.isfinite, struct.unpack(f'<{count}f', self._bytes(4 * count)))):
            raise _Corrupt('mel filters that are no numbers')

    def _check_vocabulary(self, header: ModelHeader) -> None:
        (count,) = self._numbers(1)
        if not 0 < count <= header.n_vocab:
            raise _Corrupt(f'a vocabulary of {count} for {header.n_vocab} tokens')
        has_space = False
        for _ in range(count):
            (length,) = self._numbers(1)
            if not 0 <= length <= _MAX_TOKEN_BYTES:
                raise _Corrupt(f'a token of {length} bytes')
            has_space |= self._bytes(length) == b' '
        if not has_space:  # whisper.cpp looks it up in each decode and throws without it
            raise _Corrupt('a vocabulary without the token " "')

    def _check_tensors(self, missing: dict[bytes, tuple[tuple[int, ...], int]]) -> None:
        while missing:
            n_dims, name_length, kind = self._numbers(3)
            if not 1 <= n_dims <= 4 or not 1 <= name_length <= 256:
                raise _Corrupt(f'a tensor of {n_dims} dimensions, name of {name_length} bytes')
            shape = self._numbers(n_dims)
            name = self._bytes(name_length)
            if name not in missing:
                raise _Corrupt(f'tensor {name!r} is unknown or comes twice')
            if (shape, kind) != (wanted := missing.pop(name)):
                raise _Corrupt(
                    f'tensor {name!r} of shape {shape}, type {kind}; must be {wanted[0]}, '
                    f'{wanted[1]}'
                )
            self._file.seek(_data_bytes(shape, kind), os.SEEK_CUR)
            if self._file.tell() > self._size_bytes:
                raise _Truncated
        if rest := self._size_bytes - self._file.tell():
            raise _Corrupt(f'{rest} bytes after its last tensor')


def _check_header(header: ModelHeader) -> None:
    for (name, (low, high)), value in zip(_RANGES.items(), astuple(header), strict=True):
        if not low <= value <= high:
            raise _Corrupt(f'{name} is {value}, must be {low}..{high}')
    if header.n_audio_state % header.n_audio_head or header.n_text_state % header.n_text_head:
        raise _Corrupt('its heads do not divide its states')
    if header.n_audio_state != header.n_text_state:
        raise _Corrupt('encoder and decoder differ in width')
    kind = _WEIGHT_TYPES.get(header.ftype % 1000)
    if kind is None:
        raise _Corrupt(f'weights of ftype {header.ftype}; whisper.cpp takes f16 or quantised ones')
    if header.n_text_state % _BLOCKS[kind][0]:
        raise _Corrupt(f'rows of {header.n_text_state} do not fit ftype {header.ftype}')


def _tensors(header: ModelHeader) -> dict[bytes, tuple[tuple[int, ...], int]]:
    """Return shape, innermost dimension first, and ggml type of every tensor by its name."""
    width = header.n_text_state
    weight = _WEIGHT_TYPES[header.ftype % 1000]
    tensors = {
        'encoder.positional_embedding': ((width, header.n_audio_ctx), _F32),
        'encoder.conv1.weight': ((3, header.n_mels, width), _F16),
        'encoder.conv1.bias': ((1, width), _F32),
        'encoder.conv2.weight': ((3, width, width), _F16),
        'encoder.conv2.bias': ((1, width), _F32),
        'decoder.positional_embedding': ((width, header.n_text_ctx), _F32),
        'decoder.token_embedding.weight': ((width, header.n_vocab), weight),
    }
    norms = ['encoder.ln_post', 'decoder.ln']
    linear = {}  # name: (inputs, outputs)
    for side, layers, kinds in (
        ('encoder', header.n_audio_layer, ('attn',)),
        ('decoder', header.n_text_layer, ('attn', 'cross_attn')),
    ):
        for block in (f'{side}.blocks.{layer}' for layer in range(layers)):
            norms += [f'{block}.mlp_ln', *(f'{block}.{kind}_ln' for kind in kinds)]
            linear[f'{block}.mlp.0'] = (width, 4 * width)
            linear[f'{block}.mlp.2'] = (4 * width, width)
            for kind in kinds:
                for part in ('query', 'key', 'value', 'out'):
                    linear[f'{block}.{kind}.{part}'] = (width, width)
    for name in norms:
        tensors[f'{name}.weight'] = tensors[f'{name}.bias'] = ((width,), _F32)
    for name, (inputs, outputs) in linear.items():
        tensors[f'{name}.weight'] = ((inputs, outputs), weight)
        if not name.endswith('.key'):  # Whisper's keys have no bias
            tensors[f'{name}.bias'] = ((outputs,), _F32)
    return {name.encode(): tensor for name, tensor in tensors.items()}


def _data_bytes(shape: tuple[int, ...], kind: int) -> int:
    block_values, block_bytes = _BLOCKS[kind]
    return math.prod(shape) // block_values * block_bytes


def _record_bytes(name: bytes, shape: tuple[int, ...], kind: int) -> int:
    return 4 * (3 + len(shape)) + len(name) + _data_bytes(shape, kind)
