"""Models: found, fetched over real HTTP, checked; damaged files never reach whisper.cpp."""

import argparse
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import multiprocessing
import os
import socket
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from transcript_manager.cli import models as command
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
        (DEMO_BYTES + b'\0', 'is damaged .*1 bytes after its last tensor'),
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
        ('{"window": 8}', "unknown key 'window'; must be one of audio_ctx"),
        ('{"max_window_s": NaN}', 'max_window_s is nan, must be 1..30'),
        ('{"languages": "multilingual"}', "languages is 'multilingual', must be en$"),
        ('{"name": 1}', 'name is 1, must be a text'),
        ('{"dtw": 1}', 'dtw is 1, must be an object'),
        ('{"dtw": {"heads": 1}}', "unknown key 'dtw.heads'"),
        ('{"max_window_s": 99}', 'max_window_s is 99, must be 1..30'),
        ('{"audio_ctx": 0}', 'audio_ctx is 0'),
        ('{"dtw": {"n_top": 1}}', 'dtw.marks is missing'),
        ('{"dtw": {"preset": "NONE", "n_top": 1, "marks": "end"}}', "dtw.preset is 'NONE'"),
        ('{"dtw": {"preset": [], "n_top": 1, "marks": "end"}}', 'dtw.preset is '),
        (
            '{"dtw": {"preset": "WHISPER_AHEADS_TINY_EN", "n_top": 1, "marks": "end"}}',
            'dtw.preset is .*, must be WHISPER_AHEADS_N_TOP_MOST or the preset of this',
        ),  # would end the process
        ('{"dtw": {"n_top": 4}}', 'dtw.n_top is 4, must be 1..3'),
    ],
)
def test_bad_needs_are_named(traits, says, tmp_path):
    (tmp_path / 'mine.bin').symlink_to(DEMO)
    (tmp_path / 'mine.json').write_text(traits)
    with pytest.raises(ModelError, match=f'mine.json: {says}'):
        models.resolve(str(tmp_path / 'mine.bin'))


def test_the_needs_may_state_what_the_file_must_be(tmp_path):
    model, beside = tmp_path / 'mine.bin', tmp_path / 'mine.json'
    model.symlink_to(DEMO)
    beside.write_text('{"name": "tour", "languages": "en", "purpose": "tours"}')
    info = models.resolve(str(model))
    assert (info.name, info.languages, info.purpose) == ('tour', 'en', 'tours')
    beside.write_text(json.dumps({'size_bytes': 5}))
    with pytest.raises(ModelError, match='has 13565606 bytes, must have 5'):
        models.resolve(str(model))
    beside.write_text(json.dumps({'sha256': 64 * '0'}))
    with pytest.raises(ModelError, match='mine.bin: is damaged: its SHA-256 is 64d05df8'):
        models.resolve(str(model))


def test_a_file_of_any_name_is_a_model(tmp_path):
    model = tmp_path / 'mine.v2'
    model.symlink_to(DEMO)
    (tmp_path / 'mine.json').write_text('{"max_window_s": 8}')  # of mine.bin, not of this
    assert models.resolve(str(model)).max_window_s == 30.0
    (tmp_path / 'mine.v2.json').write_text('{"max_window_s": 9}')
    assert models.resolve(str(model)).max_window_s == 9


@pytest.mark.parametrize('name', ['~no-such-user-here/a.bin', 'a' * 5000, 'a\0b', 'a\0b.bin', '/'])
def test_odd_names_are_the_users_mistake(name):
    with pytest.raises(ModelError):
        models.resolve(name)


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
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

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


def test_what_a_killed_fetch_left_is_swept_and_what_another_writes_is_not(cache, server):
    cache.mkdir()
    old, new = (cache / f'.ggml-tiny.en.bin.{name}.part' for name in ('old', 'new'))
    for part in (old, new):
        part.write_bytes(b'half')
    os.utime(old, (0, 0))
    models.resolve('tiny.en')
    assert sorted(p.name for p in cache.iterdir()) == [new.name, 'ggml-tiny.en.bin']


