"""
Do to the graph what robots do to it, and see what comes out: `python bench/faults [--only NAME]`.

Each fault prints what was measured and fails if something was lost, doubled or hung that must not
be; `--write docs` puts all of it into faults-measured.md.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import platform
import sys

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / 'test' / 'support')]

import garbage_run
import kills
import loads
import streams

FAULTS = {
    'kill': kills.run,
    'windows': streams.lost_doubled_reordered,
    'clock': streams.clock_set,
    'disk': loads.disk_full,
    'flood': loads.flood,
    'garbage': garbage_run.run,
}


def main() -> int:
    """Run the faults; returns 1 if one of them did harm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--only', choices=FAULTS, help='one fault')
    parser.add_argument('--write', type=Path, metavar='FOLDER', help='for faults-measured.md')
    args = parser.parse_args()
    rows = []
    for name, run in FAULTS.items():
        if args.only in (None, name):
            for row in run():
                print(json.dumps(row, ensure_ascii=False), flush=True)
                rows.append(row)
    harmed = [row['fault'] for row in rows if not row['ok']]
    if harmed:
        print(f'HARM: {"; ".join(harmed)}', file=sys.stderr)
    if args.write is not None and args.only is None:
        (args.write / 'faults-measured.md').write_text(page(rows), encoding='utf-8')
    return 1 if harmed else 0


def page(rows: list[dict]) -> str:
    """Format the rows for docs/."""
    table = '\n'.join(
        f'| {r["fault"]} | {r["done"]} | {r["came_out"]} | {"no" if r["ok"] else "**yes**"} |'
        for r in rows
    )
    machine = f'{platform.machine()}, {len(os.sched_getaffinity(0))} cores'
    return f"""# Faults, by script

Made by `make faults` (`python bench/faults --write docs`) on {machine}, ROS 2 {os.environ.get('ROS_DISTRO', '').capitalize()}. [faults.md](faults.md) lists
every fault, also those that tests see to.

| fault | what was done | what came out | harm |
| --- | --- | --- | --- |
{table}
"""


if __name__ == '__main__':
    sys.exit(main())
