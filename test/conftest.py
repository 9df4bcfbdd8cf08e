"""
What all tests share.

Tests run against the installed package. The checkout must not differ from it, or a test would
measure something else than what is in front of you: `make build` (part of `make test`) installs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import hashlib
import itertools
import json
import os
from pathlib import Path
import runpy
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time

import pytest

ROOT = Path(__file__).resolve().parent.parent
PREFIX = Path(sysconfig.get_path('data'))
EXECUTABLES = PREFIX / 'lib' / 'transcript_manager'
COMMAND = PREFIX / 'bin' / 'transcript'
_LONGEST_ID = 100
TIMEOUT_S = 90.0
# Siblings cannot be imported here: the tests are no package (import mode "importlib").
virtual_microphone = runpy.run_path(str(ROOT / 'test' / 'virtual_microphone.py'))[
    'virtual_microphone'
]
_DOMAIN_PORT = 47600  # + domain: bound while a test uses the domain


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test anything but what is in the checkout."""
    sys.path[:] = [p for p in sys.path if Path(p or '.').resolve() != ROOT]
    import transcript_manager

    installed = Path(transcript_manager.__file__).parent
    if installed == ROOT / 'transcript_manager' or not (installed / 'msg').is_dir():
        pytest.exit('transcript_manager is not installed here: run `make test`', returncode=2)
    differing = [
        str(path)
        for path in sorted((ROOT / 'transcript_manager').rglob('*'))
        if path.suffix in ('.py', '.json', '.bin', '.html', '.css', '.js', '.txt')
        and _digest(path) != _digest(installed / path.relative_to(ROOT / 'transcript_manager'))
        # rosidl's own empty file may stand in for this one; see its comment.
        and path != ROOT / 'transcript_manager' / '__init__.py'
    ]
    if differing:
        pytest.exit(
            f'the installed package differs from the checkout ({differing[0]}): run `make test`',
            returncode=2,
        )


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name long values shortly: pytest-xdist keeps the names of all tests several times over."""
    if isinstance(val, (str, bytes)) and len(val) > _LONGEST_ID:
        data = val.encode(errors='replace') if isinstance(val, str) else val
        return f'{len(val)} long {hashlib.sha256(data).hexdigest()[:8]}'
    return None


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


@pytest.fixture(autouse=True)
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the test a ROS domain of its own; nothing leaves the machine."""
    for domain in itertools.chain(range(1, 100)):
        claim = socket.socket()
        try:
            claim.bind(('127.0.0.1', _DOMAIN_PORT + domain))
        except OSError:
            claim.close()
            continue
        break
    else:
        pytest.fail('no free ROS domain')
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with claim:
        yield domain


class Program:
    """A program under test, with its output collected as it comes."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **env},
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()

    @property
    def output(self) -> str:
        """Everything printed so far."""
        with self._news:
            return ''.join(self.lines)

    def wait_for(self, text: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until a text is printed."""
        with self._news:
            found = self._news.wait_for(lambda: text in ''.join(self.lines), timeout_s)
        assert found, f'{text!r} was not printed in {timeout_s} s:\n{self.output}'

    def stop(self, number: int = signal.SIGINT, timeout_s: float = TIMEOUT_S) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = TIMEOUT_S) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Start programs that are ended with the test."""
    programs: list[Program] = []

    def start_program(command: list[str], env: dict[str, str] | None = None) -> Program:
        programs.append(Program([str(c) for c in command], env or {}))
        return programs[-1]

    yield start_program
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
            program.wait()


@pytest.fixture
def start_node(start) -> Callable[..., Program]:
    """Start an installed executable with parameters: start_node('whisper', model='demo')."""

    def start_one(
        executable: str,
        *,
        namespace: str = '',
        env: dict[str, str] | None = None,
        **parameters,
    ) -> Program:
        arguments = ['-r', f'__ns:={namespace}'] if namespace else []
        for name, value in parameters.items():
            arguments += ['-p', f'{name}:={value}']
        ros_arguments = ['--ros-args', *arguments] if arguments else []
        return start([EXECUTABLES / executable, *ros_arguments], env)

    return start_one


@pytest.fixture
def installed_command() -> Path:
    """Path of the `transcript` command."""
    return COMMAND


@pytest.fixture
def installed_nodes() -> Path:
    """Folder of the nodes' executables."""
    return EXECUTABLES


@pytest.fixture
def transcript() -> Callable[..., subprocess.CompletedProcess]:
    """Run the `transcript` command to its end."""

    def run(*arguments: object, timeout_s: float = TIMEOUT_S, **env: str):
        return subprocess.run(
            [str(COMMAND), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, **env},
        )

    return run


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for a condition with a time-out."""

    def wait(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
        end_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end_s, f'{what}: not within {timeout_s} s'
            time.sleep(0.05)

    return wait


@pytest.fixture
def following() -> Iterator[Callable]:
    """Follow a transcript from this process: following() returns a running listener."""
    from transcript_manager.ros.listener import TranscriptListener
    from transcript_manager.ros.process import Process

    with Process() as process:
        process.spin()
        yield lambda namespace='': process.add(lambda: TranscriptListener(namespace=namespace))


@pytest.fixture
def recording() -> Callable[[str], tuple[Path, dict]]:
    """Return a bundled recording and its reference: recording('demo')."""

    def find(name: str) -> tuple[Path, dict]:
        folder = ROOT / 'demo'
        reference = json.loads((folder / f'{name}.json').read_text(encoding='utf-8'))
        return folder / f'{name}.flac', reference

    return find


@pytest.fixture
def word_error_rate() -> Callable[[str, str], float]:
    """Word error rate, case and punctuation aside."""
    import jiwer

    normalise = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.RemovePunctuation(),
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
            jiwer.ReduceToListOfListOfWords(),
        ]
    )

    def rate(reference: str, hypothesis: str) -> float:
        return jiwer.wer(
            ' '.join(reference.split()),
            ' '.join(hypothesis.split()),
            reference_transform=normalise,
            hypothesis_transform=normalise,
        )

    return rate


@pytest.fixture
def noises() -> Callable[[float], dict]:
    """Return sounds that are no speech, by name: noises(seconds)."""
    from noises import all_kinds

    return all_kinds
