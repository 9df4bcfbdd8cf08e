"""Recorded streams: files and bags give the merge exactly what the node would have given it."""

import json
from pathlib import Path
import random

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import pytest
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import (
    CompressionFormat,
    CompressionMode,
    Reader,
    StoragePlugin,
    Writer,
)
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from transcript_manager.errors import StreamError
from transcript_manager.evaluation.scenarios import SCENARIOS
from transcript_manager.merge.transcript import Transcript
from transcript_manager.streams.bag import is_bag, read_bag
from transcript_manager.streams.jsonl import read_jsonl
from transcript_manager.streams.messages import to_decode, to_ns
from transcript_manager.streams.trace import read_trace, TraceLine

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = {'id': 1, 'text': ' go', 'p': 0.9, 'start': 100.5, 'end': 100.9}
SEGMENT = {'start': 100.0, 'end': 101.0, 'tokens': [TOKEN]}
WINDOW = {'stamp': 100.0, 'duration': 2.0, 'segments': [SEGMENT]}


def line(**changes):
    return json.dumps({**WINDOW, **changes})


def token_line(**changes):
    return line(segments=[{**SEGMENT, 'tokens': [{**TOKEN, **changes}]}])


def merged(messages):
    """Merge; return stable text and frozen segments."""
    transcript = Transcript()
    origin_ns = None
    text, frozen = '', []
    for message in messages:
        origin_ns = to_ns(message.header.stamp) if origin_ns is None else origin_ns
        result = transcript.merge(to_decode(message, origin_ns=origin_ns))
        text += result.stable_text
        frozen += result.frozen
    rest, segments = transcript.flush()
    return text + rest, frozen + segments


@pytest.fixture
def typestore():
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in ('WhisperToken', 'WhisperSegment', 'WhisperTokens'):
        text = (ROOT / 'msg' / f'{name}.msg').read_text(encoding='utf-8')
        store.register(get_types_from_msg(text, f'transcript_manager/msg/{name}'))
    return store


@pytest.fixture
def make_bag(tmp_path, typestore):
    """Write the windows of a .jsonl stream as a bag."""

    def make(stream, *, name='bag', topics=('/tokens',), storage=StoragePlugin.MCAP, zstd=False):
        kinds = typestore.types
        bag = tmp_path / name
        writer = Writer(bag, version=9, storage_plugin=storage)
        if zstd:
            writer.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
        with writer:
            connections = [
                writer.add_connection(
                    topic, 'transcript_manager/msg/WhisperTokens', typestore=typestore
                )
                for topic in topics
            ]
            for n, record in enumerate(read_jsonl(stream)):
                stamp = kinds['builtin_interfaces/msg/Time'](*record.header.stamp)
                message = kinds['transcript_manager/msg/WhisperTokens'](
                    header=kinds['std_msgs/msg/Header'](stamp, ''),
                    window_ms=record.window_ms,
                    segments=[
                        kinds['transcript_manager/msg/WhisperSegment'](
                            start_ms=s.start_ms,
                            end_ms=s.end_ms,
                            tokens=[
                                kinds['transcript_manager/msg/WhisperToken'](
                                    id=0,
                                    text=t.text,
                                    probability=t.probability,
                                    start_ms=t.start_ms,
                                    end_ms=t.end_ms,
                                )
                                for t in s.tokens
                            ],
                        )
                        for s in record.segments
                    ],
                    language=record.language,
                    model='',
                    inference_ms=0,
                    end_of_stream=record.end_of_stream,
                )
                for connection in connections:
                    data = typestore.serialize_cdr(message, connection.msgtype)
                    writer.write(connection, 10**9 + n, data)
        return bag

    return make


@pytest.fixture
def stream(tmp_path):
    """Write a simulated stream as STREAM.jsonl, absolute times far from 0."""

    def write(scenario='noisy', duration_s=60.0, origin_s=1.7e9):
        _, decodes = SCENARIOS[scenario].make(1, duration_s)
        path = tmp_path / 'stream.jsonl'
        with path.open('w') as file:
            for d in decodes:
                segments = [
                    {
                        'start': origin_s + s.start_s,
                        'end': origin_s + s.end_s,
                        'tokens': [
                            {
                                'id': 0,
                                'text': t.text,
                                'p': t.probability,
                                'start': -1 if t.start_s == -1 else origin_s + t.start_s,
                                'end': -1 if t.end_s == -1 else origin_s + t.end_s,
                            }
                            for t in s.tokens
                        ],
                    }
                    for s in d.segments
                ]
                entry = {'stamp': origin_s + d.start_s, 'duration': d.duration_s}
                file.write(json.dumps({**entry, 'segments': segments, 'language': 'en'}) + '\n')
        return path

    return write


