"""
Measure pages in Chromium, and take pictures of one: `page.py [--pictures FOLDER] [--minutes 60]`.

Needs chromium, chromedriver and Pillow. The session is the demo, said again and again; in the
audio there is noise instead of speech, because noise shows where it was cut out to the sample.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import io
from pathlib import Path
import sys
import tempfile
import time

import numpy as np
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'test' / 'support'))

from browser import heard_from, listen, offset_s, open_browser

from transcript_manager.export.page.audio import embed, open_audio
from transcript_manager.export.page.html import PageAudio, to_page
from transcript_manager.export.reading import read_transcript
from transcript_manager.result import Result, ResultSegment

RATE_HZ = 16000
DEMO = ROOT / 'demo' / 'demo.flac'
DEMO_S = 51.0
SEEKS = 20
# name, format and subtype of libsndfile, media type, options
OTHERS = (
    ('MP3', 'MP3', 'MPEG_LAYER_III', 'audio/mpeg', {'bitrate_mode': 'CONSTANT'}),
    ('Ogg Vorbis', 'OGG', 'VORBIS', 'audio/ogg', {}),
    ('FLAC', 'FLAC', 'PCM_16', 'audio/flac', {}),
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--pictures', metavar='FOLDER', type=Path, help='write page*.png there')
    parser.add_argument('--minutes', type=float, default=60.0, help='(%(default)g)')
    args = parser.parse_args()
    if args.pictures is not None:
        take_pictures(args.pictures)
    else:
        measure(args.minutes)


def take_pictures(folder: Path) -> None:
    """Take a light, wide and a dark, narrow picture of the demo's page, a word being said."""
    from PIL import Image

    result = read_transcript(ROOT / 'test' / 'bags' / 'demo').result
    with open_audio(DEMO) as source:
        audio = embed(source, end_s=result.end_s)
    page = to_page(result, title='A morning with the robot', audio=audio)
    for name, width, height, dark in (('page', 1280, 860, 0), ('page-narrow', 390, 844, 1)):
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, 'page.html')
            path.write_text(page, encoding='utf-8')
            with open_browser(
                Path(temporary, 'profile'), width=width, height=height, dark=bool(dark)
            ) as chrome:
                chrome.get(path.as_uri())
                chrome.find_element(By.ID, 'conflicts').click()
                words = chrome.find_elements(By.CSS_SELECTOR, 'main .w')
                box = next(word for word in words if word.text == 'box')
                box.click()
                WebDriverWait(chrome, 30, 0.02).until(
                    lambda c: c.find_element(By.CSS_SELECTOR, '.now').text == 'the'
                )
                picture = chrome.get_screenshot_as_png()
        target = folder / f'{name}.png'
        Image.open(io.BytesIO(picture)).convert('RGB').quantize(64, dither=0).save(
            target, optimize=True
        )
        print(f'{target}: {target.stat().st_size / 1000:.0f} kB')


