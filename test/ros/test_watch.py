"""People who look on: a running graph from outside, and the live view in a real terminal."""

import re

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import pytest
import srt
from terminals import Terminal

from transcript_manager import msg
from transcript_manager.cli.follow import moment_of
from transcript_manager.export.formats import render
from transcript_manager.export.reading import read_transcript


@pytest.fixture
def terminal(installed_command):
    opened = []

    def run(*arguments, **env):
        opened.append(Terminal([installed_command, *arguments], env))
        return opened[-1]

    yield run
    for one in opened:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture
def robot(start_node, recording):
    """Start a graph in a namespace that transcribes the second recording."""

    def begin(namespace, *, journal_dir, **ring):
        path, _ = recording('second')
        return [
            start_node('transcript_manager', namespace=namespace, journal_dir=journal_dir),
            start_node('whisper', namespace=namespace, model='demo'),
            start_node('audio_ring', namespace=namespace, source=path, **ring),
        ]

    return begin


def test_a_robot_is_watched_from_outside(robot, start, installed_command, tmp_path, wait_until):
    live = tmp_path / 'live.srt'
    watch = start(
        [installed_command, 'watch', '--namespace', 'robot1', '--until-end', '--live', live]
    )
    manager, *_ = robot('/robot1', journal_dir=tmp_path / 'journal', pace='lockstep')
    assert watch.wait() == 0, watch.output
    assert manager.stop() == 0
    (journal,) = (tmp_path / 'journal').glob('*.jsonl')
    result = read_transcript(journal).result
    lines = [s.text.strip() for s in result.segments]
    # Standard output has the final lines; progress, on standard error, is in between.
    assert [x for x in watch.output.splitlines() if x in lines] == lines
    assert '\x1b' not in watch.output
    written = [c.content.split() for c in srt.parse(live.read_text())]
    assert written == [c.content.split() for c in srt.parse(render(result, 'srt'))]
    first = next(srt.parse(live.read_text())).start.total_seconds()
    assert first == pytest.approx(result.words[0].start_s, abs=0.01)


def test_the_view_of_a_robot_in_a_terminal(robot, terminal, tmp_path, wait_until):
    watch = terminal('watch', '--namespace', '/robot1')
    wait_until(lambda: 'waiting for a transcript on /robot1/transcript' in watch.text, 'the view')
    robot('/robot1', journal_dir=tmp_path / 'journal')
    wait_until(lambda: 'live   c conflicts  p confidence  q quit' in watch.text, 'the position')
    for part in ('dB  ', 'speech  lag ', 's  duty ', '%  decode ', 'ms  ', 'demo'):
        wait_until(lambda part=part: part in watch.text, part)
    wait_until(lambda: re.search(r'\[00:0\d\.\d - 00:\d\d\.\d\] \w+', watch.text), 'a final line')
    assert '{' not in watch.text
    watch.press('c')
    wait_until(lambda: re.search(r'\w+ \{\w+', watch.text), 'a conflict')
    watch.press('q')
    assert watch.process.wait(20) == 0
    wait_until(lambda: watch.output.endswith('\x1b[?25h') or '\x1b[?25h' in watch.output, 'cursor')


def test_a_file_in_a_terminal_without_colours(terminal, recording, wait_until, tmp_path):
    path, reference = recording('second')
    run = terminal(
        'run', '--audio', path, '--model', 'demo', '--fast', '--confidence', NO_COLOR='1'
    )
    assert run.process.wait(90) == 0, run.text
    wait_until(lambda: 'windows decoded' in run.text, 'the summary')
    codes = {c for g in re.findall(r'\x1b\[([0-9;]+)m', run.output) for c in g.split(';')}
    assert codes and not codes & {str(n) for n in [*range(30, 50), *range(90, 108)]}
    assert re.search(r'━.* 100%', run.text)


def test_what_was_shown_is_let_go_and_still_known(following):
    listener = following()
    words = [msg.TranscriptWord(text=' go')]
    segments = [
        msg.TranscriptSegment(index=n, start=Time(sec=n), text=' go', words=words)
        for n in range(3)
    ]
    for message in segments:
        listener._on_frozen(message)
    listener.let_go(2)
    assert [len(s.words) for s in listener.snapshot().segments] == [0, 0, 1]
    listener._on_frozen(segments[1])  # published again, for somebody who came late
    assert [s.text for s in listener.snapshot().segments] == [' go'] * 3


