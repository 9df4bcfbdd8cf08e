"""
Parameters as data: each node's are one table here, which declares them and checks what is given.

config/transcript_manager.yaml holds every one at its default; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterException, ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from transcript_manager.audio.ring import MAX_WINDOW_S, MIN_HOP_S, MIN_WINDOW_S, SAMPLE_RATES_HZ
from transcript_manager.decoder.engine import TIMESTAMPS
from transcript_manager.decoder.guards import GuardSettings
from transcript_manager.decoder.options import DecodeOptions, MAX_FALLBACKS, MAX_THREADS
from transcript_manager.decoder.voice import VoiceSettings
from transcript_manager.errors import ParameterError, TranscriptManagerError
from transcript_manager.merge.transcript import MergeSettings

REALTIME, LOCKSTEP = 'realtime', 'lockstep'
MICROPHONE, TOPIC = 'microphone', 'topic'


@dataclass(frozen=True, slots=True)
class Spec:
    """One parameter."""

    name: str
    default: bool | int | float | str | tuple[str, ...]
    description: str
    """What it means, with its unit."""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    """Whether it may change while the node runs."""

    def descriptor(self) -> ParameterDescriptor:
        """Describe the parameter to ROS tools."""
        descriptor = ParameterDescriptor(
            name=self.name, description=self.description, read_only=not self.live
        )
        if self.choices:
            descriptor.additional_constraints = 'one of: ' + ', '.join(self.choices)
        if self.low is not None and self.high is not None:
            if isinstance(self.default, float):
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=float(self.low), to_value=float(self.high))
                ]
            else:
                descriptor.integer_range = [
                    IntegerRange(from_value=int(self.low), to_value=int(self.high), step=1)
                ]
        return descriptor


AUTOSTART = Spec(
    'autostart',
    True,
    'configure and activate at the start; false: a lifecycle manager does it',
)

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
    AUTOSTART,
)


def merge_settings(values: dict[str, Any]) -> MergeSettings:
    """Make the merge's settings of the transcript manager's parameters."""
    return MergeSettings(**{field.name: values[field.name] for field in fields(MergeSettings)})


# Declared by rclpy itself, in every node.
_RCLPY_OWN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


def declare(node: Node, specs: Iterable[Spec]) -> dict[str, Any]:
    """
    Declare parameters on a node and return their values.

    :raises ParameterError: if a value given from outside is unknown, of the wrong type or out of
        range; the message names the parameter and what it may be
    """
    specs = tuple(specs)
    overrides = node._parameter_overrides  # rclpy has no public way to see what was given
    known = {spec.name: spec for spec in specs}
    for name, given in overrides.items():
        if name.startswith(_RCLPY_OWN):
            continue
        spec = known.get(name)
        if spec is None:
            raise ParameterError(
                f'unknown parameter {name!r}; {node.get_name()} has: {", ".join(sorted(known))}'
            )
        if isinstance(spec.default, float) and given.type_ is Parameter.Type.INTEGER:
            overrides[name] = Parameter(name, Parameter.Type.DOUBLE, float(given.value))
    return {spec.name: _declare_one(node, spec) for spec in specs}


def _declare_one(node: Node, spec: Spec) -> Any:
    default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
    try:
        value = node.declare_parameter(spec.name, default, spec.descriptor()).value
    except (InvalidParameterException, ParameterException) as error:
        given = node._parameter_overrides[spec.name].value
        raise ParameterError(
            f'parameter {spec.name} is {given!r}, must be {_expectation(spec)}'
        ) from error
    _check_choice(spec, value)
    return value


def _check_choice(spec: Spec, value: Any) -> None:
    if spec.choices and value not in spec.choices:
        raise ParameterError(f'parameter {spec.name} is {value!r}, must be {_expectation(spec)}')


def follow(
    node: Node, specs: Iterable[Spec], values: dict[str, Any], apply: Callable[[dict], None]
) -> None:
    """
    Let parameters change while a node runs.

    Type, range and read-only ones are checked by rclpy, the rest by ``apply``; what either refuses
    does not change, and who asked is told why.

    :param values: as they are now; updated when a change is accepted
    :param apply: called with all values as they would be; raises :class:`TranscriptManagerError`
        if they do not fit, and otherwise uses them from then on
    """
    known = {spec.name: spec for spec in specs}

    def on_set(changed: Sequence[Parameter]) -> SetParametersResult:
        wanted = {p.name: p.value for p in changed if p.name in known}
        if not wanted:  # rclpy's own
            return SetParametersResult(successful=True)
        try:
            for name, value in wanted.items():
                _check_choice(known[name], value)
            apply({**values, **wanted})
        except TranscriptManagerError as error:
            return SetParametersResult(successful=False, reason=str(error))
        values.update(wanted)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)


def _expectation(spec: Spec) -> str:
    if spec.choices:
        return 'one of: ' + ', '.join(spec.choices)
    kinds = {
        bool: 'true or false',
        int: 'a whole number',
        float: 'a number',
        str: 'a text',
        tuple: 'a list of texts',
    }
    expectation = kinds[type(spec.default)]
    if spec.low is not None:
        expectation += f' from {spec.low:g} to {spec.high:g}'
    return f'{expectation} ({spec.description})'
