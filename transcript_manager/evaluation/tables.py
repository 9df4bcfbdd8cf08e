"""A score as text for a terminal, 80 columns wide, and as an object for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math
from typing import Any

from rich.cells import cell_len, set_cell_size

from transcript_manager.evaluation.scoring import (
    Confusions,
    CorpusScore,
    FileScore,
    Group,
    RESAMPLES,
    SEED,
)
from transcript_manager.evaluation.wer import Errors, spaced
from transcript_manager.text import printable

_COLUMNS = ('words', 'WER %', 'CER %', 'subst', 'del', 'ins')
_NUMBER_CELLS = 7
_NAME_CELLS = 80 - len(_COLUMNS) * (_NUMBER_CELLS + 1)
_UNITS = {'words': '', 'characters': ' (by character)'}


# -- text ---------------------------------------------------------------------------------------


def lines_of_pair(words: Errors, characters: Errors) -> list[str]:
    """Return the two lines that say how well texts agree."""
    return [
        f'WER {percent(words.rate)} %: {words.substitutions} substituted, '
        f'{words.deletions} deleted, {words.insertions} inserted, of {words.reference} words',
        f'CER {percent(characters.rate)} %, of {characters.reference} characters',
    ]


def percent(rate: float) -> str:
    """Write a rate in per cent, without the sign; ``-`` if there is none."""
    return f'{100 * rate:.2f}' if math.isfinite(rate) else '-'


def files_of(number: int) -> str:
    """Write how many files there are."""
    return f'{number:,} file' + ('s' if number != 1 else '')


def normalised_lines(reference: Sequence[str], hypothesis: Sequence[str]) -> list[str]:
    """Return the texts as they are compared, a line each."""
    return [f'reference:  {spaced(reference)}', f'hypothesis: {spaced(hypothesis)}']


def to_text(score: CorpusScore, *, worst: int, show_normalised: bool = False) -> str:
    """
    Format a score for a terminal.

    :param worst: at most so many files
    :param show_normalised: the texts as they are compared below each of these files
    """
    lines = lines_of_pair(score.total.words, score.total.characters)
    if score.interval is not None:
        low, high = map(percent, score.interval)
        lines.append(f'95 % interval of the WER: {low} to {high} % (bootstrap over files)')
    lines.append(
        f'Mean of {files_of(score.mean_of)}: WER {percent(score.mean_wer)} %, '
        f'CER {percent(score.mean_cer)} %'
    )
    lines += ['', *_table('language', 'files', map(_language_row, score.languages))]
    lines += ['', *_table('words in reference', 'files', map(_length_row, score.lengths))]
    shown = score.files[:worst]
    if shown:
        rest = len(score.files) - len(shown)
        lines += ['', *_table('file, worst first', '', map(_file_row, shown))]
        if show_normalised:
            heading, *rows = lines[-len(shown) - 1 :]
            lines[-len(shown) :] = [
                line
                for row, file in zip(rows, shown, strict=True)
                for line in (row, *_normalised(file))
            ]
        if rest:
            lines.append(f'and {rest} more: --worst {len(score.files)} shows all')
    return '\n'.join(lines) + '\n'


def _normalised(file: FileScore) -> list[str]:
    texts = normalised_lines(file.item.reference, file.item.hypothesis)
    return [f'  {line}' for line in texts]


def _table(
    name: str, count: str, rows: Iterable[tuple[str, str, Errors, Errors]]
) -> Iterable[str]:
    yield _row(name, count, _COLUMNS)
    for label, files, words, characters in rows:
        numbers = (
            words.reference,
            percent(words.rate),
            percent(characters.rate),
            words.substitutions,
            words.deletions,
            words.insertions,
        )
        yield _row(label, files, map(str, numbers))


def _row(name: str, count: str, numbers: Iterable[str]) -> str:
    width = _NAME_CELLS - (cell_len(count) + 1 if count else 0)
    return (
        set_cell_size(shortened(name, width), width)
        + (f' {count}' if count else '')
        + ''.join(f' {number:>{_NUMBER_CELLS}}' for number in numbers)
    ).rstrip()


def _language_row(group: Group) -> tuple[str, str, Errors, Errors]:
    name = (group.label or 'unknown') + _UNITS[group.unit]
    return name, str(group.files), group.words, group.characters


def _length_row(group: Group) -> tuple[str, str, Errors, Errors]:
    return group.label, str(group.files), group.words, group.characters


def _file_row(file: FileScore) -> tuple[str, str, Errors, Errors]:
    return file.item.name, '', file.words, file.characters


def shortened(name: str, width: int) -> str:
    """Cut a name in the middle, to at most so many terminal cells."""
    name = printable(name)
    if cell_len(name) <= width:
        return name
    front, back = '', ''
    for k in range(len(name)):
        wider = front + name[k // 2], back
        if k % 2:
            wider = front, name[-k // 2] + back
        if cell_len(wider[0]) + 1 + cell_len(wider[1]) > width:
            break
        front, back = wider
    return front + '\u2026' + back


# -- objects ------------------------------------------------------------------------------------


def pair_value(words: Errors, characters: Errors) -> dict[str, Any]:
    """Return the rates and counts of texts; a rate that does not exist is None."""
    return {
        'wer': _rate(words.rate),
        'substitutions': words.substitutions,
        'deletions': words.deletions,
        'insertions': words.insertions,
        'words': words.reference,
        'cer': _rate(characters.rate),
        'characters': characters.reference,
    }


def _rate(rate: float) -> float | None:
    return round(rate, 6) if math.isfinite(rate) else None


def to_value(score: CorpusScore, *, show_normalised: bool = False) -> dict[str, Any]:
    """
    Return all of a score as an object for JSON.

    :param show_normalised: with the texts as they are compared
    """
    interval = score.interval
    return {
        **pair_value(score.total.words, score.total.characters),
        'mean_wer': _rate(score.mean_wer),
        'mean_cer': _rate(score.mean_cer),
        'wer_interval': None
        if interval is None
        else {
            'low': _rate(interval[0]),
            'high': _rate(interval[1]),
            'level': 0.95,
            'resamples': RESAMPLES,
            'seed': SEED,
        },
        'languages': [
            {'language': g.label or None, 'compared_by': g.unit, **_group_value(g)}
            for g in score.languages
        ],
        'lengths': [{'words_in_reference': g.label, **_group_value(g)} for g in score.lengths],
        'confusions': _confusions_value(score.confusions),
        'files': [_file_value(f, show_normalised) for f in score.files],
        'notes': [printable(note) for note in score.notes],
    }


def _group_value(group: Group) -> dict[str, Any]:
    return {'files': group.files, **pair_value(group.words, group.characters)}


def _confusions_value(confusions: Confusions) -> dict[str, Any]:
    return {
        'substitutions': [
            {'reference': said, 'hypothesis': heard, 'count': times}
            for (said, heard), times in confusions.substitutions
        ],
        'deletions': [{'word': word, 'count': times} for word, times in confusions.deletions],
        'insertions': [{'word': word, 'count': times} for word, times in confusions.insertions],
    }


def _file_value(file: FileScore, show_normalised: bool) -> dict[str, Any]:
    item = file.item
    value = {
        'name': printable(item.name),
        'reference': item.reference_path and printable(item.reference_path),
        'hypothesis': item.hypothesis_path and printable(item.hypothesis_path),
        'language': item.language or None,
        **pair_value(file.words, file.characters),
    }
    if show_normalised:
        value['normalised_reference'] = spaced(item.reference)
        value['normalised_hypothesis'] = spaced(item.hypothesis)
    return value
