"""Where a command's result goes: standard output, or a file that is never half written."""

from __future__ import annotations

import os
from pathlib import Path
import sys

from transcript_manager.errors import ParameterError, TranscriptManagerError


def check_output(path: str | None) -> None:
    """
    Refuse a file that cannot be written before any work is done.

    :raises ParameterError: naming it
    """
    if path is None:
        return
    target = Path(path)
    folder = target.parent
    if target.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ParameterError(f'cannot write {target}: not a file in a writable folder')


def write_output(text: str, path: str | None) -> None:
    """
    Write a result to standard output, or to a file at once.

    :raises TranscriptManagerError: if it cannot be written
    """
    if path is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    target = Path(path).resolve()  # a link stays a link
    if target.exists() and not target.is_file():  # a pipe or a device stays what it is
        try:
            target.write_text(text, encoding='utf-8')
        except OSError as error:
            raise TranscriptManagerError(f'cannot write {path}: {error.strerror}') from error
        return
    # Written beside the target and moved there: a reader never sees half a file.
    part = target.with_name(f'.{target.name}.{os.getpid()}.part')
    try:
        part.write_text(text, encoding='utf-8')
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TranscriptManagerError(f'cannot write {target}: {error.strerror}') from error
