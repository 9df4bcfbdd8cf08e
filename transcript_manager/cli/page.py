"""The audio of a page, from what the command line names."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from transcript_manager.errors import ParameterError
from transcript_manager.export.page.audio import embed, open_audio
from transcript_manager.export.page.html import PageAudio
from transcript_manager.export.reading import Loaded, STDIN
from transcript_manager.streams.bag import audio_topics, Bag, has_bag

_LONG_S = 600.0


def page_audio(args: argparse.Namespace, loaded: Loaded) -> PageAudio | None:
    """
    Encode what `transcript export` is to embed; None, and a note, if there is nothing.

    :param args: with session, audio and audio_topic
    :raises TranscriptManagerError: if there is something, and it cannot be used
    """
    session, path, topic = args.session, args.audio, args.audio_topic
    session_is_bag = session != STDIN and has_bag(Path(session))
    if path is None and session_is_bag and (topic is not None or _has_audio(session)):
        path = session
    if path is None:
        print(
            'transcript: the page has no player; give the recording with --audio FILE',
            file=sys.stderr,
        )
        return None
    if topic is not None and not has_bag(Path(path)):
        raise ParameterError(f'--audio-topic is for bags, {path} is none')
    end_s = loaded.result.end_s
    start_s = 0.0
    with open_audio(path, topic=topic) as source:
        if path == session and loaded.start_time_s is not None:
            # A recording of topics may have begun anywhere in the stream.
            start_s = source.start_time_s - loaded.start_time_s
        if end_s > _LONG_S:
            print(f'transcript: encoding {end_s / 60:.0f} min of audio', file=sys.stderr)
        return embed(source, end_s=end_s, start_s=start_s)


def _has_audio(path: str) -> bool:
    """Whether a bag has a topic that is audio for sure; arrays of numbers can be anything."""
    with Bag(path) as bag:
        return any('MultiArray' not in kind for kind in audio_topics(bag).values())
