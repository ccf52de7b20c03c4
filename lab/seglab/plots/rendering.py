"""The files of a figure. The same data gives the same files: no date is written."""

from collections.abc import Callable, Sequence
from typing import Final

from seglab.plots.png import png
from seglab.plots.sheet import Sheet
from seglab.plots.style import MUTED
from seglab.plots.svg import svg

FORMATS: Final = ("svg", "png")

KERNEL: Final = "kernel"
"""The engine on the real TCP of a kernel: figures of its sessions do not say so in their image."""

_PNG_DPI: Final = 144

Drawer = Callable[[], Sheet]
"""A function that draws a figure."""


def render(
    draw: Drawer, suffixes: Sequence[str] = FORMATS, engine: str = KERNEL
) -> dict[str, bytes]:
    """The bytes of a figure's files, by suffix; the figure is drawn once for all of them.

    Args:
        draw: draws the figure.
        suffixes: some of ``FORMATS``.
        engine: the name of the engine that carried out the sessions that are drawn. It stands in
            the files' descriptions, and in the figure itself where it is not the kernel engine.
    """
    sheet = draw()
    if engine != KERNEL:
        right, bottom = sheet.width - 5.76, sheet.height - 3.6
        sheet.write((right, bottom), f"engine: {engine}", size=7.5, across="right", colour=MUTED)
    words = f"seglab, engine {engine}"
    rendered = {}
    for suffix in suffixes:
        if suffix == "png":
            rendered[suffix] = png(sheet, _PNG_DPI, {"Description": words})
        else:
            rendered[suffix] = svg(sheet, words)
    return rendered
