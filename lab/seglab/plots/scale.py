"""Scales beside the areas of figures."""

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Final

from seglab.plots.sheet import Area, Sheet
from seglab.plots.style import INK, MUTED, RULE

_MARK_POINTS: Final = 3
_LABEL_POINTS: Final = 9
_LANE_POINTS: Final = 10.5
_PAD_POINTS: Final = 3.5
_LANE_PAD_POINTS: Final = 6
_WORDS_BELOW_POINTS: Final = 19.4


def draw_lanes(
    area: Area,
    lanes: Mapping[float, str],
    *,
    size: float = _LANE_POINTS,
    pad: float = _LANE_PAD_POINTS,
    colour: str = INK,
) -> None:
    """Write at the left of an area what there is at each height."""
    for y, words in lanes.items():
        area.text(
            area.x[0], y, words, dx=-pad, across="right", along="capitals", size=size, colour=colour
        )


def draw_scale(
    area: Area,
    places: Sequence[float],
    labels: Sequence[str],
    words: str,
    *,
    marks: bool = False,
    ink: str = MUTED,
) -> None:
    """Write a label below an area at each place, and below them what they count.

    Args:
        area: the area.
        places: on the area's own scale.
        labels: one for each place.
        words: what the labels count.
        marks: whether a short line stands above each label.
        ink: the colour of the lines.
    """
    bottom = area.y[0]
    length = _MARK_POINTS * marks
    for place, label in zip(places, labels, strict=True):
        area.text(
            place, bottom, label, dy=length + _PAD_POINTS,
            across="center", along="top", size=_LABEL_POINTS, colour=MUTED,
        )  # fmt: skip
    if marks:
        area.ticks(places, _MARK_POINTS, ink)
    area.text(
        sum(area.x) / 2, bottom, words, dy=_WORDS_BELOW_POINTS + length - _MARK_POINTS,
        across="center", along="top", colour=MUTED,
    )  # fmt: skip


def draw_columns(area: Area, names: Sequence[str], *, size: float, angle: float) -> None:
    """Write below an area what is in each of its columns, which are 1 wide; the names rise."""
    for x, name in enumerate(names):
        area.text(
            x + 0.5, area.y[0], name, dy=_LANE_PAD_POINTS, across="right", along="top",
            size=size, angle=angle,
        )  # fmt: skip


def round_steps(high: float) -> list[float]:
    """Return round places from 0 up, at most nine apart evenly, as far as a scale reaches."""
    power = 10.0 ** floor(log10(high / 8))
    step = next(power * n for n in (1, 2, 5, 10) if high / (power * n) <= 8)
    return [step * n for n in range(floor(high / step + 1e-9) + 1)]


def draw_grid(area: Area, *, across: Sequence[float] = (), up: Sequence[float] = ()) -> None:
    """Draw pale lines through an area: across it at some heights, and up at some places."""
    lines = [[(area.x[0], y), (area.x[1], y)] for y in across]
    lines += [[(x, area.y[0]), (x, area.y[1])] for x in up]
    area.lines(lines, RULE, 0.7, z=0)


def draw_legend(
    sheet: Sheet, left: float, down: float, entries: Sequence[tuple[str, str, float]], mark: float
) -> None:
    """Write squares in colours beside each other, each with what it means.

    Args:
        sheet: the figure.
        left: where the first begins, in inches.
        down: their middle, in inches.
        entries: each with its colour, its words, and how far right of it the next one begins.
        mark: how far right of a square its words begin, in inches.
    """
    for colour, words, room in entries:
        sheet.text(left, down, "■", colour=colour, size=12, along="center")
        sheet.text(left + mark, down, words, size=9, along="center")
        left += room
