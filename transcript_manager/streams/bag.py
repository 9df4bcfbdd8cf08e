"""Rosbag2 bags, read without ROS (by rosbags), and the token messages in them."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import sys
from typing import Any

from transcript_manager.errors import StreamError
from transcript_manager.streams.audio_messages import is_audio_type

TOKENS_TYPE = 'transcript_manager/msg/WhisperTokens'
_NEEDED = {
    'WhisperTokens': ('header', 'window_ms', 'segments', 'language', 'end_of_stream'),
    'WhisperSegment': ('start_ms', 'end_ms', 'tokens'),
    'WhisperToken': ('text', 'probability', 'start_ms', 'end_ms'),
}
"""What the merge reads: a bag may have been recorded with other versions of the messages."""
_OURS = (*reversed(_NEEDED), 'AudioWindow')
_SUFFIXES = ('.mcap', '.db3')


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag: a folder, or a file of a bag's storage."""
    return path.is_dir() or path.suffix in _SUFFIXES


def has_bag(path: Path) -> bool:
    """Whether a path is that of a bag: a file of a bag's storage, or a folder with one in it."""
    try:
        inside = [p.name for p in path.iterdir()] if path.is_dir() else [path.name]
    except OSError:  # whoever opens it says why
        return False
    return any(name == 'metadata.yaml' or name.endswith(_SUFFIXES) for name in inside)


class Bag:
    """
    An open bag.

    :param path: the bag's folder, or its only .mcap or .db3 file
    :raises StreamError: naming the bag and what is wrong with it
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path = Path(path)
        if not path.exists():
            raise StreamError(f'cannot read {path}: No such file or directory')
        if path.is_dir() and not (path / 'metadata.yaml').exists():
            raise StreamError(
                f'{path} is no bag: there is no metadata.yaml in it; if a recording broke off, '
                f'run `ros2 bag reindex {path}`'
            )
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import get_typestore, Stores
        except ImportError as error:
            raise StreamError(
                f'bags are read with the Python package rosbags: run {sys.executable} -m pip '
                'install "rosbags>=0.11,<0.12"'
            ) from error
        self._installed = get_typestore(Stores.ROS2_JAZZY)
        for name in _OURS:
            self._install(f'transcript_manager/msg/{name}')
        try:
            self._reader = AnyReader([path], default_typestore=self._installed)
            self._reader.open()
        except Exception as error:
            # YAML, SQLite, MCAP and the decompressors each have errors of their own.
            raise self._damaged(error) from error

    @property
    def topics(self) -> dict[str, str]:
        """Type names by topic, of the topics that have messages."""
        return {c.topic: c.msgtype for c in self._reader.connections if c.msgcount}

    @property
    def all_topics(self) -> dict[str, str]:
        """Type names by topic, of all that were recorded."""
        return {c.topic: c.msgtype for c in self._reader.connections}

    @property
    def duration_s(self) -> float:
        """From the first to the last message of any topic, as they were recorded [s]."""
        return self._reader.duration / 1e9 if self._reader.message_count else 0.0

    def fields(self, type_name: str) -> tuple[str, ...] | None:
        """Return the names of a type's fields; None if nobody here knows the type."""
        try:
            return tuple(name for name, _ in self._store(type_name).fielddefs[type_name][1])
        except StreamError:
            return None

    def messages(self, topic: str) -> Iterator[tuple[int, Any]]:
        """
        Read the messages of a topic, one at a time, in the order in which they were recorded.

        :returns: when it was recorded [ns], and the message
        :raises StreamError: if the bag is damaged, or nobody here knows the type
        """
        wanted = [c for c in self._reader.connections if c.topic == topic]
        stores = {c.msgtype: self._store(c.msgtype) for c in wanted}
        try:
            for connection, recorded_ns, data in self._reader.messages(connections=wanted):
                store = stores[connection.msgtype]
                yield recorded_ns, store.deserialize_cdr(data, connection.msgtype)
        except Exception as error:
            raise self._damaged(error) from error

    def check_fields(self) -> None:
        """
        Check that the bag's own definitions of tokens have what the merge reads.

        :raises StreamError: naming what is missing
        """
        definitions = self._store(TOKENS_TYPE).fielddefs
        for name, needed in _NEEDED.items():
            _, fields = definitions[f'transcript_manager/msg/{name}']
            missing = set(needed) - {field for field, _ in fields}
            if missing:
                raise StreamError(
                    f'{self.path} was recorded with another version of {name}: it has no '
                    f'{", ".join(sorted(missing))}; record it again'
                )

    def close(self) -> None:
        """Close the bag; may be called twice."""
        if self._reader.stack is not None:
            self._reader.close()

    def __enter__(self) -> Bag:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close the bag."""
        self.close()

    def _damaged(self, error: Exception) -> StreamError:
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        return StreamError(f'{self.path} is no bag that can be read, or damaged: {reason}')

    def _store(self, type_name: str) -> Any:
        """Return the type store that knows a type: the bag's own, or else the installed one."""
        # A bag with definitions need not have one of every type.
        if type_name in self._reader.typestore.fielddefs:
            return self._reader.typestore
        self._install(type_name)
        return self._installed

    def _install(self, type_name: str) -> None:
        """Learn a type, and the types in it, from the .msg files installed on this machine."""
        from rosbags.typesys import get_types_from_msg

        waiting = [type_name]
        while waiting:
            name = waiting.pop()
            if name in self._installed.fielddefs:
                continue
            package, _, short = name.partition('/msg/')
            path = _definition(package, short)
            if path is None:
                raise StreamError(
                    f'{self.path} was recorded without definitions of its messages, and {name} is '
                    f'not installed here: install {package}, or record with ROS 2 Iron or later'
                )
            found = get_types_from_msg(path.read_text(encoding='utf-8'), name)
            for _, fields in found.values():
                waiting += [n for _, node in fields if (n := _named(node)) and n not in found]
            # References to types that come later are looked up only when a message is read.
            self._installed.register(found)


