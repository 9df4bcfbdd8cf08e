"""
Which model to load: the bundled one, an official one from the cache, or any file.

What a model needs is data beside it: ``demo.json`` beside ``demo.bin``; a model of your own may
bring a JSON file of the same name with the same keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import difflib
import functools
import hashlib
from http.client import HTTPException
import json
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any
import urllib.error
import urllib.request

from transcript_manager.decoder.ggml_file import ModelHeader, read_header
from transcript_manager.errors import ModelError

DEMO = 'demo'
CACHE_VARIABLE = 'TRANSCRIPT_MANAGER_CACHE'
MIRROR_VARIABLE = 'TRANSCRIPT_MANAGER_MODELS_URL'

Progress = Callable[[int, int], None]
"""Told (bytes received, bytes in all) while a model is fetched."""

_BUNDLED = Path(__file__).resolve().parent.parent / 'models'
_CATALOG = Path(__file__).with_name('catalog.json')
_TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 18
_WHISPER_WINDOW_S = 30.0
_TRAIT_KEYS = {'purpose', 'size_bytes', 'sha256', 'max_window_s', 'audio_ctx', 'dtw'}
_DTW_KEYS = {'preset', 'n_top', 'marks'}


@dataclass(frozen=True, slots=True)
class DtwTraits:
    """How to get token times from a model's cross-attention."""

    preset: str
    """Name of whisper.cpp's alignment heads preset."""
    n_top: int
    """Layers used by the preset WHISPER_AHEADS_N_TOP_MOST."""
    marks: str
    """What the time marks of a token: 'end'."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that is there, checked, and what it needs."""

    name: str
    path: Path
    header: ModelHeader
    max_window_s: float = _WHISPER_WINDOW_S
    """Longest window it takes [s]."""
    audio_ctx: int | None = None
    """Positions its encoder computes; None: by the window's length."""
    dtw: DtwTraits | None = None
    """None: token times are whisper.cpp's own estimates."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """An official model."""

    name: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of its file, upstream and in the cache."""
        return f'ggml-{self.name}.bin'

    @property
    def path(self) -> Path:
        """Where it is, or would be, in the cache."""
        return cache_folder() / self.file_name

    @property
    def is_cached(self) -> bool:
        """Whether the cache has it, by its size; its contents were checked when it came."""
        try:
            return self.path.stat().st_size == self.size_bytes
        except OSError:
            return False

    @property
    def languages(self) -> str:
        """For people."""
        return 'English' if '.en' in self.name else 'multilingual'


def cache_folder() -> Path:
    """Return the folder of fetched models, below $TRANSCRIPT_MANAGER_CACHE or the user's cache."""
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own)
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'transcript_manager' / 'models'


@functools.cache
def catalog() -> dict[str, CatalogEntry]:
    """Return the official models by name."""
    models = json.loads(_CATALOG.read_text(encoding='utf-8'))['models']
    return {name: CatalogEntry(name, **values) for name, values in models.items()}


def resolve(model: str, *, progress: Progress | None = None) -> ModelInfo:
    """
    Find a model, fetching an official one that is not in the cache, and check it.

    :param model: 'demo', an official name, or the path of a ggml file
    :raises ModelError: if it is unknown, missing, damaged or cannot be fetched
    """
    if not model:
        raise ModelError('no model named; give "demo", an official name or the path of a file')
    if model == DEMO:
        return _from_file(DEMO, _BUNDLED / 'demo.bin')
    if model in catalog():
        return _from_file(model, fetch(model, progress=progress))
    path = Path(model).expanduser()
    if os.sep in model or path.suffix == '.bin' or path.exists():
        return _from_file(path.stem, path)
    near = difflib.get_close_matches(model, [DEMO, *catalog()], n=3)
    hint = f'did you mean {" or ".join(near)}? ' if near else ''
    raise ModelError(f'unknown model {model!r}; {hint}"transcript models" lists all of them')


def _from_file(name: str, path: Path) -> ModelInfo:
    header = read_header(path)
    traits = _read_traits(path.with_suffix('.json'))
    size_bytes = traits.pop('size_bytes', None)
    if size_bytes is not None and path.stat().st_size != size_bytes:
        raise ModelError(f'{path}: has {path.stat().st_size} bytes, must have {size_bytes}')
    traits.pop('purpose', None)
    traits.pop('sha256', None)
    return ModelInfo(name, path, header, **traits)


