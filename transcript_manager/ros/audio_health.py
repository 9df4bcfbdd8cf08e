"""How the audio ring's source is, for /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transcript_manager.audio.level import LevelMeter
from transcript_manager.ros.audio_sources import OpenSource
from transcript_manager.ros.diagnostics import Health


class SourceHealth:
    """
    Judge a source by the thresholds in the node's parameters.

    :param values: the node's parameters
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._before: dict[str, float] = {}

    def judge(self, health: Health, opened: OpenSource, meter: LevelMeter) -> None:
        """
        Add a source's figures and what is wrong with it.

        :param meter: of the source, if it has none of its own
        """
        live = opened.live
        meter = meter if live is None else live.meter
        health.values |= {
            'source': opened.source.name,
            'level_dbfs': meter.rms_dbfs,
            'peak_dbfs': meter.peak_dbfs,
            'clipping': meter.clipping,
        }
        if live is None:
            return
        timeline, blocks, microphone = live.timeline, opened.blocks, opened.microphone
        silence_s = timeline.silence_samples / live.sample_rate_hz
        health.values |= {
            'no_signal_s': meter.no_signal_s,
            'gaps': timeline.gaps + (blocks.gaps if blocks is not None else 0),
            'silence_inserted_s': silence_s,
            'stretched_samples': timeline.stretched_samples,
            'late_samples': timeline.overlaps,
            'drift_ppm': timeline.drift_ppm,
            'clock_steps': live.clock_steps,
        }
        if microphone is not None:
            health.values |= {
                'overflows': microphone.overflows,
                'dropped_samples': microphone.dropped_samples,
                'reopenings': microphone.reopenings,
            }
            self._rising(health, 'overflows', 'PortAudio lost samples')
            self._rising(health, 'dropped_samples', 'samples dropped: this computer is too slow')
            if microphone.complaint:
                health.note('error', microphone.complaint)
        if blocks is not None:
            health.values |= {
                'dropped_messages': blocks.dropped_messages,
                'unreadable_messages': blocks.unreadable_messages,
                'repeated_samples': blocks.overlaps,
                'missing_samples': blocks.gap_samples,
            }
            self._rising(health, 'dropped_messages', 'messages dropped')
            self._rising(health, 'missing_samples', 'samples of the publisher are missing')
            if blocks.complaint:
                health.note('warn', blocks.complaint)
        if opened.topic is not None:
            health.values |= {
                'audio_type': opened.topic.type_name,
                'audio_publishers': opened.topic.publishers,
            }
            if opened.topic.complaint:
                health.note('warn', opened.topic.complaint)
            elif not opened.topic.publishers:
                health.note('warn', 'the publisher of the audio has gone')
            elif opened.topic.publishers > 1:
                health.note(
                    'warn',
                    f'{opened.topic.publishers} nodes publish the audio and cannot be told apart',
                )
        self._judge_signal(health, silence_s)

    def _judge_signal(self, health: Health, silence_s: float) -> None:
        no_signal_s = health.values['no_signal_s']
        if no_signal_s >= self._values['no_signal_warn_s']:
            is_long = no_signal_s >= self._values['no_signal_error_s']
            health.note('error' if is_long else 'warn', f'no signal for {no_signal_s:.0f} s')
        share = health.values['clipping']
        if share and share >= self._values['clipping_warn']:
            health.note('warn', f'{100 * share:.0f} % of the samples are clipped: turn it down')
        new_s = silence_s - self._before.get('silence_inserted_s', 0.0)
        self._before['silence_inserted_s'] = silence_s
        if new_s > self._values['gap_warn_s']:
            health.note('warn', f'{new_s:.2f} s of audio are missing since the last report')

    def _rising(self, health: Health, name: str, complaint: str) -> None:
        now = health.values[name]
        if now > self._before.get(name, 0):
            health.note('warn', f'{complaint} ({now - self._before.get(name, 0)})')
        self._before[name] = now
