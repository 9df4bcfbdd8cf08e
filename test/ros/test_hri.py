"""REP-155: another program hears LiveSpeech, tracked and is_speaking, with either hri_msgs."""

from functools import partial
import itertools
import json
from pathlib import Path
import signal
import sys
import time

import pytest
from rclpy.node import Node
from stand_ins import build
from std_srvs.srv import Trigger

from transcript_manager import msg
from transcript_manager.errors import ParameterError
from transcript_manager.ros import qos
from transcript_manager.ros.conversions import NS_PER_MS, to_time
from transcript_manager.ros.hri import hri_publisher
from transcript_manager.ros.listener import TranscriptListener
from transcript_manager.ros.process import Process
from transcript_manager.streams.bag import read_bag
from transcript_manager.streams.messages import NS_PER_S, to_ns

TEST = Path(__file__).resolve().parents[1]
LISTENER = TEST / 'support' / 'hri_listener.py'
GREETING = ' Hello'
VALUES = {'hri': True, 'voice_id': 'anonymous_speaker', 'utterance_silence_s': 1.0}


@pytest.fixture(scope='session')
def hri_msgs():
    """Return the environments in which hri_msgs is installed, by its stand-ins' names."""
    return build(['hri_msgs', 'hri_msgs_locale'])


@pytest.fixture
def graph():
    with Process() as process:
        process.spin()
        yield process


class Talker:
    """Publishes tokens; a window is sent when the one before it is merged."""

    def __init__(self, graph, wait_until):
        self.transcript = graph.add(TranscriptListener)
        self._node = graph.add(lambda: Node('talker'))
        self._tokens = self._node.create_publisher(msg.WhisperTokens, 'tokens', qos.TOKENS)
        self._wait_until = wait_until
        self._wait_until(self._tokens.get_subscription_count, 'a subscriber of tokens')
        self._wait_until(
            lambda: self._node.count_publishers('transcript'), 'a publisher of transcript'
        )

    def send(self, message):
        end_ns = to_ns(message.header.stamp) + message.window_ms * NS_PER_MS
        sent_s = float('-inf')

        def is_merged():
            nonlocal sent_s
            if self.transcript.snapshot().position_ns >= end_ns:
                return True
            if time.monotonic() - sent_s > 2.0:  # again: a node may not have been found yet
                sent_s = time.monotonic()
                self._tokens.publish(message)
            return False

        self._wait_until(is_merged, 'the merge of a window')

    def greet_until(self, is_heard):
        """Greet until somebody listens: discovery takes its time."""
        times_s = itertools.count(100, 10)

        def greeted():
            self._greet(next(times_s))
            end_s = time.monotonic() + 0.5
            while not is_heard() and time.monotonic() < end_s:
                time.sleep(0.02)
            return is_heard()

        self._wait_until(greeted, 'somebody who listens')

    def _greet(self, at_s):
        """Say one word and end the stream."""
        token = msg.WhisperToken(text=GREETING, probability=0.9, start_ms=100, end_ms=500)
        message = msg.WhisperTokens(window_ms=1000, language='en', end_of_stream=True)
        message.header.stamp = to_time(at_s * NS_PER_S)
        message.segments = [msg.WhisperSegment(start_ms=100, end_ms=500, tokens=[token])]
        self.send(message)

    def play(self, bag, language, *, windows=slice(None)):
        for record in list(read_bag(TEST / 'bags' / bag))[windows]:
            message = msg.WhisperTokens(
                window_ms=record.window_ms, language=language, end_of_stream=record.end_of_stream
            )
            message.header.stamp = to_time(to_ns(record.header.stamp))
            message.header.frame_id = 'ear'
            for segment in record.segments:
                tokens = [
                    msg.WhisperToken(
                        text=t.text,
                        probability=t.probability,
                        start_ms=t.start_ms,
                        end_ms=t.end_ms,
                    )
                    for t in segment.tokens
                ]
                message.segments.append(
                    msg.WhisperSegment(
                        start_ms=segment.start_ms, end_ms=segment.end_ms, tokens=tokens
                    )
                )
            self.send(message)


def heard_by(program, what):
    lines = [json.loads(line) for line in program.lines if line.startswith('{')]
    return [line[what] for line in lines if what in line]


def finals_of(robot):
    """Return the finals since the last greeting."""
    texts = [s['final'] for s in heard_by(robot, 'speech') if s['final']]
    return texts[len(texts) - texts[::-1].index(GREETING) :] if GREETING in texts else []


def words_in(text):
    return ''.join(c for c in text if c.isalnum() or c == ' ').split()


