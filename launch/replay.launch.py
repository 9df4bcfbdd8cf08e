"""
Transcribe a bag again: from its recorded audio, audio windows, or tokens.

ros2 launch transcript_manager replay.launch.py bag:=/path/to/bag
ros2 launch transcript_manager replay.launch.py bag:=/path/to/bag replay:=audio model:=small.en

`tokens` repeats the merge alone and needs no model; `audio_window` and `audio` decode anew, the
latter from the ring on, so that windows can be cut otherwise. The transcript appears on the same
topics as live, with the bag's time as the nodes' clock.
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription

NODES = {
    'tokens': ('transcript_manager',),
    'audio_window': ('whisper', 'transcript_manager'),
    'audio': ('audio_ring', 'whisper', 'transcript_manager'),
}
"""Which nodes are behind a replayed topic."""


def generate_launch_description() -> LaunchDescription:
    """Describe the player and the nodes behind the replayed topic."""
    share = FindPackageShare('transcript_manager')
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', description='rosbag2 folder or file to play'),
            DeclareLaunchArgument(
                'replay',
                default_value='tokens',
                choices=list(NODES),
                description='which recorded topic to play',
            ),
            DeclareLaunchArgument('rate', default_value='1.0', description='playing speed'),
            DeclareLaunchArgument(
                'delay',
                default_value='3.0',
                description='time before the bag is played [s]: the model is loaded in it',
            ),
            DeclareLaunchArgument(
                'model', default_value='', description='to decode with; empty: as in params_file'
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution([share, 'config', 'transcript_manager.yaml']),
                description='YAML file of node parameters',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='namespace the bag was recorded in'
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
                description='severity from which on the nodes log',
            ),
            OpaqueFunction(function=_actions),
        ]
    )


def _actions(context: LaunchContext) -> list:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    params_file = value('params_file')
    if not Path(params_file).is_file():  # launch itself only warns, and the nodes take defaults
        raise RuntimeError(f'params_file: there is no file {params_file}')

    def node(executable: str, parameters: dict) -> Node:
        return Node(
            package='transcript_manager',
            executable=executable,
            name=executable,
            namespace=value('namespace'),
            parameters=[params_file, {'use_sim_time': True, **parameters}],
            arguments=['--ros-args', '--log-level', value('log_level')],
            output='screen',
        )

    topic = value('replay')
    given = {
        # Whatever the parameters were when the bag was recorded.
        'audio_ring': {
            'source': 'topic',
            'audio_topic': 'audio',
            'audio_type': '',
            'publish_audio': False,
        },
        'whisper': {'model': value('model')} if value('model') else {},
        'transcript_manager': {},
    }
    nodes = [node(executable, given[executable]) for executable in NODES[topic]]
    prefix = f'/{value("namespace").strip("/")}' if value('namespace').strip('/') else ''
    player = ExecuteProcess(
        cmd=[
            *('ros2', 'bag', 'play', value('bag'), '--clock', '--rate', value('rate')),
            *('--delay', value('delay'), '--topics', f'{prefix}/{topic}'),
        ],
        output='screen',
        # The nodes stay when the bag has ended: their transcript can still be read.
        on_exit=_stop_if_it_failed,
    )
    return [*nodes, player]


def _stop_if_it_failed(event: ProcessExited, _context: LaunchContext) -> Shutdown | None:
    if event.returncode:
        return Shutdown(reason=f'ros2 bag play failed, exit code {event.returncode}')
    return None
