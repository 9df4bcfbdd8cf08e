"""
A microphone without a microphone: a private PulseAudio whose default source is what is played.

A process sees it as its default microphone if it is started with ``virtual_microphone.env``.
"""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0
_ALSA_PLUGIN = 'libasound_module_pcm_pulse.so'  # PortAudio speaks ALSA, and that PulseAudio


class VirtualMicrophone:
    """
    A running PulseAudio daemon of its own.

    :param folder: where it keeps everything; its path must be short (a socket's has 108 bytes)
    """

    def __init__(self, folder: Path) -> None:
        socket = folder / 'native'
        alsa = folder / 'asound.conf'
        # Whatever the machine's own sound is, `default` and `pulse` are this one here.
        alsa.write_text(
            '</usr/share/alsa/alsa.conf>\n'
            'pcm.pulse { type pulse }\n'
            'pcm.!default { type pulse hint { show on description "robot" } }\n'
            'ctl.!default { type pulse }\n'
        )
        self.env = {
            'HOME': str(folder),
            'XDG_RUNTIME_DIR': str(folder),
            'PULSE_RUNTIME_PATH': str(folder),
            'PULSE_STATE_PATH': str(folder),
            'PULSE_SERVER': f'unix:{socket}',
            'PULSE_CLIENTCONFIG': str(folder / 'client.conf'),
            'ALSA_CONFIG_PATH': str(alsa),
            'JACK_NO_START_SERVER': '1',
        }
        (folder / 'client.conf').write_text('autospawn = no\nenable-shm = no\n')
        self._log = folder / 'log'
        self._socket = socket
        self.plug_in()

    def plug_in(self) -> None:
        """Start the daemon, at first and after :meth:`unplug`; then :meth:`wait_ready`."""
        socket = self._socket
        socket.unlink(missing_ok=True)
        with self._log.open('w') as log:
            self.daemon = subprocess.Popen(
                [
                    'pulseaudio',
                    '-n',  # none of the machine's configuration
                    '--system=false',  # a daemon of this user, also if that is root
                    '--daemonize=no',
                    '--exit-idle-time=-1',
                    '--use-pid-file=no',
                    '--disable-shm=yes',  # containers have little of it
                    '--realtime=no',
                    '--high-priority=no',
                    # Rewinds: the sink renders 2 s ahead, so that recording starts late and loses
                    # up to half a second when playing starts.
                    '--load=module-null-sink sink_name=robot rate=48000 channels=2 norewinds=1',
                    f'--load=module-native-protocol-unix socket={socket} auth-anonymous=1',
                ],
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        """Wait until the daemon answers, then make the null sink's monitor the default source."""
        end_s = time.monotonic() + _START_TIMEOUT_S
        while self._pactl('set-default-source', 'robot.monitor') != 0:
            if self.daemon.poll() is not None or time.monotonic() > end_s:
                pytest.fail(f'pulseaudio does not start:\n{self._log.read_text()}')
            time.sleep(0.05)

    def _pactl(self, *arguments: str) -> int:
        return subprocess.run(
            ['pactl', *arguments],
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_START_TIMEOUT_S,
        ).returncode

    def play(self, path: Path) -> subprocess.Popen:
        """Say what is in a sound file (WAV, FLAC, ...) to the microphone; ends when it is said."""
        return subprocess.Popen(
            ['paplay', '--device=robot', str(path)],
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
        )

    def hang(self) -> None:
        """Stop delivering samples, as a device that hangs; the connection stays."""
        self.daemon.send_signal(signal.SIGSTOP)

    def unplug(self) -> None:
        """Take the device away."""
        self.daemon.kill()
        self.daemon.wait(_STOP_TIMEOUT_S)

    def close(self) -> None:
        """End the daemon, whatever state it is in."""
        self.daemon.kill()
        self.daemon.wait(_STOP_TIMEOUT_S)


def why_not() -> str:
    """Return why there can be no virtual microphone on this machine; '' if there can."""
    for program in ('pulseaudio', 'pactl', 'paplay'):
        if shutil.which(program) is None:
            return f'{program} is not installed (apt-get install pulseaudio pulseaudio-utils)'
    folders = [*Path('/usr/lib').glob('*/alsa-lib'), Path('/usr/lib/alsa-lib')]
    folders += [Path('/usr/lib64/alsa-lib')]
    if not any((folder / _ALSA_PLUGIN).exists() for folder in folders):
        return "ALSA's pulse plugin is not installed (apt-get install libasound2-plugins)"
    return ''


@pytest.fixture
def virtual_microphone() -> Iterator[VirtualMicrophone]:
    """Give the test a microphone of its own; skipped where PulseAudio is missing."""
    if reason := why_not():
        pytest.skip(reason)
    # Not tmp_path: with a long test name the socket's path would be too long.
    with tempfile.TemporaryDirectory(
        prefix='mic-', dir='/tmp', ignore_cleanup_errors=True
    ) as name:
        microphone = VirtualMicrophone(Path(name))
        try:
            microphone.wait_ready()
            yield microphone
        finally:
            microphone.close()
