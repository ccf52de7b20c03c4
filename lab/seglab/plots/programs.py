"""The figure of a run with named programs: how each wrote, and whether the wire shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from seglab.plots.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    RULE,
    SKY,
    VERMILLION,
    bare,
    heading,
    readable_on,
)

_COLOURS: Final = {
    "single_write": SKY,
    "fixed_buffer": BLUE,
    "line_by_line": ORANGE,
    "relay": GREEN,
    "headers_then_body": PURPLE,
    "unknown": RULE,
}
_OTHER: Final = VERMILLION
_BAR_INCHES: Final = 0.1
"""How wide the bar of one mail is in the smallest figure."""
_WIDEST_BAR_INCHES: Final = 0.3
_ROW_INCHES: Final = 0.25
_LEFT_INCHES: Final = 1.9
_TOP_INCHES: Final = 1.5
_BOTTOM_INCHES: Final = 1.6
_RIGHT_INCHES: Final = 0.3
_LEAST_INCHES: Final = 9.4
_GAP: Final = 0.12
"""How much of a column stays empty beside its bars."""


@dataclass(frozen=True, slots=True)
class ProgramCell:
    """The sessions of one program with one mail over one network.

    Attributes:
        style: how it wrote; empty where all its sessions failed.
        right: whether the classifier's answer admits that; ``None`` where it cannot be asked.
    """

    style: str
    right: bool | None


def programs(
    title: str,
    names: Sequence[str],
    columns: Sequence[str],
    mails: Sequence[str],
    rows: Sequence[Sequence[Sequence[ProgramCell | None]]],
) -> Figure:
    """Draw the figure.

    Args:
        title: what it shows.
        names: of the programs, from the top down.
        columns: what each column is called, from the left.
        mails: what the mails are called; each column has a bar for each.
        rows: by program, column and mail, what was seen; ``None`` where there was no session.
    """
    bar_inches = _bar_inches(len(columns) * len(mails))
    used = len(columns) * len(mails) * bar_inches
    width = max(_LEFT_INCHES + used + _RIGHT_INCHES, _LEAST_INCHES)
    height = _TOP_INCHES + _BOTTOM_INCHES + len(names) * _ROW_INCHES
    figure = Figure(figsize=(width, height))
    cells = [cell for row in rows for bars in row for cell in bars if cell is not None]
    asked = [cell for cell in cells if cell.right is not None]
    right = sum(cell.right is True for cell in asked)
    heading(
        figure,
        title,
        f"{len(names)} programs; the classifier boundaries admits how they wrote in"
        f" {right} of {len(asked)} bars",
    )
    axes = figure.add_axes(
        (_LEFT_INCHES / width, _BOTTOM_INCHES / height,
         used / width, len(names) * _ROW_INCHES / height)
    )  # fmt: skip
    axes.set(xlim=(0, len(columns)), ylim=(len(names), 0))
    bare(axes)
    wide = (1 - _GAP) / max(len(mails), 1)
    for y, row in enumerate(rows):
        for x, bars in enumerate(row):
            for n, cell in enumerate(bars):
                if cell is not None:
                    _draw_bar(axes, x + _GAP / 2 + n * wide, y, wide, cell)
    axes.set_yticks([y + 0.5 for y in range(len(names))], [*names])
    axes.set_xticks(
        [x + 0.5 for x in range(len(columns))],
        [*columns],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )
    axes.tick_params(labelcolor=INK, labelsize=8, pad=3)
    _legend(figure, width, height, {cell.style for cell in cells if cell.style}, mails)
    return figure


def _bar_inches(bars: int) -> float:
    """Return how wide a bar is: wider where few of them leave room."""
    room = (_LEAST_INCHES - _LEFT_INCHES - _RIGHT_INCHES) / max(bars, 1)
    return max(_BAR_INCHES, min(room, _WIDEST_BAR_INCHES))


def _draw_bar(axes: Axes, x: float, y: int, width: float, cell: ProgramCell) -> None:
    corner, size = (x, y + 0.04), (width * 0.94, 0.92)
    if not cell.style:
        axes.add_artist(Rectangle(corner, *size, fc=PAPER, ec=RULE, hatch="//////", lw=0.4))
        return
    colour = _COLOURS.get(cell.style, _OTHER)
    axes.add_artist(Rectangle(corner, *size, facecolor=colour, linewidth=0))
    if cell.right is not None:
        sign, points = ("●", 3.6) if cell.right else ("○", 5.2)
        ink = readable_on(colour)
        place = x + size[0] / 2, y + 0.52
        axes.text(*place, sign, ha="center", va="center", size=points, color=ink)


def _legend(
    figure: Figure, width: float, height: float, styles: set[str], mails: Sequence[str]
) -> None:
    y, x = 1 - 0.86 / height, 0.2
    known = [style for style in _COLOURS if style in styles]
    for style in [*known, *sorted(styles - _COLOURS.keys())]:
        figure.add_artist(
            Rectangle(
                (x / width, y - 0.07 / height), 0.16 / width, 0.14 / height,
                facecolor=_COLOURS.get(style, _OTHER), linewidth=0,
            )
        )  # fmt: skip
        figure.text((x + 0.22) / width, y, style, size=8.5, va="center", color=MUTED)
        x += 0.42 + 0.078 * len(style)
    lines = (
        f"bars from the left: mails of {', '.join(mails)}",
        "● what the segments say admits it   ○ it does not   no circle: no answer, or the style is"
        " unknown   hatched: no session is complete",
    )
    for n, words in enumerate(lines):
        place = 0.2 / width, y - (0.26 + 0.22 * n) / height
        figure.text(*place, words, size=8.5, va="center", color=MUTED)
