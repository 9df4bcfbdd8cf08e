"""A browser, and the page of the demo in it."""

import json
from pathlib import Path

from browser import find_browser, open_browser, prefer
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT_TIMEOUT_S = 30


@pytest.fixture(scope='session')
def demo(tmp_path_factory):
    """Return the page of the demo and its words: [{text, start, end, ...}]."""
    from transcript_manager.cli.main import main  # not before the checkout is off the path

    folder = tmp_path_factory.mktemp('pages')
    page, kept = folder / 'demo.html', folder / 'demo.json'
    session = ['export', str(ROOT / 'test' / 'bags' / 'demo')]
    assert (
        main(
            [
                *session,
                '--format',
                'html',
                '--audio',
                str(ROOT / 'demo' / 'demo.flac'),
                '-o',
                str(page),
            ]
        )
        == 0
    )
    assert main([*session, '--format', 'json', '-o', str(kept)]) == 0
    segments = json.loads(kept.read_text(encoding='utf-8'))['segments']
    return page, [dict(w, segment=n) for n, s in enumerate(segments) for w in s['words']]


@pytest.fixture(scope='session')
def chrome(tmp_path_factory):
    if find_browser() is None:
        pytest.skip('Chromium and chromedriver are not installed')
    with open_browser(tmp_path_factory.mktemp('profile')) as chrome:
        chrome.set_script_timeout(SCRIPT_TIMEOUT_S)
        yield chrome


@pytest.fixture
def watched(chrome):
    """Return the browser; fails if a page wrote to the console or asked for anything."""
    chrome.get_log('browser')
    chrome.get_log('performance')
    prefer(chrome, dark=False)
    yield chrome
    assert chrome.get_log('browser') == []
    events = [json.loads(e['message'])['message'] for e in chrome.get_log('performance')]
    asked = [e['params']['request'] for e in events if e['method'] == 'Network.requestWillBeSent']
    assert asked, 'the log of requests works'
    assert {r['url'].partition(':')[0] for r in asked} <= {'file', 'blob', 'data'}


@pytest.fixture
def page(watched, demo):
    """Return the browser with the demo's page in it."""
    watched.get(demo[0].as_uri())
    return watched
