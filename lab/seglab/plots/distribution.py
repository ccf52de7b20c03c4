"""How often each size occurs, on the wire and in the reads, against multiples of the MSS."""

from collections.abc import Mapping, Sequence
from math import ceil, sqrt

from seglab.plots.features import SizeDistribution
from seglab.plots.scale import draw_scale
from seglab.plots.sheet import POINTS_AN_INCH, Area, Ground, Mark, Sheet
from seglab.plots.style import BLUE, MUTED, ORANGE, PAPER, RULE

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


def distribution(title: str, groups: Sequence[SizeDistribution]) -> Sheet:
    """The figure: one row for each group, its segments above a line and its reads below.

    Each row measures sizes in multiples of its own MSS. So sizes that the MTU decides lie in one
    column for all rows, and sizes that the sender decides do not. The height of a stem is
    proportional to the square root of the share, so that rare sizes can be seen.
    """
    shown = groups[:ROWS_AT_MOST]
    drawn = _ROW_INCHES * max(len(shown), 1)
    sheet = Sheet(_WIDTH_INCHES, _TOP_INCHES + drawn + _BOTTOM_INCHES)
    more = f"; {len(groups) - len(shown)} more are not drawn" if len(groups) > len(shown) else ""
    sheet.heading(title, f"share of all segments (above) and of all reads (below){more}")
    reach = max((max([*g.segments, *g.reads], default=0) / g.mss for g in shown), default=1)
    limit = min(max(ceil(reach), 1), _MULTIPLES_AT_MOST)
    width = _WIDTH_INCHES - _LEFT_INCHES - _RIGHT_INCHES
    rows = len(shown) or 1
    area = sheet.area(_LEFT_INCHES, _TOP_INCHES, width, drawn, (0, limit + 0.15), (rows, 0))
    multiples = range(1, limit + 1)
    lines = [[(multiple, 0), (multiple, rows)] for multiple in multiples]
    area.lines(lines, MUTED, 0.8, dashes=(2, 2), z=1)
    for row, group in enumerate(shown):
        _draw_group(area, row + 0.5, group, limit)
    names = ["MSS", *(f"{n} x MSS" for n in multiples[1:])]
    draw_scale(area, multiples, names, "size, in multiples of the MSS of each row")
    _legend(sheet)
    return sheet


def _draw_group(area: Area, y: float, group: SizeDistribution, limit: int) -> None:
    area.lines([[(0, y), (limit + 0.15, y)]], RULE, 1)
    label = group.label if len(group.label) <= 40 else f"{group.label[:39]}…"
    left = -_NUMBER_INCHES * POINTS_AN_INCH
    points = min(9, 9 * _LABEL_CHARACTERS / max(len(label), 1))
    area.text(0, y - 0.12, label, dx=left, across="right", along="center", size=points)
    area.text(
        0, y + 0.16, f"MSS {group.mss}", dx=left,
        across="right", along="center", size=8, colour=MUTED,
    )  # fmt: skip
    _draw_stems(area, y, group.segments, group.mss, limit, colour=ORANGE, mark="square", way=-1)
    _draw_stems(area, y, group.reads, group.mss, limit, colour=BLUE, mark="circle", way=1)


def _draw_stems(
    area: Area,
    y: float,
    counted: Mapping[int, int],
    mss: int,
    limit: int,
    *,
    colour: str,
    mark: Mark,
    way: int,
) -> None:
    total = sum(counted.values())
    inside = {size: n for size, n in counted.items() if size / mss <= limit}
    tips = {size: (size / mss, y + way * _STEM * sqrt(n / total)) for size, n in inside.items()}
    area.lines([[(x, y), (x, top)] for x, top in tips.values()], colour, 1.8, z=3)
    marked = [tips[size] for size, n in inside.items() if n >= _MARKED_SHARE * total]
    area.marks(mark, marked, 4.4, colour, z=4)
    for size in _named(inside, mss, limit):
        area.text(
            *tips[size], str(size), dy=way * 3, across="center",
            along="bottom" if way < 0 else "top", size=7, ground=Ground(PAPER, pad=0.05), z=5,
        )  # fmt: skip
    beyond = total - sum(inside.values())
    if beyond:
        text = f"→ {max(100 * beyond / total, 1):.0f} % larger"
        area.text(
            limit + 0.15, y + way * 0.14, text, dx=_NUMBER_INCHES * POINTS_AN_INCH / 2,
            along="center", size=7.5, colour=colour,
        )  # fmt: skip


def _named(counted: Mapping[int, int], mss: int, limit: int) -> list[int]:
    """The most frequent sizes, as many as have room for their numbers."""
    kept: list[int] = []
    for size in sorted(counted, key=lambda s: -counted[s]):
        if all(abs(size - other) / mss > limit * 0.055 for other in kept):
            kept.append(size)
        if len(kept) == _SIZES_NAMED:
            break
    return kept


def _legend(sheet: Sheet) -> None:
    left, y = _LEFT_INCHES, 0.86
    for colour, mark, text in ((ORANGE, "■", "segments on the wire"), (BLUE, "●", "reads")):
        sheet.text(left, y, mark, colour=colour, size=11, along="center")
        sheet.text(left + 0.19, y, text, size=9, along="center")
        left += 1.88
