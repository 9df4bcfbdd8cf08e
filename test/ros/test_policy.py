"""The SROS2 policy: as sros2 wants it, and enough for what the nodes really do."""

import contextlib
from pathlib import Path
import time
from xml.etree import ElementTree

import pytest
import rclpy
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from stand_ins import build

from transcript_manager.ros.listener import TranscriptListener
from transcript_manager.ros.process import Process

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'sros2' / 'policy.xml'
NODES = ('audio_ring', 'whisper', 'transcript_manager', 'transcript_listener')
# Element: the elements in it, its attributes that must be there, those that may.
SHAPE = {
    'policy': ({'enclaves'}, {'version'}, set()),
    'enclaves': ({'enclave'}, set(), set()),
    'enclave': ({'profiles'}, {'path'}, set()),
    'profiles': ({'profile'}, set(), set()),
    'profile': ({'topics', 'services', 'actions'}, {'ns', 'node'}, set()),
    'topics': ({'topic'}, set(), {'publish', 'subscribe'}),
    'services': ({'service'}, set(), {'reply', 'request'}),
    'actions': ({'action'}, set(), {'call', 'execute'}),
    'topic': (set(), set(), set()),
    'service': (set(), set(), set()),
    'action': (set(), set(), set()),
}
ACTION_SERVICES = {'send_goal', 'cancel_goal', 'get_result'}


@pytest.fixture
def policy():
    return ElementTree.parse(POLICY).getroot()


def test_the_file_has_the_shape_of_a_policy(policy):
    assert policy.tag == 'policy' and policy.get('version') == '0.2.0'
    for element in policy.iter():
        inside, needed, optional = SHAPE[element.tag]
        assert {child.tag for child in element} <= inside, element.tag
        assert len(element) or not inside, f'{element.tag} is empty'
        assert needed <= set(element.attrib) <= needed | optional, element.attrib
        if optional:
            assert element.attrib, f'{element.tag} says neither what is allowed nor denied'
            assert set(element.attrib.values()) <= {'ALLOW', 'DENY'}
        if not inside:
            name = element.text
            assert name == name.strip() and name.strip('~/') and ' ' not in name
    paths = [enclave.get('path') for enclave in policy.iter('enclave')]
    assert len(paths) == len(set(paths)) and all(p.startswith('/') for p in paths)
    assert tuple(p.get('node') for p in policy.iter('profile')) == NODES


def allowed_to(policy, node, right):
    """Return the full names of what a node has a right to: 'publish', 'call', ..."""
    (profile,) = (p for p in policy.iter('profile') if p.get('node') == node)
    names = set()
    for rules in profile:
        if rules.get(right) == 'ALLOW':
            for item in rules:
                if item.text.startswith('/'):
                    names.add(item.text)
                elif item.text.startswith('~'):
                    names.add(f'/{node}{item.text[1:]}')
                else:
                    names.add(f'/{item.text}')
    return names


def used_by(onlooker, node):
    """Return what a node has in the graph, by the right that it takes; None if it is not there."""
    names = {
        'publish': onlooker.get_publisher_names_and_types_by_node(node, '/'),
        'subscribe': onlooker.get_subscriber_names_and_types_by_node(node, '/'),
        'reply': onlooker.get_service_names_and_types_by_node(node, '/'),
        'request': onlooker.get_client_names_and_types_by_node(node, '/'),
    }
    used = {right: {name for name, _ in found} for right, found in names.items()}
    used['execute'] = used['call'] = frozenset()
    for right, action_right in (('reply', 'execute'), ('request', 'call')):
        parts = {n for n in used[right] if n.rpartition('/_action/')[2] in ACTION_SERVICES}
        used[right] -= parts
        used[action_right] = {n.partition('/_action/')[0] for n in parts}
    of_actions = {f'{a}/_action/{t}' for a in used['execute'] for t in ('feedback', 'status')}
    used['publish'] -= of_actions
    of_actions = {f'{a}/_action/{t}' for a in used['call'] for t in ('feedback', 'status')}
    used['subscribe'] -= of_actions
    return used


