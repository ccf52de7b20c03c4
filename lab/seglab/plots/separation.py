"""The curve of the probability that two writes stay apart, over the gap between them."""

from collections.abc import Iterable, Sequence
from math import log10
from typing import NamedTuple

from seglab.plots.scale import draw_grid, draw_lanes, draw_scale
from seglab.plots.sheet import Area, Mark, Sheet
from seglab.plots.style import BLUE, INK, MUTED, ORANGE, PAPER, RULE, VERMILLION
from seglab.reproduction.separation import PublishedSeparation, SeparationPoint
from seglab.reproduction.statistics import wilson

_WIDTH_INCHES, _HEIGHT_INCHES = 9.4, 4.9
_AREA_INCHES = 0.799, 1.0045, 6.768, 3.234
_LABELS_APART = 0.034
_Y = -0.03, 1.05
_SHARES = (0, 0.25, 0.5, 0.75, 1)
_NEAR_ZERO = 2 / 3
"""On the logarithmic scale, how long the way from 0 to the least gap is, in decades."""


class _Look(NamedTuple):
    """How the shares of one kind look, and what the legend says of them, in lines.

    Attributes:
        colour: of all.
        mark: at each share.
        joined: whether a line goes through the shares. Marks without it are hollow.
        words: the lines of the legend.
    """

    colour: str
    mark: Mark
    joined: bool
    words: Sequence[str]


_Share = tuple[float, float, float, float]
"""The place on the scale, the share, and the ends of its interval."""


def curve(
    scenario: str,
    points: Sequence[SeparationPoint],
    published: Sequence[PublishedSeparation] = (),
) -> Sheet:
    """Two curves, one of the wire and one of the reads, with 95 % Wilson intervals.

    Args:
        scenario: the name of the scenario.
        points: one point for each gap, by rising gap.
        published: the shares among the paper's printed sessions, at its own gaps.
    """
    sheet = Sheet(_WIDTH_INCHES, _HEIGHT_INCHES)
    sessions = sorted({point.sessions for point in points})
    each = " to ".join(map(str, sorted({sessions[0], sessions[-1]}))) if sessions else "no"
    sheet.heading(
        "How often two writes are seen apart",
        f"{scenario}: {each} sessions a gap, bars are 95 % intervals",
    )
    scale = Scale([*(p.gap_ms for p in points), *(p.gap_ms for p in published)])
    area = sheet.area(*_AREA_INCHES, (scale.low, scale.high), _Y)
    draw_grid(area, across=_SHARES, up=scale.places)
    area.lines([[(x, _Y[0]) for x in area.x]], RULE, 0.8)
    words = "gap between the two writes (ms)"
    draw_scale(area, scale.places, scale.labels(), words, marks=True, ink=INK)
    lanes = {share: f"{100 * share:.0f}" for share in _SHARES}
    draw_lanes(area, lanes, size=9, colour=MUTED)
    sheet.text(
        0.3, 2.62, "sessions with the writes apart (%)",
        across="center", along="center", angle=90, colour=MUTED,
    )  # fmt: skip
    wire = [(scale(p.gap_ms), p.wire / p.sessions, *p.wire_interval) for p in points]
    reads = [(scale(p.gap_ms), p.reads / p.sessions, *p.reads_interval) for p in points]
    curves = [
        (_Look(ORANGE, "square", True, ["on the wire"]), wire),
        (_Look(BLUE, "circle", True, ["in the reads"]), reads),
    ]
    if published:
        paper = [
            (scale(p.gap_ms), p.reads / p.sessions, *wilson(p.reads, p.sessions)) for p in published
        ]
        legend = ["published", f"({published[0].sessions} sessions each)"]
        curves.append((_Look(VERMILLION, "diamond", False, legend), paper))
    for look, shares in curves:
        _draw(area, look, shares)
    _legend(sheet, [look for look, _ in curves])
    return sheet


def _draw(area: Area, look: _Look, shares: Sequence[_Share]) -> None:
    """Draw the shares of one kind, with a bar from the low to the high end at each."""
    bars = [[(x, low), (x, high)] for x, _, low, high in shares]
    places = [(x, share) for x, share, _, _ in shares]
    if look.joined:
        area.lines(bars, look.colour, 1.6, z=5)
        area.lines([places], look.colour, 1.8, z=5)
        area.marks(look.mark, places, 6, look.colour, edge=PAPER, z=6)
    else:
        area.lines(bars, look.colour, 1, z=3)
        area.marks(look.mark, places, 8, PAPER, edge=look.colour, width=1.6, z=8)


def _legend(sheet: Sheet, looks: Sequence[_Look]) -> None:
    """Say beside the curves what each of them is."""
    lines = sum(len(look.words) for look in looks)
    left, top, width, height = _AREA_INCHES
    rows = sheet.area(left + width + 0.12, top + height / 2 - 0.1 * lines, 1.6, 0.2 * lines,
                      (0, 1.6), (lines, 0))  # fmt: skip
    y = 0.5
    for look in looks:
        middle = y + (len(look.words) - 1) / 2
        if look.joined:
            rows.lines([[(0, middle), (0.25, middle)]], look.colour, 1.8)
            rows.marks(look.mark, [(0.125, middle)], 6, look.colour, edge=PAPER)
        else:
            rows.marks(look.mark, [(0.125, middle)], 8, PAPER, edge=look.colour, width=1.6)
        for words in look.words:
            rows.text(0.35, y, words, size=9, along="center")
            y += 1


class Scale:
    """Where gaps stand; logarithmic with room for 0 if they span more than a decade.

    Attributes:
        gaps: all gaps, each once, rising.
        places: where each of them stands.
        low: where the scale begins.
        high: where it ends.
    """

    def __init__(self, gaps: Iterable[float]) -> None:
        self.gaps = sorted(set(gaps))
        positive = [gap for gap in self.gaps if gap > 0]
        self._least = positive[0] if positive and positive[-1] / positive[0] > 10 else None
        last = positive[-1] if positive else 1
        if self._least is None:
            self.low, self.high = -0.02 * last, 1.03 * last
        else:
            self.low = self(-0.15 * self._least if 0 in self.gaps else 0.9 * self._least)
            self.high = self(1.12 * last)
        self.places = [self(gap) for gap in self.gaps]

    def __call__(self, gap: float) -> float:
        """Return where a gap stands, from the least one on in decades."""
        if self._least is None:
            return gap
        if gap <= self._least:
            return gap / self._least * _NEAR_ZERO
        return _NEAR_ZERO + log10(gap / self._least)

    def labels(self) -> list[str]:
        """Return a label for each gap; it is empty if that of a rounder number is too near."""
        apart = _LABELS_APART * (self.high - self.low)
        kept: list[float] = []
        for gap in sorted(self.gaps, key=_roundness):
            if all(abs(self(gap) - self(other)) >= apart for other in kept):
                kept.append(gap)
        return [f"{gap:g}" if gap in kept else "" for gap in self.gaps]


def _roundness(value: float) -> tuple[int, int]:
    """A sort key: 1, 10, 100... first, then 2, 5, 20, 50..., then one digit, then the rest."""
    digits = f"{value:e}".partition("e")[0].replace(".", "").rstrip("0")
    return len(digits), {"1": 0, "2": 1, "5": 1}.get(digits, 2)
