"""`transcript plot`: sessions over their sound, read back by others than those who drew them."""

import json
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
import matplotlib
import numpy as np
from pictures import placed, plot, save_session, save_short, save_sound, SVG, texts_of, word
from PIL import Image
import pytest
import soundfile

from transcript_manager.cli.main import main
from transcript_manager.pictures import fonts, mel
from transcript_manager.pictures.lanes import place_texts

ROOT = Path(__file__).resolve().parents[2]
BAGS = ROOT / 'test' / 'bags'
GREY = (0xA8, 0xA8, 0xA8)


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """Return the demo speech and a session of it, from its recorded tokens."""
    session = tmp_path_factory.mktemp('demo') / 'demo.json'
    assert main(['export', str(BAGS / 'demo'), '--format', 'json', '-o', str(session)]) == 0
    return ROOT / 'demo' / 'demo.flac', session


@pytest.fixture
def short(tmp_path):
    """Return four seconds of noise and a session in it."""
    return save_short(tmp_path)


def test_each_word_is_over_its_own_time_and_there_once(demo, tmp_path, capsys):
    sound, session = demo
    out = tmp_path / 'out.svg'
    assert plot(sound, session, '-o', out, '--row-s', '5') == 0
    segments = json.loads(session.read_text())['segments']
    words = [w for s in segments for w in s['words']]
    found = placed(out, {w['text'].strip() for w in words})
    assert len(words) > 100
    assert [t for t, *_ in sorted(found, key=lambda f: f[1])] == [w['text'].strip() for w in words]
    for said, (_, at_s, _) in zip(words, sorted(found, key=lambda f: f[1]), strict=True):
        assert said['start'] - 0.02 <= at_s <= said['end'] + 0.02
    assert capsys.readouterr() == ('', '')


def test_a_picture_is_of_its_size_not_blank_and_the_same_again(demo, tmp_path):
    sound, session = demo
    files = [tmp_path / name for name in ('a.png', 'b.png', 'a.svg', 'b.svg', 'a.pdf', 'b.pdf')]
    for out in files:
        assert plot(sound, session, '-o', out, '--end', '8', '--row-s', '5') == 0
    for one, other in zip(files[::2], files[1::2], strict=True):
        assert one.read_bytes() == other.read_bytes()
    with Image.open(files[0]) as image:
        assert image.width == 1400 and 300 < image.height < 600
        assert len(image.convert('RGB').getcolors(1 << 24)) > 40
    assert b'matplotlib' not in files[0].read_bytes().lower()
    assert b'dc:date' not in files[2].read_bytes()
    assert files[4].read_bytes().startswith(b'%PDF')


def test_the_words_are_where_the_sound_is(demo):
    """Inside the words it is loud, outside it is not, and nowhere else they would fit as well."""
    sound, session = demo
    samples = soundfile.read(sound, dtype='int16')[0]
    padded = np.concatenate([np.zeros(200, np.int16), samples, np.zeros(200, np.int16)])
    loudness_db = mel.log_mel(padded).mean(axis=1)
    words = [w for s in json.loads(session.read_text())['segments'] for w in s['words']]

    def contrast_db(shift_s):
        at_s = np.arange(len(loudness_db)) * mel.HOP_S - shift_s
        inside = np.zeros(len(at_s), bool)
        for w in words:
            inside |= (w['start'] <= at_s) & (at_s < w['end'])
        return loudness_db[inside].mean() - loudness_db[~inside].mean()

    assert contrast_db(0) > 20
    for shift_s in (-0.3, 0.3):
        assert contrast_db(shift_s) < contrast_db(0) - 5
    assert contrast_db(0) > max(contrast_db(s) for s in (-0.1, 0.1))


def test_the_columns_of_a_picture_are_those_of_the_sound(tmp_path):
    """A click at 1.5 s is brightest there, measured in the pixels below the words."""
    samples = np.zeros(16000 * 4)
    samples[24000:24080] = np.random.default_rng(3).normal(0, 0.3, 80)
    soundfile.write(tmp_path / 'click.wav', samples, 16000)
    session = save_session(tmp_path / 's.json', [word('click', 3.0, 3.2)])
    out = tmp_path / 'out.png'
    assert plot(tmp_path / 'click.wav', session, '-o', out) == 0
    image = np.asarray(Image.open(out).convert('L'), dtype=float)
    band = image[-100:-40]  # above the labels of the time axis
    left, right = 52, 1400 - 26
    brightest = left + int(band[:, left : right - 400].mean(axis=0).argmax())
    at_s = (brightest - left) / (right - left) * 4
    assert at_s == pytest.approx(1.5025, abs=0.02)


