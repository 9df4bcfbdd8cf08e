"""
A session back from what was kept of it: a journal, the JSON of a result, a bag, recorded tokens.

However it was kept, its times then count from the start of its audio, as in the result of
``transcript run``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
import itertools
import json
import math
from pathlib import Path
import sys
from typing import Any

from transcript_manager.errors import ParameterError, StreamError
from transcript_manager.merge.transcript import MergeSettings, Transcript
from transcript_manager.merge.words import is_unspaced
from transcript_manager.result import (
    from_segment,
    join_punctuation,
    moved,
    Result,
    ResultSegment,
    ResultWord,
)
from transcript_manager.session.journal_file import read_session
from transcript_manager.session.records import to_result
from transcript_manager.streams.bag import Bag, has_bag, read_bag, TOKENS_TYPE
from transcript_manager.streams.jsonl import read_jsonl
from transcript_manager.streams.messages import NS_PER_S, to_decode, to_ns

STDIN = '-'
FROZEN_TYPE = 'transcript_manager/msg/TranscriptSegment'
_OVERLAP_S = 0.05
"""Segments may overlap by so much: times are rounded on the way."""


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
        loaded = _from_text(name, _read(path), Path(path))
    _put_in_order(name, loaded)
    if not loaded.result.words and not allow_empty:
        raise StreamError(f'{name} holds no words: nobody spoke, or nobody was understood')
    return loaded


def _read(path: str | Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(path) == STDIN else Path(path).read_bytes()
        return data.decode('utf-8-sig')
    except UnicodeDecodeError:
        raise StreamError(f'{path} is not UTF-8 text, and no bag') from None
    except OSError as error:
        raise StreamError(f'cannot read {path}: {error.strerror}') from error


def _from_text(name: str, text: str, path: Path) -> Loaded:
    if not text.strip():
        raise StreamError(f'{name} is empty')
    value = _parsed(text)
    if isinstance(value, dict) and 'segments' in value and 'stamp' not in value:
        return Loaded(_from_json(name, value))
    first = value if value is not None else _parsed(text.lstrip().partition('\n')[0])
    if isinstance(first, dict) and 'session' in first:
        return _from_journal(path)
    if isinstance(first, dict) and 'stamp' in first and 'duration' in first:
        return Loaded(_merged(read_jsonl(path), keep_times=True))
    if isinstance(first, dict) and 'stamp' in first and 'stable' in first:
        raise StreamError(f'{name} is a trace: give the stream that it was made of')
    raise StreamError(
        f'{name} is no session: neither a journal, nor the JSON of `transcript run` or '
        '`transcript merge`, nor recorded tokens, nor a bag'
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# -- the JSON of a result -----------------------------------------------------------------------


def _from_json(name: str, value: dict[str, Any]) -> Result:
    segments = value['segments']
    if not isinstance(segments, list):
        raise StreamError(f'{name}: "segments" is not a list')
    language = value.get('language')
    result = Result(language if isinstance(language, str) else '')
    for number, segment in enumerate(segments, 1):
        read = _segment(f'{name}, segment {number}', segment)
        result.segments.append(_apart(result.segments[-1], read) if result.segments else read)
    return result


def _segment(where: str, value: Any) -> ResultSegment:
    if not isinstance(value, dict):
        raise StreamError(f'{where}: not an object with start, end, text and words')
    entries = value.get('words')
    if not isinstance(entries, list) or not entries:
        raise StreamError(f'{where} has no words with times; make the JSON with word times')
    words = [_word(f'{where}, word {n}', entry) for n, entry in enumerate(entries, 1)]
    for number, (before, word) in enumerate(zip(words, words[1:]), 2):  # noqa: B905 - neighbours
        if word.start_s < before.start_s:
            raise StreamError(
                f'{where}, word {number} ({word.text.strip()!r}) starts at {word.start_s:g} s, '
                f'before word {number - 1} ({before.start_s:g} s)'
            )
    text = value.get('text')
    if isinstance(text, str) and len(text.split()) > 1 and not _has_spaces(words):
        words = [replace(w, text=f' {w.text}') for w in words]  # other tools strip them
    start_s = _time(where, value, 'start') if 'start' in value else words[0].start_s
    end_s = _time(where, value, 'end') if 'end' in value else words[-1].end_s
    return ResultSegment(
        start_s,
        max(start_s, end_s),
        text if isinstance(text, str) else ''.join(w.text for w in words),
        join_punctuation(words),
    )


def _has_spaces(words: Sequence[ResultWord]) -> bool:
    return any(w.text[:1].isspace() or w.text[-1:].isspace() for w in words[1:]) or len(words) < 2


def _apart(before: ResultSegment, segment: ResultSegment) -> ResultSegment:
    """Put a space before a segment that would stick to the one before it."""
    last, first = before.text[-1:], segment.text[:1]
    if not last or not first or last.isspace() or first.isspace():
        return segment
    if is_unspaced(last) or is_unspaced(first):
        return segment
    words = (replace(segment.words[0], text=f' {segment.words[0].text}'), *segment.words[1:])
    return replace(segment, text=f' {segment.text}', words=words)


def _word(where: str, value: Any) -> ResultWord:
    text = value.get('text', value.get('word')) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise StreamError(f'{where}: not an object with text, start and end')
    where = f'{where} ({text.strip()!r})'
    start_s, end_s = _time(where, value, 'start'), _time(where, value, 'end')
    if end_s < start_s:
        raise StreamError(f'{where} ends at {end_s:g} s, before it starts ({start_s:g} s)')
    probability, occurrences = value.get('probability'), value.get('occurrences')
    conflicts = value.get('conflicts')
    return ResultWord(
        text,
        start_s,
        end_s,
        float(probability) if _is_number(probability) else math.nan,
        occurrences if isinstance(occurrences, int) else 0,
        tuple(_conflicts(where, conflicts)) if conflicts else (),
    )


def _conflicts(where: str, value: Any) -> Iterator[tuple[str, int]]:
    for entry in value if isinstance(value, list) else [value]:
        match entry:
            case [str(text), int(count)]:
                yield text, count
            case _:
                raise StreamError(f'{where}: "conflicts" is not a list of [text, occurrences]')


def _time(where: str, value: dict[str, Any], key: str) -> float:
    at_s = value.get(key)
    if not _is_number(at_s) or at_s < 0:
        raise StreamError(
            f'{where} has no {key} time: "{key}" is {json.dumps(at_s)[:50]}, '
            'must be in seconds from the start of the audio'
        )
    return float(at_s)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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


def _merged(messages: Iterable[Any], *, keep_times: bool) -> Result:
    """
    Merge token messages.

    :param keep_times: as they are in the stream; otherwise they count from its first window
    """
    transcript = Transcript(MergeSettings())
    result = Result()
    origin_ns: int | None = None
    start_s = 0.0
    is_flushed = False
    for message in messages:
        if origin_ns is None:
            origin_ns = to_ns(message.header.stamp)
            start_s = origin_ns / NS_PER_S if keep_times else 0.0
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
            loaded = Loaded(_merged(itertools.chain(first, messages), keep_times=False))
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
            origin_ns = start_ns if origin_ns is None else origin_ns
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


# -- order --------------------------------------------------------------------------------------


def _put_in_order(name: str, loaded: Loaded) -> None:
    """Refuse segments that overlap; where the clock was set back, let the times go on."""
    shift_s = 0.0
    before: ResultSegment | None = None
    segments = loaded.result.segments
    for at, segment in enumerate(segments):
        shifted = _shifted(segment, shift_s)
        if before is not None and shifted.start_s < before.end_s - _OVERLAP_S:
            if shifted.start_s >= before.start_s:
                raise StreamError(
                    f'{name}: segment {at + 1} starts at {segment.start_s:.2f} s, before segment '
                    f'{at} has ended ({segments[at - 1].end_s:.2f} s): segments must not overlap'
                )
            shift_s += before.end_s - shifted.start_s
            shifted = _shifted(segment, shift_s)
            loaded.notes.append(
                f'{name}: the clock was set back before segment {at + 1}; from there on times are '
                f'{shift_s:.1f} s later than they were noted, so that they go on'
            )
        segments[at] = before = shifted


def _shifted(segment: ResultSegment, by_s: float) -> ResultSegment:
    if by_s == 0:
        return segment
    words = tuple(moved(word, by_s) for word in segment.words)
    return ResultSegment(segment.start_s + by_s, segment.end_s + by_s, segment.text, words)
