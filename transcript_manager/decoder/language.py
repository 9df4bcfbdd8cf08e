"""
Which language is spoken: given, or detected once and then kept.

A detection on every window flips from one to the next. So the probabilities of the first windows
with speech are added up, and the winner stays until somebody asks again.
"""

from __future__ import annotations

from collections.abc import Mapping

from transcript_manager.decoder.options import AUTO

_MIN_SPEECH_S = 1.0
_SURE_SPEECH_S = 3.0
_SURE = 0.8
_CLEAR = 0.5
_CLEAR_DETECTIONS = 3
_MAX_DETECTIONS = 10


class LanguageLock:
    """
    The language of one stream.

    One thread asks and hears; :meth:`detect_again` may come from any.

    :param language: ISO 639-1 code, or 'auto'
    """

    def __init__(self, language: str) -> None:
        self._given = language
        self._forget = False
        self._reset()

    def _reset(self) -> None:
        self._sums: dict[str, float] = {}
        self._clear_detections = 0
        self._detections = 0
        self.language = '' if self._given == AUTO else self._given
        """The best guess so far; '' before the first."""
        self.is_locked = self._given != AUTO

    def detect_again(self) -> None:
        """Forget what was detected, from the next window on; a given language stays."""
        self._forget = True

    def wants(self, speech_s: float) -> bool:
        """
        Whether a window should be asked for its language.

        :param speech_s: how much speech it has [s]
        """
        if self._forget:
            self._forget = False
            self._reset()
        return not self.is_locked and (not self._sums or speech_s >= _MIN_SPEECH_S)

    def hear(self, probabilities: Mapping[str, float], speech_s: float) -> None:
        """
        Take in what a window was detected as.

        It is settled by one sure window, by three clear ones, or after ten of any kind: silence
        and noise give votes, too, but no clear ones.

        :param probabilities: by language code
        :param speech_s: how much speech it had [s]
        """
        weight = min(speech_s, _SURE_SPEECH_S)
        for language, probability in probabilities.items():
            self._sums[language] = self._sums.get(language, 0.0) + weight * probability
        self.language = max(self._sums, key=lambda code: self._sums[code])
        self._detections += 1
        top = max(probabilities.values())
        if speech_s >= _MIN_SPEECH_S and top >= _CLEAR:
            self._clear_detections += 1
        is_sure = probabilities[self.language] >= _SURE and speech_s >= _SURE_SPEECH_S
        self.is_locked = (
            is_sure
            or self._clear_detections >= _CLEAR_DETECTIONS
            or self._detections >= _MAX_DETECTIONS
        )
