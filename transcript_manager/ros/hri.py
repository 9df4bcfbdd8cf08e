"""
What ROS4HRI (REP-155) asks of a speech recogniser, published where hri_msgs is installed.

ROS API, all topics absolute as REP-155 has them

* publishes ``/humans/voices/VOICE/speech`` (hri_msgs/LiveSpeech): while somebody speaks
  ``incremental`` alone, at the end of an utterance ``final`` too
* publishes ``/humans/voices/VOICE/is_speaking`` (std_msgs/Bool), when it changes; latched
* publishes ``/humans/voices/tracked`` (hri_msgs/IdsList); latched
"""

from __future__ import annotations

from collections.abc import Mapping
import importlib
import re
from types import ModuleType
from typing import Any

from rclpy.node import Node
from std_msgs.msg import Bool, Header

from transcript_manager.errors import ParameterError
from transcript_manager.interop.utterances import Utterances
from transcript_manager.ros import qos
from transcript_manager.session.session import Change

VOICES = '/humans/voices'
_TOKEN = re.compile('[A-Za-z](_?[A-Za-z0-9])*_?', re.ASCII)
"""A token of a topic's name that is an identifier of REP-155 too."""


def hri_publisher(node: Node, values: Mapping[str, Any]) -> HriPublisher | None:
    """
    Return a publisher for a node, None where hri_msgs is not installed or not wanted.

    :param values: the node's parameters ``hri``, ``voice_id`` and ``utterance_silence_s``
    :raises ParameterError: if ``voice_id`` cannot be part of a topic's name
    """
    voice_id = values['voice_id']
    if not _TOKEN.fullmatch(voice_id):
        raise ParameterError(
            f'parameter voice_id is {voice_id!r}, must be a part of a topic name: a letter, then '
            'letters, digits and single underscores'
        )
    if not values['hri']:
        return None
    try:
        messages = importlib.import_module('hri_msgs.msg')
    except ModuleNotFoundError as error:
        if error.name != 'hri_msgs':
            node.get_logger().warning(f'LiveSpeech is not published: hri_msgs lacks {error.name}')
        return None
    try:
        return HriPublisher(node, messages, voice_id, values['utterance_silence_s'])
    except Exception as error:  # of a package that is half installed; each step has its own
        reason = ' '.join(str(error).split())
        node.get_logger().warning(f'LiveSpeech is not published: hri_msgs is broken: {reason}')
        return None


class HriPublisher:
    """
    One voice of REP-155.

    :param messages: the module hri_msgs.msg
    :param voice_id: of the voice: it is tracked from the first :meth:`begin` on
    :param silence_s: without a word for so long, an utterance has ended [s]
    """

    def __init__(self, node: Node, messages: ModuleType, voice_id: str, silence_s: float) -> None:
        self._messages = messages
        self._clock = node.get_clock()
        self._voice_id = voice_id
        self._silence_s = silence_s
        voice = f'{VOICES}/{voice_id}'
        self._speech = node.create_publisher(
            messages.LiveSpeech, f'{voice}/speech', qos.LIVE_SPEECH
        )
        self._speaking = node.create_publisher(Bool, f'{voice}/is_speaking', qos.IS_SPEAKING)
        self._tracked = node.create_publisher(
            messages.IdsList, f'{VOICES}/tracked', qos.VOICES_TRACKED
        )
        # The field was renamed; some versions have both.
        fields = messages.LiveSpeech.get_fields_and_field_types()
        self._language_fields = [f for f in ('language', 'locale') if f in fields]
        self._is_speaking: bool | None = None
        self._shown = ''
        self.begin()

    def begin(self) -> None:
        """Begin with an empty transcript; nothing of the one before is told any more."""
        self._utterances = Utterances(self._silence_s)
        self._shown = ''
        ids = self._messages.IdsList(ids=[self._voice_id])
        ids.header.stamp = self._clock.now().to_msg()
        self._tracked.publish(ids)
        self._tell_speaking(False)

    def update(self, change: Change, *, header: Header, language: str) -> None:
        """
        Tell what something has done to the transcript; to be called with every change.

        :param header: its stamp is the end of the audio merged so far
        :param language: spoken, ISO 639-1; '' if unknown
        """
        heard = self._utterances.update(
            change.active,
            # A command must not be heard twice because the node was restarted; of an utterance
            # that this cut, only what is said from now on is told.
            change.frozen[change.restored :],
            change.heard.end_s,
            end_of_stream=change.end_of_stream or change.is_settled,
        )
        for utterance in heard.ended:
            if utterance.said:
                self._publish(
                    header,
                    language,
                    incremental=utterance.said,
                    final=utterance.said,
                    confidence=utterance.confidence,
                )
                self._shown = ''
        if heard.incremental != self._shown:
            self._shown = heard.incremental
            self._publish(header, language, incremental=heard.incremental)
        self._tell_speaking(heard.is_speaking)

    def _publish(self, header: Header, language: str, **fields: Any) -> None:
        # A country is not known, so the locale is the language alone.
        languages = dict.fromkeys(self._language_fields, language)
        self._speech.publish(self._messages.LiveSpeech(header=header, **languages, **fields))

    def _tell_speaking(self, is_speaking: bool) -> None:
        if is_speaking != self._is_speaking:
            self._is_speaking = is_speaking
            self._speaking.publish(Bool(data=is_speaking))
