"""Builds the message packages of test/stand_ins, once for each state of them."""

from __future__ import annotations

from collections.abc import Iterable
import fcntl
import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / 'test' / 'stand_ins'
PREFIX = Path(sysconfig.get_path('data'))
PACKAGES = {
    'hri_msgs': 'hri_msgs',
    'hri_msgs_locale': 'hri_msgs',
    'audio_common_msgs_ros_drivers': 'audio_common_msgs',
    'audio_common_msgs_mgonzs13': 'audio_common_msgs',
}
"""Name of the package that each folder stands for."""


def build(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """
    Build stand-ins side by side, those that are not built yet.

    :returns: for each name the environment variables with which a program sees it
    """
    folder = ROOT / 'build' / 'stand_ins' / _state()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = {}
        for name in names:
            if not (folder / name / 'built').exists():
                running[name] = _start(folder / name, name)
        for name, process in running.items():
            output, _ = process.communicate(timeout=280)
            assert process.returncode == 0, f'{name}:\n{output[-4000:]}'
            (folder / name / 'built').touch()
    return {name: _env(folder / name / 'prefix') for name in names}


def _state() -> str:
    """Digest of all that makes a difference."""
    digest = hashlib.sha256(f'{PREFIX} {sys.version}'.encode())
    for path in sorted(p for p in SOURCES.rglob('*') if p.is_file() and p.suffix != '.md'):
        digest.update(path.relative_to(SOURCES).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _start(folder: Path, name: str) -> subprocess.Popen:
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / 'source'
    shutil.copytree(SOURCES / name, source / 'msg')
    shutil.copy(SOURCES / 'CMakeLists.txt', source)
    manifest = (SOURCES / 'package.xml.in').read_text()
    (source / 'package.xml').write_text(manifest.replace('@STAND_IN@', PACKAGES[name]))
    script = (
        'cmake -G Ninja -S source -B build "$@" && cmake --build build && cmake --install build'
    )
    return subprocess.Popen(
        [
            *('bash', '-c', script, 'cmake', f'-DSTAND_IN={PACKAGES[name]}'),
            *(f'-DPython3_EXECUTABLE={sys.executable}', f'-DCMAKE_PREFIX_PATH={PREFIX}'),
            f'-DCMAKE_INSTALL_PREFIX={folder}/prefix',
        ],
        cwd=folder,
        env={
            **os.environ,
            'PATH': f'{PREFIX}/bin:{os.environ["PATH"]}',
            'AMENT_PREFIX_PATH': str(PREFIX),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _env(prefix: Path) -> dict[str, str]:
    (modules,) = prefix.glob('lib/python*/site-packages')
    first = {
        'AMENT_PREFIX_PATH': prefix,
        'LD_LIBRARY_PATH': prefix / 'lib',
        'PYTHONPATH': modules,
    }
    return {
        name: os.pathsep.join([str(path), *filter(None, [os.environ.get(name)])])
        for name, path in first.items()
    }
