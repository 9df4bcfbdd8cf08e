"""How a transcription is doing, out of what its nodes say on /diagnostics; for people's eyes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

_MAX = 1e11
"""More is no time, level or count."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is known by now; None where nobody has told."""

    stream_start_s: float | None = None
    """Stamp of the stream's first sample [s]."""
    level_dbfs: float | None = None
    clipping: float = 0.0
    """Share of samples at full scale, 0..1."""
    is_muted: bool = False
    lag_s: float | None = None
    """From the end of the newest audio merged to the moment it was merged [s]."""
    duty: float | None = None
    """Decode time per hop."""
    speech_share: float | None = None
    """Of the newest window, by the voice-activity gate, 0..1."""
    skipped_windows: int = 0
    complaints: Mapping[str, str] = field(default_factory=dict)
    """What is wrong, by node."""


def followed(vitals: Vitals, array: DiagnosticArray, namespace: str) -> Vitals:
    """
    Take over what a message says about the nodes of one namespace.

    :param namespace: such as '/robot1', or '/'
    """
    space = namespace.strip('/')
    for status in array.status:
        node, _, part = status.name.partition(': ')
        own_space, _, name = node.rpartition('/')
        # One whisper node may decode for several robots.
        if (part.strip('/') or own_space) != space or name not in _READERS:
            continue
        values = {entry.key: entry.value for entry in status.values}
        complaints = dict(vitals.complaints)
        complaints.pop(name, None)
        if _is_bad(status):
            complaints[name] = status.message
        vitals = replace(vitals, complaints=complaints, **_READERS[name](values))
    return vitals


def _is_bad(status: DiagnosticStatus) -> bool:
    return status.level != DiagnosticStatus.OK


def _number(values: Mapping[str, str], key: str) -> float | None:
    try:
        value = float(values[key])
    except (KeyError, ValueError):
        return None
    return value if abs(value) < _MAX else None  # also no nan


def _of_ring(values: Mapping[str, str]) -> dict:
    return {
        'stream_start_s': _number(values, 'stream_start_s'),
        'level_dbfs': _number(values, 'level_dbfs'),
        'clipping': _number(values, 'clipping') or 0.0,
        'is_muted': values.get('muted') == 'true',
    }


def _of_whisper(values: Mapping[str, str]) -> dict:
    return {
        'duty': _number(values, 'duty'),
        'speech_share': _number(values, 'speech_share'),
        'skipped_windows': int(_number(values, 'windows_skipped') or 0),
    }


def _of_manager(values: Mapping[str, str]) -> dict:
    return {'lag_s': _number(values, 'lag_s')}


_READERS = {
    'audio_ring': _of_ring,
    'whisper': _of_whisper,
    'transcript_manager': _of_manager,
}
