"""
A score as one HTML page: every error in its place, without scripts and without network.

The tree is built by ElementTree, which escapes whatever texts and names hold. Errors are <ins> and
<del>; what sets them apart without colours, and what a screen reader says of them, is content that
the style sheet adds, so that the text itself stays what was compared.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
import hashlib
from pathlib import Path
from xml.etree import ElementTree

from transcript_manager.evaluation.scoring import CorpusScore, FileScore, Group, MIN_FILES
from transcript_manager.evaluation.tables import files_of, percent
from transcript_manager.evaluation.wer import Errors, spaced
from transcript_manager.merge.words import is_unspaced
from transcript_manager.text import printable

MAX_CONFUSIONS = 20
_STYLE = Path(__file__).with_name('report.css')
_COLUMNS = ('Words', 'WER %', 'CER %', 'Subst.', 'Del.', 'Ins.')
_BAR_PX = 72
Node = ElementTree.Element | str


def to_html(score: CorpusScore) -> str:
    """Format a score as a page."""
    style = _STYLE.read_text(encoding='utf-8')
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    title = f'WER {percent(score.total.words.rate)} % over {files_of(score.total.files)}'
    page = _el(
        'html',
        _el(
            'head',
            _el('meta', charset='utf-8'),
            _el('meta', ('http-equiv', 'Content-Security-Policy'), content=policy),
            _el('meta', name='viewport', content='width=device-width, initial-scale=1'),
            _el('meta', ('name', 'color-scheme'), content='light dark'),
            _el('title', title),
            _el('style', style),
        ),
        _el('body', _el('main', *_sections(score))),
        lang='en',
    )
    return '<!DOCTYPE html>\n' + ElementTree.tostring(page, encoding='unicode', method='html')


def _el(tag: str, *parts: Node | tuple[str, str], **attributes: str) -> ElementTree.Element:
    """Make an element; a tuple is an attribute whose name is no name of Python's."""
    element = ElementTree.Element(tag)
    attributes['class'] = attributes.pop('kind', '')
    attributes |= dict(part for part in parts if isinstance(part, tuple))
    for name, value in attributes.items():
        if value:
            element.set(name, value)
    last: ElementTree.Element | None = None
    for part in parts:
        if isinstance(part, tuple):
            continue
        if not isinstance(part, str):
            element.append(part)
            last = part
        elif last is None:
            element.text = (element.text or '') + part
        else:
            last.tail = (last.tail or '') + part
    return element


def _sections(score: CorpusScore) -> Iterator[ElementTree.Element]:
    yield _el('h1', 'Transcript scores')
    yield _overall(score)
    yield _section('By language', _groups('Language', score.languages, _language))
    yield _section('By length', _groups('Words in reference', score.lengths, _length))
    yield _section('Most frequent errors', _confusions(score))
    yield _section('Files, worst first', _legend(), _file_head(), *map(_file, score.files))
    if score.notes:
        yield _section('Notes', _el('ul', *(_el('li', _name(note)) for note in score.notes)))
    yield _section('How it is counted', *_method(score))


def _section(heading: str, *parts: Node) -> ElementTree.Element:
    return _el('section', _el('h2', heading), *parts)


def _name(text: str) -> ElementTree.Element:
    """Return a name or word in a direction of its own."""
    return _el('bdi', printable(text))


# -- numbers ------------------------------------------------------------------------------------


