"""Text that came from elsewhere, made fit to be shown and written."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """
    Replace what a terminal, a page or a file could take for something else than text.

    Control characters (escape sequences begin with one), overrides of the direction of writing,
    halves of surrogate pairs and what never will be a character become U+FFFD.
    """
    if text.isprintable():  # most text is, and asking is quick
        return text
    return ''.join('\ufffd' if _is_odd(c) else c for c in text)


def _is_odd(char: str) -> bool:
    code = ord(char)
    never = 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
    # Overrides turn round what follows them; letters know their own direction.
    turns = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    return never or turns or unicodedata.category(char) in ('Cc', 'Cs')


def spoken(text: str) -> str:
    """Make a word or sentence printable; line breaks and tabs in it are spaces."""
    if text.isprintable():
        return text
    return printable(''.join(' ' if c in '\t\n\r\v\f\u2028\u2029' else c for c in text))
