"""Audio from another program, in the messages of either package called audio_common_msgs."""

from pathlib import Path
import sys

import numpy as np
import pytest
from rclpy.node import Node
from stand_ins import build

from transcript_manager import msg
from transcript_manager.ros import parameters, qos
from transcript_manager.ros.conversions import msg_to_samples
from transcript_manager.ros.process import Process

TALKER = Path(__file__).resolve().parents[1] / 'support' / 'audio_talker.py'

pytestmark = pytest.mark.skipif(
    not hasattr(parameters, 'TOPIC'), reason='audio_ring does not listen to topics here'
)


@pytest.mark.parametrize('flavour', ['ros_drivers', 'mgonzs13'])
def test_the_ring_hears_it(flavour, start, start_node, wait_until):
    name = f'audio_common_msgs_{flavour}'
    env = build(['audio_common_msgs_ros_drivers', 'audio_common_msgs_mgonzs13'])[name]
    windows = []
    with Process() as process:
        process.spin()
        node = process.add(lambda: Node('onlooker'))
        node.create_subscription(msg.AudioWindow, 'audio_window', windows.append, qos.AUDIO_WINDOW)
        start([sys.executable, TALKER, flavour], env)
        ring = start_node('audio_ring', env=env, source='topic')
        wait_until(lambda: len(windows) >= 3, f'windows:\n{ring.output}')
    samples = msg_to_samples(windows[-1])
    assert windows[-1].sample_rate == 16000 and len(samples) >= 32000
    spectrum = np.abs(np.fft.rfft(samples[-16000:].astype(float)))
    assert int(np.argmax(spectrum)) == 200  # bins of 1 Hz
    assert 15000 < np.abs(samples[-16000:]).max() < 17000
    assert 'Traceback' not in ring.output
