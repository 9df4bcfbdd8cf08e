"""
Hours of speech through the graph at accelerated time: `soak.py [--hours 8] [--write docs]`.

The bundled speech is played over and over through the real ring node, the real topics and the
real transcript manager with its journal, in lock-step, as fast as they go. Only the decoder is a
stand-in: it answers each window with what the real one once heard in the same window of the same
loop. Per stretch of audio it measures the process's memory, the CPU time per hop and the largest
messages; at the end it compares the journal and transcript/text with what was said.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
from pathlib import Path
import platform
import statistics
import sys
import tempfile
import time

import jiwer
import numpy as np
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from transcript_manager import msg
from transcript_manager.audio.files import FileSource
from transcript_manager.decoder import models
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.stream import StreamDecoder, StreamSettings, StreamWindow
from transcript_manager.ros import parameters, qos
from transcript_manager.ros.audio_ring_node import AudioRingNode
from transcript_manager.ros.audio_sources import OpenSource
from transcript_manager.ros.conversions import segment_to_msg, window_ms
from transcript_manager.ros.process import Process
from transcript_manager.ros.transcript_node import TranscriptNode

ROOT = Path(__file__).resolve().parent.parent
RATE_HZ = 16000
WINDOW_S = 10
STRETCHES = 16
START_S = 1.0e9


class LoopSource:
    """The same speech over and over, as a source of the ring: see audio/source.py."""

    name = 'the bundled speech, over and over'
    sample_rate_hz = RATE_HZ
    start_time_s = START_S

    def __init__(self, speech: np.ndarray, hours: float) -> None:
        self._speech = speech
        self._left = round(hours * 3600) * RATE_HZ
        self.duration_s = self._left / RATE_HZ
        self._at = 0

    def read(self, timeout_s: float = 0.0) -> np.ndarray | None:
        """Return the next 100 ms."""
        if self._left <= 0:
            return None
        count = min(RATE_HZ // 10, len(self._speech) - self._at, self._left)
        block = self._speech[self._at : self._at + count]
        self._at = (self._at + count) % len(self._speech)
        self._left -= count
        return block

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> LoopSource:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class RecordedDecoder(Node):
    """Answers a window with what the real decoder heard in it; a stand-in for the whisper node."""

    def __init__(self, recorded: dict[tuple[int, int], list[msg.WhisperSegment]], loop: int):
        super().__init__('recorded_decoder')
        self._recorded = recorded
        self._loop = loop
        self._tokens = self.create_publisher(msg.WhisperTokens, 'tokens', qos.TOKENS)
        self.create_subscription(
            msg.AudioWindow, 'audio_window', self._on_window, qos.AUDIO_WINDOW
        )

    def _on_window(self, window: msg.AudioWindow) -> None:
        first = window.first_sample
        key = (first % self._loop if first else -1, len(window.samples))
        self._tokens.publish(
            msg.WhisperTokens(
                header=window.header,
                window_ms=window_ms(window),
                segments=self._recorded.get(key, []),
                language='en',
                model='recorded',
                end_of_stream=window.end_of_stream,
            )
        )


class Meter(Node):
    """Listens to what comes out and keeps its sizes, and of the text only what is needed."""

    def __init__(self) -> None:
        super().__init__('meter')
        self.updates = 0
        self.update_bytes = 0
        self.frozen_bytes = 0
        self.frozen = 0
        self.disordered = 0
        self.chars = 0
        self.has_ended = False
        self.create_subscription(
            msg.TranscriptUpdate, 'transcript', self._on_update, qos.TRANSCRIPT
        )
        self.create_subscription(
            msg.TranscriptSegment, 'transcript/frozen', self._on_frozen, qos.TRANSCRIPT_FROZEN
        )
        self.create_subscription(String, 'transcript/text', self._on_text, qos.TRANSCRIPT_TEXT)

    def _on_update(self, message: msg.TranscriptUpdate) -> None:
        self.updates += 1
        self.update_bytes = max(self.update_bytes, len(serialize_message(message)))
        self.has_ended = message.end_of_stream

    def _on_frozen(self, message: msg.TranscriptSegment) -> None:
        self.disordered += message.index != self.frozen
        self.frozen += 1
        self.frozen_bytes = max(self.frozen_bytes, len(serialize_message(message)))

    def _on_text(self, message: String) -> None:
        self.chars += len(message.data)


def load(path: Path) -> np.ndarray:
    """Return the speech, padded to whole seconds so that every loop has the same windows."""
    with FileSource(path) as source:
        blocks = []
        while (block := source.read()) is not None:
            blocks.append(block)
    speech = np.concatenate(blocks)
    return np.pad(speech, (0, -len(speech) % RATE_HZ + RATE_HZ))


def record(speech: np.ndarray) -> dict[tuple[int, int], list[msg.WhisperSegment]]:
    """Decode every window of the loop; keys are (first sample in the loop, length)."""
    recorded = {}
    twice = np.concatenate([speech, speech])
    with WhisperEngine(models.resolve('demo')) as engine:
        decoder = StreamDecoder(engine, StreamSettings())
        for end in range(RATE_HZ, len(speech) + WINDOW_S * RATE_HZ + 1, RATE_HZ):
            first = max(0, end - WINDOW_S * RATE_HZ)
            result = decoder.decode(StreamWindow(twice[first:end], RATE_HZ, first, 0, False))
            segments = [segment_to_msg(s) for s in result.segments]
            recorded[first % len(speech) if first else -1, end - first] = segments
            if end == len(speech) + WINDOW_S * RATE_HZ:
                recorded[0, end - first] = segments
    return recorded


def memory_kb() -> int:
    """Return the memory of this process now [KiB]."""
    gc.collect()
    return int(Path('/proc/self/status').read_text().partition('VmRSS:')[2].split()[0])


def soak(hours: float, speech: np.ndarray, recorded, folder: Path) -> dict:
    """Play, and return what was measured."""
    total = round(hours * 3600)
    stretch = max(1, total // STRETCHES)
    rows = []
    with Process(['--ros-args', '--log-level', 'warn']) as process:
        meter = process.add(Meter)
        values = {'journal_dir': str(folder)}
        overrides = [Parameter(k, value=v) for k, v in values.items()]
        process.add(lambda: TranscriptNode(parameter_overrides=overrides))
        process.add(lambda: RecordedDecoder(recorded, len(speech)))
        process.spin()
        ring_values = {
            'source': str(ROOT / 'demo' / 'demo.flac'),
            'pace': parameters.LOCKSTEP,
            'start_delay_s': 1.0,
            'autostart': False,
        }
        overrides = [Parameter(k, value=v) for k, v in ring_values.items()]
        ring = process.add(lambda: AudioRingNode(parameter_overrides=overrides))
        ring.trigger_configure()
        ring._opened = OpenSource(LoopSource(speech, hours))  # in place of the file
        began_s = time.monotonic()
        ring.trigger_activate()
        cpu_s, updates, largest = time.process_time(), 0, 0
        while not meter.has_ended:
            if process.failure is not None:
                raise process.failure
            time.sleep(0.05)
            if meter.updates - updates >= stretch or meter.has_ended:
                hops = meter.updates - updates
                now_s = time.process_time()
                rows.append(
                    {
                        'hours': round(meter.updates / 3600, 2),
                        'memory_mb': round(memory_kb() / 1024, 1),
                        'cpu_per_hop_ms': round(1000 * (now_s - cpu_s) / max(1, hops), 2),
                        'largest_update_bytes': meter.update_bytes,
                        'largest_frozen_bytes': meter.frozen_bytes,
                        'segments': meter.frozen,
                    }
                )
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
                largest = max(largest, meter.update_bytes)
                meter.update_bytes = meter.frozen_bytes = 0
                cpu_s, updates = time.process_time(), meter.updates
        took_s = time.monotonic() - began_s
        time.sleep(1.0)  # the last frozen segments are on their way
    return {
        'rows': rows[:STRETCHES],
        'took_s': round(took_s),
        'updates': meter.updates,
        'frozen': meter.frozen,
        'disordered': meter.disordered,
        'text_chars': meter.chars,
    }


def compare(folder: Path, hours: float, speech: np.ndarray, figures: dict) -> None:
    """Compare the journal with what was said and with what was published."""
    (path,) = folder.glob('*.jsonl')
    records = [json.loads(line) for line in path.read_text('utf-8').splitlines()]
    records = [r for r in records if 'words' in r]
    figures['journal_segments'] = len(records)
    figures['journal_once_in_order'] = [r['index'] for r in records] == list(range(len(records)))
    figures['journal_mb'] = round(path.stat().st_size / 1e6, 1)
    said = ''.join(r['text'] for r in records)
    figures['journal_is_text_topic'] = len(said) == figures['text_chars']
    # Loop by loop: an alignment of hours at once would take hours.
    reference = json.loads((ROOT / 'demo' / 'demo.json').read_text('utf-8'))['text']
    loop_s = len(speech) / RATE_HZ
    normal = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.RemovePunctuation(),
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
        ]
    )
    loops: dict[int, list[str]] = {}
    for word in (w for r in records for w in r['words']):
        middle_s = (word['start'] + word['end']) / 2 - START_S
        loops.setdefault(int(middle_s // loop_s), []).append(word['text'])
    whole = [k for k in sorted(loops) if (k + 1) * loop_s <= hours * 3600]
    texts = [normal(''.join(loops[k])) for k in whole]
    rates = [jiwer.wer(normal(reference), text) for text in texts]
    figures['loops'] = len(whole)
    figures['words_journaled'] = sum(len(t.split()) for t in texts)
    figures['wer_mean_percent'] = round(100 * statistics.mean(rates), 2)
    figures['wer_worst_loop_percent'] = round(100 * max(rates), 2)


def page(figures: dict, hours: float) -> str:
    """Format the figures for docs/."""
    rows = figures['rows']
    table = '\n'.join(
        f'| {r["hours"]} | {r["memory_mb"]} | {r["cpu_per_hop_ms"]} | {r["largest_update_bytes"]} '
        f'| {r["largest_frozen_bytes"]} | {r["segments"]} |'
        for r in rows
    )
    return f"""# {hours:g} hours of speech

