"""What all pictures share: a figure in pixels, one style, files that are the same each time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
import unicodedata
import warnings

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
import matplotlib.style

from transcript_manager.pictures.fonts import BASE_FAMILY, families_for

PIXELS_PER_INCH = 100
"""Of PNG; a point is 1/72 of an inch."""
FORMATS = ('png', 'svg', 'pdf')
UNKNOWN_COLOUR = '#a8a8a8'
TEXT_COLOUR = '#202020'
DIM_COLOUR = '#606060'
# Okabe and Ito's colours: told apart by the colour-blind, and in grey.
BLUE, ORANGE, GREEN, VERMILLION = '#0072b2', '#e69f00', '#009e73', '#d55e00'

_METADATA = {
    'png': {'Software': None},
    'svg': {'Date': None, 'Creator': None},
    'pdf': {'CreationDate': None, 'Creator': None, 'Producer': None},
}


@contextmanager
def style(texts: Iterable[str]) -> Iterator[str]:
    """
    Draw in one style, whatever the user's matplotlibrc says, with fonts for some texts.

    Yields the characters that no installed font has a glyph for.
    """
    families, missing = families_for(texts)
    with matplotlib.style.context('default'), warnings.catch_warnings():
        # Whoever asked for the picture is told once what is missing.
        warnings.filterwarnings('ignore', message='Glyph .* missing')
        matplotlib.rcParams.update(
            {
                'font.family': [*families, 'sans-serif'],
                'font.sans-serif': [BASE_FAMILY, 'sans-serif'],  # the viewer's, in an SVG
                'font.size': 9,
                'axes.linewidth': 0.6,
                'axes.edgecolor': DIM_COLOUR,
                'text.color': TEXT_COLOUR,
                'xtick.color': DIM_COLOUR,
                'ytick.color': DIM_COLOUR,
                'xtick.major.width': 0.6,
                'ytick.major.width': 0.6,
                'svg.fonttype': 'none',  # text stays text: it can be searched and copied
                'svg.hashsalt': 'transcript_manager',
                'pdf.fonttype': 42,
                'text.parse_math': False,  # a dollar is a dollar
            }
        )
        yield missing


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure; its size is in pixels."""
    size = (width / PIXELS_PER_INCH, height / PIXELS_PER_INCH)
    return Figure(figsize=size, dpi=PIXELS_PER_INCH, facecolor='white')


def save(figure: Figure, file: BinaryIO | Path, kind: str) -> None:
    """Write a figure; the same figure gives the same bytes."""
    figure.savefig(file, format=kind, metadata=_METADATA[kind])


def misplaces(text: str) -> bool:
    """Whether this matplotlib draws a text's letters in the wrong order: right to left."""
    is_old = matplotlib.__version_info__ < (3, 11)
    return is_old and any(unicodedata.bidirectional(c) in ('R', 'AL') for c in text)


def text_widths(texts: Sequence[str], size_pt: float) -> list[float]:
    """Measure texts in the current style's fonts [pixels]."""
    renderer = RendererAgg(1, 1, PIXELS_PER_INCH)
    font = FontProperties(family=matplotlib.rcParams['font.family'], size=size_pt)
    known: dict[str, float] = {}
    for text in texts:
        if text not in known:
            known[text] = renderer.get_text_width_height_descent(text, font, ismath=False)[0]
    return [known[text] for text in texts]


def shortened(text: str, count: int) -> str:
    """Return a text on one line, with at most so many characters."""
    line = ' '.join(''.join(c if _is_writable(c) else ' ' for c in text).split())
    return line if len(line) <= count else line[: count - 1] + '…'


def _is_writable(char: str) -> bool:
    """Whether a character may stand in an SVG; joiners and marks of direction may."""
    return unicodedata.category(char) not in ('Cc', 'Cs') and char not in '\ufffe\uffff'


def mm_ss(seconds: float) -> str:
    """Format a time as MM:SS, or H:MM:SS from an hour on, with tenths where there are some."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f'{tenths // 10:02}' + (f'.{tenths % 10}' if tenths % 10 else '')
    return f'{hours}:{minutes:02}:{rest}' if hours else f'{minutes:02}:{rest}'
