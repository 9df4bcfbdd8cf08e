"""Real decodes: the merge loses nothing that whisper.cpp did not mishear itself."""

from pathlib import Path

import pytest

from transcript_manager.evaluation.baselines import SlotVoting, trace_of
from transcript_manager.evaluation.metrics import evaluate, read_truth, TimedWord
from transcript_manager.evaluation.wer import alignment, normalise
from transcript_manager.merge.words import fuse
from transcript_manager.streams.bag import read_bag
from transcript_manager.streams.messages import to_decode, to_ns

BAGS = Path(__file__).resolve().parent.parent / 'bags'


def decodes_of(name):
    messages = list(read_bag(BAGS / name))
    origin_ns = to_ns(messages[0].header.stamp)
    return [to_decode(m, origin_ns=origin_ns) for m in messages]


def share_of_windows_that_heard(word, decodes):
    """Return the share of the windows around a word in which it was heard where it was said."""
    around = heard = 0
    for decode in decodes:
        if decode.start_s <= word.start_s - 0.3 and word.end_s + 0.3 <= decode.end_s:
            around += 1
            heard += any(
                ''.join(normalise(w.text)) == word.text and abs(w.start_s - word.start_s) < 0.5
                for w in fuse(decode)
            )
    return heard / max(1, around)


@pytest.mark.parametrize(
    ('name', 'errors'), [('demo', 2), ('second', 0), ('heldout_slt', 1), ('heldout_enus', 0)]
)
def test_only_what_the_model_misheard_is_wrong(name, errors):
    decodes = decodes_of(name)
    truth = read_truth(BAGS / f'{name}.truth.json')
    trace = trace_of(SlotVoting(), decodes)
    words = [TimedWord(*w) for entry in trace for w in entry.words]
    scores = evaluate(trace, truth, words)
    assert scores.substitutions + scores.deletions + scores.insertions <= errors
    assert scores.erasure <= 0.25
    assert scores.time_error_s <= 0.06
    said = [TimedWord(p, w.start_s, w.end_s) for w in truth for p in normalise(w.text)]
    final = normalise(''.join(entry.stable for entry in trace))
    for r, h in alignment([w.text for w in said], final):
        if r is not None and (h is None or final[h] != said[r].text):
            # Of "stop, stop" the alignment may name either as the lost one.
            alike = [w for w in said[max(0, r - 1) : r + 2] if w.text == said[r].text]
            shares = [share_of_windows_that_heard(w, decodes) for w in alike]
            assert min(shares) < 0.6, said[r]
