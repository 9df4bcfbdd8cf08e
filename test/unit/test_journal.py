"""A journal: on disk once, whatever happens, and gone on with after a kill."""

import json
import os

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from sessions import END_S, journals, lines, new_session, segments_of, START_S, TEXT, tokens, TRUTH

from transcript_manager.session.journal import Journal
from transcript_manager.streams.messages import Header, Stamp


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
