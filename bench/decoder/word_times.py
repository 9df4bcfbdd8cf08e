"""How far word starts and ends are from where the words were said."""

from __future__ import annotations

from collections.abc import Iterable
import difflib
from pathlib import Path
import statistics

from speech import demo, RATE_HZ, Recording, table, windows, Word

import transcript_manager.decoder.engine as engine_module
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.options import DecodeOptions
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings
from transcript_manager.decoder.times import dtw_spans
from transcript_manager.evaluation.overload import as_decode
from transcript_manager.evaluation.wer import normalise
from transcript_manager.merge.transcript import MergeSettings, Transcript
from transcript_manager.merge.words import fuse

TEXT = """\
Words that were heard right, against the true times of the demo speech. "In a window" is a decode,
"averaged" the transcript, in which its times are the mean of all windows that heard it. "Marks
alone" is what DTW gives before the sound decides where a word after a pause begins and one before
it ends. Mean absolute error; in brackets the median, signed.
"""


def key(text: str) -> str:
    """Return a word as it is compared."""
    return ''.join(normalise(text))


def errors(heard: Iterable[Word], said: Iterable[Word]) -> list[tuple[float, float]]:
    """Return (start, end) errors [s] of the words that are the same in both."""
    heard, said = list(heard), list(said)
    matcher = difflib.SequenceMatcher(
        None, [key(w[0]) for w in heard], [key(w[0]) for w in said], autojunk=False
    )
    return [
        (
            heard[block.a + k][1] - said[block.b + k][1],
            heard[block.a + k][2] - said[block.b + k][2],
        )
        for block in matcher.get_matching_blocks()
        for k in range(block.size)
    ]


def run(
    model: ModelInfo, recordings: list[Recording], timestamps: str
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return errors in windows, and averaged in the transcript."""
    single, averaged = [], []
    with WhisperEngine(model, timestamps=timestamps) as engine:
        for recording in recordings:
            decoder = StreamDecoder(engine, StreamSettings(options=DecodeOptions()))
            transcript = Transcript(MergeSettings())
            words: list[Word] = []
            for window in windows(recording.samples):
                decode = as_decode(window, decoder.decode(window))
                start_s = window.first_sample / RATE_HZ
                end_s = start_s + len(window.samples) / RATE_HZ
                near = [w for w in recording.words if w[2] > start_s and w[1] < end_s]
                pairs = errors(((w.text, w.start_s, w.end_s) for w in fuse(decode)), near)
                single += pairs
                for segment in transcript.merge(decode).frozen:
                    words += [(w.text, w.start_s, w.end_s) for w in segment.words if key(w.text)]
            averaged += errors(words, recording.words)
    return single, averaged


def cells(pairs: list[tuple[float, float]]) -> list[str]:
    """Format the errors of starts and of ends."""
    found = []
    for which in (0, 1):
        values = [p[which] for p in pairs]
        mean_s = statistics.fmean(abs(v) for v in values)
        found.append(f'{mean_s * 1000:.0f} ({statistics.median(values) * 1000:+.0f})')
    return found


def section(models: list[ModelInfo], _folder: Path) -> str:
    """Return this part of the page."""
    recordings = demo()
    rows = []
    for model in models:
        for name in ('token', 'dtw, marks alone', 'dtw'):
            if name == 'dtw, marks alone':  # what the sound says is taken away
                engine_module.dtw_spans = lambda s, sound, **kw: dtw_spans(s, sound[:0], **kw)
            single, averaged = run(model, recordings, name[:5] if name == 'token' else 'dtw')
            engine_module.dtw_spans = dtw_spans
            rows.append(
                (model.name, name, *cells(single), *cells(averaged), len(single), len(averaged))
            )
    header = (
        'model',
        'method',
        'start in a window ms',
        'end in a window ms',
        'start averaged ms',
        'end averaged ms',
        'words in windows',
        'words',
    )
    return '\n'.join(['## Words in time\n', TEXT, table(header, rows)])
