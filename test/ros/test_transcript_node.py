"""The transcript manager node: its services, its action, its journal, its diagnostics."""

from contextlib import contextmanager
import json
import threading
import time

from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import pytest
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger
from transcript_manager.action import Transcribe
from transcript_manager.srv import GetTranscript

from transcript_manager import msg
from transcript_manager.ros import qos
from transcript_manager.ros.conversions import to_time
from transcript_manager.ros.listener import TranscriptListener
from transcript_manager.ros.process import Process
from transcript_manager.ros.transcript_node import TranscriptNode

TIMEOUT_S = 60.0
SENTENCES = ('the robot carries a small red box', 'it waits there for Anna', 'and it comes back')


def truth(start_s=0.5):
    """Return (text, start, end, opens a segment)."""
    words, at_s = [], start_s
    for sentence in SENTENCES:
        for k, word in enumerate(sentence.split()):
            words.append((' ' + word, at_s, at_s + 0.35, k == 0))
            at_s += 0.4
        at_s += 0.8
    return words


def tokens(words, end_s, *, origin_s, end_of_stream=False):
    """Make what a whisper node would have heard in the window that ends then."""
    start_s = max(0.0, end_s - 10.0)
    message = msg.WhisperTokens(
        window_ms=round((end_s - start_s) * 1000), language='en', end_of_stream=end_of_stream
    )
    message.header.stamp = to_time(round((origin_s + start_s) * 1e9))
    for text, begin_s, until_s, opens in words:
        if begin_s < start_s or until_s > end_s:
            continue
        if opens or not message.segments:
            message.segments.append(msg.WhisperSegment())
        begin_ms, until_ms = (round((t - start_s) * 1000) for t in (begin_s, until_s))
        token = msg.WhisperToken(text=text, probability=0.95, start_ms=begin_ms, end_ms=until_ms)
        segment = message.segments[-1]
        segment.tokens.append(token)
        segment.start_ms, segment.end_ms = segment.tokens[0].start_ms, until_ms
    return message


class Robot(Node):
    """Publishes tokens as they would have been heard and calls services."""

    def __init__(self):
        super().__init__('robot')
        self.tokens = self.create_publisher(msg.WhisperTokens, 'tokens', qos.TOKENS)
        self.reports = []
        self.create_subscription(DiagnosticArray, '/diagnostics', self.reports.append, 10)
        self.clients_of = {
            name: self.create_client(kind, f'transcript_manager/{name}')
            for name, kind in (
                ('get_transcript', GetTranscript),
                *((n, Trigger) for n in ('reset', 'flush', 'pause', 'resume')),
            )
        }
        self.transcribe = ActionClient(self, Transcribe, 'transcript_manager/transcribe')
        self.words = truth()
        self.origin_s = time.time()

    def destroy_node(self):
        self.transcribe.destroy()
        super().destroy_node()

    def say(self, *ends_s, **more):
        for end_s in ends_s:
            self.tokens.publish(tokens(self.words, end_s, origin_s=self.origin_s, **more))

    def call(self, name, **fields):
        client = self.clients_of[name]
        assert client.wait_for_service(TIMEOUT_S)
        kind = GetTranscript if name == 'get_transcript' else Trigger
        return client.call(kind.Request(**fields), timeout_sec=TIMEOUT_S)


@contextmanager
def running(**parameters):
    """Run a manager, a robot and a listener."""
    overrides = [Parameter(k, value=v) for k, v in parameters.items()]
    with Process(['--ros-args', '--log-level', 'error']) as process:
        process.spin()
        node = process.add(lambda: TranscriptNode(parameter_overrides=overrides))
        robot, listener = process.add(Robot), process.add(TranscriptListener)
        end_s = time.monotonic() + TIMEOUT_S
        while not (
            robot.tokens.get_subscription_count() >= 2 and listener.count_publishers('transcript')
        ):
            assert time.monotonic() < end_s
            time.sleep(0.02)
        yield node, robot, listener