def test_who_comes_late_has_all_segments_and_not_all_text(following):
    listener = following()
    for number in range(3):
        listener._on_frozen(
            msg.TranscriptSegment(index=number, start=Time(sec=number), text=' go')
        )
    listener._on_update(msg.TranscriptUpdate(revision=9, frozen_count=3, end_of_stream=True))
    snapshot = listener.snapshot()
    assert snapshot.is_ended and snapshot.has_all_frozen and not snapshot.is_complete


def test_a_manager_that_begins_again_is_shown_from_its_first_word(following):
    listener = following()
    for number in range(50):
        listener._on_frozen(msg.TranscriptSegment(index=number, start=Time(sec=number), text=' a'))
    listener._on_update(msg.TranscriptUpdate(revision=70, frozen_count=50))
    again = msg.TranscriptUpdate(revision=1, active=[msg.TranscriptSegment(index=0, text=' b')])
    listener._on_update(again)
    snapshot = listener.snapshot()
    assert [s.text for s in snapshot.active] == [' b'] and snapshot.has_all_frozen
    listener._on_update(msg.TranscriptUpdate(revision=5, frozen_count=1))
    assert not listener.snapshot().has_all_frozen  # its first segment is under way
    listener._on_frozen(msg.TranscriptSegment(index=0, start=Time(sec=90), text=' b'))
    assert listener.snapshot().has_all_frozen


@pytest.mark.parametrize('value', ['1e300', 'nan', 'inf', '-1e300', 'x', ''])
def test_diagnostics_that_are_no_number(value, following):
    status = DiagnosticStatus(name='audio_ring')
    keys = ('stream_start_s', 'level_dbfs', 'clipping')
    status.values = [KeyValue(key=key, value=value) for key in keys]
    listener = following()
    listener._on_diagnostics(DiagnosticArray(status=[status]))
    vitals = listener.snapshot().vitals
    assert (vitals.stream_start_s, vitals.level_dbfs, vitals.clipping) == (None, None, 0.0)


def test_a_robot_that_has_gone_is_told(following):
    listener = following()
    listener._on_update(msg.TranscriptUpdate(revision=1))
    listener._on_diagnostics(level_of(-20.0))
    shown = moment_of(listener.snapshot(), 0)
    assert (shown.level_dbfs, shown.complaint) == (-20.0, '')
    listener._heard_s -= 60.0
    shown = moment_of(listener.snapshot(), 0)
    assert shown.level_dbfs is None
    assert shown.complaint.startswith('nothing has come for 60 s')


def level_of(level_dbfs):
    status = DiagnosticStatus(name='audio_ring', level=DiagnosticStatus.OK)
    status.values = [KeyValue(key='level_dbfs', value=f'{level_dbfs:.3f}')]
    return DiagnosticArray(status=[status])


def test_who_watches_nobody_is_told_whom_there_is(
    start, start_node, installed_command, tmp_path, wait_until
):
    start_node('transcript_manager', namespace='/robot7')
    watch = start([installed_command, 'watch'])
    watch.wait_for('nobody publishes /transcript; try --namespace robot7')
    assert watch.stop() == 0
    assert 'Traceback' not in watch.output


@pytest.mark.parametrize(
    ('arguments', 'complaint'),
    [
        (['--namespace', 'a b'], '--namespace: '),
        (['--live', 'x.txt'], 'must end in one of .srt, .vtt, .lrc'),
        (['--live', 'x.srt', '--live', './x.srt'], 'the same file twice'),
        (['--live', 'not/there.srt'], 'cannot write not/there.srt'),
    ],
)
def test_what_cannot_be_watched(arguments, complaint, transcript):
    done = transcript('watch', *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_live_file_that_is_the_result_too_is_refused(transcript, recording, tmp_path):
    path, _ = recording('demo')
    out = tmp_path / 'a.srt'
    done = transcript(
        'run', '--audio', path, '--model', 'demo', '--format', 'srt', '-o', out, '--live', out
    )
    assert done.returncode == 2 and 'the same file twice' in done.stderr
    assert not out.exists()
