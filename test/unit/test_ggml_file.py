"""The model file reader: what passes is what whisper.cpp can load and run, and nothing else."""

import math
import os
import random
import struct
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from transcript_manager.decoder import models
from transcript_manager.decoder.ggml_file import read_header
from transcript_manager.errors import ModelError

DEMO = models.resolve('demo').path
DEMO_BYTES = DEMO.read_bytes()
SMALL = {
    'n_vocab': 51864,
    'n_audio_ctx': 1500,
    'n_audio_state': 32,
    'n_audio_head': 2,
    'n_audio_layer': 1,
    'n_text_ctx': 448,
    'n_text_state': 32,
    'n_text_head': 2,
    'n_text_layer': 1,
    'n_mels': 80,
    'ftype': 1,
}
# ggml type and (values, bytes) of a block by ftype: written out once more, from whisper.cpp
TYPES = {
    0: (0, 1, 4),
    1: (1, 1, 2),
    2: (2, 32, 18),
    7: (8, 32, 34),
    8: (6, 32, 22),
    9: (7, 32, 24),
    12: (12, 256, 144),
}
# bytes of the vocabulary of the official files, from their sizes
VOCABULARY_BYTES = {'en': 521_855, 'multilingual': 508_085}


def tensors(h):
    """Return (name, shape, is large) of each tensor, in whisper.cpp's order."""
    width = h['n_text_state']
    yield 'encoder.positional_embedding', (width, h['n_audio_ctx']), None
    yield 'encoder.conv1.weight', (3, h['n_mels'], width), 1
    yield 'encoder.conv1.bias', (1, width), None
    yield 'encoder.conv2.weight', (3, width, width), 1
    yield 'encoder.conv2.bias', (1, width), None
    yield from ((f'encoder.ln_post.{p}', (width,), None) for p in ('weight', 'bias'))
    for k in range(h['n_audio_layer']):
        yield from block(f'encoder.blocks.{k}', width, ['attn'])
    yield 'decoder.positional_embedding', (width, h['n_text_ctx']), None
    yield 'decoder.token_embedding.weight', (width, h['n_vocab']), h['ftype']
    yield from ((f'decoder.ln.{p}', (width,), None) for p in ('weight', 'bias'))
    for k in range(h['n_text_layer']):
        yield from block(f'decoder.blocks.{k}', width, ['attn', 'cross_attn'])


def block(prefix, width, attentions):
    large = 'large'
    yield f'{prefix}.mlp.0.weight', (width, 4 * width), large
    yield f'{prefix}.mlp.0.bias', (4 * width,), None
    yield f'{prefix}.mlp.2.weight', (4 * width, width), large
    yield f'{prefix}.mlp.2.bias', (width,), None
    for norm in ('mlp_ln', *(f'{a}_ln' for a in attentions)):
        yield f'{prefix}.{norm}.weight', (width,), None
        yield f'{prefix}.{norm}.bias', (width,), None
    for attention in attentions:
        for part in ('query', 'key', 'value', 'out'):
            yield f'{prefix}.{attention}.{part}.weight', (width, width), large
            if part != 'key':
                yield f'{prefix}.{attention}.{part}.bias', (width,), None


