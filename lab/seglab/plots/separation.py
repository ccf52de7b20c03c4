"""The curve of the probability that two writes stay apart, over the gap between them."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from seglab.plots.style import BLUE, INK, ORANGE, PAPER, VERMILLION, heading
from seglab.reproduction.separation import PublishedSeparation, SeparationPoint
from seglab.reproduction.statistics import wilson

_LABELS_APART = 0.034


def curve(
    scenario: str,
    points: Sequence[SeparationPoint],
    published: Sequence[PublishedSeparation] = (),
) -> Figure:
    """Two curves, one of the wire and one of the reads, with 95 % Wilson intervals.

    Args:
        scenario: the name of the scenario.
        points: one point for each gap, by rising gap.
        published: the shares among the paper's printed sessions, at its own gaps.
    """
    figure = Figure(figsize=(9.4, 4.9))
    sessions = sorted({point.sessions for point in points})
    each = " to ".join(map(str, sorted({sessions[0], sessions[-1]}))) if sessions else "no"
    heading(
        figure,
        "How often two writes are seen apart",
        f"{scenario}: {each} sessions a gap, bars are 95 % intervals",
    )
    axes = figure.add_axes((0.085, 0.135, 0.72, 0.66))
    gaps = [point.gap_ms for point in points]
    _scale(axes, gaps + [point.gap_ms for point in published])
    wire = [(p.gap_ms, p.wire / p.sessions, *p.wire_interval) for p in points]
    reads = [(p.gap_ms, p.reads / p.sessions, *p.reads_interval) for p in points]
    _draw(axes, wire, color=ORANGE, marker="s", label="on the wire", zorder=5)
    _draw(axes, reads, color=BLUE, marker="o", label="in the reads", zorder=6)
    _draw_published(axes, published)
    axes.set(ylim=(-0.03, 1.05), xlabel="gap between the two writes (ms)")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_ylabel("sessions with the writes apart (%)")
    axes.grid()
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=3, color=INK)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), labelcolor=INK)
    return figure


def _draw(axes: Axes, shares: Sequence[tuple[float, float, float, float]], **look: Any) -> None:
    """A line through ``(gap, share, low, high)``, with a bar from low to high at each gap."""
    for gap, _, low, high in shares:
        axes.plot([gap, gap], [low, high], color=look["color"], zorder=look["zorder"], lw=1.6)
    gaps, middles = [s[0] for s in shares], [s[1] for s in shares]
    axes.plot(gaps, middles, lw=1.8, markersize=6, markeredgecolor=PAPER, clip_on=False, **look)


def _draw_published(axes: Axes, published: Sequence[PublishedSeparation]) -> None:
    for index, point in enumerate(published):
        low, high = wilson(point.reads, point.sessions)
        axes.vlines(point.gap_ms, low, high, color=VERMILLION, linewidth=1, zorder=3)
        axes.plot(
            point.gap_ms, point.reads / point.sessions, "D", color=PAPER, markersize=8,
            markeredgecolor=VERMILLION, markeredgewidth=1.6, zorder=8, clip_on=False,
            linestyle="none",
            label=None if index else f"published\n({point.sessions} sessions each)",
        )  # fmt: skip


def _scale(axes: Axes, gaps: Sequence[float]) -> None:
    """Make the axis linear; if the gaps span more than a decade, logarithmic with room for 0."""
    positive = sorted({gap for gap in gaps if gap > 0})
    ticks = sorted(set(gaps))
    if positive and positive[-1] / positive[0] > 10:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=0.6)
        axes.set_xlim(-positive[0] * 0.15 if 0 in ticks else positive[0] * 0.9, positive[-1] * 1.12)
    elif positive:
        axes.set_xlim(-positive[-1] * 0.02, positive[-1] * 1.03)
    axes.set_xticks(ticks, labels=_thinned(axes, ticks))
    axes.xaxis.set_minor_locator(NullLocator())


def _thinned(axes: Axes, ticks: Sequence[float]) -> list[str]:
    """A label for each tick; it is empty if the label of a rounder number is too near."""
    scale = axes.transData + axes.transAxes.inverted()
    places = {tick: float(scale.transform((tick, 0))[0]) for tick in ticks}
    kept: list[float] = []
    for tick in sorted(ticks, key=_roundness):
        if all(abs(places[tick] - places[other]) >= _LABELS_APART for other in kept):
            kept.append(tick)
    return [f"{tick:g}" if tick in kept else "" for tick in ticks]


def _roundness(value: float) -> tuple[int, int]:
    """A sort key: 1, 10, 100... first, then 2, 5, 20, 50..., then one digit, then the rest."""
    digits = f"{value:e}".partition("e")[0].replace(".", "").rstrip("0")
    return len(digits), {"1": 0, "2": 1, "5": 1}.get(digits, 2)