def test_an_unknown_probability_is_grey_and_a_known_one_is_not(short, tmp_path):
    sound, session = short

    def grey_pixels(path):
        pixels = np.asarray(Image.open(path).convert('RGB'))
        return int((pixels == GREY).all(axis=2)[48:].sum())  # below the legend

    assert plot(sound, session, '-o', tmp_path / 'a.png') == 0
    known = save_session(tmp_path / 'k.json', [word('one', 0.5, 1.0), word('two', 1.2, 2.0)])
    assert plot(sound, known, '-o', tmp_path / 'b.png') == 0
    width = 0.8 / 4 * (1400 - 52 - 26)  # of 'two'
    assert grey_pixels(tmp_path / 'a.png') == pytest.approx(9 * width, rel=0.1)
    assert grey_pixels(tmp_path / 'b.png') < 20  # of the edges of letters


def test_conflicts_are_marked(tmp_path, short):
    sound, _ = short
    counts = []
    for name, conflicts in (('plain', None), ('disputed', [['won', 2]])):
        session = save_session(tmp_path / f'{name}.json', [word('one', 1, 2, 0.9, conflicts)])
        assert plot(sound, session, '-o', tmp_path / f'{name}.svg') == 0
        root = ElementTree.parse(tmp_path / f'{name}.svg').getroot()
        uses = [u for u in root.iter(f'{SVG}use') if 'fill: #ffffff' in u.get('style', '')]
        counts.append(len(uses))
    assert counts == [1, 2]  # one is in the legend


@pytest.mark.parametrize(
    'texts',
    [
        ['שלום', 'עולם'],
        ['مرحبا', 'بالعالم'],
        ['cafe\u0301', 'a\u0323\u0301'],
        ['$x_1$', '<b>&'],
        ['a\\b{', '5%'],
        ['\U0001f600', 'ok'],
        ['日本', '語'],
        ['x' * 300, 'y'],
        ['new\nline', 'tab\there'],
        ['\u0645\u06cc\u200c\u062e', '\U0001f469\u200d\U0001f680x'],
        ['nul\0nul', 'half\ufffe'],
    ],
)
def test_any_text_is_written_as_it_is(texts, short, tmp_path, capsys):
    sound, _ = short
    session = save_session(tmp_path / 'a.json', [word(texts[0], 1, 2), word(texts[1], 2.5, 3)])
    for kind in ('svg', 'png'):
        assert plot(sound, session, '-o', tmp_path / f'out.{kind}') == 0
    written = [t for t, *_ in texts_of(tmp_path / 'out.svg')]
    for text in texts:
        expected = ' '.join(text.translate(dict.fromkeys((0, 0xD800, 0xFFFE), '\ufffd')).split())
        assert (expected if len(expected) <= 40 else expected[:39] + '…') in written
    errors = capsys.readouterr().err.splitlines()
    assert all('no installed font has these characters' in line for line in errors)


def test_characters_without_a_font_are_told_once(short, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fonts.font_manager, 'findSystemFonts', lambda: [])
    sound, _ = short
    session = save_session(tmp_path / 'a.json', [word('日本', 1, 2), word('日', 2.5, 3)])
    assert plot(sound, session, '-o', tmp_path / 'out.png') == 0
    assert capsys.readouterr().err == (
        'transcript: no installed font has these characters, they are drawn as boxes: 日 本\n'
    )


