"""
whisper.cpp as a node: the newest audio window in, its tokens out; of one stream or of several.

ROS API, for each of its ``namespaces``

* subscribes ``audio_window`` (transcript_manager/AudioWindow)
* publishes ``tokens`` (transcript_manager/WhisperTokens), one message per window it has looked at
* subscribes ``prompt`` (std_msgs/String): what the talk is about, over the parameter; empty: the
  parameter again
* subscribes ``transcript/frozen`` (transcript_manager/TranscriptSegment), for rolling context

and once

* publishes ``/diagnostics`` (diagnostic_msgs/DiagnosticArray)
* service ``~/detect_language`` (std_srvs/Trigger): forget a detected language
* parameters: ``WHISPER`` of parameters.py; those marked live may change while it runs
"""

from __future__ import annotations

from dataclasses import replace
import os
from pathlib import Path
import threading
import time
from typing import Any

from rclpy.validate_full_topic_name import validate_full_topic_name
from std_srvs.srv import Trigger

from transcript_manager import msg
from transcript_manager.decoder import models
from transcript_manager.decoder.engine import DecodeAborted, DecodeFailed, WhisperEngine
from transcript_manager.decoder.guards import GuardSettings
from transcript_manager.decoder.options import AUTO, DecodeOptions, default_threads
from transcript_manager.decoder.schedule import Job, Schedule
from transcript_manager.decoder.stream import StreamResult, StreamSettings
from transcript_manager.decoder.voice import VoiceSettings
from transcript_manager.errors import ModelError, ParameterError
from transcript_manager.ros import parameters
from transcript_manager.ros.conversions import window_ms
from transcript_manager.ros.diagnostics import DiagnosticsPublisher, Health
from transcript_manager.ros.managed_node import ManagedNode
from transcript_manager.ros.process import run_node
from transcript_manager.ros.specs import follow
from transcript_manager.ros.whisper_stream import topic_in, WARN_EVERY_S, WhisperStream
from transcript_manager.streams.messages import NS_PER_S, to_ns


