"""The token messages of a rosbag2 bag, read without ROS (by rosbags)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import sys
from typing import Any

from transcript_manager.errors import StreamError

TOKENS_TYPE = 'transcript_manager/msg/WhisperTokens'
_NEEDED = {
    'WhisperTokens': ('header', 'window_ms', 'segments', 'language', 'end_of_stream'),
    'WhisperSegment': ('start_ms', 'end_ms', 'tokens'),
    'WhisperToken': ('text', 'probability', 'start_ms', 'end_ms'),
}
"""What the merge reads: a bag may have been recorded with other versions of the messages."""


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag: a folder, or a file of a bag's storage."""
    return path.is_dir() or path.suffix in ('.mcap', '.db3')


def read_bag(path: str | Path, *, topic: str | None = None) -> Iterator[Any]:
    """
    Read the token messages of a bag, in the order in which they were recorded.

    :param path: the bag's folder, or its only .mcap or .db3 file
    :param topic: whose tokens; None takes the only topic there is of their type
    :raises StreamError: naming the bag and what is wrong with it
    """
    path = Path(path)
    if not path.exists():
        raise StreamError(f'cannot read {path}: No such file or directory')
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        raise StreamError(
            f'{path} is no bag: there is no metadata.yaml in it; if a recording broke off, run '
            f'`ros2 bag reindex {path}`'
        )
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import get_types_from_msg, get_typestore, Stores
    except ImportError as error:
        raise StreamError(
            f'bags are read with the Python package rosbags: run {sys.executable} -m pip install '
            '"rosbags>=0.11,<0.12"'
        ) from error
    typestore = get_typestore(Stores.ROS2_JAZZY)
    for name in _NEEDED:
        text = (_definitions() / f'{name}.msg').read_text(encoding='utf-8')
        typestore.register(get_types_from_msg(text, f'transcript_manager/msg/{name}'))
    try:
        with AnyReader([path], default_typestore=typestore) as reader:
            wanted = _choose(reader.connections, path, topic)
            # A bag with definitions need not have one of every type.
            store = reader.typestore if TOKENS_TYPE in reader.typestore.fielddefs else typestore
            _check_fields(store.fielddefs, path)
            for connection, _, data in reader.messages(connections=wanted):
                yield store.deserialize_cdr(data, connection.msgtype)
    except StreamError:
        raise
    except Exception as error:
        # Of a damaged bag, YAML, SQLite, MCAP and the decompressors each have errors of their own.
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        raise StreamError(f'{path} is no bag that can be read, or damaged: {reason}') from error


def _check_fields(definitions, path: Path) -> None:
    for name, needed in _NEEDED.items():
        _, fields = definitions[f'transcript_manager/msg/{name}']
        missing = set(needed) - {field for field, _ in fields}
        if missing:
            raise StreamError(
                f'{path} was recorded with another version of {name}: it has no '
                f'{", ".join(sorted(missing))}; record it again'
            )


def _definitions() -> Path:
    """Find the message definitions, installed beside the package or in its source."""
    for parent in Path(__file__).resolve().parents:
        for folder in (parent / 'share' / 'transcript_manager' / 'msg', parent / 'msg'):
            if (folder / 'WhisperTokens.msg').is_file():
                return folder
    raise StreamError('WhisperTokens.msg is not where the package was installed: install it again')


def _choose(connections, path: Path, topic: str | None) -> list:
    """Find the connections of the one topic that is wanted."""
    tokens = [c for c in connections if c.msgtype == TOKENS_TYPE]
    names = sorted({c.topic for c in tokens})
    if topic is not None:
        wanted = [c for c in tokens if c.topic in (topic, '/' + topic)]
        if not wanted:
            raise StreamError(
                f'{path} has no tokens on {topic}; there are: {", ".join(names) or "none"}'
            )
        return wanted
    if not names:
        others = ', '.join(sorted({c.topic for c in connections})) or 'none'
        raise StreamError(
            f'{path} has no topic of type {TOKENS_TYPE}; record `tokens`. Its topics: {others}'
        )
    if len(names) > 1:
        raise StreamError(f'{path} has tokens on {", ".join(names)}; choose one with --topic')
    return tokens
