"""What was said before the horizon is not heard again; what is said after it is not lost."""

import pytest
from scripted import heard, SENTENCE, Session, spoken, window

from transcript_manager.merge.transcript import MergeSettings, Transcript

TRUTH = spoken(
    SENTENCE + ' and the other robot comes back from the garden with three green apples'
)
UNTIL_S = 16


def windows(truth, *, from_s=1, until_s=UNTIL_S):
    for end_s in range(from_s, until_s + 1):
        start_s = max(0.0, end_s - 10.0)
        yield window(start_s, end_s - start_s, heard(truth, start_s, end_s))


def said(truth):
    return ''.join(w for w, _, _ in truth).strip()


@pytest.mark.parametrize('settled_at_s', range(1, UNTIL_S))
def test_a_flush_in_the_stream_loses_nothing_and_doubles_nothing(settled_at_s):
    session = Session()
    for decode in windows(TRUTH):
        session.add(decode)
        if decode.end_s == settled_at_s:
            text, frozen = session.transcript.settle()
            session.stable += text
            session.frozen += frozen
            assert session.transcript.active() == []
            assert not frozen or frozen[-1].words[-1].end_s <= settled_at_s
    words = session.finish().split()
    # The word that the flush cut is said whole behind it, or was known before.
    assert words == said(TRUTH).split()
    assert [s.index for s in session.frozen] == list(range(len(session.frozen)))


def test_what_is_said_before_the_horizon_is_not_taken():
    session = Session()
    session.transcript.ignore_before(4.0)
    for decode in windows(TRUTH):
        session.add(decode)
    kept = [w for w in TRUTH if (w[1] + w[2]) / 2 > 4.0]
    assert session.finish() == said(kept)


def test_the_horizon_ends_with_the_stream():
    transcript = Transcript(MergeSettings())
    for decode in windows(TRUTH):
        transcript.merge(decode)
    transcript.settle()
    transcript.flush()
    text = ''.join(transcript.merge(d).stable_text for d in windows(TRUTH))
    text += transcript.flush()[0]
    assert text.split() == said(TRUTH).split()


def test_the_same_word_again_is_a_new_one_when_time_has_gone_on():
    truth = [(' no', 0.0, 0.3), (' no', 1.2, 1.5), (' no', 2.4, 2.7)]
    session = Session()
    session.add(window(0.0, 1.0, heard(truth, 0.0, 1.0)))
    text, session.frozen = session.transcript.settle()
    assert text == ' no'
    session.stable = text
    for end_s in (2, 3, 4, 5):
        session.add(window(0.0, end_s, heard(truth, 0.0, end_s)))
    assert session.finish() == 'no no no'
