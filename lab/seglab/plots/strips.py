"""Sizes as strips, like the paper's listings: one row for each session, one box for each size."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from seglab.plots.features import TERMINATORS, size_parts
from seglab.plots.labels import left_edges, shared_numbers
from seglab.plots.scale import draw_legend
from seglab.plots.sheet import Area, Ground, Outline, Sheet
from seglab.plots.sheet import box as rectangle
from seglab.plots.style import BLUE, INK, MUTED, ORANGE, PAPER, PURPLE, SKY, readable_on
from seglab.reproduction.paper import Sizes

KINDS = {"multiple": BLUE, "another": SKY, "remainder": ORANGE, "terminator": PURPLE}
"""The colour of each kind of part (``features.size_parts``)."""

NAMES = {
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
_LEFT_INCHES, _RIGHT_INCHES = 1.85, 0.45
_TOP_INCHES, _BOTTOM_INCHES = 1.12, 0.2
_LEAST_SHARE = 0.0075
_CHARACTER_INCHES = 0.077  # of a bold digit of 8 points
_NUMBER_SIZES = (8, 7, 6)
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


def strips(title: str, subtitle: str, rows: Sequence[Strip]) -> Sheet:
    """The figure. Within a group boxes are to scale, but none is thinner than can be seen."""
    groups: dict[str, list[Strip]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    drawn = _ROW_INCHES * max(len(rows), 1) + _GROUP_INCHES * sum(1 for name in groups if name)
    sheet = Sheet(_WIDTH_INCHES, _TOP_INCHES + drawn + _BOTTOM_INCHES)
    sheet.heading(title, subtitle)
    width = _WIDTH_INCHES - _LEFT_INCHES - _RIGHT_INCHES
    area = sheet.area(_LEFT_INCHES, _TOP_INCHES, width, drawn, (0, width), (drawn, 0))
    y = 0.0
    boxes: list[list[_Box]] = []
    for name, members in groups.items():
        if name:
            middle = y + _GROUP_INCHES * 0.62
            area.text(-_LEFT_INCHES + 0.18, middle, name, size=9, face="bold", along="center")
            y += _GROUP_INCHES
        total = max((sum(row.sizes) for row in members), default=1) or 1
        for row in members:
            _draw_label(area, row, y)
            boxes.append(_boxes(row, y, total, width))
            y += _ROW_INCHES
    _draw_boxes(area, boxes)
    kinds = {kind for row in rows for kind, _ in _parts(row)}
    entries = [
        (colour, NAMES[kind], 0.376 + 0.07 * len(NAMES[kind]))
        for kind, colour in KINDS.items()
        if kind in kinds
    ]
    draw_legend(sheet, _LEFT_INCHES, 0.86, entries, 0.188)
    return sheet


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


def _draw_label(area: Area, row: Strip, y: float) -> None:
    left_out = len(row.sizes) - _BOXES_AT_MOST
    label = _cut(row.label, 40) + (f", {left_out} more sizes" if left_out > 0 else "")
    area.text(
        -0.1, y + _ROW_INCHES / 2, label, across="right", along="center",
        size=min(8.5, 8.5 * 26 / max(len(label), 1)),
        colour=INK if row.published else MUTED, face="italic" if row.published else "regular",
    )  # fmt: skip


def _draw_boxes(area: Area, boxes_by_row: Sequence[Sequence[_Box]]) -> None:
    """Draw all boxes, then the numbers that have room."""
    faces: dict[str, list[Outline]] = {}
    edges: dict[float, list[Outline]] = {}
    marks: list[Outline] = []
    for box in (box for row in boxes_by_row for box in row):
        for (kind, share), start in zip(
            box.parts, left_edges([share for _, share in box.parts]), strict=True
        ):
            corners = _corners(box.at(int(start)), box.at(int(start) + share), box.bottom)
            faces.setdefault(KINDS[kind], []).append(corners)
        corners = _corners(box.left, box.left + box.length, box.bottom)
        edges.setdefault(min(1.1, box.length * 14), []).append(corners)
        if box.mss > 0 and box.mss / box.size * box.length > _MARK_INCHES:
            for multiple in range(box.mss, box.size, box.mss):
                at = box.at(multiple)
                marks.append([(at, box.bottom), (at, box.bottom + _BOX_INCHES)])
    for colour, outlines in faces.items():
        area.outlines(outlines, colour, z=3)
    area.lines(marks, PAPER, 0.6, dashes=(1, 1.65), z=4)
    for width, outlines in edges.items():
        area.edges(outlines, PAPER, width, z=5)
    for row in boxes_by_row:
        _draw_numbers(area, row)


def _corners(left: float, right: float, bottom: float) -> Outline:
    return rectangle(left, bottom, right, bottom + _BOX_INCHES)


def _draw_numbers(area: Area, row: Sequence[_Box]) -> None:
    """Draw the number of each box; neighbours without room share one.

    The last number is drawn behind the row if it has no room in its box.
    """
    own = [_points(str(box.size), box.length) for box in row]
    for box, points in zip(row, own, strict=True):
        if points is not None:
            only = box.parts[0][0] if len(box.parts) == 1 else None
            colour = readable_on(KINDS[only]) if only else None
            _draw_text(area, str(box.size), box.left, box.left + box.length, box, points, colour)
    if row and own[-1] is None:
        last = row[-1]
        area.text(
            last.left + last.length + 0.05, last.bottom + _BOX_INCHES / 2, str(last.size),
            along="center", size=_NUMBER_SIZES[-1], colour=MUTED,
        )  # fmt: skip
    for narrow, indices in groupby(range(len(row)), key=lambda index: own[index] is None):
        group = [row[index] for index in indices]
        for shared in shared_numbers([box.size for box in group]) if narrow else ():
            first, last = group[shared.first], group[shared.last]
            right = last.left + last.length
            for text in shared.texts:
                points = _points(text, right - first.left)
                if points is not None:
                    _draw_text(area, text, first.left, right, first, points, None)
                    break


def _points(text: str, room_inches: float) -> float | None:
    """The size of letters at which a text fits, in points; ``None`` if it is too long."""
    for points in _NUMBER_SIZES:
        if len(text) * _CHARACTER_INCHES * points / 8 < room_inches - 0.02:
            return points
    return None


def _draw_text(
    area: Area, text: str, left: float, right: float, box: _Box, points: float, colour: str | None
) -> None:
    """Draw a text in the middle of a range; without a colour, on a ground of its own."""
    area.text(
        (left + right) / 2, box.bottom + _BOX_INCHES / 2, text, across="center", along="center",
        size=points, face="bold", z=6, colour=colour or INK,
        ground=None if colour else Ground(PAPER, pad=0.12),
    )  # fmt: skip


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
