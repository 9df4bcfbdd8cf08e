"""Every format back through a reader that is not ours, and what cannot be exported."""

import csv
import io
import json
from pathlib import Path
import re

import numpy as np
import pylrc
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from sessions import END_S, journals, new_session, START_S, tokens
import srt
import webvtt

from transcript_manager.cli.main import main
from transcript_manager.export.formats import CHOICES, render
from transcript_manager.export.reading import read_transcript
from transcript_manager.result import Result, ResultSegment, ResultWord
from transcript_manager.session.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
BAGS = ROOT / 'test' / 'bags'


@pytest.fixture(scope='module')
def spoken():
    return read_transcript(BAGS / 'demo').result


@pytest.fixture
def saved(tmp_path, spoken):
    path = tmp_path / 'talk.json'
    path.write_text(render(spoken, 'json'))
    return path


@pytest.fixture
def export(capsys):
    """Run the command; returns exit code, standard output, standard error."""

    def run(*arguments):
        code = main(['export', *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def session(*texts, each_s=0.5, language='en'):
    """Make a result of segments."""
    segments = []
    at_s = 0.0
    for text in texts:
        words = []
        for word in text.split():
            words.append(ResultWord(f' {word}', at_s, at_s + each_s, 0.9, 3))
            at_s += each_s
        segments.append(ResultSegment(words[0].start_s, words[-1].end_s, f' {text}', tuple(words)))
        at_s += 1.5
    return Result(language, segments)


def words_of(text):
    return text.split()


def test_subrip_as_another_reader_has_it(spoken):
    cues = list(srt.parse(render(spoken, 'srt')))
    assert [c.index for c in cues] == list(range(1, len(cues) + 1))
    assert words_of(' '.join(c.content for c in cues)) == words_of(spoken.text)
    assert cues[0].start.total_seconds() == pytest.approx(spoken.words[0].start_s, abs=0.001)
    for before, after in zip(cues, cues[1:], strict=False):
        assert before.start < before.end <= after.start
    assert all(len(c.content.splitlines()) <= 2 for c in cues)


def test_webvtt_as_another_reader_has_it(spoken):
    captions = webvtt.from_buffer(io.StringIO(render(spoken, 'vtt'))).captions
    assert words_of(' '.join(c.text for c in captions)) == words_of(spoken.text)
    assert captions[0].start_in_seconds == int(spoken.words[0].start_s)


def test_lyrics_as_another_reader_has_them(spoken):
    lyrics = pylrc.parse(render(spoken, 'lrc'))
    assert lyrics.editor == 'transcript_manager'
    timed = [line for line in lyrics if line.text]
    # What it leaves in the text are the words' own times.
    found = [m for line in timed for m in re.findall(r'<(\d+):(\d+\.\d+)>([^<]*)', line.text)]
    said = [(int(m) * 60 + float(s), text.strip()) for m, s, text in found if text.strip()]
    assert [text for _, text in said] == [w.text.strip() for w in spoken.words]
    for (at_s, _), word in zip(said, spoken.words, strict=True):
        assert at_s == pytest.approx(word.start_s, abs=0.006)
    for line in timed:
        first = re.match(r'<(\d+):(\d+\.\d+)>', line.text)
        assert line.time == pytest.approx(int(first[1]) * 60 + float(first[2]), abs=0.006)
    assert timed != list(lyrics)  # empty ones, where nobody speaks


def test_tab_separated_values_as_another_reader_has_them(spoken):
    rows = list(csv.DictReader(io.StringIO(render(spoken, 'tsv')), delimiter='\t'))
    assert [r['word'] for r in rows] == [w.text.strip() for w in spoken.words]
    for row, word in zip(rows, spoken.words, strict=True):
        assert float(row['start']) == pytest.approx(word.start_s, abs=0.0006)
        assert float(row['end']) == pytest.approx(word.end_s, abs=0.0006)
        assert float(row['probability']) == pytest.approx(word.probability, abs=0.0001)
        others = dict(c.rsplit(':', 1) for c in row['conflicts'].split())
        assert {t: int(n) for t, n in others.items()} == {t.strip(): n for t, n in word.conflicts}
    assert int(rows[-1]['segment']) == len(spoken.segments)


def test_json_is_read_back_as_it_was(tmp_path, spoken):
    path = tmp_path / 'a.json'
    path.write_text(render(spoken, 'json'))
    assert render(read_transcript(path).result, 'json') == path.read_text()
    assert any(w.conflicts for w in read_transcript(path).result.words)


def test_an_hour_is_written_as_an_hour():
    late = session('good morning robot')
    moved = [
        ResultSegment(
            3661.5,
            3663.0,
            s.text,
            tuple(
                ResultWord(w.text, w.start_s + 3661.5, w.end_s + 3661.5, 0.9, 3) for w in s.words
            ),
        )
        for s in late.segments
    ]
    result = Result('en', moved)
    assert '01:01:01,500 -->' in render(result, 'srt')
    assert '01:01:01.500 -->' in render(result, 'vtt')
    assert '[61:01.50]<61:01.50>good' in render(result, 'lrc')


MARKUP = '<i>5 < 6</i> & {b} [00:01.00] a\\Nb --> c'


@pytest.mark.parametrize('kind', ['srt', 'vtt', 'lrc', 'tsv'])
def test_what_looks_like_markup_stays_text(kind):
    text = render(session(MARKUP, 'next'), kind)
    if kind == 'srt':
        (first, second) = srt.parse(text)
        assert '<' not in first.content and second.content == 'next'
    elif kind == 'vtt':
        first, second = webvtt.from_buffer(io.StringIO(text)).captions
        assert '&lt;i&gt;5' in first.raw_text.replace('\n', ' ') and second.text == 'next'
    elif kind == 'lrc':
        assert [line.text[10:14] for line in pylrc.parse(text) if line.text][-1] == 'next'
        assert len([line for line in pylrc.parse(text) if line.text]) == 2
    else:
        rows = list(csv.reader(io.StringIO(text), delimiter='\t'))
        assert {len(row) for row in rows} == {7}


HEBREW = 'שלום לך רובוט'
COMBINING = 'cafe\u0301 nai\u0308ve'


@pytest.mark.parametrize('kind', CHOICES)
@pytest.mark.parametrize('text', [HEBREW, COMBINING, '今日は', '👩‍🚀 go'])
def test_any_script_goes_through_unchanged(kind, text):
    written = render(session(text), kind)
    for word in text.split():
        assert word in written


def test_a_journal_and_the_result_of_the_same_session_are_the_same(tmp_path):
    kept = new_session(Journal(tmp_path, '/robot1'))
    frozen = []
    for end_s in range(1, END_S + 1):
        frozen += kept.take(tokens(end_s)).frozen
    frozen += kept.close().frozen
    (path,) = journals(tmp_path)
    loaded = read_transcript(path)
    assert loaded.result.text == ''.join(s.text for s in frozen)
    assert loaded.notes == []
    first = frozen[0].words[0]
    assert loaded.result.words[0].start_s == pytest.approx(first.start_s, abs=0.002)


def test_a_session_that_was_not_ended_has_its_stable_words(tmp_path):
    kept = new_session(Journal(tmp_path, '/robot1'))
    said = ''.join(kept.take(tokens(e)).stable_text for e in range(1, 20))
    kept._journal.release()  # killed
    (path,) = [p for p in tmp_path.iterdir() if p.suffix == '.jsonl']
    loaded = read_transcript(path)
    assert loaded.result.text.split() == said.split()
    assert 'was not ended' in loaded.notes[0]
    data = path.read_bytes()
    path.write_bytes(data[:-20])  # killed in the middle of a line
    loaded = read_transcript(path)
    assert 'its last line was cut' in loaded.notes[0]
    assert said.startswith(''.join(s.text for s in loaded.result.segments[:-1]))


def test_a_clock_that_was_set_back_does_not_turn_times_round(tmp_path):
    def line(index, start_s):
        word = {'text': f' w{index}', 'start': start_s, 'end': start_s + 1.0}
        word |= {'probability': 0.9, 'occurrences': 3}
        segment = {'index': index, 'start': start_s, 'end': start_s + 1.0, 'text': word['text']}
        return segment | {'entries': index + 1, 'words': [word]}

    header = {'session': '/', 'version': 1, 'started': START_S, 'first_index': 0}
    entries = [header, line(0, START_S + 1.0), line(1, START_S - 3600.0), line(2, START_S - 3595)]
    path = tmp_path / 'a.jsonl'
    path.write_text(''.join(json.dumps(e) + '\n' for e in entries))
    loaded = read_transcript(path)
    assert [round(s.start_s, 3) for s in loaded.result.segments] == [1.0, 2.0, 7.0]
    assert 'the clock was set back before segment 2' in loaded.notes[0]


def frozen_bag(path, result, *, topic='/transcript/frozen', twice=False):
    """Write what a transcript manager publishes of a result."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in ('TranscriptWord', 'TranscriptSegment'):
        text = (ROOT / 'msg' / f'{name}.msg').read_text(encoding='utf-8')
        store.register(get_types_from_msg(text, f'transcript_manager/msg/{name}'))
    types = store.types
    kind = 'transcript_manager/msg/TranscriptSegment'

    def time_of(at_s):
        return types['builtin_interfaces/msg/Time'](1_700_000_000 + int(at_s), int(at_s % 1 * 1e9))

    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(topic, kind, typestore=store)
        for index, segment in enumerate(result.segments):
            words = [
                types['transcript_manager/msg/TranscriptWord'](
                    text=w.text,
                    probability=w.probability,
                    occurrences=w.occurrences,
                    state=2,
                    start=time_of(w.start_s),
                    end=time_of(w.end_s),
                    conflicts=[t for t, _ in w.conflicts],
                    conflict_occurrences=np.array([n for _, n in w.conflicts], np.int32),
                )
                for w in segment.words
            ]
            length_s = segment.end_s - segment.start_s
            duration = types['builtin_interfaces/msg/Duration'](
                int(length_s), int(length_s % 1 * 1e9)
            )
            message = types[kind](
                index=index,
                start=time_of(segment.start_s),
                duration=duration,
                text=segment.text,
                words=words,
            )
            for _ in range(2 if twice else 1):
                data = store.serialize_cdr(message, kind)
                writer.write(connection, int(segment.end_s * 1e9), data)
    return path


def test_a_bag_with_frozen_segments(tmp_path, spoken):
    bag = frozen_bag(tmp_path / 'bag', spoken, twice=True)
    loaded = read_transcript(bag)
    assert loaded.result.text == spoken.text
    first_s = spoken.words[0].start_s  # nothing in the bag tells of the audio before it
    for ours, theirs in zip(loaded.result.words, spoken.words, strict=True):
        assert ours.start_s == pytest.approx(theirs.start_s - first_s, abs=0.001)
        assert ours.conflicts == theirs.conflicts


def test_recorded_tokens_are_merged(tmp_path, spoken):
    stream = tmp_path / 'a.jsonl'
    said = {'id': 1, 'text': ' go', 'p': 0.9, 'start': 11.5, 'end': 11.9}
    window = {'stamp': 10.0, 'duration': 2.0}
    window['segments'] = [{'start': 11.0, 'end': 12.0, 'tokens': [said]}]
    stream.write_text(json.dumps(window) + '\n')
    (word,) = read_transcript(stream).result.words
    assert (word.text, word.start_s) == (' go', pytest.approx(11.5))
    assert read_transcript(BAGS / 'demo').result.language == 'en'


def test_what_other_tools_write_is_read_too(tmp_path):
    """As whisperX does: words stripped, no probabilities."""
    path = tmp_path / 'x.json'
    segments = [
        {'start': 0.0, 'end': 1.0, 'text': 'go home', 'words': [w('go', 0.0), w('home', 0.5)]},
        {'start': 2.0, 'end': 3.0, 'text': 'now then', 'words': [w('now', 2.0), w('then', 2.5)]},
    ]
    path.write_text(json.dumps({'language': 'en', 'segments': segments}))
    result = read_transcript(path).result
    assert result.text.split() == ['go', 'home', 'now', 'then']
    assert render(result, 'srt').splitlines()[2] == 'go home'
    assert json.loads(render(result, 'json'))['segments'][0]['words'][0]['probability'] is None
    assert render(result, 'tsv').splitlines()[1] == '0.000\t0.400\tgo\t\t0\t\t1'


def w(text, start_s, **changes):
    return {'word': text, 'start': start_s, 'end': start_s + 0.4} | changes


def talk(*words):
    return {'segments': [{'text': ' '.join(x['word'] for x in words), 'words': list(words)}]}


BAD = {
    'is empty': '',
    'holds no words': json.dumps({'text': '', 'language': 'en', 'segments': []}),
    "word 2 ('six') has no start time": json.dumps(talk(w('one', 0), w('six', 1, start=None))),
    "word 1 ('six') has no start time": json.dumps(talk(w('six', -1))),
    "word 1 ('six') has no end time": json.dumps(talk(w('six', 1, end=None))),
    'ends at 1 s, before it starts (2 s)': json.dumps(talk(w('six', 2, end=1))),
    "word 2 ('a') starts at 1 s, before word 1": json.dumps(talk(w('b', 2), w('a', 1))),
    'segment 2 starts at 0.20 s, before segment 1 has ended (0.40 s)': json.dumps(
        {'segments': [*talk(w('a', 0))['segments'], *talk(w('b', 0.2))['segments']]}
    ),
    'has no words with times': json.dumps({'segments': [{'start': 0, 'end': 1, 'text': 'hi'}]}),
    '"segments" is not a list': json.dumps({'segments': 'a'}),
    'is no session': json.dumps({'a': 1}),
    'is no session: neither': 'Dear robot,\nplease come.\n',
    'is a trace': json.dumps({'stamp': 0, 'end': 1, 'stable': '', 'tentative': ''}) + '\n',
    'line 2: not a line of a journal': '{"session": "/", "version": 1, "started": 1.0, '
    '"first_index": 0}\n{"a": 1}\n',
    'is not UTF-8': b'\xff\xfe\x00'.decode('latin-1'),
}


@pytest.mark.parametrize('what', BAD)
def test_bad_input_is_named_and_nothing_is_written(what, tmp_path, export):
    path = tmp_path / 'in.json'
    path.write_bytes(BAD[what].encode('latin-1'))
    out = tmp_path / 'out.srt'
    for kind in ('srt', 'txt'):
        code, stdout, stderr = export(path, '--format', kind, '-o', out)
        assert code == 2 and stdout == ''
        assert what in stderr and str(path) in stderr and len(stderr.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ['in.json']


def test_an_output_that_cannot_be_written(tmp_path, saved, export):
    for out in (tmp_path, tmp_path / 'not' / 'there.srt'):
        code, _, stderr = export(saved, '--format', 'srt', '-o', out)
        assert code == 2 and f'cannot write {out}' in stderr
    code, _, stderr = export(saved, '--format', 'json', '-o', saved)
    assert code == 2 and 'is read too' in stderr
    assert json.loads(saved.read_text())
    code, _, stderr = export(tmp_path / 'none.json', '--format', 'srt')
    assert code == 2 and 'No such file' in stderr


def test_the_command_writes_what_was_asked_for(tmp_path, saved, spoken, export):
    code, stdout, stderr = export(saved, '--format', 'txt', '--timestamps')
    assert (code, stderr) == (0, '')
    assert stdout.splitlines()[0] == "[00:00.6 - 00:04.1] In consequence, I'm inclined to " + (
        'reserve all judgments.'
    )
    out = tmp_path / 'talk.lrc'
    assert export(saved, '--format', 'lrc', '--title', 'The [demo]', '-o', out) == (0, '', '')
    assert pylrc.parse(out.read_text()).title == 'The ［demo］'


def test_standard_input(saved, export, monkeypatch):
    class Pipe:
        buffer = io.BytesIO(saved.read_bytes())

    monkeypatch.setattr('sys.stdin', Pipe)
    code, stdout, _ = export('-', '--format', 'txt')
    assert code == 0 and stdout.startswith('In consequence')
