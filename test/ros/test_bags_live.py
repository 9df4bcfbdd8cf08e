"""Recorded audio and tokens through the real graph: the same text every time."""

import json
from pathlib import Path

from bag_replay import play
from bag_tools import bad_bags, START_NS
import pytest

from transcript_manager import msg, result
from transcript_manager.cli.main import main
from transcript_manager.ros import qos
from transcript_manager.ros.listener import to_result
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


def test_a_ring_plays_a_bag_with_its_stamps(start_node, following, wait_until):
    stamps = []
    listener = following()
    listener.create_subscription(
        msg.AudioWindow,
        'audio_window',
        lambda m: stamps.append((to_ns(m.header.stamp), m.first_sample)),
        qos.AUDIO_WINDOW,
    )
    bag = BAGS / 'spoken_sqlite3'
    ring = start_node('audio_ring', source=bag, window_s=2.0, hop_s=0.5, start_delay_s=0.1)
    ring.wait_for('ended after 3.8 s')
    assert ring.stop() == 0, ring.output
    wait_until(lambda: len(stamps) >= 5, 'windows')
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
        return result.to_json(to_result(listener.snapshot(), start_ns=START_NS))

    assert replayed('once') == merged
    assert replayed('again') == merged
