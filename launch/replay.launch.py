"""
Transcribe a bag again: from its recorded audio windows, or from its recorded tokens.

ros2 launch transcript_manager replay.launch.py bag:=/path/to/bag
ros2 launch transcript_manager replay.launch.py bag:=/path/to/bag replay:=audio model:=small.en

`tokens` repeats the merge alone and needs no model; `audio` decodes anew. The transcript appears
on the same topics as live.
"""

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Describe the player and the nodes behind the replayed topic."""
    share = FindPackageShare('transcript_manager')
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', description='rosbag2 folder or file to play'),
            DeclareLaunchArgument(
                'replay',
                default_value='tokens',
                choices=['audio', 'tokens'],
                description='which recorded topic to play: audio_window or tokens',
            ),
            DeclareLaunchArgument('rate', default_value='1.0', description='playing speed'),
            DeclareLaunchArgument(
                'model', default_value='', description='for audio; empty: as in params_file'
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

    def node(executable: str, parameters: dict) -> Node:
        return Node(
            package='transcript_manager',
            executable=executable,
            name=executable,
            namespace=value('namespace'),
            parameters=[value('params_file'), {'use_sim_time': True, **parameters}],
            arguments=['--ros-args', '--log-level', value('log_level')],
            output='screen',
        )

    nodes = [node('transcript_manager', {})]
    topic = 'tokens'
    if value('replay') == 'audio':
        topic = 'audio_window'
        nodes.append(node('whisper', {'model': value('model')} if value('model') else {}))
    prefix = f'/{value("namespace").strip("/")}' if value('namespace').strip('/') else ''
    player = ExecuteProcess(
        cmd=[
            *('ros2', 'bag', 'play', value('bag'), '--clock', '--rate', value('rate')),
            *('--topics', f'{prefix}/{topic}'),
        ],
        output='screen',
    )
    return [*nodes, player]
