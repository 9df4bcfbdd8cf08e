"""
Token streams with known truth: what a decoder would have made of overlapping windows.

Speech is drawn word by word with times and pauses; each window then hears the words that it
covers, with the faults that overlapping decodes of real speech have: words cut at the edges,
substituted, dropped and invented ones, the same word misheard the same way time and again, times
that jitter or jump, flickering punctuation and case, loops, fillers over silence, windows that are
lost, late or repeated. Every fault has its own rate, so that a stream can be made of any of them.

The decoder is simulated, the faults are not measured ones: a stream shows how a merge takes a
fault, not how often a model makes it. Real decodes are under ``test/bags``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import random

from transcript_manager.merge.decode import Decode, DecodedSegment, Token, UNKNOWN_S

_TEXT = """
the of and to a in that is was he for it with as his on be at by this had not are but from or have
an they which one you were her all she there would their we him been has when who will more no if
out so said what up its about into than them can only other new some could time these two may then
do first any my now such like our over man me even most made after also did many before must
through back years where much your way well down should because each just those people mister how
too little state good very make world still own see men work long here get both between life being
under never day same another know while last might us great old year off come since go against
came right used take three states himself few house use during without again place around however
home small found thought went say part once general high upon school every robot kitchen table
bottle door window corner left turn stop forward charge battery garage yellow carry wait slowly
seconds operation operational cooperation nightfall textbook freedom copyright document license
publish effective redistribute modification responsible considered publisher derivative commercial
"""
_WORDS = tuple(_TEXT.split())

_CONFUSIONS = {
    'the': ('a', 'they', 'then'),
    'a': ('the', 'an', 'of'),
    'and': ('in', 'an', 'end'),
    'in': ('and', 'an', 'on'),
    'to': ('two', 'the', 'too'),
    'of': ('off', 'a', 'have'),
    'is': ('as', 'it', "it's"),
    'six': ('6', 'sex'),
}

_FILLERS = ('Thank you.', 'Thanks for watching!', 'you', 'Bye.', 'Okay.', '[BLANK_AUDIO]', 'So')


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word of the truth; times in seconds from the stream's start."""

    text: str
    start_s: float
    end_s: float
    ends_sentence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong, as rates in [0, 1] unless a unit says otherwise."""

    window_s: float = 10.0
    hop_s: float = 1.0
    irregular_hop: float = 0.0
    """Spread of the hop as a share of it: 0.9 gives hops of 0.1 to 1.9 times ``hop_s``."""
    lost_window: float = 0.0
    late_window: float = 0.0
    """Windows that arrive one to three windows later than they should."""
    repeated_window: float = 0.0

    substitution: float = 0.02
    deletion: float = 0.003
    insertion: float = 0.003
    hard_word: float = 0.0
    """Words of the truth that are misheard time and again, always as the same other word."""
    hard_word_misheard: float = 0.33
    """Share of the windows in which a hard word is misheard."""
    split_word: float = 0.0
    """Longer words heard as two."""

    cut_word: float = 0.7
    """Words across a window's edge that leave a fragment; the others leave nothing."""
    edge_guess_s: float = 0.0
    """Before the window's end, where the decoder guesses: half of the words there are wrong."""
    time_jitter_s: float = 0.06
    """Standard deviation of a token's times."""
    shifted_window: float = 0.0
    """Windows whose times are all off by the same amount, up to ``shift_s``."""
    shift_s: float = 1.5
    untimed: bool = False
    """Tokens carry no times; segments do."""

    flicker: float = 0.1
    """Of punctuation and of capitals."""
    segment_break: float = 0.6
    """Sentence ends at which the decoder begins a new segment."""
    looping_window: float = 0.0
    filler: float = 0.0
    """Windows that hold a silence of 3 s or more and invent something to fill it."""
    unsure: float = 0.13
    """Standard deviation of token probabilities."""
    probability_gap: float = 0.37
    """How much more probable right words are on average than wrong ones."""


