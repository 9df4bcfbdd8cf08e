"""The choice of a microphone, from a fake table of devices."""

import pytest

from transcript_manager.audio.devices import choose_device, InputDevice
from transcript_manager.errors import AudioSourceError


def device(index, name, *, is_default=False, host_api='ALSA'):
    return InputDevice(index, name, host_api, 48000, 2, is_default)


FAKE_TABLE = [
    device(0, 'HDA Intel PCH: ALC257 Analog (hw:0,0)'),
    device(3, 'ReSpeaker 4 Mic Array: USB Audio (hw:2,0)'),
    device(4, 'USB Camera: Audio (hw:3,0)'),
    device(7, 'pulse'),
    device(8, 'pulse monitor', is_default=True),
    device(9, 'Desk'),
    device(10, 'desk'),
    device(11, 'Array (JACK)', host_api='JACK Audio Connection Kit'),
]


@pytest.mark.parametrize(
    ('wanted', 'index'),
    [
        ('', 8),
        ('3', 3),
        (' 3 ', 3),
        ('respeaker', 3),
        ('Mic Array', 3),
        ('pulse', 7),  # exact wins over the part in 'pulse monitor'
        ('PULSE', 7),
        ('desk', 10),  # exact in its case wins
        ('Desk', 9),
        ('hw:3,0', 4),
    ],
)
def test_one_device_is_chosen(wanted, index):
    assert choose_device(wanted, FAKE_TABLE).index == index


@pytest.mark.parametrize(
    ('wanted', 'said', 'listed'),
    [
        ('usb', "more than one device is called 'usb'", [3, 4]),
        ('DESK', "more than one device is called 'DESK'", [9, 10]),
        ('boom', "no device is called 'boom'", [0, 3, 4, 7, 8, 9, 10, 11]),
        ('5', "no device is called '5'", [0, 3, 4, 7, 8, 9, 10, 11]),
        ('-1', "no device is called '-1'", [0, 3, 4, 7, 8, 9, 10, 11]),
    ],
)
def test_a_doubtful_choice_lists_the_candidates(wanted, said, listed):
    with pytest.raises(AudioSourceError) as raised:
        choose_device(wanted, FAKE_TABLE)
    problem, candidates = str(raised.value).split('; there is ')
    assert problem == said
    assert candidates == '; '.join(
        f'{d.index}: {d.name} ({d.host_api})' for d in FAKE_TABLE if d.index in listed
    )


def test_without_a_default_the_first_is_taken():
    assert choose_device('', FAKE_TABLE[:3]).index == 0


@pytest.mark.parametrize('wanted', ['', '0', 'usb'])
def test_without_any_device(wanted):
    with pytest.raises(AudioSourceError, match='no microphone found'):
        choose_device(wanted, [])
