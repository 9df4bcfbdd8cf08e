"""`transcript plot --stability`: the lives of words as lines, or their delays."""

import json
from pathlib import Path
from xml.etree import ElementTree

from pictures import plot, rows_of, SVG, texts_of
from PIL import Image
import pytest
from scripted import spoken

from transcript_manager.pictures.life import follow
from transcript_manager.streams.bag import read_bag
from transcript_manager.streams.messages import to_decode, to_ns

BAGS = Path(__file__).resolve().parents[1] / 'bags'


def test_each_life_is_a_line_with_its_marks_where_the_windows_were(tmp_path, capsys):

    out = tmp_path / 'out.svg'
    assert plot('--stability', BAGS / 'demo', '-o', out, '--end', '12') == 0
    assert capsys.readouterr() == ('', '')
    messages = list(read_bag(BAGS / 'demo'))
    origin_ns = to_ns(messages[0].header.stamp)
    lives = [
        life
        for life in follow(to_decode(m, origin_ns=origin_ns) for m in messages)
        if life.start_s < 12
    ]
    texts = texts_of(out)
    [(_, time_at)] = rows_of(texts)
    words = sorted((y, t) for t, x, y in texts if t in {life.text.strip() for life in lives})
    assert [t for _, t in words] == [life.text.strip() for life in lives]
    root = ElementTree.parse(out).getroot()
    marks = {}
    for use in root.iter(f'{SVG}use'):
        colour = use.get('style', '').partition('fill: ')[2][:7]
        marks.setdefault(colour, []).append((float(use.get('y')), time_at(float(use.get('x')))))
    top = min(y for y, _ in words) - 10
    for colour, stage in (('#e69f00', 'shown'), ('#0072b2', 'stable'), ('#009e73', 'frozen')):
        drawn = [at_s for y, at_s in sorted(marks[colour]) if y > top]  # not the legend's
        expected = [getattr(life, f'{stage}_s') for life in lives]
        assert drawn == pytest.approx(expected, abs=0.02)


def test_of_many_words_the_delays_are_drawn_with_their_medians(tmp_path):

    truth = spoken(' '.join(f'w{k}' for k in range(400)), from_s=0.1)
    stream = tmp_path / 'a.jsonl'
    with stream.open('w') as file:
        for end in range(1, 175):
            start = max(0, end - 10)
            tokens = [
                {'id': 0, 'text': t, 'p': 0.95, 'start': a, 'end': b}
                for t, a, b in truth
                if start <= a and b <= end
            ]
            segment = {'start': start, 'end': end, 'tokens': tokens}
            entry = {'stamp': start, 'duration': end - start, 'segments': [segment]}
            file.write(json.dumps(entry) + '\n')
    assert plot('--stability', stream, '-o', tmp_path / 'a.svg') == 0
    written = [t for t, *_ in texts_of(tmp_path / 'a.svg') if t]
    # Words end 0.06, 0.26, 0.46, 0.66 and 0.86 s after a window did; what ends in the last
    # 0.15 s of a window is shown by the next one. Stable with the second window that heard it.
    medians = {t.split(':')[0]: float(t.split()[1]) for t in written if t.endswith('(median)')}
    assert medians['shown'] == pytest.approx(0.74, abs=0.011)
    assert medians['stable'] == pytest.approx(1.54, abs=0.011)
    assert medians['frozen'] > 10
    assert 'changed before it was stable: 0 of 400' in written
    assert not any(t.startswith('w1') for t in written)
    assert plot('--stability', stream, '-o', tmp_path / 'a.png') == 0
    assert Image.open(tmp_path / 'a.png').size == (1200, 520)


def test_a_life_can_be_that_of_one_word(tmp_path):
    stream = tmp_path / 'a.jsonl'
    token = {'id': 0, 'text': ' go', 'p': 0.9, 'start': 100.2, 'end': 100.5}
    segment = {'start': 100.0, 'end': 101.0, 'tokens': [token]}
    stream.write_text(json.dumps({'stamp': 100.0, 'duration': 1.0, 'segments': [segment]}) + '\n')
    assert plot('--stability', stream, '-o', tmp_path / 'a.svg') == 0
    written = [t for t, *_ in texts_of(tmp_path / 'a.svg')]
    assert 'go' in written and 'stable: 0.50 s after its end (median)' in written
