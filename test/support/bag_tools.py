"""
Bags for tests: messages in, a rosbag2 bag out, and back.

Nothing here is a stand-in: the bags are real ones, written by rosbags.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

ROOT = Path(__file__).resolve().parents[2]
AUDIO_WINDOW = 'transcript_manager/msg/AudioWindow'
TOKENS = 'transcript_manager/msg/WhisperTokens'
NS_PER_S = 1_000_000_000
START_NS = 1_700_000_000 * NS_PER_S


def typestore(**definitions: str) -> Any:
    """Return the types of ROS and of this package; further ones by name: pkg__Name='uint8 x'."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in ('WhisperToken', 'WhisperSegment', 'WhisperTokens', 'AudioWindow'):
        text = (ROOT / 'msg' / f'{name}.msg').read_text(encoding='utf-8')
        store.register(get_types_from_msg(text, f'transcript_manager/msg/{name}'))
    for name, text in definitions.items():
        store.register(get_types_from_msg(text, name.replace('__', '/msg/')))
    return store


def header(store: Any, at_ns: int, frame_id: str = 'microphone') -> Any:
    """Make a header."""
    stamp = store.types['builtin_interfaces/msg/Time'](*divmod(at_ns, NS_PER_S))
    return store.types['std_msgs/msg/Header'](stamp, frame_id)


def audio_message(
    store: Any,
    samples: np.ndarray,
    first: int,
    count: int,
    *,
    rate_hz: int = 16000,
    start_ns: int = START_NS,
    end_of_stream: bool = False,
) -> Any:
    """Make an AudioWindow of ``samples[first:first + count]`` of a stream."""
    return store.types[AUDIO_WINDOW](
        header=header(store, start_ns + first * NS_PER_S // rate_hz),
        sample_rate=rate_hz,
        first_sample=first,
        samples=samples[first : first + count],
        end_of_stream=end_of_stream,
    )


def write_bag(
    path: Path,
    messages: Iterable[tuple[str, str, int, Any]],
    *,
    store: Any = None,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compress: bool = False,
) -> Path:
    """
    Write a bag.

    :param messages: topic, type, when it was recorded [ns], and the message or its CDR bytes
    """
    store = store or typestore()
    writer = Writer(path, version=9, storage_plugin=storage)
    if compress:
        # MCAP compresses its chunks itself.
        is_mcap = storage == StoragePlugin.MCAP
        mode = CompressionMode.STORAGE if is_mcap else CompressionMode.FILE
        writer.set_compression(mode, CompressionFormat.ZSTD)
    connections: dict[tuple[str, str], Any] = {}
    with writer:
        for topic, kind, recorded_ns, message in messages:
            if (topic, kind) not in connections:
                connections[topic, kind] = writer.add_connection(topic, kind, typestore=store)
            data = message
            if not isinstance(message, (bytes, memoryview)):
                data = store.serialize_cdr(message, kind)
            writer.write(connections[topic, kind], recorded_ns, data)
    return path


def audio_chunks(
    store: Any, samples: np.ndarray, *, topic: str = '/audio', rate_hz: int = 16000, **options: Any
) -> list[tuple[str, str, int, Any]]:
    """Cut samples as the ring's ``audio``: 100 ms a message, recorded when each was complete."""
    step = rate_hz // 10
    start_ns = options.get('start_ns', START_NS)
    return [
        (
            topic,
            AUDIO_WINDOW,
            start_ns + min(first + step, len(samples)) * NS_PER_S // rate_hz,
            audio_message(
                store,
                samples,
                first,
                step,
                rate_hz=rate_hz,
                start_ns=start_ns,
                end_of_stream=first + step >= len(samples),
            ),
        )
        for first in range(0, len(samples), step)
    ]


def read_all(source: Any) -> np.ndarray:
    """Read a source to its end: int16, shape (n,)."""
    blocks = []
    while (block := source.read(0.1)) is not None:
        assert block.dtype == np.int16 and block.ndim == 1 and len(block) > 0
        blocks.append(block)
    return np.concatenate(blocks)


def bad_bags(folder: Path) -> dict[str, str]:
    """Make every kind of bag that cannot be transcribed; returns what is said of each."""
    store, samples = typestore(), np.ones(8000, np.int16)
    chunks = audio_chunks(store, samples)
    write_bag(folder / 'empty', [], store=store)
    kind = store.types['std_msgs/msg/String']
    write_bag(folder / 'chatter', [('/chatter', 'std_msgs/msg/String', 1, kind('hi'))])
    write_bag(folder / 'truncated', chunks, store=store)
    (file,) = (folder / 'truncated').glob('*.mcap')
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    write_bag(folder / 'bare', chunks, store=store)
    (folder / 'bare' / 'metadata.yaml').unlink()
    for name, rate_hz in (('still', 0), ('absurd', 4_000_000_000)):
        message = audio_message(store, samples, 0, 1600)
        message.sample_rate = rate_hz
        messages = [('/audio_window', AUDIO_WINDOW, START_NS, message)]
        write_bag(folder / name, messages, store=store)
    nothing = audio_message(store, samples, 0, 0)
    write_bag(folder / 'silent', [('/audio', AUDIO_WINDOW, START_NS, nothing)], store=store)
    return {
        'empty': 'has no audio; record `audio`, or `audio_window`. Its topics: none',
        'chatter': 'has no audio; record `audio`, or `audio_window`. Its topics: /chatter',
        'truncated': 'is no bag that can be read, or damaged',
        'bare': 'ros2 bag reindex',
        'still': 'its rate is 0 Hz',
        'absurd': 'its rate is 4000000000 Hz',
        'silent': 'holds no audio (0 samples)',
        'missing': 'No such file',
    }
