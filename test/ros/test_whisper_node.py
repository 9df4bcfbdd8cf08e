"""The whisper node over its real topics: several streams, live parameters, odd windows."""

import array
import shutil
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import multilingual
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
import soundfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from transcript_manager import msg
from transcript_manager.decoder import models
from transcript_manager.errors import TranscriptManagerError
from transcript_manager.ros import qos
from transcript_manager.ros.conversions import to_time
from transcript_manager.ros.process import Process
from transcript_manager.ros.whisper_node import WhisperNode
from transcript_manager.streams.messages import NS_PER_S, to_ns

RATE = 16000
TIMEOUT_S = 30.0


class Robot(Node):
    """Somebody who sends windows and prompts and reads tokens and diagnostics."""

    def __init__(self, namespaces=('',)):
        super().__init__('robot')
        self.tokens = {name: [] for name in namespaces}
        self.statuses = {}
        self.changed = threading.Condition()
        self.windows = {}
        for name in namespaces:
            prefix = f'{name}/' if name else ''
            self.create_subscription(
                msg.WhisperTokens,
                f'{prefix}tokens',
                lambda m, name=name: self.note(self.tokens[name].append, m),
                qos.TOKENS,
            )
            self.windows[name] = self.create_publisher(
                msg.AudioWindow, f'{prefix}audio_window', qos.AUDIO_WINDOW
            )
        self.prompt = self.create_publisher(String, 'prompt', qos.PROMPT)
        self.create_subscription(DiagnosticArray, '/diagnostics', self.on_diagnostics, 10)

    def note(self, action, message):
        with self.changed:
            action(message)
            self.changed.notify_all()

    def on_diagnostics(self, array):
        for status in array.status:
            self.note(lambda s: self.statuses.__setitem__(s.name, s), status)

    def wait(self, condition, what):
        with self.changed:
            assert self.changed.wait_for(condition, TIMEOUT_S), what

    def send(self, samples, first=0, *, name='', start_ns=None, rate=RATE, end=False):
        """Send a window whose stream began at ``start_ns`` (now, if None)."""
        start_ns = time.time_ns() if start_ns is None else start_ns
        message = msg.AudioWindow(
            sample_rate=rate,
            first_sample=first,
            samples=array.array('h', np.asarray(samples, np.int16).tobytes()),
            end_of_stream=end,
        )
        message.header.stamp = to_time(start_ns + (first * NS_PER_S // rate if rate else 0))
        message.header.frame_id = name
        self.windows[name].publish(message)
        return message

    def ask(self, samples, *, name='', **values):
        """Send a window and return the tokens that answer it."""
        before = len(self.tokens[name])
        self.send(samples, name=name, **values)
        self.wait(lambda: len(self.tokens[name]) > before, 'an answer')
        return self.tokens[name][before]

    def values(self):
        """Return the newest diagnostics of the first stream as a dict."""
        status = next(iter(self.statuses.values()))
        return {v.key: v.value for v in status.values}


@pytest.fixture
def graph():
    """Start a whisper node and somebody to talk to it: graph(**parameters)."""
    with Process(['--ros-args', '--log-level', 'warn']) as process:
        process.spin()

        def start(namespaces=('',), **parameters):
            values = {'model': 'demo', 'namespaces': list(namespaces), **parameters}
            overrides = [Parameter(k, value=v) for k, v in values.items()]
            whisper = process.add(lambda: WhisperNode(parameter_overrides=overrides))
            robot = process.add(lambda: Robot(namespaces))
            end_s = time.monotonic() + TIMEOUT_S
            while not all(p.get_subscription_count() for p in robot.windows.values()):
                assert time.monotonic() < end_s
                time.sleep(0.02)
            return whisper, robot

        yield start


@pytest.fixture
def speech(recording):
    samples, _ = soundfile.read(recording('demo')[0], dtype='int16')
    return samples


def text_of(tokens):
    return ''.join(t.text for s in tokens.segments for t in s.tokens)


def test_a_window_comes_back_as_tokens(graph, speech):
    _, robot = graph()
    tokens = robot.ask(speech[: 10 * RATE], first=0)
    assert text_of(tokens).startswith(" In consequence, I'm inclined")
    assert (tokens.language, tokens.model, tokens.window_ms) == ('en', 'demo', 10000)
    assert tokens.inference_ms > 0
    silent = robot.ask(np.zeros(10 * RATE), first=RATE)
    assert silent.segments == [] and silent.window_ms == 10000 and silent.inference_ms == 0


def test_parameters_change_while_it_runs_and_bad_ones_are_refused_with_a_reason(graph, speech):
    whisper, robot = graph()
    client = robot.create_client(SetParameters, '/whisper/set_parameters')
    assert client.wait_for_service(TIMEOUT_S)

    def set_one(name, value):
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        answer = client.call(request, timeout_sec=TIMEOUT_S).results[0]
        return answer.successful, answer.reason

    refused = {
        ('language', 'xx'): "language 'xx' is unknown",
        ('language', 'de'): 'knows English only',
        ('translate', True): 'knows English only',
        ('threads', 65): 'threads',
        ('vad_threshold', 2.0): 'vad_threshold',
        ('audio_ctx', 1501): 'audio_ctx',
        ('prompt', 'word ' * 400): 'takes at most 223',
        ('prompt', 5): 'Wrong parameter type',
        ('timestamps', 'token'): 'read-only',
        ('model', 'base'): 'read-only',
        ('beam_size', 5): "unknown parameter 'beam_size'; whisper has: active,",
    }
    for (name, value), reason in refused.items():
        successful, why = set_one(name, value)
        assert not successful and reason in why, (name, value, why)
    before = [t.probability for s in robot.ask(speech[: 5 * RATE]).segments for t in s.tokens]
    for name, value in {
        'prompt': 'A habit of mine: advice.',
        'threads': 2,
        'vad': False,
        'guard_edge_probability': 0.0,
        'language': 'auto',
    }.items():
        assert set_one(name, value) == (True, ''), name
    after = [t.probability for s in robot.ask(speech[: 5 * RATE]).segments for t in s.tokens]
    assert before != after
    assert whisper.get_parameter('threads').value == 2


def test_a_pause_says_nothing_about_what_was_said(graph, speech):
    whisper, robot = graph()
    start_ns = time.time_ns()
    assert text_of(robot.ask(speech[: 5 * RATE], start_ns=start_ns))
    whisper.set_parameters([Parameter('active', value=False)])
    tokens = robot.ask(speech[RATE : 6 * RATE], first=RATE, start_ns=start_ns)
    assert tokens.segments == [] and tokens.window_ms == 0  # it covers nothing
    assert to_ns(tokens.header.stamp) == start_ns + 6 * NS_PER_S
    whisper.set_parameters([Parameter('active', value=True)])
    assert text_of(robot.ask(speech[2 * RATE : 7 * RATE], first=2 * RATE, start_ns=start_ns))


def test_the_prompt_topic_wins_over_the_parameter_and_a_long_one_is_refused(graph, speech):
    whisper, robot = graph(prompt='About robots.')
    stream = whisper._streams[0]

    def prompt():
        return stream.decoder._settings.options.prompt

    def say(text):
        robot.prompt.publish(String(data=text))

    def wait_for(condition):
        end_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < end_s, prompt()
            time.sleep(0.02)

    wait_for(lambda: robot.prompt.get_subscription_count() == 1)
    assert prompt() == 'About robots.'
    say('names: Ljubljana, Željko')
    wait_for(lambda: prompt() == 'names: Ljubljana, Željko')
    whisper.set_parameters([Parameter('prompt', value='About cats.')])
    assert prompt() == 'names: Ljubljana, Željko'
    say('word ' * 400)
    wait_for(lambda: 'takes at most 223' in stream.prompt_complaint)
    assert prompt() == 'names: Ljubljana, Željko'
    say('')
    wait_for(lambda: prompt() == 'About cats.')
    assert text_of(robot.ask(speech[: 5 * RATE]))


def test_two_robots_are_served_each_in_its_namespace(graph, recording):
    names = ('robot1', 'deep/robot2')
    _, robot = graph(names)
    for name, file in zip(names, ('demo', 'second'), strict=True):
        samples, _ = soundfile.read(recording(file)[0], dtype='int16', frames=8 * RATE)
        tokens = robot.ask(samples, name=name)
        assert tokens.header.frame_id == name
        assert ('reserve all' in text_of(tokens)) == (file == 'demo')
        assert ('big robot' in text_of(tokens)) == (file == 'second')
    assert [len(t) for t in robot.tokens.values()] == [1, 1]


def test_a_flood_on_one_stream_starves_no_other(graph, speech):
    whisper, robot = graph(('flood', 'quiet'))
    stop = threading.Event()

    def flood():
        start_ns = time.time_ns()
        for k in range(100_000):
            if stop.is_set():
                return
            robot.send(speech[: 10 * RATE] + k % 7, first=k, name='flood', start_ns=start_ns)
            time.sleep(0.005)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    try:
        start_ns = time.time_ns()
        for k in range(5):
            piece = speech[k * RATE : (k + 8) * RATE]
            assert text_of(robot.ask(piece, first=k * RATE, name='quiet', start_ns=start_ns))
    finally:
        stop.set()
        thread.join()
    assert 1 <= len(robot.tokens['flood']) <= 10
    assert whisper.skipped_windows > 5
    robot.wait(
        lambda: 'windows skipped' in robot.statuses.get('whisper: flood').message, 'a warning'
    )


def test_what_is_wrong_with_a_window_is_said_and_the_node_lives_on(graph, speech):
    whisper, robot = graph()
    complaints = []
    warn = whisper.get_logger().warning
    whisper.get_logger().warning = lambda text, **kw: complaints.append(text) or warn(text, **kw)
    start_ns = time.time_ns()
    for refused, rate in ((1, 0), (2, 192000)):
        robot.send(speech[:RATE], rate=rate)
        end_s = time.monotonic() + TIMEOUT_S
        while whisper._streams[0].refused < refused:
            assert time.monotonic() < end_s
            time.sleep(0.01)
    empty = robot.ask([], start_ns=start_ns)
    assert empty.segments == [] and empty.window_ms == 0
    robot.ask(speech[: 20 * RATE], start_ns=start_ns)  # longer than the model takes
    robot.ask(speech[: 2 * RATE], first=RATE, start_ns=start_ns)
    robot.ask(speech[: 2 * RATE], first=2 * RATE, start_ns=start_ns + 3600 * NS_PER_S)
    robot.ask(speech[: 2 * RATE], start_ns=start_ns - 86400 * NS_PER_S)
    robot.ask(speech[: 2 * RATE], start_ns=start_ns + 86400 * NS_PER_S)
    for expected in (
        'sample_rate 0, must be 8000..48000',
        'no samples',
        'takes 10.24 s: only its end is decoded',
        'header.stamp has jumped by +3600.0 s',
        's in the past of this clock',
    ):
        assert any(expected in text for text in complaints), (expected, complaints)
    assert len(complaints) <= 6  # throttled
    assert text_of(robot.ask(speech[: 8 * RATE]))
    robot.wait(lambda: robot.statuses and robot.values()['windows_refused'] == '2', 'diagnostics')


def test_a_decode_that_outlives_its_window_is_given_up(graph, speech):
    whisper, robot = graph(audio_ctx=1500, threads=1)
    start_ns = time.time_ns()
    for k in range(0, 100, 10):
        before = len(robot.tokens[''])
        robot.send(speech[: 10 * RATE] + k, first=k * RATE, start_ns=start_ns)
        end_s = time.monotonic() + TIMEOUT_S
        while whisper._schedule.running is None and len(robot.tokens['']) == before:
            assert time.monotonic() < end_s
            time.sleep(0.001)
        first = (k + 10) * RATE
        robot.send(speech[: 10 * RATE] - k, first=first, start_ns=start_ns)
        robot.wait(lambda n=before + 2: len(robot.tokens['']) >= n, 'both answers')
        if whisper._schedule.loads[''].aborted:
            break
    assert whisper._schedule.loads[''].aborted == 1
    given_up, newest = robot.tokens[''][-2:]
    assert (given_up.window_ms, given_up.segments) == (0, [])
    assert text_of(newest)


def test_diagnostics_tell_how_it_is(graph, speech, tmp_path):
    model = tmp_path / 'own.bin'
    shutil.copy(models.resolve('demo').path, model)
    shutil.copy(models.resolve('demo').path.with_suffix('.json'), tmp_path / 'own.json')
    whisper, robot = graph(model=str(model))
    start_ns = time.time_ns()
    for k in range(3):
        robot.ask(speech[: (k + 5) * RATE], start_ns=start_ns)
    robot.ask(np.zeros(10 * RATE), first=10 * RATE, start_ns=start_ns)
    robot.wait(
        lambda: robot.statuses and robot.values().get('windows_silent') == '1', 'diagnostics'
    )
    assert list(robot.statuses) == ['whisper']
    values = robot.values()
    assert values['windows_decoded'] == '3' and values['windows_received'] == '4'
    assert values['language'] == 'en' and values['active'] == 'true'
    assert float(values['hop_s']) > 0 and float(values['duty']) > 0
    for guard in ('loop', 'silence', 'edge'):
        assert values[f'guard_{guard}_cuts'].isdigit()
        assert f'guard_{guard}_last' in values
    model.write_bytes(b'something else')
    robot.wait(
        lambda: (
            robot.statuses['whisper'].level == DiagnosticStatus.WARN
            and 'has changed' in robot.statuses['whisper'].message
        ),
        'a warning about the file',
    )
    assert text_of(robot.ask(speech[: 5 * RATE]))


def test_a_detected_language_is_published(graph, speech, tmp_path):
    model = multilingual.make(tmp_path / 'many.bin', language_index=3)
    _, robot = graph(model=str(model), language='auto')
    silent = robot.ask(np.zeros(5 * RATE))
    assert silent.language == ''
    assert [robot.ask(speech[k : 8 * RATE], first=k).language for k in (0, RATE)] == ['es', 'es']
    robot.wait(lambda: robot.statuses and robot.values()['language_locked'] == 'true', 'the lock')
    assert robot.values()['language'] == 'es'


def test_detection_is_asked_for_by_service(graph):
    whisper, robot = graph()
    client = robot.create_client(Trigger, '/whisper/detect_language')
    assert client.wait_for_service(TIMEOUT_S)
    answer = client.call(Trigger.Request(), timeout_sec=TIMEOUT_S)
    assert not answer.success and '"auto"' in answer.message
    whisper.set_parameters([Parameter('language', value='auto')])
    assert client.call(Trigger.Request(), timeout_sec=TIMEOUT_S).success


@pytest.mark.parametrize(
    ('parameters', 'says'),
    [
        (
            {'namespaces': ['a', '/a/']},
            "'a' and '/a/', which are the same: both read",
        ),
        ({'namespaces': ['', '/']}, 'which are the same'),
        ({'namespaces': ['my robot']}, "namespaces has 'my robot'"),
        ({'timestamps': 'words'}, "timestamps is 'words', must be one of"),
        ({'language': 'de'}, 'knows English only'),
        ({'prompt': 'word ' * 400}, 'takes at most 223'),
        ({'openvino_device': 'CPU'}, 'whisper.cpp cannot use it'),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(parameters, says):
    values = [Parameter(k, value=v) for k, v in {'model': 'demo', **parameters}.items()]
    with Process() as process, pytest.raises(TranscriptManagerError, match=says):
        process.add(lambda: WhisperNode(parameter_overrides=values))
