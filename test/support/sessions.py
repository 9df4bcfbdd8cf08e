"""Sessions over scripted speech, and what their journals hold."""

import json

from scripted import heard, spoken

from transcript_manager.merge.settings import MergeSettings
from transcript_manager.session.session import Session
from transcript_manager.streams.messages import (
    Header,
    NS_PER_S,
    SegmentRecord,
    Stamp,
    TokenRecord,
    TokensRecord,
)

START_S = 1_790_000_000
SENTENCES = (
    'the robot carries a small red box to the kitchen',
    'it waits there for Anna and looks around',
    'then it comes back with three green apples',
    'nobody has told it which of them to take',
    'so it puts all of them on the round table',
    'and goes to sleep beside the open window',
)


def speech():
    """Return (text, start, end) of sentences with pauses; '|' opens a segment."""
    truth, at_s = [], 0.5
    for sentence in SENTENCES:
        words = spoken(sentence, from_s=at_s)
        truth.append(('|' + words[0][0], *words[0][1:]))
        truth += words[1:]
        at_s = words[-1][2] + 0.8
    return truth


TRUTH = speech()
END_S = int(TRUTH[-1][2]) + 2
TEXT = ' '.join(SENTENCES)


def tokens(end_s, *, shift_s=0.0, end_of_stream=False, truth=TRUTH):
    """Make the message of the window that ends at a time, as a whisper node would."""
    start_s = max(0.0, end_s - 10.0)
    segments = []
    for text, begin_s, until_s in heard(truth, start_s, end_s):
        if text.startswith('|') or not segments:
            segments.append([])
        begin_ms = max(0, round((begin_s + shift_s - start_s) * 1000))
        until_ms = max(begin_ms, round((until_s + shift_s - start_s) * 1000))
        segments[-1].append(TokenRecord(text.removeprefix('|'), 0.95, begin_ms, until_ms))
    stamp_ns = round((START_S + start_s) * NS_PER_S)
    return TokensRecord(
        Header(Stamp(stamp_ns // NS_PER_S, stamp_ns % NS_PER_S)),
        round((end_s - start_s) * 1000),
        tuple(SegmentRecord(s[0].start_ms, s[-1].end_ms, tuple(s)) for s in segments),
        'en',
        end_of_stream,
    )


def new_session(journal, *, max_age_s=60.0):
    restored = journal.resume(max_age_s) if max_age_s else None
    return Session(MergeSettings(), journal=journal, restored=restored)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def journals(folder):
    return sorted(folder.glob('*.jsonl'))


def segments_of(path):
    return [v for v in lines(path) if 'words' in v]
