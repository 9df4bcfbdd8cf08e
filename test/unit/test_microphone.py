"""Choosing a device. Recording is tested with a real virtual one in test/ros."""

import pytest

from transcript_manager.audio.microphone import choose_device, InputDevice
from transcript_manager.errors import AudioSourceError


def device(index, name, is_default=False):
    return InputDevice(index, name, 'ALSA', 44100, 2, is_default)


DEVICES = [
    device(0, 'HDA Intel: ALC295'),
    device(3, 'USB Audio Device: - (hw:1,0)'),
    device(4, 'pulse', is_default=True),
    device(5, 'pulse monitor'),
]


@pytest.mark.parametrize(
    ('wanted', 'index'), [('', 4), ('3', 3), ('usb', 3), ('pulse', 4), ('monitor', 5)]
)
def test_a_device_is_found(wanted, index):
    assert choose_device(wanted, DEVICES).index == index


@pytest.mark.parametrize(
    ('wanted', 'devices', 'says'),
    [
        ('7', DEVICES, "no device is called '7'; there is 0: HDA"),
        ('headset', DEVICES, 'no device is called'),
        ('a', DEVICES, "more than one device is called 'a'; there is 0: HDA"),
        ('', [], 'no microphone found'),
    ],
)
def test_what_is_not_found_or_not_clear_is_listed(wanted, devices, says):
    with pytest.raises(AudioSourceError, match=says):
        choose_device(wanted, devices)


def test_without_a_default_the_first_is_taken():
    assert choose_device('', DEVICES[:2]).index == 0
