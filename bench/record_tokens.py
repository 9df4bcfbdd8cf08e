"""
Record the tokens of real decodes as a bag: `record_tokens.py AUDIO BAG`.

The three nodes run on a sound file in lock-step, so that no window is skipped, and what a
subscriber of ``tokens`` receives goes into a rosbag2 bag. The bags under test/bags come from here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from transcript_manager import msg
from transcript_manager.ros import parameters, qos
from transcript_manager.ros.audio_ring_node import AudioRingNode
from transcript_manager.ros.conversions import NS_PER_MS
from transcript_manager.ros.listener import TranscriptListener
from transcript_manager.ros.process import Process
from transcript_manager.ros.transcript_node import TranscriptNode
from transcript_manager.ros.whisper_node import WhisperNode
from transcript_manager.streams.messages import to_ns

ROOT = Path(__file__).resolve().parent.parent
TYPES = ('WhisperToken', 'WhisperSegment', 'WhisperTokens')


def decode(audio: Path, model: str) -> list[msg.WhisperTokens]:
    """Return every message on ``tokens`` while a file is transcribed, each window once."""
    received: dict[tuple[int, int, bool], msg.WhisperTokens] = {}

    def on_tokens(message: msg.WhisperTokens) -> None:
        key = (to_ns(message.header.stamp), message.window_ms, message.end_of_stream)
        received.setdefault(key, message)

    with Process(['--ros-args', '--log-level', 'warn']) as process:
        listener = process.add(TranscriptListener)
        listener.create_subscription(msg.WhisperTokens, 'tokens', on_tokens, qos.TOKENS)
        process.add(TranscriptNode)
        process.add(lambda: WhisperNode(parameter_overrides=[Parameter('model', value=model)]))
        process.spin()
        values = {'source': str(audio), 'pace': parameters.LOCKSTEP}
        overrides = [Parameter(k, value=v) for k, v in values.items()]
        process.add(lambda: AudioRingNode(parameter_overrides=overrides))
        while not listener.snapshot().is_complete:
            with listener.changed:
                listener.changed.wait(0.2)
            if process.failure is not None:
                raise process.failure
    return list(received.values())


def write(messages: list[msg.WhisperTokens], bag: Path) -> None:
    """Write messages as a bag; each is recorded at the end of its window."""
    typestore = get_typestore(Stores.ROS2_JAZZY)
    for name in TYPES:
        text = (ROOT / 'msg' / f'{name}.msg').read_text(encoding='utf-8')
        typestore.register(get_types_from_msg(text, f'transcript_manager/msg/{name}'))
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(
            '/tokens', 'transcript_manager/msg/WhisperTokens', typestore=typestore
        )
        for message in messages:
            at_ns = to_ns(message.header.stamp) + message.window_ms * NS_PER_MS
            writer.write(connection, at_ns, serialize_message(message))


def main() -> None:
    """Record one file."""
    parser = argparse.ArgumentParser(description='Record the tokens of a sound file as a bag.')
    parser.add_argument('audio', type=Path, metavar='AUDIO')
    parser.add_argument('bag', type=Path, metavar='BAG')
    parser.add_argument('--model', default='demo', metavar='NAME|PATH')
    args = parser.parse_args()
    write(decode(args.audio, args.model), args.bag)


if __name__ == '__main__':
    main()
