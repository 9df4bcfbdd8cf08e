"""`transcript plot`: a session over its sound, or how soon its words were known, as a picture."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
import logging
import math
import os
from pathlib import Path
import sys

from transcript_manager.cli.output import check_apart, check_output
from transcript_manager.errors import (
    AudioSourceError,
    ParameterError,
    StreamError,
    TranscriptManagerError,
)

EXIT_OK = 0
_FORMATS = ('png', 'svg', 'pdf')
_MAX_MISSING_S = 0.5
"""So much shorter than its transcript may the sound be."""
_ROW_S = (1.0, 60.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Draw each word of a session over the spectrogram of its sound: IN is a sound file or a '
        'bag with audio, TRANSCRIPT whatever `transcript export` reads. A long session makes '
        'several pictures, OUT-01.png and so on. With --stability: how soon each word of a '
        'recorded token stream was shown, stable and frozen. The suffix of OUT tells the format: '
        'png, svg or pdf.'
    )
    parser.add_argument('audio', metavar='IN', nargs='?', help='a sound file or a bag with audio')
    parser.add_argument('session', metavar='TRANSCRIPT', nargs='?', help='what was heard in it')
    parser.add_argument(
        '--stability', metavar='STREAM', help='recorded tokens: a STREAM.jsonl or a bag'
    )
    parser.add_argument('-o', '--output', metavar='OUT', required=True, help='the picture')
    parser.add_argument(
        '--row-s',
        type=float,
        help='length of a row [s], 1..60 (10); words find little room above 20',
    )
    parser.add_argument('--start', type=float, metavar='S', default=0.0, help='from here on [s]')
    parser.add_argument('--end', type=float, metavar='S', help='up to here [s]')
    parser.add_argument('--topic', metavar='NAME', help='of the session, if a bag has several')
    parser.add_argument('--audio-topic', metavar='NAME', help='of the audio, if a bag has several')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    _check(args)
    logging.getLogger('matplotlib').setLevel(logging.ERROR)  # fonts are being listed, and so on
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise TranscriptManagerError(
            f'pictures are drawn with the Python package {error.name}: run '
            f'{sys.executable} -m pip install "matplotlib>=3.8,<4"'
        ) from error
    with _Parts(Path(args.output)) as parts:
        if args.stability is not None:
            _plot_stability(args, parts)
        else:
            _plot_session(args, parts)
        parts.publish()
    return EXIT_OK


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot be done before any work is."""
    kind = Path(args.output).suffix.lower().removeprefix('.')
    if kind not in _FORMATS:
        raise ParameterError(
            f'-o {args.output}: its suffix tells the format; there are .png, .svg and .pdf'
        )
    check_output(args.output)
    check_apart(args.output, args.audio, args.session, args.stability)
    if args.stability is not None:
        if args.audio is not None:
            raise ParameterError('--stability takes a stream alone, without IN and TRANSCRIPT')
        if args.row_s is not None or args.audio_topic is not None:
            raise ParameterError('--row-s and --audio-topic are for IN and TRANSCRIPT')
    elif args.session is None:
        raise ParameterError('give the sound and its transcript, or --stability STREAM')
    row_s = 10.0 if args.row_s is None else args.row_s
    if not _ROW_S[0] <= row_s <= _ROW_S[1]:
        raise ParameterError(f'--row-s is {row_s:g}, must be 1..60 s')
    if not 0 <= args.start < math.inf:
        raise ParameterError(f'--start is {args.start:g}, must be 0 s or more')
    if args.end is not None and not args.start < args.end < math.inf:
        raise ParameterError(f'--end is {args.end:g}, must be after --start ({args.start:g} s)')


