"""The letters of figures: outlines and widths of the fonts that Matplotlib ships.

FreeType reads the fonts, and each letter of a font is read once. Lengths are in units of the font,
of which the size of the letters has ``UNITS``; heights are counted upwards from the base line.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.ft2font import FT2Font, Kerning, LoadFlags

Face = Literal["regular", "bold", "italic"]

UNITS: Final = 2048
ASCENT: Final = 1556 / UNITS
"""How far an ``l`` rises above the base line, as a share of the size: lines are as high as this."""

DESCENT: Final = 426 / UNITS
"""How far a ``p`` falls below the base line, as a share of the size."""

_FILES: Final[dict[Face, str]] = {
    "regular": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "italic": "DejaVuSans-Oblique.ttf",
}
_POINTS_AN_INCH: Final = 72

Vertices = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer[Any]]


class Glyph(NamedTuple):
    """A letter.

    Attributes:
        vertices: of its outline.
        codes: what each vertex is, as in ``matplotlib.path.Path``.
        advance: how far right of it the next letter begins.
        number: its number in the font.
    """

    vertices: Vertices
    codes: Codes
    advance: float
    number: int


@cache
def _font(face: Face) -> FT2Font:
    font = FT2Font(str(Path(mpl.get_data_path(), "fonts", "ttf", _FILES[face])))
    font.set_size(UNITS, _POINTS_AN_INCH)
    return font


@cache
def glyph(face: Face, letter: str) -> Glyph:
    """Return a letter; a box stands for one that the font does not have."""
    font = _font(face)
    index = font.get_char_index(ord(letter))
    loaded = font.load_glyph(index, LoadFlags.NO_HINTING)
    vertices, codes = font.get_path()
    return Glyph(vertices, codes, loaded.linearHoriAdvance / 0x10000, index)


@cache
def _kerning(face: Face, left: str, right: str) -> float:
    """Return how much further apart two letters are than each alone says; mostly negative."""
    font: Any = _font(face)
    numbers = glyph(face, left).number, glyph(face, right).number
    return float(font.get_kerning(*numbers, Kerning.UNFITTED)) / 64


@lru_cache(maxsize=4096)
def places(face: Face, text: str) -> tuple[float, ...]:
    """Return where each letter of a line begins, and where the last one ends."""
    at, found = 0.0, [0.0]
    for letter, following in pairwise((*text, "")):
        at += glyph(face, letter).advance
        if following:
            at += _kerning(face, letter, following)
        found.append(at)
    return tuple(found)


@lru_cache(maxsize=4096)
def outline(face: Face, text: str) -> tuple[Vertices, Codes]:
    """Return the outline of a line of text: its vertices, and what each of them is."""
    glyphs: Sequence[Glyph] = [glyph(face, letter) for letter in text]
    if not glyphs:
        return np.empty((0, 2)), np.empty(0, np.uint8)
    moved = [
        one.vertices + np.array((at, 0.0))
        for one, at in zip(glyphs, places(face, text), strict=False)
    ]
    return np.concatenate(moved), np.concatenate([one.codes for one in glyphs])


def width(face: Face, text: str) -> float:
    """Return how wide a line of text is."""
    return places(face, text)[-1]
