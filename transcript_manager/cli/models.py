"""`transcript models`: which models there are, and fetching one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import sys

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from transcript_manager.decoder import models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = 'List the models that --model knows by name, and where they are.'
    parser.set_defaults(run=run, action=None)
    actions = parser.add_subparsers(metavar='ACTION', dest='action')
    fetch = actions.add_parser('fetch', help='fetch an official model into the cache')
    fetch.add_argument('name', metavar='NAME', help='such as tiny.en, base or small')


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    if args.action == 'fetch':
        if args.name == models.DEMO:
            print(models.resolve(models.DEMO).path)
            return 0
        with progress_bar() as progress:
            path = models.fetch(args.name, progress=progress)
        print(path)
        return 0
    demo = models.resolve(models.DEMO)
    rows = [('NAME', 'SIZE', 'LANGUAGES', 'CACHED', 'PATH')]
    rows.append((demo.name, _size(demo.path.stat().st_size), demo.languages, 'bundled', demo.path))
    for entry in models.catalog().values():
        here = ('yes', entry.path) if entry.is_cached else ('no', '-')
        rows.append((entry.name, _size(entry.size_bytes), entry.languages, *here))
    for name, size, languages, cached, path in rows:
        print(f'{name:<22}{size:>9}  {languages:<14}{cached:<9}{path}')
    print(f'\n{models.DEMO}: {demo.purpose}', file=sys.stderr)
    print(f'fetched models are kept in {models.cache_folder()}', file=sys.stderr)
    return 0


def _size(size_bytes: int) -> str:
    return f'{size_bytes / 1e6:.0f} MB'


@contextmanager
def progress_bar() -> Iterator[models.Progress]:
    """Show a bar on standard error while a model is fetched; plain lines if it is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_progress()
        return
    columns = (TextColumn('fetching the model'), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as bar:
        task = bar.add_task('', visible=False)
        yield lambda received, total: bar.update(
            task, completed=received, total=total, visible=True
        )


def _plain_progress() -> models.Progress:
    shown_percent = -10

    def progress(received_bytes: int, total_bytes: int) -> None:
        nonlocal shown_percent
        percent = 100 * received_bytes // total_bytes
        if percent >= shown_percent + 10:
            shown_percent = percent - percent % 10
            print(f'fetching the model: {percent} %', file=sys.stderr, flush=True)

    return progress
