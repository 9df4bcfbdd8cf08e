"""
How good the merge is, and what it costs: `make bench`.

Scores the merge and plainly written baselines on simulated streams of every kind of fault, and on
recorded streams with known truth where there are some (--streams), draws what is to be had for
which latency, and times merges on a stream of three hours. Writes a page and a picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import gc
import json
import os
from pathlib import Path
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc

from transcript_manager.evaluation.baselines import (
    LastWindowWins,
    LocalAgreement,
    SlotVoting,
    StaleFreeze,
    trace_of,
)
from transcript_manager.evaluation.metrics import evaluate, read_truth, Scores, TimedWord
from transcript_manager.evaluation.scenarios import Scenario, SCENARIOS
from transcript_manager.merge.decode import Decode
from transcript_manager.merge.transcript import MergeSettings, Transcript
from transcript_manager.streams.jsonl import read_jsonl
from transcript_manager.streams.messages import to_decode

POLICIES = {
    'this package': SlotVoting,
    'LocalAgreement-2': LocalAgreement,
    'stale freeze': StaleFreeze,
    'last window': LastWindowWins,
}
LEADS = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5)
SWEPT = ('noisy', 'hard words', 'everything')
HOURS = 3

INTRODUCTION = """\
# The merge, measured

Made by `make bench`. What the columns mean, and from where the definitions are, stands in
`transcript_manager/evaluation/metrics.py`; how the streams are made, in `simulator.py` beside it.
The decoder's own time is in none of the latencies. Erasure of stable text is 0 by construction;
property tests look after it.
"""
GIVEN = """\
Token streams with known truth from outside this repository (`make bench STREAMS=FOLDER`).
"""
COMPARISON = """\
WER, median commit latency and normalised erasure. The others are written as plainly as possible in
`transcript_manager/evaluation/baselines.py`: LocalAgreement-2 makes stable what two windows in a
row begin with; stale freeze is the specification alone, text without time; with the last window
nothing is stable until it has left the window. None of them is tuned, and without times those that
go by them fail.
"""
TRADE_OFF = """\
A sweep of `min_lead` (the numbers) and `min_occurrences` (the lines) on the simulated streams
noisy, hard words and everything; the square is the default. With two windows, a lead below 0.5
gains nothing in time, because the second one has to come anyway; above it every tenth of a second
buys less. A third window costs a second. Where probabilities tell as much as here, one window and
a lead of 0.7 do as well; two are the default because then nothing becomes stable on a single
decode's word.

![False commits and WER against commit latency](merge-tradeoff.svg)
"""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream with known truth."""

    name: str
    about: str
    truth: tuple[TimedWord, ...]
    decodes: tuple[Decode, ...]


def simulated(duration_s: float, seeds: Sequence[int]) -> Iterator[Stream]:
    """Make a stream of every scenario and seed."""
    for name, scenario in SCENARIOS.items():
        for seed in seeds:
            truth, decodes = scenario.make(seed, duration_s)
            words = tuple(TimedWord(w.text, w.start_s, w.end_s) for w in truth)
            yield Stream(name, scenario.about, words, tuple(decodes))


def recorded(folder: Path) -> Iterator[Stream]:
    """Read every NAME.jsonl that has a NAME.truth.json beside it."""
    for path in sorted(folder.glob('*.jsonl')):
        truth = path.with_name(path.stem + '.truth.json')
        if truth.exists():
            decodes = tuple(to_decode(m, origin_ns=0) for m in read_jsonl(path))
            yield Stream(f'{path.stem} (given)', '', tuple(read_truth(truth)), decodes)


def score(stream: Stream, policy) -> Scores:
    """Run a stream through a policy and score it."""
    trace = trace_of(policy, stream.decodes)
    words = [TimedWord(*w) for line in trace for w in line.words]
    return evaluate(trace, stream.truth, words)


def mean(scores: Sequence[Scores], name: str) -> float:
    """Average one score."""
    return statistics.fmean(getattr(s, name) for s in scores)


def grouped(streams: Sequence[Stream]) -> dict[str, list[Stream]]:
    """Group streams by name."""
    groups: dict[str, list[Stream]] = {}
    for stream in streams:
        groups.setdefault(stream.name, []).append(stream)
    return groups


