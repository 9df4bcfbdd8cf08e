"""Recorded audio and tokens through the real graph: the same text every time."""

import json
from pathlib import Path

from bag_replay import play, Recorder
from bag_tools import (
    audio_chunks,
    AUDIO_WINDOW,
    bad_bags,
    read_all,
    START_NS,
    typestore,
    write_bag,
)
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import numpy as np
import pytest
import soundfile

from transcript_manager import msg
from transcript_manager.cli.main import main
from transcript_manager.evaluation.wer import normalise
from transcript_manager.export.plain import to_json
from transcript_manager.ros import qos
from transcript_manager.ros.listener import to_result
from transcript_manager.streams.audio_bag import BagSource
from transcript_manager.streams.messages import NS_PER_S, to_ns

BAGS = Path(__file__).resolve().parents[1] / 'bags'
BAG = BAGS / 'spoken_mcap'
SAID = (
    'David, the battery of the big robot is low again. '
    'We know that she did not come back to the station last night.'
)


def test_a_bag_gives_the_same_transcript_every_time(transcript):
    runs = [
        transcript('run', '--bag', BAG, '--model', 'demo', '--fast', '--format', 'json')
        for _ in range(2)
    ]
    assert [r.returncode for r in runs] == [0, 0], runs[0].stderr
    assert runs[0].stdout == runs[1].stdout
    assert json.loads(runs[0].stdout)['text'].strip() == SAID
    # Its tokens were recorded beside the audio: what the model hears now is what it heard then.
    assert runs[0].stdout == transcript('merge', BAG, '--format', 'json').stdout
    assert 'in the past of this clock' not in runs[0].stderr