class _Parts:
    """The pictures of one command: beside the target until all are there, then in place."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.kind = target.suffix.lower().removeprefix('.')
        self._parts: list[Path] = []

    def add(self, figure) -> None:
        """Draw another picture."""
        from transcript_manager.pictures.canvas import save

        target = self._target.resolve()
        part = target.with_name(f'.{target.name}.{os.getpid()}.{len(self._parts)}.part')
        self._parts.append(part)
        try:
            save(figure, part, self.kind)
        except OSError as error:
            raise TranscriptManagerError(
                f'cannot write {self._target}: {error.strerror}'
            ) from error

    def publish(self) -> None:
        """Give the pictures their names; several are numbered."""
        count = len(self._parts)
        targets = [self._target.resolve()]
        if count > 1:
            digits = max(2, len(str(count)))
            stem, suffix = self._target.stem, self._target.suffix
            targets = [
                self._target.with_name(f'{stem}-{k:0{digits}}{suffix}')
                for k in range(1, count + 1)
            ]
        for part, target in zip(self._parts, targets, strict=True):
            try:
                part.replace(target)
            except OSError as error:
                raise TranscriptManagerError(f'cannot write {target}: {error.strerror}') from error
        if count > 1:
            _note(f'{count} pictures: {targets[0]} to {targets[-1].name}')

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *_exc: object) -> None:
        for part in self._parts:
            part.unlink(missing_ok=True)


def _note(text: str) -> None:
    print(f'transcript: {text}', file=sys.stderr)


def _note_text(texts: Iterable[str], missing: str, kind: str) -> None:
    """Say what is wrong with the text of the pictures, if anything is."""
    import matplotlib

    from transcript_manager.pictures.canvas import misplaces

    if kind != 'svg' and any(map(misplaces, texts)):  # of an SVG the viewer orders the letters
        _note(
            f'matplotlib {matplotlib.__version__} writes text that runs from right to left in the '
            'wrong order; 3.11, which needs Python 3.11, or a .svg has it right'
        )
    if missing:
        listed = ' '.join(missing[:20]) + (' ...' if len(missing) > 20 else '')
        _note(f'no installed font has these characters, they are drawn as boxes: {listed}')


# -- a session over its sound --------------------------------------------------------------------


def _plot_session(args: argparse.Namespace, parts: _Parts) -> None:
    from transcript_manager.export.reading import read_transcript
    from transcript_manager.pictures.canvas import style
    from transcript_manager.pictures.spectrogram import draw, ROWS, shown_text

    loaded = read_transcript(args.session, topic=args.topic)
    for note in loaded.notes:
        _note(note)
    row_s = 10.0 if args.row_s is None else args.row_s
    left_out = 0
    title = Path(args.audio).name
    texts = [title, *map(shown_text, loaded.result.words)]
    with style(texts) as missing:
        for stretch in _stretches(args, loaded.result.end_s, row_s * ROWS):
            picture = draw(stretch, loaded.result, row_s=row_s, title=title)
            parts.add(picture.figure)
            left_out += picture.left_out
    _note_text(texts, missing, parts.kind)
    if left_out:
        _note(f'there is no room for the text of {left_out} words; try a smaller --row-s')


def _stretches(args: argparse.Namespace, heard_end_s: float, length_s: float) -> Iterator:
    """Yield the spectrograms of the pictures."""
    from transcript_manager.audio.files import FileSource
    from transcript_manager.pictures.mel import RATE_HZ, stretches

    end_s = math.inf if args.end is None else args.end

    def at_end(audio_s: float) -> float:
        """Refuse a sound that is too short; return where the last picture ends."""
        if audio_s + _MAX_MISSING_S < heard_end_s:
            raise AudioSourceError(
                f'{args.audio} is {audio_s:.1f} s long, the transcript goes to '
                f'{heard_end_s:.1f} s: is it the right recording?'
            )
        if args.start >= audio_s:
            raise ParameterError(
                f'--start is {args.start:g} s, {args.audio} is {audio_s:.1f} s long'
            )
        return max(audio_s, heard_end_s)

    with _open_audio(args.audio, args.audio_topic, RATE_HZ) as source:
        if isinstance(source, FileSource) and source.duration_s is not None:
            at_end(source.duration_s)  # before any work; a bag only tells about all its topics
        yield from stretches(
            source.read, start_s=args.start, end_s=end_s, length_s=length_s, at_end=at_end
        )


def _open_audio(path: str, topic: str | None, rate_hz: int):
    from transcript_manager.audio.files import FileSource
    from transcript_manager.streams.audio_bag import BagSource
    from transcript_manager.streams.bag import has_bag

    if has_bag(Path(path)):
        return BagSource(path, sample_rate_hz=rate_hz, topic=topic)
    if topic is not None:
        raise ParameterError(f'--audio-topic is for bags, {path} is none')
    return FileSource(path, sample_rate_hz=rate_hz)


# -- the lives of words --------------------------------------------------------------------------


def _plot_stability(args: argparse.Namespace, parts: _Parts) -> None:
    from transcript_manager.pictures.canvas import style
    from transcript_manager.pictures.life import follow
    from transcript_manager.pictures.stability import draw

    end_s = math.inf if args.end is None else args.end
    lives = [
        life
        for life in follow(_decodes(args.stability, args.topic))
        if args.start <= life.start_s < end_s
    ]
    if not lives:
        where = f' from {args.start:g} s' if args.start or args.end else ''
        where += f' to {end_s:g} s' if args.end else ''
        raise StreamError(f'{args.stability} holds no words{where}')
    title = Path(args.stability).name
    texts = [title, *(life.text for life in lives)]
    with style(texts) as missing:
        for figure in draw(lives, title=title):
            parts.add(figure)
    _note_text(texts, missing, parts.kind)


def _decodes(path: str, topic: str | None) -> Iterator:
    """Yield the windows of a recorded stream; times count from the start of its first one."""
    from transcript_manager.streams.bag import is_bag, read_bag
    from transcript_manager.streams.jsonl import read_jsonl
    from transcript_manager.streams.messages import to_decode, to_ns

    if is_bag(Path(path)):
        messages = read_bag(path, topic=topic)
    elif topic is not None:
        raise ParameterError(f'--topic is for bags, {path} is none')
    else:
        messages = read_jsonl(path)
    origin_ns = None
    for message in messages:
        origin_ns = to_ns(message.header.stamp) if origin_ns is None else origin_ns
        yield to_decode(message, origin_ns=origin_ns)
    if origin_ns is None:
        raise StreamError(f'{path} holds no windows')
