"""`transcript score` over many files: how it counts, and what it writes."""

import math
from pathlib import Path
import random
import time

import jiwer
import numpy as np
import pytest
from rich.cells import cell_len
from score_desk import ScoreDesk

from transcript_manager.evaluation.scoring import Item, LENGTHS, score
from transcript_manager.evaluation.tables import shortened, to_text
from transcript_manager.evaluation.wer import normalise

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    """Files in a folder, and the command run there."""
    monkeypatch.chdir(tmp_path)
    return ScoreDesk(tmp_path, capsys)


def names(value):
    return [file['name'] for file in value['files']]


# -- counting -----------------------------------------------------------------------------------


def test_counts_worked_out_by_hand(desk):
    desk.write('refs/a.txt', 'Go home, now!')
    desk.write('hyps/a.json', {'text': ' go hum now then', 'segments': []})  # 1 of 3, 1 inserted
    desk.write('refs/b.txt', 'one two three four five six seven')
    desk.write('hyps/b.txt', 'one two three four five')  # 2 deleted of 7
    found = desk.value('refs', 'hyps')
    counts = (found['substitutions'], found['deletions'], found['insertions'], found['words'])
    assert counts == (1, 2, 1, 10)
    assert found['wer'] == pytest.approx(4 / 10)  # every word counts the same
    assert found['mean_wer'] == pytest.approx((2 / 3 + 2 / 7) / 2, abs=1e-6)  # every file does
    assert names(found) == ['a', 'b']  # worst first
    # go_home_now -> go_hum_now_then: o-u, -e, +_then; "_six_seven" of 33
    assert found['characters'] == 11 + 33
    assert found['cer'] == pytest.approx((2 + 5 + 10) / 44, abs=1e-6)
    assert [(g['words_in_reference'], g['files'], g['words']) for g in found['lengths']] == [
        ('1-5', 1, 3),
        ('6-10', 1, 7),
    ]
    assert found['confusions'] == {
        'substitutions': [{'reference': 'home', 'hypothesis': 'hum', 'count': 1}],
        'deletions': [{'word': 'seven', 'count': 1}, {'word': 'six', 'count': 1}],
        'insertions': [{'word': 'then', 'count': 1}],
    }
    assert found['wer_interval'] is None  # of two files it would say nothing


def some_items(files, words, seed=5):
    """Make pairs with errors of all kinds; the last hypothesis is empty."""
    random.seed(seed)
    known = [f'w{k}' for k in range(500)]
    items = []
    for k in range(files):
        said = [random.choice(known) for _ in range(words)]
        heard = [random.choice(known) if random.random() < 0.1 else w for w in said]
        heard = [w for w in heard for _ in range(random.choice((0, *[1] * 18, 2)))]
        items.append(Item(f'file {k:03}', said, heard if k < files - 1 else [], 'en'))
    return items


def test_the_total_is_what_jiwer_says_of_all_pairs():
    items = some_items(40, 30)
    expected = jiwer.process_words(
        [' '.join(i.reference) for i in items], [' '.join(i.hypothesis) for i in items]
    )
    characters = jiwer.process_characters(
        [' '.join(i.reference) for i in items], [' '.join(i.hypothesis) for i in items]
    )
    found = score(items)
    total = found.total.words
    assert (total.hits, total.substitutions, total.deletions, total.insertions) == (
        expected.hits,
        expected.substitutions,
        expected.deletions,
        expected.insertions,
    )
    assert total.rate == pytest.approx(expected.wer)
    assert found.total.characters.rate == pytest.approx(characters.cer)
    for file in found.files:
        rate = jiwer.wer(' '.join(file.item.reference), ' '.join(file.item.hypothesis))
        assert file.words.rate == pytest.approx(rate)
    assert found.mean_wer == pytest.approx(np.mean([f.words.rate for f in found.files]))
    assert found.files[0].item.name == 'file 039' and found.files[0].words.rate == 1