def test_a_ring_plays_a_bag_with_its_stamps(start_node, following, wait_until, tmp_path):
    stamps = []
    listener = following()
    listener.create_subscription(
        msg.AudioWindow,
        'audio_window',
        lambda m: stamps.append((to_ns(m.header.stamp), m.first_sample)),
        qos.AUDIO_WINDOW,
    )
    noise = np.random.default_rng(4).integers(-9000, 9000, 16000 * 3 // 2).astype(np.int16)
    bag = write_bag(tmp_path / 'bag', audio_chunks(typestore(), noise))
    ring = start_node('audio_ring', source=bag, window_s=1.0, hop_s=0.1, start_delay_s=0.1)
    ring.wait_for('ended after 1.5 s')
    assert ring.stop() == 0, ring.output
    wait_until(lambda: len(stamps) >= 5 and stamps[-1][1] > 0, 'windows')
    for stamp_ns, first_sample in stamps:  # a float holds today's time to a quarter of a µs
        assert stamp_ns == pytest.approx(START_NS + first_sample * NS_PER_S // 16000, abs=500)


def test_what_is_no_bag_with_audio_is_said_in_one_line(capsys, start_node, tmp_path):
    says = bad_bags(tmp_path)
    ring = start_node('audio_ring', source=tmp_path / 'absurd')
    cases = [(['--bag', tmp_path / name], text) for name, text in says.items()]
    cases += [
        (['--bag', BAGS / 'demo', '--fast'], f'run transcript merge {BAGS / "demo"}'),
        (['--bag', BAG, '--topic', '/nowhere'], 'no audio on /nowhere; there is: /audio'),
        (['--mic', '--topic', '/audio'], '--topic goes alone, or with --bag'),
        (['--fast'], 'give --audio FILE, --bag BAG'),
    ]
    for arguments, text in cases:
        assert main(['run', *map(str, arguments), '--model', 'demo']) == 2
        done = capsys.readouterr()
        (line,) = done.err.strip().splitlines()
        assert done.out == '' and line.startswith('transcript: ') and text in line
    assert ring.wait(30) == 2
    assert 'its rate is 4000000000 Hz' in ring.output and 'Traceback' not in ring.output


def test_tokens_replayed_with_the_clock_of_the_bag_give_what_merge_gives(
    start_node, following, wait_until, transcript
):
    merged = transcript('merge', BAG, '--format', 'json').stdout

    def replayed(namespace):
        listener = following(namespace)
        manager = start_node('transcript_manager', namespace=f'/{namespace}', use_sim_time=True)
        # Two: the listener hears the tokens as well.
        play(BAG, topics=['/tokens'], rate=4.0, namespace=f'/{namespace}', subscribers=2)
        # Frozen segments are latched: they come even if the two have only just found each other.
        count = len(json.loads(merged)['segments'])
        wait_until(lambda: len(listener.snapshot().segments) >= count, 'the end', timeout_s=20)
        assert manager.stop() == 0, manager.output
        return to_json(to_result(listener.snapshot(), start_ns=START_NS))

    assert replayed('once') == merged
    assert replayed('again') == merged


def test_chunks_replayed_through_the_ring_give_the_text_at_its_time(
    start_node, following, wait_until, transcript
):
    bag = BAGS / 'spoken_sqlite3'
    listener = following()
    start_node('transcript_manager', use_sim_time=True)
    whisper = start_node('whisper', model='demo', use_sim_time=True)
    ring = start_node('audio_ring', source='topic', use_sim_time=True)
    whisper.wait_for('is ready')
    ring.wait_for('listening to topic /audio')
    play(bag, topics=['/audio'])
    wait_until(lambda: listener.snapshot().segments, 'the end', timeout_s=20)
    (segment,) = listener.snapshot().segments
    assert normalise(segment.text) == normalise(transcript('merge', bag).stdout)
    # The recorded stamps go through: 'David' begins half a second into the recording.
    assert to_ns(segment.start) - START_NS == pytest.approx(NS_PER_S // 2, abs=NS_PER_S // 5)
    assert ring.stop() == 0, ring.output


@pytest.fixture
def change_state(wait_until):
    """Take a managed node from one state to the next."""

    def change(listener, node, transition):
        client = listener.create_client(ChangeState, f'{node}/change_state')
        wait_until(client.service_is_ready, f'the services of {node}')
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        wait_until(future.done, f'transition {transition} of {node}')
        assert future.result().success

    return change


def shown(snapshot):
    """Return all text so far, the tentative included."""
    return snapshot.appended_text + snapshot.tentative_text


def test_a_microphone_recorded_and_transcribed_again_gives_the_text_of_live(
    virtual_microphone, start_node, following, wait_until, transcript, tmp_path, change_state
):
    with BagSource(BAG) as source:
        soundfile.write(tmp_path / 'said.wav', read_all(source), 16000)
    listener = following()
    start_node('transcript_manager')
    whisper = start_node('whisper', model='demo')
    whisper.wait_for('is ready')
    with Recorder(tmp_path / 'bag', {'/audio': AUDIO_WINDOW}) as recorder:
        # The ring begins when the recorder has found it. So the bag has the stream from sample 0,
        # and its windows, which end at multiples of the hop, are cut where live cut them.
        env = virtual_microphone.env
        start_node('audio_ring', device='pulse', publish_audio=True, autostart=False, env=env)
        recorder.wait_for_publishers()
        change_state(listener, 'audio_ring', Transition.TRANSITION_CONFIGURE)
        change_state(listener, 'audio_ring', Transition.TRANSITION_ACTIVATE)
        wait_until(lambda: listener.snapshot().revision > 0, 'the first window')
        assert virtual_microphone.play(tmp_path / 'said.wav').wait(60) == 0
        wait_until(lambda: 'night' in shown(listener.snapshot()), 'the last word')
        change_state(listener, 'audio_ring', Transition.TRANSITION_DEACTIVATE)
        wait_until(lambda: listener.snapshot().is_complete, 'the end')
    live = ''.join(s.text for s in listener.snapshot().segments)
    with BagSource(tmp_path / 'bag') as source:
        assert len(read_all(source)) > 8 * 16000 and source.gaps == 0
    again = ['--model', 'demo', '--fast', '--namespace', 'again']  # the live nodes are still there
    done = transcript('run', '--bag', tmp_path / 'bag', *again)
    assert done.returncode == 0, done.stderr
    # Live may have skipped windows where the machine was busy; the words are the same.
    assert normalise(done.stdout) == normalise(live) == normalise(SAID)
