"""PNG files of figures (PNG specification, third edition).

Figures have few colours in large areas. Pillow, which Matplotlib asks, tries five filters on every
row of an image; for figures that takes three times as long, and the file becomes larger.
"""

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BIT_RGB = 8, 2, 0, 0, 0  # depth, colour type; the only compression and filtering; no Adam7
_LEVEL = 3
_INCHES_A_METRE = 39.3701
_METRE = 1


def png(figure: Figure, dpi: int, texts: Mapping[str, str]) -> bytes:
    """Return a figure as a PNG file without transparency.

    Args:
        figure: its ground must be opaque.
        dpi: pixels an inch.
        texts: what the file says about itself, in Latin-1, by keyword.
    """
    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    density = round(dpi * _INCHES_A_METRE)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, *_EIGHT_BIT_RGB)),
            _chunk(b"pHYs", struct.pack("!IIB", density, density, _METRE)),
            *(_chunk(b"tEXt", f"{key}\0{text}".encode("latin-1")) for key, text in texts.items()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), _LEVEL)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", checksum)
