"""A program: prints what it hears on REP-155's topics of the anonymous speaker, as JSON lines."""

import json

from hri_msgs.msg import IdsList, LiveSpeech
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool

VOICE = '/humans/voices/anonymous_speaker'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def main():
    rclpy.init()
    node = Node('hri_listener')

    def speech(message):
        heard = {f: getattr(message, f) for f in message.get_fields_and_field_types()}
        heard['header'] = {
            'stamp': [message.header.stamp.sec, message.header.stamp.nanosec],
            'frame_id': message.header.frame_id,
        }
        print(json.dumps({'speech': heard}), flush=True)

    def tracked(message):
        print(json.dumps({'tracked': list(message.ids)}), flush=True)

    def speaking(message):
        print(json.dumps({'speaking': message.data}), flush=True)

    node.create_subscription(LiveSpeech, f'{VOICE}/speech', speech, 50)
    node.create_subscription(IdsList, '/humans/voices/tracked', tracked, LATCHED)
    node.create_subscription(Bool, f'{VOICE}/is_speaking', speaking, 50)
    rclpy.spin(node)


if __name__ == '__main__':
    main()
