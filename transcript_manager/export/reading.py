"""
A session back from what was kept of it: a journal, the JSON of a result, a bag, recorded tokens.

However it was kept, its times then count from the start of its audio, as in the result of
``transcript run``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
import itertools
import json
from pathlib import Path
import sys
from typing import Any

from transcript_manager.errors import ParameterError, StreamError
from transcript_manager.export.clean import cleaned
from transcript_manager.export.order import put_in_order
from transcript_manager.export.result_json import from_json
from transcript_manager.merge.transcript import MergeSettings, Transcript
from transcript_manager.result import (
    from_segment,
    join_punctuation,
    Result,
    ResultSegment,
    ResultWord,
)
from transcript_manager.session.journal_file import is_header, parse_line, read_session
from transcript_manager.session.records import to_result
from transcript_manager.streams.bag import Bag, has_bag, read_bag, TOKENS_TYPE
from transcript_manager.streams.jsonl import read_jsonl
from transcript_manager.streams.messages import NS_PER_S, to_decode, to_ns

STDIN = '-'
_CLOCK_S = 1e8
"""Later than this it is the clock's time, not that of a recording."""
FROZEN_TYPE = 'transcript_manager/msg/TranscriptSegment'


@dataclass(slots=True)
class Loaded:
    """A session, and what is to be said about how it was read."""

    result: Result
    notes: list[str] = field(default_factory=list)
    """What was put right or left out, for people."""
    start_time_s: float | None = None
    """Of a bag: when its times begin, by the stamps of its messages [s]."""


def read_transcript(
    path: str | Path, *, topic: str | None = None, allow_empty: bool = False
) -> Loaded:
    """
    Read a session.

    :param path: a journal, the JSON of a result, recorded tokens (.jsonl), a rosbag2 bag, or
        ``-``: JSON from standard input
    :param topic: of a bag: where the segments or tokens are, if it has several such topics
    :param allow_empty: whether a session without words is fine
    :raises StreamError: naming what is wrong with it; also if there are no words in it
    """
    is_stdin = str(path) == STDIN
    name = 'standard input' if is_stdin else str(path)
    if not is_stdin and has_bag(Path(path)):
        loaded = _from_bag(Path(path), topic)
    elif topic is not None:
        raise ParameterError(f'--topic is for bags, {name} is none')
    else:
        loaded = _from_data(name, _read(path), None if is_stdin else Path(path))
    loaded.notes += [f'{name}: {note}' for note in put_in_order(loaded.result)]
    loaded.result = cleaned(loaded.result)
    if not loaded.result.words and not allow_empty:
        raise StreamError(f'{name} holds no words: nobody spoke, or nobody was understood')
    return loaded


