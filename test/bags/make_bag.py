"""
Make the small test bags: `make_bag.py [FOLDER]`, spoken_mcap and spoken_sqlite3 in this folder.

They hold the first two sentences (SQLite: the first) of demo/second.flac twice: as `audio`,
chunks of 100 ms as the audio ring publishes them for recording, and as `tokens`, what the demo
model heard in a window a second.
The same comes out every time; `inference_ms` is 0 for that.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / 'test' / 'support'))

from bag_tools import audio_chunks, header, NS_PER_S, START_NS, TOKENS, typestore, write_bag

from transcript_manager.audio.ring import AudioRing
from transcript_manager.decoder import models
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings, StreamWindow

SENTENCES = {StoragePlugin.MCAP: 2, StoragePlugin.SQLITE3: 1}
PAUSE_S = 0.3
RATE_HZ = 16000


def speech(sentences: int) -> tuple[np.ndarray, str]:
    """Return int16, shape (n,), at 16 kHz, and what is said in it."""
    samples, rate_hz = soundfile.read(ROOT / 'demo' / 'second.flac', dtype='int16')
    assert rate_hz == RATE_HZ
    reference = json.loads((ROOT / 'demo' / 'second.json').read_text(encoding='utf-8'))
    said = reference['sentences'][:sentences]
    return samples[: int((said[-1][2] + PAUSE_S) * RATE_HZ)], ' '.join(s[0] for s in said)


def tokens(store: Any, samples: np.ndarray) -> list[tuple[str, str, int, Any]]:
    """Decode a stream window by window, as the whisper node does."""
    kinds = store.types
    ring = AudioRing(sample_rate_hz=RATE_HZ, window_s=10.0, hop_s=1.0)
    messages = []
    with WhisperEngine(models.resolve('demo')) as engine:
        decoder = StreamDecoder(engine, StreamSettings())
        for window in [*ring.push(samples), ring.finish()]:
            heard = StreamWindow(
                window.samples, RATE_HZ, window.first_sample, START_NS, window.end_of_stream
            )
            result = decoder.decode(heard)
            message = kinds[TOKENS](
                header=header(store, START_NS + window.first_sample * NS_PER_S // RATE_HZ),
                window_ms=heard.duration_ms,
                segments=[
                    kinds['transcript_manager/msg/WhisperSegment'](
                        start_ms=segment.start_ms,
                        end_ms=segment.end_ms,
                        tokens=[
                            kinds['transcript_manager/msg/WhisperToken'](
                                id=t.id,
                                text=t.text,
                                probability=t.probability,
                                start_ms=t.start_ms,
                                end_ms=t.end_ms,
                            )
                            for t in segment.tokens
                        ],
                    )
                    for segment in result.segments
                ],
                language=result.language,
                model=engine.model.name,
                inference_ms=0,
                end_of_stream=window.end_of_stream,
            )
            at_ns = START_NS + window.end_sample * NS_PER_S // RATE_HZ
            messages.append(('/tokens', TOKENS, at_ns, message))
    return messages


def make(folder: Path) -> None:
    """Write both bags."""
    store = typestore()
    for storage, sentences in SENTENCES.items():
        samples, _ = speech(sentences)
        messages = audio_chunks(store, samples) + tokens(store, samples)
        messages.sort(key=lambda m: m[2])
        path = folder / f'spoken_{storage.name.lower()}'
        write_bag(path, messages, store=store, storage=storage, compress=True)


if __name__ == '__main__':
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