def test_an_old_matplotlib_says_that_it_cannot_write_from_right_to_left(
    short, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(matplotlib, '__version_info__', (3, 10, 9))
    sound, latin = short
    hebrew = save_session(tmp_path / 'a.json', [word('שלום', 1, 2), word('עולם', 2.5, 3)])
    for session, name, notes in ((hebrew, 'a.png', 1), (hebrew, 'a.svg', 0), (latin, 'b.png', 0)):
        assert plot(sound, session, '-o', tmp_path / name) == 0
        assert capsys.readouterr().err.count('in the wrong order; 3.11') == notes


def test_words_without_length_on_one_spot_and_at_the_end_are_there(short, tmp_path):
    sound, _ = short
    words = [word(f'w{k}', 2.0, 2.0) for k in range(4)] + [word('end', 4.0, 4.0)]
    session = save_session(tmp_path / 'a.json', words)
    assert plot(sound, session, '-o', tmp_path / 'out.svg') == 0
    found = placed(tmp_path / 'out.svg', {'w0', 'w1', 'w2', 'w3', 'end'})
    assert len(found) == 5
    spot = [(at_s, y) for text, at_s, y in found if text != 'end']
    assert len({y for _, y in spot}) == 4  # above each other
    assert all(at_s == pytest.approx(2.0, abs=0.01) for at_s, _ in spot)


def test_a_session_of_one_word_and_a_sound_shorter_than_a_row(tmp_path):
    sound = save_sound(tmp_path / 'a.wav', 0.8)
    session = save_session(tmp_path / 'a.json', [word('stop', 0.2, 0.6)])
    assert plot(sound, session, '-o', tmp_path / 'out.svg') == 0
    [(_, at_s, _)] = placed(tmp_path / 'out.svg', {'stop'})
    assert 0.2 <= at_s <= 0.6


def test_a_long_session_is_in_several_pictures_and_every_word_in_one(tmp_path, capsys):
    sound = save_sound(tmp_path / 'long.wav', 400)
    words = [word(f'n{k}', k + 0.2, k + 0.6) for k in range(400)]
    session = save_session(tmp_path / 'a.json', words[:250], words[250:])
    out = tmp_path / 'out.svg'
    assert plot(sound, session, '-o', out) == 0
    assert (
        capsys.readouterr().err == f'transcript: 2 pictures: {tmp_path}/out-01.svg to out-02.svg\n'
    )
    found = []
    for number, count in ((1, 300), (2, 100)):
        part = placed(tmp_path / f'out-0{number}.svg', {f'n{k}' for k in range(400)})
        assert len(part) == count
        found += part
    for text, at_s, _ in found:
        assert int(text[1:]) + 0.2 <= at_s <= int(text[1:]) + 0.6
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'a.json',
        'long.wav',
        'out-01.svg',
        'out-02.svg',
    ]


def test_a_stretch_is_what_is_asked_for(demo, tmp_path):
    sound, session = demo
    assert plot(sound, session, '-o', tmp_path / 'a.svg', '--start', '12.5', '--end', '20') == 0
    words = [w for s in json.loads(session.read_text())['segments'] for w in s['words']]
    middles = {w['text'].strip(): (w['start'] + w['end']) / 2 for w in words}
    found = placed(tmp_path / 'a.svg', set(middles))
    inside = [w for w in words if 12.5 <= (w['start'] + w['end']) / 2 < 20]
    assert len(found) == len(inside) > 10


def test_a_bag_is_drawn_over_its_own_sound(tmp_path):
    bag = BAGS / 'spoken_mcap'
    assert plot(bag, bag, '-o', tmp_path / 'a.png') == 0
    assert Image.open(tmp_path / 'a.png').width == 1400


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.floats(1, 300)), max_size=40),
    st.integers(1, 10),
)
def test_texts_never_touch_and_never_leave_the_picture(words, max_lanes):
    words.sort()
    places = place_texts(
        [m for m, _ in words],
        [w for _, w in words],
        low=0,
        high=1000,
        gap=5,
        max_lanes=max_lanes,
    )
    spans = [
        (p.lane, p.middle - w / 2, p.middle + w / 2)
        for p, (_, w) in zip(places, words, strict=True)
    ]
    for k, (lane, start, end) in enumerate(spans):
        assert -1 <= lane < max_lanes
        assert start >= -1e-9 and end <= 1000 + 1e-9
        for other, its_start, its_end in spans[:k]:
            if lane == other >= 0:
                assert start >= its_end + 5 - 1e-9 or its_start >= end + 5 - 1e-9
