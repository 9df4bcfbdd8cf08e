"""A session's journal: on disk once, whatever happens, and gone on with after a kill."""

import json
import os
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from scripted import heard, spoken

from transcript_manager.merge.settings import MergeSettings
from transcript_manager.session.journal import Journal
from transcript_manager.session.records import to_result
from transcript_manager.session.session import Session
from transcript_manager.streams.messages import (
    Header,
    NS_PER_S,
    SegmentRecord,
    Stamp,
    TokenRecord,
    TokensRecord,
)

START_S = 1_790_000_000
SENTENCES = (
    'the robot carries a small red box to the kitchen',
    'it waits there for Anna and looks around',
    'then it comes back with three green apples',
    'nobody has told it which of them to take',
    'so it puts all of them on the round table',
    'and goes to sleep beside the open window',
)


def speech():
    """Return (text, start, end) of sentences with pauses; '|' opens a segment."""
    truth, at_s = [], 0.5
    for sentence in SENTENCES:
        words = spoken(sentence, from_s=at_s)
        truth.append(('|' + words[0][0], *words[0][1:]))
        truth += words[1:]
        at_s = words[-1][2] + 0.8
    return truth


TRUTH = speech()
END_S = int(TRUTH[-1][2]) + 2
TEXT = ' '.join(SENTENCES)


