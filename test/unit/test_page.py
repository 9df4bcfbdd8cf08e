"""A session as a page: read back by html5lib and soundfile, as a browser would."""

import base64
import hashlib
import io
import json
import math
from pathlib import Path
import re

from bag_tools import audio_chunks, NS_PER_S, TOKENS, typestore, write_bag
import html5lib
import numpy as np
import pytest
from rosbags.rosbag2 import Reader
import soundfile

from transcript_manager.cli.main import main
from transcript_manager.errors import AudioSourceError
from transcript_manager.export.formats import Options, render
from transcript_manager.export.page.audio import embed, open_audio
from transcript_manager.export.page.html import page_clock, to_page
from transcript_manager.result import Result, ResultSegment, ResultWord

ROOT = Path(__file__).resolve().parents[2]
BAGS = ROOT / 'test' / 'bags'
DEMO = ROOT / 'demo' / 'demo.flac'
RATE_HZ = 16000
MAX_OFFSET = 16
"""Samples: 1 ms."""
NASTY = '</script><img src=x onerror="alert(1)">\'&amp;--><!--'


def words(*texts, probability=0.9, conflicts=()):
    return tuple(
        ResultWord(text, n + 0.125, n + 0.875, probability, 3, conflicts)
        for n, text in enumerate(texts)
    )


def session(*spoken, language='en'):
    segments = [ResultSegment(0.0, 9.0, ''.join(w.text for w in part), part) for part in spoken]
    return Result(language, segments)