# -- STREAM.jsonl ------------------------------------------------------------------------------


def test_a_window_is_read_in_the_precision_of_the_messages(tmp_path):
    path = tmp_path / 's.jsonl'
    path.write_text(
        line(language='sl', end_of_stream=True, other=1) + '\n\n' + token_line(start=-1)
    )
    first, second = read_jsonl(path)
    assert to_ns(first.header.stamp) == 100 * 10**9
    assert (first.window_ms, first.language, first.end_of_stream) == (2000, 'sl', True)
    token = first.segments[0].tokens[0]
    assert (token.start_ms, token.end_ms) == (500, 900)
    assert token.probability == pytest.approx(0.9) and token.probability != 0.9  # float32
    token = second.segments[0].tokens[0]
    assert (token.start_ms, token.end_ms) == (-1, -1)


@pytest.mark.parametrize(
    ('content', 'wrong'),
    [
        ('{"stamp": 1', 'line 1: not JSON'),
        ('[1, 2]', 'line 1: not a JSON object'),
        (line() + '\n' + '{}', 'line 2: no "stamp"'),
        (line(stamp='1'), '"stamp" is not a number but "1"'),
        (line(stamp=True), '"stamp" is not a number but true'),
        (line(stamp=-5), 'stamp is -5, must be'),
        (line(stamp=1e300), '"stamp" is 1e+300, not a number that can be meant'),
        (line().replace('100.0', 'NaN', 1), '"stamp" is NaN'),
        (line(duration=-1), 'duration is -1, must be'),
        (line(segments={}), '"segments" is not a list'),
        (line(segments=[3]), 'a segment is not an object'),
        (line(segments=[{'start': 1, 'end': 2}]), 'no "tokens"'),
        (line(segments=[{**SEGMENT, 'tokens': ['go']}]), 'a token is not an object'),
        (token_line(text=None), '"text" is not a string but null'),
        (token_line(p='high'), '"p" is not a number'),
        (token_line(end=None), '"end" is not a number but null'),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, wrong):
    path = tmp_path / 'bad.jsonl'
    path.write_text(content)
    with pytest.raises(StreamError) as caught:
        list(read_jsonl(path))
    assert str(path) in str(caught.value) and wrong in str(caught.value)


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / 'bad.jsonl'
    path.write_bytes(b'\xff\xfe{}')
    with pytest.raises(StreamError, match='line 1: not UTF-8'):
        list(read_jsonl(path))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path, data):
    path = tmp_path / 'any.jsonl'
    path.write_bytes(data)
    try:
        merged(read_jsonl(path))
    except StreamError as error:
        assert str(path) in str(error)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(
    field=st.sampled_from(['stamp', 'duration', 'segments', 'text', 'p', 'start', 'end']),
    value=ANY_JSON,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_in_any_field_is_read_or_refused(tmp_path, field, value):
    path = tmp_path / 'any.jsonl'
    path.write_text((token_line if field in TOKEN else line)(**{field: value}))
    try:
        merged(read_jsonl(path))
    except StreamError as error:
        assert 'line 1' in str(error)


# -- bags --------------------------------------------------------------------------------------


@pytest.mark.parametrize('scenario', ['noisy', 'no times', 'everything'])
def test_a_bag_gives_what_the_file_gives(stream, make_bag, scenario):
    path = stream(scenario)
    text, frozen = merged(read_jsonl(path))
    assert len(text.split()) > 50
    assert merged(read_bag(make_bag(path))) == (text, frozen)


@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('zstd', [False, True])
def test_every_storage_is_read(stream, make_bag, storage, zstd):
    path = stream()
    bag = make_bag(path, storage=storage, zstd=zstd)
    assert merged(read_bag(bag)) == merged(read_jsonl(path))


def test_a_single_file_is_read(stream, make_bag):
    path = stream()
    (file,) = make_bag(path).glob('*.mcap')
    assert is_bag(file)
    assert merged(read_bag(file)) == merged(read_jsonl(path))


def test_a_split_bag_is_read_to_its_end(tmp_path, stream, make_bag):
    path = stream(duration_s=80.0)
    lines = path.read_text().splitlines(keepends=True)
    parts = []
    for n, some in enumerate((lines[:30], lines[30:])):
        part = tmp_path / f'part{n}.jsonl'
        part.write_text(''.join(some))
        parts.append(make_bag(part, name=f'split_{n}', storage=StoragePlugin.SQLITE3))
    whole = parts[0]
    (second,) = parts[1].glob('*.db3')
    second.rename(whole / second.name)
    text = (whole / 'metadata.yaml').read_text()
    first_name = 'split_0.db3'
    assert f'  - {first_name}\n' in text
    text = text.replace(f'  - {first_name}\n', f'  - {first_name}\n  - {second.name}\n')
    (whole / 'metadata.yaml').write_text(text)
    assert merged(read_bag(whole)) == merged(read_jsonl(path))


def test_a_bag_without_definitions_takes_the_installed_ones(stream, make_bag):
    path = stream()
    bag = make_bag(path, storage=StoragePlugin.SQLITE3)
    import sqlite3

    (file,) = bag.glob('*.db3')
    with sqlite3.connect(file) as database:  # as rosbag2 wrote them before Iron
        database.execute('DELETE FROM message_definitions')
    with Reader(bag) as reader:
        assert reader.connections[0].msgdef.format == MessageDefinitionFormat.NONE
    assert merged(read_bag(bag)) == merged(read_jsonl(path))


def test_of_several_topics_one_must_be_chosen(stream, make_bag):
    bag = make_bag(stream(), topics=('/a/tokens', '/b/tokens'))
    with pytest.raises(StreamError, match='tokens on /a/tokens, /b/tokens; choose one'):
        list(read_bag(bag))
    assert len(list(read_bag(bag, topic='/b/tokens'))) == 60
    with pytest.raises(StreamError, match='no tokens on /c; there are: /a/tokens, /b/tokens'):
        list(read_bag(bag, topic='/c'))


def test_a_bag_without_tokens_says_what_it_has(tmp_path):
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / 'other', version=9) as writer:
        connection = writer.add_connection('/chatter', 'std_msgs/msg/String', typestore=store)
        kind = store.types['std_msgs/msg/String']
        writer.write(connection, 1, store.serialize_cdr(kind('hi'), 'std_msgs/msg/String'))
    with pytest.raises(StreamError, match='no topic of type .*Its topics: /chatter'):
        list(read_bag(tmp_path / 'other'))