def write(path, *, tokens=(b' ', b' -', b" '"), mel=0.0, edit=list, tail=b'', **changes):
    """Write a consistent model of any hyperparameters, its weights a hole: all zero."""
    h = {**SMALL, **changes}
    h['n_text_state'] = changes.get('n_text_state', h['n_audio_state'])
    with open(path, 'wb') as file:
        file.write(b'lmgg' + struct.pack('<11i', *h.values()))
        file.write(struct.pack('<2i', h['n_mels'], 201))
        file.write(struct.pack('<f', mel) * (h['n_mels'] * 201))
        file.write(struct.pack('<i', len(tokens)))
        file.write(b''.join(struct.pack('<i', len(t)) + t for t in tokens))
        for name, shape, ftype in edit(tensors(h)):
            ftype = h['ftype'] if ftype == 'large' else 0 if ftype is None else ftype
            kind, values, size = TYPES.get(ftype % 1000, TYPES[1])
            file.write(struct.pack('<3i', len(shape), len(name), kind))
            file.write(struct.pack(f'<{len(shape)}i', *shape) + name.encode())
            file.seek(math.prod(shape) // values * size, os.SEEK_CUR)
        file.truncate()
        file.write(tail)
    return path


def refuses(path, says):
    with pytest.raises(ModelError, match=f'{path.name}: .*{says}') as caught:
        read_header(path)
    assert '\n' not in str(caught.value)


# -- official files ---------------------------------------------

SHAPES = {  # width, heads, layers of the encoder and the decoder
    'tiny': (384, 6, 4, 4),
    'base': (512, 8, 6, 6),
    'small': (768, 12, 12, 12),
    'medium': (1024, 16, 24, 24),
    'large-v3': (1280, 20, 32, 32),
    'large-v3-turbo': (1280, 20, 32, 4),
}
FTYPES = {'': 1, 'q5_0': 2008, 'q5_1': 2009, 'q8_0': 2007}


@pytest.mark.parametrize('name', models.catalog())
def test_each_official_model_passes_to_the_byte(name, tmp_path):
    """Files laid out like the official ones, full of holes: their sizes show the layout right."""
    entry = models.catalog()[name]
    base, _, quantised = name.partition('-q')
    width, heads, encoder, decoder = SHAPES[base.removesuffix('.en')]
    is_v3 = base.startswith('large-v3')
    rest = VOCABULARY_BYTES[entry.languages] - 50257 * 4 - 1
    tokens = [b' '] + [b'x' * (rest // 50256 + (k < rest % 50256)) for k in range(50256)]
    path = write(
        tmp_path / 'a.bin',
        tokens=tokens,
        n_vocab=51864 if entry.languages == 'en' else 51865 + is_v3,
        n_audio_state=width,
        n_audio_head=heads,
        n_audio_layer=encoder,
        n_text_head=heads,
        n_text_layer=decoder,
        n_mels=128 if is_v3 else 80,
        ftype=FTYPES[f'q{quantised}' if quantised else ''],
    )
    assert path.stat().st_size == entry.size_bytes
    header = read_header(path)
    assert header.is_multilingual == (entry.languages == 'multilingual')
    assert header.n_audio_state == width


# -- what whisper.cpp cannot take, found by fuzzing -------------


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'ftype': 0}, 'ftype 0; whisper.cpp takes f16'),  # aborts in its first convolution
        ({'ftype': 15}, 'ftype 15'),  # aborts at load
        ({'ftype': 4}, 'ftype 4'),
        ({'ftype': 12}, 'rows of 32 do not fit'),  # aborts at load
        ({'n_vocab': 50000}, 'n_vocab is 50000'),  # aborts in a decode
        ({'n_vocab': 51867}, 'n_vocab is 51867'),  # names a language it does not have
        ({'n_audio_layer': 64}, 'n_audio_layer is 64'),  # its graph overflows
        ({'n_text_layer': 64}, 'n_text_layer is 64'),
        ({'n_audio_state': 2**13, 'edit': lambda t: []}, 'n_audio_state is 8192'),
        ({'n_audio_head': 0}, 'n_audio_head is 0'),
        ({'n_text_head': 5}, 'heads do not divide'),
        ({'n_text_state': 64}, 'differ in width'),
        ({'tokens': [b'a']}, 'without the token " "'),  # throws in a decode
        ({'tokens': []}, 'a vocabulary of 0'),
        ({'tokens': [b' '] * 51865}, 'a vocabulary of 51865'),
        ({'tokens': [b' ', b'a' * 2000]}, 'a token of 2000 bytes'),
        ({'mel': math.nan}, 'mel filters that are no numbers'),
        ({'tail': b'x'}, '1 bytes after'),
        ({'edit': lambda t: [*t][:-1]}, 'truncated'),
        ({'edit': lambda t: [*t] * 2}, 'after its last tensor'),
        ({'edit': lambda t: (t := [*t]) and [*t[:9], t[8], *t[10:]]}, 'unknown or comes twice'),
        ({'edit': lambda t: [(n.replace('conv', 'x'), *r) for n, *r in t]}, 'is unknown'),
        ({'edit': lambda t: [(n, s[::-1], f) for n, s, f in t]}, 'of shape'),
        ({'edit': lambda t: [(n, s, 1) for n, s, f in t]}, 'type 1; must be'),
        ({'edit': lambda t: [('a' * 300, s, f) for n, s, f in t]}, 'name of 300 bytes'),
        ({'edit': lambda t: [(n, (1,) * 5, f) for n, s, f in t]}, '5 dimensions'),
    ],
)
def test_what_would_end_the_process_is_refused(changes, says, tmp_path):
    refuses(write(tmp_path / 'a.bin', **{'n_audio_layer': 1, **changes}), says)


