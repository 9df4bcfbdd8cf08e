"""What the messages between the nodes weigh, in bytes a second."""

from __future__ import annotations

from pathlib import Path

from rclpy.serialization import serialize_message
from speech import demo, heldout, join, table, windows
from std_msgs.msg import String

from transcript_manager import msg
from transcript_manager.audio.ring import Window
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.models import ModelInfo
from transcript_manager.decoder.options import DecodeOptions
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings
from transcript_manager.evaluation.overload import as_decode
from transcript_manager.merge.segments import split_text
from transcript_manager.merge.transcript import MergeSettings, Transcript
from transcript_manager.ros.conversions import (
    active_to_msgs,
    segment_to_msg,
    transcript_segment_to_msg,
    window_to_msg,
)


def section(models: list[ModelInfo], folder: Path) -> str:
    """Return this part of the page."""
    speech = join([*demo(), *heldout(folder)[:1]])
    sizes: dict[str, list[int]] = {
        t: []
        for t in ('audio_window', 'tokens', 'transcript', 'transcript/frozen', 'transcript/text')
    }

    def note(topic: str, message: object) -> None:
        sizes[topic].append(len(serialize_message(message)))

    transcript = Transcript(MergeSettings())
    with WhisperEngine(models[0]) as engine:
        decoder = StreamDecoder(engine, StreamSettings(options=DecodeOptions(threads=2)))
        for window in windows(speech.samples):
            whole = Window(window.first_sample, window.samples, window.end_of_stream)
            note(
                'audio_window',
                window_to_msg(
                    whole, sample_rate_hz=16000, stream_start_ns=0, frame_id='microphone'
                ),
            )
            result = decoder.decode(window)
            note(
                'tokens',
                msg.WhisperTokens(
                    segments=[segment_to_msg(s) for s in result.segments],
                    language='en',
                    model=models[0].name,
                ),
            )
            merged = transcript.merge(as_decode(window, result))
            active = transcript.active()
            stable, tentative = split_text(active)
            note(
                'transcript',
                msg.TranscriptUpdate(
                    active=active_to_msgs(active, origin_ns=0),
                    stable_text=stable,
                    tentative_text=tentative,
                ),
            )
            for segment in merged.frozen:
                note('transcript/frozen', transcript_segment_to_msg(segment, origin_ns=0))
            if merged.stable_text:
                note('transcript/text', String(data=merged.stable_text))
    rows = [
        (f'`{topic}`', len(found), f'{max(found)}', f'{sum(found) / speech.duration_s:.0f}')
        for topic, found in sizes.items()
    ]
    return '\n'.join(
        [
            '## On the network\n',
            f'{speech.duration_s:.0f} s of speech, 16 kHz, 10 s windows, 1 s hop: serialized '
            'messages, one subscriber each; DDS adds headers and heartbeats.\n',
            table(('topic', 'messages', 'largest, bytes', 'bytes a second'), rows),
        ]
    )