class Onlookers:
    """
    What several participants see of the graph, together.

    Fast DDS sometimes shows one of them an old state of a node and never a newer one, to whom
    comes early as to whom comes late: so there is another one from time to time.
    """

    PATIENCE_S = 10.0

    def __init__(self):
        self.contexts = []
        self.nodes = []
        self.added_s = 0.0
        self.look()

    def look(self):
        if time.monotonic() - self.added_s > self.PATIENCE_S:
            self.added_s = time.monotonic()
            context = rclpy.Context()
            context.init()
            self.contexts.append(context)
            self.nodes.append(Node('onlooker', context=context))

    def used_by(self, node):
        """Return what a node has in the graph, by the right that it takes."""
        self.look()
        seen = {}
        for onlooker in self.nodes:
            with contextlib.suppress(rclpy_implementation.NodeNameNonExistentError):
                for right, names in used_by(onlooker, node).items():
                    seen[right] = seen.get(right, set()) | names
        return seen

    def close(self):
        for node, context in zip(self.nodes, self.contexts, strict=True):
            node.destroy_node()
            context.try_shutdown()


@pytest.fixture
def onlookers(ros_domain):
    onlookers = Onlookers()
    yield onlookers
    onlookers.close()


def test_nothing_the_nodes_do_is_missing(policy, onlookers, start_node, recording, wait_until):
    """Run all of them and look at the graph: what is not in the policy would not work."""
    hri = build(['hri_msgs'])['hri_msgs']
    path, _ = recording('demo')
    with Process() as process:
        process.spin()
        listener = process.add(TranscriptListener)
        programs = [
            start_node('transcript_manager', env=hri),
            start_node('whisper', model='demo'),
            start_node('audio_ring', source=path, pace='lockstep'),
        ]
        # From here on every part of the graph is at work.
        wait_until(lambda: listener.snapshot().stable_text, 'a transcript')
        # Services are discovered apart from the topics, and what a node made last comes last.
        last = {
            'transcript_listener': '/parameter_events',
            'transcript_manager': '/humans/voices/anonymous_speaker/speech',
            'whisper': '/tokens',
            'audio_ring': '/audio_window',
        }

        def is_seen(node):
            seen = onlookers.used_by(node)
            return seen.get('reply') and last[node] in seen['publish']

        for node in NODES:
            wait_until(lambda node=node: is_seen(node), f'all of {node}')
        used = {node: onlookers.used_by(node) for node in NODES}
    for node in NODES:
        for right, names in used[node].items():
            missing = names - allowed_to(policy, node, right)
            assert not missing, f'{node} has no right to {right} {sorted(missing)}'
    # The graph was really seen.
    assert {'/audio_window', '/audio_ring/transition_event'} <= used['audio_ring']['publish']
    assert {'/tokens', '/transcript'} <= used['audio_ring']['subscribe']
    assert {'/tokens', '/diagnostics', '/rosout'} <= used['whisper']['publish']
    assert '/whisper/detect_language' in used['whisper']['reply']
    assert '/transcript_manager/change_state' in used['transcript_manager']['reply']
    assert '/humans/voices/anonymous_speaker/speech' in used['transcript_manager']['publish']
    assert '/transcript/frozen' in used['transcript_listener']['subscribe']
    for program in programs:
        assert 'Traceback' not in program.output


@pytest.mark.parametrize('enclave', ['/there', '/not/there'])
def test_an_enclave_that_cannot_be_used_is_told_in_one_line(
    enclave, start, installed_nodes, tmp_path
):
    (tmp_path / 'enclaves' / 'there').mkdir(parents=True)  # but no keys in it
    program = start(
        [installed_nodes / 'transcript_manager', '--ros-args', '--enclave', enclave],
        {
            'ROS_SECURITY_KEYSTORE': str(tmp_path),
            'ROS_SECURITY_ENABLE': 'true',
            'ROS_SECURITY_STRATEGY': 'Enforce',
        },
    )
    assert program.wait(30) == 2
    assert 'Traceback' not in program.output
    # What it says of a folder without keys depends on how the middleware was built.
    assert 'ROS refuses the node' in program.output or 'SECURITY ERROR' in program.output


def test_a_listener_may_only_listen(policy):
    enough = allowed_to(policy, 'transcript_listener', 'publish')
    assert enough == {'/parameter_events', '/rosout'}
    assert allowed_to(policy, 'transcript_listener', 'request') == {
        '/transcript_manager/get_transcript'
    }
