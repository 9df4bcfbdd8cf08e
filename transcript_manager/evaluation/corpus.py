"""
Which reference belongs to which hypothesis: by two folders of the same shape, or by a list.

Files of two folders are paired by their paths in them, without suffixes: ``en/a.txt`` with
``en/a.json``, ``a.truth.json`` or ``a.en.txt``. Nothing is left out silently: a file without a
partner would make the result look better than it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import os
from pathlib import Path
import unicodedata

from transcript_manager.errors import StreamError
from transcript_manager.evaluation.texts import as_language

SUFFIXES = ('.txt', '.json', '.jsonl', '.mcap', '.db3')
"""Of the files in a folder that are read; others (sounds, subtitles) are not."""
_BAG_MARK = 'metadata.yaml'
_MAX_NAMED = 3

_ISO_639_1 = (
    'aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu '
    'cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi '
    'ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks '
    'ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl '
    'nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl '
    'sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve '
    'vi vo wa wo xh yi yo za zh zu'
)
CODES = frozenset(_ISO_639_1.split())
"""What a folder or suffix is called that says a language."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files that belong together."""

    name: str
    """For people: the path in the folders without suffixes, or the reference as listed."""
    reference: Path | None
    """None: there is none, and nothing was said."""
    hypothesis: Path | None
    """None: there is none, and nothing was heard."""
    language: str = ''
    """As the list says."""
    place: str = ''
    """The language that the folder or suffix says, for example ``de/a.txt`` or ``a.de.txt``."""


def is_folder(path: str | Path) -> bool:
    """Whether a path is a folder of files, and not one bag."""
    return Path(path).is_dir() and not (Path(path) / _BAG_MARK).exists()


# -- folders ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    stem: str
    """Path in the folder without suffixes, but with a language: ``talks/a.de``."""
    key: str
    """The same without the language."""
    language: str


def pair_folders(reference: str | Path, hypothesis: str | Path, *, as_empty: bool) -> list[Pair]:
    """
    Pair the files of two folders.

    :param as_empty: a missing partner is an empty text; otherwise it is an error
    :returns: in order of their names
    :raises StreamError: if one cannot be read, a pair is ambiguous, there is none, or a partner
        is missing
    """
    if Path(reference).resolve() == Path(hypothesis).resolve():
        raise StreamError(f'{reference} is given twice; give a folder of references and another')
    sides = [_files(Path(reference)), _files(Path(hypothesis))]
    found: list[tuple[str, _File | None, _File | None]] = []
    # By the whole stem first, so that a.de and a.en of one folder stay two.
    by_stem = [_unique(files, 'stem') for files in sides]
    for stem in by_stem[0].keys() & by_stem[1].keys():
        found.append((stem, by_stem[0].pop(stem), by_stem[1].pop(stem)))
    by_key = [_unique(by_stem[k].values(), 'key') for k in (0, 1)]
    both = by_key[0].keys() & by_key[1].keys()
    found += [(key, by_key[0].pop(key), by_key[1].pop(key)) for key in both]
    if not found:
        raise StreamError(
            f'no file of {reference} ({len(sides[0])} to read) has a partner in {hypothesis} '
            f'({len(sides[1])}): a.txt belongs to a.json, en/b.truth.json to en/b.txt; '
            'or give --list'
        )
    missing = [(f.stem, f, None) for f in by_key[0].values()]
    missing += [(f.stem, None, f) for f in by_key[1].values()]
    if missing and not as_empty:
        _refuse_missing(by_key, reference, hypothesis)
    return [
        Pair(
            name,
            said.path if said else None,
            heard.path if heard else None,
            place=(said.language if said else '') or (heard.language if heard else ''),
        )
        for name, said, heard in sorted(found + missing, key=lambda entry: entry[0])
    ]


def _refuse_missing(by_key: list[dict[str, _File]], *folders: str | Path) -> None:
    parts = [
        f'{len(rest)} without a partner in {there}: {_some(str(f.path) for f in rest.values())}'
        for rest, there in zip(by_key, folders[::-1], strict=True)
        if rest
    ]
    raise StreamError(
        '; '.join(parts) + '; `--missing as-empty` counts them as all deleted or all inserted'
    )


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    rest = len(listed) - _MAX_NAMED
    return ', '.join(listed[:_MAX_NAMED]) + (f' and {rest} more' if rest > 0 else '')