class WhisperNode(ManagedNode):
    """Decode windows in a thread; the callbacks only keep the newest one of each stream."""

    def __init__(self, **options) -> None:
        self._engine: WhisperEngine | None = None  # rclpy destroys half-made nodes, too
        self._streams: list[WhisperStream] = []
        super().__init__('whisper', parameters.WHISPER, **options)
        self._namespaces = self._checked_namespaces(self.values['namespaces'])
        self._is_active = self.values['active']
        self._schedule = Schedule()
        self._arrived = threading.Condition()
        self._abort = threading.Event()
        self._model_complaint = ''
        self._skipped_before: dict[str, int] = {}
        self._diagnostics = DiagnosticsPublisher(self, self._health)
        self.create_service(Trigger, '~/detect_language', self._on_detect_language)
        follow(self, parameters.WHISPER, self.values, self._apply)

    def configure(self) -> None:
        """Load the model."""
        values = self.values
        parameters.check_lags(values)
        model = models.resolve(values['model'], progress=self._log_progress())
        self._model_file = _FileWatch(model.path)
        self._model_complaint = ''
        self._engine = WhisperEngine(
            model,
            timestamps=values['timestamps'],
            flash_attention=values['flash_attention'],
            use_gpu=values['use_gpu'],
            gpu_device=values['gpu_device'],
            openvino_device=values['openvino_device'],
        )
        settings = _settings(values)
        self._engine.check(settings.options)
        self._engine.warm_up(settings.options)
        self._tell(values)
        self._streams = [
            WhisperStream(self, namespace, self._engine, settings, self._on_window)
            for namespace in self._namespaces
        ]

    def activate(self) -> None:
        """Decode from now on."""
        with self._arrived:
            self._schedule = Schedule()
        self._skipped_before.clear()
        self.start_worker(self._work)
        # Last of all: whoever waits for a subscriber may count on a loaded model.
        for stream in self._streams:
            stream.listen()

    def deactivate(self) -> None:
        """Hear no more windows; the decode that is running is given up."""
        for stream in self._streams:
            stream.stop_listening()
        self.stop()

    def cleanup(self) -> None:
        """Free the model's memory."""
        if self.is_working:
            raise ModelError('whisper.cpp is still ending a decode; try again in a moment')
        for stream in self._streams:
            stream.destroy()
        self._streams = []
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    @property
    def skipped_windows(self) -> int:
        """Windows that a newer one overtook while they waited."""
        return sum(load.skipped for load in list(self._schedule.loads.values()))

    @property
    def decoded_windows(self) -> int:
        """Windows that whisper.cpp has decoded."""
        return sum(stream.decoder.counts.decoded for stream in self._streams)

    @property
    def silent_windows(self) -> int:
        """Windows in which the gate heard nobody."""
        return sum(stream.decoder.counts.silent for stream in self._streams)

    @property
    def busy_s(self) -> float:
        """Time spent in whisper.cpp [s]."""
        return self._engine.busy_s if self._engine is not None else 0.0

    def stop(self) -> None:
        """End the worker and the decode it is in."""
        self.stopping.set()
        self._abort.set()
        with self._arrived:
            self._arrived.notify()
        super().stop()

    def _checked_namespaces(self, namespaces: list[str]) -> list[str]:
        """
        Return the namespaces to serve.

        :raises ParameterError: if there is none, one is no namespace or two are the same
        """
        if not namespaces:
            raise ParameterError("parameter namespaces is empty, must name at least one, or ['']")
        topics: dict[str, str] = {}
        for namespace in namespaces:
            try:
                topic = self.resolve_topic_name(topic_in(namespace, 'audio_window'))
                validate_full_topic_name(topic)
            except Exception as error:  # rclpy's own types differ by distribution
                reason = ' '.join(str(error).split())
                raise ParameterError(
                    f'parameter namespaces has {namespace!r}: {reason}'
                ) from error
            if topic in topics:
                raise ParameterError(
                    f'parameter namespaces has {topics[topic]!r} and {namespace!r}, which are the '
                    f'same: both read {topic}'
                )
            topics[topic] = namespace
        return list(namespaces)

    # -- windows -------------------------------------------------------------------------------

    def _on_window(self, stream: WhisperStream, message: msg.AudioWindow) -> None:
        if not stream.check(message):
            return
        start_s = to_ns(message.header.stamp) / NS_PER_S
        job = Job(
            stream.name,
            (stream, message),
            start_s,
            start_s + window_ms(message) / 1000,
            stream.epoch,
            message.end_of_stream,
        )
        with self._arrived:
            is_late = self._schedule.offer(job)
            if self._schedule.obsolete:
                self._abort.set()
            self._arrived.notify()
        if is_late:
            self._warn_of_load(stream)

    def _warn_of_load(self, stream: WhisperStream) -> None:
        with self._arrived:
            load = replace(self._schedule.loads[stream.name])
            duty = self._schedule.duty
        if load.decoded_hop_s == 0:
            return  # nothing can be said yet about how fast it is
        others = len(self._streams) - 1
        busy = f' and {others} other streams' if others else ''
        stream.warn(
            'load',
            f'decoding is slower than the hop: a window takes {load.decode_s:.2f} s and comes '
            f'every {load.hop_s:.2f} s{busy} (duty {duty:.1f}), so that every '
            f'{load.decoded_hop_s:.2f} s one is decoded; {load.skipped} skipped so far; a smaller '
            'model or more threads help',
        )

    def _work(self) -> None:
        while not self.stopping.is_set():
            with self._arrived:
                self._arrived.wait_for(
                    lambda: self._schedule.has_waiting or self.stopping.is_set()
                )
                self._abort.clear()
                if self.stopping.is_set():  # asked after clearing: stop() sets them in this order
                    return
                job = self._schedule.take()
            stream, message = job.window
            started_s, busy_s = time.perf_counter(), self._engine.busy_s
            result = self._decode(stream, message)
            if self.stopping.is_set():
                return
            with self._arrived:
                self._schedule.finish(
                    time.perf_counter() - started_s,
                    is_aborted=result is None and self._abort.is_set(),
                )
            if result is None:
                stream.publish_unheard(message)
            else:
                inference_ms = round((self._engine.busy_s - busy_s) * 1000)
                stream.publish(message, result, inference_ms=inference_ms)

    def _decode(self, stream: WhisperStream, message: msg.AudioWindow) -> StreamResult | None:
        """Return what was heard in a window; None if it was not listened to, or in vain."""
        if not self._is_active:
            return None
        try:
            return stream.decode(message, self._abort)
        except DecodeAborted:
            if not self.stopping.is_set():
                self.get_logger().error(
                    'a decode took longer than its whole window and was given up; this machine is '
                    f'too slow for model {self._engine.model.name}: take a smaller one',
                    throttle_duration_sec=WARN_EVERY_S,
                )
        except DecodeFailed as error:  # of this window; the next one is another chance
            stream.failed += 1
            self.get_logger().error(str(error), throttle_duration_sec=WARN_EVERY_S)
        return None

    # -- parameters and services ---------------------------------------------------------------

    def _apply(self, values: dict[str, Any]) -> None:
        settings = _settings(values)
        if self._engine is not None:
            self._engine.check(settings.options)
        self._is_active = values['active']
        for stream in self._streams:
            stream.configure(settings)

    def _on_detect_language(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        language = self.get_parameter('language').value
        response.success = language == AUTO
        if response.success:
            for stream in self._streams:
                stream.detect_language_again()
            response.message = 'the next windows with speech are asked for their language'
        else:
            response.message = f'language is set to {language!r}; set it to "auto" first'
        return response

    def _tell(self, values: dict[str, Any]) -> None:
        """Say what was made of the parameters."""
        engine, log = self._engine, self.get_logger()
        threads = values['threads'] or default_threads()
        log.info(
            f'model {engine.model.name} is ready, {threads} threads, '
            f'language {values["language"]}, word times by {engine.timestamps}'
        )
        if values['flash_attention'] and not engine.flash_attention:
            log.info('flash attention is off: whisper.cpp cannot have it together with DTW')
        if values['use_gpu'] and not engine.uses_gpu:
            log.warning(
                f'use_gpu: whisper.cpp found no GPU {values["gpu_device"]}, or was built without '
                'GPU support (see docs/decoder.md); decoding on the CPU'
            )

    # -- diagnostics ---------------------------------------------------------------------------

    def _health(self) -> list[Health]:
        if self._engine is None:
            return [Health('', {'state': self.state})]
        if self._model_file.has_changed() and not self._model_complaint:
            self._model_complaint = (
                f'the model file {self._model_file.path} has changed; what was loaded stays until '
                'the node is started again'
            )
            self.get_logger().warning(self._model_complaint)
        return [self._stream_health(stream) for stream in self._streams]

    def _stream_health(self, stream: WhisperStream) -> Health:
        with self._arrived:
            load = self._schedule.loads.get(stream.name)
            values: dict[str, object] = {
                'model': self._engine.model.name,
                'state': self.state,
                'active': self._is_active,
                'gpu': self._engine.uses_gpu,
                'language': stream.decoder.language,
                'language_locked': stream.decoder.is_language_locked,
            }
            if load is not None:
                values |= {
                    'lag_s': stream.lag_s,
                    'duty': load.duty,
                    'duty_of_all_streams': self._schedule.duty,
                    'decode_s': load.decode_s,
                    'hop_s': load.hop_s,
                    'decoded_hop_s': load.decoded_hop_s,
                    'windows_received': load.offered,
                    'windows_skipped': load.skipped,
                    'windows_aborted': load.aborted,
                }
        counts = stream.decoder.counts
        values |= {
            'windows_decoded': counts.decoded,
            'windows_silent': counts.silent,
            'windows_repeated': counts.repeated,
            'windows_too_long': counts.too_long,
            'windows_failed': stream.failed,
            'windows_refused': stream.refused,
            'speech_share': counts.speech,
            'language_detections': counts.detections,
        }
        for guard, cuts in counts.guards.cuts.items():
            values[f'guard_{guard}_cuts'] = cuts
            values[f'guard_{guard}_words'] = counts.guards.words[guard]
            values[f'guard_{guard}_last'] = counts.guards.last[guard][:200]
        health = Health(stream.name, values)
        if load is not None:
            skipped = load.skipped - self._skipped_before.get(stream.name, 0)
            self._skipped_before[stream.name] = load.skipped
            if skipped:
                health.note('warn', f'{skipped} windows skipped since the last report')
        if load is not None and self.is_active:
            health.note_lag(stream.lag_s, self.values)
            if load.duty > self.values['duty_warn']:
                health.note('warn', f'decoding takes {load.duty:.2f} of the time there is')
        if load is not None and load.last_aborted:
            health.note('error', 'decodes take longer than a window; take a smaller model')
        for complaint in (stream.complaint, stream.prompt_complaint):
            if complaint:
                health.note('warn', complaint)
        if self._model_complaint:
            health.note('warn', self._model_complaint)
        return health

    def _log_progress(self):
        logged = -10

        def progress(received_bytes: int, total_bytes: int) -> None:
            nonlocal logged
            percent = 100 * received_bytes // max(1, total_bytes)
            if percent >= logged + 10:
                logged = percent - percent % 10
                self.get_logger().info(f'fetching the model: {percent} %')

        return progress


class _FileWatch:
    """Whether a file is still the one that was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._was = self._state()

    def has_changed(self) -> bool:
        return self._state() != self._was

    def _state(self) -> tuple[int, ...] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return (status.st_ino, status.st_size, status.st_mtime_ns)


def _settings(values: dict[str, Any]) -> StreamSettings:
    """Make the decoder's settings of the node's parameters."""
    return StreamSettings(
        options=DecodeOptions(
            language=values['language'],
            translate=values['translate'],
            prompt=values['prompt'],
            threads=values['threads'],
            audio_ctx=values['audio_ctx'],
            fallbacks=values['fallbacks'],
            no_speech_threshold=values['no_speech_threshold'],
            log_probability_threshold=values['log_probability_threshold'],
        ),
        gate=values['vad'],
        voice=VoiceSettings(
            threshold=values['vad_threshold'],
            padding_s=values['vad_padding_s'],
            min_speech_s=values['vad_min_speech_s'],
        ),
        guards=GuardSettings(
            loops=values['guard_loops'],
            silence=values['guard_silence'],
            edge_probability=values['guard_edge_probability'],
            edge_s=values['guard_edge_s'],
        ),
        rolling_context=values['rolling_context'],
    )


def main() -> int:
    """Entry point of ``ros2 run transcript_manager whisper``."""
    return run_node('whisper', WhisperNode)