def _overall(score: CorpusScore) -> ElementTree.Element:
    words = score.total.words
    if score.interval is None:
        interval = f'no interval: fewer than {MIN_FILES} files'
    else:
        interval = '95 % interval {} to {} %'.format(*map(percent, score.interval))
    facts = (
        ('Word error rate', f'{_dash(words.rate)} %', interval, 'wer'),
        (
            'Character error rate',
            f'{_dash(score.total.characters.rate)} %',
            f'of {score.total.characters.reference:,} characters',
            'cer',
        ),
        (
            f'Mean of {files_of(score.mean_of)}',
            f'{_dash(score.mean_wer)} %',
            f'CER {_dash(score.mean_cer)} %',
            'mean',
        ),
        ('Words', f'{words.reference:,}', f'in {files_of(score.total.files)}', 'words'),
        ('Substituted', f'{words.substitutions:,}', _share(words.substitutions, words), 'sub'),
        ('Deleted', f'{words.deletions:,}', _share(words.deletions, words), 'del'),
        ('Inserted', f'{words.insertions:,}', _share(words.insertions, words), 'ins'),
    )
    return _el(
        'dl',
        *(
            _el('div', _el('dt', name), _el('dd', value), _el('dd', more, kind='more'), kind=kind)
            for name, value, more, kind in facts
        ),
        kind='overall',
    )


def _dash(rate: float) -> str:
    return percent(rate).replace('-', '\u2013')


def _share(part: int, words: Errors) -> str:
    return f'{_dash(part / words.reference)} % of the words' if words.reference else ''


def _numbers(words: Errors, characters: Errors) -> list[str]:
    return [
        f'{words.reference:,}',
        _dash(words.rate),
        _dash(characters.rate),
        f'{words.substitutions:,}',
        f'{words.deletions:,}',
        f'{words.insertions:,}',
    ]


def _groups(name: str, groups: Iterable[Group], label) -> ElementTree.Element:
    head = [_el('th', text, scope='col', kind='n') for text in ('Files', *_COLUMNS)]
    rows = [
        _el(
            'tr',
            _el('th', *label(group), scope='row'),
            *(
                _el('td', text, kind='n')
                for text in (f'{group.files:,}', *_numbers(group.words, group.characters))
            ),
            _el('td', _bar(group.words)),
        )
        for group in groups
    ]
    bar = _el('td', ('aria-hidden', 'true'))
    table = _el(
        'table',
        _el('thead', _el('tr', _el('th', name, scope='col'), *head, bar)),
        _el('tbody', *rows),
    )
    return _el('div', table, kind='wide')


def _language(group: Group) -> Iterator[Node]:
    yield _name(group.label or 'unknown')
    if group.unit == 'characters':
        yield ' '  # for those who listen or copy
        yield _el('small', 'by character: written without spaces')


def _length(group: Group) -> Iterator[Node]:
    yield group.label.replace('-', '\u2013')


def _bar(errors: Errors) -> ElementTree.Element:
    """Draw the shares of substitutions, deletions and insertions; the numbers stand beside it."""
    svg = _el(
        'svg',
        ('aria-hidden', 'true'),
        _el('rect', width=str(_BAR_PX), height='8', kind='all'),
        width=str(_BAR_PX),
        height='8',
    )
    scale = _BAR_PX / max(errors.reference, errors.count, 1)
    at_px = 0.0
    parts = (('sub', errors.substitutions), ('del', errors.deletions), ('ins', errors.insertions))
    for kind, count in parts:
        if count:
            width = count * scale
            svg.append(_el('rect', x=f'{at_px:.1f}', width=f'{width:.1f}', height='8', kind=kind))
            at_px += width
    return svg


# -- errors -------------------------------------------------------------------------------------


def _confusions(score: CorpusScore) -> ElementTree.Element:
    found = score.confusions
    columns = (
        ('Substituted', [(_pair(*pair), n) for pair, n in found.substitutions]),
        ('Deleted', [(_el('del', word), n) for word, n in found.deletions]),
        ('Inserted', [(_el('ins', word), n) for word, n in found.insertions]),
    )
    return _el('div', *(_ranking(*column) for column in columns), kind='rankings')