def detail_table(streams: Sequence[Stream]) -> list[str]:
    """Score this package on every kind of stream."""
    lines = [
        '| stream | words | WER | S / D / I | commit latency p50 / p95 | settled p50 / p95 | '
        'false commits | erasure | with marks | start error |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for name, group in grouped(streams).items():
        scores = [score(s, SlotVoting()) for s in group]
        about = f' ({group[0].about})' if group[0].about else ''
        counts = ' / '.join(
            str(sum(getattr(s, kind) for s in scores))
            for kind in ('substitutions', 'deletions', 'insertions')
        )
        words = sum(s.words for s in scores)
        lines.append(
            f'| {name}{about} | {words} | {100 * mean(scores, "wer"):.2f} % '
            f'| {counts} | {mean(scores, "latency_p50_s"):.2f} / '
            f'{mean(scores, "latency_p95_s"):.2f} s | {mean(scores, "settled_p50_s"):.2f} / '
            f'{mean(scores, "settled_p95_s"):.2f} s | {100 * mean(scores, "false_commits"):.2f} % '
            f'| {mean(scores, "erasure"):.2f} | {mean(scores, "erasure_raw"):.2f} '
            f'| {1000 * mean(scores, "time_error_s"):.0f} ms |'
        )
    return lines


def comparison_table(streams: Sequence[Stream]) -> list[str]:
    """Compare the policies: WER, median commit latency, erasure."""
    lines = [
        '| stream | ' + ' | '.join(POLICIES) + ' |',
        '|---|' + '---|' * len(POLICIES),
    ]
    for name, group in grouped(streams).items():
        cells = []
        for policy in POLICIES.values():
            scores = [score(s, policy()) for s in group]
            cells.append(
                f'{100 * mean(scores, "wer"):.2f} %, {mean(scores, "latency_p50_s"):.1f} s, '
                f'{mean(scores, "erasure"):.2f}'
            )
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return lines


def trade_off(streams: Sequence[Stream]) -> list[tuple[int, float, float, float, float]]:
    """Return (min_occurrences, min_lead, latency p50, p95 [s], false commits, WER) of a sweep."""
    points = []
    for occurrences in (1, 2, 3):
        for lead in LEADS:
            settings = MergeSettings(min_occurrences=occurrences, min_lead=lead)
            scores = [score(s, SlotVoting(settings)) for s in streams]
            points.append(
                (
                    occurrences,
                    lead,
                    mean(scores, 'latency_p50_s'),
                    mean(scores, 'latency_p95_s'),
                    100 * mean(scores, 'false_commits'),
                    100 * mean(scores, 'wer'),
                )
            )
    return points


def trade_off_table(points) -> list[str]:
    """Format the sweep."""
    lines = [
        '| min_occurrences | min_lead | latency p50 / p95 | false commits | WER |',
        '|---|---|---|---|---|',
    ]
    for occurrences, lead, p50_s, p95_s, false_percent, wer_percent in points:
        lines.append(
            f'| {occurrences} | {lead:g} | {p50_s:.2f} / {p95_s:.2f} s | {false_percent:.2f} % '
            f'| {wer_percent:.2f} % |'
        )
    return lines


def draw(points, path: Path) -> None:
    """Draw the sweep: false commits and WER against the median commit latency."""
    import matplotlib

    matplotlib.use('svg')
    matplotlib.rcParams['svg.hashsalt'] = 'transcript_manager'
    from matplotlib import pyplot

    default = MergeSettings()
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.8), sharex=True)
    for axis, column, label in ((axes[0], 4, 'false commits [%]'), (axes[1], 5, 'WER [%]')):
        for occurrences in (1, 2, 3):
            row = [p for p in points if p[0] == occurrences]
            windows = 'window' if occurrences == 1 else 'windows'
            axis.plot(
                [p[2] for p in row],
                [p[column] for p in row],
                marker='o',
                markersize=3.5,
                label=f'at least {occurrences} {windows}',
            )
            if occurrences == default.min_occurrences:
                for p in row:
                    axis.annotate(
                        f'{p[1]:g}', (p[2], p[column]), (3, 3), textcoords='offset points', size=7
                    )
                    if p[1] == default.min_lead:
                        axis.plot(p[2], p[column], 's', color='black', fillstyle='none', ms=10)
        axis.set_xlabel('commit latency, median [s]')
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={'Date': None})


def to_jsonl(decode: Decode) -> str:
    """Format a decode as a line of STREAM.jsonl."""
    segments = [
        {
            'start': round(s.start_s, 3),
            'end': round(s.end_s, 3),
            'tokens': [
                {
                    'id': 0,
                    'text': t.text,
                    'p': round(t.probability, 4),
                    'start': max(0.0, round(t.start_s, 3)),
                    'end': max(0.0, round(t.end_s, 3)),
                }
                for t in s.tokens
            ],
        }
        for s in decode.segments
    ]
    start_s, duration_s = round(decode.start_s, 3), round(decode.duration_s, 3)
    return json.dumps({'stamp': start_s, 'duration': duration_s, 'segments': segments})


