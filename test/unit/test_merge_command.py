"""`transcript merge` and `transcript score`, as a user runs them."""

import json
from pathlib import Path
import subprocess
import sys

import pytest

from transcript_manager.streams.trace import read_trace

BAGS = Path(__file__).resolve().parent.parent / 'bags'


def tokens(text, *, from_s, word_s=0.4):
    return [
        {
            'id': 0,
            'text': ' ' + word,
            'p': 0.95,
            'start': from_s + k * word_s,
            'end': from_s + (k + 0.9) * word_s,
        }
        for k, word in enumerate(text.split())
    ]


@pytest.fixture
def stream(tmp_path):
    """Write a short stream: 'Go home and wait there.' from 100.5 s on."""
    path = tmp_path / 'stream.jsonl'
    said = tokens('Go home and wait there.', from_s=100.5)
    with path.open('w') as file:
        for k in range(1, 7):
            heard = [t for t in said if t['end'] <= 100 + k]
            segments = [{'start': 100.5, 'end': 100.0 + k, 'tokens': heard}] if heard else []
            entry = {'stamp': 100.0, 'duration': float(k), 'segments': segments}
            file.write(json.dumps(entry) + '\n')
    return path


def test_merge_prints_the_text(transcript, stream):
    done = transcript('merge', stream)
    assert (done.returncode, done.stdout, done.stderr) == (0, 'Go home and wait there.\n', '')


def test_merge_writes_json_with_the_times_of_the_stream(transcript, stream, tmp_path):
    out = tmp_path / 'out.json'
    done = transcript('merge', stream, '--format', 'json', '-o', out)
    assert (done.returncode, done.stdout) == (0, '')
    value = json.loads(out.read_text())
    assert value['text'].strip() == 'Go home and wait there.'
    words = [w for s in value['segments'] for w in s['words']]
    assert [w['text'] for w in words] == [' Go', ' home', ' and', ' wait', ' there.']
    assert words[0]['start'] == pytest.approx(100.5, abs=0.01)
    assert words[0]['occurrences'] == 6
    assert 0.9 < words[0]['probability'] <= 1.0


def test_a_trace_is_append_only_and_ends_with_the_flush(transcript, stream, tmp_path):
    done = transcript('merge', stream, '--trace', tmp_path / 't.jsonl')
    trace = read_trace(tmp_path / 't.jsonl')
    assert len(trace) == 7
    assert ''.join(line.stable for line in trace) == ' Go home and wait there.'
    assert ''.join(line.stable for line in trace).strip() == done.stdout.strip()
    assert [line.end_s for line in trace] == [101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 106.0]
    assert trace[-1].tentative == ''
    assert [w for line in trace for w in line.words][0][1] == pytest.approx(100.5, abs=0.01)


def test_stats_are_one_json_object(transcript, stream):
    done = transcript('merge', stream, '--stats')
    stats = json.loads(done.stderr)
    assert stats['updates'] == 6
    assert set(stats) == {
        'updates',
        'p50_us',
        'p99_us',
        'first_quarter_us',
        'last_quarter_us',
        'peak_rss_mb',
    }
    assert 0 < stats['p50_us'] <= stats['p99_us']
    assert 5 < stats['peak_rss_mb'] < 500


def test_parameters_change_the_merge(transcript, stream, tmp_path):
    transcript('merge', stream, '--trace', tmp_path / 'a.jsonl')
    transcript('merge', stream, '--trace', tmp_path / 'b.jsonl', '-p', 'min_occurrences=4')
    soon, late = (
        ''.join(line.stable for line in read_trace(tmp_path / f'{n}.jsonl')[:4]) for n in 'ab'
    )
    assert len(soon.split()) > len(late.split())


def test_a_bag_counts_from_its_first_window(transcript):
    done = transcript('merge', BAGS / 'second', '--timestamps')
    assert done.returncode == 0
    assert done.stdout.startswith('[00:00.')


