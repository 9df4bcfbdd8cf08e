"""
The journal: what is frozen goes to disk before anybody is told of it.

One file per session, ``NAME_20261121T163000Z.jsonl``: a line about the session, then a line per
frozen segment (records.py), each forced to disk; a clean end adds a last line. Beside it lies
``....active.json``, replaced after every merge, with the words that are stable and not frozen yet:
with both a session that was killed goes on without losing or doubling a stable word.

What cannot be written is kept, tried again, and told in :attr:`Journal.complaint`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
import contextlib
from dataclasses import dataclass, field
import fcntl
import json
import math
import os
from pathlib import Path
import re
import time
from typing import Any

from transcript_manager.files import append_whole
from transcript_manager.session.journal_file import is_header, kept_state, parse_line
from transcript_manager.session.records import is_record, Record

VERSION = 1
_RETRY_S = 5.0
_MAX_PENDING = 10_000
"""Segments that wait for the disk: a day of speech, some 15 MB."""
_INDEX_EVERY = 64
"""Segments in a block."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a killed session has left."""

    last: Record | None
    """Its last frozen segment."""
    active: list[Record] = field(default_factory=list)
    """Words that were stable and not frozen."""
    language: str = ''
    started_s: float = 0.0
    first_index: int = 0
    """Index of the session's first segment."""
    is_paused: bool = False