@pytest.fixture
def heard(wait_until):
    """Wait until so many updates have arrived."""

    def wait(listener, revision):
        wait_until(lambda: listener.snapshot().revision >= revision, f'update {revision}')
        return listener.snapshot()

    return wait


def text_of(snapshot):
    return ''.join(s.text for s in snapshot.segments)


def test_the_transcript_of_a_time_in_every_format(heard):
    with running() as (_, robot, listener):
        for end_s in range(1, 21):
            robot.say(end_s)
            heard(listener, end_s)
        whole = robot.call('get_transcript')
        assert whole.success and whole.is_complete
        lines = whole.transcript.splitlines()
        assert lines == list(SENTENCES)[: len(lines)] and len(lines) >= 2
        both = robot.call('get_transcript', include_active=True)
        assert both.transcript.split() == ' '.join(SENTENCES).split()
        as_json = json.loads(robot.call('get_transcript', format='json').transcript)
        assert as_json['segments'][0]['words'][0]['text'] == ' the'
        assert as_json['segments'][0]['start'] == pytest.approx(0.5, abs=0.05)
        assert as_json['language'] == 'en'
        srt = robot.call('get_transcript', format='srt').transcript
        assert srt.startswith('1\n00:00:00,500 --> 00:00:03,') and SENTENCES[0] in srt
        vtt = robot.call('get_transcript', format='vtt').transcript
        assert vtt.startswith('WEBVTT') and '00:00:00.500 --> ' in vtt
        part = robot.call(
            'get_transcript',
            start=to_time(round((robot.origin_s + 1.0) * 1e9)),
            end=to_time(round((robot.origin_s + 2.0) * 1e9)),
        )
        assert part.transcript.split() == ['robot', 'carries', 'a']
        refused = robot.call('get_transcript', format='docx')
        assert not refused.success and 'text, json, srt, vtt' in refused.message


def test_a_long_answer_comes_in_parts(heard, monkeypatch):
    monkeypatch.setattr('transcript_manager.ros.transcript_services._MAX_BYTES', 60)
    with running() as (_, robot, listener):
        robot.say(*range(1, 9))
        robot.say(9, end_of_stream=True)
        heard(listener, 9)
        parts, index = [], 0
        while True:
            answer = robot.call('get_transcript', first_index=index)
            parts += answer.transcript.splitlines()
            if answer.is_complete:
                break
            assert answer.next_index > index
            index = answer.next_index
        assert parts == list(SENTENCES)


@pytest.mark.parametrize(
    'name',
    [
        '../escape.txt',
        '/tmp/escape.txt',
        '.hidden',
        'a/b',
        '..',
        'x' * 201,
        '語' * 128,
        'a\nb',
    ],
)
def test_files_are_written_below_the_folder_only(name, tmp_path):
    folder = tmp_path / 'journal'
    with running(journal_dir=str(folder)) as (_, robot, _listener):
        answer = robot.call('get_transcript', save_as=name)
        assert not answer.success and answer.message and answer.path == ''
    assert not list(folder.rglob('*escape*')) and not (tmp_path / 'escape.txt').exists()


def test_a_file_is_written_where_it_was_asked_for(tmp_path, heard):
    folder = tmp_path / 'journal'
    with running(journal_dir=str(folder)) as (_, robot, listener):
        robot.say(*range(1, 9))
        robot.say(9, end_of_stream=True)
        heard(listener, 9)
        (folder / 'saved').mkdir()
        (folder / 'saved' / 'talk.srt').symlink_to(tmp_path / 'elsewhere')
        answer = robot.call('get_transcript', format='srt', save_as='talk.srt')
        assert answer.path == str(folder / 'saved' / 'talk.srt')
        assert (folder / 'saved' / 'talk.srt').read_text() == answer.transcript
        assert not (tmp_path / 'elsewhere').exists()
    with running() as (_, robot, _listener):
        assert 'journal_dir' in robot.call('get_transcript', save_as='talk.srt').message


