"""The heat map of senders and networks: how well the sizes on the wire show the writes."""

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from seglab.core.text import safe
from seglab.plots.features import Matrix, SeenCell
from seglab.plots.style import INK, MUTED, PAPER, RULE, VERMILLION, bare, heading, readable_on

_SCALE = LinearSegmentedColormap.from_list(
    "agreement", ["#f3f6f9", "#8fc1e0", "#0072b2", "#00395c"]
)
_CELL_INCHES = (0.62, 0.46)
_LEAST_INCHES = 9.4
_LEFT_INCHES, _RIGHT_INCHES = 2.1, 0.3
_TOP_INCHES, _BOTTOM_INCHES = 1.3, 1.25


def heatmap(title: str, matrix: Matrix) -> Figure:
    """The figure: a cell's colour and number are the mean agreement of its sessions, in percent.

    A cell is hatched and gives the reason if all its sessions failed; its corner is marked if
    some did. The small number is the median number of reads in a session.
    """
    columns, rows = max(len(matrix.networks), 1), max(len(matrix.senders), 1)
    width = max(_LEFT_INCHES + _RIGHT_INCHES + columns * _CELL_INCHES[0], _LEAST_INCHES)
    height = _TOP_INCHES + _BOTTOM_INCHES + rows * _CELL_INCHES[1]
    figure = Figure(figsize=(width, height))
    heading(figure, title, _subtitle(matrix))
    room = width - _LEFT_INCHES - _RIGHT_INCHES
    used = min(room, columns * 1.1)
    axes = figure.add_axes(
        (_LEFT_INCHES / width, _BOTTOM_INCHES / height,
         used / width, rows * _CELL_INCHES[1] / height)
    )  # fmt: skip
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    bare(axes)
    for y, cells in enumerate(matrix.rows):
        for x, cell in enumerate(cells):
            _draw_cell(axes, x, y, cell, used / columns)
    axes.set_yticks([y + 0.5 for y in range(len(matrix.senders))], [*map(safe, matrix.senders)])
    axes.set_xticks(
        [x + 0.5 for x in range(len(matrix.networks))], [*map(safe, matrix.networks)],
        rotation=38, ha="right", rotation_mode="anchor",
    )  # fmt: skip
    axes.tick_params(labelcolor=INK, labelsize=9, pad=5)
    _legend(figure, width, height)
    return figure


def _subtitle(matrix: Matrix) -> str:
    cells = [cell for row in matrix.rows for cell in row if cell]
    failed = sum(cell.sessions - cell.complete for cell in cells)
    sessions = sum(cell.sessions for cell in cells)
    return (
        f"{len(matrix.senders)} senders, {len(matrix.networks)} networks by falling MSS,"
        f" {sessions} sessions, {failed} failed"
    )


def _draw_cell(axes: Axes, x: int, y: int, cell: SeenCell | None, inches: float) -> None:
    corner, size = (x + 0.02, y + 0.03), (0.96, 0.94)
    if cell is None:
        axes.text(x + 0.5, y + 0.5, "·", ha="center", va="center", color=MUTED, zorder=3)
        return
    if cell.agreement is None:
        axes.add_artist(Rectangle(corner, *size, fc=PAPER, ec=RULE, hatch="////", lw=0.8, zorder=2))
        points = min(8.0, inches * 72 / (0.66 * max(len(cell.reason or ""), 1)))
        axes.text(
            x + 0.5, y + 0.5, cell.reason or "failed", ha="center", va="center", size=points,
            color=VERMILLION, weight="bold", zorder=4,
            bbox={"boxstyle": "round,pad=0.12", "fc": PAPER, "ec": "none"},
        )  # fmt: skip
        return
    colour = to_hex(_SCALE(cell.agreement))
    axes.add_artist(Rectangle(corner, *size, facecolor=colour, linewidth=0, zorder=2))
    ink = readable_on(colour)
    text = f"{100 * cell.agreement:.0f}"
    axes.text(x + 0.5, y + 0.4, text, ha="center", va="center", size=10, weight="bold", color=ink)
    axes.text(x + 0.5, y + 0.76, f"{cell.reads:g}", ha="center", va="center", size=7, color=ink)
    if cell.complete < cell.sessions:
        tip = [(x + 0.98, y + 0.03), (x + 0.98, y + 0.4), (x + 0.72, y + 0.03)]
        axes.add_artist(Polygon(tip, facecolor=VERMILLION, edgecolor=PAPER, lw=0.8, zorder=5))


def _legend(figure: Figure, width: float, height: float) -> None:
    y = 1 - 0.86 / height
    x = _LEFT_INCHES / width
    steps = 24
    for step in range(steps):
        figure.add_artist(
            Rectangle(
                (x + step * 0.07 / width, y - 0.07 / height), 0.072 / width, 0.14 / height,
                facecolor=_SCALE(step / (steps - 1)), linewidth=0,
            )
        )  # fmt: skip
    after = x + (steps * 0.07 + 0.1) / width
    words = "0 to 100 %: ends of writes and ends of short segments agree; small: reads a session"
    figure.text(after, y, words, size=8.5, va="center", color=MUTED)
    figure.text(x, y - 0.24 / height, "◥", size=10, va="center", color=VERMILLION)
    figure.text(
        x + 0.17 / width, y - 0.24 / height,
        "some sessions failed; hatched: all failed, and why; ·: not run",
        size=8.5, va="center", color=MUTED,
    )  # fmt: skip
