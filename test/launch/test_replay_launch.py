"""replay.launch.py can be loaded and describes itself, where the launch system is installed."""

import pytest

launch = pytest.importorskip('launch', reason='launch is not installed; it is not on PyPI')
pytest.importorskip('launch_ros', reason='launch_ros is not installed; it is not on PyPI')


@pytest.mark.parametrize('name', ['transcribe', 'replay'])
def test_every_argument_has_a_description(name):
    from pathlib import Path

    from launch.launch_description_sources import (
        get_launch_description_from_python_launch_file,
    )

    path = Path(__file__).resolve().parents[2] / 'launch' / f'{name}.launch.py'
    description = get_launch_description_from_python_launch_file(str(path))
    arguments = description.get_launch_arguments()
    assert len(arguments) >= 7
    for argument in arguments:
        assert argument.description and 'no description' not in argument.description.lower()