Made by `python bench/soak.py --hours {hours:g} --write docs` on {figures['machine']}, ROS 2
{figures['ros'].capitalize()}; it took {figures['took_s'] / 60:.0f} minutes. The bundled speech plays over and over
through the real ring node, real topics and the real transcript manager with its journal, in lock-step; the decoder
is a stand-in that answers each window with what the real one heard in it once. All nodes are in one process, so
memory and CPU time are those of all of them together, whisper.cpp excluded.

| hours | memory [MB] | CPU per hop [ms] | largest `transcript` [bytes] | largest `transcript/frozen` [bytes] | segments |
| --- | --- | --- | --- | --- | --- |
{table}

* Memory from the first stretch to the last: {rows[0]['memory_mb']} to {rows[-1]['memory_mb']} MB; the newest 1000 segments are
  kept in memory for `get_transcript`, and DDS keeps 1000 messages each of the two latched topics for late
  subscribers, which fill during the first hours.
* CPU time per hop, first and last quarter (medians): {figures['cpu_first_quarter_ms']} and {figures['cpu_last_quarter_ms']} ms.
* {figures['updates']} updates, {figures['frozen']} segments on `transcript/frozen`, {figures['disordered']} of them out of order.
* The journal holds {figures['journal_segments']} segments in {figures['journal_mb']} MB, each once and in order:
  {figures['journal_once_in_order']}; as many characters as `transcript/text` published: {figures['journal_is_text_topic']}.