def _unique(files: Iterable[_File], by: str) -> dict[str, _File]:
    result: dict[str, _File] = {}
    for file in files:
        before = result.setdefault(getattr(file, by), file)
        if before is not file:
            raise StreamError(
                f'{before.path} and {file.path} are both {file.key!r}: keep one of them in the '
                'folder, or say with --list which is meant'
            )
    return result


def _files(folder: Path) -> list[_File]:
    return [_file(path, path.relative_to(folder)) for path in sorted(_walk(folder))]


def _walk(folder: Path) -> Iterator[Path]:
    """Yield what can be read in a folder, and in those in it; links are followed."""
    seen: set[str] = set()

    def refuse(error: OSError) -> None:
        raise StreamError(f'cannot read {error.filename}: {error.strerror}') from error

    for here, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        if os.path.realpath(here) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(os.path.realpath(here))
        if _BAG_MARK in names and Path(here) != folder:
            folders.clear()
            yield Path(here)
            continue
        folders[:] = [f for f in folders if not f.startswith('.')]
        for name in names:
            path = Path(here, name)
            if name.lower().endswith(SUFFIXES) and not name.startswith('.') and path.is_file():
                yield path


def _file(path: Path, inside: Path) -> _File:
    # Some systems take the letters of a name apart (NFD): "ä" of one must be "ä" of the other.
    inside = Path(unicodedata.normalize('NFC', str(inside)))
    name = inside.name
    if not path.is_dir():  # a bag's folder has no suffix
        name = inside.stem
        if inside.suffix.lower() == '.json':
            name = name.removesuffix('.truth')
    stem = (inside.parent / name).as_posix()
    base, dot, last = name.rpartition('.')
    language = last if dot and base and last in CODES else ''
    key = (inside.parent / base).as_posix() if language else stem
    if not language:
        language = next((p for p in reversed(inside.parent.parts) if p in CODES), '')
    return _File(path, stem, key, language)


# -- lists --------------------------------------------------------------------------------------


def read_list(path: str | Path, *, as_empty: bool) -> list[Pair]:
    """
    Read which files belong together: REF<TAB>HYP[<TAB>LANGUAGE], a pair a line.

    Paths are relative to the list; empty lines and those that begin with # are comments.

    :param as_empty: a file that does not exist is an empty text; otherwise it is an error
    :raises StreamError: naming the line that is wrong
    """
    try:
        lines = Path(path).read_bytes().decode('utf-8-sig').split('\n')
    except OSError as error:
        raise StreamError(f'cannot read {path}: {error.strerror}') from error
    except ValueError as error:
        raise StreamError(f'{path} is not UTF-8 text') from error
    pairs: list[Pair] = []
    seen: dict[tuple[Path | None, Path | None], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith('#'):
            continue
        pair = _listed(f'{path}, line {number}', line, Path(path).parent, as_empty)
        before = seen.setdefault((pair.reference, pair.hypothesis), number)
        if before != number:
            raise StreamError(f'{path}, line {number} repeats line {before}')
        pairs.append(pair)
    if not pairs:
        raise StreamError(f'{path} lists no files: write REF<TAB>HYP[<TAB>LANGUAGE] lines')
    return pairs


def _listed(where: str, line: str, folder: Path, as_empty: bool) -> Pair:
    cells = [cell.strip() for cell in line.split('\t')]
    if not 2 <= len(cells) <= 3 or not cells[0] or not cells[1]:
        raise StreamError(f'{where} is not REF<TAB>HYP[<TAB>LANGUAGE]')
    language = as_language(cells[2]) if len(cells) == 3 else ''
    if len(cells) == 3 and cells[2] and not language:
        raise StreamError(f'{where}: {cells[2]!r} is no language code such as "de"')
    paths: list[Path | None] = []
    for cell in cells[:2]:
        try:
            there = (folder / cell).exists()
        except (OSError, ValueError):  # too long, or a zero byte
            there = False
        if not there and not as_empty:
            raise StreamError(
                f'{where}: there is no {folder / cell}; `--missing as-empty` counts it as empty'
            )
        paths.append(folder / cell if there else None)
    if paths == [None, None]:
        raise StreamError(f'{where}: there is neither {cells[0]} nor {cells[1]}')
    listed = _file(folder / cells[0], Path(cells[0]))
    return Pair(cells[0], paths[0], paths[1], language, listed.language)
