"""Single keys while a view is shown."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty


class Keys:
    """
    Read keys without waiting for Enter, between ``__enter__`` and ``__exit__``.

    Ctrl-C and Ctrl-Z go on to do what they do. Where standard input is no terminal, or this
    program is in the background, there are no keys.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._before: list | None = None

    @staticmethod
    def available() -> bool:
        """Whether there is a keyboard to be read."""
        try:
            descriptor = sys.stdin.fileno()
            return os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
        except (AttributeError, OSError, ValueError):  # closed, or replaced
            return False

    def __enter__(self) -> Keys:
        """Take over the keyboard."""
        if self.available():
            self._descriptor = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
        return self

    def __exit__(self, *_exc: object) -> None:
        """Leave the terminal as it was."""
        if self._before is not None:
            with contextlib.suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def pressed(self) -> str:
        """Return the keys pressed since the last call."""
        if self._descriptor is None:
            return ''
        keys = ''
        with contextlib.suppress(OSError):
            while select.select([self._descriptor], [], [], 0)[0]:
                data = os.read(self._descriptor, 64)
                if not data:  # the terminal has gone
                    self._descriptor = None
                    break
                keys += data.decode(errors='ignore')
        return keys
