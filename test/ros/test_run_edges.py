"""`transcript run` where something comes in between: a broken stream, a key, its own input."""

import json
from pathlib import Path
import shutil
import sys

import srt
from terminals import Terminal

from transcript_manager.cli.main import main

BAGS = Path(__file__).resolve().parents[1] / 'bags'
TALKER = """
import sys, time
import rclpy, soundfile
from rclpy.node import Node
from transcript_manager.msg import AudioWindow

rclpy.init()
node = Node('talker')
publisher = node.create_publisher(AudioWindow, '/audio', 10)
samples, rate_hz = soundfile.read(sys.argv[1], dtype='int16')
block = rate_hz // 10
while publisher.get_subscription_count() == 0:
    time.sleep(0.1)
for part in range(2):
    first = 0
    base_s = time.time()
    for k in range(80 * part, 80 * part + 80):
        end = k % 80 == 79
        message = AudioWindow(sample_rate=rate_hz, first_sample=first, end_of_stream=end)
        message.samples = samples[k * block:(k + 1) * block]
        stamp_s = base_s + first / rate_hz
        message.header.stamp.sec = int(stamp_s)
        message.header.stamp.nanosec = int(stamp_s % 1 * 1e9)
        publisher.publish(message)
        first += block
        time.sleep(max(0.0, base_s + first / rate_hz - time.time()))
    print('part', part, 'is over', flush=True)
    time.sleep(2.0)
time.sleep(60)
"""


def test_times_go_on_where_a_publisher_begins_again(start, installed_command, recording, tmp_path):
    """Real speech from a topic, in two streams."""
    path, reference = recording('second')
    out, live = tmp_path / 'out.json', tmp_path / 'live.srt'
    run = start(
        [installed_command, 'run', '--topic', '/audio', '--model', 'demo', '--format', 'json']
        + ['-o', out, '--live', live]
    )
    talker = start([sys.executable, '-c', TALKER, path])
    talker.wait_for('part 1 is over')
    assert run.stop() == 0, run.output
    result = json.loads(out.read_text())
    times = [t for s in result['segments'] for w in s['words'] for t in (w['start'], w['end'])]
    assert times == sorted(times) and times[0] > 0 and 12 < times[-1] < 60
    said = reference['text'].split()
    assert len(result['text'].split()) > 0.3 * len(said)
    cues = list(srt.parse(live.read_text()))
    assert 0 < cues[0].start.total_seconds() < cues[-1].end.total_seconds() < 60
    assert main(['export', str(out), '--format', 'vtt', '-o', str(tmp_path / 'x.vtt')]) == 0


def test_q_in_a_recording_is_not_the_whole_job(installed_command, recording, tmp_path, wait_until):
    path, _ = recording('demo')
    out = tmp_path / 'out.srt'
    command = [installed_command, 'run', '--audio', path, '--model', 'demo']
    run = Terminal([*command, '--format', 'srt', '-o', out], {})
    wait_until(lambda: 'q quit' in run.text and 'speech' in run.text, 'the view')
    run.press('q')
    assert run.process.wait(40) == 130, run.text
    assert out.exists()


def test_nothing_writes_over_what_is_heard(transcript, recording, tmp_path):
    path, _ = recording('demo')
    sound = tmp_path / 'precious.srt'
    shutil.copyfile(path, sound)
    before = sound.read_bytes()
    for more in (['-o', sound], ['--live', sound]):
        done = transcript('run', '--audio', sound, '--model', 'demo', '--fast', '-q', *more)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert sound.read_bytes() == before
    bag = tmp_path / 'bag'
    shutil.copytree(BAGS / 'spoken_mcap', bag)
    inside = next(bag.glob('*.mcap'))
    for given in (bag, inside):
        done = transcript('run', '--bag', given, '--model', 'demo', '--fast', '-q', '-o', inside)
        assert done.returncode == 2 and 'is read too' in done.stderr


def test_a_live_file_that_is_refused_costs_no_other(transcript, tmp_path):
    keep = tmp_path / 'keep.srt'
    keep.write_text('precious')
    done = transcript('watch', '--live', keep, '--live', tmp_path / 'not' / 'there.srt')
    assert done.returncode == 2
    assert keep.read_text() == 'precious'
