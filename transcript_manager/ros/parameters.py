"""
Parameters as data: each node's are one table here, which declares them and checks what is given.

config/transcript_manager.yaml holds every one at its default; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterException, ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from transcript_manager.audio.ring import MAX_WINDOW_S, MIN_HOP_S, MIN_WINDOW_S, SAMPLE_RATES_HZ
from transcript_manager.decoder.engine import MAX_THREADS
from transcript_manager.errors import ParameterError
from transcript_manager.merge.transcript import MergeSettings

REALTIME, LOCKSTEP = 'realtime', 'lockstep'
MICROPHONE = 'microphone'


@dataclass(frozen=True, slots=True)
class Spec:
    """One parameter; all of them are read-only after the start."""

    name: str
    default: bool | int | float | str
    description: str
    """What it means, with its unit."""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def descriptor(self) -> ParameterDescriptor:
        """Describe the parameter to ROS tools."""
        descriptor = ParameterDescriptor(
            name=self.name, description=self.description, read_only=True
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


_MERGE = MergeSettings()

AUDIO_RING = (
    Spec(
        'source', MICROPHONE, 'where audio comes from: "microphone", or the path of a sound file'
    ),
    Spec('device', '', 'microphone: name, part of a name or index; empty: the default one'),
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
)

WHISPER = (
    Spec(
        'model',
        'base.en',
        '"demo" (the bundled toy model), an official name such as "tiny.en" or "base" (fetched '
        'once), or the path of a ggml model file',
    ),
    Spec(
        'threads',
        0,
        'of whisper.cpp; 0: one less than the cores there are, at most 4',
        0,
        MAX_THREADS,
    ),
    Spec('language', 'en', 'spoken language, ISO 639-1, or "auto" to detect it in each window'),
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
)

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
    try:
        value = node.declare_parameter(spec.name, spec.default, spec.descriptor()).value
    except (InvalidParameterException, ParameterException) as error:
        given = node._parameter_overrides[spec.name].value
        raise ParameterError(
            f'parameter {spec.name} is {given!r}, must be {_expectation(spec)}'
        ) from error
    if spec.choices and value not in spec.choices:
        raise ParameterError(f'parameter {spec.name} is {value!r}, must be {_expectation(spec)}')
    return value


def _expectation(spec: Spec) -> str:
    if spec.choices:
        return 'one of: ' + ', '.join(spec.choices)
    kinds = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text'}
    expectation = kinds[type(spec.default)]
    if spec.low is not None:
        expectation += f' from {spec.low:g} to {spec.high:g}'
    return f'{expectation} ({spec.description})'
