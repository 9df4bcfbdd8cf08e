"""Where a command's result goes: standard output, or a file that is never half written."""

from __future__ import annotations

import os
from pathlib import Path

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
    if target.is_dir():
        raise ParameterError(f'cannot write {target}: it is a folder; give a file in it')
    if not folder.is_dir():
        raise ParameterError(f'cannot write {target}: there is no folder {folder}')
    if not os.access(folder, os.W_OK):
        raise ParameterError(f'cannot write {target}: the folder {folder} is not writable')


def check_apart(output: str | None, *inputs: str | None, option: str = '-o') -> None:
    """
    Refuse to write over what is read: a file, or one in a folder such as a bag.

    :param option: that named the output
    :raises ParameterError: naming it
    """
    if output is None:
        return
    target = Path(output).resolve()
    for path in inputs:
        if path is None:
            continue
        read = Path(path).resolve()
        # A pipe or a device keeps nothing that could be lost.
        is_lost = (target == read and read.is_file()) or (read.is_dir() and read in target.parents)
        if is_lost and (target.exists() or target == read):
            raise ParameterError(f'{option} {output} is read too; give another file')


def write_output(text: str, path: str | None) -> None:
    """
    Write a result to standard output, or to a file at once.

    :raises TranscriptManagerError: if it cannot be written
    """
    if path is None:
        print(text, end='', flush=True)
        return
    target = Path(path).resolve()  # a link stays a link
    if target.exists() and not target.is_file():  # a pipe or a device stays what it is
        try:
            target.write_text(text, encoding='utf-8', errors='replace')
        except OSError as error:
            raise TranscriptManagerError(f'cannot write {path}: {error.strerror}') from error
        return
    # Written beside the target and moved there: a reader never sees half a file.
    part = target.with_name(f'.{target.name}.{os.getpid()}.part')
    try:
        part.write_text(text, encoding='utf-8', errors='replace')
        part.replace(target)
    except OSError as error:
        raise TranscriptManagerError(f'cannot write {target}: {error.strerror}') from error
    finally:
        part.unlink(missing_ok=True)  # whatever has ended it, Ctrl-C too
