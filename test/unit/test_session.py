"""A session: its history, and the ways to interrupt it."""

from types import SimpleNamespace

import pytest
from sessions import END_S, journals, lines, new_session, segments_of, START_S, TEXT, tokens, TRUTH

from transcript_manager.merge.settings import MergeSettings
from transcript_manager.session.journal import Journal
from transcript_manager.session.records import to_result
from transcript_manager.session.session import Session
from transcript_manager.streams.messages import Header, NS_PER_S, Stamp


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


def test_a_pause_before_the_first_window_keeps_what_was_killed(tmp_path):
    first = new_session(Journal(tmp_path, '/'))
    said = ''.join(first.take(tokens(e)).stable_text for e in range(1, 13))
    first._journal.release()
    for act in (Session.pause, lambda s: s.resume(round((START_S + 12) * NS_PER_S))):
        session = new_session(Journal(tmp_path, '/'))
        act(session)
        session._journal.release()  # killed once more
    last = new_session(Journal(tmp_path, '/'))
    assert not last.is_paused
    said += ''.join(last.take(tokens(e)).stable_text for e in range(13, END_S + 2))
    said += last.close().stable_text
    (path,) = journals(tmp_path)
    assert ''.join(r['text'] for r in segments_of(path)).split() == said.split() == TEXT.split()
