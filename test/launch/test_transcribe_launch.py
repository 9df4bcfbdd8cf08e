"""
transcribe.launch.py under the real launch system, where it is installed.

launch_testing is not on PyPI, so `make test` reports this file as skipped; `colcon test` in a ROS
installation runs it. What it checks is also checked, without launch, in test/ros.
"""

import os
from pathlib import Path
import signal
import threading
import time
import unittest

import pytest

pytest.importorskip('launch_testing', reason='launch_testing is not installed; it is not on PyPI')
pytest.importorskip('launch_ros', reason='launch_ros is not installed; it is not on PyPI')

from ament_index_python.packages import get_package_share_directory
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
import launch_testing
import launch_testing.actions
import launch_testing.asserts
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from launch import LaunchDescription
from transcript_manager.ros.listener import TranscriptListener

TIMEOUT_S = 60.0
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')


@pytest.mark.launch_test
def generate_test_description():
    """Launch the three nodes on the bundled speech."""
    share = Path(get_package_share_directory('transcript_manager'))
    transcribe = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share / 'launch' / 'transcribe.launch.py')),
        launch_arguments={
            'source': str(share / 'demo' / 'demo.flac'),
            'model': 'demo',
            'namespace': 'robot1',
        }.items(),
    )
    return LaunchDescription([transcribe, launch_testing.actions.ReadyToTest()])


def wait_until(condition, what):
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s, f'{what}: not within {TIMEOUT_S} s'
        time.sleep(0.1)


class TestTranscribe(unittest.TestCase):
    """While it runs."""

    def setUp(self):
        # The launch service owns the main thread, and with it the signals.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.listener = TranscriptListener(namespace='robot1')
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.listener)
        self.spinner = threading.Thread(target=self.executor.spin, daemon=True)
        self.spinner.start()

    def tearDown(self):
        self.executor.shutdown()
        self.spinner.join(TIMEOUT_S)
        self.listener.destroy_node()
        rclpy.shutdown()

    def test_text_appears_and_goes_on_after_a_decoder_is_killed(self, proc_info):
        listener = self.listener
        wait_until(lambda: len(proc_info.process_names()) == 3, 'three processes')
        wait_until(lambda: 'judgments' in listener.snapshot().appended_text, 'the first text')
        whisper = next(n for n in proc_info.process_names() if n.startswith('whisper'))
        os.kill(proc_info[whisper].pid, signal.SIGKILL)
        before = listener.snapshot().revision
        wait_until(lambda: listener.snapshot().revision > before + 5, 'updates after the kill')


@launch_testing.post_shutdown_test()
class TestAfterShutdown(unittest.TestCase):
    """When it has been shut down."""

    def test_everything_ended_cleanly(self, proc_info, proc_output):
        launch_testing.asserts.assertExitCodes(
            proc_info, allowable_exit_codes=[0, -signal.SIGKILL]
        )
        for name in proc_info.process_names():
            output = ''.join(o.text.decode() for o in proc_output[name])
            self.assertNotIn('Traceback', output)
