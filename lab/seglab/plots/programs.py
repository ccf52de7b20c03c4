"""The figure of a run with named programs: how each wrote, and whether the wire shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from seglab.plots.scale import draw_columns, draw_lanes
from seglab.plots.sheet import Area, Sheet, box
from seglab.plots.style import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    RULE,
    SKY,
    VERMILLION,
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
_HATCH_APART_POINTS: Final = 3
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
) -> Sheet:
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
    drawn = len(names) * _ROW_INCHES
    sheet = Sheet(width, _TOP_INCHES + drawn + _BOTTOM_INCHES)
    cells = [cell for row in rows for bars in row for cell in bars if cell is not None]
    asked = [cell for cell in cells if cell.right is not None]
    right = sum(cell.right is True for cell in asked)
    sheet.heading(
        title,
        f"{len(names)} programs; the classifier boundaries admits how they wrote in"
        f" {right} of {len(asked)} bars",
    )
    area = sheet.area(_LEFT_INCHES, _TOP_INCHES, used, drawn, (0, len(columns)), (len(names), 0))
    wide = (1 - _GAP) / max(len(mails), 1)
    for y, row in enumerate(rows):
        for x, bars in enumerate(row):
            for n, cell in enumerate(bars):
                if cell is not None:
                    _draw_bar(area, x + _GAP / 2 + n * wide, y, wide, cell)
    draw_lanes(area, {y + 0.5: name for y, name in enumerate(names)}, size=8, pad=3)
    draw_columns(area, columns, size=8, angle=45)
    _legend(sheet, {cell.style for cell in cells if cell.style}, mails)
    return sheet


def _bar_inches(bars: int) -> float:
    """Return how wide a bar is: wider where few of them leave room."""
    room = (_LEAST_INCHES - _LEFT_INCHES - _RIGHT_INCHES) / max(bars, 1)
    return max(_BAR_INCHES, min(room, _WIDEST_BAR_INCHES))


def _draw_bar(area: Area, x: float, y: int, width: float, cell: ProgramCell) -> None:
    right = x + width * 0.94
    outline = box(x, y + 0.96, right, y + 0.04)
    if not cell.style:
        area.outlines([outline], PAPER)
        area.hatch(outline, RULE, 0.4, _HATCH_APART_POINTS)
        return
    colour = _COLOURS.get(cell.style, _OTHER)
    area.outlines([outline], colour)
    if cell.right is not None:
        sign, points = ("●", 3.6) if cell.right else ("○", 5.2)
        area.text(
            (x + right) / 2, y + 0.52, sign, across="center", along="center", size=points,
            colour=readable_on(colour),
        )  # fmt: skip


def _legend(sheet: Sheet, styles: set[str], mails: Sequence[str]) -> None:
    y, x = 0.86, 0.2
    known = [style for style in _COLOURS if style in styles]
    for style in [*known, *sorted(styles - _COLOURS.keys())]:
        square = sheet.area(x, y - 0.07, 0.16, 0.14)
        square.outlines([box(0, 0, 1, 1)], _COLOURS.get(style, _OTHER))
        sheet.text(x + 0.22, y, style, size=8.5, along="center", colour=MUTED)
        x += 0.42 + 0.078 * len(style)
    lines = (
        f"bars from the left: mails of {', '.join(mails)}",
        "● what the segments say admits it   ○ it does not   no circle: no answer, or the style is"
        " unknown   hatched: no session is complete",
    )
    for n, words in enumerate(lines):
        sheet.text(0.2, y + 0.26 + 0.22 * n, words, size=8.5, along="center", colour=MUTED)
