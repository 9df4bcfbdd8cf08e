"""
A multilingual model for tests: the bundled one with the ids of a multilingual vocabulary.

It speaks English whatever it is told, but whisper.cpp treats it as multilingual: it has language
tokens, detects a language (always the one it was made for) and translates. No claim about accuracy
rests on it.
"""

from pathlib import Path
import struct

import numpy as np

from transcript_manager.decoder import models

_ENGLISH_VOCAB, _MULTILINGUAL_VOCAB = 51864, 51865
_EOT, _SOT, _TRANSLATE = 50256, 50257, 50357
_BLOCK = 32
_EMBEDDING = 'decoder.token_embedding.weight'


def make(path: Path, *, language_index: int) -> Path:
    """
    Write the model.

    :param language_index: of the language it detects, in whisper.cpp's order: en 0, zh 1, de 2
    """
    data = bytearray(models.resolve('demo').path.read_bytes())
    struct.pack_into('<i', data, 4, _MULTILINGUAL_VOCAB)
    at = _after_vocabulary(data)
    while at < len(data):
        n_dims, n_name, kind = struct.unpack_from('<3i', data, at)
        dims = struct.unpack_from(f'<{n_dims}i', data, at + 12)
        begin = at + 12 + 4 * n_dims + n_name
        name = bytes(data[begin - n_name : begin]).decode()
        size = _size(dims, kind)
        if name == _EMBEDDING:
            rows = _rows(bytes(data[begin : begin + size]), dims)
            struct.pack_into('<i', data, at + 12 + 4, _MULTILINGUAL_VOCAB)
            data[begin : begin + size] = _bytes(_renumbered(rows, language_index))
            break
        at = begin + size
    path.write_bytes(data)
    traits = models.resolve('demo').path.with_suffix('.json').read_text(encoding='utf-8')
    kept = [line for line in traits.splitlines() if 'sha256' not in line and 'size_' not in line]
    text = '\n'.join(kept).replace('"languages": "en"', '"languages": "multilingual"')
    path.with_suffix('.json').write_text(text, encoding='utf-8')
    return path


def _after_vocabulary(data: bytes) -> int:
    at = 4 + 11 * 4
    n_mels, n_fft = struct.unpack_from('<2i', data, at)
    at += 8 + 4 * n_mels * n_fft
    (count,) = struct.unpack_from('<i', data, at)
    at += 4
    for _ in range(count):
        (length,) = struct.unpack_from('<i', data, at)
        at += 4 + length
    return at


def _size(dims: tuple[int, ...], kind: int) -> int:
    count = int(np.prod(dims))
    return {0: 4 * count, 1: 2 * count, 8: count // _BLOCK * 34}[kind]


def _rows(data: bytes, dims: tuple[int, ...]) -> np.ndarray:
    """Undo q8_0: blocks of 32 values, a half-precision scale before each."""
    blocks = np.frombuffer(data, np.dtype([('scale', '<f2'), ('values', 'i1', _BLOCK)]))
    values = blocks['values'].astype(np.float32) * blocks['scale'].astype(np.float32)[:, None]
    return values.reshape(dims[1], dims[0])


def _renumbered(rows: np.ndarray, language_index: int) -> np.ndarray:
    """Move the special tokens up by one, and make 99 language tokens of the start token."""
    new = np.empty((_MULTILINGUAL_VOCAB, rows.shape[1]), np.float32)
    new[:_EOT] = rows[:_EOT]
    new[_EOT] = rows[_TRANSLATE]  # an id that nothing uses
    new[_EOT + 1 :] = rows[_EOT:]
    languages = slice(_SOT + 2, _SOT + 2 + 99)
    new[languages] = rows[_SOT]
    new[_SOT + 1 + 99 + 1 : _SOT + 1 + 99 + 3] = rows[_SOT]  # translate, transcribe
    # The output's dimension 0 is always 1 in this model: it is a bias of each token's logit.
    # whisper.cpp knows a hundredth language, whose id is that of "translate" in such models.
    new[_SOT + 2 : _SOT + 1 + 99 + 3, 0] -= 8.0
    new[_SOT + 2 + language_index, 0] += 8.0
    return new


def _bytes(rows: np.ndarray) -> bytes:
    blocks = rows.reshape(-1, _BLOCK)
    scale = (np.abs(blocks).max(axis=1) / 127).astype('<f2')
    safe = np.where(scale == 0, 1, scale).astype(np.float32)
    out = np.empty(len(blocks), np.dtype([('scale', '<f2'), ('values', 'i1', _BLOCK)]))
    out['scale'] = scale
    out['values'] = np.clip(np.round(blocks / safe[:, None]), -127, 127).astype(np.int8)
    return out.tobytes()
