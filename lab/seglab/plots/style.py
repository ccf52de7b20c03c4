"""The colours of every figure: legible in print and for the colour-blind.

They are those of Okabe and Ito (Color Universal Design, 2008).
"""

from typing import Final

INK: Final = "#1b1f24"
MUTED: Final = "#636b74"
RULE: Final = "#d5d9de"
PAPER: Final = "#ffffff"

BLUE: Final = "#0072b2"
ORANGE: Final = "#e69f00"
GREEN: Final = "#009e73"
VERMILLION: Final = "#d55e00"
PURPLE: Final = "#cc79a7"
SKY: Final = "#56b4e9"

WRITES: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
"""The colours of the first write's bytes, the second's and so on; they repeat after the last."""


def readable_on(colour: str) -> str:
    """Ink or paper, whichever is easier to read on a colour (relative luminance, WCAG 2)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.2 else PAPER


def mixed(one: str, other: str, share: float) -> str:
    """Return the colour between two of which the other has that share."""
    parts = ((int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)
