"""
A program: publishes 200 Hz at half scale on the topic audio, as one audio_common_msgs does.

The argument says as which of them: ros_drivers or mgonzs13.
"""

import sys

import audio_common_msgs.msg as messages
import numpy as np
import rclpy
from rclpy.node import Node

RATE_HZ = 16000
BLOCK = 1600
PA_INT16 = 8


def ros_drivers(samples):
    return messages.AudioDataStamped(
        audio=messages.AudioData(data=samples.astype('<i2').tobytes())
    )


def mgonzs13(samples):
    return messages.AudioStamped(
        audio=messages.Audio(
            audio_data=messages.AudioData(int16_data=samples.tolist()),
            info=messages.AudioInfo(format=PA_INT16, channels=1, rate=RATE_HZ, chunk=BLOCK),
        )
    )


def main():
    make = {'ros_drivers': ros_drivers, 'mgonzs13': mgonzs13}[sys.argv[1]]
    rclpy.init()
    node = Node('talker')
    samples = (16384 * np.sin(2 * np.pi * 200 * np.arange(BLOCK) / RATE_HZ)).astype(np.int16)
    publisher = node.create_publisher(type(make(samples)), 'audio', 10)

    def publish():
        message = make(samples)
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    node.create_timer(BLOCK / RATE_HZ, publish)
    rclpy.spin(node)


if __name__ == '__main__':
    main()