def test_flush_pause_resume_and_reset(heard, wait_until):
    with running() as (_, robot, listener):
        robot.origin_s -= 1000.0  # another clock: what is heard tells what time it is
        robot.say(*range(1, 7))
        snapshot = heard(listener, 6)
        assert not snapshot.segments
        assert robot.call('flush').success
        snapshot = heard(listener, 7)
        assert not snapshot.stable_text + snapshot.tentative_text
        wait_until(lambda: len(text_of(listener.snapshot()).split()) > 8, 'the frozen text')
        robot.say(7, 8, 9)
        heard(listener, 10)
        assert robot.call('pause').success
        heard(listener, 11)
        words = ' '.join(SENTENCES).split()
        wait_until(lambda: text_of(listener.snapshot()).split() == words, 'the frozen text')
        robot.say(10, 11, 12)
        assert robot.call('pause').message == 'paused already'
        robot.words += [(' secret', 11.0, 11.5, True)]
        robot.say(13)
        assert robot.call('resume').success
        robot.words += [(' hello', 14.0, 14.4, True)]
        robot.say(14, 15, 16, 17)
        snapshot = heard(listener, 15)
        assert (text_of(snapshot) + snapshot.stable_text).split()[-1] == 'hello'
        assert 'secret' not in text_of(snapshot) + snapshot.stable_text
        count = len(snapshot.segments)
        assert robot.call('reset').success
        heard(listener, 16)
        wait_until(lambda: len(listener.snapshot().segments) > count, 'the frozen rest')
        snapshot = listener.snapshot()
        assert robot.call('get_transcript', include_active=True).transcript == ''
        assert [s.index for s in snapshot.segments] == list(range(len(snapshot.segments)))


class Goal:
    """One goal of the action, as a client sees it."""

    def __init__(self, robot, **limits_s):
        self.feedback = []
        goal = Transcribe.Goal(
            **{k: Duration(sec=int(v), nanosec=round(v % 1 * 1e9)) for k, v in limits_s.items()}
        )
        self.handle = None
        # Asked again: Fast DDS drops an answer when it has not matched who asked within 100 ms.
        for _ in range(4):
            if robot.transcribe.wait_for_server(TIMEOUT_S / 4) and self._send(robot, goal):
                break
            robot.transcribe.destroy()
            robot.transcribe = ActionClient(robot, Transcribe, 'transcript_manager/transcribe')
        assert self.handle is not None
        self._done = threading.Event()
        if self.handle.accepted:
            self._result = self.handle.get_result_async()
            self._result.add_done_callback(lambda _: self._done.set())

    def _send(self, robot, goal):
        answered = threading.Event()
        future = robot.transcribe.send_goal_async(
            goal, feedback_callback=lambda m: self.feedback.append(m.feedback)
        )
        future.add_done_callback(lambda _: answered.set())
        if answered.wait(TIMEOUT_S / 4):
            self.handle = future.result()
        return self.handle is not None

    @property
    def is_done(self):
        return self._done.is_set()

    def result(self, timeout_s=TIMEOUT_S):
        assert self._done.wait(timeout_s)
        return self._result.result().status, self._result.result().result

    def cancel(self):
        self.handle.cancel_goal_async()


