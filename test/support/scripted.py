"""Scripted speech: windows over words with known times, and a session that keeps what came out."""

from transcript_manager.merge.decode import Decode, DecodedSegment, Token
from transcript_manager.merge.segments import split_text
from transcript_manager.merge.transcript import MergeSettings, Transcript


def window(start_s, duration_s, said, *, end_of_stream=False, probability=0.95):
    """
    Make the decode of a window.

    :param said: (text, start_s, end_s) absolute; '|' in front of a text opens a segment
    """
    groups = [[]]
    for text, begin_s, until_s in said:
        if text.startswith('|'):
            text = text[1:]
            if groups[-1]:
                groups.append([])
        groups[-1].append(Token(text, probability, begin_s, until_s))
    segments = tuple(DecodedSegment(g[0].start_s, g[-1].end_s, tuple(g)) for g in groups if g)
    return Decode(start_s, duration_s, segments, end_of_stream)


def spoken(sentence, *, from_s=0.0, word_s=0.4):
    """Time the words of a sentence evenly; punctuation stays on its word."""
    words = sentence.split()
    return [
        (' ' + w, from_s + k * word_s, from_s + (k + 0.9) * word_s) for k, w in enumerate(words)
    ]


def heard(truth, start_s, end_s):
    """Return what a perfect decoder hears of the truth in a window."""
    return [w for w in truth if start_s <= w[1] and w[2] <= end_s]


class Session:
    """Feeds windows and keeps what came out."""

    def __init__(self, **values):
        self.transcript = Transcript(MergeSettings(**values))
        self.stable = ''
        self.frozen = []

    def add(self, decode):
        result = self.transcript.merge(decode)
        self.stable += result.stable_text
        self.frozen += result.frozen
        return result

    def shown(self):
        stable, tentative = split_text(self.transcript.active())
        return ''.join(s.text for s in self.frozen) + stable + tentative

    def finish(self):
        text, frozen = self.transcript.flush()
        self.stable += text
        self.frozen += frozen
        assert self.stable == ''.join(s.text for s in self.frozen)
        return self.stable.strip()


def slide(truth, *, until_s, window_s=10.0, hop_s=1.0, change=lambda k, said: said, **values):
    """Play the truth through sliding windows; ``change`` spoils what window k hears."""
    session = Session(**values)
    for k in range(1, int(until_s / hop_s) + 1):
        end_s = k * hop_s
        start_s = max(0.0, end_s - window_s)
        session.add(window(start_s, end_s - start_s, change(k, heard(truth, start_s, end_s))))
    return session.finish()


SENTENCE = 'the robot carries a small red box to the kitchen and waits there for Anna'
