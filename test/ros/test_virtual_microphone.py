"""Speech played into a real capture device comes out as text, where PulseAudio is installed."""

import json

import soundfile


def make_speech(recording, target, *, sentences):
    """Cut the first sentences out of a recording; returns their text."""
    path, reference = recording('second')
    samples, rate_hz = soundfile.read(path, dtype='int16')
    said = reference['sentences'][:sentences]
    soundfile.write(target, samples[: int((said[-1][2] + 0.3) * rate_hz)], rate_hz)
    return ' '.join(text for text, _, _ in said)


def test_speech_into_the_microphone_comes_out_as_text(
    virtual_microphone, start_node, following, recording, word_error_rate, wait_until, tmp_path
):
    said = make_speech(recording, tmp_path / 'speech.wav', sentences=3)
    listener = following()
    start_node('transcript_manager')
    whisper = start_node('whisper', model='demo')
    ring = start_node('audio_ring', device='pulse', env=virtual_microphone.env)
    whisper.wait_for('is ready')
    ring.wait_for('listening to microphone')
    wait_until(lambda: listener.snapshot().revision > 0, 'the first window')
    assert virtual_microphone.play(tmp_path / 'speech.wav').wait(60) == 0
    # Silence follows, so the last words become stable as well.
    wait_until(
        lambda: word_error_rate(said, listener.snapshot().appended_text) < 0.1,
        'the text',
        timeout_s=30,
    )
    assert ring.stop() == 0, ring.output
    assert 'Traceback' not in ring.output


def test_the_command_transcribes_the_microphone_until_ctrl_c(
    virtual_microphone, start, installed_command, recording, tmp_path
):
    make_speech(recording, tmp_path / 'speech.wav', sentences=1)
    command = [installed_command, 'run', '--mic', 'pulse', '--model', 'demo', '-v']
    program = start(command, virtual_microphone.env)
    program.wait_for('listening to microphone')
    assert virtual_microphone.play(tmp_path / 'speech.wav').wait(60) == 0
    program.wait_for('battery')
    assert program.stop() == 0, program.output
    assert 'the battery of the big robot is low again' in program.output
    assert 'Traceback' not in program.output


def test_an_unplugged_microphone_is_heard_again_when_it_is_back(
    virtual_microphone, start_node, following, recording, word_error_rate, wait_until, tmp_path
):
    said = make_speech(recording, tmp_path / 'speech.wav', sentences=1)
    listener = following()
    start_node('transcript_manager')
    whisper = start_node('whisper', model='demo')
    whisper.wait_for('is ready')
    ring = start_node('audio_ring', device='pulse', env=virtual_microphone.env)
    ring.wait_for('listening to microphone')
    wait_until(lambda: listener.snapshot().revision > 0, 'the first window')
    virtual_microphone.unplug()
    ring.wait_for('still connected?')
    # Time goes on meanwhile.
    revision = listener.snapshot().revision
    wait_until(lambda: listener.snapshot().revision > revision + 2, 'windows of silence')
    virtual_microphone.plug_in()
    virtual_microphone.wait_ready()
    ring.wait_for('is back')
    assert virtual_microphone.play(tmp_path / 'speech.wav').wait(60) == 0
    wait_until(lambda: word_error_rate(said, listener.snapshot().appended_text) < 0.1, 'the text')
    assert ring.stop() == 0, ring.output
    assert 'Traceback' not in ring.output


def test_a_microphone_that_is_missing_at_the_start_ends_the_node(virtual_microphone, start_node):
    virtual_microphone.unplug()
    ring = start_node('audio_ring', device='pulse', env=virtual_microphone.env)
    assert ring.wait(30) == 2
    assert 'does not open' in ring.output or 'device' in ring.output
    assert 'Traceback' not in ring.output


def test_the_command_lists_the_devices(virtual_microphone, transcript):
    done = transcript('devices', '--json', **virtual_microphone.env)
    assert done.returncode == 0, done.stderr
    found = {device['name']: device for device in json.loads(done.stdout)}
    assert found['pulse']['channels'] >= 2 and found['pulse']['host_api'] == 'ALSA'
    plain = transcript('devices', **virtual_microphone.env)
    heading, *rows = plain.stdout.splitlines()
    assert heading.split() == ['index', 'name', 'host', 'API', 'channels', 'rate', '[Hz]']
    assert len(rows) == len(found) and sum(row.startswith('*') for row in rows) == 1