def test_what_is_no_bag_is_named(tmp_path):
    with pytest.raises(StreamError, match='No such file'):
        list(read_bag(tmp_path / 'missing'))
    with pytest.raises(StreamError, match='is no bag: there is no metadata.yaml'):
        list(read_bag(tmp_path))
    for name in ('a.mcap', 'a.db3'):
        (tmp_path / name).write_bytes(b'nothing of a bag')
        with pytest.raises(StreamError, match='a.* is no bag that can be read'):
            list(read_bag(tmp_path / name))


@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_damaged_bag_is_refused_or_read_but_never_raises_otherwise(stream, make_bag, storage):
    bag = make_bag(stream(duration_s=30.0), storage=storage)
    (file,) = [p for p in bag.iterdir() if p.suffix in ('.mcap', '.db3')]
    whole = file.read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(25):
        damaged = bytearray(whole)
        if rng.random() < 0.5:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            for _ in range(40):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        file.write_bytes(damaged)
        try:
            merged(read_bag(bag))
        except StreamError:
            refused += 1
    assert refused > 0


# -- traces ------------------------------------------------------------------------------------


def test_a_trace_reads_back(tmp_path):
    lines = [
        TraceLine(0.0, 2.0, ' go', ' home…', ()),
        TraceLine(1.0, 3.0, ' home', '', ((' go', 0.5, 0.75), (' home', 1.0, 1.5))),
    ]
    path = tmp_path / 't.jsonl'
    path.write_text(''.join(entry.to_json() + '\n' for entry in lines), encoding='utf-8')
    back = read_trace(path)
    assert [(b.stamp_s, b.end_s, b.stable, b.tentative) for b in back] == [
        (0.0, 2.0, ' go', ' home…'),
        (1.0, 3.0, ' home', ''),
    ]
    assert back[1].words == [(' go', 0.5, 0.75), (' home', 1.0, 1.5)]


@pytest.mark.parametrize('content', ['nothing', '{"stamp": 1}', '[1]', '{"stamp": "x"}'])
def test_what_is_no_trace_is_named(tmp_path, content):
    path = tmp_path / 't.jsonl'
    path.write_text(content)
    with pytest.raises(StreamError, match='line 1: not a line of a trace'):
        read_trace(path)
