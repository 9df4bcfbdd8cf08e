"""Faults of the stream itself: windows lost, doubled and reordered, and the clock set."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import random
import tempfile

import jiwer
import numpy as np

from transcript_manager.audio.files import FileSource
from transcript_manager.audio.live import LiveSource, StreamBreak
from transcript_manager.audio.ring import AudioRing, Window
from transcript_manager.audio.timeline import ClockWatch
from transcript_manager.decoder import models
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings, StreamWindow
from transcript_manager.merge.settings import MergeSettings
from transcript_manager.session.journal import Journal
from transcript_manager.session.session import Session
from transcript_manager.streams.bag import read_bag
from transcript_manager.streams.messages import (
    Header,
    NS_PER_S,
    SegmentRecord,
    Stamp,
    TokenRecord,
    TokensRecord,
)

ROOT = Path(__file__).resolve().parents[2]
RATE_HZ = 16000
SEEDS = 20

_clean = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        jiwer.RemovePunctuation(),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
    ]
)


def compare(reference: str, said: str) -> jiwer.WordOutput:
    """Compare texts, case and punctuation aside."""
    return jiwer.process_words(_clean(reference), _clean(said) or '-')


def journaled(folder: Path) -> list[dict]:
    """Return the segments in a folder's journals."""
    records = []
    for path in sorted(folder.glob('*.jsonl')):
        records += [json.loads(line) for line in path.read_text('utf-8').splitlines()]
    return [r for r in records if 'words' in r]


def is_once(records: list[dict]) -> bool:
    """Whether every segment is there once, in order."""
    return [r['index'] for r in records] == list(range(len(records)))


def lost_doubled_reordered() -> Iterator[dict]:
    """Spoil recorded tokens of real speech; each spoiling with many seeds."""
    bags = {
        p.name: list(read_bag(p))
        for p in sorted((ROOT / 'test' / 'bags').glob('*'))
        if p.is_dir() and (ROOT / 'test' / 'bags' / f'{p.name}.truth.json').exists()
    }
    spoilings = {
        'nothing (for comparison)': lambda rng, messages: messages,
        '30 % of windows lost': lambda rng, messages: [
            m for m in messages if m.end_of_stream or rng.random() >= 0.3
        ],
        'every window sent twice': lambda rng, messages: [m for m in messages for _ in 'ab'],
        'windows sent again up to 5 s later': _sent_again,
        'windows up to 3 places out of order': _reordered,
        '30 % lost, 30 % sent again, out of order': lambda rng, messages: _reordered(
            rng, _sent_again(rng, [m for m in messages if m.end_of_stream or rng.random() >= 0.3])
        ),
    }
    for name, spoil in spoilings.items():
        rng = random.Random(1)
        words = errors = insertions = 0
        once = True
        for _ in range(SEEDS):
            for bag, messages in bags.items():
                truth = json.loads((ROOT / 'test' / 'bags' / f'{bag}.truth.json').read_text())
                with tempfile.TemporaryDirectory() as folder:
                    journal = Journal(folder, bag)
                    session = Session(MergeSettings(), journal=journal)
                    for message in spoil(rng, messages):
                        session.take(message)
                    session.close()
                    records = journaled(Path(folder))
                once &= is_once(records)
                result = compare(
                    ' '.join(w for w, _, _ in truth), ''.join(r['text'] for r in records)
                )
                words += result.hits + result.substitutions + result.deletions
                errors += result.substitutions + result.deletions + result.insertions
                insertions += result.insertions
        rate = 100 * errors / words
        yield {
            'fault': name,
            'done': f'real decodes of {len(bags)} recordings, {SEEDS} seeds each, through session and journal',
            'came_out': f'WER {rate:.2f} % of {words} words, {insertions} of them inserted; every segment in the journal once: {once}',
            'ok': once and rate < 5.0,
        }


def _sent_again(rng: random.Random, messages: list) -> list:
    result = [(k, m) for k, m in enumerate(messages)]
    again = [(k + rng.uniform(0, 5), m) for k, m in result[:-6] if rng.random() < 0.3]
    return [m for _, m in sorted(result + again, key=lambda pair: pair[0])]


def _reordered(rng: random.Random, messages: list) -> list:
    keyed = [(k + rng.uniform(0, 3), m) for k, m in enumerate(messages[:-1])]
    return [m for _, m in sorted(keyed, key=lambda pair: pair[0])] + messages[-1:]