def _read(path: str | Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == STDIN else Path(path).read_bytes()
    except IsADirectoryError:
        raise StreamError(
            f'{path} is a folder and no bag: there is no metadata.yaml, .mcap or .db3 in it'
        ) from None
    except OSError as error:
        raise StreamError(f'cannot read {path}: {error.strerror}') from error


def _from_data(name: str, data: bytes, path: Path | None) -> Loaded:
    if not data.strip():
        raise StreamError(f'{name} is empty')
    # A journal may have been cut in the middle of a character.
    if is_header(parse_line(data.lstrip().partition(b'\n')[0])):
        return _from_journal(_of_file(name, path))
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError:
        raise StreamError(f'{name} is not UTF-8 text, and no bag') from None
    value = _parsed(text)
    if isinstance(value, dict) and 'segments' in value and 'stamp' not in value:
        return Loaded(from_json(name, value))
    first = value if value is not None else _parsed(text.lstrip().partition('\n')[0])
    if isinstance(first, dict) and 'stamp' in first and 'duration' in first:
        return Loaded(_merged(read_jsonl(_of_file(name, path)), keeps_times=True))
    if isinstance(first, dict) and 'stamp' in first and 'stable' in first:
        raise StreamError(f'{name} is a trace: give the stream that it was made of')
    raise StreamError(
        f'{name} is no session: neither a journal, nor JSON with "segments" of words and their '
        'times, nor recorded tokens, nor a bag'
    )


def _of_file(name: str, path: Path | None) -> Path:
    if path is None:
        raise StreamError(f'{name} holds a journal or tokens: give the path of its file instead')
    return path


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# -- journals, tokens, bags ---------------------------------------------------------------------


def _from_journal(path: Path) -> Loaded:
    kept = read_session(path)
    loaded = Loaded(to_result(kept.records, start_s=kept.started_s))
    if kept.cut_lines:
        loaded.notes.append(f'{path}: its last line was cut, and is left out')
    if kept.active_words:
        loaded.notes.append(
            f'{path}: the session was not ended; {kept.active_words} words that are stable and '
            'not frozen yet make the last segment'
        )
    return loaded


def _merged(messages: Iterable[Any], *, keeps_times: bool) -> Result:
    """
    Merge token messages.

    :param keeps_times: as they are in the stream, if they are no clock's; otherwise they count
        from its first window
    """
    transcript = Transcript(MergeSettings())
    result = Result()
    origin_ns: int | None = None
    start_s = 0.0
    is_flushed = False
    for message in messages:
        if origin_ns is None:
            origin_ns = to_ns(message.header.stamp)
            start_s = origin_ns / NS_PER_S
            start_s = start_s if keeps_times and start_s < _CLOCK_S else 0.0
        result.language = result.language or message.language
        merged = transcript.merge(to_decode(message, origin_ns=origin_ns))
        is_flushed = bool(message.end_of_stream)
        result.segments += [from_segment(s, start_s=start_s) for s in merged.frozen]
    if not is_flushed:
        _, frozen = transcript.flush()
        result.segments += [from_segment(s, start_s=start_s) for s in frozen]
    return result


def _from_bag(path: Path, topic: str | None) -> Loaded:
    with Bag(path) as bag:
        kinds = bag.topics
        frozen = _of_type(kinds, FROZEN_TYPE, topic)
        if not frozen:
            messages = iter(read_bag(path, topic=topic))
            first = list(itertools.islice(messages, 1))
            loaded = Loaded(_merged(itertools.chain(first, messages), keeps_times=False))
            loaded.start_time_s = to_ns(first[0].header.stamp) / NS_PER_S if first else None
            return loaded
        if len(frozen) > 1:
            raise StreamError(
                f'{path} has frozen segments on {", ".join(frozen)}; choose one with --topic'
            )
        origin_ns, language = _stream_start(bag, frozen[0].rpartition('/transcript/frozen')[0])
        result = Result(language)
        seen: set[tuple[int, int]] = set()
        for _, message in bag.messages(frozen[0]):
            start_ns = to_ns(message.start)
            if (message.index, start_ns) in seen or not len(message.words):
                continue  # it was published again, for somebody who came late
            seen.add((message.index, start_ns))
            if not result.segments:
                # Segments of before the recording are in it, too, for who comes late.
                origin_ns = start_ns if origin_ns is None else min(origin_ns, start_ns)
            result.segments.append(_from_message(message, origin_ns))
    start_time_s = origin_ns / NS_PER_S if origin_ns is not None else None
    return Loaded(result, start_time_s=start_time_s)


def _of_type(kinds: dict[str, str], wanted: str, topic: str | None) -> list[str]:
    names = sorted(name for name, kind in kinds.items() if kind == wanted)
    return names if topic is None else [n for n in names if n in (topic, '/' + topic)]


def _stream_start(bag: Bag, namespace: str) -> tuple[int | None, str]:
    """Return when the audio of a bag began [ns], if the bag tells, and its language."""
    tokens = f'{namespace}/tokens'
    if bag.topics.get(tokens) == TOKENS_TYPE:
        for _, message in bag.messages(tokens):
            return to_ns(message.header.stamp), message.language
    for name in ('audio', 'audio_window'):
        topic = f'{namespace}/{name}'
        if bag.topics.get(topic) == 'transcript_manager/msg/AudioWindow':
            for _, message in bag.messages(topic):
                return to_ns(message.header.stamp), ''
    return None, ''


def _from_message(message: Any, origin_ns: int) -> ResultSegment:
    def to_s(stamp: Any) -> float:
        return (to_ns(stamp) - origin_ns) / NS_PER_S

    words = [
        ResultWord(
            word.text,
            to_s(word.start),
            to_s(word.end),
            float(word.probability),
            int(word.occurrences),
            tuple(zip(word.conflicts, map(int, word.conflict_occurrences), strict=False)),
        )
        for word in message.words
    ]
    start_s = to_s(message.start)
    return ResultSegment(
        start_s,
        start_s + to_ns(message.duration) / NS_PER_S,
        message.text,
        join_punctuation(words),
    )
