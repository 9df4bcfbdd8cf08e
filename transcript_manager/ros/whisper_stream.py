"""One stream of a whisper node: its topics, its decoder, and what is wrong with its windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
import threading
import time

from rclpy.node import Node
from rclpy.subscription import Subscription
from std_msgs.msg import String

from transcript_manager import msg
from transcript_manager.audio.ring import SAMPLE_RATES_HZ
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.stream import (
    StreamDecoder,
    StreamResult,
    StreamSettings,
    StreamWindow,
)
from transcript_manager.errors import ParameterError
from transcript_manager.ros import qos
from transcript_manager.ros.conversions import (
    msg_to_samples,
    NS_PER_MS,
    segment_to_msg,
    to_time,
    window_ms,
)
from transcript_manager.streams.messages import NS_PER_S, to_ns

WARN_EVERY_S = 10.0
_STAMP_WARN_EVERY_S = 60.0
_FAR_S = 12 * 3600
"""A stamp this far from the node's clock comes from another clock."""
_JUMP_S = 0.5
_CONTEXT_WORDS = 200  # more than the decoder's context holds


class WhisperStream:
    """
    The windows of one namespace, in and out.

    :param node: whose topics these are
    :param namespace: relative to the node's, or absolute; '' for its own
    :param on_window: called with (stream, message) in the executor's thread
    """

    def __init__(
        self,
        node: Node,
        namespace: str,
        engine: WhisperEngine,
        settings: StreamSettings,
        on_window: Callable[[WhisperStream, msg.AudioWindow], None],
    ) -> None:
        self._node = node
        self.name = node.resolve_topic_name(topic_in(namespace, 'audio_window')).rpartition('/')[0]
        self.name = self.name.strip('/')
        self.decoder = StreamDecoder(engine, settings)
        self.failed = 0
        """Windows that whisper.cpp could not decode."""
        self.refused = 0
        """Windows that could not be used at all."""
        self.complaint = ''
        """What is wrong with the newest window; '' if nothing is."""
        self.prompt_complaint = ''
        """Why the last prompt from the topic was refused; '' if it was not."""
        self.epoch = 0
        """Goes up when a window is of another recording than the one before."""
        self.lag_s = 0.0
        """From the end of the last window's audio to its tokens, by the node's clock [s]."""
        self._model = engine.model.name
        self._settings = settings
        self._prompt: str | None = None
        self._stream_start_ns: int | None = None
        self._said: deque[tuple[int, str]] = deque(maxlen=_CONTEXT_WORDS)
        self._changes = threading.Lock()
        self._warned_s: dict[str, float] = {}

        def topic(name: str) -> str:
            return topic_in(namespace, name)

        self._publisher = node.create_publisher(msg.WhisperTokens, topic('tokens'), qos.TOKENS)
        self._subscriptions = [
            node.create_subscription(String, topic('prompt'), self._on_prompt, qos.PROMPT),
            node.create_subscription(
                msg.TranscriptSegment,
                topic('transcript/frozen'),
                self._on_frozen,
                qos.TRANSCRIPT_FROZEN,
            ),
        ]
        self._windows_topic = topic('audio_window')
        self._on_window = on_window
        self._windows: Subscription | None = None

    def listen(self) -> None:
        """Take windows from now on."""
        self._windows = self._node.create_subscription(
            msg.AudioWindow,
            self._windows_topic,
            lambda message: self._on_window(self, message),
            qos.AUDIO_WINDOW,
        )

    def stop_listening(self) -> None:
        """Take no more windows; those to come are of another recording."""
        if self._windows is not None:
            self._node.destroy_subscription(self._windows)
            self._windows = None
        self.epoch += 1

    def destroy(self) -> None:
        """Leave the topics."""
        self.stop_listening()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._node.destroy_publisher(self._publisher)

    def configure(self, settings: StreamSettings) -> None:
        """Take other settings from the next window on; a prompt from the topic stays."""
        with self._changes:
            self._settings = settings
        self._apply()

    def detect_language_again(self) -> None:
        """Forget a detected language."""
        with self._changes:
            self.decoder.detect_language_again()

    def check(self, message: msg.AudioWindow) -> bool:
        """
        Look at a window as it comes: whether it can be used, and what is odd about it.

        What is wrong is logged, throttled, and kept in :attr:`complaint`.
        """
        self.complaint = ''
        low, high = SAMPLE_RATES_HZ
        if not low <= message.sample_rate <= high:
            self.refused += 1
            self._complain(
                'rate',
                f'an audio window has sample_rate {message.sample_rate}, must be '
                f'{low}..{high} Hz; it is ignored',
            )
            return False
        if not message.samples and not message.end_of_stream:
            self._complain('empty', 'an audio window has no samples; nothing is heard in it')
        self._check_stamp(message)
        return True

    def _check_stamp(self, message: msg.AudioWindow) -> None:
        stamp_ns = to_ns(message.header.stamp)
        start_ns = self._start_ns(message)
        if self._stream_start_ns is not None and message.first_sample > 0:
            jump_s = (start_ns - self._stream_start_ns) / NS_PER_S
            if abs(jump_s) > _JUMP_S:
                self._complain(
                    'jump',
                    f'header.stamp has jumped by {jump_s:+.1f} s against first_sample; it is '
                    'taken for a new stream',
                )
                self.epoch += 1
        elif message.first_sample == 0 and start_ns != self._stream_start_ns:
            self.epoch += 1
        self._stream_start_ns = start_ns
        now_ns = self._node.get_clock().now().nanoseconds
        off_s = (stamp_ns - now_ns) / NS_PER_S
        if now_ns > 0 and abs(off_s) > _FAR_S:  # 0: simulated, and nobody has said it yet
            where = 'future' if off_s > 0 else 'past'
            self._complain(
                'far',
                f'header.stamp is {abs(off_s):.0f} s in the {where} of this clock; set '
                'use_sim_time for a replay, or bring the clocks together',
                every_s=_STAMP_WARN_EVERY_S,
            )

    def decode(self, message: msg.AudioWindow, abort: threading.Event) -> StreamResult:
        """Decode a window; in the worker's thread, raises as :meth:`StreamDecoder.decode`."""
        with self._changes:
            start_ns = to_ns(message.header.stamp)
            self.decoder.context = ''.join(t for end, t in self._said if end <= start_ns)
        window = StreamWindow(
            msg_to_samples(message),
            message.sample_rate,
            message.first_sample,
            self._start_ns(message),
            message.end_of_stream,
        )
        result = self.decoder.decode(window, abort=abort)
        if result.skipped_ms:
            model = self.decoder.engine.model
            self._complain(
                'long',
                f'the window is {window.duration_ms / 1000:.2f} s long, model {model.name} takes '
                f"{model.max_window_s:g} s: only its end is decoded; set audio_ring's window_s",
            )
        return result

    def publish(
        self, message: msg.AudioWindow, result: StreamResult, *, inference_ms: int
    ) -> None:
        """Publish what was heard in a window."""
        self._publish(message, result, result.skipped_ms, inference_ms)

    def publish_unheard(self, message: msg.AudioWindow) -> None:
        """
        Publish that time has gone on, and nothing about what was said.

        A window of length 0 at the end of the audio covers nothing, so it is no evidence of
        silence.
        """
        result = StreamResult((), self.decoder.language)
        self._publish(message, result, window_ms(message), 0)

    def _publish(
        self, message: msg.AudioWindow, result: StreamResult, skipped_ms: int, inference_ms: int
    ) -> None:
        header = message.header
        start_ns = to_ns(header.stamp)
        length_ms = window_ms(message)
        if skipped_ms:
            header = replace_stamp(header, start_ns + skipped_ms * NS_PER_MS)
        segments = [segment_to_msg(s, earlier_ms=skipped_ms) for s in result.segments]
        self._publisher.publish(
            msg.WhisperTokens(
                header=header,
                window_ms=length_ms - skipped_ms,
                segments=segments,
                language=result.language,
                model=self._model,
                inference_ms=inference_ms,
                end_of_stream=message.end_of_stream,
            )
        )
        now_ns = self._node.get_clock().now().nanoseconds
        if now_ns > 0:
            self.lag_s = (now_ns - start_ns) / NS_PER_S - length_ms / 1000

    def _on_prompt(self, message: String) -> None:
        prompt = message.data or None
        if prompt is not None:
            options = replace(self._settings.options, prompt=prompt)
            try:
                self.decoder.engine.check(options)
            except ParameterError as error:
                self.prompt_complaint = f'topic prompt: {error}; the prompt before it stays'
                self.warn('prompt', self.prompt_complaint)
                return
        self.prompt_complaint = ''
        self._prompt = prompt
        self._apply()

    def _apply(self) -> None:
        with self._changes:
            settings = self._settings
            if self._prompt is not None:
                options = replace(settings.options, prompt=self._prompt)
                settings = replace(settings, options=options)
            self.decoder.configure(settings)

    def _on_frozen(self, message: msg.TranscriptSegment) -> None:
        with self._changes:
            self._said.extend((to_ns(w.end), w.text) for w in message.words)

    @staticmethod
    def _start_ns(message: msg.AudioWindow) -> int:
        """Return the capture time of the stream's sample 0."""
        samples_ns = message.first_sample * NS_PER_S // message.sample_rate
        return to_ns(message.header.stamp) - samples_ns

    def _complain(self, kind: str, text: str, every_s: float = WARN_EVERY_S) -> None:
        self.complaint = text
        self.warn(kind, text, every_s)

    def warn(self, kind: str, text: str, every_s: float = WARN_EVERY_S) -> None:
        """Log a warning, of each kind one in a while."""
        now_s = time.monotonic()
        if now_s - self._warned_s.get(kind, float('-inf')) >= every_s:
            self._warned_s[kind] = now_s
            self._node.get_logger().warning(f'{self.name}: {text}' if self.name else text)


def topic_in(namespace: str, name: str) -> str:
    """Return a topic's name in a namespace, relative or absolute; '' is the node's own."""
    return f'{namespace.rstrip("/")}/{name}' if namespace else name


def replace_stamp(header, stamp_ns: int):
    """Return a header like another one with another stamp."""
    return type(header)(stamp=to_time(stamp_ns), frame_id=header.frame_id)