def tokens(end_s, *, shift_s=0.0, end_of_stream=False, truth=TRUTH):
    """Make the message of the window that ends at a time, as a whisper node would."""
    start_s = max(0.0, end_s - 10.0)
    segments = []
    for text, begin_s, until_s in heard(truth, start_s, end_s):
        if text.startswith('|') or not segments:
            segments.append([])
        begin_ms = max(0, round((begin_s + shift_s - start_s) * 1000))
        until_ms = max(begin_ms, round((until_s + shift_s - start_s) * 1000))
        segments[-1].append(TokenRecord(text.removeprefix('|'), 0.95, begin_ms, until_ms))
    stamp_ns = round((START_S + start_s) * NS_PER_S)
    return TokensRecord(
        Header(Stamp(stamp_ns // NS_PER_S, stamp_ns % NS_PER_S)),
        round((end_s - start_s) * 1000),
        tuple(SegmentRecord(s[0].start_ms, s[-1].end_ms, tuple(s)) for s in segments),
        'en',
        end_of_stream,
    )


def new_session(journal, *, max_age_s=60.0):
    restored = journal.resume(max_age_s) if max_age_s else None
    return Session(MergeSettings(), journal=journal, restored=restored)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def journals(folder):
    return sorted(folder.glob('*.jsonl'))


def segments_of(path):
    return [v for v in lines(path) if 'words' in v]


def test_a_session_is_a_file_with_a_line_per_segment(tmp_path):
    session = new_session(Journal(tmp_path / 'new' / 'folder', '/robot1'))
    published = []
    for end_s in range(1, END_S + 1):
        published += session.take(tokens(end_s)).frozen
    published += session.close().frozen
    (path,) = journals(tmp_path / 'new' / 'folder')
    assert path.name.startswith('robot1_')
    first, *records, last = lines(path)
    assert first['started'] == START_S and 'ended' in last
    assert ''.join(r['text'] for r in records).split() == TEXT.split()
    assert [r['index'] for r in records] == list(range(len(records))) and len(records) > 3
    assert [r['text'] for r in records] == [s.text for s in published]
    assert records[0]['start'] == pytest.approx(START_S + 0.5, abs=0.05)
    assert all(
        r['start'] <= w['start'] <= w['end'] <= r['end'] for r in records for w in r['words']
    )
    assert records[-1]['entries'] == sum(len(r['words']) for r in records)
    assert not list((tmp_path / 'new' / 'folder').glob('*.active.json'))


@pytest.mark.parametrize('killed_at_s', [1, 5, 10, 12, 15, 18, 19, 20, 21, 23])
@pytest.mark.parametrize('shift_s', [-0.15, 0.0, 0.15])
def test_a_killed_session_goes_on_without_losing_or_doubling(tmp_path, killed_at_s, shift_s):
    first = new_session(Journal(tmp_path, '/'))
    said = ''.join(first.take(tokens(e)).stable_text for e in range(1, killed_at_s + 1))
    first._journal.release()  # the kernel does it for a process that is killed
    second = new_session(Journal(tmp_path, '/'))
    frozen = []
    for end_s in range(killed_at_s + 2, END_S + 2):  # a window was lost meanwhile
        change = second.take(tokens(end_s, shift_s=shift_s))
        said += change.stable_text
        frozen += change.frozen
    change = second.close()
    assert (said + change.stable_text).split() == TEXT.split()
    (path,) = journals(tmp_path)
    records = segments_of(path)
    assert ''.join(r['text'] for r in records).split() == TEXT.split()
    assert [r['index'] for r in records] == list(range(len(records)))
    assert [s.index for s in [*frozen, *change.frozen]] == [
        r['index'] for r in records[-len(frozen) - len(change.frozen) :]
    ]
    assert records[-1]['entries'] == sum(len(r['words']) for r in records)


@pytest.mark.parametrize('killed_at_s', range(13, 24))
def test_killed_between_its_two_files_it_goes_on_without_doubling(tmp_path, killed_at_s):
    first = new_session(Journal(tmp_path, '/'))
    said = ''.join(first.take(tokens(e)).stable_text for e in range(1, killed_at_s))
    first._journal.keep = lambda *_args, **_more: None  # the journal is written, this is not
    said += first.take(tokens(killed_at_s)).stable_text
    first._journal.release()
    second = new_session(Journal(tmp_path, '/'))
    for end_s in range(killed_at_s + 1, END_S + 2):
        second.take(tokens(end_s))
    second.close()
    (path,) = journals(tmp_path)
    assert ''.join(r['text'] for r in segments_of(path)).split() == TEXT.split()
    assert said.split() == TEXT.split()[: len(said.split())]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_left_of_a_journal_is_gone_on_with(tmp_path_factory, data):
    """Killed in the middle of a write: any part of the files may be there."""
    folder = tmp_path_factory.mktemp('journal')
    first = new_session(Journal(folder, '/'))
    for end_s in range(1, 22):
        first.take(tokens(end_s))
    first._journal.release()
    (path,) = journals(folder)
    (state,) = folder.glob('*.active.json')
    for file in (path, state):
        content = file.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        junk = data.draw(st.sampled_from([b'', b'\0\0\0', b'{"index": 3', b'[]\n', b'\xff\n']))
        file.write_bytes(content[:cut] + junk)
    whole = [r['index'] for r in parsed(path)[1:] if 'words' in r]
    has_header = 'started' in (parsed(path) or [{}])[0]
    second = new_session(Journal(folder, '/'))
    for end_s in range(22, END_S + 2):
        second.take(tokens(end_s))
    second.close()
    (newest,) = [p for p in journals(folder) if b'"ended"' in p.read_bytes()]
    assert (newest == path) == has_header
    records = [v for v in parsed(newest) if 'words' in v]
    if has_header:
        assert [r['index'] for r in records[: len(whole)]] == whole
    assert len({r['index'] for r in records}) == len(records) > 0
    words = ''.join(r['text'] for r in records).split()
    assert len(words) <= len(TEXT.split())  # a cut journal can have lost some: never more


def parsed(path):
    """Return what can be read of a journal's lines, those that are whole."""
    found = []
    for k, line in enumerate(path.read_bytes().splitlines(keepends=True)):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not line.endswith(b'\n') or (k == 0 and not isinstance(value, dict)):
            break
        if isinstance(value, dict):
            found.append(value)
    return found


def test_a_session_that_ended_or_is_old_or_anothers_is_not_gone_on_with(tmp_path):
    session = new_session(Journal(tmp_path, '/robot1'))
    session.take(tokens(5))
    session.close()
    assert Journal(tmp_path, '/robot1').resume(60.0) is None
    session = new_session(Journal(tmp_path, '/robot1'))
    session.take(tokens(5))
    assert Journal(tmp_path, '/robot1').resume(60.0) is None  # it is still being written
    session._journal.release()
    assert Journal(tmp_path, '/robot2').resume(60.0) is None
    for path in tmp_path.iterdir():
        os.utime(path, (1e9, 1e9))
    assert Journal(tmp_path, '/robot1').resume(60.0) is None
    assert Journal(tmp_path, '/robot1').resume(1e12) is not None


def test_a_clock_set_back_while_nobody_listened_makes_nobody_deaf(tmp_path):
    first = new_session(Journal(tmp_path, '/'))
    for end_s in range(1, 15):
        first.take(tokens(end_s))
    first._journal.release()
    second = new_session(Journal(tmp_path, '/'))
    hour = [(w, a, b) for w, a, b in TRUTH]
    said = ''
    for end_s in range(1, END_S + 1):
        message = tokens(end_s, truth=hour)
        stamp = Stamp(message.header.stamp.sec - 3600, message.header.stamp.nanosec)
        said += second.take(message._replace(header=Header(stamp))).stable_text
    assert (said + second.close().stable_text).split() == TEXT.split()


class FullDisk:
    """os.write that fails as a full disk does, after some bytes."""

    def __init__(self, monkeypatch):
        self.room = None
        real = os.write

        def write(descriptor, data):
            if self.room is None:
                return real(descriptor, data)
            if self.room == 0:
                raise OSError(28, 'No space left on device')
            taken = real(descriptor, data[: self.room])
            self.room -= taken
            return taken

        monkeypatch.setattr(os, 'write', write)


def test_a_full_disk_is_said_and_loses_nothing(tmp_path, monkeypatch):
    disk = FullDisk(monkeypatch)
    journal = Journal(tmp_path, '/')
    session = new_session(journal)
    monkeypatch.setattr('transcript_manager.session.journal._RETRY_S', 0.0)
    said = ''
    for end_s in range(1, END_S + 1):
        if end_s == 14:
            disk.room = 40  # the next line fits in part
        said += session.take(tokens(end_s)).stable_text
    assert 'No space left' in journal.complaint and journal.pending > 0
    (path,) = journals(tmp_path)
    assert path.read_bytes().endswith(b'\n')  # no part of a line
    disk.room = None
    session.close()
    assert journal.complaint == '' and journal.pending == 0
    assert ''.join(r['text'] for r in segments_of(path)).split() == TEXT.split()


def test_a_folder_that_cannot_be_written_is_said_and_transcription_goes_on(tmp_path):
    (tmp_path / 'file').write_text('')
    journal = Journal(tmp_path / 'file' / 'folder', '/')
    session = new_session(journal)
    said = ''.join(session.take(tokens(e)).stable_text for e in range(1, END_S + 1))
    assert len(said.split()) > 30
    assert 'cannot write the journal' in journal.complaint and journal.pending > 0


def test_a_journal_that_is_deleted_meanwhile_is_begun_again(tmp_path):
    journal = Journal(tmp_path, '/')
    session = new_session(journal)
    for end_s in range(1, 16):
        session.take(tokens(end_s))
    (path,) = journals(tmp_path)
    before = len(segments_of(path))
    path.unlink()
    for end_s in range(16, END_S + 1):
        session.take(tokens(end_s))
    session.close()
    (path,) = journals(tmp_path)
    assert segments_of(path)[0]['index'] == before


def test_history_reads_on_in_the_journal_what_memory_has_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr('transcript_manager.session.history._IN_MEMORY', 2)
    monkeypatch.setattr('transcript_manager.session.journal._INDEX_EVERY', 2)
    session = new_session(Journal(tmp_path, '/'))
    for end_s in range(1, END_S + 1):
        session.take(tokens(end_s))
    records = list(session.history.segments())
    assert [r['index'] for r in records] == list(range(session.frozen_count)) and len(records) > 2
    records = [*records, *session.active_records()]
    result = to_result(records, start_s=START_S)
    assert result.text.split() == TEXT.split()[: len(result.text.split())]
    assert result.segments[0].start_s == pytest.approx(0.5, abs=0.05)


def test_reset_begins_a_file_and_counts_on(tmp_path):
    session = new_session(Journal(tmp_path, '/'))
    for end_s in range(1, 13):
        session.take(tokens(end_s))
    change = session.reset(round((START_S + 12) * NS_PER_S))
    assert change.frozen and change.active == ()
    assert list(session.history.segments()) == []
    for end_s in range(13, END_S + 1):
        session.take(tokens(end_s))
    session.close()
    first, second = (segments_of(path) for path in journals(tmp_path))
    assert [r['index'] for r in [*first, *second]] == list(range(len(first) + len(second)))
    words = ''.join(r['text'] for r in first).split() + ''.join(r['text'] for r in second).split()
    # The word that was being said at the reset belongs to neither.
    assert len(words) in (len(TEXT.split()), len(TEXT.split()) - 1)


def test_a_paused_session_takes_nothing_that_is_said_meanwhile():
    session = Session(MergeSettings())
    said = ''.join(session.take(tokens(e)).stable_text for e in range(1, 9))
    said += session.pause().stable_text
    assert all(session.take(tokens(e)) is None for e in range(9, 15))
    session.resume(round((START_S + 14) * NS_PER_S))
    for end_s in range(15, END_S + 1):
        said += session.take(tokens(end_s)).stable_text
    said += session.close().stable_text
    meanwhile = [w for w, a, b in TRUTH if a > 8 and b < 14]
    expected = [w.strip('| ') for w, a, b in TRUTH if b < 7.8 or (a + b) / 2 > 14]
    assert len(meanwhile) > 8
    assert said.split() == expected


def test_messages_with_absurd_times_neither_raise_nor_stay():
    session = Session(MergeSettings())
    for sec in (0, -(2**31), 2**31 - 1, 5, START_S):
        header = Header(Stamp(sec, 999_999_999))
        session.take(SimpleNamespace(**(tokens(3)._asdict() | {'header': header})))
    said = ''.join(session.take(tokens(e)).stable_text for e in range(1, END_S + 1))
    assert len(said.split()) > 30


def test_a_stream_that_begins_anew_has_its_own_time():
    session = Session(MergeSettings())
    for end_s in range(1, END_S + 1):
        session.take(tokens(end_s))
    session.take(tokens(END_S, end_of_stream=True))
    change = session.take(tokens(1))
    assert change.end_ns == (START_S + 1) * NS_PER_S
    said = change.stable_text + ''.join(
        session.take(tokens(e)).stable_text for e in range(2, END_S + 1)
    )
    assert (said + session.close().stable_text).split() == TEXT.split()


def test_robots_keep_their_journals_apart_and_a_locked_one_is_passed_over(tmp_path):
    """Names that begin alike, names that become alike, and two managers of the same name."""
    nodes = ('/robot', '/robot_2', '/robot/2', '/robot_2')
    sessions = [new_session(Journal(tmp_path, node)) for node in nodes]
    for session in sessions:
        for end_s in range(1, 13):
            session.take(tokens(end_s))
    paths = [session._journal.path for session in sessions]
    assert len(set(paths)) == 4
    sessions[1]._journal.release()  # killed; the other one of its name lives on
    resumed = [Journal(tmp_path, node) for node in nodes[:2]]
    assert resumed[0].resume(60.0) is None and resumed[1].resume(60.0).active
    assert resumed[1].path == paths[1] and not resumed[0].complaint
    sessions[2]._journal.release()
    sessions[3]._journal.touch()  # its file is the newest
    sessions[3]._journal.release()
    resumed = Journal(tmp_path, '/robot/2')
    assert resumed.resume(60.0).active and resumed.path == paths[2]


def test_a_session_killed_after_a_reset_goes_on_without_doubling(tmp_path):
    first = new_session(Journal(tmp_path, '/'))
    for end_s in range(1, 13):
        first.take(tokens(end_s))
    first.reset(round((START_S + 12) * NS_PER_S))
    count = first.frozen_count
    first._journal.release()
    second = new_session(Journal(tmp_path, '/'))
    for end_s in range(13, END_S + 1):
        second.take(tokens(end_s))
    second.close()
    old, new = (segments_of(path) for path in journals(tmp_path))
    assert new[0]['index'] == count == len(old)
    words = ''.join(r['text'] for r in old).split() + ''.join(r['text'] for r in new).split()
    assert len(words) in (len(TEXT.split()), len(TEXT.split()) - 1)


def test_a_reset_before_the_first_window_keeps_what_was_killed(tmp_path):
    first = new_session(Journal(tmp_path, '/'))
    for end_s in range(1, 13):
        first.take(tokens(end_s))
    stable = first.words_stable
    first._journal.release()
    second = new_session(Journal(tmp_path, '/'))
    second.reset(round((START_S + 12) * NS_PER_S))
    for end_s in range(13, END_S + 1):
        second.take(tokens(end_s))
    second.close()
    old, new = (segments_of(path) for path in journals(tmp_path))
    assert len(''.join(r['text'] for r in old).split()) == stable
    assert [r['index'] for r in [*old, *new]] == list(range(len(old) + len(new)))
    assert all('ended' in lines(path)[-1] for path in journals(tmp_path))


def test_a_pause_before_the_first_window_holds_and_survives_a_kill(tmp_path):
    session = Session(MergeSettings())
    session.pause()
    assert all(session.take(tokens(e)) is None for e in range(1, 11))
    session.resume(round((START_S + 10) * NS_PER_S))
    said = ''.join(session.take(tokens(e)).stable_text for e in range(11, END_S + 1))
    said += session.close().stable_text
    assert said.split() == [w.strip('| ') for w, a, b in TRUTH if (a + b) / 2 > 10]
    first = new_session(Journal(tmp_path, '/'))
    first.take(tokens(5))
    first.pause()
    first._journal.release()
    second = new_session(Journal(tmp_path, '/'))
    assert second.is_paused and second.take(tokens(9)) is None
    change = second.take(tokens(10, end_of_stream=True))
    assert change.end_of_stream and change.stable_text == ''


@pytest.mark.parametrize('hours', [-1, 1])
def test_a_clock_that_is_set_during_a_pause_lets_nothing_slip_through(hours):
    def later(end_s):
        message = tokens(end_s)
        stamp = Stamp(message.header.stamp.sec + 3600 * hours, message.header.stamp.nanosec)
        return message._replace(header=Header(stamp))

    session = Session(MergeSettings())
    for end_s in range(1, 9):
        session.take(tokens(end_s))
    session.pause()
    for end_s in range(9, 15):
        session.take(later(end_s))
    assert session.end_ns == (START_S + 3600 * hours + 14) * NS_PER_S
    session.resume(session.end_ns)
    said = ''.join(session.take(later(e)).stable_text for e in range(15, END_S + 1))
    said += session.close().stable_text
    assert said.split() == [w.strip('| ') for w, a, b in TRUTH if (a + b) / 2 > 14]


def test_a_recording_played_again_and_again_is_heard_each_time():
    session = Session(MergeSettings())
    for _ in range(3):
        said = ''
        for end_s in range(1, END_S):
            said += session.take(tokens(end_s)).stable_text
        change = session.take(tokens(END_S, end_of_stream=True))
        said += change.stable_text
        assert said.split() == TEXT.split() and change.frozen
        for end_s in (END_S - 1, END_S - 2):  # late, and sent twice
            assert session.take(tokens(end_s)).stable_text == ''
        assert session.take(tokens(END_S, end_of_stream=True)).frozen == ()


def test_a_disk_that_is_full_from_the_start_and_to_the_end_loses_no_header(tmp_path, monkeypatch):
    disk = FullDisk(monkeypatch)
    monkeypatch.setattr('transcript_manager.session.journal._RETRY_S', 0.0)
    disk.room = 20
    session = new_session(Journal(tmp_path, '/'))
    for end_s in range(1, 16):
        session.take(tokens(end_s))
    assert session._journal.complaint and not journals(tmp_path)
    disk.room = None
    session.touch()
    (path,) = journals(tmp_path)
    assert 'started' in lines(path)[0] and segments_of(path)
    disk.room = 30
    session.close()
    assert session._journal.pending and 'ended' not in lines(path)[-1]


def test_no_file_is_made_before_there_is_a_session(tmp_path):
    session = new_session(Journal(tmp_path, '/'))
    session.touch()
    assert not list(tmp_path.iterdir())
    session.take(tokens(1))
    (path,) = journals(tmp_path)
    assert lines(path)[0]['started'] == START_S
    session.close()
    session.touch()
    assert [k for k in ('started', 'words', 'ended') for v in lines(path) if k in v] == [
        'started',
        'words',
        'ended',
    ]


def test_history_finds_a_time_in_a_journal(tmp_path, monkeypatch):
    monkeypatch.setattr('transcript_manager.session.history._IN_MEMORY', 1)
    monkeypatch.setattr('transcript_manager.session.journal._INDEX_EVERY', 2)
    session = new_session(Journal(tmp_path, '/'))
    for end_s in range(1, END_S + 1):
        session.take(tokens(end_s))
    session.settle()
    whole = list(session.history.segments())
    middle = whole[len(whole) // 2]
    found = list(session.history.segments(0, middle['start'], middle['end']))
    assert middle in found and len(found) < len(whole)
    assert [r['index'] for r in session.history.segments(2)] == [r['index'] for r in whole[2:]]