class Journal:
    """
    The journal of one transcript manager.

    :param directory: where the files go; made if it is not there
    :param name: begins the files' names, e.g. a robot's; what is not a letter or digit becomes _
    """

    def __init__(self, directory: str | os.PathLike[str], name: str) -> None:
        self.directory = Path(directory).expanduser()
        self._node = name
        self._name = ''.join(c if c.isalnum() else '_' for c in name.strip('/')) or 'session'
        self.path: Path | None = None
        """Of the session's file, once it is open."""
        self.complaint = ''
        """What is wrong with writing; '' if nothing is."""
        self.written = 0
        """Segments that are on disk."""
        self.slowest_write_s = 0.0
        self._header: dict[str, Any] | None = None
        self._descriptor: int | None = None
        self._good_bytes = 0
        self._pending: deque[Record] = deque()
        self._dropped = 0
        self._tried_s = float('-inf')
        self._blocks: list[_Block] = []

    @property
    def pending(self) -> int:
        """Segments that wait for the disk."""
        return len(self._pending)

    @property
    def dropped(self) -> int:
        """Segments that waited too long; only a disk that is full for days does that."""
        return self._dropped

    # -- beginning and end ---------------------------------------------------------------------

    def begin(self, started_s: float, *, first_index: int = 0) -> None:
        """
        Begin a session; its file is made now, or as soon as it can be.

        :param started_s: Unix time [s]
        :param first_index: of its first segment
        """
        self.release()
        self.path = None
        self._blocks.clear()
        self.written = 0
        self._header = {
            'session': self._node,
            'version': VERSION,
            'started': round(started_s, 3),
            'first_index': first_index,
        }
        self._tried_s = float('-inf')
        self.append([])

    def resume(self, max_age_s: float) -> Restored | None:
        """
        Go on with the newest session that was not ended, if it was written to lately.

        :param max_age_s: how long ago at most [s]
        """
        try:
            found = self._newest_open(max_age_s)
        except OSError as error:
            self._complain(error)
            return None
        if found is None:
            return None
        self.path, self._descriptor, restored, self._header = found
        return restored

    def end(self) -> None:
        """
        End the session cleanly: it will not be gone on with.

        Not so if segments still wait for the disk: what is kept may be all there is of them.
        """
        if self._header is None:
            return
        self._tried_s = float('-inf')
        self.append([])
        if self._descriptor is not None and not self._pending:
            try:
                self._write_line({'ended': round(time.time(), 3)})
                self._state_path().unlink(missing_ok=True)
            except OSError as error:
                self._complain(error)
        self._header = None
        self.release()

    def touch(self) -> None:
        """Say that the session still goes on; never raises."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)

    def release(self) -> None:
        """Close the file; the session can be gone on with."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    # -- writing -------------------------------------------------------------------------------

    def append(self, records: list[Record]) -> None:
        """Write segments to disk, after those that wait; never raises."""
        self._pending.extend(records)
        while len(self._pending) > _MAX_PENDING:
            self._pending.popleft()
            self._dropped += 1
        if self._header is None:  # no session yet: there is nothing to write
            return
        now_s = time.monotonic()
        if self.complaint and now_s - self._tried_s < _RETRY_S:
            return
        self._tried_s = now_s
        try:
            self._open()
            while self._pending:
                offset = self._good_bytes
                self._write_line(self._pending[0])
                self._note(self._pending.popleft(), offset)
            self.complaint = ''
        except OSError as error:
            self._complain(error)
        self.slowest_write_s = max(self.slowest_write_s, time.monotonic() - now_s)

    def _note(self, record: Record, offset: int) -> None:
        """Remember where a segment is."""
        if self.written % _INDEX_EVERY == 0:
            self._blocks.append(_Block(record['index'], offset, record['start'], record['end']))
        block = self._blocks[-1]
        block.start_s = min(block.start_s, record['start'])
        block.end_s = max(block.end_s, record['end'])
        self.written += 1

    def keep(self, active: list[Record], *, entries: int, is_paused: bool) -> None:
        """
        Keep the words that are stable and not frozen yet, in place of those kept before.

        :param entries: words and marks of the session before them
        :param is_paused: whether the session is paused
        """
        if self._descriptor is None or self.complaint:
            return
        try:
            part = self._state_path().with_suffix('.part')
            state = {'entries': entries, 'words': active, 'paused': is_paused}
            part.write_text(json.dumps(state, ensure_ascii=False), 'utf-8')
            part.replace(self._state_path())
        except OSError as error:
            self._complain(error)

    def _open(self) -> None:
        if self._descriptor is not None and self._is_still_there():
            return
        self.release()
        self.directory.mkdir(parents=True, exist_ok=True)
        stem = f'{self._name}_{time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())}'
        number = 1
        while self._descriptor is None:
            path = self.directory / (f'{stem}.jsonl' if number == 1 else f'{stem}_{number}.jsonl')
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
                self._descriptor = os.open(path, flags, 0o644)
            except FileExistsError:
                number += 1
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._good_bytes = 0
            self._write_line(self._header)
        except OSError:
            self.release()
            path.unlink(missing_ok=True)  # a file without a header is nothing
            raise
        self.path = path
        self._blocks.clear()
        self.written = 0

    def _is_still_there(self) -> bool:
        """Whether the file is still the one with its name: it may have been deleted or moved."""
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _write_line(self, value: dict[str, Any]) -> None:
        """Write a line and force it to disk; a line that does not fit leaves no part of it."""
        data = (json.dumps(value, ensure_ascii=False) + '\n').encode()
        append_whole(self._descriptor, data, at_bytes=self._good_bytes)
        self._good_bytes += len(data)

    def _state_path(self) -> Path:
        return self.path.with_suffix('.active.json')

    def _complain(self, error: OSError) -> None:
        where = self.path or self.directory
        self.complaint = f'cannot write the journal {where}: {error.strerror or error}'

    # -- reading -------------------------------------------------------------------------------

    def read(
        self, first_index: int = 0, start_s: float = -math.inf, end_s: float = math.inf
    ) -> Iterator[Record]:
        """
        Read the segments on disk from an index on that may lie in a stretch of time.

        :param start_s: Unix time [s]; parts of the file that end before it are passed over
        :param end_s: Unix time [s]; so are those that begin after it
        :raises OSError: if the file is not there any more
        """
        if self.path is None:
            return
        blocks = list(self._blocks)
        at = bisect_right(blocks, first_index, key=lambda block: block.first_index) - 1
        with open(self.path, 'rb') as file:
            for block in blocks[max(0, at) :]:
                if block.end_s <= start_s or block.start_s >= end_s:
                    continue
                file.seek(block.offset)
                found = 0
                for line in file:
                    record = parse_line(line)
                    if is_record(record):
                        found += 1
                        if record['index'] >= first_index:
                            yield record
                    if found == _INDEX_EVERY:
                        break

    def _newest_open(self, max_age_s: float):
        """Find the newest session of this node that has not ended and that nobody writes."""
        pattern = re.compile(re.escape(self._name) + r'_\d{8}T\d{6}Z(_\d+)?\.jsonl')
        if not self.directory.is_dir():
            return None
        paths = [p for p in self.directory.iterdir() if pattern.fullmatch(p.name)]
        for path in sorted(paths, key=lambda p: (p.stat().st_mtime, p.name), reverse=True):
            state_path = path.with_suffix('.active.json')
            written_s = max(p.stat().st_mtime for p in (path, state_path) if p.exists())
            if abs(time.time() - written_s) <= max_age_s and (found := self._try(path)):
                return found
        return None

    def _try(self, path: Path):
        """Go on with a session, if it can be gone on with."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            header, last, end = self._scan(path)
            if header is None or header['session'] != self._node:
                os.close(descriptor)
                return None
            os.ftruncate(descriptor, end)  # a line that was cut by a power failure
        except BlockingIOError:  # another manager writes it
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        self._good_bytes = end
        state = kept_state(path.with_suffix('.active.json'))
        entries = last['entries'] if last else 0
        # Killed between the two files: the first words are in the last segment already.
        words = state['words'][max(0, entries - state['entries']) :]
        restored = Restored(
            last,
            words,
            last.get('language', '') if last else '',
            header['started'],
            header['first_index'],
            state['paused'],
        )
        return path, descriptor, restored, header

    def _scan(self, path: Path) -> tuple[dict[str, Any] | None, Record | None, int]:
        """Find the header, the last segment, and the end of the last whole line."""
        header = last = None
        end = self.written = 0
        self._blocks.clear()
        with open(path, 'rb') as file:
            for line in file:
                value = parse_line(line)
                if not line.endswith(b'\n') or (header is None and not is_header(value)):
                    break
                if header is None:
                    header = value
                elif is_record(value):
                    self._note(value, end)
                    last = value
                elif value is not None and 'ended' in value:
                    return None, None, 0
                end += len(line)
        return header, last, end


@dataclass(slots=True)
class _Block:
    """Some segments that follow each other in the file."""

    first_index: int
    offset: int
    start_s: float
    end_s: float
