"""Pages in a real Chromium, opened from disk: what is seen, heard and pressed."""

import base64
import json
from pathlib import Path
import re

from browser import find_browser, heard_from, listen, offset_s, open_browser, prefer
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
import soundfile

from transcript_manager.cli.main import main
from transcript_manager.export.page.html import to_page
from transcript_manager.result import Result, ResultSegment, ResultWord

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'demo' / 'demo.flac'
RATE_HZ = 16000
TIMEOUT_S = 30
NEAR_S = 0.3
"""A word stays marked for so long after its end."""
FRAME_S = 0.1
"""What is marked may be so late: some frames of a busy machine."""
MAX_OFFSET_S = 0.01
NASTY = '</script><img src=x onerror="alert(1)">'

pytestmark = pytest.mark.skipif(
    find_browser() is None, reason='Chromium and chromedriver are not installed'
)


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """Return the page of the demo and its words: [{text, start, end, ...}]."""
    folder = tmp_path_factory.mktemp('pages')
    page, kept = folder / 'demo.html', folder / 'demo.json'
    session = ['export', str(ROOT / 'test' / 'bags' / 'demo')]
    assert main([*session, '--format', 'html', '--audio', str(DEMO), '-o', str(page)]) == 0
    assert main([*session, '--format', 'json', '-o', str(kept)]) == 0
    segments = json.loads(kept.read_text(encoding='utf-8'))['segments']
    return page, [dict(w, segment=n) for n, s in enumerate(segments) for w in s['words']]


@pytest.fixture(scope='module')
def chrome(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp('profile')) as chrome:
        chrome.set_script_timeout(TIMEOUT_S)
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


def until(chrome, condition, what):
    return WebDriverWait(chrome, TIMEOUT_S, poll_frequency=0.02).until(
        lambda _: condition(), f'{what}: not within {TIMEOUT_S} s'
    )


def by_id(chrome, name):
    return chrome.find_element(By.ID, name)


def press(chrome, *keys):
    ActionChains(chrome).send_keys(*keys).perform()


def marked(chrome):
    """Return the player's time [s] and the number of the word that is marked, or -1."""
    return chrome.execute_script(
        "return [document.querySelector('audio').currentTime, "
        "[...document.querySelectorAll('main .w')].findIndex(w => w.matches('.now'))]"
    )


def is_playing(chrome):
    return chrome.execute_script("return !document.querySelector('audio').paused")


def is_in_view(chrome, element):
    return chrome.execute_script(
        'const box = arguments[0].getBoundingClientRect();'
        "return box.top >= document.querySelector('header').getBoundingClientRect().bottom - 1"
        " && box.bottom <= (document.querySelector('.bar:not([hidden])')"
        '?.getBoundingClientRect().top ?? innerHeight) + 1',
        element,
    )


def word_at(words, at_s):
    """Return the number of the word that is said at a time, -1 in a pause."""
    begun = [n for n, w in enumerate(words) if w['start'] <= at_s + 0.0005]
    if not begun:
        return -1
    return begun[-1] if at_s < words[begun[-1]]['end'] + NEAR_S else -1


def test_the_word_that_is_said_is_marked_while_it_plays(page, demo):
    words = demo[1]
    by_id(page, 'play').click()
    seen = page.execute_async_script(
        """
        const done = arguments[0], seen = [], audio = document.querySelector('audio');
        const words = [...document.querySelectorAll('main .w')];
        const look = () => {
          seen.push([audio.currentTime, words.findIndex((w) => w.matches('.now'))]);
          if (audio.currentTime < 3.5) requestAnimationFrame(look); else done(seen);
        };
        look();
        """
    )
    assert len({at for _, at in seen if at >= 0}) >= 6
    for at_s, at in seen:
        assert at in {word_at(words, at_s), word_at(words, at_s - FRAME_S)}, at_s


@pytest.mark.parametrize('at_s', [0.2, 16.6, 31.0, 48.9])
def test_the_word_that_is_said_is_marked_after_a_seek(page, demo, at_s):
    page.execute_script("document.querySelector('audio').currentTime = arguments[0]", at_s)
    expected = word_at(demo[1], at_s)
    until(page, lambda: marked(page) == [at_s, expected], f'word {expected} at {at_s} s')
    assert (expected < 0) == (at_s == 0.2)


