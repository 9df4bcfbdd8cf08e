"""Sessions to draw, and pictures read back by their own axes."""

import json
from xml.etree import ElementTree

import numpy as np
import soundfile

from transcript_manager.cli.main import main

SVG = '{http://www.w3.org/2000/svg}'


def word(text, start_s, end_s, probability=0.9, conflicts=None):
    value = {'text': f' {text}', 'start': start_s, 'end': end_s, 'probability': probability}
    return value | ({'conflicts': conflicts} if conflicts else {})


def save_session(path, *segments):
    value = {'language': 'en', 'segments': [{'words': words} for words in segments]}
    path.write_text(json.dumps(value, ensure_ascii=False), encoding='utf-8')
    return path


def save_sound(path, seconds):
    samples = np.random.default_rng(7).normal(0, 0.02, int(seconds * 16000))
    soundfile.write(path, samples, 16000)
    return path


def save_short(folder):
    """Save four seconds of noise and a session in it."""
    words = [word('one', 0.5, 1.0), word('two', 1.2, 2.0, None), word('three', 2.5, 3.0, 0.3)]
    return save_sound(folder / 'short.wav', 4), save_session(folder / 's.json', words)


def plot(*arguments):
    return main(['plot', *map(str, arguments)])


def texts_of(path):
    """Return (text, x, y) of all texts of an SVG; x is the middle of what is centred."""
    root = ElementTree.parse(path).getroot()
    return [(t.text, float(t.get('x')), float(t.get('y'))) for t in root.iter(f'{SVG}text')]


def seconds_of(label):
    minutes, _, seconds = label.partition(':')
    return int(minutes) * 60 + float(seconds)


def rows_of(texts):
    """Return (y, x -> time) of each row, by the labels of its time axis, from the top."""
    ticks = {}
    for text, x, y in texts:
        if text and text.count(':') == 1 and text.replace(':', '').replace('.', '').isdigit():
            ticks.setdefault(round(y), []).append((x, seconds_of(text)))
    rows = []
    for y, labels in sorted(ticks.items()):
        (x0, s0), (x1, s1) = min(labels), max(labels)
        scale = (s1 - s0) / (x1 - x0)
        rows.append((y, lambda x, x0=x0, s0=s0, scale=scale: s0 + (x - x0) * scale))
    return rows


def placed(path, wanted):
    """Return (text, time at its middle, y) of the words of an SVG, by its own time axes."""
    texts = texts_of(path)
    rows = rows_of(texts)
    found = []
    for text, x, y in texts:
        if text in wanted:
            below = next(at for at in rows if at[0] > y)
            found.append((text, below[1](x), y))
    return found
