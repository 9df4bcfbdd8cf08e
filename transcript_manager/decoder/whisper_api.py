"""The way to whisper.cpp: pywhispercpp's low-level module, loaded on first use, and its log."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
import contextlib
import functools
import logging
import threading

from transcript_manager.errors import ModelError

_LOGGER = logging.getLogger(__name__)
_GGML_LOG_WARNING, _GGML_LOG_ERROR = 3, 4


@functools.cache
def load_api():
    """
    Import whisper.cpp: the rest of the package works without it.

    :raises ModelError: if it is not installed or cannot be loaded
    """
    try:
        import _pywhispercpp as api
    except ImportError as error:
        raise ModelError(
            f'whisper.cpp cannot be loaded ({error}); install it with: pip install pywhispercpp'
        ) from error
    api.whisper_log_set(_on_log)
    # The callback must be gone before the interpreter is: whisper.cpp may log while it dies.
    atexit.register(api.whisper_log_set, None)
    return api


class _Collectors(threading.local):
    """Of each thread its own: whisper.cpp logs in the thread that calls it."""

    def __init__(self) -> None:
        self.stack: list[list[tuple[bool, str]]] = []


_collectors = _Collectors()


def _on_log(level: int, text: str) -> None:
    if _collectors.stack:
        _collectors.stack[-1].append((level == _GGML_LOG_ERROR, text.strip()))
        return
    logged = logging.WARNING if level >= _GGML_LOG_WARNING else logging.DEBUG
    if level > _GGML_LOG_ERROR:
        logged = logging.DEBUG  # continuation lines
    _LOGGER.log(logged, 'whisper.cpp: %s', text.rstrip())


@contextlib.contextmanager
def collected_log() -> Iterator[list[tuple[bool, str]]]:
    """Collect (is an error, text) of what whisper.cpp logs in this thread in the block."""
    lines: list[tuple[bool, str]] = []
    _collectors.stack.append(lines)
    try:
        yield lines
    finally:
        _collectors.stack.pop()


@contextlib.contextmanager
def collected_errors() -> Iterator[list[str]]:
    """Collect what whisper.cpp logs as errors in this thread; read it after the block."""
    errors: list[str] = []
    with collected_log() as lines:
        yield errors
    errors += [text for is_error, text in lines if is_error]
