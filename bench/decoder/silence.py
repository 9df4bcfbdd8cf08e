"""What is heard where nobody speaks, and in loops."""

from __future__ import annotations

from pathlib import Path
import sys
import time

import numpy as np
from speech import demo, inside, RATE_HZ, ROOT, table, text_of, windows, word_error_rate

from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.guards import guard, GuardSettings
from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.options import DecodeOptions
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings
from transcript_manager.evaluation.overload import as_decode
from transcript_manager.merge.transcript import MergeSettings, Transcript

sys.path.insert(0, str(ROOT / 'test' / 'support'))
from noises import all_kinds

SECONDS = 60.0


def words_in(model: ModelInfo, samples: np.ndarray, settings: StreamSettings) -> tuple[int, ...]:
    """Return words in all windows together, words in the transcript, decodes, and ms a window."""
    transcript = Transcript(MergeSettings())
    heard, text = 0, ''
    with WhisperEngine(model) as engine:
        decoder = StreamDecoder(engine, settings)
        started_s = time.perf_counter()
        for window in windows(samples):
            result = decoder.decode(window)
            heard += len(text_of(result.segments).split())
            text += transcript.merge(as_decode(window, result)).stable_text
        text += transcript.flush()[0]
        elapsed_s = time.perf_counter() - started_s
    per_window_ms = round(1000 * elapsed_s / decoder.counts.windows)
    return heard, len(text.split()), decoder.counts.decoded, per_window_ms


def loops(model: ModelInfo) -> str:
    """Return what the guard makes of real loops: the encoder's context is made too short."""
    rows = []
    with WhisperEngine(model) as engine:
        for audio_ctx in (512, 564, 0):
            before, after, cut = [], [], 0
            for recording in demo():
                for window in list(windows(recording.samples))[9::5]:
                    start_s = window.first_sample / RATE_HZ
                    said = ' '.join(w[0] for w in inside(recording.words, start_s, start_s + 10))
                    options = DecodeOptions(audio_ctx=audio_ctx)
                    result = engine.transcribe(window.samples, options)
                    kept, cuts = guard(result.segments, GuardSettings(), window_ms=10000)
                    before.append((said, text_of(result.segments)))
                    after.append((said, text_of(kept)))
                    cut += sum(c.word_count for c in cuts)
            name = audio_ctx or 'by the window (628)'
            rows.append(
                (name, f'{word_error_rate(before):.1%}', f'{word_error_rate(after):.1%}', cut)
            )
    return table(('audio_ctx', 'WER, no guards', 'WER, guards', 'words cut'), rows)


def section(models: list[ModelInfo], _folder: Path) -> str:
    """Return this part of the page."""
    rows = []
    everything_off = StreamSettings(
        gate=False, guards=GuardSettings(loops=False, silence=False, edge_probability=0)
    )
    for model in models:
        for name, sound in all_kinds(SECONDS).items():
            samples = (sound * 32767).astype(np.int16)
            for gate, settings in (('off', everything_off), ('on', StreamSettings())):
                rows.append((model.name, name, gate, *words_in(model, samples, settings)))
    header = (
        'model',
        'sound',
        'gate and guards',
        'words in windows',
        'words in the transcript',
        'decodes',
        'ms a window',
    )
    parts = [
        '## Silence\n',
        '60 s of each, streamed in 60 windows and a last one. Words in windows are those of all '
        'decodes together; the merge keeps of them what is left in the transcript.\n',
        table(header, rows),
    ]
    for model in models:
        if model.name == 'demo':
            continue  # it was trained on short contexts and does not loop
        parts.append(
            f'Real loops of {model.name}: with too short a context of the encoder, official '
            'models repeat themselves. WER of the windows, as under Speed:\n'
        )
        parts.append(loops(model))
    return '\n'.join(parts)