@pytest.mark.parametrize(
    ('package', 'languages'),
    [
        ('hri_msgs', {'language': 'en'}),
        ('hri_msgs_locale', {'language': 'en', 'locale': 'en'}),
    ],
)
def test_a_robot_hears_what_is_said(
    package, languages, hri_msgs, graph, start, start_node, wait_until
):
    env = hri_msgs[package]
    manager = start_node('transcript_manager', env=env)
    manager.wait_for('transcript manager is ready')
    robot = start([sys.executable, LISTENER], env)
    heard = partial(heard_by, robot)
    wait_until(lambda: heard('tracked'), 'who is tracked')  # published before the robot came
    assert heard('tracked') == [['anonymous_speaker']]

    talker = Talker(graph, wait_until)
    talker.greet_until(lambda: heard('speech'))
    talker.play('second', 'en')
    snapshot = talker.transcript.snapshot
    wait_until(lambda: snapshot().is_complete, 'the whole transcript')
    said = snapshot().appended_text.rpartition(GREETING)[2]

    finals = partial(finals_of, robot)
    wait_until(lambda: finals() and finals()[-1].endswith('fifteen minutes.'), 'the last final')
    assert words_in(''.join(finals())) == words_in(said) and len(finals()) > 2
    # Where nobody pauses, not even the punctuation differs.
    for text in finals():
        assert text.rstrip('.,?') in said
    speech = [s for s in heard('speech') if s['header']['frame_id'] == 'ear']
    for message in speech:
        assert set(message) == {'header', 'incremental', 'final', 'confidence', *languages}
        assert {f: message[f] for f in languages} == languages
        assert message['header']['stamp'] > [100, 0]
        if message['final']:
            assert message['incremental'] == message['final']
            assert 0.5 < message['confidence'] <= 1
        else:
            assert message['confidence'] == 0
    grown = [s['incremental'] for s in speech if not s['final']]
    assert len(grown) > 10 and any(t.startswith(' David, the battery') for t in grown)
    wait_until(lambda: heard('speaking')[-1:] == [False], 'the end of speech')
    assert True in heard('speaking')
    assert 'Traceback' not in manager.output + robot.output


def test_a_flush_ends_an_utterance_and_a_restart_repeats_none(
    hri_msgs, graph, start, start_node, wait_until, tmp_path
):
    env = hri_msgs['hri_msgs']
    robot = start([sys.executable, LISTENER], env)
    finals = partial(finals_of, robot)
    manager = start_node('transcript_manager', env=env, journal_dir=tmp_path)
    talker = Talker(graph, wait_until)
    talker.greet_until(lambda: heard_by(robot, 'speech'))
    talker.play('second', 'en', windows=slice(5))
    assert not finals()  # in the middle of a sentence
    node = graph.add(lambda: Node('caller'))
    flush = node.create_client(Trigger, '/transcript_manager/flush')
    assert flush.wait_for_service(30)
    flush.call_async(Trigger.Request())
    wait_until(finals, 'the final of the flush')
    (told,) = finals()
    assert told.startswith(' David, the battery of the big robot')

    talker.play('second', 'en', windows=slice(5, 12))
    wait_until(lambda: 'robot now' in finals()[-1], 'a final whose words are not frozen yet')
    manager.stop(signal.SIGKILL)
    again = start_node('transcript_manager', env=env, journal_dir=tmp_path)
    again.wait_for('going on with the session')
    talker.play('second', 'en', windows=slice(12, None))
    wait_until(lambda: finals()[-1].endswith('fifteen minutes.'), 'the last final')
    said = ''.join(finals())
    for words in ('David, the battery', 'Where is our robot now', 'Thanks, David'):
        assert said.count(words) == 1
    assert 'Traceback' not in manager.output + again.output + robot.output


def test_without_hri_msgs_the_node_does_without(graph, start_node, wait_until):
    manager = start_node('transcript_manager')
    manager.wait_for('transcript manager is ready')
    talker = Talker(graph, wait_until)
    talker.greet_until(lambda: talker.transcript.snapshot().appended_text)
    node = graph.add(lambda: Node('onlooker'))
    topics = [name for name, _ in node.get_topic_names_and_types()]
    assert '/transcript/text' in topics
    assert not any(name.startswith('/humans') for name in topics)
    assert manager.stop() == 0 and 'hri_msgs' not in manager.output


def test_the_parameter_turns_it_off(hri_msgs, graph, start_node, wait_until):
    manager = start_node('transcript_manager', env=hri_msgs['hri_msgs'], hri=False)
    manager.wait_for('transcript manager is ready')
    node = graph.add(lambda: Node('onlooker'))
    wait_until(lambda: node.count_publishers('/transcript/text'), 'the manager')
    assert not node.count_publishers('/humans/voices/tracked')


def test_another_voice_has_topics_of_its_own(hri_msgs, graph, start_node, wait_until):
    start_node('transcript_manager', env=hri_msgs['hri_msgs'], voice_id='door_2')
    node = graph.add(lambda: Node('onlooker'))
    wait_until(lambda: node.count_publishers('/humans/voices/door_2/speech'), 'the voice')


@pytest.mark.parametrize('voice_id', ['', 'a b', '2nd', 'a/b', '~', 'a__b', '{x}', 'ä'])
def test_a_voice_that_is_no_topic_name_is_refused(voice_id):
    with pytest.raises(ParameterError, match='parameter voice_id is .*, must be a part of'):
        hri_publisher(None, {**VALUES, 'voice_id': voice_id})


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        ('LiveSpeech = None', 'LiveSpeech is not published: hri_msgs is broken'),
        ('import no_such_package', 'LiveSpeech is not published: hri_msgs lacks no_such_package'),
    ],
)
def test_a_broken_hri_msgs_is_told_and_does_no_harm(content, says, tmp_path, start_node):
    package = tmp_path / 'hri_msgs' / 'msg'
    package.mkdir(parents=True)
    (package.parent / '__init__.py').touch()
    (package / '__init__.py').write_text(content)
    manager = start_node('transcript_manager', env={'PYTHONPATH': str(tmp_path)})
    manager.wait_for('transcript manager is ready')
    assert says in manager.output and 'Traceback' not in manager.output