def test_the_audio_is_heard_where_the_page_says_it_is(page):
    original, _ = soundfile.read(DEMO, dtype='float32')
    listen(page, RATE_HZ)
    for at_s in (5.0, 16.6, 40.25):
        heard = heard_from(page, at_s, RATE_HZ // 2)
        assert abs(offset_s(original, at_s, heard, RATE_HZ)) < MAX_OFFSET_S, at_s
    # What hears here is deprecated; its successor loads a script, which the page does not allow.
    told = [e['message'] for e in page.get_log('browser')]
    assert all('ScriptProcessorNode is deprecated' in text for text in told)


def test_the_decoded_audio_is_as_long_as_the_recording_and_at_its_time(page, demo):
    holder = re.search(r'id="audio"[^>]*>([^<]*)<', demo[0].read_text(encoding='utf-8'))[1]
    length, part = page.execute_async_script(
        """
        const [text, rate, done] = arguments;
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        new OfflineAudioContext(1, rate, rate).decodeAudioData(bytes.buffer).then((sound) =>
          done([sound.length, [...sound.getChannelData(0).slice(5 * rate, 7 * rate)]]));
        """,
        holder,
        RATE_HZ,
    )
    original, _ = soundfile.read(DEMO, dtype='float32')
    assert length == pytest.approx(len(original), abs=RATE_HZ / 1000)
    assert len(base64.b64decode(holder)) < 200_000 * len(original) / RATE_HZ / 60
    found = np.correlate(original[4 * RATE_HZ : 8 * RATE_HZ], np.array(part, np.float32))
    assert abs(np.argmax(found) - RATE_HZ) <= RATE_HZ / 1000


def test_a_click_on_a_word_plays_from_there(page, demo):
    word = page.find_elements(By.CSS_SELECTOR, 'main .w')[40]
    word.click()
    until(page, lambda: is_playing(page) and marked(page)[1] >= 40, 'playing')
    at_s, _ = marked(page)
    assert demo[1][40]['start'] <= at_s < demo[1][40]['start'] + 3
    assert by_id(page, 'play').accessible_name == 'Pause'
    by_id(page, 'play').click()
    until(page, lambda: not is_playing(page), 'paused')
    page.find_elements(By.CSS_SELECTOR, 'button.at')[2].click()
    first = next(n for n, w in enumerate(demo[1]) if w['segment'] == 2)
    until(page, lambda: is_playing(page) and marked(page)[1] >= first, 'playing again')
    assert marked(page)[0] < demo[1][first]['start'] + 3


def test_keys_play_and_move(page, demo):
    starts = [w['start'] for w in demo[1]]
    segments = [w['segment'] for w in demo[1]]
    firsts = [segments.index(n) for n in range(13)]
    page.execute_script("document.querySelector('audio').currentTime = arguments[0]", starts[10])
    until(page, lambda: marked(page)[1] == 10, 'word 10')

    def expect(*keys, at):
        press(page, *keys)
        place = [pytest.approx(starts[at], abs=1e-3), at]
        until(page, lambda: marked(page) == place, f'word {at}')

    expect(Keys.ARROW_RIGHT, at=11)
    expect(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, at=12)
    expect(Keys.ARROW_DOWN, at=firsts[segments[12] + 1])
    expect(Keys.ARROW_UP, Keys.ARROW_UP, at=0)
    expect(Keys.ARROW_LEFT, at=0)
    press(page, Keys.SPACE)
    until(page, lambda: is_playing(page), 'playing')
    press(page, Keys.SPACE)
    until(page, lambda: not is_playing(page), 'paused')
    press(page, '?')
    until(page, by_id(page, 'keys').is_displayed, 'help')
    press(page, Keys.ESCAPE)
    until(page, lambda: not by_id(page, 'keys').is_displayed(), 'no help')
    press(page, '/', 'c')
    assert page.switch_to.active_element == by_id(page, 'query')
    assert by_id(page, 'query').get_attribute('value') == 'c'
    assert by_id(page, 'conflicts').get_attribute('aria-pressed') == 'false'


def test_focus_moves_by_word_and_enter_plays(page, demo):
    by_id(page, 'query').send_keys('KITCHEN', Keys.ESCAPE)
    focused = page.switch_to.active_element
    assert focused.text == 'kitchen.'
    assert focused.aria_role == 'button'
    press(page, Keys.ARROW_RIGHT)
    focused = page.switch_to.active_element
    assert focused.text == 'Find'
    assert len(page.find_elements(By.CSS_SELECTOR, 'main .w[tabindex]')) == 1
    press(page, Keys.ENTER)
    until(page, lambda: is_playing(page), 'playing')
    at = next(n for n, w in enumerate(demo[1]) if w['text'] == ' Find')
    assert demo[1][at]['start'] <= marked(page)[0] + 1e-3 < demo[1][at]['start'] + 3


def test_search_counts_marks_and_jumps(page):
    def hits(kind):
        return [e.text for e in page.find_elements(By.CSS_SELECTOR, f'main .{kind}')]

    query, count = by_id(page, 'query'), by_id(page, 'count')
    query.send_keys('RÓBÓT')
    assert hits('hit') == ['Robot,', 'robot,']
    assert (count.text, hits('hit-now')) == ('1 of 2', ['Robot,'])
    query.send_keys(Keys.ENTER)
    assert (count.text, hits('hit-now')) == ('2 of 2', ['robot,'])
    assert is_in_view(page, page.find_element(By.CSS_SELECTOR, '.hit-now'))
    query.send_keys(Keys.ENTER)
    assert count.text == '1 of 2'
    query.send_keys(Keys.SHIFT, Keys.ENTER)
    assert count.text == '2 of 2'
    query.clear()
    query.send_keys('all judgments a hab')
    assert hits('hit') == ['all', 'judgments.', 'A', 'habit']
    assert count.text == '1 of 1'
    query.send_keys('x')
    assert (count.text, hits('hit')) == ('none', [])
    query.send_keys(Keys.CONTROL, 'a', Keys.NULL, Keys.BACKSPACE)
    assert (count.text, hits('hit')) == ('', [])
    assert not by_id(page, 'hit-after').is_enabled()


def test_other_hearings_show_on_demand(page, demo):
    other = page.find_element(By.CSS_SELECTOR, 'main .alt')
    button = by_id(page, 'conflicts')
    assert not other.is_displayed()
    button.click()
    assert other.is_displayed()
    assert button.get_attribute('aria-pressed') == 'true'
    shown = page.find_element(By.TAG_NAME, 'main').text
    assert 'yellow box {Robot} behind {beside} the door' in shown
    press(page, 'c')
    assert not other.is_displayed()


CONTRAST = """
const box = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const parts = (colour) => {
  box.clearRect(0, 0, 1, 1);
  box.fillStyle = colour;
  box.fillRect(0, 0, 1, 1);
  return [...box.getImageData(0, 0, 1, 1).data];
};
const light = (rgb) => rgb.slice(0, 3)
  .map((v) => (v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4))
  .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
document.documentElement.classList.add('with-others');
const word = document.querySelectorAll('main .w')[7];
const found = {};
const check = (name, element) => {
  let below = element;
  const paper = () => parts(getComputedStyle(below).backgroundColor);
  while (below && paper()[3] === 0) below = below.parentElement;
  const two = [light(parts(getComputedStyle(element).color)), light(paper())];
  two.sort((a, b) => b - a);
  found[name] = (two[0] + .05) / (two[1] + .05);
};
for (const kind of ['', 'low', 'low very', 'now', 'hit', 'other']) {
  word.className = `w ${kind}`;
  word.style.transition = 'none';
  check(`word ${kind}`, word);
}
document.getElementById('detail').hidden = false;
for (const name of ['.facts', '.at', '.alt', '#detail', '.clock', '#theme', '#conflicts', '#play',
  '#help', '#query']) {
  check(name, document.querySelector(name));
}
return found;
"""


@pytest.mark.parametrize('dark', [False, True])
def test_colours_follow_the_system_and_the_button_and_can_be_read(watched, demo, dark):
    prefer(watched, dark=dark)
    watched.get(demo[0].as_uri())

    def paper():
        colour = watched.execute_script('return getComputedStyle(document.body).backgroundColor')
        return sum(map(int, re.findall(r'\d+', colour)[:3])) / 3

    button = by_id(watched, 'theme')
    assert (paper() < 60) == dark
    assert button.get_attribute('aria-pressed') == str(dark).lower()
    contrast = watched.execute_script(CONTRAST)
    assert len(contrast) == 16
    assert {name: value for name, value in contrast.items() if value < 4.5} == {}
    button.click()
    assert (paper() < 60) == (not dark)
    assert button.get_attribute('aria-pressed') == str(not dark).lower()


def test_every_control_has_a_name_and_tab_stops_are_few(page):
    kinds = 'button, input, select, dialog, main, section, [role="button"], [role="note"]'
    controls = page.find_elements(By.CSS_SELECTOR, kinds)
    shown = [c for c in controls if c.is_displayed()]
    assert len(shown) > 20
    for control in shown:
        assert control.accessible_name.strip(), control.get_attribute('outerHTML')
    landmarks = ('main', 'header', '.search', '.player')
    roles = [page.find_element(By.CSS_SELECTOR, name).aria_role for name in landmarks]
    assert roles == ['main', 'banner', 'search', 'region']
    stops = []
    for _ in range(30):
        press(page, Keys.TAB)
        element = page.switch_to.active_element
        if element.tag_name == 'body' or element in stops:
            break
        stops.append(element)
        assert float(element.value_of_css_property('outline-width').removesuffix('px')) >= 2
    assert [e.get_attribute('id') or e.text for e in stops] == [
        'query', 'conflicts', 'theme', 'help', '0:00', 'In', 'play', 'seek', 'speed'
    ]  # fmt: skip
    assert not page.find_elements(By.CSS_SELECTOR, 'main [aria-live]')


def test_who_scrolls_away_is_left_there_until_asked_back(page, demo):
    page.execute_cdp_cmd(
        'Emulation.setDeviceMetricsOverride',
        {'width': 390, 'height': 500, 'deviceScaleFactor': 1, 'mobile': False},
    )
    try:
        words = page.find_elements(By.CSS_SELECTOR, 'main .w')
        words[0].click()
        until(page, lambda: marked(page)[1] >= 1, 'playing')
        ActionChains(page).scroll_by_amount(0, 900).perform()
        until(page, lambda: not is_in_view(page, words[0]), 'scrolled')
        until(page, by_id(page, 'back').is_displayed, 'a way back')
        at = marked(page)[1]
        until(page, lambda: marked(page)[1] > at + 1, 'more words')
        assert not is_in_view(page, words[marked(page)[1]])
        by_id(page, 'back').click()
        until(page, lambda: is_in_view(page, words[marked(page)[1]]), 'back')
        assert not by_id(page, 'back').is_displayed()
        page.execute_script(
            "document.querySelector('audio').currentTime = arguments[0]", demo[1][90]['start']
        )
        until(page, lambda: is_in_view(page, words[90]), 'followed')
    finally:
        page.execute_cdp_cmd(
            'Emulation.setDeviceMetricsOverride',
            {'width': 1280, 'height': 900, 'deviceScaleFactor': 1, 'mobile': False},
        )


def made(path, *spoken, language='en', title='A page'):
    """Write a page without audio; a word a second."""
    segments, at = [], 0
    for part in spoken:
        words = tuple(ResultWord(t, at + n, at + n + 0.9, 0.9, 3) for n, t in enumerate(part))
        segments.append(ResultSegment(words[0].start_s, words[-1].end_s, ''.join(part), words))
        at += len(part)
    path.write_text(to_page(Result(language, segments), title=title), encoding='utf-8')
    return path.as_uri()


def test_text_from_right_to_left_and_markup_in_it_are_text(watched, tmp_path):
    hebrew = (
        ' \u05e9\u05c1\u05dc\u05d5\u05b9\u05dd',
        ' \u05e2\u05d5\u05dc\u05dd',
        ' \u05d8\u05d5',
    )
    watched.get(made(tmp_path / 'page.html', hebrew, (' ' + NASTY,), title=NASTY))
    assert watched.title == NASTY
    assert watched.find_elements(By.TAG_NAME, 'img') == []
    paragraphs = watched.find_elements(By.CSS_SELECTOR, 'main p')
    assert [p.value_of_css_property('direction') for p in paragraphs] == ['rtl', 'ltr']
    words = watched.find_elements(By.CSS_SELECTOR, 'main .w')
    assert words[0].rect['x'] > words[1].rect['x'] > words[2].rect['x']
    words[0].click()
    press(watched, Keys.ARROW_LEFT)
    assert watched.switch_to.active_element == words[1]
    by_id(watched, 'query').send_keys('\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc')
    assert by_id(watched, 'count').text == '1 of 1'


def test_ten_thousand_words_are_searched_and_walked(watched, tmp_path):
    parts = [tuple(f' w{10 * n + k}' for k in range(10)) for n in range(1000)]
    watched.get(made(tmp_path / 'page.html', *parts))
    by_id(watched, 'query').send_keys('w9876')
    assert by_id(watched, 'count').text == '1 of 1'
    word = watched.find_element(By.CSS_SELECTOR, 'main .hit-now')
    until(watched, lambda: is_in_view(watched, word), 'found word in view')
    press(watched, Keys.ESCAPE, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert watched.switch_to.active_element.text == 'w9881'
    assert 'also heard' not in by_id(watched, 'detail').text
    assert '9881.00\u20139881.90 s' in by_id(watched, 'detail').text


def test_the_text_can_be_read_without_javascript(watched, demo):
    watched.execute_cdp_cmd('Emulation.setScriptExecutionDisabled', {'value': True})
    try:
        watched.get(demo[0].as_uri())
        text = watched.find_element(By.TAG_NAME, 'main').text
        assert 'Find the yellow box behind the door' in text
        assert watched.find_element(By.CLASS_NAME, 'note').is_displayed()
        assert not by_id(watched, 'query').is_displayed()
        assert not by_id(watched, 'play').is_displayed()
    finally:
        watched.execute_cdp_cmd('Emulation.setScriptExecutionDisabled', {'value': False})