def _read_traits(path: Path) -> dict[str, Any]:
    """Read what a model needs, from the file beside it."""
    try:
        traits = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f'{path}: not readable as JSON: {error}') from error
    if not isinstance(traits, dict) or not set(traits) <= _TRAIT_KEYS:
        raise ModelError(f'{path}: must be an object of {", ".join(sorted(_TRAIT_KEYS))}')
    window_s = traits.get('max_window_s', _WHISPER_WINDOW_S)
    if not _is_number(window_s) or not 1 <= window_s <= _WHISPER_WINDOW_S:
        raise ModelError(f'{path}: max_window_s is {window_s!r}, must be 1..30')
    audio_ctx = traits.get('audio_ctx')
    if audio_ctx is not None and not (type(audio_ctx) is int and 8 <= audio_ctx <= 1500):
        raise ModelError(f'{path}: audio_ctx is {audio_ctx!r}, must be a whole number, 8..1500')
    if traits.get('dtw') is not None:
        traits['dtw'] = _dtw_traits(path, traits['dtw'])
    return traits


def _dtw_traits(path: Path, values: Any) -> DtwTraits:
    if (
        not isinstance(values, dict)
        or set(values) != _DTW_KEYS
        or values['marks'] != 'end'
        or type(values['n_top']) is not int
        or not str(values['preset']).startswith('WHISPER_AHEADS_')
    ):
        raise ModelError(
            f'{path}: dtw must have preset (WHISPER_AHEADS_...), n_top (a whole number) and '
            'marks ("end")'
        )
    return DtwTraits(**values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """
    Return the path of an official model in the cache, fetching it if it is not there.

    It is checked by size and SHA-256 before it gets its name, so that a file of that name is
    whole, even if two processes fetch at once or one is killed.

    :raises ModelError: if the name is unknown or the model cannot be fetched; the message names
        the file, where it was expected and where to get it
    """
    entry = catalog().get(name)
    if entry is None:
        raise ModelError(f'{name!r} is no official model; "transcript models" lists them')
    if entry.is_cached:
        return entry.path
    url = _base_url() + entry.file_name
    try:
        _fetch_to(entry, url, progress or (lambda received, total: None))
    except (OSError, HTTPException, _BadDownload) as error:
        # A URLError only wraps what happened; an HTTPError says it best itself.
        wraps = isinstance(error, urllib.error.URLError) and not isinstance(
            error, urllib.error.HTTPError
        )
        reason = error.reason if wraps else error
        raise ModelError(
            f'model {name} is not in the cache and cannot be fetched ({reason}); get {url} by '
            f'hand and put it at {entry.path}'
        ) from error
    return entry.path


class _BadDownload(Exception):
    """What came is not what the catalogue says."""


def _base_url() -> str:
    url = os.environ.get(MIRROR_VARIABLE)
    if url:
        return url.rstrip('/') + '/'
    return json.loads(_CATALOG.read_text(encoding='utf-8'))['base_url']


def _fetch_to(entry: CatalogEntry, url: str, progress: Progress) -> None:
    folder = entry.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < entry.size_bytes:
        raise _BadDownload(f'{folder} has {free_bytes} bytes free, needs {entry.size_bytes}')
    handle, part = tempfile.mkstemp(prefix=f'.{entry.file_name}.', suffix='.part', dir=folder)
    try:
        with os.fdopen(handle, 'wb') as file:
            digest = _download(entry, url, file, progress)
            file.flush()
            os.fsync(file.fileno())
        if digest != entry.sha256:
            raise _BadDownload(f'its SHA-256 is {digest}, must be {entry.sha256}')
        read_header(Path(part))
        os.chmod(part, 0o644)
        os.replace(part, entry.path)
    finally:
        Path(part).unlink(missing_ok=True)


def _download(entry: CatalogEntry, url: str, file, progress: Progress) -> str:
    digest = hashlib.sha256()
    received_bytes = 0
    try:
        response = urllib.request.urlopen(url, timeout=_TIMEOUT_S)
    except ValueError as error:
        raise _BadDownload(f'{url!r} is no address: {error}') from error
    with response:
        progress(0, entry.size_bytes)
        while chunk := response.read(_CHUNK_BYTES):
            received_bytes += len(chunk)
            if received_bytes > entry.size_bytes:
                break
            file.write(chunk)
            digest.update(chunk)
            progress(received_bytes, entry.size_bytes)
    if received_bytes != entry.size_bytes:
        raise _BadDownload(f'{received_bytes} bytes came, must be {entry.size_bytes}')
    return digest.hexdigest()