def test_goals_listen_side_by_side_and_disturb_nothing(heard):
    with running() as (node, robot, listener):
        robot.words = [(t, a + 1.0, b + 1.0, o) for t, a, b, o in truth()]
        quick = Goal(robot, max_duration=30.0, stop_after_silence=0.7)
        whole = Goal(robot, max_duration=20.0)
        robot.origin_s = time.time()
        for end_s in range(1, 25):
            robot.say(end_s)
            heard(listener, end_s)
        status, result = quick.result()
        assert status == GoalStatus.STATUS_SUCCEEDED
        assert result.reason == Transcribe.Result.SILENCE and 'nothing more' in result.message
        assert result.text == SENTENCES[0] and result.language == 'en'
        assert [w.text for s in result.segments for w in s.words][0] == ' the'
        status, result = whole.result()
        assert result.reason == Transcribe.Result.MAX_DURATION
        assert result.text.split() == ' '.join(SENTENCES).split()
        assert [s.index for s in result.segments] == list(range(len(result.segments)))
        shown = [f.stable_text for f in whole.feedback]
        assert all(b.startswith(a) for a, b in zip(shown, shown[1:], strict=False)) and shown[-1]
        assert whole.feedback[-1].elapsed.sec >= 18
        assert node._transcribe.count == 0
        snapshot = listener.snapshot()
        assert (text_of(snapshot) + snapshot.stable_text).split() == ' '.join(SENTENCES).split()


def test_a_goal_is_cancelled_at_once_and_keeps_what_it_heard(heard):
    with running() as (node, robot, listener):
        goal, other = Goal(robot), Goal(robot)
        robot.origin_s = time.time()
        robot.say(1, 2, 3, 4)
        heard(listener, 4)
        started_s = time.monotonic()
        goal.cancel()
        status, result = goal.result()
        assert time.monotonic() - started_s < 5.0  # no token came meanwhile
        assert status == GoalStatus.STATUS_CANCELED
        assert result.reason == Transcribe.Result.CANCELLED
        assert result.text.startswith('the robot carries')
        assert not other.is_done and node._transcribe.count == 1
        assert robot.call('reset').success
        status, result = other.result()
        assert status == GoalStatus.STATUS_ABORTED
        assert result.reason == Transcribe.Result.INTERRUPTED


def test_a_goal_without_audio_ends_and_an_absurd_one_is_refused(monkeypatch):
    monkeypatch.setattr('transcript_manager.ros.transcribe_action._GRACE_S', 0.5)
    with running(transcribe_max_s=5.0) as (_, robot, _listener):
        assert not Goal(robot, max_duration=6.0).handle.accepted
        assert not Goal(robot, stop_after_silence=-1.0).handle.accepted
        status, result = Goal(robot, max_duration=1.0).result()
        assert status == GoalStatus.STATUS_ABORTED
        assert result.reason == Transcribe.Result.NO_AUDIO and result.text == ''
        robot.call('pause')
        assert not Goal(robot).handle.accepted


def test_a_goal_is_told_its_result_when_the_node_is_stopped(start_node, wait_until):
    with Process() as process:
        process.spin()
        robot = process.add(Robot)
        node = start_node('transcript_manager')
        goal = Goal(robot)
        wait_until(lambda: robot.tokens.get_subscription_count() == 1, 'the manager')
        robot.origin_s = time.time()
        while not goal.feedback:  # said again until it is heard
            robot.say(1, 2, 3, 4)
            time.sleep(0.3)
        assert node.stop() == 0 and 'Traceback' not in node.output
        status, result = goal.result()
        assert status == GoalStatus.STATUS_ABORTED
        assert result.reason == Transcribe.Result.INTERRUPTED
        assert result.text.startswith('the robot') and result.language == 'en'


