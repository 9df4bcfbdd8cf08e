"""`transcript devices`: what can record, as PortAudio sees it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
import json
import sys

from transcript_manager.audio.devices import InputDevice, list_input_devices
from transcript_manager.errors import AudioSourceError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'List what can record. Give the name, a part of it or the index to `transcript run --mic` '
        "or to audio_ring's parameter `device`; * marks the default."
    )
    parser.add_argument('--json', action='store_true', help='as a JSON array')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Run the sub-command; returns the exit code.

    :raises AudioSourceError: if PortAudio is missing or there is nothing that can record
    """
    devices = list_input_devices()
    if args.json:
        print(json.dumps([asdict(device) for device in devices], ensure_ascii=False))
    elif sys.stdout.isatty() and devices:
        _print_table(devices)
    elif devices:
        _print_plain(devices)
    if not devices:
        raise AudioSourceError(
            'no microphone found: PortAudio knows no device that can record; connect one (check '
            '`arecord -l`; in a container, pass /dev/snd)'
        )
    return 0


_HEADINGS = ('', 'index', 'name', 'host API', 'channels', 'rate [Hz]')


def _rows(devices: Sequence[InputDevice]) -> list[tuple[str, ...]]:
    return [
        (
            '*' if d.is_default else '',
            str(d.index),
            ' '.join(d.name.split()),
            d.host_api,
            str(d.channels),
            str(d.sample_rate_hz),
        )
        for d in devices
    ]


def _print_plain(devices: Sequence[InputDevice]) -> None:
    rows = [_HEADINGS, *_rows(devices)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            '  '.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def _print_table(devices: Sequence[InputDevice]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for heading in _HEADINGS:
        is_number = heading in ('index', 'channels', 'rate [Hz]')
        table.add_column(heading, justify='right' if is_number else 'left', overflow='fold')
    for row in _rows(devices):
        table.add_row(*row)
    Console(markup=False).print(table)