def cost_lines(hours: int) -> list[str]:
    """Time merges on a long stream, in the command that users run."""
    scenario = SCENARIOS['noisy']
    peaks_mb = {}
    for length_h in (1, hours):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'long.jsonl'
            truth, decodes = scenario.make(1, 3600.0 * length_h)
            with path.open('w') as file:
                for decode in decodes:
                    file.write(to_jsonl(decode) + '\n')
            command = [sys.executable, '-m', 'transcript_manager.cli.main', 'merge', str(path)]
            done = subprocess.run(
                [*command, '--stats', '-o', str(Path(folder) / 'out')],
                capture_output=True,
                text=True,
                check=True,
            )
        stats = json.loads(done.stderr.strip().splitlines()[-1])
        peaks_mb[length_h] = stats['peak_rss_mb']
    text_kb = sum(len(w.text) + 1 for w in truth) / hours / 1000
    ratio = late_against_early(scenario, hours)
    growth_mb = (peaks_mb[hours] - peaks_mb[1]) / (hours - 1)
    return [
        f'On {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}:',
        '',
        f'- {stats["updates"]} windows of {hours} h of noisy, fast speech: '
        f'{stats["p50_us"]:.0f} us a merge in the median, {stats["p99_us"]:.0f} us at the 99th '
        'percentile;',
        f'- a merge at the end of the {hours} h takes {ratio:.2f} times what the same window '
        'takes at the beginning of a stream (medians of the last 10 min, taken in turns);',
        f'- `transcript merge` keeps the whole result, with all times: {growth_mb:.1f} MB an hour '
        f'for {text_kb:.0f} kB of text;',
        f'- the merge itself, after an hour: {retained_bytes(scenario) / 1000:+.0f} kB.',
    ]


def late_against_early(scenario: Scenario, hours: int) -> float:
    """
    Compare the cost of the last ten minutes with that of the same windows in a fresh stream.

    The two take turns, window by window, so that a machine that changes its pace slows both.
    """
    end_s = 3600.0 * hours
    _, decodes = scenario.make(3, end_s)
    old, fresh = Transcript(), Transcript()
    took_ns: tuple[list[int], list[int]] = ([], [])
    for decode in decodes:
        if decode.end_s < end_s - 660.0:
            old.merge(decode)
            continue
        for transcript, times in zip((old, fresh), took_ns, strict=True):
            before_ns = time.perf_counter_ns()
            transcript.merge(decode)
            if decode.end_s > end_s - 600.0:  # the fresh one has its first minute to fill
                times.append(time.perf_counter_ns() - before_ns)
    return statistics.median(took_ns[0]) / statistics.median(took_ns[1])


def retained_bytes(scenario: Scenario) -> int:
    """Return what a merge alone holds on to over an hour, once it is warm [bytes]."""
    _, decodes = scenario.make(2, 4000.0)
    transcript = Transcript()
    tracemalloc.start()
    at_start = 0
    last_s = 0.0
    for decode in decodes:
        transcript.merge(decode)
        if last_s < 400.0 <= decode.end_s:
            gc.collect()
            at_start = tracemalloc.get_traced_memory()[0]
        last_s = decode.end_s
    transcript.flush()
    gc.collect()
    at_end = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return at_end - at_start


def main() -> None:
    """Measure and print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--streams', type=Path, help='folder of NAME.jsonl and NAME.truth.json')
    parser.add_argument('--seconds', type=float, default=400.0, help='of each simulated stream')
    parser.add_argument('--seeds', type=int, default=2, help='simulated streams of a kind')
    parser.add_argument('--write', type=Path, metavar='FOLDER', help='write the page there')
    args = parser.parse_args()
    made = list(simulated(args.seconds, range(1, args.seeds + 1)))
    found = list(recorded(args.streams)) if args.streams and args.streams.is_dir() else []
    points = trade_off([s for s in made if s.name in SWEPT])
    page = [INTRODUCTION]
    if found:
        page += ['## Given streams', '', GIVEN, *detail_table(found), '']
    page += ['## Simulated streams', '', *detail_table(made), '']
    page += ['## Against others', '', COMPARISON, *comparison_table(found + made), '']
    page += ['## What latency buys', '', TRADE_OFF, *trade_off_table(points), '']
    page += ['## Cost', '', *cost_lines(HOURS), '']
    print('\n'.join(page))
    if args.write:
        (args.write / 'merge-measured.md').write_text('\n'.join(page), encoding='utf-8')
        draw(points, args.write / 'merge-tradeoff.svg')


if __name__ == '__main__':
    main()
