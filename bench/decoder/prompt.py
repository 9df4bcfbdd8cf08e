"""Whether saying what the talk is about changes how it is spelled."""

from __future__ import annotations

from pathlib import Path
import sys

import numpy as np
from speech import ROOT, table, text_of

from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.options import DecodeOptions

sys.path.insert(0, str(ROOT / 'demo'))
from voices import Espeak, SpeechError

SAID = (
    ('Zhelko and Anya live in Lublyana.', 'An interview. Names: Željko, Anja, Ljubljana.'),
    ('Siobhan asked for the grey colour.', 'British spelling. Names: Siobhan. Grey, colour.'),
    ('We set up the ross two lidar node.', 'ROS 2, LiDAR, node, rclpy.'),
)


def section(models: list[ModelInfo], _folder: Path) -> str:
    """Return this part of the page; '' where there is no model that knows more than the demo."""
    models = [m for m in models if m.name != 'demo']
    if not models:
        return ''
    voice = Espeak('en-us')
    rows = []
    for model in models:
        with WhisperEngine(model) as engine:
            for text, prompt in SAID:
                try:
                    sound = voice.say(text).samples
                except SpeechError:
                    continue
                quiet = np.zeros(8000, np.int16)
                samples = np.concatenate([quiet, (sound * 20000).astype(np.int16), quiet])
                heard = [
                    text_of(engine.transcribe(samples, DecodeOptions(prompt=p)).segments).strip()
                    for p in ('', prompt)
                ]
                rows.append((model.name, heard[0], prompt, heard[1]))
    return '\n'.join(
        [
            '## Prompt\n',
            'A sentence from espeak-ng, decoded without a prompt and with one.\n',
            table(('model', 'without', 'prompt', 'with'), rows),
        ]
    )
