#!/usr/bin/env python3
"""
Make the demo recordings: synthetic speech whose every word has a known start and end.

For each recording of ``recordings.json`` this writes ``NAME.flac`` (16 kHz, mono, 16 bit) and
``NAME.json`` (the words really said, with their times). Sentences may use only the words of
``vocabulary.txt``: the demo model knows no others.

On one machine the files come out the same each time, bit for bit; another version of a speech
engine speaks a little differently.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
import json
import multiprocessing
from pathlib import Path
import re
import sys

import numpy as np
from numpy.typing import NDArray
import soundfile
from voices import Clip, Espeak, Flite, RATE_HZ, SpeechError, Voice, Word

HERE = Path(__file__).resolve().parent

ENGINES: dict[str, type[Voice]] = {'espeak-ng': Espeak, 'flite': Flite}

SPEECH_RMS = 0.08
"""Level every sentence is brought to; full scale is 1."""
LEAD_S = 0.06
"""Sound kept before a sentence's first word, inside the pause."""
TRAIL_S = 0.10
"""Sound kept after a sentence's last word, inside the pause."""
FADE_S = 0.005

WORD = re.compile(r"[A-Za-z']+")


@dataclass(frozen=True)
class Recording:
    """What one recording is to contain."""

    name: str
    voice: str
    """The engine and its voice, as in ``flite:rms``."""
    sentences: list[tuple[float, str]]
    """Each with the pause before its first word, in seconds."""
    tail_s: float
    """Silence after the last word."""

    @property
    def engine(self) -> type[Voice]:
        """The engine that speaks it."""
        return ENGINES[self.voice.partition(':')[0]]

    def speaker(self) -> Voice:
        """Start the engine with this recording's voice."""
        return self.engine(self.voice.partition(':')[2])


def read_recordings(path: Path, vocabulary_path: Path) -> list[Recording]:
    """Read what to record, and check it before anything is spoken."""
    vocabulary = {word.lower() for word in vocabulary_path.read_text(encoding='utf-8').split()}
    recordings = [
        Recording(name, spec['voice'], spec['sentences'], spec['tail_s'])
        for name, spec in json.loads(path.read_text(encoding='utf-8')).items()
    ]
    for recording in recordings:
        check(recording, vocabulary)
    return recordings


def check(recording: Recording, vocabulary: set[str]) -> None:
    """Refuse what the model cannot know and what cannot be laid out in time."""
    if recording.voice.partition(':')[0] not in ENGINES:
        raise SpeechError(f'{recording.name}: no engine for the voice {recording.voice}')
    for pause_s, text in recording.sentences:
        unknown = {word for word in WORD.findall(text) if word.lower() not in vocabulary}
        if unknown:
            listed = ', '.join(sorted(unknown))
            raise SpeechError(f'{recording.name}: not in vocabulary.txt: {listed}')
        if any(len(WORD.findall(token)) != 1 for token in text.split(' ')):
            raise SpeechError(f'{recording.name}: one word between single spaces: {text}')
        if pause_s < LEAD_S + TRAIL_S:
            raise SpeechError(f'{recording.name}: pause below {LEAD_S + TRAIL_S} s: {text}')
    if recording.tail_s < TRAIL_S:
        raise SpeechError(f'{recording.name}: tail_s below {TRAIL_S} s')


def shift(words: list[Word], by_s: float) -> list[Word]:
    """Move words in time."""
    return [Word(word.text, word.start_s + by_s, word.end_s + by_s) for word in words]


def trim(clip: Clip) -> Clip:
    """Cut a clip to its words and a little more, fade its ends and bring it to one level."""
    first_s, last_s = clip.words[0].start_s, clip.words[-1].end_s
    start = max(0, round((first_s - LEAD_S) * RATE_HZ))
    samples = clip.samples[start : round((last_s + TRAIL_S) * RATE_HZ)].copy()
    samples *= SPEECH_RMS / np.sqrt(np.mean(samples**2))
    ramp = np.linspace(0, 1, round(FADE_S * RATE_HZ), dtype=np.float32)
    samples[: len(ramp)] *= ramp
    samples[-len(ramp) :] *= ramp[::-1]
    return Clip(samples, shift(clip.words, -start / RATE_HZ))


