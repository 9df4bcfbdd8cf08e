"""
What a decode says and nobody said: found and cut, counted, in no language in particular.

* A loop: the same words again and again, faster than anybody speaks or more often than fits. A
  decoder that has got stuck gives them a high probability, so that cannot tell.
* Text over silence: words at a time where the voice-activity gate heard nobody.
* Improbable words at the edge of a window, where it cuts a word in two.

Each leaves alone what could have been said: a word that is lost is worse than one too many, which
the windows around it outvote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
import unicodedata

from transcript_manager.decoder.tokens import EngineSegment, EngineToken

LOOP, SILENCE, EDGE = 'loop', 'silence', 'edge'

_MIN_WORD_MS = 80
"""Nobody speaks faster than this for several words on end; fast speech has 120 ms a syllable."""
_MIN_REPEATS = 3
_MIN_LOOP_WORDS = 6
_MIN_PHRASE_WORDS = 3
"""Of a phrase this long, a second copy is enough to look at."""
_MAX_REPEATS = 9
"""More copies than this within one window are cut at any pace."""
_MAX_UNIT_WORDS = 40


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What to look for."""

    loops: bool = True
    silence: bool = True
    edge_probability: float = 0.1
    """A word below it at a cut edge of the window goes; 0: none."""
    edge_s: float = 0.5
    """How far from the edge that is [s]."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What was cut, and by which guard."""

    guard: str
    text: str
    word_count: int


@dataclass(slots=True)
class GuardCounts:
    """How often each guard has cut, how much, and what at last."""

    cuts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((LOOP, SILENCE, EDGE), 0))
    words: dict[str, int] = field(default_factory=lambda: dict.fromkeys((LOOP, SILENCE, EDGE), 0))
    last: dict[str, str] = field(default_factory=lambda: dict.fromkeys((LOOP, SILENCE, EDGE), ''))

    def add(self, cuts: Iterable[Cut]) -> None:
        """Count cuts."""
        for cut in cuts:
            self.cuts[cut.guard] += 1
            self.words[cut.guard] += cut.word_count
            self.last[cut.guard] = cut.text


@dataclass(slots=True)
class _Word:
    """A word of a decode with its closing punctuation: a run of tokens of one segment."""

    segment: int
    tokens: list[EngineToken]
    key: str
    """What it is compared by: letters and digits, caseless; '' for punctuation alone."""

    @property
    def text(self) -> str:
        return ''.join(t.text for t in self.tokens)

    @property
    def start_ms(self) -> int:
        return self.tokens[0].start_ms

    @property
    def end_ms(self) -> int:
        """The end of its last token with letters."""
        ends = [t.end_ms for t in self.tokens if _key(t.text)]
        return ends[-1] if ends else self.tokens[-1].end_ms

    @property
    def probability(self) -> float:
        lettered = [t.probability for t in self.tokens if _key(t.text)]
        return min(lettered, default=1.0)


def guard(
    segments: Sequence[EngineSegment],
    settings: GuardSettings,
    *,
    window_ms: int,
    start_ms: int = 0,
    speech_ms: Sequence[tuple[int, int]] | None = None,
    is_start_cut: bool = True,
    is_end_cut: bool = True,
) -> tuple[tuple[EngineSegment, ...], list[Cut]]:
    """
    Return the segments without what nobody can have said, and what was cut.

    :param window_ms: length of the window [ms]
    :param start_ms: from where on it was listened to [ms]
    :param speech_ms: where the gate heard speech, padded [ms]; None: nobody knows
    :param is_start_cut: whether audio before the window's start is missing from it
    :param is_end_cut: the same for its end
    """
    words = _words(segments)
    cuts: list[Cut] = []
    if settings.loops:
        words = _cut_loops(words, segments, cuts)
    if settings.silence and speech_ms is not None:
        words = _cut_silence(words, speech_ms, cuts)
    if settings.edge_probability > 0:
        edge_ms = round(settings.edge_s * 1000)
        if is_end_cut:
            words = _cut_edge(words, settings.edge_probability, cuts, after_ms=window_ms - edge_ms)
        if is_start_cut:
            words = _cut_edge(words, settings.edge_probability, cuts, before_ms=start_ms + edge_ms)
    if not cuts:
        return tuple(segments), cuts
    return _rebuilt(words, segments), cuts


def _words(segments: Sequence[EngineSegment]) -> list[_Word]:
    words: list[_Word] = []
    for index, segment in enumerate(segments):
        for token in segment.tokens:
            key = _key(token.text)
            # Scripts without spaces: each character is a word.
            begins = token.text[:1].isspace() or any(unicodedata.category(c) == 'Lo' for c in key)
            is_new = not words or words[-1].segment != index
            if is_new or (begins and token.text.strip()):
                words.append(_Word(index, [token], key))
            else:
                words[-1].tokens.append(token)
                words[-1].key += key
    return words


