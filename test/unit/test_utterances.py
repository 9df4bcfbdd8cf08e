"""Utterances: the transcript's stable text, cut at silences; nothing twice, nothing lost."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from scripted import heard, Session, spoken, window

from transcript_manager.errors import ParameterError
from transcript_manager.interop.utterances import Utterances
from transcript_manager.merge.decode import Decode
from transcript_manager.merge.segments import TranscriptSegment, TranscriptWord, WordState
from transcript_manager.streams.bag import read_bag
from transcript_manager.streams.messages import to_decode, to_ns

BAGS = Path(__file__).resolve().parent.parent / 'bags'
WORDS = st.sampled_from([' go', ' stop', ' the', ' box.', ' Box', ' red', ' one?', ' two', '.'])


def words_in(text):
    return ''.join(c for c in text if c.isalnum() or c == ' ').split()


class Listener:
    """Merges windows, cuts what comes out, and looks at the promises after each."""

    def __init__(self, silence_s=1.0):
        self.session = Session()
        self.utterances = Utterances(silence_s)
        self.ended = []  # (merged_end_s, utterance)
        self.log = []  # what each merge meant

    def add(self, decode):
        result = self.session.add(decode)
        transcript = self.session.transcript
        told = self.utterances.update(
            transcript.active(),
            result.frozen,
            transcript.merged_end_s,
            end_of_stream=decode.end_of_stream,
        )
        self.log.append(told)
        self.ended += [(decode.end_s, u) for u in told.ended]
        assert self.session.stable.startswith(self.text)
        rest = self.session.shown().removeprefix(self.text)
        assert rest.endswith(told.incremental)
        assert not words_in(rest.removesuffix(told.incremental))
        for utterance in told.ended:
            assert words_in(utterance.said) == words_in(utterance.text)
            assert utterance.said or decode.end_of_stream
            assert 0 <= utterance.confidence <= 1
        for said in [u.said for u in told.ended] + [told.incremental]:
            assert not said or words_in(said.strip()[0])  # no mark that belongs to something else
        if decode.end_of_stream:
            assert self.text == self.session.stable and not told.is_speaking
        return told

    @property
    def text(self):
        return ''.join(u.text for _, u in self.ended)

    def play(self, truth, *, until_s):
        """Hear the truth through sliding windows, to the end of the stream."""
        for end_s in range(1, until_s + 1):
            start_s = max(0.0, end_s - 10.0)
            said = heard(truth, start_s, end_s)
            ends = end_s == until_s
            self.add(window(start_s, end_s - start_s, said, end_of_stream=ends))
        return [u.said for _, u in self.ended if u.said]


@st.composite
def streams(draw):
    """Streams over noise: windows lost, late, repeated, unheard; the clock set back."""
    decodes = []
    for _ in range(draw(st.integers(1, 2))):
        origin_s = draw(st.sampled_from([0.0, 40.0]))
        for end_s in draw(st.lists(st.integers(1, 30), max_size=20)):
            end_s += origin_s
            if draw(st.integers(0, 9)) == 0:
                decodes.append(Decode(end_s, 0.0, ()))  # nobody listened
                continue
            start_s = max(0.0, end_s - 10.0)
            times = sorted(draw(st.lists(st.floats(start_s, end_s), max_size=9)))
            said = [
                (('|' if draw(st.booleans()) else '') + draw(WORDS), t, min(t + 0.3, end_s))
                for t in times
            ]
            decodes.append(window(start_s, end_s - start_s, said))
        if draw(st.booleans()):
            end_s = origin_s + draw(st.integers(20, 31))
            decodes.append(Decode(end_s - 1, 1.0, (), end_of_stream=True))
    decodes.append(Decode(80.0, 1.0, (), end_of_stream=True))
    return decodes


@settings(deadline=None, max_examples=150)
@given(streams(), st.sampled_from([0.2, 1.0, 5.0]))
def test_utterances_concatenate_to_the_stable_text_whatever_is_heard(decodes, silence_s):
    listener = Listener(silence_s)
    for decode in decodes:
        listener.add(decode)
    assert listener.text == listener.session.stable


@pytest.mark.parametrize('name', ['demo', 'second', 'heldout_slt', 'heldout_enus'])
def test_real_decodes_are_cut_where_people_pause(name):
    messages = list(read_bag(BAGS / name))
    origin_ns = to_ns(messages[0].header.stamp)
    listener = Listener()
    for message in messages:
        listener.add(to_decode(message, origin_ns=origin_ns))
    assert messages[-1].end_of_stream and listener.text == listener.session.stable
    assert len(listener.ended) > 1
    assert sum(told.is_speaking for told in listener.log) > len(listener.log) / 3


def test_an_utterance_ends_a_silence_after_its_last_word():
    truth = spoken('bring me the box.', from_s=0.2) + spoken('put it down.', from_s=6.0)
    listener = Listener()
    texts = listener.play(truth, until_s=14)
    assert texts == [' bring me the box.', ' put it down.']
    (first_s, first), (second_s, second), (_, flushed) = listener.ended
    # Its own punctuation is shown at once, and settles with what is said next.
    assert (first.text, second.text) == (' bring me the box', '. put it down')
    assert (flushed.text, flushed.said) == ('.', '')
    assert first_s == 3 and second_s == 9  # said to its end at 1.76 s and 7.16 s
    assert first.confidence == pytest.approx(0.95)
    speaking = [told.is_speaking for told in listener.log]
    assert speaking == [True, True] + [False] * 4 + [True] * 2 + [False] * 6
    # While it is said it grows; when it has ended there is nothing left of it to show.
    assert listener.log[0].incremental == ' bring'
    assert listener.log[3].incremental == ''


def test_a_pause_shorter_than_the_silence_does_not_end_it():
    truth = spoken('bring me', from_s=0.2) + spoken('the box', from_s=3.0)
    assert len(Listener(silence_s=3.0).play(truth, until_s=12)) == 1
    assert len(Listener(silence_s=1.0).play(truth, until_s=12)) == 2


def test_silences_heard_late_part_utterances_too():
    truth = spoken('bring me', from_s=0.2) + spoken('the box', from_s=6.0)
    listener = Listener()
    listener.add(window(0.0, 9.0, truth, end_of_stream=True))
    assert [u.text.strip() for _, u in listener.ended] == ['bring me', 'the box']


def segment(index, first_s, words):
    return TranscriptSegment(
        index,
        tuple(
            TranscriptWord(
                f' w{k}', 0.9, 3, WordState.FROZEN, first_s + 0.4 * k, first_s + 0.4 * k
            )
            for k in range(words)
        ),
    )


def test_talk_without_a_pause_is_bounded():
    utterances = Utterances()
    ended = []
    for k in range(100):
        told = utterances.update([], [segment(k, 8.0 * k, 20)], 8.0 * (k + 1))
        ended += told.ended
        assert len(told.incremental.split()) <= 250
    assert len(ended) == 7 and all(len(u.text.split()) == 260 for u in ended)


def test_a_clock_set_back_ends_what_was_said_before():
    utterances = Utterances()
    assert not utterances.update([], [segment(0, 50.0, 5)], 52.0).ended
    told = utterances.update([], [], 3.0)
    assert [u.said for u in told.ended] == [' w0 w1 w2 w3 w4']
    assert not told.is_speaking


def test_long_words_weigh_more_in_the_confidence():
    words = (
        TranscriptWord(' I', 0.2, 3, WordState.FROZEN, 0.0, 0.1),
        TranscriptWord(' waited', 0.9, 3, WordState.FROZEN, 0.1, 0.5),
        TranscriptWord('.', 0.1, 3, WordState.FROZEN, 0.5, 0.5, is_punctuation=True),
    )
    told = Utterances().update([], [TranscriptSegment(0, words)], 2.0)
    assert told.ended[0].text == ' I waited.'
    assert told.ended[0].confidence == pytest.approx((0.2 + 6 * 0.9) / 7)


@pytest.mark.parametrize('silence_s', [0.0, 61.0, float('nan')])
def test_a_silence_out_of_range_is_refused(silence_s):
    with pytest.raises(ParameterError, match='utterance_silence_s is .*, must be 0.2..60 s'):
        Utterances(silence_s)