@pytest.mark.parametrize(
    ('arguments', 'wrong'),
    [
        (['missing.jsonl'], 'cannot read missing.jsonl: No such file'),
        (['.'], '. is no bag: there is no metadata.yaml in it'),
        (['STREAM', '-p', 'lead=1'], 'no such parameter; there are min_occurrences, min_lead'),
        (['STREAM', '-p', 'min_lead'], '-p min_lead: the value is not a number'),
        (['STREAM', '-p', 'min_occurrences=1.5'], 'the value is not a whole number'),
        (['STREAM', '-p', 'min_lead=nan'], 'min_lead is nan, must be'),
        (['STREAM', '--topic', '/tokens'], '--topic is for bags'),
        (['STREAM', '-o', '/nowhere/out'], 'cannot write /nowhere/out'),
        (['STREAM', '--trace', '/nowhere/out'], 'cannot write /nowhere/out'),
        (['STREAM', '--format', 'json', '--timestamps'], '--timestamps is for --format text'),
        (['EMPTY'], 'holds no windows'),
        (['BROKEN'], 'line 2: not JSON'),
    ],
)
def test_mistakes_get_one_line(transcript, stream, tmp_path, arguments, wrong):
    (tmp_path / 'empty.jsonl').write_text('\n')
    (tmp_path / 'broken.jsonl').write_text(stream.read_text().splitlines()[0] + '\n{"stamp": 3')
    files = {
        'STREAM': stream,
        'EMPTY': tmp_path / 'empty.jsonl',
        'BROKEN': tmp_path / 'broken.jsonl',
    }
    done = transcript('merge', *(files.get(a, a) for a in arguments))
    assert done.returncode == 2
    assert wrong in done.stderr and done.stderr.count('\n') == 1
    assert 'Traceback' not in done.stderr


def test_merge_and_score_need_no_ros_and_no_whisper(stream):
    code = (
        'import sys; from importlib.abc import MetaPathFinder\n'
        'class Refuse(MetaPathFinder):\n'
        '    def find_spec(self, name, path, target=None):\n'
        '        if name.partition(".")[0] in ("rclpy", "std_msgs", "pywhispercpp",'
        ' "sounddevice") or name == "transcript_manager.msg":\n'
        '            raise AssertionError(f"{name} was imported")\n'
        'sys.meta_path.insert(0, Refuse())\n'
        'from transcript_manager.cli.main import main\n'
        f'assert main(["merge", {str(stream)!r}]) == 0\n'
        f'assert main(["merge", {str(BAGS / "second")!r}]) == 0\n'
        f'assert main(["score", {str(BAGS / "second.truth.json")!r}, {str(stream)!r}]) == 0\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# -- transcript score --------------------------------------------------------------------------


@pytest.fixture
def texts(tmp_path):
    (tmp_path / 'ref.txt').write_text('Go home, now!')
    (tmp_path / 'hyp.txt').write_text('go hum now then')
    (tmp_path / 'hyp.json').write_text(json.dumps({'text': ' Go home now.', 'segments': []}))
    (tmp_path / 'ref.truth.json').write_text('[["Go", 0, 1], ["home,", 1, 2], ["now", 2, 3]]')
    return tmp_path


def test_score_of_texts(transcript, texts):
    done = transcript('score', texts / 'ref.txt', texts / 'hyp.txt')
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == (
        'WER 66.67 %: 1 substituted, 0 deleted, 1 inserted, of 3 words'
    )
    assert done.stdout.splitlines()[1].startswith('CER ')


def test_score_of_a_result_against_a_truth_file_as_json(transcript, texts):
    done = transcript('score', texts / 'ref.truth.json', texts / 'hyp.json', '--format', 'json')
    assert json.loads(done.stdout) == {
        'wer': 0.0,
        'substitutions': 0,
        'deletions': 0,
        'insertions': 0,
        'words': 3,
        'cer': 0.0,
        'characters': 11,
    }


def test_score_from_standard_input(installed_command, texts):
    done = subprocess.run(
        [installed_command, 'score', texts / 'ref.txt', '-'],
        input='go home now',
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith('WER 0.00 %')


@pytest.mark.parametrize(
    ('content', 'wrong'),
    [
        (b'', 'holds no words'),
        (b'\xff\xfe', 'is not UTF-8'),
        (b'{"a": 1}', 'neither a result'),
        (b'{"text"', 'is not JSON, though it is named so'),
        (None, 'cannot read'),
    ],
)
def test_a_reference_that_cannot_be_used_is_named(transcript, texts, content, wrong):
    path = texts / 'bad.json'
    if content is not None:
        path.write_bytes(content)
    done = transcript('score', path, texts / 'hyp.txt')
    assert done.returncode == 2
    assert wrong in done.stderr and str(path) in done.stderr and done.stderr.count('\n') == 1
