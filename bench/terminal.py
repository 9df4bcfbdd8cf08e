"""
The picture of the live view in docs/demo.svg: the demo in a real terminal (tmux), drawn by rich.

Run it as ``.venv/bin/python bench/terminal.py``; it takes half a minute and needs tmux.
"""

from __future__ import annotations

import os
from pathlib import Path
import re
import subprocess
import sys
import time

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, LINES = 80, 15
UNTIL = 'Can you see'
TIMEOUT_S = 90.0


def tmux(*arguments: str) -> str:
    """Run tmux on a server of its own."""
    command = ['tmux', '-L', 'transcript_picture', *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> int:
    """Play the demo until enough is to be seen, and draw it."""
    command = f'{Path(sys.executable).parent}/transcript run --audio demo/demo.flac --model demo'
    environment = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_DOMAIN_ID': '88'}
    settings = [f'-e{name}={value}' for name, value in environment.items()]
    size = ['-x', str(COLUMNS), '-y', str(LINES)]
    os.chdir(ROOT)
    tmux('new-session', '-d', *size, *settings, f'{command} --conflicts')
    try:
        end_s = time.monotonic() + TIMEOUT_S
        while UNTIL not in (shown := tmux('capture-pane', '-p', '-e')):
            if time.monotonic() > end_s:
                print(f'{UNTIL!r} was not heard:\n{shown}', file=sys.stderr)
                return 1
            time.sleep(0.1)
    finally:
        tmux('kill-server')
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, 'w'))  # noqa: SIM115
    for line in shown.rstrip('\n').split('\n'):
        console.print(Text.from_ansi(line), no_wrap=True)
    svg = console.export_svg(title='transcript run --audio demo.flac --conflicts')
    # A picture in a page may load nothing, and should look alike everywhere.
    svg = re.sub(r'@font-face \{.*?\}\n', '', svg, flags=re.DOTALL)
    svg = svg.replace('Fira Code, monospace', 'DejaVu Sans Mono, monospace')
    (ROOT / 'docs' / 'demo.svg').write_text(svg, encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
