"""A parameter as data: what it is, how it is declared, checked, and changed while a node runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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

from transcript_manager.errors import ParameterError, TranscriptManagerError

# Declared by rclpy itself, in every node.
_RCLPY_OWN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


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
