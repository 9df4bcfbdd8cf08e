"""A decoder that is 5 times too slow, and worse, over ten minutes of speech in simulated time."""

from __future__ import annotations

from pathlib import Path
import statistics

from speech import heldout, join, table, windows, word_error_rate

from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.options import DecodeOptions
from transcript_manager.decoder.stream import StreamDecoder, StreamResult, StreamSettings
from transcript_manager.evaluation.overload import Answer, simulate

NOMINAL_S = 0.3
"""A decode of the demo model with one thread, about; the slow-down multiplies it."""
SLOW_DOWNS = (1, 5, 10, 20, 40)

TEXT = f"""\
Ten minutes of held-out speech, six voices, one stream, a hop of 1 s. The schedule, the decodes and
the merge are the real ones; the clock is simulated: a decode takes {NOMINAL_S} s times the
slow-down, and a window without speech nothing. Lag is from the end of a window's audio to its
tokens: largest in the first and the last two minutes, and of all. What comes after the end of the
stream is left out of the lags.
"""


def largest(answers: list[Answer]) -> str:
    """Format the largest lag."""
    lags_s = [a.lag_s for a in answers if not a.is_aborted]
    return f'{max(lags_s):.2f}' if lags_s else '-'


def section(models: list[ModelInfo], folder: Path) -> str:
    """Return this part of the page."""
    speech = join(heldout(folder))
    stream = list(windows(speech.samples))
    rows = []
    with WhisperEngine(models[0]) as engine:
        settings = StreamSettings(options=DecodeOptions(threads=2))
        known: dict[tuple[int, bool], StreamResult] = {}
        decoder = StreamDecoder(engine, settings)
        for window in stream:  # once for all slow-downs: a decode does not depend on others
            known[window.first_sample + len(window.samples), window.end_of_stream] = (
                decoder.decode(window)
            )
        for factor in SLOW_DOWNS:
            run = simulate(
                stream,
                lambda w: known[w.first_sample + len(w.samples), w.end_of_stream],
                lambda r, f=factor: 0.0 if r.is_silent else NOMINAL_S * f,
            )
            answers = [a for a in run.answers if a.at_s <= speech.duration_s]
            rows.append(
                (
                    f'{factor} ({NOMINAL_S * factor:.1f} s)',
                    run.load.decoded,
                    run.load.skipped,
                    run.load.aborted,
                    f'{statistics.median(a.lag_s for a in answers):.2f}',
                    largest([a for a in answers if a.end_s <= 120]),
                    largest([a for a in answers if a.end_s >= speech.duration_s - 120]),
                    largest(answers),
                    f'{word_error_rate([(speech.text, run.text)]):.1%}',
                )
            )
    header = (
        'slow-down (decode)',
        'decoded',
        'skipped',
        'given up',
        'lag median s',
        'first 2 min',
        'last 2 min',
        'largest',
        'WER',
    )
    return '\n'.join(['## Overload\n', TEXT, table(header, rows)])
