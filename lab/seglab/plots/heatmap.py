"""The heat map of senders and networks: how well the sizes on the wire show the writes."""

from seglab.plots.features import Matrix, SeenCell
from seglab.plots.scale import draw_columns, draw_lanes
from seglab.plots.sheet import Area, Ground, Sheet, box
from seglab.plots.style import MUTED, PAPER, RULE, VERMILLION, mixed, readable_on

_SCALE = "#f3f6f9", "#8fc1e0", "#0072b2", "#00395c"
"""The colours of agreement from none to full; between them, in even steps, lies a mixture."""

_CELL_INCHES = (0.62, 0.46)
_WIDEST_CELL_INCHES = 1.1
_LEAST_INCHES = 9.4
_LEFT_INCHES, _RIGHT_INCHES = 2.1, 0.3
_TOP_INCHES, _BOTTOM_INCHES = 1.3, 1.25
_HATCH_APART_POINTS = 7


def heatmap(title: str, matrix: Matrix) -> Sheet:
    """The figure: a cell's colour and number are the mean agreement of its sessions, in percent.

    A cell is hatched and gives the reason if all its sessions failed; its corner is marked if
    some did. The small number is the median number of reads in a session.
    """
    columns, rows = max(len(matrix.networks), 1), max(len(matrix.senders), 1)
    width = max(_LEFT_INCHES + _RIGHT_INCHES + columns * _CELL_INCHES[0], _LEAST_INCHES)
    height = rows * _CELL_INCHES[1]
    sheet = Sheet(width, _TOP_INCHES + height + _BOTTOM_INCHES)
    sheet.heading(title, _subtitle(matrix))
    used = min(width - _LEFT_INCHES - _RIGHT_INCHES, columns * _WIDEST_CELL_INCHES)
    area = sheet.area(_LEFT_INCHES, _TOP_INCHES, used, height, (0, columns), (rows, 0))
    for y, cells in enumerate(matrix.rows):
        for x, cell in enumerate(cells):
            _draw_cell(area, x, y, cell, used / columns)
    draw_lanes(area, {y + 0.5: name for y, name in enumerate(matrix.senders)}, size=9, pad=5)
    draw_columns(area, matrix.networks, size=9, angle=38)
    _legend(sheet)
    return sheet


def _subtitle(matrix: Matrix) -> str:
    cells = [cell for row in matrix.rows for cell in row if cell]
    failed = sum(cell.sessions - cell.complete for cell in cells)
    sessions = sum(cell.sessions for cell in cells)
    return (
        f"{len(matrix.senders)} senders, {len(matrix.networks)} networks by falling MSS,"
        f" {sessions} sessions, {failed} failed"
    )


def _draw_cell(area: Area, x: int, y: int, cell: SeenCell | None, inches: float) -> None:
    def write(down: float, text: str, size: float, colour: str, *, bold: bool = False) -> None:
        area.text(
            x + 0.5, y + down, text, across="center", along="center", size=size, colour=colour,
            face="bold" if bold else "regular", z=4,
        )  # fmt: skip

    outline = box(x + 0.02, y + 0.97, x + 0.98, y + 0.03)
    if cell is None:
        write(0.5, "·", 9.5, MUTED)
        return
    if cell.agreement is None:
        area.outlines([outline], PAPER)
        area.hatch(outline, RULE, 0.8, _HATCH_APART_POINTS)
        words = cell.reason or "failed"
        area.text(
            x + 0.5, y + 0.5, words, across="center", along="center", face="bold", z=4,
            size=min(8.0, inches * 72 / (0.66 * len(words))), colour=VERMILLION,
            ground=Ground(PAPER, pad=0.12),
        )  # fmt: skip
        return
    colour = _colour(cell.agreement)
    area.outlines([outline], colour)
    ink = readable_on(colour)
    write(0.4, f"{100 * cell.agreement:.0f}", 10, ink, bold=True)
    write(0.76, f"{cell.reads:g}", 7, ink)
    if cell.complete < cell.sessions:
        tip = [(x + 0.98, y + 0.03), (x + 0.98, y + 0.4), (x + 0.72, y + 0.03)]
        area.outlines([tip], VERMILLION, z=5)
        area.edges([tip], PAPER, 0.8, z=5)


def _colour(share: float) -> str:
    """Return the colour of an agreement."""
    at = share * (len(_SCALE) - 1)
    first = min(int(at), len(_SCALE) - 2)
    return mixed(_SCALE[first], _SCALE[first + 1], at - first)


def _legend(sheet: Sheet) -> None:
    y, left = 0.86, _LEFT_INCHES
    steps = 24
    shades = sheet.area(left, y - 0.07, steps * 0.07, 0.14, (0, steps))
    for step in range(steps):
        shades.outlines([box(step, 0, step + 1.03, 1)], _colour(step / (steps - 1)))
    words = "0 to 100 %: ends of writes and ends of short segments agree; small: reads a session"
    after = left + steps * 0.07 + 0.1
    sheet.text(after, y, words, size=8.5, along="center", colour=MUTED)
    sheet.text(left, y + 0.24, "◥", size=10, along="center", colour=VERMILLION)
    sheet.text(
        left + 0.17, y + 0.24,
        "some sessions failed; hatched: all failed, and why; ·: not run",
        size=8.5, along="center", colour=MUTED,
    )  # fmt: skip
