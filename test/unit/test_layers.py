"""The core knows no ROS, and files open without a microphone library."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    'module',
    [
        'transcript_manager.audio.ring',
        'transcript_manager.audio.files',
        'transcript_manager.audio.microphone',
        'transcript_manager.audio.recovering',
        'transcript_manager.audio.blocks',
        'transcript_manager.streams.audio_messages',
        'transcript_manager.citations.check',
        'transcript_manager.decoder.engine',
        'transcript_manager.decoder.models',
        'transcript_manager.evaluation.report',
        'transcript_manager.export.formats',
        'transcript_manager.export.live',
        'transcript_manager.export.reading',
        'transcript_manager.interop.utterances',
        'transcript_manager.merge.transcript',
        'transcript_manager.pictures.spectrogram',
        'transcript_manager.pictures.stability',
        'transcript_manager.result',
        'transcript_manager.streams.audio_bag',
    ],
)
def test_the_core_imports_without_ros_and_without_devices(module):
    code = (
        'import sys; from importlib.abc import MetaPathFinder\n'
        'class Refuse(MetaPathFinder):\n'
        '    def find_spec(self, name, path, target=None):\n'
        '        if name.partition(".")[0] in ("rclpy", "std_msgs", "sounddevice")'
        ' or name == "transcript_manager.msg":\n'
        '            raise AssertionError(f"{name} was imported")\n'
        'sys.meta_path.insert(0, Refuse())\n'
        f'import {module}'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_missing_portaudio_is_said_when_the_microphone_is_asked_for(tmp_path):
    (tmp_path / 'sounddevice.py').write_text("raise OSError('PortAudio library not found')")
    code = (
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        'from transcript_manager.audio.microphone import Microphone\n'
        'from transcript_manager.errors import AudioSourceError\n'
        'try: Microphone()\n'
        'except AudioSourceError as error: print(error)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert 'apt-get install libportaudio2' in done.stdout, done.stderr


def test_the_devices_command_needs_portaudio_and_nothing_of_ros(tmp_path):
    (tmp_path / 'sounddevice.py').write_text("raise OSError('PortAudio library not found')")
    code = (
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        'from transcript_manager.cli.main import main\n'
        'code = main(["devices"])\n'
        'assert "rclpy" not in sys.modules\n'
        'sys.exit(code)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ''
    assert 'apt-get install libportaudio2' in done.stderr and len(done.stderr.splitlines()) == 1