def _named(node: Any) -> str | None:
    """Return the name of the message type that a field's description refers to, if to any."""
    from rosbags.interfaces import Nodetype

    kind, detail = node
    if kind == Nodetype.NAME:
        return detail
    return _named(detail[0]) if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE) else None


def _definition(package: str, name: str) -> Path | None:
    """Find a message definition: in a package's share folder, or ours in its source."""
    parents = list(Path(__file__).resolve().parents)
    prefixes = [*parents, *map(Path, filter(None, _ament_prefixes()))]
    folders = [prefix / 'share' / package / 'msg' for prefix in prefixes]
    if package == 'transcript_manager':
        folders += [parent / 'msg' for parent in parents]
    paths = [folder / f'{name}.msg' for folder in folders]
    return next((path for path in paths if path.is_file()), None)


def _ament_prefixes() -> list[str]:
    return os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)


def audio_topics(bag: Bag) -> dict[str, str]:
    """Return type names by topic, of the topics of a bag that carry audio, or could."""
    return {
        topic: type_name
        for topic, type_name in bag.topics.items()
        if is_audio_type(type_name, bag.fields(type_name))
    }


def read_bag(path: str | Path, *, topic: str | None = None) -> Iterator[Any]:
    """
    Read the token messages of a bag, in the order in which they were recorded.

    :param path: the bag's folder, or its only .mcap or .db3 file
    :param topic: whose tokens; None takes the only topic there is of their type
    :raises StreamError: naming the bag and what is wrong with it
    """
    with Bag(path) as bag:
        chosen = _choose(bag, topic)
        bag.check_fields()
        for _, message in bag.messages(chosen):
            yield message


def _choose(bag: Bag, topic: str | None) -> str:
    """Find the one topic that is wanted."""
    names = sorted(name for name, kind in bag.all_topics.items() if kind == TOKENS_TYPE)
    if topic is not None:
        wanted = [name for name in names if name in (topic, '/' + topic)]
        if not wanted:
            raise StreamError(
                f'{bag.path} has no tokens on {topic}; there are: {", ".join(names) or "none"}'
            )
        return wanted[0]
    if not names:
        if audio := audio_topics(bag):
            raise StreamError(
                f'{bag.path} holds audio ({", ".join(sorted(audio))}) and no tokens; decode it: '
                f'transcript run --bag {bag.path}'
            )
        others = ', '.join(sorted(bag.all_topics)) or 'none'
        raise StreamError(
            f'{bag.path} has no topic of type {TOKENS_TYPE}; record `tokens`. Its topics: {others}'
        )
    if len(names) > 1:
        raise StreamError(f'{bag.path} has tokens on {", ".join(names)}; choose one with --topic')
    return names[0]