def test_a_killed_manager_goes_on_in_its_journal(start_node, tmp_path, wait_until):
    with Process() as process:
        process.spin()
        robot, listener = process.add(Robot), process.add(TranscriptListener)

        def start_manager():
            node = start_node('transcript_manager', journal_dir=tmp_path)
            node.wait_for('is ready')
            wait_until(lambda: robot.tokens.get_subscription_count() == 2, 'the manager')
            wait_until(lambda: listener.count_publishers('transcript') == 1, 'its topic')
            return node

        node = start_manager()
        for end_s in range(1, 16):
            robot.say(end_s)
            wait_until(lambda: listener.snapshot().revision >= end_s, 'update')  # noqa: B023
        wait_until(lambda: len(listener.snapshot().segments) >= 1, 'a frozen segment')
        node.process.kill()
        node.wait()
        wait_until(lambda: listener.count_publishers('transcript') == 0, 'its end')
        node = start_manager()
        assert 'going on with the session' in node.output
        for end_s in range(16, 22):
            revision = listener.snapshot().revision
            # Said again until it is heard: endpoints of a new process match one by one.
            while listener.snapshot().revision in (revision, 15):
                robot.say(end_s)
                time.sleep(0.5)
        robot.say(22, end_of_stream=True)
        wait_until(lambda: listener.snapshot().is_ended, 'the end')
        assert node.stop() == 0 and 'Traceback' not in node.output
        (path,) = tmp_path.glob('*.jsonl')
        records = [json.loads(line) for line in path.read_text().splitlines()]
        said = ''.join(r['text'] for r in records if 'words' in r)
        assert said.split() == ' '.join(SENTENCES).split()
        assert listener.snapshot().appended_text.split() == said.split()


def status_of(robot, name):
    """Return the newest status of a name."""
    found = [s for report in list(robot.reports) for s in report.status if s.name == name]
    return found[-1] if found else None


def test_diagnostics_say_how_it_is(wait_until, heard, tmp_path):
    (tmp_path / 'file').write_text('')
    parameters = {'no_tokens_warn_s': 1.0, 'journal_dir': str(tmp_path / 'file' / 'x')}
    with running(**parameters) as (_, robot, listener):
        wait_until(lambda: status_of(robot, 'transcript_manager') is not None, 'a report')
        robot.origin_s = time.time() - 20.0  # late by 11 s and more
        robot.say(*range(1, 9))
        heard(listener, 8)

        def values():
            return {v.key: v.value for v in status_of(robot, 'transcript_manager').values}

        wait_until(lambda: values().get('updates') == '8', 'a report after that')
        assert values()['state'] == 'active' and int(values()['words_stable']) > 5
        assert float(values()['lag_s']) > 10.0
        wait_until(
            lambda: 'no tokens for' in status_of(robot, 'transcript_manager').message,
            'the warning',
        )
        status = status_of(robot, 'transcript_manager')
        assert status.level == DiagnosticStatus.ERROR
        assert 'cannot write the journal' in status.message


def test_a_lifecycle_manager_can_drive_it(heard):
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState, GetState

    with Process(['--ros-args', '--log-level', 'fatal']) as process:
        process.spin()
        overrides = [Parameter('autostart', value=False)]
        process.add(lambda: TranscriptNode(parameter_overrides=overrides))
        robot, listener = process.add(Robot), process.add(TranscriptListener)
        change = robot.create_client(ChangeState, 'transcript_manager/change_state')
        state = robot.create_client(GetState, 'transcript_manager/get_state')
        assert change.wait_for_service(TIMEOUT_S) and state.wait_for_service(TIMEOUT_S)

        def go(transition):
            request = ChangeState.Request(transition=Transition(id=transition))
            return change.call(request, timeout_sec=TIMEOUT_S).success

        def now():
            return state.call(GetState.Request(), timeout_sec=TIMEOUT_S).current_state.label

        assert now() == 'unconfigured'
        assert not go(Transition.TRANSITION_ACTIVATE)  # refused, and the node lives on
        assert robot.call('flush').message == 'the node is not configured'
        assert go(Transition.TRANSITION_CONFIGURE) and now() == 'inactive'
        assert go(Transition.TRANSITION_ACTIVATE) and now() == 'active'
        while robot.tokens.get_subscription_count() < 2:
            time.sleep(0.02)
        robot.say(*range(1, 6))
        heard(listener, 5)
        assert go(Transition.TRANSITION_DEACTIVATE) and now() == 'inactive'
        assert text_of(heard(listener, 6)).split()[:3] == ['the', 'robot', 'carries']
        assert go(Transition.TRANSITION_CLEANUP) and now() == 'unconfigured'
        assert go(Transition.TRANSITION_CONFIGURE) and go(Transition.TRANSITION_ACTIVATE)
