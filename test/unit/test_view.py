"""What is on the screen: a terminal of 80 columns, a narrow one, none at all."""

import io
import os
import pty
import re
import subprocess
import sys

import pytest
from rich.console import Console

from transcript_manager.cli.keys import Keys
from transcript_manager.cli.view import choose_view, LiveView, Marks, meter, Moment, PlainView
from transcript_manager.result import ResultSegment, ResultWord

SIX = ResultWord(' six', 1.0, 1.4, 0.42, 9, (('6', 4), ('sick', 2), (' Six', 1)))
GO = ResultWord(' go', 0.5, 0.9, 0.97, 9)
MOMENT = Moment(
    position_s=31.4,
    stable=(GO, SIX),
    tentative=(ResultWord(' steps', 1.4, 1.9, 0.7, 1),),
    appended_text=' go six',
    model='base.en',
    decode_ms=252,
    lag_s=1.2,
    duty=0.36,
    level_dbfs=-23.0,
    gate='speech',
    skipped_windows=3,
)


def draw(moment, *, marks=None, width=80, duration_s=None, segment=None, keys='c conflicts'):
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system='standard')
    view = LiveView(console, marks or Marks(), keys=keys)
    view.duration_s = duration_s
    with view:
        view.update(moment)
        if segment is not None:
            view.segment(segment)
        view._live.refresh()
        return file.getvalue()


def plain(text):
    return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', text).replace('\r', '')


def test_the_state_is_on_one_line_of_80_columns():
    lines = plain(draw(MOMENT)).splitlines()
    assert any('● 00:31.4  live   c conflicts' in line for line in lines)
    state = next(line for line in lines if 'dB' in line).rstrip()
    for part in ('-23 dB', 'speech', 'lag 1.2 s', 'duty 36%', 'decode 252 ms', '3 skipped'):
        assert part in state
    assert all(len(line) <= 80 for line in lines)


def test_stable_is_plain_and_tentative_is_dim():
    text = draw(MOMENT)
    assert re.search(r'go six.*\x1b\[2;3msteps', text)
    assert 'go six' in text  # no style inside


def test_progress_when_the_length_is_known():
    line = next(x for x in plain(draw(MOMENT, duration_s=62.8)).splitlines() if '●' in x)
    assert '01:02.8' in line and '50%' in line and '━' in line


def test_conflicts_are_other_words_and_only_shown_when_asked_for():
    assert 'six {6|sick}' in plain(draw(MOMENT, marks=Marks(conflicts=True)))
    assert '{' not in plain(draw(MOMENT))
    segment = ResultSegment(0.5, 1.4, ' go six', (GO, SIX))
    text = plain(draw(MOMENT, marks=Marks(conflicts=True), segment=segment))
    assert '[00:00.5 - 00:01.4] go six {6|sick}' in text


def test_only_the_times_of_a_final_line_have_a_colour():
    text = draw(MOMENT, segment=ResultSegment(0.5, 1.4, ' go six', (GO, SIX)))
    assert '\x1b[36m[00:00.5 - 00:01.4] \x1b[0mgo six' in text


def test_improbable_words_are_marked_when_asked_for():
    assert re.search(r'\x1b\[4;31msix', draw(MOMENT, marks=Marks(confidence=True)))
    assert '\x1b[4' not in draw(MOMENT)


def test_no_color_leaves_marks_that_can_be_seen(monkeypatch):
    monkeypatch.setenv('NO_COLOR', '1')
    text = draw(MOMENT, marks=Marks(confidence=True, conflicts=True), duration_s=60.0)
    codes = {code for group in re.findall(r'\x1b\[([0-9;]+)m', text) for code in group.split(';')}
    assert not codes & {str(n) for n in [*range(30, 50), *range(90, 108)]}
    assert re.search(r'\x1b\[4msix', text) and '{6|sick}' in plain(text)


def test_a_narrow_terminal_names_the_keys_at_least():
    text = plain(draw(MOMENT, width=50, duration_s=60.0, keys='c conflicts  q quit'))
    assert '52% c q' in text
    assert '52% c conflicts  q quit' in plain(
        draw(MOMENT, width=80, duration_s=60.0, keys='c conflicts  q quit')
    )


@pytest.mark.parametrize('width', [20, 40, 60, 79, 200])
def test_any_width_does(width):
    text = plain(draw(MOMENT, width=width, duration_s=60.0))
    assert all(len(line) <= width for line in text.splitlines())
    assert 'steps' in text