def measure(minutes: float) -> None:
    """Measure a long page, and the encodings against each other."""
    result = long_session(minutes)
    noise = long_noise(result.end_s + 1.0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        recording = folder / 'noise.flac'
        soundfile.write(recording, noise, RATE_HZ)
        with open_audio(DEMO) as source:
            size = len(embed(source).data)
        print(f'speech: {size / 1000 / (DEMO_S / 60):.0f} kB a minute, in the page 4/3 of that')
        started_s = time.perf_counter()
        with open_audio(recording) as source:
            audio = embed(source, end_s=result.end_s)
        took_s = time.perf_counter() - started_s
        print(f'{minutes:g} min of noise encoded in {took_s:.0f} s')
        measure_page(folder, 'Ogg Opus', result, audio, noise, is_ours=True)
        for name, kind, subtype, media_type, options in OTHERS:
            file = io.BytesIO()
            level = 0.0 if name == 'FLAC' else 0.84
            with soundfile.SoundFile(
                file, 'w', RATE_HZ, 1, subtype, format=kind, compression_level=level, **options
            ) as sound:
                for at in range(0, len(noise), RATE_HZ):
                    sound.write(noise[at : at + RATE_HZ])
            other = PageAudio(file.getvalue(), media_type, len(noise) / RATE_HZ)
            measure_page(folder, name, result, other, noise)


def long_session(minutes: float) -> Result:
    """Return the demo, said again and again."""
    demo = read_transcript(ROOT / 'test' / 'bags' / 'demo').result
    segments: list[ResultSegment] = []
    for time_s in np.arange(0.0, minutes * 60 - DEMO_S, DEMO_S):
        for segment in demo.segments:
            words = tuple(
                replace(w, start_s=w.start_s + time_s, end_s=w.end_s + time_s)
                for w in segment.words
            )
            start_s, end_s = segment.start_s + time_s, segment.end_s + time_s
            segments.append(ResultSegment(start_s, end_s, segment.text, words))
    return Result('en', segments)


def long_noise(duration_s: float) -> np.ndarray:
    """Return noise below 4 kHz or so: int16, shape (n,)."""
    noise = np.random.default_rng(1).standard_normal(round(duration_s * RATE_HZ))
    smooth = np.convolve(noise.astype(np.float32), np.full(4, 0.25, np.float32), 'same')
    return (np.clip(smooth * 0.3, -1, 1) * 32767).astype(np.int16)


def measure_page(
    folder: Path,
    name: str,
    result: Result,
    audio: PageAudio,
    noise: np.ndarray,
    *,
    is_ours: bool = False,
) -> None:
    """Print how far from the time asked for the audio is heard; of our pages, what they cost."""
    path = folder / 'page.html'
    path.write_text(to_page(result, audio=audio), encoding='utf-8')
    with open_browser(folder / name) as chrome:
        chrome.set_script_timeout(60)
        started_s = time.perf_counter()
        chrome.get(path.as_uri())
        if is_ours:
            loaded_s = time.perf_counter() - started_s
            words = len(result.words)
            print(f'{words} words, {path.stat().st_size / 1e6:.1f} MB: there in {loaded_s:.1f} s')
            print_cost(chrome)
        listen(chrome, RATE_HZ)
        late_ms, samples = [], noise.astype(np.float32)
        for at_s in map(float, np.random.default_rng(2).uniform(2, result.end_s - 3, SEEKS)):
            heard = heard_from(chrome, at_s, RATE_HZ // 2)
            late_ms.append(1000 * offset_s(samples, at_s, heard, RATE_HZ))
    size = len(audio.data) / 1000 / (audio.duration_s / 60)
    worst = max(late_ms, key=abs)
    print(f'{name}: {size:.0f} kB a minute of noise; heard at most {worst:.1f} ms off')


def print_cost(chrome) -> None:
    """Print what ten seconds of playing take of the browser's main thread."""

    def metrics() -> dict[str, float]:
        found = chrome.execute_cdp_cmd('Performance.getMetrics', {})['metrics']
        return {m['name']: m['value'] for m in found}

    chrome.execute_cdp_cmd('Performance.enable', {})
    play = "document.querySelectorAll('main .w')[0].click()"
    chrome.execute_script(play)

    def wait_until(at_s: float) -> None:
        current = "return document.querySelector('audio').currentTime"
        WebDriverWait(chrome, 60, 0.2).until(lambda c: c.execute_script(current) > at_s)

    wait_until(2.0)
    before = metrics()
    wait_until(12.0)
    after = metrics()
    spent = {name: after[name] - before[name] for name in after}
    seconds = spent['Timestamp']
    print(
        f'playing: {100 * spent["TaskDuration"] / seconds:.1f} % of the main thread, '
        f'{spent["LayoutCount"] / seconds:.0f} layouts and '
        f'{spent["RecalcStyleCount"] / seconds:.0f} style updates a second'
    )


if __name__ == '__main__':
    main()
