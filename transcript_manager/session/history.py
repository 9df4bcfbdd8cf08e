"""What a session has said so far: the newest segments in memory, the older ones in the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
import json
import math

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

    def segments(
        self, first_index: int = 0, start_s: float = -math.inf, end_s: float = math.inf
    ) -> Iterator[Record]:
        """
        Return the session's segments from an index on, those in the journal first.

        :param start_s: Unix time [s]: what ends before it may be left out
        :param end_s: Unix time [s]: what begins after it may be left out
        """
        first_index = max(first_index, self._first_index)
        oldest = self._recent[0][0] if self._recent else None
        if self._journal is not None and (oldest is None or oldest > first_index):
            try:
                for record in self._journal.read(first_index, start_s, end_s):
                    if oldest is not None and record['index'] >= oldest:
                        break
                    yield record
            except OSError:
                pass  # the file was taken away; what is in memory is there still
        for index, text in list(self._recent):
            if index >= first_index:
                yield json.loads(text)
