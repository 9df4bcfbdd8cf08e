"""
Transcribe a microphone (or a sound file) with the three nodes, each in a process of its own.

ros2 launch transcript_manager transcribe.launch.py
ros2 launch transcript_manager transcribe.launch.py model:=small.en device:=USB namespace:=robot1
ros2 launch transcript_manager transcribe.launch.py source:=topic audio_topic:=/audio/audio
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, SetParameter
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
import yaml

from launch import LaunchContext, LaunchDescription

RESPAWN_DELAY_S = 2.0

# Arguments that set a parameter of a node. Empty: what params_file says.
PARAMETER_ARGUMENTS = {
    'transcript_manager': {
        'journal_dir': 'folder of the journal of frozen segments',
    },
    'whisper': {
        'model': '"demo" (the bundled toy model), an official name such as "tiny.en" or "base" '
        '(fetched once), or the path of a ggml model file',
        'language': 'spoken language, ISO 639-1, or "auto"',
        'prompt': 'what the talk is about, names and their spelling',
    },
    'audio_ring': {
        'source': '"microphone", "topic", or the path of a sound file or bag',
        'audio_topic': 'of source:=topic: its name',
        'device': 'microphone: name, part of a name or index',
        'pace': 'of a sound file: "realtime", or "lockstep" with the decoder',
    },
}
SWITCHES = {
    'autostart': 'false: a lifecycle manager configures and activates the nodes',
    'publish_audio': 'true: the ring publishes `audio` too, for recording',
}
"""The same, true or false."""
SWITCHES_OF = {'audio_ring': ('autostart', 'publish_audio')}


def generate_launch_description() -> LaunchDescription:
    """Describe the three nodes; each is started again when it dies."""
    share = FindPackageShare('transcript_manager')
    arguments = [
        DeclareLaunchArgument(
            name, default_value='', description=f'{description}; empty: as in params_file'
        )
        for descriptions in PARAMETER_ARGUMENTS.values()
        for name, description in descriptions.items()
    ]
    arguments += [
        DeclareLaunchArgument(
            name,
            default_value='',
            choices=['', 'true', 'false'],
            description=f'{description}; empty: as in params_file',
        )
        for name, description in SWITCHES.items()
    ]
    return LaunchDescription(
        [
            *arguments,
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution([share, 'config', 'transcript_manager.yaml']),
                description='YAML file of node parameters',
            ),
            DeclareLaunchArgument(
                'namespace',
                default_value='',
                description="namespace of the nodes and their topics, e.g. the robot's name",
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
                description='severity from which on the nodes log',
            ),
            DeclareLaunchArgument(
                'use_sim_time',
                default_value='false',
                choices=['true', 'false'],
                description='true: take time from /clock',
            ),
            SetParameter('use_sim_time', LaunchConfiguration('use_sim_time')),
            OpaqueFunction(function=_nodes),
        ]
    )


def _is_live(source: str, params_file: str) -> bool:
    """Whether the ring listens to a microphone or topic, and not to a recording."""
    if not source:
        sections = yaml.safe_load(Path(params_file).read_text()) or {}
        found = [
            values.get('ros__parameters', {}).get('source')
            for name, values in sections.items()
            if name.rpartition('/')[2] in ('audio_ring', '**') and isinstance(values, dict)
        ]
        source = next((s for s in reversed(found) if s), 'microphone')
    return source in ('microphone', 'topic')


def _nodes(context: LaunchContext) -> list[Node]:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    params_file = value('params_file')
    if not Path(params_file).is_file():  # launch itself only warns, and the nodes take defaults
        raise RuntimeError(f'params_file: there is no file {params_file}')
    nodes = []
    for executable, names in PARAMETER_ARGUMENTS.items():
        # As texts: launch would read "names: ..." as a mapping and a device index as a number.
        given = {
            name: ParameterValue(value(name), value_type=str) for name in names if value(name)
        }
        for name in SWITCHES_OF.get(executable, ('autostart',)):
            if value(name):
                given[name] = value(name) == 'true'
        nodes.append(
            Node(
                package='transcript_manager',
                executable=executable,
                name=executable,
                namespace=value('namespace'),
                # The last one wins: an argument over the file.
                parameters=[params_file, given] if given else [params_file],
                arguments=['--ros-args', '--log-level', value('log_level')],
                output='screen',
                # A recording that is damaged would be transcribed over and over.
                respawn=executable != 'audio_ring' or _is_live(value('source'), params_file),
                respawn_delay=RESPAWN_DELAY_S,
            )
        )
    return nodes
