"""Mistakes of a user: one clear line, the right exit code, never a traceback, never a hang."""

import numpy as np
import pytest
import soundfile

from transcript_manager.decoder import models


@pytest.fixture
def bad(tmp_path):
    """Make every kind of bad file; returns its folder."""
    good = models.resolve('demo').path.read_bytes()
    (tmp_path / 'empty.wav').write_bytes(b'')
    (tmp_path / 'text.wav').write_text('this is no audio')
    (tmp_path / 'folder').mkdir()
    soundfile.write(tmp_path / 'zero.wav', np.zeros(0, np.int16), 16000)
    soundfile.write(tmp_path / 'ok.wav', np.zeros(8000, np.int16), 16000)
    (tmp_path / 'truncated.bin').write_bytes(good[: len(good) // 2])
    (tmp_path / 'corrupt.bin').write_bytes(good[:40] + b'\xff' * 400 + good[440:])
    (tmp_path / 'text.bin').write_text('<html>not found</html>')
    (tmp_path / 'empty.bin').write_bytes(b'')
    return tmp_path


CASES = [
    (['--audio', '{}/missing.wav'], 'missing.wav: no such file'),
    (['--audio', '{}/folder'], 'is a directory'),
    (['--audio', '{}/empty.wav'], 'is empty (0 bytes)'),
    (['--audio', '{}/zero.wav'], 'holds no audio'),
    (['--audio', '{}/text.wav'], 'not a sound file'),
    (['--audio', '{}/ok.wav', '--model', '{}/missing.bin'], 'missing.bin: no such model file'),
    (['--audio', '{}/ok.wav', '--model', '{}/folder'], 'is a directory'),
    (['--audio', '{}/ok.wav', '--model', '{}/truncated.bin'], 'is truncated'),
    (['--audio', '{}/ok.wav', '--model', '{}/corrupt.bin'], 'is damaged'),
    (['--audio', '{}/ok.wav', '--model', '{}/text.bin'], 'a web page'),
    (['--audio', '{}/ok.wav', '--model', '{}/empty.bin'], 'is empty'),
    (['--audio', '{}/ok.wav', '--model', 'base.eng'], 'did you mean base.en'),
    (['--audio', '{}/ok.wav', '--model', 'demo', '--language', 'de'], 'knows English only'),
    (['--audio', '{}/ok.wav', '--model', 'demo', '--language', 'xx'], "language 'xx' is unknown"),
    (['--audio', '{}/ok.wav', '--model', 'demo', '--hop', '0'], 'hop_s is 0.0, must be'),
    (['--audio', '{}/ok.wav', '--model', 'demo', '--hop', '12'], 'hop_s is 12 s, must be 0.1..10'),
    (['--audio', '{}/ok.wav', '--model', 'demo', '--window', '0.5'], 'window_s is 0.5, must be'),
    (['--audio', '{}/ok.wav', '--model', 'demo', '--window', '12'], 'takes windows of at most'),
    (['--audio', '{}/ok.wav', '--model', 'demo', '--threads', '-1'], 'threads is -1, must be'),
    (['--audio', '{}/ok.wav', '--model', 'demo', '--namespace', 'a b'], 'namespace'),
    (['--audio', '{}/ok.wav', '--model', 'demo', '-o', '{}/no/such'], 'cannot write'),
    (['--audio', '{}/ok.wav', '--timestamps', '--format', 'json'], '--timestamps is for'),
    (['--mic', '--fast'], '--fast is for sound files'),
    (['--mic', 'no-such-device', '--model', 'demo'], ''),
]


@pytest.mark.parametrize(('arguments', 'says'), CASES, ids=[' '.join(c[0]) for c in CASES])
def test_the_command_says_it_in_one_line(arguments, says, bad, transcript):
    done = transcript('run', *(a.replace('{}', str(bad)) for a in arguments), timeout_s=30)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ''
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('transcript: '), done.stderr
    assert says in lines[0]


@pytest.mark.parametrize('arguments', [[], ['run', '--audio'], ['nonsense'], ['run', '-x']])
def test_bad_usage_exits_2_with_usage(arguments, transcript):
    done = transcript(*arguments)
    assert done.returncode == 2 and 'usage: transcript' in done.stderr and done.stdout == ''


def test_an_official_model_without_network_says_where_to_get_it(transcript, bad):
    done = transcript(
        *('run', '--audio', bad / 'ok.wav', '--model', 'tiny.en'),
        TRANSCRIPT_MANAGER_CACHE=str(bad / 'cache'),
        TRANSCRIPT_MANAGER_MODELS_URL='http://127.0.0.1:9/',
    )
    assert done.returncode == 2
    assert 'http://127.0.0.1:9/ggml-tiny.en.bin' in done.stderr
    assert str(bad / 'cache' / 'ggml-tiny.en.bin') in done.stderr
    assert 'Traceback' not in done.stderr
    assert list((bad / 'cache').iterdir()) == []


NODE_CASES = [
    ('audio_ring', {'source': '/no/such.wav'}, 'no such file'),
    ('audio_ring', {'source': '{}/ok.wav', 'hop_s': 99.0}, 'hop_s is 99.0, must be'),
    ('audio_ring', {'source': '{}/ok.wav', 'sample_rate': 100}, 'sample_rate is 100, must be'),
    ('audio_ring', {'source': '{}/ok.wav', 'pace': 'slow'}, "pace is 'slow', must be one of"),
    ('audio_ring', {'source': '{}/ok.wav', 'hop': 1.0}, "unknown parameter 'hop'"),
    ('audio_ring', {'source': '{}/ok.wav', 'hop_s': 'fast'}, "hop_s is 'fast', must be a number"),
    ('whisper', {'model': 'nonsense'}, "unknown model 'nonsense'"),
    ('whisper', {'model': '{}/truncated.bin'}, 'is truncated'),
    ('transcript_manager', {'min_lead': -1.0}, 'min_lead is -1.0, must be'),
]


@pytest.mark.parametrize(('executable', 'parameters', 'says'), NODE_CASES)
def test_a_node_says_it_in_a_fatal_line(executable, parameters, says, bad, start_node):
    parameters = {
        k: v.replace('{}', str(bad)) if isinstance(v, str) else v for k, v in parameters.items()
    }
    node = start_node(executable, **parameters)
    assert node.wait(30) == 2
    assert says in node.output and '[FATAL]' in node.output
    assert 'Traceback' not in node.output
    assert len(node.output.strip().splitlines()) == 1


def test_a_broken_parameter_file_is_named(bad, start, installed_nodes):
    file = bad / 'params.yaml'
    file.write_text('audio_ring: [unclosed')
    program = start([installed_nodes / 'audio_ring', '--ros-args', '--params-file', file])
    assert program.wait(30) == 2
    assert 'Traceback' not in program.output and 'params.yaml' in program.output


def test_whole_numbers_do_for_float_parameters(start_node, bad):
    node = start_node('audio_ring', source=bad / 'ok.wav', hop_s=2, window_s=5)
    node.wait_for('listening to')
    assert node.stop() == 0


def test_a_truncated_flac_keeps_what_came_before(transcript, recording, tmp_path):
    path, _ = recording('second')
    cut = tmp_path / 'cut.flac'
    cut.write_bytes(path.read_bytes()[:300_000])
    done = transcript('run', '--audio', cut, '--model', 'demo', '--fast')
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert 'cut.flac: damaged after' in done.stderr
    assert 'David, the battery of the big robot is low again.' in done.stdout


def test_silence_gives_an_empty_result(transcript, bad):
    done = transcript('run', '--audio', bad / 'ok.wav', '--model', 'demo', '--fast')
    assert (done.returncode, done.stdout) == (0, '')
