"""The result of a session, and the formats it is written in."""

from __future__ import annotations

from dataclasses import dataclass, field
import json
import unicodedata

from transcript_manager.merge.segments import TranscriptSegment
from transcript_manager.subtitles import to_subtitles


@dataclass(frozen=True, slots=True)
class ResultWord:
    """One final word with its closing punctuation; times count from the stream's start."""

    text: str
    start_s: float
    end_s: float
    probability: float
    occurrences: int


@dataclass(frozen=True, slots=True)
class ResultSegment:
    """One final segment; times count from the stream's start."""

    start_s: float
    end_s: float
    text: str
    words: tuple[ResultWord, ...]


@dataclass(slots=True)
class Result:
    """Everything that was said in a session."""

    language: str = ''
    segments: list[ResultSegment] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The segments' texts, concatenated: what ``transcript/text`` carried."""
        return ''.join(s.text for s in self.segments)


def join_punctuation(words: list[ResultWord]) -> tuple[ResultWord, ...]:
    """Attach entries that are punctuation only to the word before them."""
    joined: list[ResultWord] = []
    for word in words:
        if joined and not any(unicodedata.category(c)[0] in 'LMN' for c in word.text):
            last = joined[-1]
            joined[-1] = ResultWord(
                last.text + word.text, last.start_s, last.end_s, last.probability, last.occurrences
            )
        else:
            joined.append(word)
    return tuple(joined)


def from_segment(segment: TranscriptSegment, *, start_s: float = 0.0) -> ResultSegment:
    """
    Convert a frozen segment of the merge.

    :param start_s: added to its times [s]
    """
    words = [
        ResultWord(w.text, w.start_s + start_s, w.end_s + start_s, w.probability, w.occurrences)
        for w in segment.words
    ]
    return ResultSegment(
        segment.start_s + start_s,
        segment.end_s + start_s,
        segment.text,
        join_punctuation(words),
    )


def clock(seconds: float) -> str:
    """Format a time as MM:SS.d, or HH:MM:SS.d from an hour on."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f'{minutes:02}:{tenths // 10:02}.{tenths % 10}'
    return f'{hours:02}:{text}' if hours else text


def text_line(segment: ResultSegment, *, timestamps: bool) -> str:
    """Format one segment as a line, with or without its times."""
    text = segment.text.strip()
    if not timestamps:
        return text
    return f'[{clock(segment.start_s)} - {clock(segment.end_s)}] {text}'


def to_text(result: Result, *, timestamps: bool = False) -> str:
    """Format a result as plain text, a segment a line."""
    return ''.join(text_line(s, timestamps=timestamps) + '\n' for s in result.segments)


def to_json(result: Result) -> str:
    """Format a result as JSON; times in seconds, to the millisecond."""
    value = {
        'text': result.text,
        'language': result.language,
        'segments': [
            {
                'start': round(segment.start_s, 3),
                'end': round(segment.end_s, 3),
                'text': segment.text,
                'words': [
                    {
                        'text': word.text,
                        'start': round(word.start_s, 3),
                        'end': round(word.end_s, 3),
                        'probability': round(word.probability, 4),
                        'occurrences': word.occurrences,
                    }
                    for word in segment.words
                ],
            }
            for segment in result.segments
        ],
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + '\n'


FORMATS = ('text', 'json', 'srt', 'vtt')


def render(result: Result, kind: str, *, timestamps: bool = False) -> str:
    """
    Format a result.

    :param kind: one of ``FORMATS``
    :param timestamps: of text: put times in front of the lines
    """
    if kind == 'json':
        return to_json(result)
    if kind == 'text':
        return to_text(result, timestamps=timestamps)
    return to_subtitles([(s.start_s, s.end_s, s.text) for s in result.segments], kind=kind)
