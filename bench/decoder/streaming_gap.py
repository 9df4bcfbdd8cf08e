"""What streaming costs in accuracy: the live transcript against decoding the same audio once."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

from speech import heldout, pieces, table, text_of, word_error_rate

from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.options import DecodeOptions

TEXT = """\
Ten minutes of sentences the demo model never heard, in six of the voices it knows, played at their
own pace through the three nodes (`transcript run --audio FILE --model demo`, default settings),
against the same audio decoded once with the same model, in pieces of at most 10 s cut at pauses.
The true times of the words say where the pauses are, which favours the pieces. Case and
punctuation aside.
"""


def streamed(path: Path, model: ModelInfo) -> tuple[str, str]:
    """Return the text of a live run, and its last line of progress."""
    command = Path(sys.executable).with_name('transcript')
    done = subprocess.run(
        [
            command,
            'run',
            '--audio',
            path,
            '--model',
            str(model.path) if model.name != 'demo' else 'demo',
            '--realtime',
            '--format',
            'json',
        ],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return json.loads(done.stdout)['text'], done.stderr.strip().splitlines()[-1]


def section(models: list[ModelInfo], folder: Path) -> str:
    """Return this part of the page."""
    model = models[0]
    rows, live, once = [], [], []
    recordings = heldout(folder)
    with WhisperEngine(model) as engine:
        for recording in recordings:
            cut = pieces(recording)
            results = [engine.transcribe(p, DecodeOptions()) for p in cut]
            text = ' '.join(text_of(r.segments) for r in results)
            once.append((recording.text, text))
    for recording, said in zip(recordings, once, strict=True):
        text, summary = streamed(recording.path, model)
        live.append((recording.text, text))
        gap = word_error_rate([live[-1]]) - word_error_rate([said])
        rows.append(
            (
                recording.path.stem,
                f'{recording.duration_s:.0f} s',
                len(recording.words),
                f'{word_error_rate([live[-1]]):.2%}',
                f'{word_error_rate([said]):.2%}',
                f'{gap * 100:+.2f}',
                summary.partition('; ')[2],
            )
        )
    total_s = sum(r.duration_s for r in recordings)
    gap = word_error_rate(live) - word_error_rate(once)
    rows.append(
        (
            '**all**',
            f'{total_s:.0f} s',
            sum(len(r.words) for r in recordings),
            f'**{word_error_rate(live):.2%}**',
            f'**{word_error_rate(once):.2%}**',
            f'**{gap * 100:+.2f}**',
            '',
        )
    )
    header = ('speech', 'length', 'words', 'streamed', 'once', 'gap, points', 'windows')
    return '\n'.join(['## Streaming gap\n', TEXT, table(header, rows)])
