"""Inputs at the edge of what the commands can be given: one clear line, and nothing lost."""

import json
import os
from pathlib import Path
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from transcript_manager.errors import StreamError
from transcript_manager.evaluation.wer import character_errors, normalise
from transcript_manager.streams.bag import read_bag, TOKENS_TYPE
from transcript_manager.streams.trace import read_trace

ROOT = Path(__file__).resolve().parent.parent.parent
BAG = ROOT / 'test' / 'bags' / 'second'
NAMES = ('WhisperToken', 'WhisperSegment', 'WhisperTokens')


@pytest.fixture
def stream(tmp_path):
    said = {'id': 1, 'text': ' go', 'p': 0.9, 'start': 1.5, 'end': 1.9}
    segment = {'start': 1.0, 'end': 2.0, 'tokens': [said]}
    lines = [{'stamp': 1.0, 'duration': d, 'segments': [segment]} for d in (2.0, 3.0)]
    path = tmp_path / 'stream.jsonl'
    path.write_text(''.join(json.dumps(entry) + '\n' for entry in lines))
    return path


def definitions(**changes):
    """Make a type store of our messages, with some definitions changed."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in NAMES:
        text = (ROOT / 'msg' / f'{name}.msg').read_text(encoding='utf-8')
        for old, new in changes.get(name, ()):
            assert old in text
            text = text.replace(old, new)
        store.register(get_types_from_msg(text, f'transcript_manager/msg/{name}'))
    return store


def copy_bag(target, store, storage=StoragePlugin.MCAP):
    """Write the messages of a recorded bag anew, and a topic of something else beside them."""
    with Reader(BAG) as reader, Writer(target, version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection('/tokens', TOKENS_TYPE, typestore=store)
        writer.add_connection('/other', 'std_msgs/msg/String', typestore=store)
        for _, at_ns, data in reader.messages():
            writer.write(connection, at_ns, data)
    return target


def test_a_recorded_bag_has_the_type_hash_that_ros_gave_the_message():
    folders = [p / 'share' / 'transcript_manager' / 'msg' for p in Path(sys.prefix, 'x').parents]
    (folder,) = [f for f in folders if f.is_dir()]
    hashes = {
        entry['type_name']: entry['hash_string']
        for name in ('WhisperTokens', 'AudioWindow')
        for entry in json.loads((folder / f'{name}.json').read_text())['type_hashes']
    }
    for bag in BAG.parent.iterdir():
        if bag.is_dir():
            with Reader(bag) as reader:
                assert TOKENS_TYPE in [c.msgtype for c in reader.connections]
                for connection in reader.connections:
                    assert connection.digest == hashes[connection.msgtype]


@pytest.mark.parametrize(
    ('name', 'old', 'missing'),
    [
        ('WhisperTokens', 'uint32 window_ms', 'window_ms'),
        ('WhisperToken', 'float32 probability', 'probability'),
    ],
)
def test_a_bag_of_other_messages_is_refused_in_one_line(transcript, tmp_path, name, old, missing):
    kind = old.split()[0]
    store = definitions(**{name: [(old, f'{kind} something_else')]})
    done = transcript('merge', copy_bag(tmp_path / 'bag', store))
    assert done.returncode == 2
    assert f'another version of {name}: it has no {missing}' in done.stderr
    assert done.stderr.count('\n') == 1


def test_definitions_of_other_topics_alone_are_no_obstacle(tmp_path):
    bag = copy_bag(tmp_path / 'bag', definitions(), StoragePlugin.SQLITE3)
    with sqlite3.connect(bag / 'bag.db3') as database:
        database.execute('DELETE FROM message_definitions WHERE topic_type = ?', (TOKENS_TYPE,))
    assert len(list(read_bag(bag))) == len(list(read_bag(BAG)))


def test_a_recording_that_broke_off_says_what_helps(tmp_path):
    bag = tmp_path / 'bag'
    shutil.copytree(BAG, bag)
    (bag / 'metadata.yaml').unlink()
    with pytest.raises(StreamError, match='ros2 bag reindex'):
        list(read_bag(bag))


@pytest.mark.parametrize('option', ['-o', '--trace'])
def test_the_stream_is_never_written_over(transcript, stream, tmp_path, option):
    before = stream.read_bytes()
    link = tmp_path / 'link.jsonl'
    link.symlink_to(stream)
    for path in (stream, link):
        done = transcript('merge', stream, option, path)
        assert done.returncode == 2 and 'is read too' in done.stderr
        assert stream.read_bytes() == before


def test_result_and_trace_need_two_files(transcript, stream, tmp_path):
    done = transcript('merge', stream, '-o', tmp_path / 'a', '--trace', tmp_path / 'a')
    assert done.returncode == 2 and 'give two files' in done.stderr


def test_a_pipe_and_a_link_stay_what_they_are(transcript, stream, tmp_path):
    pipe, link, target = tmp_path / 'pipe', tmp_path / 'link', tmp_path / 'target'
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    reader.start()
    done = transcript('merge', stream, '-o', pipe, timeout_s=30)
    reader.join(10)
    assert (done.returncode, received) == (0, ['go\n'])
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    target.write_text('before')
    link.symlink_to(target)
    assert transcript('merge', stream, '-o', link).returncode == 0
    assert link.is_symlink() and target.read_text() == 'go\n'


def test_what_the_end_of_the_stream_made_stable_is_on_the_last_line(transcript, tmp_path):
    done = transcript('merge', BAG, '--trace', tmp_path / 't.jsonl')
    lines = read_trace(tmp_path / 't.jsonl')
    assert len(lines) == len(list(read_bag(BAG))) + 1
    assert lines[-2].stable == '' and lines[-2].tentative == lines[-3].tentative
    assert lines[-1].stable and lines[-1].tentative == ''
    assert ''.join(line.stable for line in lines).split() == done.stdout.split()


@pytest.mark.parametrize(
    'content', ['[' * 100_000, '[' * 100_000 + ']' * 100_000], ids=['open', 'closed']
)
def test_brackets_without_end_are_a_text_or_refused(transcript, stream, tmp_path, content):
    path = tmp_path / 'deep.txt'
    path.write_text(content)
    done = transcript('score', path, stream)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    with pytest.raises(StreamError, match='line 1'):
        read_trace(path)


def test_score_says_what_to_install(stream):
    code = (
        'import sys; sys.modules["jiwer"] = None\n'
        'from transcript_manager.cli.main import main\n'
        f'sys.exit(main(["score", {str(stream)!r}, {str(stream)!r}]))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert '-m pip install "jiwer' in done.stderr and done.stderr.count('\n') == 1


@pytest.mark.parametrize(
    ('text', 'words'),
    [('你（笑）好', ['你', '好']), ('［noise］ ok', ['ok']), ('don\u201bt', ["don't"])],
)
def test_wide_annotations_are_annotations(text, words):
    assert normalise(text) == words


def test_characters_of_scripts_without_spaces_are_counted_without_spaces():
    errors = character_errors(normalise('你好吗'), normalise('你好'))
    assert (errors.reference, errors.deletions) == (3, 1)
    assert character_errors(normalise('go 你 now'), normalise('go 你 now')).reference == 8
