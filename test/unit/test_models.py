"""Models: found, fetched over real HTTP, checked; damaged files never reach whisper.cpp."""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import multiprocessing
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from transcript_manager.decoder import models
from transcript_manager.decoder.ggml_file import read_header
from transcript_manager.decoder.models import CatalogEntry
from transcript_manager.errors import ModelError

DEMO = models.resolve('demo').path
DEMO_BYTES = DEMO.read_bytes()


def test_the_bundled_model_is_whole():
    demo = models.resolve('demo')
    traits = json.loads(demo.path.with_suffix('.json').read_text())
    assert hashlib.sha256(DEMO_BYTES).hexdigest() == traits['sha256']
    assert demo.max_window_s == 10.24 and demo.audio_ctx == 512
    assert demo.header.n_text_layer == 3 and not demo.header.is_multilingual


def test_the_catalogue_is_sound():
    entries = models.catalog()
    assert {'tiny', 'tiny.en', 'base', 'base.en', 'small', 'large-v3-turbo'} <= set(entries)
    for entry in entries.values():
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert 30e6 < entry.size_bytes < 4e9


# -- damaged files ----------------------------------------------


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        (b'', 'is empty'),
        (b'GGUF....', 'a GGUF file'),
        (b'PK\x03\x04', 'PyTorch'),
        (b'<!DOCTYPE html>', 'a web page'),
        (b'version https://git-lfs.github.com/spec/v1', 'Git LFS pointer'),
        (b'anything else', 'not a ggml model file'),
        (DEMO_BYTES[:4], 'is truncated at 4 bytes'),
        (DEMO_BYTES[:-1], 'is truncated'),
        (DEMO_BYTES + b'\0', 'is truncated'),
        (DEMO_BYTES[:4] + b'\xff' * 44 + DEMO_BYTES[48:], 'is damaged'),
    ],
)
def test_files_that_are_no_model_are_named(content, says, tmp_path):
    path = tmp_path / 'a.bin'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f'a.bin: .*{says}'):
        read_header(path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(DEMO_BYTES) - 1))
def test_no_truncation_passes(tmp_path_factory, length):
    path = tmp_path_factory.getbasetemp() / 'cut.bin'
    path.write_bytes(DEMO_BYTES[:length])
    with pytest.raises(ModelError):
        read_header(path)


# -- finding ----------------------------------------------------


def test_a_path_brings_its_own_needs(tmp_path):
    model = tmp_path / 'mine.bin'
    model.symlink_to(DEMO)
    assert models.resolve(str(model)).max_window_s == 30.0
    (tmp_path / 'mine.json').write_text('{"max_window_s": 8}')
    assert models.resolve(str(model)).max_window_s == 8


@pytest.mark.parametrize(
    ('traits', 'says'),
    [
        ('{"max_window_s": 8', 'not readable as JSON'),
        ('[]', 'must be an object'),
        ('{"window": 8}', 'must be an object of audio_ctx'),
        ('{"max_window_s": 99}', 'max_window_s is 99, must be 1..30'),
        ('{"audio_ctx": 0}', 'audio_ctx is 0'),
        ('{"dtw": {"n_top": 1}}', 'dtw must have'),
        ('{"dtw": {"preset": "NONE", "n_top": 1, "marks": "end"}}', 'dtw must have'),
    ],
)
def test_bad_needs_are_named(traits, says, tmp_path):
    (tmp_path / 'mine.bin').symlink_to(DEMO)
    (tmp_path / 'mine.json').write_text(traits)
    with pytest.raises(ModelError, match=f'mine.json: {says}'):
        models.resolve(str(tmp_path / 'mine.bin'))


def test_an_unknown_name_gets_suggestions():
    with pytest.raises(ModelError, match='did you mean base.en'):
        models.resolve('bas.en')
    with pytest.raises(ModelError, match='no model named'):
        models.resolve('')


# -- fetching ---------------------------------------------------


class Server:
    """A mirror on this machine that serves the demo model as an official one."""

    def __init__(self):
        self.body = DEMO_BYTES
        self.status = 200
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests += 1
                self.send_response(server.status)
                self.send_header('Content-Length', str(len(DEMO_BYTES)))
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._http.server_port}'
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server():
    subject = Server()
    yield subject
    subject.close()


@pytest.fixture
def cache(tmp_path, monkeypatch, server):
    folder = tmp_path / 'cache'
    entry = CatalogEntry('tiny.en', len(DEMO_BYTES), hashlib.sha256(DEMO_BYTES).hexdigest())
    monkeypatch.setenv(models.CACHE_VARIABLE, str(folder))
    monkeypatch.setenv(models.MIRROR_VARIABLE, server.url)
    monkeypatch.setattr(models, 'catalog', lambda: {'tiny.en': entry})
    return folder


def test_an_official_model_is_fetched_once(cache, server):
    seen = []
    info = models.resolve(
        'tiny.en', progress=lambda received, total: seen.append((received, total))
    )
    assert info.path == cache / 'ggml-tiny.en.bin' and info.path.read_bytes() == DEMO_BYTES
    assert seen[0] == (0, len(DEMO_BYTES)) and seen[-1] == (len(DEMO_BYTES), len(DEMO_BYTES))
    models.resolve('tiny.en')
    assert server.requests == 1
    assert [p.name for p in cache.iterdir()] == ['ggml-tiny.en.bin']


def test_a_damaged_cached_model_is_fetched_again(cache, server):
    models.resolve('tiny.en')
    (cache / 'ggml-tiny.en.bin').write_bytes(DEMO_BYTES[:1000])
    assert models.resolve('tiny.en').path.read_bytes() == DEMO_BYTES
    assert server.requests == 2


@pytest.mark.parametrize(
    ('status', 'body', 'says'),
    [
        (404, b'', 'HTTP Error 404'),
        (200, DEMO_BYTES[:1000], '1000 bytes came|IncompleteRead'),
        (200, bytes(len(DEMO_BYTES)), 'SHA-256'),
    ],
)
def test_a_bad_download_leaves_nothing(status, body, says, cache, server):
    server.status, server.body = status, body
    with pytest.raises(ModelError, match=says) as caught:
        models.resolve('tiny.en')
    assert f'{server.url}/ggml-tiny.en.bin' in str(caught.value)
    assert str(cache / 'ggml-tiny.en.bin') in str(caught.value)
    assert list(cache.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(cache):
    def interrupt(received, total):
        if received:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.resolve('tiny.en', progress=interrupt)
    assert list(cache.iterdir()) == []


def test_two_processes_may_fetch_at_once(cache):
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=models.resolve, args=('tiny.en',)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [p.name for p in cache.iterdir()] == ['ggml-tiny.en.bin']
    assert models.resolve('tiny.en').path.read_bytes() == DEMO_BYTES
