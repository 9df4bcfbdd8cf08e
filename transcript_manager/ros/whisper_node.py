"""
whisper.cpp as a node: the newest audio window in, its tokens out.

ROS API

* subscribes ``audio_window`` (transcript_manager/AudioWindow)
* publishes ``tokens`` (transcript_manager/WhisperTokens), one message per decoded window
* parameters: ``WHISPER`` of parameters.py
"""

from __future__ import annotations

import threading
import time

import numpy as np
import soxr

from transcript_manager import msg
from transcript_manager.audio.ring import SAMPLE_RATES_HZ
from transcript_manager.decoder import models
from transcript_manager.decoder.engine import (
    DecodeAborted,
    DecodeFailed,
    EngineResult,
    SAMPLE_RATE_HZ,
    WhisperEngine,
)
from transcript_manager.ros import parameters, qos
from transcript_manager.ros.conversions import msg_to_samples, segment_to_msg, window_ms
from transcript_manager.ros.process import run_node, WorkerNode

_WARN_EVERY_S = 10.0


class WhisperNode(WorkerNode):
    """
    Decode windows in a thread; the callback only keeps the newest one.

    A decode that takes longer than a hop thereby skips to the newest window.
    """

    def __init__(self, **options) -> None:
        super().__init__('whisper', **options)
        values = parameters.declare(self, parameters.WHISPER)
        model = models.resolve(values['model'], progress=self._log_progress())
        self._engine = WhisperEngine(model, threads=values['threads'], language=values['language'])
        self.skipped_windows = 0
        """Windows that a newer one overtook while they waited."""
        self.decoded_windows = 0
        self.busy_s = 0.0
        """Time spent in whisper.cpp [s]."""
        self._newest: msg.AudioWindow | None = None
        self._arrived = threading.Condition()
        self._last: tuple[tuple, EngineResult, int] | None = None
        self._publisher = self.create_publisher(msg.WhisperTokens, 'tokens', qos.TOKENS)
        self.start_worker(self._work)
        # Last of all: whoever waits for a subscriber may count on a loaded model.
        self.create_subscription(
            msg.AudioWindow, 'audio_window', self._on_window, qos.AUDIO_WINDOW
        )
        self.get_logger().info(
            f'model {model.name} is ready, {self._engine.threads} threads, '
            f'language {values["language"]}'
        )

    def stop(self) -> None:
        """End the worker; a decode that is running is left behind if it takes too long."""
        self.stopping.set()
        self._engine.abort()
        with self._arrived:
            self._arrived.notify()
        super().stop()
        if not self.is_working:
            self._engine.close()

    def _on_window(self, message: msg.AudioWindow) -> None:
        with self._arrived:
            if self._newest is not None:
                self.skipped_windows += 1
                self.get_logger().warning(
                    f'decoding is slower than the hop: {self.skipped_windows} windows skipped '
                    'so far; a smaller model or a longer hop_s helps',
                    throttle_duration_sec=_WARN_EVERY_S,
                )
            self._newest = message
            self._arrived.notify()

    def _work(self) -> None:
        while not self.stopping.is_set():
            with self._arrived:
                self._arrived.wait_for(lambda: self._newest is not None or self.stopping.is_set())
                message, self._newest = self._newest, None
            if message is None:
                return
            try:
                tokens = self._decode(message)
            except DecodeAborted:
                return
            if tokens is not None:
                self._publisher.publish(tokens)

    def _decode(self, message: msg.AudioWindow) -> msg.WhisperTokens | None:
        low, high = SAMPLE_RATES_HZ
        if not low <= message.sample_rate <= high:
            self._warn(
                f'an audio window has sample_rate {message.sample_rate}, must be '
                f'{low}..{high} Hz; it is ignored'
            )
            return None
        stamp = message.header.stamp
        identity = (stamp.sec, stamp.nanosec, message.first_sample, len(message.samples))
        if self._last is not None and self._last[0] == identity:
            _, result, inference_ms = self._last  # sent again, or once more as the last one
        else:
            started_s = time.perf_counter()
            try:
                result = self._engine.transcribe(self._prepared(message))
            except DecodeFailed as error:  # of this window; the next one is another chance
                self.get_logger().error(str(error), throttle_duration_sec=_WARN_EVERY_S)
                result = EngineResult((), '')
            elapsed_s = time.perf_counter() - started_s
            self.busy_s += elapsed_s
            self.decoded_windows += 1
            inference_ms = round(elapsed_s * 1000)
            self._last = (identity, result, inference_ms)
        return msg.WhisperTokens(
            header=message.header,
            window_ms=window_ms(message),
            segments=[segment_to_msg(s) for s in result.segments],
            language=result.language,
            model=self._engine.model.name,
            inference_ms=inference_ms,
            end_of_stream=message.end_of_stream,
        )

    def _prepared(self, message: msg.AudioWindow) -> np.ndarray:
        """Bring a window to what the model takes: 16 kHz, and no longer than it can."""
        samples = msg_to_samples(message)
        if message.sample_rate != SAMPLE_RATE_HZ and len(samples):
            samples = soxr.resample(samples, message.sample_rate, SAMPLE_RATE_HZ)
        excess = len(samples) - self._engine.max_samples
        if excess > 0:
            self._warn(
                f'the window is {len(samples) / SAMPLE_RATE_HZ:.2f} s long, model '
                f'{self._engine.model.name} takes {self._engine.model.max_window_s:g} s: its end '
                "is left undecoded; set audio_ring's window_s"
            )
            samples = samples[: self._engine.max_samples]
        return np.ascontiguousarray(samples, dtype=np.int16)

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=_WARN_EVERY_S)

    def _log_progress(self):
        logged = -10

        def progress(received_bytes: int, total_bytes: int) -> None:
            nonlocal logged
            percent = 100 * received_bytes // max(1, total_bytes)
            if percent >= logged + 10:
                logged = percent - percent % 10
                self.get_logger().info(f'fetching the model: {percent} %')

        return progress


def main() -> int:
    """Entry point of ``ros2 run transcript_manager whisper``."""
    return run_node('whisper', WhisperNode)