* {figures['words_journaled']} words in {figures['loops']} loops of the speech; word error rate {figures['wer_mean_percent']} % on average,
  {figures['wer_worst_loop_percent']} % in the worst loop.
"""


def main() -> int:
    """Run the soak and print its figures."""
    parser = argparse.ArgumentParser(description='Hours of speech at accelerated time.')
    parser.add_argument('--hours', type=float, default=8.0)
    parser.add_argument(
        '--write', type=Path, metavar='FOLDER', help='write soak-measured.md there'
    )
    args = parser.parse_args()
    speech = load(ROOT / 'demo' / 'demo.flac')
    recorded = record(speech)
    with tempfile.TemporaryDirectory() as name:
        figures = soak(args.hours, speech, recorded, Path(name))
        compare(Path(name), args.hours, speech, figures)
    quarter = max(1, len(figures['rows']) // 4)
    cpu = [r['cpu_per_hop_ms'] for r in figures['rows']]
    figures['cpu_first_quarter_ms'] = round(statistics.median(cpu[:quarter]), 1)
    figures['cpu_last_quarter_ms'] = round(statistics.median(cpu[-quarter:]), 1)
    figures['machine'] = f'{platform.machine()}, {len(os.sched_getaffinity(0))} cores'
    figures['ros'] = os.environ.get('ROS_DISTRO', '')
    print(json.dumps({k: v for k, v in figures.items() if k != 'rows'}, indent=1))
    if args.write is not None:
        target = args.write / 'soak-measured.md'
        target.write_text(page(figures, args.hours), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