def speak(
    rng: random.Random, duration_s: float, *, repetition: float = 0.0, silence: float = 0.02
) -> list[SpokenWord]:
    """
    Draw speech.

    :param repetition: rate at which a stretch of one to six words is said a second time
    :param silence: rate of sentence ends that a silence of 3 s to 30 s follows
    """
    weights = [1.0 / (k + 4) for k in range(len(_WORDS))]
    words: list[SpokenWord] = []
    at_s = rng.uniform(0.1, 1.0)
    length = 0
    pending: list[str] = []
    while True:
        if not pending and length > 4 and rng.random() < repetition:
            pending = [w.text for w in words[-rng.randint(1, 6) :]] * rng.choice((1, 1, 2))
        text = pending.pop(0) if pending else rng.choices(_WORDS, weights)[0]
        word_s = 0.08 + 0.05 * len(text) * rng.uniform(0.8, 1.3)
        if at_s + word_s > duration_s:
            break
        length += 1
        ends = length > 4 and not pending and rng.random() < 0.1
        words.append(SpokenWord(text, at_s, at_s + word_s, ends))
        at_s += word_s + 0.02
        if ends:
            length = 0
            at_s += rng.uniform(3.0, 30.0) if rng.random() < silence else rng.uniform(0.2, 1.2)
        elif rng.random() < 0.08:
            at_s += rng.uniform(0.1, 0.5)
    return words


def decode_stream(
    rng: random.Random, truth: list[SpokenWord], duration_s: float, faults: Faults
) -> Iterator[Decode]:
    """Yield what a faulty decoder makes of the windows over the truth, in order of arrival."""
    hard = {k for k in range(len(truth)) if rng.random() < faults.hard_word}
    misheard = {k: _confuse(rng, truth[k].text) for k in hard}
    held: list[tuple[int, Decode]] = []  # late windows, with how many windows go before them
    end_s = 0.0
    first = 0
    while end_s < duration_s:
        spread = faults.irregular_hop
        end_s = min(duration_s, end_s + faults.hop_s * rng.uniform(1 - spread, 1 + spread))
        start_s = max(0.0, end_s - faults.window_s)
        while first < len(truth) and truth[first].end_s < start_s:
            first += 1
        is_last = end_s >= duration_s
        if not is_last and rng.random() < faults.lost_window:
            continue
        decode = _window(rng, truth, first, misheard, start_s, end_s, faults)
        if not is_last and rng.random() < faults.late_window:
            held.append((rng.randint(1, 3), decode))
            continue
        yield decode
        if rng.random() < faults.repeated_window:
            yield decode
        held = [(wait - 1, late) for wait, late in held]
        yield from (late for wait, late in held if wait <= 0)
        held = [(wait, late) for wait, late in held if wait > 0]


@dataclass(slots=True)
class _Heard:
    text: str
    probability: float
    start_s: float
    end_s: float
    ends_sentence: bool = False


def _window(rng, truth, first, misheard, start_s, end_s, faults: Faults) -> Decode:
    if rng.random() < faults.looping_window:
        return _loop(rng, truth, first, start_s, end_s)
    shift_s = 0.0
    if rng.random() < faults.shifted_window:
        shift_s = rng.uniform(-faults.shift_s, faults.shift_s)
    heard: list[_Heard] = []
    for k in range(first, len(truth)):
        if truth[k].start_s >= end_s:
            break
        heard += _hear(rng, truth[k], misheard.get(k), start_s, end_s, faults)
    heard += _filler(rng, truth, first, start_s, end_s, faults)
    heard.sort(key=lambda w: w.start_s)
    for word in heard:
        word.start_s += rng.gauss(0, faults.time_jitter_s) + shift_s
        word.end_s += rng.gauss(0, faults.time_jitter_s) + shift_s
    return _decode(rng, heard, start_s, end_s, faults)


def _hear(rng, word: SpokenWord, misheard, start_s, end_s, faults: Faults) -> Iterator[_Heard]:
    """Yield what one window hears of one word."""
    text, is_right = word.text, True
    from_s, to_s = max(word.start_s, start_s), min(word.end_s, end_s)
    share = (to_s - from_s) / (word.end_s - word.start_s)
    if share < 0.9:
        length = int(len(text) * share)
        if length == 0 or rng.random() > faults.cut_word:
            return
        text = text[:length] if to_s < word.end_s else text[len(text) - length :]
        is_right = False
    elif misheard is not None:
        if rng.random() < faults.hard_word_misheard:
            text, is_right = misheard, False
    elif rng.random() < faults.deletion:
        return
    elif rng.random() < faults.substitution or (
        end_s - to_s < faults.edge_guess_s and rng.random() < 0.5
    ):
        text, is_right = _confuse(rng, text), False
    probability = _probability(rng, is_right, faults)
    if is_right and len(text) > 5 and rng.random() < faults.split_word:
        cut, middle_s = len(text) // 2, (from_s + to_s) / 2
        yield _Heard(text[:cut], probability, from_s, middle_s)
        yield _Heard(text[cut:], probability, middle_s, to_s, word.ends_sentence)
    else:
        yield _Heard(text, probability, from_s, to_s, word.ends_sentence)
    if rng.random() < faults.insertion:
        yield _Heard(rng.choice(_WORDS), _probability(rng, False, faults), to_s, to_s + 0.1)


