"""From the bytes of tokens to valid text."""

from __future__ import annotations

import codecs
from collections.abc import Iterable


def token_texts(tokens: Iterable[bytes]) -> list[str]:
    """
    Decode the tokens of one segment to UTF-8 text, one string a token.

    whisper.cpp's tokens are bytes, and one character can span several of them. Such a character
    stands whole in the token that completes it; the tokens before carry less text. Bytes that are
    no UTF-8 at all become U+FFFD, so that concatenating the strings never fails.
    """
    decoder = codecs.getincrementaldecoder('utf-8')(errors='replace')
    # NUL is valid UTF-8, but a ROS string ends at it.
    texts = [decoder.decode(token).replace('\0', '') for token in tokens]
    rest = decoder.decode(b'', final=True)
    if rest:
        texts[-1] += rest
    return texts
