"""What a session has said so far: the newest segments in memory, the older ones in the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
import json

from transcript_manager.session.journal import Journal
from transcript_manager.session.records import Record

_IN_MEMORY = 1000
"""Segments: some 1.5 MB as text; as many as transcript/frozen keeps."""


class History:
    """
    The segments of a session, in order of speech; bounded memory.

    :param journal: where the older ones are; None: they are forgotten
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._recent: deque[tuple[int, str]] = deque(maxlen=_IN_MEMORY)  # index, record as JSON
        self._first_index = 0

    def begin(self, first_index: int) -> None:
        """Begin a session whose first segment has this index."""
        self._recent.clear()
        self._first_index = first_index

    def add(self, record: Record) -> None:
        """Add a segment."""
        self._recent.append((record['index'], json.dumps(record, ensure_ascii=False)))

    def segments(self) -> Iterator[Record]:
        """Return the session's segments, those in the journal first."""
        oldest = self._recent[0][0] if self._recent else None
        if self._journal is not None and (oldest is None or oldest > self._first_index):
            try:
                for record in self._journal.read(self._first_index):
                    if oldest is not None and record['index'] >= oldest:
                        break
                    yield record
            except OSError:
                pass  # the file was taken away; what is in memory is there still
        for _, text in list(self._recent):
            yield json.loads(text)
