"""Speech played into a real capture device comes out as text, where PulseAudio is installed."""

import os
from pathlib import Path
import shutil
import subprocess
import tempfile

import pytest
import soundfile

pytestmark = pytest.mark.skipif(
    not (shutil.which('pulseaudio') and shutil.which('paplay')),
    reason='needs PulseAudio: apt-get install pulseaudio pulseaudio-utils libportaudio2 '
    'libasound2-plugins',
)


@pytest.fixture
def microphone(wait_until):
    """Run a private PulseAudio whose default source is a null sink's monitor; returns its env."""
    # Sockets need a short path.
    folder = Path(tempfile.mkdtemp(prefix='tm-pulse-'))
    env = {
        **os.environ,
        'HOME': str(folder),
        'XDG_RUNTIME_DIR': str(folder),
        'XDG_CONFIG_HOME': str(folder),
        'PULSE_RUNTIME_PATH': str(folder),
        'PULSE_STATE_PATH': str(folder),
        'PULSE_SERVER': f'unix:{folder}/native',
    }
    (folder / '.asoundrc').write_text('pcm.!default pulse\nctl.!default pulse\n')
    daemon = subprocess.Popen(
        [
            *('pulseaudio', '-n', '--daemonize=no', '--exit-idle-time=-1', '--system=false'),
            *('--disable-shm=yes', '--load=module-null-sink sink_name=robot'),
            f'--load=module-native-protocol-unix socket={folder}/native',
        ],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def is_ready():
        chosen = subprocess.run(
            ['pactl', 'set-default-source', 'robot.monitor'], env=env, capture_output=True
        )
        return chosen.returncode == 0

    try:
        wait_until(is_ready, 'PulseAudio', timeout_s=20)
        yield env
    finally:
        daemon.terminate()
        daemon.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def test_speech_into_the_microphone_comes_out_as_text(
    microphone, start_node, following, recording, word_error_rate, wait_until, tmp_path
):
    path, reference = recording('second')
    samples, rate_hz = soundfile.read(path, dtype='int16')
    sentences = reference['sentences'][:3]
    wave = tmp_path / 'speech.wav'
    soundfile.write(wave, samples[: int((sentences[-1][2] + 0.3) * rate_hz)], rate_hz)

    listener = following()
    start_node('transcript_manager')
    whisper = start_node('whisper', model='demo')
    ring = start_node('audio_ring', device='pulse', env=microphone)
    whisper.wait_for('is ready')
    ring.wait_for('listening to microphone')
    wait_until(lambda: listener.snapshot().revision > 0, 'the first window')
    subprocess.run(['paplay', '--device=robot', wave], env=microphone, check=True, timeout=60)
    said = ' '.join(text for text, _, _ in sentences)
    wait_until(
        lambda: len(listener.snapshot().appended_text) >= 0.9 * len(said), 'the text', timeout_s=20
    )
    # Silence follows: the rest becomes stable as well.
    wait_until(
        lambda: word_error_rate(said, listener.snapshot().appended_text) < 0.1,
        'all words',
        timeout_s=20,
    )
    assert ring.stop() == 0, ring.output
    assert 'Traceback' not in ring.output


def test_the_command_transcribes_the_microphone_until_ctrl_c(
    microphone, start, installed_command, recording, tmp_path
):
    path, _ = recording('second')
    samples, rate_hz = soundfile.read(path, dtype='int16')
    wave = tmp_path / 'speech.wav'
    soundfile.write(wave, samples[: 6 * rate_hz], rate_hz)
    program = start(
        [installed_command, 'run', '--mic', 'pulse', '--model', 'demo', '-v'], microphone
    )
    program.wait_for('listening to microphone')
    subprocess.run(['paplay', '--device=robot', wave], env=microphone, check=True, timeout=60)
    program.wait_for('battery')
    assert program.stop() == 0, program.output
    assert 'the battery of the big robot is low again' in program.output
    assert 'Traceback' not in program.output
