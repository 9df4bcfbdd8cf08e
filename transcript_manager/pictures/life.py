"""
The lives of words: when each was said, first shown, stable and frozen.

What counts is the end of the newest audio merged so far: the decoder's own time is not in it, as
in ``evaluation/metrics.py``. A word counts as shown when the transcript held this very word, case
and punctuation aside, at about its final place, tentative or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transcript_manager.merge.decode import Decode
from transcript_manager.merge.segments import TranscriptSegment, TranscriptWord, WordState
from transcript_manager.merge.transcript import MergeSettings, Transcript
from transcript_manager.merge.words import comparable

_MAX_MOVE_S = 0.5
"""The middle of a tentative word is so far from its final place at most."""
_LOOK_AHEAD = 20
"""Final words behind the tentative ones that one of them may be."""


@dataclass(frozen=True, slots=True)
class Life:
    """What became of one final word; times in seconds from the first window's start."""

    text: str
    start_s: float
    end_s: float
    shown_s: float
    """When it was first shown."""
    settled_s: float
    """From when on it was always shown."""
    stable_s: float
    frozen_s: float
    changes: int
    """How often what was shown in its place changed: another word, this one, nothing again."""


@dataclass(frozen=True, slots=True)
class _Update:
    """What one window left."""

    end_s: float
    """Of the newest audio."""
    frozen: int
    """Words frozen so far."""
    stable: int
    """Words stable so far, the frozen ones among them."""
    tentative: tuple[TranscriptWord, ...]


def follow(decodes: Iterable[Decode], settings: MergeSettings | None = None) -> list[Life]:
    """
    Merge a stream and follow each of its words.

    :param decodes: in the order in which they came
    :returns: the final words in order, punctuation aside
    """
    transcript = Transcript(settings)
    final: list[TranscriptWord] = []
    updates: list[_Update] = []
    end_s, restarts = float('-inf'), 0

    def note(frozen: Sequence[TranscriptSegment]) -> None:
        final.extend(_words(frozen))
        active = _words(transcript.active())
        stable = sum(w.state is not WordState.TENTATIVE for w in active)
        updates.append(_Update(end_s, len(final), len(final) + stable, tuple(active[stable:])))

    for decode in decodes:
        frozen = transcript.merge(decode).frozen
        if transcript.restarts > restarts:  # the source's clock was set back
            restarts, end_s = transcript.restarts, decode.end_s
        end_s = max(end_s, decode.end_s)
        note(frozen)
    note(transcript.flush()[1])
    return _lives(final, updates)


def _words(segments: Iterable[TranscriptSegment]) -> list[TranscriptWord]:
    return [w for s in segments for w in s.words if not w.is_punctuation]


def _lives(final: Sequence[TranscriptWord], updates: Sequence[_Update]) -> list[Life]:
    count = len(final)
    shown_s: list[float | None] = [None] * count
    settled_s = [0.0] * count
    stable_s, frozen_s = [0.0] * count, [0.0] * count
    changes = [0] * count
    stable = frozen = 0
    in_place: dict[int, str] = {}  # form shown, by index, of words that are not stable
    for update in updates:
        for k in range(stable, update.stable):
            stable_s[k] = update.end_s
        for k in range(frozen, update.frozen):
            frozen_s[k] = update.end_s
        before, in_place = in_place, _shown_in_place(final, update)
        in_place |= {k: comparable(final[k].text) for k in range(stable, update.stable)}
        for k, form in in_place.items():
            if form != comparable(final[k].text) or before.get(k) == form:
                continue
            settled_s[k] = update.end_s
            if shown_s[k] is None:
                shown_s[k] = update.end_s
        for k, form in before.items():
            changes[k] += in_place.get(k) != form
        stable, frozen = update.stable, update.frozen
        in_place = {k: form for k, form in in_place.items() if k >= stable}
    return [
        Life(
            text=word.text,
            start_s=word.start_s,
            end_s=word.end_s,
            shown_s=stable_s[k] if shown_s[k] is None else shown_s[k],
            settled_s=settled_s[k],
            stable_s=stable_s[k],
            frozen_s=frozen_s[k],
            changes=changes[k],
        )
        for k, word in enumerate(final)
    ]


def _shown_in_place(final: Sequence[TranscriptWord], update: _Update) -> dict[int, str]:
    """Return the form that a window showed tentatively in a final word's place, by its index."""
    pairs = _recognised(final, update)
    found = {k: comparable(final[k].text) for k in pairs}
    others = [w for i, w in enumerate(update.tentative) if i not in pairs.values()]
    for k in range(update.stable, min(len(final), update.stable + _reach(update))):
        if k in found:
            continue
        for word in others:
            if final[k].start_s <= (word.start_s + word.end_s) / 2 <= final[k].end_s:
                found[k] = comparable(word.text)
    return found


def _reach(update: _Update) -> int:
    return len(update.tentative) + _LOOK_AHEAD


def _recognised(final: Sequence[TranscriptWord], update: _Update) -> dict[int, int]:
    """
    Return which final words a window showed tentatively: indices of those by index of the final.

    The most words in order whose forms are equal and whose places are near; of equally many the
    nearest (longest common subsequence, by dynamic programming).
    """
    first = update.stable
    shown = [(comparable(w.text), (w.start_s + w.end_s) / 2) for w in update.tentative]
    said = [
        (comparable(w.text), (w.start_s + w.end_s) / 2)
        for w in final[first : first + _reach(update)]
    ]
    # best[i][j]: (matches, -distance) of shown[i:] and said[j:]
    best = [[(0, 0.0)] * (len(said) + 1) for _ in range(len(shown) + 1)]
    for i in reversed(range(len(shown))):
        for j in reversed(range(len(said))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            if (pair := _paired(shown[i], said[j], best[i + 1][j + 1])) is not None:
                best[i][j] = max(best[i][j], pair)
    found = {}
    i = j = 0
    while i < len(shown) and j < len(said):
        if best[i][j] == _paired(shown[i], said[j], best[i + 1][j + 1]):
            found[first + j] = i
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _paired(
    shown: tuple[str, float], said: tuple[str, float], rest: tuple[int, float]
) -> tuple[int, float] | None:
    """Return what a pair of (form, middle [s]) and what follows is worth; None if it is none."""
    distance_s = abs(shown[1] - said[1])
    if shown[0] != said[0] or distance_s > _MAX_MOVE_S:
        return None
    return rest[0] + 1, rest[1] - distance_s
