"""Commands in a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading


def _begin() -> None:
    """Make the terminal ours; whoever started the tests may ignore SIGINT."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command in a terminal of 80 columns."""

    def __init__(self, command, env):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [str(c) for c in command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, 'TERM': 'xterm-256color', **env},
            start_new_session=True,
            preexec_fn=_begin,
        )
        os.close(theirs)
        self.output = ''
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while data := os.read(self._ours, 4096):
                self.output += data.decode(errors='replace')
        except OSError:  # the other end was closed
            pass

    @property
    def text(self):
        return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', self.output)

    def press(self, keys):
        os.write(self._ours, keys.encode())
