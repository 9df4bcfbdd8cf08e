"""What a language model is asked: a text with the transcript put into it."""

from __future__ import annotations

from pathlib import Path
import re

from transcript_manager.errors import ParameterError, StreamError

TRANSCRIPT, LANGUAGE = '{transcript}', '{language}'
_DEFAULT = Path(__file__).with_name('prompt.txt')
_MAX_BYTES = 100_000


def read_prompt(path: str | None = None) -> str:
    """
    Read a prompt, ours or the user's, and check that a transcript fits into it.

    :param path: None: the one of this package
    :raises StreamError: if the file cannot be read
    :raises ParameterError: if it has not exactly one place for the transcript
    """
    if path is None:
        return _DEFAULT.read_text(encoding='utf-8')
    try:
        with Path(path).open('rb') as file:
            data = file.read(_MAX_BYTES + 1)
        text = data.decode('utf-8-sig')
    except OSError as error:
        raise StreamError(f'cannot read {path}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        if len(data) <= _MAX_BYTES:
            raise StreamError(f'{path} is not UTF-8 text') from error
        text = ''
    if len(data) > _MAX_BYTES:
        raise StreamError(f'{path} is longer than {_MAX_BYTES // 1000} kB: that is no prompt')
    if (count := text.count(TRANSCRIPT)) != 1:
        raise ParameterError(
            f'{path} has {TRANSCRIPT} {count} times, must have it once: the transcript goes there '
            '(--show-prompt prints an example)'
        )
    return text


def fill(prompt: str, *, transcript: str, language: str) -> str:
    """
    Put a transcript into a prompt.

    :param language: a code such as 'en'; '' if it is not known
    """
    values = {TRANSCRIPT: transcript.rstrip('\n'), LANGUAGE: language or 'as it is'}
    # In one go: what was said is never taken for a place to fill.
    places = '|'.join(map(re.escape, values))
    return re.sub(places, lambda match: values[match[0]], prompt)
