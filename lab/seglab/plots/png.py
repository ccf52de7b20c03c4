"""PNG files of figures (PNG specification, third edition), drawn by Agg.

Figures have few colours in large areas. Pillow tries five filters on every row of an image; for
figures that takes three times as long, and the file becomes larger.
"""

import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Transform

from seglab.plots import fonts
from seglab.plots.sheet import POINTS_AN_INCH, Outline, Shape, Sheet, Words
from seglab.plots.style import PAPER

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BIT_RGB = 8, 2, 0, 0, 0  # depth, colour type; the only compression and filtering; no Adam7
_LEVEL = 3
_INCHES_A_METRE = 39.3701
_METRE = 1


def png(sheet: Sheet, dpi: int, texts: Mapping[str, str]) -> bytes:
    """Return a figure as a PNG file without transparency.

    Args:
        sheet: the figure.
        dpi: pixels an inch.
        texts: what the file says about itself, in Latin-1, by keyword.
    """
    pixels = drawn(sheet, dpi)
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with its filter: 0, none
    for colour in range(3):  # all three at once would take four times as long
        rows[:, 1 + colour :: 3] = pixels[:, :, colour]
    density = round(dpi * _INCHES_A_METRE)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, *_EIGHT_BIT_RGB)),
            _chunk(b"pHYs", struct.pack("!IIB", density, density, _METRE)),
            *(_chunk(b"tEXt", f"{key}\0{text}".encode("latin-1")) for key, text in texts.items()),
            _chunk(b"IDAT", zlib.compress(rows.data, _LEVEL)),
            _chunk(b"IEND", b""),
        )
    )


def drawn(sheet: Sheet, dpi: int) -> npt.NDArray[np.uint8]:
    """Return the pixels of a figure: red, green and blue of each, by row and column."""
    scale = dpi / POINTS_AN_INCH
    agg: Any = RendererAgg
    renderer = agg(round(sheet.width * scale), round(sheet.height * scale), dpi)
    place = Affine2D().scale(scale, -scale).translate(0, renderer.height)
    whole = [(0.0, 0.0), (sheet.width, 0.0), (sheet.width, sheet.height), (0.0, sheet.height)]
    _draw_shape(renderer, place, Shape([whole], PAPER))
    for item in sheet.items:
        if isinstance(item, Words):
            _draw_words(renderer, place, item)
        else:
            _draw_shape(renderer, place, item)
    return np.asarray(renderer.buffer_rgba())[:, :, :3]


def _draw_shape(renderer: Any, place: Transform, shape: Shape) -> None:
    closed = shape.closed or shape.fill is not None
    path = Path(
        list(chain.from_iterable(_closed(one) if closed else one for one in shape.outlines)),
        list(chain.from_iterable(_codes(len(one), closed) for one in shape.outlines)),
    )
    fill = None if shape.fill is None else _rgb(shape.fill)
    look = (shape.line, shape.width, shape.dashes, shape.opacity, shape.projecting, closed)
    renderer.draw_path(_look(*look), path, place, fill)


def _draw_words(renderer: Any, place: Transform, words: Words) -> None:
    vertices, codes = fonts.outline(words.face, words.text)
    if not len(vertices):
        return
    scale = words.size / fonts.UNITS
    turned = Affine2D().scale(scale, -scale).rotate_deg(-words.angle)
    where = turned.translate(words.left, words.baseline) + place
    renderer.draw_path(_text_look(), Path(vertices, codes), where, _rgb(words.colour))


def _closed(outline: Outline) -> Outline:
    return [*outline, outline[0]]


@lru_cache(maxsize=256)
def _codes(points: int, closed: bool) -> list[int]:
    """Return what each point of an outline is, as Matplotlib counts."""
    codes = [int(Path.MOVETO), *[int(Path.LINETO)] * (points - 1)]
    return [*codes, int(Path.CLOSEPOLY)] if closed else codes


@lru_cache(maxsize=64)
def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


@lru_cache(maxsize=256)
def _look(
    line: str | None,
    width: float,
    dashes: tuple[float, ...],
    opacity: float,
    projecting: bool,
    closed: bool,
) -> GraphicsContextBase:
    """Return how a shape is drawn, in Matplotlib's words."""
    look = GraphicsContextBase()
    look.set_linewidth(width if line is not None else 0)
    if line is not None:
        look.set_foreground(_rgb(line), isRGBA=False)
    if dashes:
        look.set_dashes(0, dashes)
    look.set_alpha(opacity)
    look.set_capstyle("projecting" if projecting else "butt")
    look.set_joinstyle("round" if closed else "miter")
    return look


@lru_cache(maxsize=1)
def _text_look() -> GraphicsContextBase:
    """Return how letters are drawn: filled, and where they are, not on whole pixels."""
    look = GraphicsContextBase()
    look.set_linewidth(0)
    look.set_snap(False)
    return look


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", checksum)
