"""
The nodes' parameters, a table each; specs.py declares them and checks what is given.

config/transcript_manager.yaml holds every one at its default; a test compares the two.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from transcript_manager.audio.ring import MAX_WINDOW_S, MIN_HOP_S, MIN_WINDOW_S, SAMPLE_RATES_HZ
from transcript_manager.decoder.engine import TIMESTAMPS
from transcript_manager.decoder.guards import GuardSettings
from transcript_manager.decoder.options import DecodeOptions, MAX_FALLBACKS, MAX_THREADS
from transcript_manager.decoder.voice import VoiceSettings
from transcript_manager.errors import ParameterError
from transcript_manager.interop.utterances import SILENCE_S
from transcript_manager.merge.transcript import MergeSettings
from transcript_manager.ros.specs import Spec

REALTIME, LOCKSTEP = 'realtime', 'lockstep'
MICROPHONE, TOPIC = 'microphone', 'topic'


AUTOSTART = Spec(
    'autostart',
    True,
    'configure and activate at the start; false: a lifecycle manager does it',
)

LAG_WARN = Spec(
    'lag_warn_s', 3.0, 'what comes later than this is a warning in diagnostics [s]', 0.1, 1e3
)
LAG_ERROR = Spec('lag_error_s', 10.0, '... and than this an error [s]', 0.1, 1e3)

_MERGE = MergeSettings()
_OPTIONS, _VOICE, _GUARDS = DecodeOptions(), VoiceSettings(), GuardSettings()

AUDIO_RING = (
    Spec(
        'source',
        MICROPHONE,
        'where audio comes from: "microphone", "topic", or the path of a sound file or a bag',
    ),
    Spec('bag_topic', '', 'of a bag: the topic with the audio; empty: the only one there is'),
    Spec('device', '', 'microphone: name, part of a name or index; empty: the default one'),
    Spec(
        'channel',
        0,
        'the channel to hear of a microphone or topic, from 1; 0: their mean (of a microphone, of '
        'the first two)',
        0,
        64,
    ),
    Spec('audio_topic', 'audio', 'source "topic": its name'),
    Spec('audio_type', '', 'source "topic": its type; empty: what is published there'),
    Spec('audio_rate', 16000, 'of messages that do not tell theirs [Hz]', 1000, 768000),
    Spec('audio_channels', 1, 'interleaved in messages that do not tell', 1, 64),
    Spec(
        'pace',
        REALTIME,
        'of a sound file: "realtime" as it was recorded, "lockstep" as fast as tokens come back, '
        'without skipping a window',
        choices=(REALTIME, LOCKSTEP),
    ),
    Spec('sample_rate', 16000, 'of the windows [Hz]; Whisper works at 16000', *SAMPLE_RATES_HZ),
    Spec('window_s', 10.0, 'length of a window [s]', MIN_WINDOW_S, MAX_WINDOW_S),
    Spec('hop_s', 1.0, 'time between two windows [s], at most window_s', MIN_HOP_S, MAX_WINDOW_S),
    Spec('frame_id', MICROPHONE, 'frame of the microphone, put into the headers'),
    Spec('wait_for_subscriber', True, 'a sound file starts when audio_window has a subscriber'),
    Spec(
        'start_delay_s',
        3.0,
        'a sound file starts so much later still [s]: listeners on other topics are found too',
        0.0,
        60.0,
    ),
    Spec('publish_audio', False, 'also publish each sample once, on "audio": to record it'),
    Spec('mute_hold_off_s', 0.5, 'still mute after the end of a mute [s]', 0.0, 10.0),
    Spec('mute_max_s', 60.0, 'a longer mute is lifted [s]; 0: never', 0.0, 3600.0),
    Spec('no_signal_warn_s', 10.0, 'diagnostics warn after so much silence [s]', 0.5, 3600.0),
    Spec('no_signal_error_s', 60.0, 'and say error after so much [s]', 0.5, 86400.0),
    Spec('clipping_warn', 0.01, "warn from this share of a second's samples on", 0.0, 1.0),
    Spec(
        'gap_warn_s', 0.05, 'warn of so much inserted silence since the last report [s]', 0.0, 10.0
    ),
    AUTOSTART,
)

WHISPER = (
    Spec(
        'model',
        'base.en',
        '"demo" (the bundled toy model), an official name such as "tiny.en" or "base" (fetched '
        'once), or the path of a ggml model file',
    ),
    Spec(
        'language',
        _OPTIONS.language,
        'spoken language, ISO 639-1, or "auto": detected once, then kept',
        live=True,
    ),
    Spec(
        'translate',
        _OPTIONS.translate,
        'into English; multilingual models only',
        live=True,
    ),
    Spec(
        'prompt',
        _OPTIONS.prompt,
        'what the talk is about, names and their spelling; the topic "prompt" overrides it',
        live=True,
    ),
    Spec(
        'rolling_context',
        False,
        'the prompt goes on with the final text before the window: steadier names and style, '
        'but a decoder that repeats itself repeats itself longer',
        live=True,
    ),
    Spec('active', True, 'false: windows are left undecoded', live=True),
    Spec(
        'threads',
        _OPTIONS.threads,
        'of whisper.cpp; 0: one less than the cores there are, at most 4',
        0,
        MAX_THREADS,
        live=True,
    ),
    Spec(
        'timestamps',
        'dtw',
        'where word times come from: "dtw" from the model\'s cross-attention, "token" from '
        'whisper.cpp\'s estimates, "segment": words have none of their own',
        choices=TIMESTAMPS,
    ),
    Spec('flash_attention', True, 'faster; "dtw" goes without it'),
    Spec(
        'audio_ctx',
        _OPTIONS.audio_ctx,
        'positions the encoder computes, 50 a second; 0: by the length of the window',
        0,
        1500,
        live=True,
    ),
    Spec(
        'fallbacks',
        _OPTIONS.fallbacks,
        'further decodes of a window, at rising temperature, where one has failed',
        0,
        MAX_FALLBACKS,
        live=True,
    ),
    Spec('vad', True, 'voice-activity gate: windows without speech are not decoded', live=True),
    Spec(
        'vad_threshold',
        _VOICE.threshold,
        'speech probability from which on 32 ms of audio are speech',
        0.01,
        0.99,
        live=True,
    ),
    Spec(
        'vad_padding_s',
        _VOICE.padding_s,
        'kept before and after speech [s]',
        0.0,
        5.0,
        live=True,
    ),
    Spec(
        'vad_min_speech_s',
        _VOICE.min_speech_s,
        'shorter speech is taken for a click [s]',
        0.0,
        2.0,
        live=True,
    ),
    Spec('guard_loops', _GUARDS.loops, 'cut repetitions that nobody can have said', live=True),
    Spec(
        'guard_silence',
        _GUARDS.silence,
        'cut words at times where the gate heard nobody',
        live=True,
    ),
    Spec(
        'guard_edge_probability',
        _GUARDS.edge_probability,
        'cut words less probable than this at an edge of the window; 0: none',
        0.0,
        1.0,
        live=True,
    ),
    Spec('guard_edge_s', _GUARDS.edge_s, 'how far from the edge that is [s]', 0.0, 5.0, live=True),
    Spec(
        'no_speech_threshold',
        _OPTIONS.no_speech_threshold,
        'a segment that is silence with at least this probability, and improbable, is dropped',
        0.0,
        1.0,
        live=True,
    ),
    Spec(
        'log_probability_threshold',
        _OPTIONS.log_probability_threshold,
        'mean log probability of a token below which a segment is improbable',
        -10.0,
        0.0,
        live=True,
    ),
    Spec('duty_warn', 0.9, 'decode time per hop from which on diagnostics warn', 0.1, 100.0),
    LAG_WARN,
    LAG_ERROR,
    Spec('use_gpu', False, 'decode on a GPU, where whisper.cpp was built for one'),
    Spec('gpu_device', 0, 'which GPU; 0 is the first', 0, 15),
    Spec(
        'openvino_device',
        '',
        'run the encoder with OpenVINO on "CPU", "GPU", ..., where whisper.cpp was built with it',
    ),
    Spec(
        'namespaces',
        ('',),
        'of the streams to serve: windows come from NAMESPACE/audio_window, tokens go to '
        'NAMESPACE/tokens; empty: the own one',
    ),
    AUTOSTART,
)

TRANSCRIPT_MANAGER = (
    Spec(
        'min_occurrences',
        _MERGE.min_occurrences,
        'windows that must have heard a word before it is stable',
        1,
        100,
    ),
    Spec(
        'min_lead',
        _MERGE.min_lead,
        'weight by which a word must lead over its conflicts and misses to be stable; a sure '
        'hearing inside a window weighs 1, an unsure one or one at an edge less',
        0.1,
        100.0,
    ),
    Spec(
        'edge_guard_s',
        _MERGE.edge_guard_s,
        'a word this close to the end of the newest window is not judged yet [s]',
        0.0,
        10.0,
    ),
    Spec(
        'commit_deadline_s',
        _MERGE.commit_deadline_s,
        'without agreement the leading text is taken when a word is this old [s]',
        0.5,
        30.0,
    ),
    Spec(
        'max_gap_words',
        _MERGE.max_gap_words,
        'longest run of unmatched words inside the common substring [words]',
        0,
        20,
    ),
    Spec(
        'journal_dir',
        '',
        'folder of the journal: each frozen segment is on disk before it is published; empty: '
        'none',
    ),
    Spec(
        'journal_continue_s',
        60.0,
        'a session that was killed less than so long ago is gone on with [s]; 0: never',
        0.0,
        1e6,
    ),
    Spec('transcribe_max_s', 60.0, 'longest goal of the action transcribe [s]', 1.0, 3600.0),
    Spec(
        'lag_warn_s', 3.0, 'text that is later than this is a warning in diagnostics [s]', 0.1, 1e3
    ),
    Spec('lag_error_s', 10.0, '... and than this an error [s]', 0.1, 1e3),
    Spec('no_tokens_warn_s', 10.0, 'no tokens for so long is a warning [s]', 0.1, 1e6),
    Spec(
        'hri',
        True,
        'publish speech below /humans/voices as REP-155 has it, where hri_msgs is installed',
    ),
    Spec('voice_id', 'anonymous_speaker', 'of the voice, a part of the names of those topics'),
    Spec(
        'utterance_silence_s',
        1.0,
        'without a word for so long, an utterance has ended and goes out as final [s]',
        *SILENCE_S,
    ),
    AUTOSTART,
)


def merge_settings(values: dict[str, Any]) -> MergeSettings:
    """Make the merge's settings of the transcript manager's parameters."""
    return MergeSettings(**{field.name: values[field.name] for field in fields(MergeSettings)})


def check_lags(values: dict[str, Any]) -> None:
    """
    Check the thresholds of diagnostics against each other.

    :raises ParameterError: if an error would come before its warning
    """
    if values['lag_error_s'] < values['lag_warn_s']:
        raise ParameterError(
            f'parameter lag_error_s is {values["lag_error_s"]:g}, must be at least lag_warn_s, '
            f'{values["lag_warn_s"]:g}'
        )
