"""
What the graph costs beside whisper.cpp: `make bench`.

Two runs of the three nodes over their real topics in one process, at real-time pace on the
bundled speech:

* CPU: whisper.cpp is replaced by its own recorded results, so that all the CPU time the process
  uses is the graph's: reading, ring, messages, merge, publication, and a listener.
* latency: with the real decoder. From the capture of a window's last sample to the arrival of its
  merge at a listener, less the time whisper.cpp took.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import platform
import statistics
import sys
import threading
import time

import numpy as np
from rclpy.parameter import Parameter

from transcript_manager import msg
from transcript_manager.audio.files import FileSource
from transcript_manager.audio.ring import AudioRing
from transcript_manager.decoder import models
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.stream import (
    StreamDecoder,
    StreamResult,
    StreamSettings,
    StreamWindow,
)
from transcript_manager.ros import qos
from transcript_manager.ros.audio_ring_node import AudioRingNode
from transcript_manager.ros.conversions import NS_PER_MS
from transcript_manager.ros.listener import TranscriptListener
from transcript_manager.ros.process import Process
from transcript_manager.ros.transcript_node import TranscriptNode
from transcript_manager.ros.whisper_node import WhisperNode
from transcript_manager.streams.messages import to_ns

ROOT = Path(__file__).resolve().parent.parent
HOP_S = 1.0
POLL_S = 0.2


def record(audio: Path) -> dict[tuple[int, bool], StreamResult]:
    """Decode every window of a file; returns the results by where a window ends and its mark."""
    ring = AudioRing(sample_rate_hz=16000, window_s=10.0, hop_s=HOP_S)
    results = {}
    with FileSource(audio) as source, WhisperEngine(models.resolve('demo')) as engine:
        decoder = StreamDecoder(engine, StreamSettings())
        windows = []
        while (block := source.read()) is not None:
            windows += ring.push(block)
        for w in [*windows, ring.finish()]:
            window = StreamWindow(w.samples, 16000, w.first_sample, 0, w.end_of_stream)
            results[w.end_sample, w.end_of_stream] = decoder.decode(window)
    return results


def run(
    audio: Path, recorded: dict[tuple[int, bool], StreamResult] | None
) -> tuple[float, list[float]]:
    """
    Play a file through the graph in real time.

    :param recorded: results that stand in for the decoder, gate included; None: the real one
    :returns: CPU time per hop [s], and per window the latency without decoding [ms]
    """
    arrivals: dict[int, int] = {}
    decodes_ms: dict[int, int] = {}

    def on_tokens(message: msg.WhisperTokens) -> None:
        end_ns = to_ns(message.header.stamp) + message.window_ms * NS_PER_MS
        decodes_ms.setdefault(end_ns, message.inference_ms)

    def on_update(message: msg.TranscriptUpdate) -> None:
        arrivals.setdefault(to_ns(message.header.stamp), time.time_ns())

    with Process(['--ros-args', '--log-level', 'warn']) as process:
        listener = process.add(TranscriptListener)
        listener.create_subscription(msg.WhisperTokens, 'tokens', on_tokens, qos.TOKENS)
        listener.create_subscription(msg.TranscriptUpdate, 'transcript', on_update, qos.TRANSCRIPT)
        process.add(TranscriptNode)
        whisper = process.add(
            lambda: WhisperNode(parameter_overrides=[Parameter('model', value='demo')])
        )
        if recorded is not None:

            def decode(window: StreamWindow, *, abort: threading.Event) -> StreamResult:
                end_sample = window.first_sample + len(window.samples)
                return recorded[end_sample, window.end_of_stream]

            whisper._streams[0].decoder.decode = decode
        process.spin()
        values = {'source': str(audio), 'hop_s': HOP_S, 'start_delay_s': 1.0}
        overrides = [Parameter(k, value=v) for k, v in values.items()]
        ring = process.add(lambda: AudioRingNode(parameter_overrides=overrides))
        while ring.stream_start_ns is None:
            time.sleep(POLL_S)
        cpu_from_s = time.process_time()
        while not listener.snapshot().is_complete:
            if process.failure is not None:
                raise process.failure
            time.sleep(POLL_S)
        cpu_s = time.process_time() - cpu_from_s
    hops = len(arrivals)
    latencies_ms = [
        (arrival_ns - end_ns) / NS_PER_MS - decodes_ms[end_ns]
        for end_ns, arrival_ns in arrivals.items()
        if end_ns in decodes_ms
    ]
    return cpu_s / hops, latencies_ms


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description='Measure the cost of the graph.')
    parser.add_argument('--audio', type=Path, default=ROOT / 'demo' / 'demo.flac')
    args = parser.parse_args()
    cpu_s, _ = run(args.audio, record(args.audio))
    _, latencies_ms = run(args.audio, None)
    figures = {
        'machine': f'{platform.machine()}, {len(os.sched_getaffinity(0))} cores',
        'ros': os.environ.get('ROS_DISTRO', ''),
        'cpu_per_hop_ms': round(cpu_s * 1000, 2),
        'share_of_one_core_percent': round(100 * cpu_s / HOP_S, 2),
        'windows': len(latencies_ms),
        'latency_p50_ms': round(statistics.median(latencies_ms), 1),
        'latency_p95_ms': round(float(np.percentile(latencies_ms, 95)), 1),
        'latency_max_ms': round(max(latencies_ms), 1),
    }
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