def parsed(page):
    """Parse as browsers do; whatever is no correct HTML fails."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


def by_class(tree, name):
    return [e for e in tree.iter() if name in str(e.get('class', '')).split()]


def by_id(tree, name):
    return next((e for e in tree.iter() if e.get('id') == name), None)


def text_of(element):
    return ''.join(element.itertext())


def paragraphs(tree):
    return [p for s in by_class(tree, 'segment') for p in s.iter('p')]


def said(paragraph):
    """Return what is written without the other hearings."""
    for child in list(paragraph):
        if child.get('class') == 'alt':
            child.text = ''
    return text_of(paragraph)


def audio_of(page):
    """Return float64 samples, shape (n,), of the audio in a page."""
    holder = by_id(parsed(page), 'audio')
    data = base64.b64decode(text_of(holder), validate=True)
    samples, rate_hz = soundfile.read(io.BytesIO(data))
    assert rate_hz == RATE_HZ
    return samples


def offset(original, heard):
    """Return by how many samples what is heard comes late."""
    size = 1 << (len(original) + len(heard)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(original, size))
    at = int(np.argmax(np.fft.irfft(spectrum, size)))
    return at if at < size // 2 else at - size


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """Return the page of the demo, and the same session as JSON."""
    folder = tmp_path_factory.mktemp('page')
    page, kept = folder / 'demo.html', folder / 'demo.json'
    session = ['export', str(BAGS / 'demo')]
    assert main([*session, '--format', 'html', '--audio', str(DEMO), '-o', str(page)]) == 0
    assert main([*session, '--format', 'json', '-o', str(kept)]) == 0
    return page.read_text(encoding='utf-8'), json.loads(kept.read_text(encoding='utf-8'))


def test_every_word_is_there_with_its_times(demo):
    page, kept = demo
    expected = [
        (w['text'].strip(), w['start'], w['end'], w['probability'], w['occurrences'])
        for s in kept['segments']
        for w in s['words']
    ]
    found = [
        (text_of(w), *(float(w.get(f'data-{key}')) for key in 'sep'), int(w.get('data-n')))
        for p in paragraphs(parsed(page))
        for w in by_class(p, 'w')
    ]
    assert len(found) == 122
    assert found == expected


def test_the_text_reads_as_it_was_said(demo):
    page, kept = demo
    assert [said(p) for p in paragraphs(parsed(page))] == [
        s['text'].strip() for s in kept['segments']
    ]


def test_the_audio_is_all_there_and_at_its_time(demo):
    original, _ = soundfile.read(DEMO)
    heard = audio_of(demo[0])
    assert len(heard) == pytest.approx(len(original), abs=MAX_OFFSET)
    assert abs(offset(original, heard)) <= MAX_OFFSET
    minutes = len(original) / RATE_HZ / 60
    assert len(demo[0]) / minutes < 300_000


def test_other_hearings_are_there_without_those_of_case_and_punctuation(demo):
    page, kept = demo
    all_words = [w for s in kept['segments'] for w in s['words']]
    heard = {w['text'].strip(): w['conflicts'] for w in all_words if 'conflicts' in w}
    assert heard['behind'] == [[' beside', 1]]
    assert heard['consequence,'] == [[' Consequence', 1]]
    tree = parsed(page)
    told = {text_of(e) for p in paragraphs(tree) for e in by_class(p, 'alt')}
    assert ' {beside}' in told
    assert not any('Consequence' in text for text in told)
    marked = next(w for w in by_class(tree, 'other') if text_of(w) == 'behind')
    assert marked.get('title') == 'also heard: beside (in 1 window)'
    uncertain = {text_of(w) for p in paragraphs(tree) for w in by_class(p, 'low')}
    assert uncertain == {w['text'].strip() for w in all_words if w['probability'] < 0.7}


def test_several_hearings_stand_in_braces():
    word = ResultWord(' six', 0.0, 1.0, 0.4, 5, ((' 6', 2), (' sick', 1), (' Six.', 1), (' ', 1)))
    assert word.others == ((' 6', 2), (' sick', 1))
    tree = parsed(to_page(session((word,))))
    assert text_of(paragraphs(tree)[0]) == 'six {6|sick}'
    found = by_class(paragraphs(tree)[0], 'w')[0]
    assert set(found.get('class').split()) == {'w', 'low', 'very', 'other'}


def test_nothing_is_loaded_from_anywhere(demo):
    page, _ = demo
    assert not re.search(r'(?i)\b(https?|ftp|wss?):|//[a-z]', page.split('id="audio"')[0])
    tree = parsed(page)
    for element in tree.iter():
        for name in ('src', 'href', 'srcset', 'action', 'data', 'style', 'onclick', 'onload'):
            assert element.get(name) is None, element.tag
    policy = next(e.get('content') for e in tree.iter('meta') if e.get('http-equiv'))
    rules = dict(rule.strip().split(' ', 1) for rule in policy.split(';'))
    assert rules['default-src'] == "'none'"
    assert rules['media-src'] == 'blob:'
    assert 'unsafe' not in policy
    scripts = [text_of(e) for e in tree.iter('script') if e.get('type') is None]
    styles = [text_of(e) for e in tree.iter('style')]
    for (text,), rule in ((scripts, 'script-src'), (styles, 'style-src')):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_what_was_said_cannot_become_markup():
    conflicts = ((' ' + NASTY, 1),)
    spoken = words(' ' + NASTY, ' bell\a', ' half\ud800', conflicts=conflicts)
    page = render(session(spoken, language=NASTY), 'html', Options(title=NASTY))
    page.encode('utf-8')
    tree = parsed(page)
    assert not list(tree.iter('img'))
    assert text_of(next(tree.iter('title'))) == NASTY
    assert text_of(next(tree.iter('h1'))) == NASTY
    assert f'{{{NASTY}}}' in text_of(by_class(tree, 'alt')[0])
    assert said(paragraphs(tree)[0]) == f'{NASTY} bell\ufffd half\ufffd'
    assert len(list(tree.iter('script'))) == 1
    assert by_id(tree, 'transcript').get('lang') is None


def test_any_script_and_direction_is_kept():
    hebrew, cafe = words(' שלום', ' עולם'), words(' cafe\u0301', ' नमस्ते', '。')
    tree = parsed(to_page(session(hebrew, cafe, words('日', '本', '語'), language='he')))
    assert [text_of(p) for p in paragraphs(tree)] == ['שלום עולם', 'cafe\u0301 नमस्ते。', '日本語']
    assert {p.get('dir') for p in paragraphs(tree)} == {'auto'}
    assert {p.get('lang') for p in paragraphs(tree)} == {'he'}


def test_controls_have_names_and_few_are_tab_stops(demo):
    tree = parsed(demo[0])
    times = [b for b in tree.iter('button') if b.get('class') == 'at']
    assert len(times) == 13
    assert [b.get('tabindex') for b in times] == ['0'] + ['-1'] * 12
    assert times[3].get('aria-label') == f'Play from {text_of(times[3])}'
    assert not [w for w in by_class(tree, 'w') if w.get('tabindex')]
    for button in tree.iter('button'):
        assert button.get('aria-label') or text_of(button).strip()


def test_without_audio_there_is_no_player(capsys, tmp_path):
    out = tmp_path / 'page.html'
    assert main(['export', str(BAGS / 'second'), '--format', 'html', '-o', str(out)]) == 0
    assert '--audio FILE' in capsys.readouterr().err
    tree = parsed(out.read_text(encoding='utf-8'))
    assert by_id(tree, 'audio') is None
    assert by_id(tree, 'play') is None
    assert by_id(tree, 'query') is not None
    assert not [b for b in tree.iter('button') if b.get('class') == 'at']
    assert len([w for p in paragraphs(tree) for w in by_class(p, 'w')]) == 94


def test_the_same_session_makes_the_same_page(tmp_path):
    pages = []
    for name in 'ab':
        out = tmp_path / name
        arguments = ['export', str(BAGS / 'spoken_mcap'), '--format', 'html', '-o', str(out)]
        assert main(arguments) == 0
        pages.append(out.read_bytes())
    assert pages[0] == pages[1]


def test_words_without_probability_and_windows_say_nothing_of_them():
    unknown = (ResultWord(' so', 0.0, 0.5, math.nan, 0),)
    word = by_class(paragraphs(parsed(to_page(session(unknown))))[0], 'w')[0]
    assert word.get('data-p') is None
    assert word.get('data-n') is None
    assert word.get('class') == 'w'


@pytest.mark.parametrize(
    ('seconds', 'text'), [(0, '0:00'), (59.99, '0:59'), (600, '10:00'), (3725.5, '1:02:05')]
)
def test_times_tell_the_second_in_which_they_are(seconds, text):
    assert page_clock(seconds) == text


def recorded(target, samples, *, without_audio_s=0.0, without_windows=0):
    """Write a bag of tokens and audio of one stream, in which one of them begins late."""
    store = typestore()
    with Reader(BAGS / 'second') as reader:
        windows = [('/tokens', TOKENS, at_ns, data) for _, at_ns, data in reader.messages()]
    stamps = [store.deserialize_cdr(w[3], TOKENS).header.stamp for w in windows]
    starts_ns = [stamp.sec * NS_PER_S + stamp.nanosec for stamp in stamps]
    chunks = audio_chunks(store, samples, start_ns=starts_ns[0])
    chunks = chunks[round(without_audio_s * 10) :]
    write_bag(target, chunks + windows[without_windows:], store=store)
    return (starts_ns[without_windows] - starts_ns[0]) / NS_PER_S


@pytest.mark.parametrize('late', [{'without_audio_s': 1.2}, {'without_windows': 15}])
def test_audio_of_a_bag_is_at_its_time_wherever_the_recording_began(tmp_path, late):
    bag, out = tmp_path / 'bag', tmp_path / 'page.html'
    original, _ = soundfile.read(ROOT / 'demo' / 'second.flac', dtype='int16')
    begin_s = recorded(bag, original, **late)
    assert (begin_s > 3) == ('without_windows' in late)
    assert main(['export', str(bag), '--format', 'html', '-o', str(out)]) == 0
    heard = audio_of(out.read_text(encoding='utf-8'))
    assert offset(original / 32768, heard) == pytest.approx(-begin_s * RATE_HZ, abs=MAX_OFFSET)


def failing(capsys, *arguments):
    assert main(['export', *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.count('\n') == 1
    return captured.err


def test_a_recording_that_is_too_short_is_refused(capsys, tmp_path):
    out = tmp_path / 'page.html'
    short = ROOT / 'demo' / 'second.flac'
    arguments = [BAGS / 'demo', '--format', 'html', '--audio', short, '-o', out]
    told = failing(capsys, *arguments)
    assert 'second.flac is 34.1 s long, the transcript goes to 49.8 s' in told
    assert 'is it the right recording?' in told
    assert not list(tmp_path.iterdir())


def test_audio_that_cannot_be_used_is_refused(capsys, tmp_path):
    bag, out = BAGS / 'demo', tmp_path / 'page.html'
    noise = tmp_path / 'noise.wav'
    noise.write_bytes(b'no sound' * 100)
    html = ['--format', 'html', '-o', out, '--audio']
    assert 'no such file' in failing(capsys, bag, *html, tmp_path / 'none.wav')
    assert 'not a sound file' in failing(capsys, bag, *html, noise)
    assert 'holds tokens and no audio' in failing(capsys, bag, *html, bag)
    assert 'is for bags' in failing(capsys, bag, *html, DEMO, '--audio-topic', 'audio')
    assert '--format html' in failing(capsys, bag, '--format', 'srt', '--audio', DEMO)
    copy = tmp_path / 'copy.flac'
    copy.write_bytes(DEMO.read_bytes())
    assert 'is read too' in failing(capsys, bag, '--format', 'html', '--audio', copy, '-o', copy)
    assert copy.read_bytes() == DEMO.read_bytes()
    assert not out.exists()


def test_the_length_is_checked_when_the_file_does_not_tell_it(tmp_path):
    path = tmp_path / 'tone.mp3'
    soundfile.write(path, np.sin(np.arange(RATE_HZ * 2) / 9), RATE_HZ)
    with open_audio(path) as source, pytest.raises(AudioSourceError, match='is 2.. s long'):
        embed(source, end_s=3.0)
    with open_audio(path) as source:
        assert embed(source, end_s=2.4).duration_s == pytest.approx(2.0, abs=0.2)