def test_rows_add_up_to_the_total():
    items = [
        Item(str(k), ['a'] * k, ['a'] * (k // 2), ('en', 'de', '')[k % 3]) for k in range(1, 130)
    ]
    found = score(items)
    for groups in (found.languages, found.lengths):
        assert sum(g.files for g in groups) == 129
        for part in ('reference', 'hits', 'substitutions', 'deletions', 'insertions'):
            total = getattr(found.total.words, part)
            assert sum(getattr(g.words, part) for g in groups) == total
    assert [g.label for g in found.languages] == ['de', 'en', '']
    sizes = [high - low + 1 for low, high in LENGTHS[1:-1]]
    assert [g.files for g in found.lengths] == [*sizes, 29]
    assert [g.label for g in found.lengths][-2:] == ['51-100', '> 100']


def test_the_interval_is_where_rates_of_drawn_corpora_lie():
    items = some_items(60, 20)
    low, high = score(items).interval
    assert low < score(items).total.words.rate < high
    assert score(items[::-1]).interval == (low, high)  # seeded, whatever the order
    # As the normal approximation of a ratio has it (Cochran 1977, section 2.11).
    files = score(items).files
    errors = np.array([f.words.count for f in files])
    words = np.array([f.words.reference for f in files])
    rate = errors.sum() / words.sum()
    half = 1.96 * np.std(errors - rate * words, ddof=1) * math.sqrt(len(files)) / words.sum()
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)
    same = score([Item(str(k), ['a', 'b'], ['a', 'c']) for k in range(5)])
    assert same.interval == (0.5, 0.5)
    assert score(items[:4]).interval is None


# -- what is written ----------------------------------------------------------------------------


def test_tables_are_aligned_in_80_columns(desk):
    long = 'kitchen/' + 'with-the-window-open-' * 6 + 'end'
    for k, name in enumerate(('a', long, '録音' * 30, 'new\nline\x1b[31m')):
        desk.write(f'refs/{name}.txt', 'go home now ' * 5)
        desk.write(f'hyps/{name}.txt', 'go home now ' * (5 - k))
    _, out, _ = desk.run('refs', 'hyps', '--worst', '3')
    lines = out.splitlines()
    assert out.endswith('\n') and lines[0].startswith('WER ') and lines[1].startswith('CER ')
    rows = [line for line in lines if line[-1:].isdigit() or line.endswith('ins')]
    assert len(rows) == 2 + 2 + 1 + 3 and {cell_len(row) for row in rows} == {80}
    assert lines[-1] == 'and 1 more: --worst 4 shows all' and '\x1b' not in out
    assert any(line.startswith('kitchen/with') and '\u2026' in line for line in lines)
    _, out, _ = desk.run('refs', 'hyps', '--worst', '0')
    assert 'worst' not in out and out.splitlines()[-1].startswith('11-20 ')


def test_names_are_shortened_in_the_middle():
    assert shortened('abcdefghij', 10) == 'abcdefghij'
    assert shortened('abcdefghijk', 8) == 'abcd\u2026ijk'
    assert shortened('日本語日本語', 9) == '日本\u2026本語'


def test_the_normalised_texts_are_shown(desk):
    desk.write('refs/a.txt', 'Go HOME (now)!')
    desk.write('hyps/a.txt', 'go, hum')
    desk.write('refs/b.txt', '你好。')
    desk.write('hyps/b.txt', '你 好')
    _, out, _ = desk.run('refs/a.txt', 'hyps/a.txt', '--show-normalised')
    assert out.splitlines()[2:] == ['reference:  go home', 'hypothesis: go hum']
    _, out, _ = desk.run('refs', 'hyps', '--show-normalised')
    lines = out.splitlines()
    at = lines.index('  reference:  go home')
    assert lines[at - 1].startswith('a ') and lines[at + 1] == '  hypothesis: go hum'
    assert lines[at + 3 :] == ['  reference:  你好', '  hypothesis: 你好']
    file = desk.value('refs', 'hyps', '--show-normalised')['files'][1]
    assert (file['normalised_reference'], file['normalised_hypothesis']) == ('你好', '你好')


def test_a_single_pair_keeps_its_lines_and_keys(desk, tmp_path):
    desk.write('a.txt', 'Go home, now!')
    desk.write('b.txt', 'go hum now then')
    _, out, _ = desk.run('a.txt', 'b.txt', '-o', 'out.txt')
    assert out == ''
    assert (tmp_path / 'out.txt').read_text() == (
        'WER 66.67 %: 1 substituted, 0 deleted, 1 inserted, of 3 words\n'
        'CER 63.64 %, of 11 characters\n'
    )
    assert list(desk.value('a.txt', 'b.txt')) == [
        'wer',
        'substitutions',
        'deletions',
        'insertions',
        'words',
        'cer',
        'characters',
    ]


def test_the_installed_command_scores_the_bundled_recordings(transcript, tmp_path):
    done = transcript(
        'score',
        ROOT / 'demo' / 'demo.json',
        ROOT / 'test' / 'bags' / 'demo',
        '--html',
        tmp_path / 'r.html',
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('WER ') and float(done.stdout.split()[1]) < 15
    assert (tmp_path / 'r.html').read_text().startswith('<!DOCTYPE html>')


def test_500_files_are_quick(desk, tmp_path):
    for k, item in enumerate(some_items(500, 100)):
        desk.write(f'refs/{k % 7}/{k}.txt', ' '.join(item.reference))
        desk.write(f'hyps/{k % 7}/{k}.json', {'text': ' '.join(item.hypothesis), 'segments': []})
    start_s = time.monotonic()
    code, out, _ = desk.run('refs', 'hyps', '--html', 'r.html')
    took_s = time.monotonic() - start_s
    assert code == 0 and 'of 50000 words' in out
    assert took_s < 20  # about 2 s on two busy cores
    assert (tmp_path / 'r.html').stat().st_size < 5_000_000


def test_words_are_never_split_by_jiwer():
    # Spaces of every kind are gone after normalising, so that jiwer's words are ours.
    text = 'a\u00a0b\u2003c\u3000d\u200be\u1680f\x1cg h\u0301 \u05d0\u05b8\u2028x'
    words = normalise(text)
    assert words == ' '.join(words).split() and len(words) == 10
    assert score([Item('x', words, words)]).total.words.hits == len(words)


def test_text_and_total_agree():
    found = score(some_items(6, 10))
    text = to_text(found, worst=10)
    assert text.startswith(f'WER {100 * found.total.words.rate:.2f} %: ')
    low, high = found.interval
    assert f'WER: {100 * low:.2f} to {100 * high:.2f} %' in text
