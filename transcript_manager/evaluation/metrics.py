"""
How good a live transcript was, from what it showed and when.

A trace says, window by window, which text became stable and what was shown behind it; the truth
says which words were spoken when. Definitions and where they come from:

* word error rate (WER): (S + D + I) / N of the final text.
* normalised erasure: words taken back from what was shown, over all updates, per word of the
  final text (Arivazhagan et al., IWSLT 2020). Words are compared as for the WER; ``erasure_raw``
  counts changed punctuation and capitals too.
* commit latency: from a word's end to the end of the window with which it became stable, over the
  words that came out right. The decoder's own time is not in it.
* settled latency: the same, to the window from which on what is shown up to and with this word
  never changed again: when a reader could have relied on it, though nobody said so.
* coverage: words that were stable before the stream's end was known, of those that came out right.
* false commits: stable words that were not said in this place, per stable word.
* time error: mean distance between a word's start and the truth, over words that came out right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
import json
from pathlib import Path

from transcript_manager.errors import TranscriptManagerError
from transcript_manager.evaluation.wer import alignment, normalise, word_errors
from transcript_manager.streams.trace import TraceLine


@dataclass(frozen=True, slots=True)
class TimedWord:
    """One word, with times in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What :func:`evaluate` finds; rates as shares, not per cent."""

    words: int
    """Of the truth."""
    wer: float
    substitutions: int
    deletions: int
    insertions: int
    erasure: float
    """Normalised erasure of what was shown."""
    erasure_raw: float
    """The same, with changed punctuation and capitals."""
    latency_p50_s: float
    latency_p95_s: float
    settled_p50_s: float
    settled_p95_s: float
    coverage: float
    false_commits: float
    time_error_s: float
    """Of word starts; nan where no word times were given."""

    def as_dict(self) -> dict[str, float]:
        """Return the scores by name."""
        return asdict(self)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the scores, in order."""
        return [f.name for f in fields(cls)]


def read_truth(path: str | Path) -> list[TimedWord]:
    """
    Read a truth file: a JSON list of [word, start, end].

    :raises TranscriptManagerError: if it cannot be read or is something else
    """
    try:
        entries = json.loads(Path(path).read_text(encoding='utf-8'))
        return [TimedWord(str(word), float(start), float(end)) for word, start, end in entries]
    except OSError as error:
        raise TranscriptManagerError(f'cannot read {path}: {error.strerror}') from error
    except (ValueError, TypeError) as error:
        raise TranscriptManagerError(
            f'{path} is no truth file: it should hold a JSON list of [word, start, end]'
        ) from error


def evaluate(
    trace: Sequence[TraceLine],
    truth: Sequence[TimedWord],
    words: Sequence[TimedWord] | None = None,
) -> Scores:
    """
    Compute the scores of one session.

    :param trace: one line per window and a last one of the final flush, in order
    :param truth: the words said, in order; times as in the trace
    :param words: the final words with their times, for the time error
    """
    said = [TimedWord(part, w.start_s, w.end_s) for w in truth for part in normalise(w.text)]
    committed_s, final = _commits(trace)
    reference = [w.text for w in said]
    errors = word_errors(reference, final)
    right = [
        (r, h)
        for r, h in alignment(reference, final)
        if r is not None and h is not None and reference[r] == final[h]
    ]
    last_s = trace[-1].end_s if trace else 0.0
    latencies = sorted(min(committed_s[h], last_s) - said[r].end_s for r, h in right)
    shown = [normalise(text) for text in _shown(trace)]
    settled_s = _settled(trace, shown)
    settled = sorted(settled_s[h] - said[r].end_s for r, h in right)
    before_flush = len(normalise(''.join(line.stable for line in trace[:-1])))
    return Scores(
        words=len(reference),
        wer=errors.rate,
        substitutions=errors.substitutions,
        deletions=errors.deletions,
        insertions=errors.insertions,
        erasure=_erasure(shown),
        erasure_raw=_erasure([text.split() for text in _shown(trace)]),
        latency_p50_s=_quantile(latencies, 0.5),
        latency_p95_s=_quantile(latencies, 0.95),
        settled_p50_s=_quantile(settled, 0.5),
        settled_p95_s=_quantile(settled, 0.95),
        coverage=sum(h < before_flush for _, h in right) / max(1, len(right)),
        false_commits=(errors.substitutions + errors.insertions) / max(1, len(final)),
        time_error_s=_time_error(said, words),
    )


def _commits(trace: Sequence[TraceLine]) -> tuple[list[float], list[str]]:
    """Return for every final word the time at which it was committed, and the words."""
    committed_s: list[float] = []
    text = ''
    for line in trace:
        if not line.stable:
            continue
        # From the start of the last words on only: a word may be committed in pieces.
        text += line.stable
        committed_s += [line.end_s] * (len(normalise(text)) - len(committed_s))
    return committed_s, normalise(text)


def _shown(trace: Sequence[TraceLine]) -> list[str]:
    stable = ''
    texts = []
    for line in trace:
        stable += line.stable
        texts.append(stable + line.tentative)
    return texts


def _common_prefix(a: Sequence[str], b: Sequence[str]) -> int:
    length = 0
    for x, y in zip(a, b):  # noqa: B905 - up to the end of the shorter one
        if x != y:
            break
        length += 1
    return length


def _erasure(shown: Sequence[Sequence[str]]) -> float:
    erased = sum(
        len(before) - _common_prefix(before, after)
        for before, after in zip(shown, shown[1:])  # noqa: B905 - pairs of neighbours
    )
    return erased / max(1, len(shown[-1]) if shown else 0)


def _settled(trace: Sequence[TraceLine], shown: Sequence[Sequence[str]]) -> list[float]:
    """Return for every final word when it was last brought to its final state and place [s]."""
    final = shown[-1] if shown else []
    settled_s = [trace[-1].end_s] * len(final) if trace else []
    reached = len(final)
    for line, words in zip(reversed(trace), reversed(shown)):  # noqa: B905 - of equal length
        reached = min(reached, _common_prefix(words, final))
        settled_s[:reached] = [line.end_s] * reached
    return settled_s


def _time_error(said: Sequence[TimedWord], words: Sequence[TimedWord] | None) -> float:
    if not words:
        return float('nan')
    heard = [TimedWord(p, w.start_s, w.end_s) for w in words for p in normalise(w.text)]
    pairs = alignment([w.text for w in said], [w.text for w in heard])
    errors_s = [
        abs(said[r].start_s - heard[h].start_s)
        for r, h in pairs
        if r is not None and h is not None and said[r].text == heard[h].text
    ]
    return sum(errors_s) / len(errors_s) if errors_s else float('nan')


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value at a share of the ordered values; nan of none."""
    if not ordered:
        return float('nan')
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
