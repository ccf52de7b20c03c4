"""The figure of a dataset: the number of sessions by label, and the length of the sessions."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import log10
from typing import Any

from seglab.plots.scale import draw_grid, draw_lanes, draw_scale
from seglab.plots.sheet import Area, Sheet, box
from seglab.plots.style import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, RULE, WRITES

PARTS = {"train": BLUE, "validation": ORANGE, "test": GREEN, None: RULE}
"""The colour of each part of a dataset; ``None`` is for sessions that are in no part."""

CURVES = (*WRITES, INK, "#8c6d31")
"""The colours of the curves: one for each style of the lab."""

DASHES = (), (3.7, 1.6), (1, 1.65), (6.4, 1.6, 1, 1.6)
"""The dashes of the curves; where curves coincide, dashed ones are drawn above solid ones."""

Counts = Mapping[str, Mapping[Any, int]]
"""For each value of a label, the number of sessions in each part."""

Panel = tuple[str, Counts]
"""A group of bars: its name, and its bars."""

_WIDTH_INCHES = 11.0
_BAR_INCHES = 0.24
_TOP_INCHES, _BETWEEN_INCHES, _BOTTOM_INCHES = 1.25, 0.85, 0.75
_CURVES_INCHES = 2.5
_GAP_BARS = 2.4
_BARS_INCHES, _CURVE_INCHES = 3.41, 4.29
_LETTER_SHARE = 0.0155  # of the width of the curves' area
_NAME_MAX = 26


def summary(
    title: str,
    subtitle: str,
    labels: Mapping[str, Counts],
    networks: Panel,
    segments: Mapping[str, Mapping[int, int]],
    reads: Mapping[str, Mapping[int, int]],
) -> Sheet:
    """The figure: bars of labels by part, and how many segments and reads sessions have.

    Args:
        title: what the figure says.
        subtitle: the dataset that it shows.
        labels: the counts of each column (``style``, ``template``, ``terminator``,
            ``path_condition``).
        networks: the panel of the networks.
        segments: for each style, the number of sessions with each number of segments.
        reads: for each style, the number of sessions with each number of reads.
    """
    panels: list[Panel] = [
        ("style", labels.get("style", {})),
        networks,
        ("terminator", labels.get("terminator", {})),
        ("message", labels.get("template", {})),
        ("path condition", labels.get("path_condition", {})),
    ]
    columns, rows = _columns(panels)
    height = _TOP_INCHES + rows * _BAR_INCHES + _BETWEEN_INCHES + _CURVES_INCHES + _BOTTOM_INCHES
    sheet = Sheet(_WIDTH_INCHES, height)
    sheet.heading(title, subtitle)
    there = {part for _, counts in panels for value in counts.values() for part in value}
    _legend(sheet, [part for part in PARTS if part or part in there])
    for left, column in zip((1.65, 7.15), columns, strict=True):
        at = _TOP_INCHES
        for name, counts in column:
            _bars(sheet, left, at, name, counts)
            at += (max(len(counts), 1) + _GAP_BARS) * _BAR_INCHES
    top = height - _BOTTOM_INCHES - _CURVES_INCHES
    for left, name, counted in ((0.88, "segments", segments), (6.27, "reads", reads)):
        _curves(sheet, left, top, name, counted)
    return sheet


def _columns(panels: Sequence[Panel]) -> tuple[tuple[list[Panel], list[Panel]], float]:
    """The panels in two columns of similar height, and the height of the taller one in bars."""
    columns: tuple[list[Panel], list[Panel]] = ([], [])
    heights = [0.0, 0.0]
    for panel in panels:
        shorter = heights.index(min(heights))
        columns[shorter].append(panel)
        heights[shorter] += max(len(panel[1]), 1) + _GAP_BARS
    return columns, max(heights) - _GAP_BARS


def _bars(sheet: Sheet, left: float, top: float, name: str, counts: Counts) -> None:
    """Draw one bar for each value, divided by part."""
    values = sorted(counts)
    totals = [sum(counts[value].values()) for value in values]
    rows = max(len(values), 1)
    reach = max(1.16 * max(totals, default=0), 1)
    area = sheet.area(
        left, top, _BARS_INCHES, rows * _BAR_INCHES, (0, reach), (len(values) - 0.4, -0.6)
    )
    begins = [0] * len(values)
    for part, colour in PARTS.items():
        sizes = [counts[value].get(part, 0) for value in values]
        faces = [
            box(begin, y + 0.36, begin + size, y - 0.36)
            for y, (begin, size) in enumerate(zip(begins, sizes, strict=True))
            if size
        ]
        area.outlines(faces, colour)
        begins = [begin + size for begin, size in zip(begins, sizes, strict=True)]
    area.lines([[(0, y) for y in area.y]], RULE, 0.8)
    draw_lanes(area, {y: _short(value) for y, value in enumerate(values)}, size=9, pad=3.5)
    area.text(0, -0.6, name, dy=-5, size=10, face="bold")
    for y, total in enumerate(totals):
        area.text(total, y, f" {total:,}", along="center", size=8, colour=MUTED)


def _curves(
    sheet: Sheet, left: float, top: float, name: str, counted: Mapping[str, Mapping[int, int]]
) -> None:
    """Draw, for each style, the cumulative share of sessions."""
    styles = sorted(counted)
    most = max((size for sizes in counted.values() for size in sizes), default=1)
    ends = log10(0.9), log10(most * 1.15)
    area = sheet.area(left, top, _CURVE_INCHES, _CURVES_INCHES, ends, (0, 1.02))
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000) if tick <= most]
    places = [*map(log10, ticks)]
    draw_grid(area, across=(0, 0.5, 1), up=places)
    draw_scale(area, places, [*map(str, ticks)], f"{name} of a session, at most", marks=True)
    draw_lanes(area, {0: "0", 0.5: "50 %", 1: "100 %"}, size=9, colour=MUTED)
    for number, style in enumerate(styles):
        sizes = sorted(counted[style])
        sessions = [0, *accumulate(counted[style][size] for size in sizes)]
        levels = [count / sessions[-1] for count in sessions]
        steps = [
            (log10(size), level)
            for size, pair in zip(sizes, pairwise(levels), strict=True)
            for level in pair
        ]
        colour, dashes = look(number)
        area.lines([steps], colour, 1.6, dashes=dashes, z=2 + DASHES.index(dashes) / len(DASHES))
    title = f"{name}: share of each style's sessions"
    area.text(ends[0], 1.02, title, dy=-5, size=10, face="bold")
    if name == "segments":
        _legend_of_curves(area, styles)


def look(number: int) -> tuple[str, tuple[float, ...]]:
    """Return the colour and the dashes of a curve."""
    return CURVES[number % len(CURVES)], DASHES[(number + number // len(CURVES)) % len(DASHES)]


def _legend_of_curves(area: Area, styles: Sequence[str]) -> None:
    """Name the curves in the lower right corner, where they have all passed."""
    right, bottom = area.x[1], 0.03
    step = 0.055
    wide = max((len(style) for style in styles), default=0) * _LETTER_SHARE + 0.11
    at = right - wide * (right - area.x[0])
    line = 0.085 * (right - area.x[0])
    ground = box(at - line / 8, bottom - 0.01, right, bottom + step * len(styles))
    area.outlines([ground], PAPER, opacity=0.85, z=4)
    for number, style in enumerate(styles):
        y = bottom + step * (len(styles) - number - 0.5)
        colour, dashes = look(number)
        area.lines([[(at, y), (at + line, y)]], colour, 1.6, dashes=dashes, z=5)
        area.text(at + 1.2 * line, y, style, along="center", size=7.5, z=5)


def _legend(sheet: Sheet, parts: Sequence[str | None]) -> None:
    y, left = 0.82, 1.65
    for part in parts:
        colour, words = PARTS[part], part or "in no part"
        sheet.text(left, y, "■", size=11, colour=colour, along="center")
        sheet.text(left + 0.198, y, words, size=9, colour=MUTED, along="center")
        left += 0.495 + 0.0682 * len(words)


def _short(text: str) -> str:
    return text if len(text) <= _NAME_MAX else text[: _NAME_MAX - 1] + "…"
