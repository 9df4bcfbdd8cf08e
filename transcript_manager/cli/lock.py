"""One transcriber a graph: two on the same topics would mix their texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import hashlib
import os
from pathlib import Path
import tempfile

from transcript_manager.errors import TranscriptManagerError

BUSY = (
    'another transcriber uses the same topics; give --namespace NAME, or set ROS_DOMAIN_ID to a '
    'number of its own'
)


@contextmanager
def topics_locked(namespace: str) -> Iterator[None]:
    """
    Hold the topics of a namespace in this user's ROS domain while the block runs.

    Discovery takes seconds; a lock tells at once, for transcribers on the same machine. The
    system releases it whatever becomes of the process.

    :raises TranscriptManagerError: if another transcriber holds them
    """
    topics = f'{os.environ.get("ROS_DOMAIN_ID") or "0"}:{namespace.strip("/")}'
    digest = hashlib.sha256(topics.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f'transcript_manager-{os.getuid()}-{digest}.lock'
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError:  # no place for a lock is no reason not to work
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise TranscriptManagerError(BUSY) from None
    try:
        yield
    finally:
        os.close(descriptor)
