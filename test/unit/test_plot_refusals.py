"""What `transcript plot` refuses, each in one line and without leaving anything behind."""

from pathlib import Path
import subprocess
import sys

from pictures import plot, save_session, save_short, save_sound, word
import pytest

BAGS = Path(__file__).resolve().parents[1] / 'bags'


@pytest.fixture
def short(tmp_path):
    """Return four seconds of noise and a session in it."""
    return save_short(tmp_path)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['{wav}', '{json}', '-o', 'x.jpg'], 'its suffix tells the format; there are .png, .svg'),
        (['{wav}', '{json}', '-o', 'no/such/x.png'], 'there is no folder no/such'),
        (['{wav}', '{long}', '-o', 'x.png'], 'is 4.0 s long, the transcript goes to 51.3 s'),
        (['{wav}', '{empty}', '-o', 'x.png'], 'holds no words'),
        (['{wav}', '-o', 'x.png'], 'give the sound and its transcript'),
        (['-o', 'x.png'], 'give the sound and its transcript'),
        (['{wav}', '{json}', '--stability', '{json}', '-o', 'x.png'], 'takes a stream alone'),
        (['{wav}', '{json}', '-o', 'x.png', '--start', '4.5'], '--start is 4.5 s'),
        (['{wav}', '{json}', '-o', 'x.png', '--start', 'nan'], '--start is nan'),
        (['{wav}', '{json}', '-o', 'x.png', '--start', '2', '--end', '1'], 'after --start (2 s)'),
        (['{wav}', '{json}', '-o', 'x.png', '--row-s', '0'], '--row-s is 0, must be 1..60 s'),
        (['{wav}', '{json}', '-o', 'x.png', '--audio-topic', '/a'], 'is for bags'),
        (['{json}', '{json}', '-o', 'x.png'], 'not a sound file that can be read'),
        (['no.wav', '{json}', '-o', 'x.png'], 'no.wav: no such file'),
        (['{wav}', 'no.json', '-o', 'x.png'], 'cannot read no.json'),
        (['--stability', '{json}', '-o', 'x.png'], 'line 1'),
        (['--stability', 'no.jsonl', '-o', 'x.png'], 'cannot read no.jsonl'),
        (['--stability', '{nothing}', '-o', 'x.png'], 'holds no windows'),
        (['--stability', '{stream}', '-o', 'x.png', '--row-s', '5'], '--row-s and --audio-topic'),
        (
            ['--stability', '{stream}', '-o', 'x.png', '--start', '900'],
            'holds no words from 900 s',
        ),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    arguments, said, short, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sound, session = short
    save_session(tmp_path / 'long.json', [word('late', 51.0, 51.3)])
    (tmp_path / 'empty.json').write_text('{"segments": []}')
    (tmp_path / 'nothing.jsonl').write_text('')
    paths = {
        'wav': sound,
        'json': session,
        'long': 'long.json',
        'empty': 'empty.json',
        'nothing': 'nothing.jsonl',
        'stream': BAGS / 'demo',
    }
    before = sorted(p.name for p in tmp_path.iterdir())
    assert plot(*(a.format(**paths) for a in arguments)) == 2
    out, err = capsys.readouterr()
    assert out == '' and said in err and len(err.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_inputs_are_not_written_over(tmp_path, capsys):
    for name in ('a.png', 'b.png'):
        (tmp_path / name).write_bytes(b'kept')
    for arguments in (
        [tmp_path / 'a.png', tmp_path / 'b.png', '-o', tmp_path / 'a.png'],
        [tmp_path / 'a.png', tmp_path / 'b.png', '-o', tmp_path / 'b.png'],
        ['--stability', tmp_path / 'a.png', '-o', tmp_path / '.' / 'a.png'],
    ):
        assert plot(*arguments) == 2
        assert 'is read too; give another file' in capsys.readouterr().err
    assert {p.read_bytes() for p in tmp_path.iterdir()} == {b'kept'}


def test_a_sound_that_breaks_off_leaves_no_picture(tmp_path, capsys):
    """The first picture is drawn when it is found that the second one cannot be."""
    sound = save_sound(tmp_path / 'a.flac', 40)
    sound.write_bytes(sound.read_bytes()[: sound.stat().st_size * 7 // 8])
    session = save_session(tmp_path / 'a.json', [word('one', 1, 2), word('late', 39, 39.5)])
    assert plot(sound, session, '-o', tmp_path / 'x.png', '--row-s', '1') == 2
    assert 'damaged after 3' in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.flac', 'a.json']


def test_other_commands_do_not_load_matplotlib():
    code = (
        'import sys\n'
        'from transcript_manager.cli.main import main\n'
        f'code = main(["merge", {str(BAGS / "demo")!r}])\n'
        'assert "matplotlib" not in sys.modules\n'
        'sys.exit(code)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_missing_matplotlib_is_told_with_what_to_do(short, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    assert plot(*short, '-o', tmp_path / 'x.png') == 2
    err = capsys.readouterr().err
    assert 'pip install "matplotlib>=3.8,<4"' in err and len(err.splitlines()) == 1