def test_a_truncated_file_says_what_it_needs(tmp_path):
    path = tmp_path / 'a.bin'
    path.write_bytes(DEMO_BYTES[:-1])
    refuses(path, 'truncated at 13565605 bytes, needs at least 13565606; ')


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.bin')
    refuses(tmp_path / 'a.bin', 'a device or a pipe')


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = write(tmp_path / 'a.bin')
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip('root reads everything')
    refuses(path, 'cannot be read: Permission denied')


# -- the real thing ---------------------------------------------

_USE = """
import sys
import _pywhispercpp as api
import numpy
settings = api.whisper_context_default_params()
settings.use_gpu = False
api.whisper_log_set(lambda level, text: level == 4 and sys.exit(text))
for path in sys.argv[1:]:
    context = api.whisper_init_from_file_with_params(path, settings)
    greedy = api.whisper_full_default_params(
        api.whisper_sampling_strategy.WHISPER_SAMPLING_GREEDY
    )
    greedy.temperature_inc, greedy.max_tokens = 0.0, 8
    audio = numpy.zeros(16000, numpy.float32)
    assert api.whisper_full(context, greedy, audio, len(audio)) == 0
    api.whisper_free(context)
    print(path)
api.whisper_log_set(None)
"""


def survives(*paths):
    """Load each and decode a second of silence, in a process of its own."""
    done = subprocess.run(
        [sys.executable, '-c', _USE, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, 'GGML_NO_BACKTRACE': '1'},
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert done.stdout.split() == [str(p) for p in paths]


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'ftype': 2007, 'n_vocab': 51866, 'n_mels': 128},
        {'n_audio_state': 8, 'n_audio_head': 8, 'n_text_head': 1, 'n_audio_ctx': 64},
    ],
)
def test_what_passes_can_be_used(changes, tmp_path):
    path = write(tmp_path / 'a.bin', **changes)
    read_header(path)
    survives(path)


def _records():
    """Return the spans of the demo model's tensor records, without their weights."""
    at = DEMO_BYTES.index(b'encoder.positional_embedding') - 20
    spans = []
    while at < len(DEMO_BYTES):
        n_dims, length, kind = struct.unpack_from('<3i', DEMO_BYTES, at)
        start, at = at, at + 12 + 4 * n_dims + length
        spans.append(range(start, at))
        _, values, size = next(t for t in TYPES.values() if t[0] == kind)
        shape = struct.unpack_from(f'<{n_dims}i', DEMO_BYTES, start + 12)
        at += math.prod(shape) // values * size
    return spans


RECORDS = _records()
HEADER = range(48)
RECORD_BYTES = [k for span in RECORDS for k in span]
METADATA = [*range(RECORDS[0].start), *RECORD_BYTES]


@pytest.fixture(scope='module')
def flip(tmp_path_factory):
    """Read the demo model with some of its bits flipped; returns its header."""
    path = tmp_path_factory.mktemp('flip') / 'a.bin'
    path.write_bytes(DEMO_BYTES)

    def read(*flips):
        with open(path, 'r+b', buffering=0) as file:
            for position, mask in flips:
                os.pwrite(file.fileno(), bytes([DEMO_BYTES[position] ^ mask]), position)
            try:
                return read_header(path)
            finally:
                for position, _ in flips:
                    os.pwrite(file.fileno(), DEMO_BYTES[position : position + 1], position)

    return read


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(RECORD_BYTES), st.integers(1, 255))
def test_no_byte_of_a_tensor_record_may_change(flip, position, mask):
    with pytest.raises(ModelError):
        flip((position, mask))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(HEADER), st.integers(0, 7))
def test_a_changed_header_is_refused_or_says_the_same_layout(flip, position, bit):
    try:
        header = flip((position, 1 << bit))
    except ModelError:
        return
    good = read_header(DEMO)
    same = {'n_audio_head', 'n_text_head', 'ftype'}  # no tensor's shape depends on these
    changed = {k for k in SMALL if getattr(header, k) != getattr(good, k)}
    assert changed and changed <= same


def test_flipped_bytes_are_refused_or_harmless(flip, tmp_path):
    chance = random.Random(1)
    passed = []
    while len(passed) < 4:
        flips = [(chance.choice(METADATA), chance.randrange(1, 256)) for _ in range(2)]
        try:
            flip(*flips)
        except ModelError:
            continue
        data = bytearray(DEMO_BYTES)
        for position, mask in flips:
            data[position] ^= mask
        passed.append(tmp_path / f'{len(passed)}.bin')
        passed[-1].write_bytes(data)
    survives(*passed)