def _ranking(name: str, entries: list[tuple[ElementTree.Element, int]]) -> ElementTree.Element:
    shown = entries[:MAX_CONFUSIONS]
    rest = len(entries) - len(shown)
    heading = _el('h3', name)
    if not shown:
        return _el('div', heading, _el('p', 'none', kind='more'))
    rows = [
        _el('tr', _el('td', _el('bdi', error)), _el('td', f'{times:,}', kind='n'))
        for error, times in shown
    ]
    more = [_el('p', f'and {rest:,} others', kind='more')] if rest else []
    return _el('div', heading, _el('table', _el('tbody', *rows)), *more)


def _pair(said: str, heard: str) -> ElementTree.Element:
    return _el('span', _el('del', said), ' ', _el('ins', heard), kind='s')


def _legend() -> ElementTree.Element:
    return _el(
        'p',
        _pair('said', 'heard'),
        ' substituted ',
        _el('del', 'said'),
        ' deleted: said, and not heard ',
        _el('ins', 'heard'),
        ' inserted: heard, and not said. Open a file to see its text.',
        kind='legend',
    )


def _file_head() -> ElementTree.Element:
    cells = (_el('span', text, kind='n') for text in _COLUMNS)
    return _el('div', _el('span', 'File'), *cells, ('aria-hidden', 'true'), kind='row head')


def _file(file: FileScore) -> ElementTree.Element:
    item = file.item
    name = _el('span', _name(item.name), kind='name')
    if item.language:
        name.append(_el('small', item.language))
    cells = (
        _el('span', ('data-of', column), number, kind='n')
        for column, number in zip(_COLUMNS, _numbers(file.words, file.characters), strict=True)
    )
    summary = _el('summary', _el('span', name, *cells, _bar(file.words), kind='row'))
    return _el(
        'details',
        summary,
        _el('p', *_aligned(file), kind='aligned', dir='auto', lang=item.language),
        _el(
            'dl',
            *_text('Reference as compared', item.reference, item.reference_path, item.language),
            *_text('Heard, as compared', item.hypothesis, item.hypothesis_path, item.language),
            kind='texts',
        ),
    )


def _text(
    what: str, words: Iterable[str], path: str | None, language: str
) -> Iterator[ElementTree.Element]:
    yield _el('dt', what, ' ', _el('small', 'no file' if path is None else _name(path)))
    yield _el('dd', spaced(list(words)) or '(no words)', dir='auto', lang=language)


def _aligned(file: FileScore) -> Iterator[Node]:
    """Yield the text with its errors: all but <ins> is the reference, all but <del> was heard."""
    before = ''
    for chunk in file.chunks:
        said = file.item.reference[chunk.ref_start : chunk.ref_end]
        heard = file.item.hypothesis[chunk.hyp_start : chunk.hyp_end]
        pairs: Iterable[tuple[str, Node]]
        if chunk.kind == 'substitute':
            pairs = [(r, _pair(r, h)) for r, h in zip(said, heard, strict=True)]
        else:
            words = said or heard
            tag = {'delete': 'del', 'insert': 'ins'}.get(chunk.kind)
            text = spaced(words)
            pairs = [(words[0], _el(tag, text) if tag else text)]
        for first, node in pairs:
            if before and not (is_unspaced(before[0]) and is_unspaced(first[0])):
                yield ' '
            yield node
            before = first
        before = (said or heard)[-1]


# -- words about it -----------------------------------------------------------------------------


def _method(score: CorpusScore) -> Iterator[ElementTree.Element]:
    yield _el(
        'p',
        'Rates are errors over the words (or characters) of the reference. Over several files '
        'they are of all words together, so that every word counts the same; the mean of the '
        'files stands beside it, of those whose reference has words. Case, punctuation, and text '
        'in brackets do not count; of scripts that are written without spaces every character is '
        'a word. "6" for "six" is an error.',
    )
    if score.interval is not None:
        yield _el(
            'p',
            'The interval holds 95 % of the rates of corpora drawn again from these files. It '
            'says how much depends on which files are here, not how other speech would fare.',
        )
