"""A real Chromium without a window, as tests and pictures use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

_LISTEN = """
window.heard = [];
const context = new AudioContext({ sampleRate: arguments[0] });
const node = context.createScriptProcessor(1024, 1, 1);
node.onaudioprocess = (e) => heard.push(...e.inputBuffer.getChannelData(0));
context.createMediaElementSource(document.querySelector('audio')).connect(node);
node.connect(context.destination);
"""
_HEAR = """
const [at, count, done] = arguments, audio = document.querySelector('audio');
const until = (condition) => new Promise((resolve) => {
  const look = () => (condition() ? resolve() : requestAnimationFrame(look));
  look();
});
(async () => {
  audio.pause();
  audio.currentTime = at;
  window.heard = [];
  const isQuiet = () => heard.length > 4096 && heard.slice(-4096).every((sample) => sample === 0);
  await until(() => !audio.seeking && isQuiet());  // the last of what was played before is through
  window.heard = [];
  await audio.play();
  let from;
  await until(() => {
    from = heard.findIndex((sample) => sample !== 0);
    return from >= 0 && heard.length >= from + count;
  });
  audio.pause();
  done(heard.slice(from, from + count));
})();
"""
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
DRIVER = 'chromedriver'


def find_browser() -> tuple[str, str] | None:
    """Return the paths of a browser and its driver, None if either is not installed."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which(DRIVER)
    return (browser, driver) if browser and driver else None


@contextmanager
def open_browser(
    profile: Path, *, width: int = 1280, height: int = 900, dark: bool = False, pixels: float = 1
) -> Iterator[webdriver.Chrome]:
    """
    Start a browser that sends nothing anywhere.

    :param profile: a folder for its data
    :param dark: whether the system prefers dark colours
    :param pixels: of the screen per CSS pixel
    """
    browser, driver = find_browser()
    os.environ['SE_OFFLINE'] = 'true'
    options = Options()
    options.binary_location = browser
    for flag in (
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--disable-dev-shm-usage',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
        '--hide-scrollbars',
        '--autoplay-policy=no-user-gesture-required',
        f'--user-data-dir={profile}',
        f'--window-size={width},{height}',
    ):
        options.add_argument(flag)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        chrome.execute_cdp_cmd(
            'Emulation.setDeviceMetricsOverride',
            {'width': width, 'height': height, 'deviceScaleFactor': pixels, 'mobile': False},
        )
        prefer(chrome, dark=dark)
        yield chrome
    finally:
        chrome.quit()


def prefer(chrome: webdriver.Chrome, *, dark: bool) -> None:
    """Let the system prefer dark or light colours."""
    feature = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
    chrome.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [feature]})


def listen(chrome: webdriver.Chrome, rate_hz: int) -> None:
    """Hear what the page's player plays, once a page; see :func:`heard_from`."""
    chrome.execute_script(_LISTEN, rate_hz)


def heard_from(chrome: webdriver.Chrome, at_s: float, count: int) -> np.ndarray:
    """
    Play from a time on.

    :param count: how many samples to hear, at the rate of :func:`listen`
    :returns: the first samples that are played, float32, shape (count,)
    """
    return np.array(chrome.execute_async_script(_HEAR, at_s, count), np.float32)


def offset_s(original: np.ndarray, at_s: float, heard: np.ndarray, rate_hz: int) -> float:
    """Return how much later [s] in a recording something is heard than asked for, within 1 s."""
    near = original[round((at_s - 1) * rate_hz) : round((at_s + 1) * rate_hz) + len(heard)]
    return float(np.argmax(np.correlate(near, heard))) / rate_hz - 1
