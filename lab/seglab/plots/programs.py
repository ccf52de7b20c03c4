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
_CELL_INCHES: Final = (0.27, 0.25)
_WIDEST_CELL_INCHES: Final = 0.9
_HEADING_INCHES: Final = 0.9
"""What the heading of a group takes, such as `122880 bytes`."""
_LEFT_INCHES: Final = 1.9
_TOP_INCHES: Final = 1.55
_BOTTOM_INCHES: Final = 1.1
_RIGHT_INCHES: Final = 0.3
_LEAST_INCHES: Final = 9.4


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
    groups: Sequence[tuple[str, Sequence[str]]],
    rows: Sequence[Sequence[ProgramCell | None]],
) -> Figure:
    """Draw the figure.

    Args:
        title: what it shows.
        names: of the programs, from the top down.
        groups: of columns, from the left: a heading, and what each column is called.
        rows: a cell for each program and column; ``None`` where there was no session.
    """
    columns = sum(len(labels) for _, labels in groups)
    cell_inches = _cell_inches([len(labels) for _, labels in groups])
    width = max(_LEFT_INCHES + columns * cell_inches + _RIGHT_INCHES, _LEAST_INCHES)
    height = _TOP_INCHES + _BOTTOM_INCHES + len(names) * _CELL_INCHES[1]
    figure = Figure(figsize=(width, height))
    cells = [cell for row in rows for cell in row if cell is not None]
    asked = [cell for cell in cells if cell.right is not None]
    right = sum(cell.right is True for cell in asked)
    heading(
        figure,
        title,
        f"{len(names)} programs; the classifier boundaries admits how they wrote in"
        f" {right} of {len(asked)} cells",
    )
    used = columns * cell_inches
    axes = figure.add_axes(
        (_LEFT_INCHES / width, _BOTTOM_INCHES / height,
         used / width, len(names) * _CELL_INCHES[1] / height)
    )  # fmt: skip
    axes.set(xlim=(0, columns), ylim=(len(names), 0))
    bare(axes)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            _draw_cell(axes, x, y, cell)
    axes.set_yticks([y + 0.5 for y in range(len(names))], [*names])
    labels = [label for _, names_ in groups for label in names_]
    axes.set_xticks(
        [x + 0.5 for x in range(columns)], labels, rotation=45, ha="right", rotation_mode="anchor"
    )
    axes.tick_params(labelcolor=INK, labelsize=8, pad=3)
    begin = 0
    for words, inside in groups:
        axes.text(begin + len(inside) / 2, -0.35, words, ha="center", size=9, color=INK)
        if begin:
            axes.axvline(begin, color=INK, linewidth=1.0, zorder=5)
        begin += len(inside)
    _legend(figure, width, height, {cell.style for cell in cells if cell.style})
    return figure


def _cell_inches(groups: Sequence[int]) -> float:
    """Return how wide a cell is: wider where few columns leave room, or where a heading needs it.

    Args:
        groups: how many columns each has.
    """
    room = (_LEAST_INCHES - _LEFT_INCHES - _RIGHT_INCHES) / max(sum(groups), 1)
    needed = _HEADING_INCHES / max(min(groups, default=1), 1)
    return max(_CELL_INCHES[0], needed, min(room, _WIDEST_CELL_INCHES))


def _draw_cell(axes: Axes, x: int, y: int, cell: ProgramCell | None) -> None:
    corner, size = (x + 0.03, y + 0.04), (0.94, 0.92)
    if cell is None:
        return
    if not cell.style:
        axes.add_artist(Rectangle(corner, *size, fc=PAPER, ec=RULE, hatch="////", lw=0.6))
        return
    colour = _COLOURS.get(cell.style, _OTHER)
    axes.add_artist(Rectangle(corner, *size, facecolor=colour, linewidth=0))
    if cell.right is not None:
        sign = "●" if cell.right else "○"
        ink = readable_on(colour)
        axes.text(x + 0.5, y + 0.52, sign, ha="center", va="center", size=6.5, color=ink)


def _legend(figure: Figure, width: float, height: float, styles: set[str]) -> None:
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
    words = (
        "● what the segments say admits it   ○ it does not   no circle: no answer, or the style"
        " is unknown   hatched: no session is complete"
    )
    figure.text(0.2 / width, y - 0.26 / height, words, size=8.5, va="center", color=MUTED)
