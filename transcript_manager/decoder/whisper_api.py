"""The way to whisper.cpp: pywhispercpp's low-level module, loaded on first use, and its log."""

from __future__ import annotations

import atexit
import functools
import logging

from transcript_manager.errors import ModelError

_LOGGER = logging.getLogger(__name__)
_GGML_LOG_WARNING, _GGML_LOG_ERROR = 3, 4
_GPU_BACKENDS = ('CUDA', 'VULKAN', 'METAL', 'MTL', 'SYCL', 'CANN', 'MUSA', 'ROCM', 'HIP')


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


def has_gpu() -> bool:
    """Whether this build of whisper.cpp can use a GPU."""
    info = load_api().whisper_print_system_info()
    info = (info.decode() if isinstance(info, bytes) else info).upper()
    return any(backend in info for backend in _GPU_BACKENDS)


_collectors: list[list[str]] = []


def _on_log(level: int, text: str) -> None:
    if level == _GGML_LOG_ERROR and _collectors:
        _collectors[-1].append(text.strip())
        return
    logged = logging.WARNING if level >= _GGML_LOG_WARNING else logging.DEBUG
    if level > _GGML_LOG_ERROR:
        logged = logging.DEBUG  # continuation lines
    _LOGGER.log(logged, 'whisper.cpp: %s', text.rstrip())


class collected_errors:
    """Collect what whisper.cpp logs as errors while the block runs."""

    def __enter__(self) -> list[str]:
        self._errors: list[str] = []
        _collectors.append(self._errors)
        return self._errors

    def __exit__(self, *_exc: object) -> None:
        _collectors.remove(self._errors)