def speak(recording: Recording) -> tuple[NDArray[np.float32], list[list[Word]]]:
    """Speak a recording: its samples in [-1, 1] at 16 kHz, and the words of each sentence."""
    speaker = recording.speaker()
    parts: list[NDArray[np.float32]] = []
    sentences: list[list[Word]] = []
    length_samples = 0
    last_end_s = 0.0
    for pause_s, text in recording.sentences:
        clip = trim(speaker.say(text))
        start = round((last_end_s + pause_s - clip.words[0].start_s) * RATE_HZ)
        parts += [np.zeros(start - length_samples, np.float32), clip.samples]
        length_samples = start + len(clip.samples)
        sentences.append(shift(clip.words, start / RATE_HZ))
        last_end_s = sentences[-1][-1].end_s
    end = round((last_end_s + recording.tail_s) * RATE_HZ)
    parts.append(np.zeros(max(0, end - length_samples), np.float32))
    return np.concatenate(parts), sentences


def one_a_line(spans: Sequence[tuple[str, float, float]]) -> str:
    """Write (text, start, end) triples as JSON, in seconds to the millisecond."""
    triples = ([text, round(start_s, 3), round(end_s, 3)] for text, start_s, end_s in spans)
    return '[\n' + ',\n'.join(map(json.dumps, triples)) + '\n]'


def write(recording: Recording, folder: Path) -> str:
    """Make one recording, write its two files and return a line about it."""
    samples, sentences = speak(recording)
    duration_s = len(samples) / RATE_HZ
    words = [word for sentence in sentences for word in sentence]
    spans = [
        (' '.join(word.text for word in sentence), sentence[0].start_s, sentence[-1].end_s)
        for sentence in sentences
    ]
    fields = {
        'duration': f'{duration_s:.4f}',
        'voice': json.dumps(recording.voice),
        'text': json.dumps(' '.join(text for text, _, _ in spans)),
        'words': one_a_line(words),
        'sentences': one_a_line(spans),
    }
    body = ',\n'.join(f'"{name}": {value}' for name, value in fields.items())
    soundfile.write(folder / f'{recording.name}.flac', samples, RATE_HZ, subtype='PCM_16')
    (folder / f'{recording.name}.json').write_text(f'{{\n{body}\n}}\n', encoding='utf-8')
    return f'{recording.name}: {duration_s:.1f} s, {len(words)} words, {recording.voice}'


def choose(recordings: list[Recording], names: list[str]) -> list[Recording]:
    """Pick recordings by name, all of them where none is named, and open their engines."""
    unknown = set(names) - {recording.name for recording in recordings}
    if unknown:
        raise SpeechError(f'no such recording: {", ".join(sorted(unknown))}')
    chosen = [recording for recording in recordings if not names or recording.name in names]
    for recording in chosen:
        recording.engine.library()
    return chosen


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description='Make the demo recordings from their text.')
    parser.add_argument('names', nargs='*', metavar='NAME', help='only these; default: all')
    parser.add_argument(
        '--recordings',
        type=Path,
        default=HERE / 'recordings.json',
        metavar='FILE',
        help='what to record; default: the demo recordings',
    )
    parser.add_argument('--out', type=Path, default=HERE, metavar='DIR', help='default: here')
    options = parser.parse_args()
    try:
        recordings = read_recordings(options.recordings, HERE / 'vocabulary.txt')
        chosen = choose(recordings, options.names)
        options.out.mkdir(parents=True, exist_ok=True)
        # A new process for each: the engines' state would make one depend on those before it.
        with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as pool:
            for line in pool.imap(partial(write, folder=options.out), chosen):
                print(line)
    except SpeechError as error:
        print(f'make_speech: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
