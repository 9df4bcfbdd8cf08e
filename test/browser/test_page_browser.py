"""A page in a real Chromium, opened from disk: what is seen, found and told."""

import re

from browser import prefer
from pages import by_id, is_in_view, press, until
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from transcript_manager.export.page.html import to_page
from transcript_manager.result import Result, ResultSegment, ResultWord

NASTY = '</script><img src=x onerror="alert(1)">'


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


def test_a_page_without_words_does_nothing_wrong(watched, tmp_path):
    watched.get(made(tmp_path / 'page.html'))
    press(watched, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.SPACE)
    by_id(watched, 'query').send_keys('robot', Keys.ENTER, Keys.ESCAPE)
    assert by_id(watched, 'count').text == 'none'


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
