"""A listening hears what is said from its beginning on, and knows when it is over."""

import pytest
from scripted import heard, spoken, window

from transcript_manager.merge.settings import MergeSettings
from transcript_manager.merge.transcript import Transcript
from transcript_manager.session.listening import Heard, Listening, Reason

TRUTH = spoken('please bring the small red box to the kitchen now', from_s=5.0)
BEFORE = spoken('nobody asked for this', from_s=1.0)


def listen(truth, *, start_s=4.0, until_s=40, stops=None, end_of_stream_s=None, **values):
    """Play windows; returns the listening, why it ended, and when."""
    listening = Listening(
        start_s, **{'max_duration_s': 30.0, 'silence_s': 0.0, 'give_up_s': 0.0, **values}
    )
    transcript = Transcript(MergeSettings())
    entries = 0
    stable = ''
    for end_s in range(1, until_s + 1):
        begin_s = max(0.0, end_s - 10.0)
        is_end = end_s == end_of_stream_s
        decode = window(
            begin_s, end_s - begin_s, heard(truth, begin_s, end_s), end_of_stream=is_end
        )
        result = transcript.merge(decode)
        update = Heard(result.frozen, entries, transcript.active(), end_s, is_end)
        entries += sum(len(s.words) for s in result.frozen)
        if end_s < start_s:
            continue
        reason = listening.hear(update)
        assert listening.stable_text.startswith(stable)
        stable = listening.stable_text
        if reason is not None:
            return listening, reason, end_s
    return listening, None, until_s


def test_only_what_is_said_from_the_beginning_on_is_heard():
    listening, reason, end_s = listen(BEFORE + TRUTH, silence_s=1.5)
    assert listening.text.strip() == 'please bring the small red box to the kitchen now'
    assert (reason, end_s) == (Reason.SILENCE, 11)
    assert listening.segments[0].words[0].start_s == pytest.approx(5.0, abs=0.05)
    assert [s.index for s in listening.segments] == list(range(len(listening.segments)))


def test_what_leaves_the_window_meanwhile_is_kept():
    said = 'one two three four five six seven eight nine ten'
    truth = spoken(said, from_s=5.0, word_s=2.5)
    listening, reason, _ = listen(truth, max_duration_s=28.0)
    assert reason is Reason.MAX_DURATION
    assert listening.text.split() == said.split()
    assert listening.stable_text.split() == listening.text.split()
    assert listening.elapsed_s == 28.0


def test_silence_counts_from_the_last_word_and_not_before_the_first():
    assert listen([], silence_s=2.0, max_duration_s=20.0)[1:] == (Reason.MAX_DURATION, 24)
    assert listen([], silence_s=2.0, give_up_s=5.0)[1:] == (Reason.NOTHING_SAID, 9)
    assert listen(TRUTH, give_up_s=0.9, silence_s=3.0)[1] is Reason.NOTHING_SAID


def test_the_end_of_the_stream_ends_it():
    listening, reason, _ = listen(TRUTH, end_of_stream_s=10)
    assert reason is Reason.END_OF_STREAM
    assert listening.text.split() == [w.strip() for w, _, _ in TRUTH]


def test_without_limits_met_it_goes_on():
    assert listen(TRUTH, until_s=20)[1] is None