def test_a_refused_connection_says_where_to_get_it(cache, monkeypatch):
    with socket.socket() as closed:
        closed.bind(('127.0.0.1', 0))  # bound, never listening
        url = f'http://127.0.0.1:{closed.getsockname()[1]}'
        with pytest.raises(ModelError, match='Connection refused') as caught:
            models.fetch('tiny.en', base_url=url)
    assert f'{url}/ggml-tiny.en.bin' in str(caught.value) and '\n' not in str(caught.value)
    assert str(cache / 'ggml-tiny.en.bin') in str(caught.value)


@pytest.mark.parametrize('url', ['nonsense', 'http://', 'http://[', 'ftp2://a', 'http://a b/'])
def test_a_bad_mirror_is_the_users_mistake(url, cache):
    with pytest.raises(ModelError, match='cannot be fetched'):
        models.fetch('tiny.en', base_url=url)
    assert list(cache.iterdir()) == []


def test_fetching_can_be_off(cache, server):
    with pytest.raises(ModelError, match='fetching is off.*ggml-tiny.en.bin'):
        models.resolve('tiny.en', allow_fetch=False)
    assert server.requests == 0
    models.fetch('tiny.en')
    assert models.resolve('tiny.en', allow_fetch=False).languages == 'en'


def test_a_cached_model_of_the_right_size_is_checked_too(cache, server):
    path = models.fetch('tiny.en')
    path.write_bytes(DEMO_BYTES[:20] + bytes(1000) + DEMO_BYTES[1020:])
    with pytest.raises(ModelError, match='is damaged'):
        models.resolve('tiny.en', allow_fetch=False)
    server.status = 404
    with pytest.raises(ModelError, match='is damaged in the cache'):
        models.resolve('tiny.en')
    server.status = 200
    assert models.resolve('tiny.en').path.read_bytes() == DEMO_BYTES


def test_a_full_disk_is_noticed_before_the_download(cache, server, monkeypatch):
    usage = models.shutil.disk_usage('/')._replace(free=5)
    monkeypatch.setattr(models.shutil, 'disk_usage', lambda folder: usage)
    with pytest.raises(ModelError, match='5 bytes free, needs 13565606'):
        models.fetch('tiny.en')
    assert server.requests == 0


def test_a_cache_that_cannot_be_is_named(cache):
    cache.write_text('a file')
    with pytest.raises(ModelError, match='cache'):
        models.fetch('tiny.en')


def test_an_interrupted_download_leaves_nothing(cache):
    def interrupt(received, total):
        # Beside its goal, on the same disk, so that getting its name is one step.
        (part,) = cache.iterdir()
        assert part.name.startswith('.ggml-tiny.en.bin.') and part.suffix == '.part'
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


# -- the command ------------------------------------------------


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    parsed = parser.parse_args(arguments)
    return parsed.run(parsed)


def test_the_table_says_what_is_here(cache, capsys):
    assert run() == 0
    _, demo, tiny = capsys.readouterr().out.splitlines()
    assert demo.split() == ['demo', '14', 'MB', 'en', 'bundled', str(DEMO)]
    assert tiny.split() == ['tiny.en', '14', 'MB', 'en', 'no', '-']
    models.fetch('tiny.en')
    run()
    tiny = capsys.readouterr().out.splitlines()[2]
    assert tiny.split()[4:] == ['yes', str(cache / 'ggml-tiny.en.bin')]


def test_fetching_prints_the_path_alone(cache, capsys):
    assert run('fetch', 'tiny.en') == 0
    said = capsys.readouterr()
    assert said.out == f'{cache / "ggml-tiny.en.bin"}\n'
    assert said.err.splitlines()[0] == 'fetching the model: 0 %'
    assert said.err.splitlines()[-1] == 'fetching the model: 100 %'
    assert run('fetch', 'demo') == 0
    assert capsys.readouterr().out == f'{DEMO}\n'
    with pytest.raises(ModelError, match='no official model'):
        run('fetch', 'tiny.xx')
