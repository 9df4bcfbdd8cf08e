"""Parameters: one table, and everything that repeats it agrees with it."""

from pathlib import Path

import pytest
from rcl_interfaces.msg import ParameterType
from rclpy.node import Node
from rclpy.parameter import Parameter
import yaml

from transcript_manager.ros import parameters
from transcript_manager.ros.process import Process
from transcript_manager.ros.specs import declare

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    'audio_ring': parameters.AUDIO_RING,
    'whisper': parameters.WHISPER,
    'transcript_manager': parameters.TRANSCRIPT_MANAGER,
}


def plain(default):
    return list(default) if isinstance(default, tuple) else default


@pytest.mark.parametrize('node', TABLES)
def test_the_parameter_file_holds_every_one_at_its_default(node):
    file = yaml.safe_load((ROOT / 'config' / 'transcript_manager.yaml').read_text())
    values = file[f'/**/{node}']['ros__parameters']
    assert values == {spec.name: plain(spec.default) for spec in TABLES[node]}
    for spec in TABLES[node]:
        assert type(values[spec.name]) is type(plain(spec.default)), spec.name


@pytest.mark.parametrize('node', TABLES)
def test_the_readme_names_every_one_with_its_default(node):
    readme = (ROOT / 'README.md').read_text()
    for spec in TABLES[node]:
        default = plain(spec.default)
        default = str(default).lower() if isinstance(default, bool) else default
        shown = default if default != '' else '(empty)'
        assert f'| `{spec.name}` | {shown} |' in readme, f'{node}.{spec.name}'


@pytest.mark.parametrize('node', TABLES)
def test_descriptors_say_what_ros_tools_show(node):
    with Process() as process:
        subject = process.add(lambda: Node('subject'))
        declare(subject, TABLES[node])
        for spec in TABLES[node]:
            descriptor = subject.describe_parameter(spec.name)
            assert descriptor.description
            assert descriptor.read_only == (not spec.live)
            if spec.low is not None:
                ranges = descriptor.floating_point_range or descriptor.integer_range
                assert (ranges[0].from_value, ranges[0].to_value) == (spec.low, spec.high)
            is_double = descriptor.type == ParameterType.PARAMETER_DOUBLE
            assert is_double == isinstance(spec.default, float)
            parameter = Parameter(spec.name, value=plain(spec.default))
            assert subject.set_parameters([parameter])[0].successful == spec.live
