"""What each lever of speed gives: decode time per window, the settings by turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
import os
from pathlib import Path
import statistics
import sys
import tempfile
import time

import numpy as np
from speech import (
    demo,
    inside,
    RATE_HZ,
    Recording,
    ROOT,
    table,
    text_of,
    windows,
    word_error_rate,
)

from transcript_manager.decoder import models
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.guards import GuardSettings
from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.options import AUTO, DecodeOptions
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings

sys.path.insert(0, str(ROOT / 'test' / 'support'))
import multilingual

TEXT = """\
Windows of 10 s, every 5 s of the demo recordings; each is decoded with every setting before the
next one, so that a change in the machine's pace hits all alike. "As whisper.cpp comes" is the
whole context of 30 s and up to five more decodes at rising temperature, but one candidate in each
(whisper.cpp takes five) and no text of the window before. WER counts every word that lies wholly
inside a window; it includes what each window cuts off at its edges.
"""


_NO_GATE = StreamSettings(
    gate=False, guards=GuardSettings(loops=False, silence=False, edge_probability=0)
)


@dataclass(slots=True)
class Lever:
    """A setting and what came of it."""

    name: str
    engine: WhisperEngine
    options: DecodeOptions
    times_s: list[float] = field(default_factory=list)
    heard: list[tuple[str, str]] = field(default_factory=list)


def levers(model: ModelInfo, threads: int) -> list[Lever]:
    """Return the settings to compare, from whisper.cpp's own to the package's."""
    flash = WhisperEngine(model, timestamps='segment')
    plain = WhisperEngine(model, timestamps='segment', flash_attention=False)
    token = WhisperEngine(model, timestamps='token')
    dtw = WhisperEngine(model)
    whole = model.header.n_audio_ctx
    window = DecodeOptions(threads=threads)
    return [
        Lever(
            'as whisper.cpp comes',
            flash,
            replace(window, audio_ctx=whole, fallbacks=5),
        ),
        Lever('one decode, no fallback', flash, replace(window, audio_ctx=whole)),
        Lever('and the encoder sees the window only', flash, window),
        Lever('the same without flash attention', plain, window),
        Lever('the same, token times estimated', token, window),
        Lever('**the default: word times by DTW**', dtw, window),
    ]


def measure(model: ModelInfo, threads: int) -> str:
    """Return the table for one model and number of threads."""
    subjects = levers(model, threads)
    for subject in subjects:
        subject.engine.warm_up(subject.options)
    for recording in demo():
        for window in list(windows(recording.samples))[9::5]:
            start_s = window.first_sample / 16000
            said = ' '.join(w[0] for w in inside(recording.words, start_s, start_s + 10))
            for subject in subjects:
                started_s = time.perf_counter()
                result = subject.engine.transcribe(window.samples, subject.options)
                subject.times_s.append(time.perf_counter() - started_s)
                subject.heard.append((said, text_of(result.segments)))
    first = subjects[0]
    rows = []
    for subject in subjects:
        ratios = [a / b for a, b in zip(first.times_s, subject.times_s, strict=True)]
        rows.append(
            (
                subject.name,
                f'{statistics.median(subject.times_s) * 1000:.0f}',
                f'{max(subject.times_s) * 1000:.0f}',
                f'{statistics.median(ratios):.2f}',
                f'{word_error_rate(subject.heard):.1%}',
            )
        )
    for engine in {id(s.engine): s.engine for s in subjects}.values():
        engine.close()
    return table(('setting', 'median ms', 'longest ms', 'times faster', 'WER of windows'), rows)


def detection() -> tuple[float, float]:
    """Return decode time of a window [s] with the language given, and detected in the window."""
    window = list(windows(demo()[0].samples))[10]
    times_s: dict[str, list[float]] = {'en': [], AUTO: []}
    with tempfile.TemporaryDirectory() as folder:
        path = multilingual.make(Path(folder) / 'many.bin', language_index=0)
        with WhisperEngine(models.resolve(str(path))) as engine:
            for _ in range(10):
                for language, found_s in times_s.items():
                    started_s = time.perf_counter()
                    engine.transcribe(window.samples, DecodeOptions(language=language))
                    found_s.append(time.perf_counter() - started_s)
    return statistics.median(times_s['en']), statistics.median(times_s[AUTO])


def first_decode(model: ModelInfo) -> tuple[float, float]:
    """Return the time of the first window after loading [s], not warmed up and warmed up."""
    window = list(windows(demo()[0].samples))[10]
    times_s = []
    for is_warm in (False, True):
        with WhisperEngine(model) as engine:
            if is_warm:
                engine.warm_up(DecodeOptions())
            started_s = time.perf_counter()
            engine.transcribe(window.samples, DecodeOptions())
            times_s.append(time.perf_counter() - started_s)
    return times_s[0], times_s[1]


def conversation(model: ModelInfo, recording: Recording) -> list[float]:
    """
    Return the time per window [s] of a stream of which half is speech.

    As whisper.cpp comes, with the defaults but no gate, with the defaults.
    """
    quiet = np.random.default_rng(0).normal(0, 30, RATE_HZ * 15).astype(np.int16)
    speech = recording.samples[: RATE_HZ * 30].reshape(2, -1)
    samples = np.concatenate([speech[0], quiet, speech[1], quiet])
    plain = DecodeOptions(audio_ctx=model.header.n_audio_ctx, fallbacks=5)
    decoders = [
        StreamDecoder(WhisperEngine(model, timestamps='segment'), _NO_GATE),
        StreamDecoder(WhisperEngine(model), StreamSettings(gate=False)),
        StreamDecoder(WhisperEngine(model), StreamSettings()),
    ]
    decoders[0].configure(replace(_NO_GATE, options=plain))
    times_s = [0.0] * len(decoders)
    count = 0
    for window in windows(samples):
        count += 1
        for k, decoder in enumerate(decoders):
            started_s = time.perf_counter()
            decoder.decode(window)
            times_s[k] += time.perf_counter() - started_s
    for decoder in decoders:
        decoder.engine.close()
    return [t / count for t in times_s]


def section(found: list[ModelInfo]) -> str:
    """Return this part of the page."""
    parts = ['## Speed\n', TEXT]
    cores = len(os.sched_getaffinity(0))
    for model in found:
        for threads in sorted({1, min(2, cores)}):
            parts.append(f'Model {model.name}, {threads} thread{"s" * (threads > 1)}:\n')
            parts.append(measure(model, threads))
    rows = []
    for model in found:
        cold_s, warm_s = first_decode(model)
        plain_s, off_s, on_s = conversation(model, demo()[0])
        rows.append(
            (
                model.name,
                f'{cold_s * 1000:.0f}',
                f'{warm_s * 1000:.0f}',
                f'{plain_s * 1000:.0f}',
                f'{off_s * 1000:.0f}',
                f'{on_s * 1000:.0f}',
                f'{plain_s / on_s:.2f}',
            )
        )
    header = (
        'model',
        'cold ms',
        'warmed up ms',
        'as whisper.cpp comes ms',
        'defaults, no gate ms',
        'defaults ms',
        'times faster',
    )
    parts.append(
        'The first window after loading; and the mean over a stream of which half is speech (15 s '
        'of it, 15 s of quiet noise by turns), one thread fewer than cores: as whisper.cpp comes, '
        'with the defaults but no gate, and with the defaults, the gate and its own cost in it:\n'
    )
    parts.append(table(header, rows))
    given_s, detected_s = detection()
    parts.append(
        'The language of a multilingual model (the demo model with the ids of one), which the '
        f'node detects once and then keeps: detected in every window, a decode takes '
        f'{detected_s * 1000:.0f} ms, given, {given_s * 1000:.0f} ms: '
        f'{detected_s / given_s:.2f} times faster.\n'
    )
    return '\n'.join(parts)
