"""Single keys while a view is shown."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty

_LOCAL = 3  # of what tcgetattr returns: the flags of reading


class Keys:
    """
    Read keys without waiting for Enter, between ``__enter__`` and ``__exit__``.

    Ctrl-C and Ctrl-Z go on to do what they do. Where standard input is no terminal, or this
    program is in the background, there are no keys.
    """

    def __init__(self) -> None:
        self._terminal: int | None = None
        self._before: list | None = None

    @staticmethod
    def available() -> bool:
        """Whether there is a keyboard to be read."""
        try:
            return _is_ours(sys.stdin.fileno())
        except (AttributeError, OSError, ValueError):  # closed, or replaced
            return False

    def __enter__(self) -> Keys:
        """Take over the keyboard."""
        if self.available():
            terminal = sys.stdin.fileno()
            with contextlib.suppress(termios.error):
                self._before = termios.tcgetattr(terminal)
                tty.setcbreak(terminal)
                self._terminal = terminal
        return self

    def __exit__(self, *_exc: object) -> None:
        """Leave the terminal as it was; not in the background, where it is somebody else's."""
        if self._before is not None and _is_ours(sys.stdin.fileno()):
            with contextlib.suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    def pressed(self) -> str:
        """Return the keys pressed since the last call."""
        # Whoever touches the terminal from the background is stopped.
        if self._terminal is None or not _is_ours(self._terminal):
            return ''
        keys = ''
        try:
            if termios.tcgetattr(self._terminal)[_LOCAL] & termios.ICANON:
                tty.setcbreak(self._terminal)  # back in the foreground, the shell has changed it
            while select.select([self._terminal], [], [], 0)[0]:
                data = os.read(self._terminal, 64)
                if not data:
                    raise OSError
                keys += data.decode(errors='ignore')
        except (OSError, termios.error):  # the terminal has gone
            self._terminal = None
        return keys


def _is_ours(descriptor: int) -> bool:
    """Whether this program is in the foreground of a terminal."""
    try:
        return os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
