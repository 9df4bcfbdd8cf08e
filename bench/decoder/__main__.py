"""
How fast, quiet, punctual and accurate the decoder is: `make bench-decoder`.

Writes a page. Official models are measured where they are in the cache or named (--models).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import os
from pathlib import Path
import platform
import time

import network
import overload
import prompt
import silence
import speed
import streaming_gap
import word_times

from transcript_manager.decoder import models

PAGE = 'decoder-measured.md'
INTRODUCTION = """\
# The decoder, measured

Made by `make bench-decoder MODELS="{names}"` (`ONLY="speed silence"` prints single
parts), on {machine}. What the decoder does and why: [decoder.md](decoder.md).
"""
PARTS: dict[str, Callable[[list, Path], str]] = {
    'speed': lambda found, folder: speed.section(found),
    'silence': silence.section,
    'times': word_times.section,
    'overload': overload.section,
    'gap': streaming_gap.section,
    'prompt': prompt.section,
    'network': network.section,
}


def main() -> None:
    """Run the parts asked for and write the page."""
    parser = argparse.ArgumentParser(description='Measure the decoder.')
    parser.add_argument('--models', nargs='*', default=['demo'], metavar='NAME|PATH')
    parser.add_argument('--only', nargs='*', choices=list(PARTS), default=list(PARTS))
    parser.add_argument(
        '--write', type=Path, metavar='FOLDER', help=f'where {PAGE} goes, if all parts are run'
    )
    parser.add_argument('--speech', type=Path, default=Path('build/heldout'), metavar='FOLDER')
    args = parser.parse_args()
    found = [models.resolve(name, allow_fetch=False) for name in args.models]
    machine = f'{platform.machine()} with {len(os.sched_getaffinity(0))} cores'
    texts = [INTRODUCTION.format(machine=machine, names=' '.join(m.name for m in found))]
    for name in args.only:
        started_s = time.monotonic()
        texts.append(PARTS[name](found, args.speech))
        print(f'{texts[-1]}\n({name}: {time.monotonic() - started_s:.0f} s)\n', flush=True)
    if args.write and args.only == list(PARTS):
        page = '\n'.join(t.rstrip('\n') + '\n' for t in texts if t)
        (args.write / PAGE).write_text(page, encoding='utf-8')


if __name__ == '__main__':
    main()
