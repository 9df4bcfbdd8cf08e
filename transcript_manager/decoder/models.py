"""
Which model to load: the bundled one, an official one from the cache, or any file.

What a model needs is data beside it: ``demo.json`` beside ``demo.bin``; a model of your own may
bring a JSON file of the same name with the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
import time
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
_STALE_S = 3600.0  # nothing has been written to a part for so long
_WHISPER_WINDOW_S = 30.0
_PRESET = 'WHISPER_AHEADS_'
_TOP_MOST = _PRESET + 'N_TOP_MOST'
_MAX_DTW_HEADS = 48
# Layers and heads of the decoders that whisper.cpp's presets are for; with another model it
# notices that they do not fit and crashes while it cleans up.
_PRESET_SHAPES = {
    'TINY': (4, 6),
    'BASE': (6, 8),
    'SMALL': (12, 12),
    'MEDIUM': (24, 16),
    'LARGE_V1': (32, 20),
    'LARGE_V2': (32, 20),
    'LARGE_V3': (32, 20),
    'LARGE_V3_TURBO': (4, 20),
}
_LANGUAGES = ('en', 'multilingual')


@dataclass(frozen=True, slots=True)
class DtwTraits:
    """How to get token times from a model's cross-attention."""

    preset: str
    """Name of whisper.cpp's alignment heads preset."""
    n_top: int
    """Layers used by the preset WHISPER_AHEADS_N_TOP_MOST."""
    marks: str = 'end'
    """What the time marks of a token; whisper.cpp marks the end, see :mod:`.times`."""
    late_ms: int = 0
    """How much later than that the mark comes, in the median [ms]."""


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
    dtw: DtwTraits = DtwTraits(_TOP_MOST, 1)
    languages: str = 'en'
    """'en' or 'multilingual'."""
    purpose: str = ''
    """For people; '' if nobody said."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """An official model."""

    name: str
    size_bytes: int
    sha256: str
    languages: str = 'en'
    """'en' or 'multilingual'."""
    dtw_preset: str | None = None
    """Its alignment heads in whisper.cpp."""
    dtw_late_ms: int = 0
    """How late its marks come [ms], measured; 0 where nobody has measured it."""

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


def resolve(
    model: str, *, progress: Progress | None = None, allow_fetch: bool = True
) -> ModelInfo:
    """
    Find a model, fetching an official one that is not in the cache, and check it.

    :param model: 'demo', an official name, or the path of a ggml file
    :param allow_fetch: False: an official model must be in the cache
    :raises ModelError: if it is unknown, missing, damaged or cannot be fetched
    """
    if not model:
        raise ModelError('no model named; give "demo", an official name or the path of a file')
    if model == DEMO:
        return _from_file(DEMO, _BUNDLED / 'demo.bin')
    if model in catalog():
        entry = catalog()[model]
        if not allow_fetch and not entry.is_cached:
            raise _not_there(entry, _url(entry), 'fetching is off')
        return _from_file(model, fetch(model, progress=progress) if allow_fetch else entry.path)
    try:
        path = Path(model).expanduser()
        is_path = os.sep in model or path.suffix == '.bin' or path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # no such home, too long a name
        raise ModelError(f'{model!r} is neither a model nor a path: {error}') from error
    if is_path:
        return _from_file(path.stem, path)
    near = difflib.get_close_matches(model, [DEMO, *catalog()], n=3)
    hint = f'did you mean {" or ".join(near)}? ' if near else ''
    raise ModelError(f'unknown model {model!r}; {hint}"transcript models" lists all of them')


def _from_file(name: str, path: Path) -> ModelInfo:
    header = read_header(path)
    beside = path.with_suffix('.json') if path.suffix == '.bin' else Path(f'{path}.json')
    traits = _read_traits(beside, header)
    size_bytes, sha256 = traits.pop('size_bytes', None), traits.pop('sha256', None)
    if size_bytes is not None and path.stat().st_size != size_bytes:
        raise ModelError(f'{path}: has {path.stat().st_size} bytes, must have {size_bytes}')
    if sha256 is not None and (digest := _sha256(path)) != sha256:
        # Weights that are no numbers end the process when DTW runs over them.
        raise ModelError(f'{path}: is damaged: its SHA-256 is {digest}, must be {sha256}')
    languages = 'multilingual' if header.is_multilingual else 'en'
    values = {'name': name, 'languages': languages, 'dtw': _default_dtw(path, header), **traits}
    return ModelInfo(**values, path=path, header=header)


def _default_dtw(path: Path, header: ModelHeader) -> DtwTraits:
    """Take the alignment heads of an official model, and of any other its top layers."""
    entries = (e for e in catalog().values() if e.file_name == path.name and e.dtw_preset)
    entry = next(entries, None)
    if entry is not None and _fits(entry.dtw_preset, header):
        return DtwTraits(entry.dtw_preset, 0, late_ms=entry.dtw_late_ms)
    # The upper half, as OpenAI's own code takes where nobody has picked heads; of large models
    # fewer, for the weights of all of them are held in memory at once.
    n_top = min(header.n_text_layer // 2, _MAX_DTW_HEADS // header.n_text_head)
    return DtwTraits(_TOP_MOST, max(1, n_top))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _read_traits(path: Path, header: ModelHeader) -> dict[str, Any]:
    """Read what a model needs, from the file beside it."""
    try:
        traits = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f'{path}: not readable as JSON: {error}') from error
    checks = {
        'name': (_is_text, 'a text'),
        'purpose': (_is_text, 'a text'),
        'languages': (
            lambda v: v == 'en' or (v == 'multilingual' and header.is_multilingual),
            ' or '.join(_LANGUAGES[: 1 + header.is_multilingual]),
        ),
        'size_bytes': (lambda v: type(v) is int, 'a whole number'),
        'sha256': (_is_text, 'a text'),
        'max_window_s': (lambda v: _is_number(v) and 1 <= v <= _WHISPER_WINDOW_S, '1..30'),
        'audio_ctx': (
            lambda v: v is None or (type(v) is int and 8 <= v <= 1500),
            'a whole number, 8..1500',
        ),
        'dtw': (lambda v: isinstance(v, dict), 'an object'),
    }
    _check(path, traits, checks)
    if 'dtw' in traits:
        layers = header.n_text_layer
        dtw_checks = {
            'preset': (
                lambda v: _fits(v, header),
                f'{_TOP_MOST} or the preset of this very model',
            ),
            'n_top': (lambda v: type(v) is int and 1 <= v <= layers, f'1..{layers}'),
            'marks': (lambda v: v == 'end', '"end"'),
            'late_ms': (lambda v: type(v) is int and -500 <= v <= 500, '-500..500'),
        }
        _check(path, traits['dtw'], dtw_checks, 'dtw.', need=('marks', 'n_top', 'preset'))
        traits['dtw'] = DtwTraits(**traits['dtw'])
    return traits


def _check(
    path: Path, values: Any, checks: dict, prefix: str = '', need: Sequence[str] = ()
) -> None:
    if not isinstance(values, dict):
        raise ModelError(f'{path}: must be an object of {", ".join(sorted(checks))}')
    for key, value in values.items():
        if key not in checks:
            known = ', '.join(sorted(checks))
            raise ModelError(f'{path}: unknown key {prefix + key!r}; must be one of {known}')
        is_good, wanted = checks[key]
        if not is_good(value):
            raise ModelError(f'{path}: {prefix}{key} is {value!r}, must be {wanted}')
    if missing := [key for key in need if key not in values]:
        raise ModelError(f'{path}: {prefix}{missing[0]} is missing')


def _fits(preset: Any, header: ModelHeader) -> bool:
    """Whether a preset of alignment heads is one, and for models of this shape."""
    shape = (header.n_text_layer, header.n_text_head)
    fitting = [_PRESET + name for name, wanted in _PRESET_SHAPES.items() if wanted == shape]
    english = [name + '_EN' for name in fitting if 'LARGE' not in name]  # large ones have none
    return preset in (_TOP_MOST, *fitting, *english)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def fetch(name: str, *, progress: Progress | None = None, base_url: str | None = None) -> Path:
    """
    Return the path of an official model in the cache, fetching it if it is not there or damaged.

    It is checked by size and SHA-256 before it gets its name, so that a file of that name is
    whole, even if two processes fetch at once or one is killed.

    :param progress: told (bytes received, bytes in all)
    :param base_url: where to get it; None: $TRANSCRIPT_MANAGER_MODELS_URL or upstream
    :raises ModelError: if the name is unknown or the model cannot be fetched; the message names
        the file, where it was expected and where to get it
    """
    entry = catalog().get(name)
    if entry is None:
        raise ModelError(f'{name!r} is no official model; "transcript models" lists them')
    if entry.is_cached:
        try:
            read_header(entry.path)
            return entry.path
        except ModelError:
            pass  # of the right size and damaged all the same: fetched again
    url = _url(entry, base_url)
    try:
        _fetch_to(entry, url, progress or (lambda received, total: None))
    except (OSError, HTTPException, ModelError, _BadDownload) as error:
        # A URLError only wraps what happened; an HTTPError says it best itself.
        wraps = isinstance(error, urllib.error.URLError) and not isinstance(
            error, urllib.error.HTTPError
        )
        raise _not_there(entry, url, error.reason if wraps else error) from error
    return entry.path


def _not_there(entry: CatalogEntry, url: str, reason: object) -> ModelError:
    reason = ' '.join(str(reason).split())  # a server may say it in several lines
    state = 'is damaged' if entry.path.exists() else 'is not'
    return ModelError(
        f'model {entry.name} {state} in the cache and cannot be fetched ({reason}); get {url} by '
        f'hand and put it at {entry.path}'
    )


class _BadDownload(Exception):
    """What came is not what the catalogue says."""


def _url(entry: CatalogEntry, base_url: str | None = None) -> str:
    base_url = base_url or os.environ.get(MIRROR_VARIABLE)
    base_url = base_url or json.loads(_CATALOG.read_text(encoding='utf-8'))['base_url']
    return base_url.rstrip('/') + '/' + entry.file_name


def _fetch_to(entry: CatalogEntry, url: str, progress: Progress) -> None:
    folder = entry.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder, entry)
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


def _sweep(folder: Path, entry: CatalogEntry) -> None:
    """Remove what fetches that were killed have left; one that still runs writes to its own."""
    for part in folder.glob(f'.{entry.file_name}.*.part'):
        try:
            if time.time() - part.stat().st_mtime > _STALE_S:
                part.unlink()
        except OSError:
            continue  # gone already, or not ours


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