def test_markup_in_what_was_said_is_text():
    said = ResultWord(' [red]x[/red] :smile:', 0.0, 1.0, 0.9, 1)
    segment = ResultSegment(0.0, 1.0, said.text, (said,))
    text = plain(draw(Moment(stable=(said,)), segment=segment))
    assert text.count('[red]x[/red] :smile:') == 2


def test_the_meter():
    assert meter(-60.0, 0.0).plain.startswith('▯▯▯▯▯▯▯▯')
    assert meter(0.0, 0.2).plain == '▮▮▮▮▮▮▮▮    0 dB clipped'
    assert meter(-120.0, 0.0).plain.endswith('-120 dB')


def test_a_complaint_of_the_nodes_is_shown():
    text = plain(draw(Moment(complaint='audio_ring: no signal for 12 s')))
    assert 'audio_ring: no signal for 12 s' in text


def test_where_there_is_no_terminal_lines_grow_and_have_no_codes():
    err = io.StringIO()
    view, prints = choose_view(
        stdout=io.StringIO(),
        stderr=err,
        result_on_stdout=True,
        quiet=False,
        marks=Marks(),
        keys='',
    )
    assert isinstance(view, PlainView) and not prints
    view.update(MOMENT)
    view.update(MOMENT)
    assert err.getvalue() == '00:31.4  go six  (steps)\n'


def test_quiet_is_quiet():
    err = io.StringIO()
    view, _ = choose_view(
        stdout=err, stderr=err, result_on_stdout=True, quiet=True, marks=Marks(), keys=''
    )
    view.update(MOMENT)
    view.note('something')
    assert err.getvalue() == ''


READ_KEYS = """
import signal, sys, termios, time
from transcript_manager.cli.keys import Keys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us may ignore it

def is_canonical():
    return bool(termios.tcgetattr(0)[3] & termios.ICANON)

assert Keys.available() and is_canonical()
try:
    with Keys() as keys:
        assert not is_canonical()
        print('ready', flush=True)
        pressed = ''
        while len(pressed) < 2:
            pressed += keys.pressed()
            time.sleep(0.01)
        print('got', pressed, flush=True)
        while True:
            time.sleep(0.01)
except KeyboardInterrupt:
    print('interrupted', is_canonical(), flush=True)
"""


class Typist:
    """A program in a terminal of its own."""

    def __init__(self, code):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, '-c', code])
        self.output = b''

    def read_until(self, text):
        while text not in self.output:
            self.output += os.read(self.terminal, 1024)

    def write(self, keys):
        os.write(self.terminal, keys)


def test_keys_come_without_enter_and_the_terminal_is_given_back():
    program = Typist(READ_KEYS)
    program.read_until(b'ready')
    program.write(b'cp')
    program.read_until(b'got cp')
    program.write(b'\x03')  # Ctrl-C goes on to interrupt
    program.read_until(b'interrupted True')
    assert os.waitpid(program.pid, 0)[1] == 0
    os.close(program.terminal)


IN_THE_BACKGROUND = """
import os, signal, sys
from transcript_manager.cli.keys import Keys

child = os.fork()
if child == 0:
    with Keys() as keys:
        os.setpgid(0, 0)  # now another group has the terminal
        print('background', flush=True)
        assert keys.pressed() == ''
        sys.stdout.flush()
    os._exit(7)
_, status = os.waitpid(child, os.WUNTRACED)
print('exited', os.WIFEXITED(status) and os.WEXITSTATUS(status), 'done', flush=True)
"""


def test_in_the_background_the_terminal_is_left_alone():
    program = Typist(IN_THE_BACKGROUND)
    program.read_until(b'background')
    program.write(b'c')
    program.read_until(b'done')
    assert b'exited 7' in program.output  # not stopped
    os.waitpid(program.pid, 0)
    os.close(program.terminal)


def test_there_are_no_keys_without_a_keyboard():
    code = 'from transcript_manager.cli.keys import Keys; assert not Keys.available()\n'
    code += 'with Keys() as k: assert k.pressed() == ""'
    for stdin in (subprocess.DEVNULL, subprocess.PIPE):
        subprocess.run([sys.executable, '-c', code], stdin=stdin, check=True)
    with Keys() as keys:  # pytest's own standard input is none either
        assert keys.pressed() == ''
