"""What the audio ring's parameter `source` names when it is a path: a sound file, or a bag."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transcript_manager.audio.files import FileSource
from transcript_manager.audio.source import AudioSource
from transcript_manager.streams.audio_bag import BagSource
from transcript_manager.streams.bag import has_bag


def open_recording(values: Mapping[str, Any]) -> AudioSource:
    """
    Open a sound file or a bag.

    :param values: the parameters of the audio ring
    :raises AudioSourceError: if it cannot be used
    """
    source, rate_hz = values['source'], values['sample_rate']
    path = Path(source).expanduser()
    if not has_bag(path):
        return FileSource(source, sample_rate_hz=rate_hz)
    return BagSource(
        path,
        sample_rate_hz=rate_hz,
        topic=values['bag_topic'] or None,
        channel=values['channel'],
        default_rate_hz=values['audio_rate'],
        default_channels=values['audio_channels'],
    )
