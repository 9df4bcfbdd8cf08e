"""A real Chromium without a window, as tests and pictures use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

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