class _Clock:
    """Wall and monotonic time that the script moves."""

    def __init__(self) -> None:
        self.monotonic = 1000 * NS_PER_S
        self.wall = 1_790_000_000 * NS_PER_S

    def go_on(self, ns: int) -> None:
        self.monotonic += ns
        self.wall += ns


class _Speech:
    """A microphone that hears a file, its times by the script's clock; see audio/live.py."""

    def __init__(self, path: Path, clock: _Clock, at_block, step_s: float) -> None:
        self.name = path.name
        self._file = FileSource(path)
        self._clock = clock
        self._at_block, self._step_s = at_block, step_s
        self._blocks = 0

    def read_timed(self, timeout_s: float) -> tuple[np.ndarray | None, int]:
        block = self._file.read()
        if block is None:
            return None, 0
        self._blocks += 1
        self._clock.go_on(len(block) * NS_PER_S // RATE_HZ)
        return block, self._clock.wall - len(block) * NS_PER_S // RATE_HZ

    def jump(self) -> bool:
        """Set the clock when it is time."""
        if self._blocks != self._at_block:
            return False
        self._clock.wall += round(self._step_s * NS_PER_S)
        self._at_block = -1
        return True

    def close(self) -> None:
        self._file.close()


def clock_set() -> Iterator[dict]:
    """Set the clock in the middle of speech: the real ring, decoder and merge, a made-up clock."""
    reference = json.loads((ROOT / 'demo' / 'demo.json').read_text('utf-8'))['text']
    with WhisperEngine(models.resolve('demo')) as engine:
        for step_s in (3600.0, -3600.0):
            clock = _Clock()
            speech = _Speech(ROOT / 'demo' / 'demo.flac', clock, 223, step_s)
            live = LiveSource(
                speech,
                sample_rate_hz=RATE_HZ,
                now_ns=lambda clock=clock: clock.wall,
                watch=ClockWatch(
                    lambda clock=clock: clock.wall, lambda clock=clock: clock.monotonic
                ),
            )
            with tempfile.TemporaryDirectory() as folder:
                session = Session(MergeSettings(), journal=Journal(folder, 'clock'))
                decoder = StreamDecoder(engine, StreamSettings())
                breaks = _listen(live, speech, session, decoder)
                session.close()
                records = journaled(Path(folder))
            result = compare(reference, ''.join(r['text'] for r in records))
            lost = result.deletions + result.substitutions
            once = is_once(records)
            yield {
                'fault': f'clock set by {step_s / 3600:+.0f} h in the middle of a sentence',
                'done': 'the bundled speech through the real live source, ring, decoder, session and journal; only the clock is made up',
                'came_out': f'{breaks} new stream begun; of {len(_clean(reference).split())} words {lost} lost or changed, {result.insertions} inserted; every segment in the journal once: {once}',
                'ok': once and breaks == 1 and lost + result.insertions <= 4,
            }


def _listen(live: LiveSource, speech: _Speech, session: Session, decoder: StreamDecoder) -> int:
    breaks = 0
    ring = AudioRing(sample_rate_hz=RATE_HZ, window_s=10.0, hop_s=1.0)

    def merge(window: Window, start_ns: int) -> None:
        first_ns = start_ns + window.first_sample * NS_PER_S // RATE_HZ
        heard = decoder.decode(
            StreamWindow(
                window.samples, RATE_HZ, window.first_sample, start_ns, window.end_of_stream
            )
        )
        segments = [
            SegmentRecord(
                s.start_ms,
                s.end_ms,
                [TokenRecord(t.text, t.probability, t.start_ms, t.end_ms) for t in s.tokens],
            )
            for s in heard.segments
        ]
        header = Header(Stamp(first_ns // NS_PER_S, first_ns % NS_PER_S))
        length_ms = round(len(window.samples) * 1000 / RATE_HZ)
        session.take(TokensRecord(header, length_ms, segments, 'en', window.end_of_stream))

    start_ns = 0
    while True:
        speech.jump()
        try:
            block = live.read(0.1)
        except StreamBreak:
            breaks += 1
            merge(ring.finish(), start_ns)
            ring = AudioRing(sample_rate_hz=RATE_HZ, window_s=10.0, hop_s=1.0)
            continue
        if block is None:
            merge(ring.finish(), start_ns)
            return breaks
        for window in ring.push(block):
            start_ns = live.timeline.start_ns
            merge(window, start_ns)