def _key(text: str) -> str:
    return ''.join(c for c in text.casefold() if unicodedata.category(c)[0] in 'LMN')


def _cut_loops(
    words: list[_Word], segments: Sequence[EngineSegment], cuts: list[Cut]
) -> list[_Word]:
    kept: list[_Word] = []
    at = 0
    while at < len(words):
        length, repeats = _run_at(words, at)
        left = _possible_repeats(words[at : at + length * repeats], length, segments)
        if left == repeats:
            kept.append(words[at])
            at += 1
            continue
        kept += words[at : at + length * left]
        gone = words[at + length * left : at + length * repeats]
        cuts.append(Cut(LOOP, _text(gone), len(gone)))
        at += length * repeats
    return kept


def _run_at(words: list[_Word], at: int) -> tuple[int, int]:
    """Return (words, repeats) of the longest run of one unit over and over that begins here."""
    best = (1, 1)
    left = len(words) - at
    for length in range(1, min(_MAX_UNIT_WORDS, left // 2) + 1):
        unit = [w.key for w in words[at : at + length]]
        if not any(unit):
            continue
        repeats = 1
        while [w.key for w in words[at + repeats * length : at + (repeats + 1) * length]] == unit:
            repeats += 1
        least = _MIN_REPEATS if length < _MIN_PHRASE_WORDS else 2
        is_run = repeats >= least and repeats * length >= _MIN_LOOP_WORDS
        if is_run and repeats * length > best[0] * best[1]:
            best = (length, repeats)
    return best


def _possible_repeats(run: list[_Word], length: int, segments: Sequence[EngineSegment]) -> int:
    """Return how many repeats of a run can have been said, at least one."""
    repeats = len(run) // length
    rushed = [_duration_ms(w, segments) < _MIN_WORD_MS for w in run]
    is_loop = length >= _MIN_PHRASE_WORDS or sum(rushed) * 2 > len(run)
    left = 1
    while left < repeats:
        unit = rushed[left * length : (left + 1) * length]
        if is_loop and sum(unit) * 2 > length:
            return left
        left += 1
    return min(repeats, _MAX_REPEATS)


def _duration_ms(word: _Word, segments: Sequence[EngineSegment]) -> float:
    if word.start_ms >= 0 and word.end_ms >= 0:
        return word.end_ms - word.start_ms
    segment = segments[word.segment]
    words = _words([segment])
    return (segment.end_ms - segment.start_ms) / max(1, len(words))


def _cut_silence(
    words: list[_Word], speech_ms: Sequence[tuple[int, int]], cuts: list[Cut]
) -> list[_Word]:
    kept: list[_Word] = []
    gone: list[_Word] = []
    for word in words:
        is_timed = word.start_ms >= 0 and word.end_ms >= 0
        heard = not is_timed or any(
            word.start_ms <= end_ms and word.end_ms >= start_ms for start_ms, end_ms in speech_ms
        )
        (kept if heard else gone).append(word)
    if gone:
        cuts.append(Cut(SILENCE, _text(gone), len(gone)))
    return kept


def _cut_edge(
    words: list[_Word],
    min_probability: float,
    cuts: list[Cut],
    *,
    before_ms: int | None = None,
    after_ms: int | None = None,
) -> list[_Word]:
    """Cut from the edge inwards, as far as words are improbable."""
    kept = list(words)
    gone: list[_Word] = []
    index = 0 if after_ms is None else -1
    while kept:
        word = kept[index]
        if word.start_ms < 0 or word.end_ms < 0 or word.probability >= min_probability:
            break
        if before_ms is not None and word.start_ms >= before_ms:
            break
        if after_ms is not None and word.end_ms <= after_ms:
            break
        gone.insert(0 if index else len(gone), kept.pop(index))
    if gone:
        cuts.append(Cut(EDGE, _text(gone), len(gone)))
    return kept


def _text(words: Sequence[_Word]) -> str:
    return ''.join(w.text for w in words).strip()


def _rebuilt(
    words: Sequence[_Word], segments: Sequence[EngineSegment]
) -> tuple[EngineSegment, ...]:
    rebuilt = []
    for index, segment in enumerate(segments):
        tokens = tuple(t for w in words if w.segment == index for t in w.tokens)
        if tokens == segment.tokens:
            rebuilt.append(segment)
        elif tokens:
            timed = [t for t in tokens if t.start_ms >= 0 and t.end_ms >= 0]
            start_ms, end_ms = segment.start_ms, segment.end_ms
            if timed:
                start_ms = max(start_ms, min(timed[0].start_ms, end_ms))
                end_ms = max(start_ms, min(end_ms, timed[-1].end_ms))
            rebuilt.append(EngineSegment(start_ms, end_ms, tokens))
    return tuple(rebuilt)
