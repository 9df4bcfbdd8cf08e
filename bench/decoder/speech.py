"""What the benchmarks of the decoder listen to: speech with known words, and windows over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
import subprocess
import sys

import numpy as np
import soundfile

from transcript_manager.audio.ring import AudioRing
from transcript_manager.decoder.stream import StreamWindow
from transcript_manager.evaluation.wer import normalise, word_errors

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
RATE_HZ = 16000
WINDOW_S = 10.0
HOP_S = 1.0

Word = tuple[str, float, float]
"""(text, start, end), in seconds."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Speech and what is said in it."""

    path: Path
    samples: np.ndarray
    """int16, mono, 16 kHz."""
    words: Sequence[Word]

    @property
    def text(self) -> str:
        """What is said."""
        return ' '.join(text for text, _, _ in self.words)

    @property
    def duration_s(self) -> float:
        """Length [s]."""
        return len(self.samples) / RATE_HZ


def load(path: Path) -> Recording:
    """Read a sound file and the JSON beside it."""
    samples, rate_hz = soundfile.read(path, dtype='int16')
    if rate_hz != RATE_HZ:
        raise SystemExit(f'{path}: {rate_hz} Hz, must be {RATE_HZ}')
    truth = json.loads(path.with_suffix('.json').read_text(encoding='utf-8'))
    return Recording(path, samples, [tuple(w) for w in truth['words']])


def demo() -> list[Recording]:
    """Return the two recordings of the demo."""
    return [load(ROOT / 'demo' / f'{name}.flac') for name in ('demo', 'second')]


def heldout(folder: Path) -> list[Recording]:
    """Return ten minutes of sentences the demo model was not trained on, six voices; made once."""
    names = list(json.loads((HERE / 'heldout.json').read_text(encoding='utf-8')))
    if not all((folder / f'{name}.json').exists() for name in names):
        make = [ROOT / 'demo' / 'make_speech.py', '--recordings', HERE / 'heldout.json']
        subprocess.run([sys.executable, *map(str, make), '--out', str(folder)], check=True)
    return [load(folder / f'{name}.flac') for name in names]


def join(recordings: Sequence[Recording]) -> Recording:
    """Put recordings one after the other."""
    words: list[Word] = []
    at_s = 0.0
    for recording in recordings:
        words += [(t, start_s + at_s, end_s + at_s) for t, start_s, end_s in recording.words]
        at_s += recording.duration_s
    samples = np.concatenate([r.samples for r in recordings])
    return Recording(recordings[0].path, samples, words)


def windows(
    samples: np.ndarray, *, window_s: float = WINDOW_S, hop_s: float = HOP_S
) -> Iterator[StreamWindow]:
    """Return the windows that the audio ring makes of samples."""
    ring = AudioRing(sample_rate_hz=RATE_HZ, window_s=window_s, hop_s=hop_s)
    for window in ring.push(samples):
        yield StreamWindow(window.samples, RATE_HZ, window.first_sample, 0)
    last = ring.finish()
    yield StreamWindow(last.samples, RATE_HZ, last.first_sample, 0, end_of_stream=True)


def pieces(recording: Recording, *, max_s: float = WINDOW_S) -> list[np.ndarray]:
    """Cut speech at its pauses into pieces as long as they can be."""
    cuts_s = [0.0]
    gaps = [
        ((before[2] + after[1]) / 2, after[1] - before[2])
        for before, after in zip(recording.words, recording.words[1:], strict=False)
    ]
    while recording.duration_s - cuts_s[-1] > max_s:
        within = [g for g in gaps if cuts_s[-1] + 1.0 < g[0] <= cuts_s[-1] + max_s]
        pauses = [g for g in within if g[1] >= 0.25]
        cuts_s.append(pauses[-1][0] if pauses else max(within, key=lambda g: g[1])[0])
    bounds = [*(round(c * RATE_HZ) for c in cuts_s), len(recording.samples)]
    return [recording.samples[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


def inside(words: Sequence[Word], start_s: float, end_s: float) -> list[Word]:
    """Return the words that lie wholly inside a window."""
    return [w for w in words if w[1] >= start_s and w[2] <= end_s]


def word_error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the word error rate of (said, heard) pairs, all words together."""
    errors = [word_errors(normalise(said), normalise(heard)) for said, heard in pairs]
    wrong = sum(e.substitutions + e.deletions + e.insertions for e in errors)
    return wrong / max(1, sum(e.reference for e in errors))


def text_of(segments) -> str:
    """Return the text of decoded segments."""
    return ''.join(t.text for s in segments for t in s.tokens)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a table in Markdown."""
    lines = ['| ' + ' | '.join(header) + ' |', '| ' + ' | '.join('---' for _ in header) + ' |']
    lines += ['| ' + ' | '.join(str(cell) for cell in row) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'
