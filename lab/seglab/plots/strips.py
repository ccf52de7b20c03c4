"""Sizes as strips, like the paper's listings: one row for each session, one box for each size."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from seglab.plots.features import TERMINATORS, left_edges, size_parts
from seglab.plots.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    bare,
    heading,
    readable_on,
)
from seglab.reproduction.paper import Sizes

KINDS = {"multiple": BLUE, "another": SKY, "remainder": ORANGE, "terminator": PURPLE}
"""The colour of each kind of part (``features.size_parts``)."""

_NAMES = {
    "multiple": "multiple of the MSS",
    "another": "full at another MTU of the path",
    "remainder": "remainder",
    "terminator": "end of data, alone",
}
_WIDTH_INCHES = 9.4
_ROW_INCHES = 0.3
_BOX_INCHES = 0.23
_MARK_INCHES = 0.02
_GROUP_INCHES = 0.3
_LEFT_INCHES, _RIGHT_INCHES = 1.85, 0.25
_TOP_INCHES, _BOTTOM_INCHES = 1.12, 0.2
_LEAST_SHARE = 0.0075
_CHARACTER_INCHES = 0.077
_BOXES_AT_MOST = 400


@dataclass(frozen=True, slots=True)
class Strip:
    """One row.

    Attributes:
        label: the words at its left.
        sizes: the sizes of its boxes.
        mss: the MSS by which the sizes are divided into parts.
        others: the sizes that are full at another MTU of the path.
        own_terminator: whether the last write was an end of data alone.
        group: the heading below which the rows of the same group are drawn.
        published: whether the paper printed the row.
    """

    label: str
    sizes: Sizes
    mss: int
    others: frozenset[int] = frozenset()
    own_terminator: bool = False
    group: str = ""
    published: bool = False


def strips(title: str, subtitle: str, rows: Sequence[Strip]) -> Figure:
    """The figure. Within a group boxes are to scale, but none is thinner than can be seen."""
    groups: dict[str, list[Strip]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    inches = _TOP_INCHES + _BOTTOM_INCHES + _ROW_INCHES * max(len(rows), 1)
    inches += _GROUP_INCHES * sum(1 for name in groups if name)
    figure = Figure(figsize=(_WIDTH_INCHES, inches))
    heading(figure, title, subtitle)
    width = _WIDTH_INCHES - _LEFT_INCHES - _RIGHT_INCHES
    drawn = inches - _TOP_INCHES - _BOTTOM_INCHES
    axes = figure.add_axes(
        (_LEFT_INCHES / _WIDTH_INCHES, _BOTTOM_INCHES / inches,
         width / _WIDTH_INCHES, drawn / inches)
    )  # fmt: skip
    axes.set(xlim=(0, width), ylim=(drawn, 0))
    bare(axes)
    axes.set_xticks([])
    axes.set_yticks([])
    y = 0.0
    boxes: list[_Box] = []
    for name, members in groups.items():
        if name:
            axes.text(
                -_LEFT_INCHES + 0.18, y + _GROUP_INCHES * 0.62, name,
                size=9, weight="bold", color=INK, va="center",
            )  # fmt: skip
            y += _GROUP_INCHES
        total = max((sum(row.sizes) for row in members), default=1) or 1
        for row in members:
            _draw_label(axes, row, y)
            boxes += _boxes(row, y, total, width)
            y += _ROW_INCHES
    _draw_boxes(axes, boxes)
    _legend(figure, inches, {kind for row in rows for kind, _ in _parts(row)})
    return figure


def _parts(row: Strip) -> list[tuple[str, int]]:
    return [part for i in range(len(row.sizes)) for part in _parts_of(row, i)]


def _parts_of(row: Strip, index: int) -> tuple[tuple[str, int], ...]:
    last = index == len(row.sizes) - 1
    size = row.sizes[index]
    alone = last and index > 0 and row.own_terminator and size in TERMINATORS
    return size_parts(size, row.mss, row.others, terminator=alone)


@dataclass(frozen=True, slots=True)
class _Box:
    """A box of the figure; its places are in inches."""

    left: float
    bottom: float
    length: float
    size: int
    parts: tuple[tuple[str, int], ...]
    mss: int

    def at(self, offset: int) -> float:
        """The place of one of its bytes."""
        return self.left + offset / self.size * self.length


def _boxes(row: Strip, y: float, total: int, width: float) -> list[_Box]:
    shown = row.sizes[:_BOXES_AT_MOST]
    least = width * min(_LEAST_SHARE, 0.6 / max(len(shown), 1))
    lengths = [max(size / total * width, least) for size in shown]
    scale = min(1.0, width / sum(lengths)) if lengths else 1.0
    lengths = [length * scale for length in lengths]
    return [
        _Box(left, y + 0.035, length, row.sizes[index], _parts_of(row, index), row.mss)
        for index, (left, length) in enumerate(zip(left_edges(lengths), lengths, strict=True))
    ]


def _draw_label(axes: Axes, row: Strip, y: float) -> None:
    axes.text(
        -0.1, y + _ROW_INCHES / 2, _cut(row.label, 40), ha="right", va="center",
        size=min(8.5, 8.5 * 26 / max(len(row.label[:40]), 1)),
        color=INK if row.published else MUTED, style="italic" if row.published else "normal",
    )  # fmt: skip


def _draw_boxes(axes: Axes, boxes: Sequence[_Box]) -> None:
    """Draw all boxes as three collections, then the numbers that have room."""
    faces, colours, edges, marks = [], [], [], []
    for box in boxes:
        for (kind, share), start in zip(
            box.parts, left_edges([share for _, share in box.parts]), strict=True
        ):
            faces.append(_corners(box.at(int(start)), box.at(int(start) + share), box.bottom))
            colours.append(KINDS[kind])
        edges.append(_corners(box.left, box.left + box.length, box.bottom))
        if box.mss > 0 and box.mss / box.size * box.length > _MARK_INCHES:
            for multiple in range(box.mss, box.size, box.mss):
                at = box.at(multiple)
                marks.append(((at, box.bottom), (at, box.bottom + _BOX_INCHES)))
    axes.add_collection(PolyCollection(faces, facecolors=colours, lw=0, zorder=3), autolim=False)
    axes.add_collection(
        LineCollection(marks, colors=PAPER, lw=0.6, ls=":", zorder=4), autolim=False
    )
    widths = [min(1.1, box.length * 14) for box in boxes]
    axes.add_collection(
        PolyCollection(edges, facecolors="none", edgecolors=PAPER, linewidths=widths, zorder=5),
        autolim=False,
    )
    for box in boxes:
        if len(str(box.size)) * _CHARACTER_INCHES < box.length - 0.02:
            _draw_number(axes, box)


def _corners(left: float, right: float, bottom: float) -> list[tuple[float, float]]:
    top = bottom + _BOX_INCHES
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def _draw_number(axes: Axes, box: _Box) -> None:
    one = box.parts[0][0] if len(box.parts) == 1 else None
    axes.text(
        box.left + box.length / 2, box.bottom + _BOX_INCHES / 2, str(box.size),
        ha="center", va="center", size=8, weight="bold", zorder=6,
        color=readable_on(KINDS[one]) if one else INK,
        bbox=None if one else {"boxstyle": "round,pad=0.12", "fc": PAPER, "ec": "none"},
    )  # fmt: skip


def _legend(figure: Figure, inches: float, kinds: set[str]) -> None:
    x = _LEFT_INCHES / _WIDTH_INCHES
    y = 1 - 0.86 / inches
    for kind, colour in KINDS.items():
        if kind in kinds:
            figure.text(x, y, "■", color=colour, size=12, va="center")
            figure.text(x + 0.02, y, _NAMES[kind], color=INK, size=9, va="center")
            x += 0.05 + 0.0085 * len(_NAMES[kind])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
