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
from dataclasses import dataclass, field
import fcntl
import json
import os
from pathlib import Path
import time
from typing import Any

from transcript_manager.session.records import is_record, is_word_record, Record

VERSION = 1
_RETRY_S = 5.0
_MAX_PENDING = 10_000
"""Segments that wait for the disk: a day of speech, some 15 MB."""
_INDEX_EVERY = 64
_MAX_STATE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    """What a killed session has left."""

    last: Record | None
    """Its last frozen segment."""
    active: list[Record] = field(default_factory=list)
    """Words that were stable and not frozen."""
    language: str = ''
    started_s: float = 0.0


class Journal:
    """
    The journal of one transcript manager.

    :param directory: where the files go; made if it is not there
    :param name: begins the files' names, e.g. a robot's; what is not a letter or digit becomes _
    """

    def __init__(self, directory: str | os.PathLike[str], name: str) -> None:
        self.directory = Path(directory).expanduser()
        self._name = ''.join(c if c.isalnum() else '_' for c in name.strip('/')) or 'session'
        self.path: Path | None = None
        """Of the session's file, once it is open."""
        self.complaint = ''
        """What is wrong with writing; '' if nothing is."""
        self.written = 0
        """Segments that are on disk."""
        self.slowest_write_s = 0.0
        self._header: dict[str, Any] = {}
        self._descriptor: int | None = None
        self._good_bytes = 0
        self._pending: deque[Record] = deque()
        self._dropped = 0
        self._tried_s = float('-inf')
        self._index: list[tuple[int, int]] = []  # (segment index, offset), sparse

    @property
    def pending(self) -> int:
        """Segments that wait for the disk."""
        return len(self._pending)

    @property
    def dropped(self) -> int:
        """Segments that waited too long; only a disk that is full for days does that."""
        return self._dropped

    # -- beginning and end ---------------------------------------------------------------------

    def begin(self, started_s: float) -> None:
        """Begin a session; its file is made now, or as soon as it can be."""
        self.release()
        self.path = None
        self._index.clear()
        self.written = 0
        self._header = {'session': self._name, 'version': VERSION, 'started': round(started_s, 3)}
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
        """End the session cleanly: it will not be gone on with."""
        if not self._header:
            return
        self._tried_s = float('-inf')
        self.append([])
        if self._descriptor is not None:
            try:
                self._write_line({'ended': round(time.time(), 3)})
                self._state_path().unlink(missing_ok=True)
            except OSError as error:
                self._complain(error)
        self._header = {}
        self.release()

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
        now_s = time.monotonic()
        if self.complaint and now_s - self._tried_s < _RETRY_S:
            return
        self._tried_s = now_s
        try:
            self._open()
            while self._pending:
                offset = self._good_bytes
                self._write_line(self._pending[0])
                if self.written % _INDEX_EVERY == 0:
                    self._index.append((self._pending[0]['index'], offset))
                self._pending.popleft()
                self.written += 1
            self.complaint = ''
        except OSError as error:
            self._complain(error)
        self.slowest_write_s = max(self.slowest_write_s, time.monotonic() - now_s)

    def keep(self, active: list[Record], *, entries: int) -> None:
        """
        Keep the words that are stable and not frozen yet, in place of those kept before.

        :param entries: words and marks of the session before them
        """
        if self._descriptor is None or self.complaint:
            return
        try:
            part = self._state_path().with_suffix('.part')
            part.write_text(
                json.dumps({'entries': entries, 'words': active}, ensure_ascii=False), 'utf-8'
            )
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
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = path
        self._good_bytes = 0
        self._index.clear()
        self._write_line(self._header)

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
        data = memoryview((json.dumps(value, ensure_ascii=False) + '\n').encode())
        length = len(data)
        try:
            os.lseek(self._descriptor, self._good_bytes, os.SEEK_SET)
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._good_bytes)
            raise
        self._good_bytes += length

    def _state_path(self) -> Path:
        return self.path.with_suffix('.active.json')

    def _complain(self, error: OSError) -> None:
        where = self.path or self.directory
        self.complaint = f'cannot write the journal {where}: {error.strerror or error}'

    # -- reading -------------------------------------------------------------------------------

    def read(self, first_index: int) -> Iterator[Record]:
        """
        Read the segments on disk from an index on.

        :raises OSError: if the file is not there any more
        """
        if self.path is None:
            return
        at = bisect_right(self._index, first_index, key=lambda entry: entry[0]) - 1
        offset = self._index[at][1] if at >= 0 else 0
        with open(self.path, 'rb') as file:
            file.seek(offset)
            for line in file:
                record = _parse(line)
                if is_record(record) and record['index'] >= first_index:
                    yield record

    def _newest_open(self, max_age_s: float):
        newest = sorted(
            (p for p in self.directory.glob(f'{self._name}_*.jsonl') if p.is_file()),
            key=lambda p: (p.stat().st_mtime, p.name),
        )
        if not newest:
            return None
        path = newest[-1]
        state_path = path.with_suffix('.active.json')
        written_s = max(p.stat().st_mtime for p in (path, state_path) if p.exists())
        if abs(time.time() - written_s) > max_age_s:
            return None
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            header, last = self._scan(path)
            if header is None:
                os.close(descriptor)
                return None
            os.ftruncate(descriptor, self._good_bytes)  # a line that was cut by a power failure
        except OSError:
            os.close(descriptor)
            raise
        entries = last['entries'] if last else 0
        return (
            path,
            descriptor,
            Restored(
                last,
                _kept_words(state_path, entries),
                last.get('language', '') if last else '',
                header.get('started', 0.0),
            ),
            header,
        )

    def _scan(self, path: Path) -> tuple[dict[str, Any] | None, Record | None]:
        """Find the header and the last segment; no header: a session that has ended."""
        header = last = None
        self._good_bytes = self.written = 0
        self._index.clear()
        with open(path, 'rb') as file:
            for line in file:
                value = _parse(line) if line.endswith(b'\n') else None
                if value is None:
                    break
                if 'ended' in value:
                    return None, None
                if header is None:
                    header = value
                elif is_record(value):
                    if self.written % _INDEX_EVERY == 0:
                        self._index.append((value['index'], self._good_bytes))
                    last = value
                    self.written += 1
                self._good_bytes += len(line)
        return header, last


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _kept_words(path: Path, entries: int) -> list[Record]:
    """Return the kept words that are in no segment yet."""
    try:
        if path.stat().st_size > _MAX_STATE_BYTES:
            return []
        state = json.loads(path.read_text('utf-8'))
        # Killed between the two files: the first of them are in the last segment already.
        words = state['words'][max(0, entries - state['entries']) :]
        return words if all(is_word_record(w) for w in words) else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
