"""The page of `transcript score`, read back by a parser that does as browsers do."""

import json
import re

import html5lib
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from transcript_manager.cli.main import main
from transcript_manager.evaluation.report import MAX_CONFUSIONS, to_html
from transcript_manager.evaluation.scoring import Item, score
from transcript_manager.evaluation.tables import to_value
from transcript_manager.evaluation.wer import normalise, spaced

WORDS = {
    'en': ['go', 'home', "don't", 'now', 'robot', '6'],
    'de': ['Tür', 'Äpfel', 'größer', 'Straße'],
    'ja': ['か', 'が', '箱', '赤', 'robot'],
    'th': ['ก', 'กำ', 'ที่'],
    'ar': ['الروبوت', 'يحمل', 'صندوقا', 'أحمر'],
    'he': ['הרובוט', 'נושא', 'קופסה', 'שָׁלוֹם'],
}


def parsed(page):
    """Parse strictly: a page that a browser would have to repair is refused."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(page)


def by_class(root, name):
    return [e for e in root.iter() if name in e.get('class', '').split()]


def text_of(element, *, without=None):
    """Return the text in an element, without what is in elements of one kind."""
    if element.tag == without:
        return ''
    parts = [element.text or '']
    for child in element:
        parts += [text_of(child, without=without), child.tail or '']
    return ''.join(parts)


def words_of(element, **without):
    return normalise(text_of(element, **without))


def numbers(cells):
    return [None if text == '–' else float(text.replace(',', '')) for text in cells]


def check(items):
    """Compare a page with the texts it was made of, and with the JSON."""
    result = score(items)
    value = json.loads(json.dumps(to_value(result)))
    root = parsed(to_html(result))
    details = root.findall('.//details')
    assert len(details) == len(items) == len(value['files'])
    for element, file, listed in zip(details, result.files, value['files'], strict=True):
        (aligned,) = by_class(element, 'aligned')
        item = file.item
        # All but the insertions is the reference, all but the deletions is what was heard.
        assert words_of(aligned, without='ins') == list(item.reference)
        assert words_of(aligned, without='del') == list(item.hypothesis)
        pairs = by_class(aligned, 's')
        for pair in pairs:
            assert [len(words_of(part)) for part in pair] == [1, 1]
        inside = {
            tag: sum(len(words_of(e)) for e in aligned.iter(tag)) - len(pairs)
            for tag in ('del', 'ins')
        }
        counts = [listed[k] for k in ('substitutions', 'deletions', 'insertions')]
        assert [len(pairs), inside['del'], inside['ins']] == counts
        cells = [text_of(e) for e in by_class(element, 'n')]
        assert numbers(cells) == expected(listed)
        texts = [text_of(dd) for dd in element.iter('dd')]
        shown = [spaced(item.reference), spaced(item.hypothesis)]
        assert texts == [text or '(no words)' for text in shown]
    tables = by_class(root, 'wide')
    for table, groups in zip(tables, (value['languages'], value['lengths']), strict=True):
        rows = table.findall('.//tbody/tr')
        for row, group in zip(rows, groups, strict=True):
            cells = [text_of(e) for e in by_class(row, 'n')]
            assert numbers(cells) == [group['files'], *expected(group)]
    overall = {e.get('class'): text_of(e.find('dd')) for e in by_class(root, 'overall')[0]}
    wer = value['wer']
    assert overall['wer'] == ('– %' if wer is None else f'{100 * result.total.words.rate:.2f} %')
    assert numbers([overall[k] for k in ('words', 'sub', 'del', 'ins')]) == [
        value[k] for k in ('words', 'substitutions', 'deletions', 'insertions')
    ]
    rankings = by_class(root, 'rankings')[0]
    for column, kind in zip(rankings, ('substitutions', 'deletions', 'insertions'), strict=True):
        listed = value['confusions'][kind]
        assert sum(entry['count'] for entry in listed) == value[kind]
        rows = column.findall('.//tr')
        assert len(rows) == min(MAX_CONFUSIONS, len(listed))
        for row, entry in zip(rows, listed, strict=False):
            assert numbers([text_of(by_class(row, 'n')[0])]) == [entry['count']]
            words = [entry.get(k) for k in ('reference', 'hypothesis', 'word')]
            assert words_of(row[0]) == [w for w in words if w]
    return root


def expected(value):
    rates = [None if value[k] is None else round(100 * value[k], 2) for k in ('wer', 'cer')]
    return [
        value['words'],
        *[None if r is None else pytest.approx(r, abs=0.0101) for r in rates],
        value['substitutions'],
        value['deletions'],
        value['insertions'],
    ]


@st.composite
def texts(draw):
    language = draw(st.sampled_from(sorted(WORDS)))
    sides = st.lists(st.sampled_from(WORDS[language]), max_size=12)
    separator = draw(st.sampled_from([' ', ', ']))
    said, heard = (normalise(separator.join(draw(sides))) for _ in range(2))
    name = draw(st.text(max_size=12))
    return Item(name, said, heard, draw(st.sampled_from([language, ''])))


@settings(max_examples=30, deadline=None)
@given(st.lists(texts(), min_size=1, max_size=8))
def test_the_page_holds_the_texts_and_the_counts_of_the_json(items):
    check(items)


def test_errors_can_be_told_apart_without_colours():
    page = to_html(score([Item('x', ['go', 'home', 'now'], ['go', 'hum', 'now', 'then'])]))
    style = re.search('<style>(.*)</style>', page, re.S)[1]
    assert 'line-through' in style and 'underline' in style
    for sign, spoken in (('\\2192', 'replaced by'), ('\\2212', 'deleted'), ('+', 'inserted')):
        assert re.search(rf'content: "{re.escape(sign)}[^"]*" / " {spoken}', style), sign
    (legend,) = by_class(parsed(page), 'legend')
    assert 'substituted' in text_of(legend) and [e.tag for e in legend] == ['span', 'del', 'ins']


def test_nothing_is_loaded_or_run():
    root = check([Item('a', ['x'], ['y'])])
    policy = root.find('.//meta[@http-equiv]').get('content')
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    tags = {e.tag for e in root.iter() if isinstance(e.tag, str)}
    assert not tags & {'script', 'link', 'img', 'iframe', 'object', 'form', 'a'}
    for element in root.iter():
        named = [a for a in element.attrib if a in ('src', 'href', 'style') or a[:2] == 'on']
        assert not named, element.attrib
    assert 'url(' not in to_html(score([Item('a', ['x'], ['y'])]))


def test_names_and_words_are_text_whatever_they_hold():
    evil = '</style><script>alert(1)</script>&amp;"\'\x00\x1b\ud800\ufffe\u202e'
    root = check(
        [
            Item(evil, normalise(evil), normalise('b'), 'en', f'refs/{evil}', f'hyps/{evil}'),
            Item('empty', [], ['thank', 'you'], '', None, 'x'),
        ]
    )
    name = text_of(by_class(root.findall('.//details')[1], 'name')[0].find('bdi'))
    assert name == re.sub('[\x00\x1b\ud800\ufffe\u202e]', '\ufffd', evil)
    assert not list(root.iter('script'))
    to_html(score([Item(evil, ['a'], [])])).encode()  # can be written


def test_directions_and_languages_are_marked():
    root = check([Item('عربي', WORDS['ar'], [*WORDS['ar'][:2], 'robot'], 'ar')])
    (aligned,) = by_class(root, 'aligned')
    assert (aligned.get('dir'), aligned.get('lang')) == ('auto', 'ar')
    assert all(dd.get('dir') == 'auto' for dd in root.find('.//details').iter('dd'))
    assert root.find('.//details').find('.//summary//bdi') is not None


def test_the_command_writes_the_page_beside_the_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for k in range(6):
        for side, text in (('refs', 'go home now'), ('hyps', 'go hum now' if k % 2 else 'go')):
            (tmp_path / side / 'de').mkdir(parents=True, exist_ok=True)
            (tmp_path / side / 'de' / f'{k}.txt').write_text(text)
    (tmp_path / 'r.html').write_text('before')
    assert main(['score', 'refs', 'hyps', '--html', 'r.html', '--format', 'json']) == 0
    value = json.loads(capsys.readouterr().out)
    root = parsed((tmp_path / 'r.html').read_text(encoding='utf-8'))
    assert len(root.findall('.//details')) == 6
    overall = text_of(by_class(root, 'overall')[0])
    interval = value['wer_interval']
    assert f'{100 * interval["low"]:.2f} to {100 * interval["high"]:.2f} %' in overall
    assert (tmp_path / 'r.html').stat().st_mode & 0o400
    assert sorted(p.name for p in tmp_path.iterdir()) == ['hyps', 'r.html', 'refs']
