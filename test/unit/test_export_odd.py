"""Sessions that are cut, damaged, late or hostile: what can be exported is, the rest is named."""

import csv
import io
import json
from pathlib import Path
import re
import subprocess

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from sessions import journals, new_session, START_S, tokens
import srt
import webvtt

from transcript_manager.cli.main import main
from transcript_manager.export.formats import CHOICES, render
from transcript_manager.export.reading import read_transcript
from transcript_manager.result import moved, Result, ResultSegment, ResultWord
from transcript_manager.session.journal import Journal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def export(capsys):
    def run(*arguments):
        code = main(['export', *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def word(text, start_s, **changes):
    return {'text': text, 'start': start_s, 'end': start_s + 0.4} | changes


def save(path, *words, **changes):
    text = ''.join(w['text'] for w in words)
    segment = {'start': words[0]['start'], 'end': words[-1]['end'], 'text': text}
    segment |= {'words': list(words)} | changes
    path.write_text(json.dumps({'text': text, 'language': 'en', 'segments': [segment]}))
    return path


def test_a_clock_that_was_set_back_a_little_is_no_overlap(tmp_path):
    kept = new_session(Journal(tmp_path, '/'))
    for end_s in range(1, 16):
        kept.take(tokens(end_s, end_of_stream=end_s == 15))
    for end_s in range(10, 22):  # 6 s are told again, by a clock that is 6 s behind
        kept.take(tokens(end_s))
    kept.close()
    (path,) = journals(tmp_path)
    loaded = read_transcript(path)
    assert len(loaded.notes) == 1 and 'the clock was set back' in loaded.notes[0]
    times = [t for w in loaded.result.words for t in (w.start_s, w.end_s)]
    assert times == sorted(times)


def test_a_journal_that_was_cut_inside_a_character(tmp_path):
    header = {'session': '/', 'version': 1, 'started': START_S, 'first_index': 0}
    entries = [word(' schön', START_S + 1, probability=0.9, occurrences=3)]
    lines = [header]
    for index in range(2):
        lines.append(
            {'index': index, 'start': START_S + index, 'end': START_S + index + 0.5}
            | {'text': ' schön', 'entries': index + 1, 'words': entries}
        )
    data = '\n'.join(json.dumps(line, ensure_ascii=False) for line in lines).encode()
    path = tmp_path / 'cut.jsonl'
    path.write_bytes(data[: data.rindex('ö'.encode()) + 1])
    loaded = read_transcript(path)
    assert loaded.result.text == ' schön'
    assert 'its last line was cut' in loaded.notes[0]


GOOD = {'index': 0, 'start': 1.0, 'end': 2.0, 'text': ' go', 'entries': 1}
GOOD['words'] = [{'text': ' go', 'start': 1.0, 'end': 2.0, 'probability': 0.9, 'occurrences': 1}]


@pytest.mark.parametrize(
    'line',
    [
        json.dumps(GOOD | {'start': None}),
        json.dumps(GOOD | {'text': 5}),
        json.dumps(GOOD | {'language': ['x']}),
        json.dumps(GOOD | {'words': [GOOD['words'][0] | {'conflicts': 5}]}),
        json.dumps(GOOD | {'end': 10**400}),
        json.dumps(GOOD | {'start': float('nan')}),
        '[' * 200_000,
    ],
)
def test_a_damaged_journal_is_named_by_its_line(line, tmp_path, export):
    header = {'session': '/', 'version': 1, 'started': 0.0, 'first_index': 0}
    path = tmp_path / 'a.jsonl'
    path.write_text(f'{json.dumps(header)}\n{json.dumps(GOOD)}\n{line}\n')
    for kind in ('json', 'html', 'llm'):
        code, out, err = export(path, '--format', kind)
        assert (code, out) == (2, '')
        assert 'line 3: not a line of a journal' in err and len(err.splitlines()) == 1


@pytest.mark.parametrize('at_s', ['1e308', '1e9', '1' + 400 * '0'], ids=['1e308', '1e9', '1e400'])
def test_a_time_that_no_recording_has(at_s, tmp_path, export):
    path = save(tmp_path / 'a.json', word(' go', 1))
    path.write_text(path.read_text().replace('"start": 1,', f'"start": {at_s},'))
    for kind in CHOICES:
        code, out, err = export(path, '--format', kind)
        assert (code, out) == (2, '')
        assert len(err.splitlines()) == 1 and len(err) < 300 and 'has no start time' in err


@pytest.mark.parametrize('kind', CHOICES)
def test_what_no_file_and_no_terminal_should_get(kind, tmp_path, export):
    evil = ' he\ud800llo\x1b]0;pwned\x07\x00 \u202eo\nk'
    path = save(tmp_path / 'a.json', word(evil, 0, conflicts=[['\x1b[2J', 1]]), word(' then', 1))
    out = tmp_path / f'out.{kind}'
    code, stdout, err = export(path, '--format', kind, '-o', out, '--title', 'a\nb\x1b[31m')
    assert (code, stdout) == (0, '')
    assert '\x1b' not in err
    text = out.read_text()
    assert not set(text) & {'\x1b', '\x07', '\x00', '\u202e'}
    assert '\ufffd' in text and 'then' in text
    assert {p.name for p in tmp_path.iterdir()} == {'a.json', f'out.{kind}'}
    if kind in ('txt', 'tsv', 'lrc'):
        assert len([x for x in text.splitlines() if 'pwned' in x and 'k' in x]) == 1


def test_spreadsheets_keep_words_with_quotes_apart(tmp_path, export):
    path = save(tmp_path / 'a.json', word(' "Hello', 0), word(' my "friend"."', 1))
    _, text, _ = export(path, '--format', 'tsv')
    rows = list(csv.DictReader(io.StringIO(text), dialect='excel-tab'))
    assert [r['word'] for r in rows] == ['"Hello', 'my "friend"."']


def test_days_of_uptime_are_hours_beyond_a_hundred():
    words = tuple(
        moved(ResultWord(' go', 0.0, 1.0, 0.9, 1), at_s) for at_s in (359_998.5, 400_000)
    )
    segments = [ResultSegment(w.start_s, w.end_s, w.text, (w,)) for w in words]
    result = Result('en', segments)
    text = render(result, 'srt')
    assert re.findall(r'\d+:\d\d:\d\d,\d{3}', text) == [
        '99:59:58,500',
        '99:59:59,800',
        '111:06:40,000',
        '111:06:41,300',
    ]
    assert [c.content for c in srt.parse(text)] == ['go', 'go']
    captions = webvtt.from_buffer(io.StringIO(render(result, 'vtt'))).captions
    assert [c.start_in_seconds for c in captions] == [359_998, 400_000]


def test_tokens_with_the_clocks_time_count_from_their_first_window(tmp_path):
    said = {'id': 1, 'text': ' go', 'p': 0.9, 'start': START_S + 1.5, 'end': START_S + 1.9}
    window = {'stamp': START_S, 'duration': 2.0}
    window['segments'] = [{'start': START_S + 1.0, 'end': START_S + 2.0, 'tokens': [said]}]
    path = tmp_path / 'a.jsonl'
    path.write_text(json.dumps(window) + '\n')
    (only,) = read_transcript(path).result.words
    assert only.start_s == pytest.approx(1.5)


def test_a_bag_that_was_recorded_late_begins_with_what_was_said_first(tmp_path):
    """A recorder that comes late gets the segments of before, which are latched."""
    store = get_typestore(Stores.ROS2_JAZZY)
    names = ('TranscriptWord', 'TranscriptSegment', 'WhisperToken', 'WhisperSegment')
    for name in (*names, 'WhisperTokens'):
        text = (ROOT / 'msg' / f'{name}.msg').read_text(encoding='utf-8')
        store.register(get_types_from_msg(text, f'transcript_manager/msg/{name}'))
    types = store.types
    ours = 'transcript_manager/msg/'

    def time_of(at_s):
        return types['builtin_interfaces/msg/Time'](1_700_000_000 + int(at_s), 0)

    def segment(index, at_s):
        said = types[ours + 'TranscriptWord'](
            text=f' w{index}', probability=0.9, occurrences=3, state=2, start=time_of(at_s),
            end=time_of(at_s + 1), conflicts=[], conflict_occurrences=np.array([], np.int32),
        )  # fmt: skip
        return types[ours + 'TranscriptSegment'](
            index=index,
            start=time_of(at_s),
            duration=types['builtin_interfaces/msg/Duration'](1, 0),
            text=said.text,
            words=[said],
        )

    heard = types[ours + 'WhisperTokens'](
        header=types['std_msgs/msg/Header'](time_of(600), ''), window_ms=10_000, segments=[],
        language='en', model='', inference_ms=0, end_of_stream=False,
    )  # fmt: skip
    path = tmp_path / 'bag'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind, messages in (
            ('/transcript/frozen', 'TranscriptSegment', [segment(0, 5), segment(1, 605)]),
            ('/tokens', 'WhisperTokens', [heard]),
        ):
            connection = writer.add_connection(topic, ours + kind, typestore=store)
            for message in messages:
                writer.write(connection, 10**9, store.serialize_cdr(message, ours + kind))
    result = read_transcript(path).result
    assert [s.start_s for s in result.segments] == [0.0, 600.0]
    assert result.language == 'en'


def test_words_of_segments_without_text_are_not_glued(tmp_path):
    path = tmp_path / 'a.json'
    words = [word(t, n) for n, t in enumerate(['hello', 'world'])]
    path.write_text(json.dumps({'segments': [{'words': words}]}))
    assert read_transcript(path).result.words[1].text == ' world'
    words = [word(t, n) for n, t in enumerate('今日')]
    path.write_text(json.dumps({'segments': [{'words': words}]}))
    assert ''.join(w.text for w in read_transcript(path).result.words) == '今日'


def test_folders_and_pipes_that_are_no_session(tmp_path, export, monkeypatch):
    code, _, err = export(tmp_path, '--format', 'txt')
    assert code == 2 and 'is a folder and no bag' in err
    header = {'session': '/', 'version': 1, 'started': 0.0, 'first_index': 0}

    class Pipe:
        buffer = io.BytesIO(f'{json.dumps(header)}\n{json.dumps(GOOD)}\n'.encode())

    monkeypatch.setattr('sys.stdin', Pipe)
    code, _, err = export('-', '--format', 'txt')
    assert code == 2 and 'give the path of its file' in err


def test_a_minus_as_output_is_standard_output(tmp_path, export, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / 'a.json', word(' go', 1))
    assert export(path, '--format', 'txt', '-o', '-') == (0, 'go\n', '')
    assert [p.name for p in tmp_path.iterdir()] == ['a.json']


def test_a_standard_output_that_is_full(tmp_path, installed_command):
    path = save(tmp_path / 'a.json', word(' go', 1))
    with open('/dev/full', 'w') as full:
        done = subprocess.run(
            [installed_command, 'export', path, '--format', 'json'],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == 'transcript: cannot write standard output: No space left on device\n'


def test_a_terminal_that_knows_no_umlauts(tmp_path, transcript):
    path = save(tmp_path / 'a.json', word(' schön', 1))
    done = transcript('export', path, '--format', 'txt', PYTHONIOENCODING='ascii')
    assert (done.returncode, done.stdout) == (0, 'sch\\xf6n\n')
