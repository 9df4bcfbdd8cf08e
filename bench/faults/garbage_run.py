"""Garbage in every field of every message: test/ros/test_garbage.py with many more messages."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import re
import subprocess
import sys

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = 3000


def run() -> Iterator[dict]:
    """Run the test."""
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'pytest',
            '-q',
            '-s',
            '--timeout',
            '1800',
            'test/ros/test_garbage.py',
        ],
        cwd=ROOT,
        env={**os.environ, 'GARBAGE_MESSAGES': str(MESSAGES)},
        capture_output=True,
        text=True,
    )
    found = re.findall(r'(\d+) messages, memory grew by (-?[\d.]+) MB', done.stdout)
    total = sum(int(count) for count, _ in found)
    growth = ', '.join(f'{mb} MB' for _, mb in found)
    if done.returncode:
        print(done.stdout[-3000:], file=sys.stderr)
    yield {
        'fault': 'garbage in every field of every message',
        'done': f'hypothesis, {total} messages off the wire to ring, decoder, manager and its service; then real speech',
        'came_out': f'no crash, no hang, speech understood afterwards; memory grew by {growth}'
        if not done.returncode
        else 'FAILED',
        'ok': done.returncode == 0 and total >= 10_000,
    }
