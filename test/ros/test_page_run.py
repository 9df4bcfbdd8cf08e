"""`transcript run` writes a page with what it heard in it."""

import base64
import io
from pathlib import Path

import html5lib
import pytest
import soundfile

BAG = Path(__file__).resolve().parents[1] / 'bags' / 'spoken_sqlite3'


def test_run_writes_a_page_with_the_audio_of_the_bag(transcript, tmp_path):
    out = tmp_path / 'page.html'
    arguments = ('--bag', BAG, '--model', 'demo', '--fast', '--format', 'html', '-o', out)
    done = transcript('run', *arguments, '-q')
    assert done.returncode == 0, done.stderr
    tree = html5lib.parse(out.read_text(encoding='utf-8'), namespaceHTMLElements=False)
    assert tree.findtext('.//title') == 'spoken_sqlite3'
    words = [w for w in tree.iter('span') if w.get('data-s')]
    audio = next(e for e in tree.iter('script') if e.get('id') == 'audio')
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(audio.text)))
    assert len(words) > 3
    assert max(float(w.get('data-e')) for w in words) < len(samples) / rate_hz
    assert len(samples) / rate_hz == pytest.approx(3.4, abs=1.5)
