"""Subtitles and lyrics while the session runs: whole at every moment, and the same in the end."""

import io
import os
from pathlib import Path
import signal
import subprocess
import sys

import pylrc
import pytest
import srt
import webvtt

from transcript_manager.errors import ParameterError, TranscriptManagerError
from transcript_manager.export.formats import render
from transcript_manager.export.live import LiveFile
from transcript_manager.export.reading import read_transcript
from transcript_manager.result import moved

BAGS = Path(__file__).resolve().parents[1] / 'bags'
KINDS = ('srt', 'vtt', 'lrc')


@pytest.fixture(scope='module')
def spoken():
    return read_transcript(BAGS / 'demo').result


def texts(path):
    """Read a file by somebody else's reader; returns the texts of its cues."""
    text = path.read_text()
    if path.suffix == '.srt':
        return [c.content for c in srt.parse(text, ignore_errors=False)]
    if path.suffix == '.vtt':
        return [c.text for c in webvtt.from_buffer(io.StringIO(text)).captions]
    return [line.text for line in pylrc.parse(text) if line.text]


@pytest.mark.parametrize('kind', KINDS)
def test_the_file_is_whole_at_every_moment_and_only_grows(tmp_path, spoken, kind):
    path = tmp_path / f'live.{kind}'
    file = LiveFile(path)
    assert texts(path) == []
    before = b''
    sizes = set()
    for segment in spoken.segments:
        for step in (lambda s: file.add(s.words), lambda s: file.settle(s.end_s)):
            step(segment)
            data = path.read_bytes()
            assert data.startswith(before)
            before = data
            sizes.add(len(texts(path)))
    file.close()
    file.close()
    assert len(sizes) > 5  # it really was written on the way
    assert path.read_text() == render(spoken, kind)
    assert file.complaint == ''


def test_the_last_cue_is_written_once_nobody_can_be_heard_before_it_goes(tmp_path, spoken):
    path = tmp_path / 'live.srt'
    file = LiveFile(path)
    first = spoken.segments[0]
    file.add(first.words)
    assert texts(path) == []
    file.settle(first.end_s + 0.5)  # a word half a second later could still shorten it
    assert texts(path) == []
    file.settle(first.end_s + 10.0)
    assert ' '.join(texts(path)[0].split()) == first.text.strip()


WRITER = """
import sys
from transcript_manager.export.live import LiveFile
from transcript_manager.export.reading import read_transcript

spoken = read_transcript(sys.argv[1]).result
files = [LiveFile(f'{sys.argv[2]}/live.{kind}') for kind in ('srt', 'vtt', 'lrc')]
while True:
    for segment in spoken.segments:
        for file in files:
            file.add(segment.words)
        print('more', flush=True)
"""


@pytest.mark.parametrize('after', [1, 4, 9])
def test_a_kill_at_any_moment_leaves_whole_cues(tmp_path, spoken, after):
    command = [sys.executable, '-c', WRITER, BAGS / 'demo', tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for _ in range(after):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    said = ' '.join(spoken.text.split())
    for kind in KINDS:
        found = texts(tmp_path / f'live.{kind}')
        if kind != 'lrc':
            assert said.startswith(' '.join(' '.join(found[:3]).split()))
        assert found or after == 1


FULL = """
import resource, sys
from transcript_manager.export.live import LiveFile
from transcript_manager.export.reading import read_transcript

spoken = read_transcript(sys.argv[1]).result
file = LiveFile(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
complaints = 0
for segment in spoken.segments[:-1]:
    file.add(segment.words)
    complaints += bool(file.complaint)
print(open(sys.argv[2]).read(), end='')
print('====', complaints, file.complaint)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.add(spoken.segments[-1].words)
file.close()
assert file.complaint == ''
"""


def test_a_full_disk_leaves_whole_cues_and_nothing_is_lost(tmp_path, spoken):
    path = tmp_path / 'live.srt'
    command = [sys.executable, '-c', FULL, BAGS / 'demo', path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written, _, rest = done.stdout.partition('==== ')
    assert len(list(srt.parse(written))) == 3 and len(written) <= 300
    assert int(rest.split()[0]) > 3 and 'cues wait' in rest and 'cannot write' in rest
    assert path.read_text() == render(spoken, 'srt')


def test_a_clock_that_was_set_back_does_not_turn_the_times_round(tmp_path, spoken):
    path = tmp_path / 'live.srt'
    file = LiveFile(path)
    file.add(spoken.segments[0].words)
    file.add([moved(w, -3600.0) for w in spoken.segments[1].words])
    file.close()
    cues = list(srt.parse(path.read_text()))
    assert all(a.start < a.end <= b.start for a, b in zip(cues, cues[1:], strict=False))
    assert len(cues) == 3


def test_what_cannot_be_a_live_file(tmp_path):
    with pytest.raises(ParameterError, match=r'must end in one of \.srt, \.vtt, \.lrc'):
        LiveFile(tmp_path / 'live.txt')
    with pytest.raises(TranscriptManagerError, match='cannot write'):
        LiveFile(tmp_path / 'not' / 'there.srt')
    os.mkfifo(tmp_path / 'pipe.srt')
    with pytest.raises(ParameterError, match='not a file that can be written anew'):
        LiveFile(tmp_path / 'pipe.srt')
