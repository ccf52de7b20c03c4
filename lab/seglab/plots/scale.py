"""Scales beside axes, of plain texts and lines.

Matplotlib makes seven objects for each tick, and measures all labels to place the axis' own. That
takes a fifth of the time of a figure with few things in it. Where a figure says itself where its
ticks are, this draws the same.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from seglab.plots.style import INK, MUTED

_POINTS_AN_INCH: Final = 72
_MARK_POINTS: Final = 3
_LABEL_POINTS: Final = 9
_LANE_POINTS: Final = 10.5
_PAD_POINTS: Final = 3.5
_LANE_PAD_POINTS: Final = 6
_WORDS_BELOW_POINTS: Final = 19.4


def without_scales(axes: Axes) -> None:
    """Take off all that Matplotlib draws around axes: frame, ticks and labels."""
    axes.set_axis_off()
    axes.set_xticks([])
    axes.set_yticks([])


def draw_lanes(axes: Axes, lanes: Mapping[float, str]) -> None:
    """Write at the left of the axes what there is at each height."""
    left = -_LANE_PAD_POINTS / _size_points(axes)[0]
    for y, words in lanes.items():
        axes.text(
            left, y, words, transform=axes.get_yaxis_transform(),
            ha="right", va="center_baseline", size=_LANE_POINTS, color=INK,
        )  # fmt: skip


def draw_scale(
    axes: Axes, places: Sequence[float], labels: Sequence[str], words: str, *, marks: bool = False
) -> None:
    """Write a label below the axes at each place, and below them what they count.

    Args:
        axes: as ``without_scales`` leaves them.
        places: on the axes' own scale.
        labels: one for each place.
        words: what the labels count.
        marks: whether a short line stands above each label.
    """
    point = 1 / _size_points(axes)[1]
    below = axes.get_xaxis_transform()
    length = _MARK_POINTS * marks
    for place, label in zip(places, labels, strict=True):
        axes.text(
            place, -(length + _PAD_POINTS) * point, label, transform=below,
            ha="center", va="top", size=_LABEL_POINTS, color=MUTED,
        )  # fmt: skip
    if marks:
        lines = [[(place, 0), (place, -length * point)] for place in places]
        axes.add_collection(
            LineCollection(lines, colors=MUTED, lw=0.8, transform=below, clip_on=False),
            autolim=False,
        )
    axes.text(
        0.5, -(_WORDS_BELOW_POINTS + length - _MARK_POINTS) * point, words,
        transform=axes.transAxes, ha="center", va="top", size=9.5, color=MUTED,
    )  # fmt: skip


def _size_points(axes: Axes) -> tuple[float, float]:
    """Return the width and the height of axes."""
    figure, place = axes.get_figure(root=True), axes.get_position()
    assert figure is not None
    width, height = figure.get_size_inches()
    return width * place.width * _POINTS_AN_INCH, height * place.height * _POINTS_AN_INCH
