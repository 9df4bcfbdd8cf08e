"""Files that hold only whole records, whatever happens while they are written."""

from __future__ import annotations

import os


def append_whole(descriptor: int, data: bytes, *, at_bytes: int) -> None:
    """
    Write data at the end of a file and force it to disk; if it does not fit, no part of it stays.

    :param at_bytes: where the file's good part ends
    :raises OSError: if it could not be written whole
    """
    rest = memoryview(data)
    try:
        os.lseek(descriptor, at_bytes, os.SEEK_SET)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fdatasync(descriptor)
    except OSError:
        os.ftruncate(descriptor, at_bytes)
        raise
