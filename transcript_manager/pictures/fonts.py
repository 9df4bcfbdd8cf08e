"""Fonts for whatever is said: DejaVu Sans, and what is installed for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
import unicodedata

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

BASE_FAMILY = 'DejaVu Sans'
"""Comes with matplotlib."""
_MAX_FALLBACKS = 8


def families_for(texts: Iterable[str]) -> tuple[list[str], str]:
    """
    Choose the fonts for texts.

    :returns: families in the order in which a glyph is looked for, and the characters that no
        installed font has
    """
    wanted = {ord(c) for text in texts for c in text if _is_drawn(c)}
    wanted -= _characters(font_manager.findfont(BASE_FAMILY))
    families = [BASE_FAMILY]
    if not wanted:
        return families, ''
    # By what fontconfig and the system's folders have now; matplotlib's own list may be older.
    fonts = sorted(font_manager.findSystemFonts())
    while wanted and len(families) <= _MAX_FALLBACKS:
        path = max(fonts, key=lambda p: (len(wanted & _characters(p)), _is_plain(p)), default='')
        if not wanted & _characters(path):
            break
        family = FT2Font(path).family_name
        if family not in font_manager.fontManager.get_font_names():
            font_manager.fontManager.addfont(path)
        families.append(family)
        wanted -= _characters(path)
    return families, ''.join(map(chr, sorted(wanted)))


def _is_drawn(char: str) -> bool:
    """Whether a character has a glyph: neither space, control character nor a joiner."""
    return unicodedata.category(char)[0] not in 'ZC' and not '\ufe00' <= char <= '\ufe0f'


def _is_plain(path: str) -> bool:
    """Whether a font is upright and of ordinary weight, by its name."""
    name = Path(path).stem.lower()
    return not any(part in name for part in ('bold', 'italic', 'oblique', 'mono', 'serif'))


@cache
def _characters(path: str) -> frozenset[int]:
    """Return the characters that a font has glyphs for; none if it cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # FreeType's own errors: colour bitmaps, damaged files
        return frozenset()