def _confuse(rng, text: str) -> str:
    if text in _CONFUSIONS and rng.random() < 0.7:
        return rng.choice(_CONFUSIONS[text])
    kind = rng.random()
    if kind < 0.3:
        return text + rng.choice(('s', 'ed', 'ing'))
    if kind < 0.45 and len(text) > 3:
        return text[1:] if rng.random() < 0.5 else text[:-1]
    other = rng.choice(_WORDS)
    return other if other != text else text + 's'


def _probability(rng, is_right: bool, faults: Faults) -> float:
    mean = 0.86 if is_right else 0.86 - faults.probability_gap
    return min(1.0, max(0.05, rng.gauss(mean, faults.unsure)))


def _filler(rng, truth, first, start_s, end_s, faults: Faults) -> list[_Heard]:
    """Invent something in the longest silence of the window, anywhere in it."""
    edges = [start_s]
    for k in range(first, len(truth)):
        if truth[k].start_s >= end_s:
            break
        edges += [truth[k].start_s, truth[k].end_s]
    edges.append(end_s)
    gaps = [(b - a, a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    length_s, from_s, to_s = max(gaps)
    if length_s < 3.0 or rng.random() > faults.filler:
        return []
    words = rng.choice(_FILLERS).split()
    at_s = rng.uniform(from_s, to_s - 1.0)
    probability = min(1.0, max(0.1, rng.gauss(0.6, 0.2)))
    return [
        _Heard(text, probability, at_s + 0.4 * k, at_s + 0.4 * k + 0.35)
        for k, text in enumerate(words)
    ]


def _loop(rng, truth, first, start_s, end_s) -> Decode:
    """Say a stretch of the window over and over, as whisper does when it loses its way."""
    covered = [w.text for w in truth[first : first + 30] if w.end_s < end_s] or ["I'm", 'going']
    at = rng.randrange(len(covered))
    phrase = covered[at : at + rng.randint(1, 4)]
    words = phrase * rng.randint(6, 12)
    step_s = (end_s - start_s) / len(words)
    tokens = tuple(
        Token(' ' + text, min(1.0, rng.gauss(0.8, 0.1)), start_s + k * step_s,
              start_s + (k + 0.9) * step_s)
        for k, text in enumerate(words)
    )  # fmt: skip
    return Decode(start_s, end_s - start_s, (DecodedSegment(start_s, end_s, tokens),))


def _decode(rng, heard: list[_Heard], start_s, end_s, faults: Faults) -> Decode:
    """Spell what was heard as tokens: pieces of words, punctuation, capitals, segments."""
    groups: list[list[Token]] = [[]]
    is_opening = True
    for k, word in enumerate(heard):
        from_s, to_s = word.start_s, max(word.start_s, word.end_s)
        text = word.text
        if is_opening != (rng.random() < faults.flicker / 2):
            text = text.capitalize()
        pieces = [' ' + text]
        if len(text) > 4 and rng.random() < 0.2:
            cut = len(text) // 2 + 1
            pieces = [' ' + text[:cut], text[cut:]]
        step_s = (to_s - from_s) / len(pieces)
        for n, piece in enumerate(pieces):
            times = (from_s + n * step_s, from_s + (n + 1) * step_s)
            groups[-1].append(_token(piece, word.probability, times, faults))
        mark = _punctuation(rng, word, k == len(heard) - 1, faults)
        if mark:
            groups[-1].append(_token(mark, 0.7, (to_s, to_s), faults))
        is_opening = word.ends_sentence and mark != ','
        if word.ends_sentence and rng.random() < faults.segment_break:
            groups.append([])
    segments = []
    at_s = start_s
    for group in groups:
        if group:
            last_s = end_s if group is groups[-1] else max(t.end_s for t in group)
            last_s = min(max(last_s, at_s), end_s)
            segments.append(DecodedSegment(at_s, last_s, tuple(group)))
            at_s = last_s
    return Decode(start_s, end_s - start_s, tuple(segments))


def _token(text, probability, times, faults: Faults) -> Token:
    start_s, end_s = (UNKNOWN_S, UNKNOWN_S) if faults.untimed else times
    return Token(text, probability, start_s, end_s)


def _punctuation(rng, word: _Heard, is_last: bool, faults: Faults) -> str:
    if is_last and rng.random() < 0.5:
        return rng.choice(('.', '...', ',', '-'))
    mark = '.' if word.ends_sentence else ''
    if rng.random() < faults.flicker:
        return rng.choice((',', '.', '')) if mark else ','
    return mark
