"""How often each size occurs, on the wire and in the reads, against multiples of the MSS."""

from collections.abc import Mapping, Sequence
from math import ceil, sqrt

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglab.plots.features import SizeDistribution
from seglab.plots.style import BLUE, INK, MUTED, ORANGE, PAPER, RULE, bare, heading

_WIDTH_INCHES = 9.4
_ROW_INCHES = 0.9
_TOP_INCHES, _BOTTOM_INCHES = 1.15, 0.6
_LEFT_INCHES, _RIGHT_INCHES = 2.15, 1.0
_MULTIPLES_AT_MOST = 8
ROWS_AT_MOST = 26
_MARKED_SHARE = 0.02
_SIZES_NAMED = 3
_LABEL_CHARACTERS = 24  # a longer label has smaller letters
_NUMBER_INCHES = 0.24  # half of the width of the longest number, and a margin
_STEM = 0.29  # share of a row's height; the rest is room for the numbers


def distribution(title: str, groups: Sequence[SizeDistribution]) -> Figure:
    """The figure: one row for each group, its segments above a line and its reads below.

    Each row measures sizes in multiples of its own MSS. So sizes that the MTU decides lie in one
    column for all rows, and sizes that the sender decides do not. The height of a stem is
    proportional to the square root of the share, so that rare sizes can be seen.
    """
    shown = groups[:ROWS_AT_MOST]
    inches = _TOP_INCHES + _BOTTOM_INCHES + _ROW_INCHES * max(len(shown), 1)
    figure = Figure(figsize=(_WIDTH_INCHES, inches))
    more = f"; {len(groups) - len(shown)} more are not drawn" if len(groups) > len(shown) else ""
    heading(figure, title, f"share of all segments (above) and of all reads (below){more}")
    axes = figure.add_axes(
        (_LEFT_INCHES / _WIDTH_INCHES, _BOTTOM_INCHES / inches,
         1 - (_LEFT_INCHES + _RIGHT_INCHES) / _WIDTH_INCHES,
         _ROW_INCHES * max(len(shown), 1) / inches)
    )  # fmt: skip
    reach = max((max([*g.segments, *g.reads], default=0) / g.mss for g in shown), default=1)
    limit = min(max(ceil(reach), 1), _MULTIPLES_AT_MOST)
    axes.set(xlim=(0, limit + 0.15), ylim=(len(shown) or 1, 0))
    bare(axes)
    for multiple in range(1, limit + 1):
        axes.axvline(multiple, color=MUTED, lw=0.8, ls=(0, (2, 2)), zorder=1)
    for row, group in enumerate(shown):
        _draw_group(axes, row + 0.5, group, limit)
    axes.set_yticks([], [])
    names = ["MSS", *(f"{n} x MSS" for n in range(2, limit + 1))]
    axes.set_xticks(range(1, limit + 1), names)
    axes.set_xlabel("size, in multiples of the MSS of each row", labelpad=4)
    _legend(figure, inches)
    return figure


def _draw_group(axes: Axes, y: float, group: SizeDistribution, limit: int) -> None:
    axes.axhline(y, color=RULE, linewidth=1, zorder=2)
    label = group.label if len(group.label) <= 40 else f"{group.label[:39]}…"
    inch = (limit + 0.15) / (_WIDTH_INCHES - _LEFT_INCHES - _RIGHT_INCHES)
    at = -_NUMBER_INCHES * inch
    points = min(9, 9 * _LABEL_CHARACTERS / max(len(label), 1))
    axes.text(at, y - 0.12, label, ha="right", va="center", size=points, color=INK)
    axes.text(at, y + 0.16, f"MSS {group.mss}", ha="right", va="center", size=8, color=MUTED)
    _draw_stems(axes, y, group.segments, group.mss, limit, colour=ORANGE, marker="s", way=-1)
    _draw_stems(axes, y, group.reads, group.mss, limit, colour=BLUE, marker="o", way=1)


def _draw_stems(
    axes: Axes,
    y: float,
    counted: Mapping[int, int],
    mss: int,
    limit: int,
    *,
    colour: str,
    marker: str,
    way: int,
) -> None:
    total = sum(counted.values())
    inside = {size: n for size, n in counted.items() if size / mss <= limit}
    places = [size / mss for size in inside]
    tops = [y + way * _STEM * sqrt(n / total) for n in inside.values()]
    axes.vlines(places, y, tops, color=colour, linewidth=1.8, zorder=3)
    marked = [i for i, n in enumerate(inside.values()) if n >= _MARKED_SHARE * total]
    axes.plot(
        [places[i] for i in marked], [tops[i] for i in marked], marker,
        color=colour, markersize=3.4, zorder=4, clip_on=False,
    )  # fmt: skip
    for size in _named(inside, mss, limit):
        top = y + way * _STEM * sqrt(inside[size] / total)
        axes.annotate(
            str(size), (size / mss, top), (0, -way * 3), textcoords="offset points",
            ha="center", va="bottom" if way < 0 else "top", size=7, color=INK, zorder=5,
            bbox={"boxstyle": "square,pad=0.05", "fc": PAPER, "ec": "none"},
        )  # fmt: skip
    beyond = total - sum(inside.values())
    if beyond:
        text = f"→ {max(100 * beyond / total, 1):.0f} % larger"
        inch = (limit + 0.15) / (_WIDTH_INCHES - _LEFT_INCHES - _RIGHT_INCHES)
        at = limit + 0.15 + _NUMBER_INCHES * inch / 2
        axes.text(at, y + way * 0.14, text, ha="left", va="center", size=7.5, color=colour)


def _named(counted: Mapping[int, int], mss: int, limit: int) -> list[int]:
    """The most frequent sizes, as many as have room for their numbers."""
    kept: list[int] = []
    for size in sorted(counted, key=lambda s: -counted[s]):
        if all(abs(size - other) / mss > limit * 0.055 for other in kept):
            kept.append(size)
        if len(kept) == _SIZES_NAMED:
            break
    return kept


def _legend(figure: Figure, inches: float) -> None:
    y = 1 - 0.86 / inches
    x = _LEFT_INCHES / _WIDTH_INCHES
    for colour, mark, text in ((ORANGE, "■", "segments on the wire"), (BLUE, "●", "reads")):
        figure.text(x, y, mark, color=colour, size=11, va="center")
        figure.text(x + 0.02, y, text, color=INK, size=9, va="center")
        x += 0.2
