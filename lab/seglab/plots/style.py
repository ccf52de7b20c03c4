"""The style of every figure: legible in print and for the colour-blind.

The colours are those of Okabe and Ito (Color Universal Design, 2008). The same data gives the same
file: SVG ids come from a fixed salt, and no date is written.
"""

import re
import warnings
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from seglab.core.text import safe, shorten
from seglab.plots.png import png

INK = "#1b1f24"
MUTED = "#636b74"
RULE = "#d5d9de"
PAPER = "#ffffff"

BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILLION = "#d55e00"
PURPLE = "#cc79a7"
SKY = "#56b4e9"

WRITES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
"""The colours of the first write's bytes, the second's and so on; they repeat after the last."""

FORMATS = ("svg", "png")
GROUND = "ground"
"""The id of the ground of a figure in its SVG."""

_PNG_DPI = 144
_SVG_METADATA: Any = {"Date": None, "Creator": "seglab"}

_LINE_MAX = 200
_TEXT_MAX = 2000
"""No figure has room for more, and Matplotlib needs minutes for a text of 100 000 characters."""

KERNEL = "kernel"
"""The engine on the real TCP of a kernel: figures of its sessions do not say so in their image."""

Drawer = Callable[[], Figure]
"""A function that makes a figure."""

_RC: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 12,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "path.simplify": True,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",
    "svg.hashsalt": "seglab",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.color": MUTED,
    "ytick.labelsize": 9,
}


def render(
    draw: Drawer, suffixes: Sequence[str] = FORMATS, engine: str = KERNEL
) -> dict[str, bytes]:
    """The bytes of a figure's files, by suffix; the figure is drawn once for all of them.

    Args:
        draw: makes the figure; it is called under the common style. Its texts are made safe and
            short here, whoever wrote them.
        suffixes: some of ``FORMATS``.
        engine: the name of the engine that carried out the sessions that are drawn. It stands in
            the files' metadata, and in the figure itself where it is not the kernel engine.
    """
    rendered = {}
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")  # a box stands for it
        figure = draw()
        figure.patch.set_gid(GROUND)
        if engine != KERNEL:
            right = 1 - 0.08 / figure.get_figwidth()
            bottom = 0.05 / figure.get_figheight()
            figure.text(right, bottom, f"engine: {engine}", size=7.5, ha="right", color=MUTED)
        _make_texts_safe(figure)
        words = {"Description": f"seglab, engine {engine}"}
        for suffix in suffixes:
            if suffix == "png":
                rendered[suffix] = png(figure, _PNG_DPI, words)
            else:
                text = StringIO()
                figure.savefig(text, format=suffix, metadata=_SVG_METADATA | words)
                rendered[suffix] = text.getvalue().encode()
    return rendered


def _make_texts_safe(figure: Figure) -> None:
    """Escape control characters in all texts of a figure, and cut those that are very long."""
    for text in figure.findobj(Text):
        text.set_text(_shown(text.get_text()))
    for axes in figure.axes:  # drawing makes the labels of ticks again
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_locator(), FixedLocator):
                labels = [label.get_text() for label in axis.get_ticklabels()]
                shown = [*map(_shown, labels)]
                if shown != labels:
                    axis.set_ticklabels(shown)


def _shown(text: str) -> str:
    lines = text[:_TEXT_MAX].split("\n")
    return "\n".join(safe(shorten(line, _LINE_MAX)) for line in lines)


def without_ground(svg: bytes) -> bytes:
    """The SVG of a figure that shows the ground of the page behind it."""
    return re.sub(rb'<g id="%s">.*?</g>' % GROUND.encode(), b"", svg, count=1, flags=re.DOTALL)


def heading(figure: Figure, title: str, subtitle: str) -> None:
    """Write a title that says what is to be seen, and below it a line that says in which data."""
    inch = 1 / figure.get_figheight()
    left = 0.18 / figure.get_figwidth()
    figure.text(left, 1 - 0.16 * inch, title, size=13, weight="bold", va="top", color=INK)
    figure.text(left, 1 - 0.46 * inch, subtitle, size=9.5, va="top", color=MUTED)


def bare(axes: Axes) -> None:
    """Remove the frame and the ticks."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def readable_on(colour: str) -> str:
    """Ink or paper, whichever is easier to read on a colour (relative luminance, WCAG 2)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.2 else PAPER
