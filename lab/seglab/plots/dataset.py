"""The figure of a dataset: the number of sessions by label, and the length of the sessions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglab.core.text import safe
from seglab.plots.style import BLUE, GREEN, INK, MUTED, ORANGE, RULE, WRITES, heading

PARTS = {"train": BLUE, "validation": ORANGE, "test": GREEN, None: RULE}
"""The colour of each part of a dataset; ``None`` is for sessions that are in no part."""

CURVES = (*WRITES, INK, "#8c6d31")
"""The colours of the curves: one for each style of the lab."""

DASHES = ("-", "--", ":", "-.")
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
_NAME_MAX = 26


def summary(
    title: str,
    subtitle: str,
    labels: Mapping[str, Counts],
    networks: Panel,
    segments: Mapping[str, Mapping[int, int]],
    reads: Mapping[str, Mapping[int, int]],
) -> Figure:
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
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    heading(figure, title, subtitle)
    there = {part for _, counts in panels for value in counts.values() for part in value}
    _legend(figure, height, [part for part in PARTS if part or part in there])
    for x, column in zip((0.15, 0.65), columns, strict=True):
        at = 1 - _TOP_INCHES / height
        for name, counts in column:
            tall = max(len(counts), 1) * _BAR_INCHES / height
            _bars(figure.add_axes((x, at - tall, 0.31, tall)), name, counts)
            at -= tall + _GAP_BARS * _BAR_INCHES / height
    bottom, curves = _BOTTOM_INCHES / height, _CURVES_INCHES / height
    for x, name, counted in ((0.08, "segments", segments), (0.57, "reads", reads)):
        _curves(figure.add_axes((x, bottom, 0.39, curves)), name, counted)
    return figure


def _columns(panels: Sequence[Panel]) -> tuple[tuple[list[Panel], list[Panel]], float]:
    """The panels in two columns of similar height, and the height of the taller one in bars."""
    columns: tuple[list[Panel], list[Panel]] = ([], [])
    heights = [0.0, 0.0]
    for panel in panels:
        shorter = heights.index(min(heights))
        columns[shorter].append(panel)
        heights[shorter] += max(len(panel[1]), 1) + _GAP_BARS
    return columns, max(heights) - _GAP_BARS


def _bars(axes: Axes, name: str, counts: Counts) -> None:
    """Draw one bar for each value, divided by part."""
    values = sorted(counts)
    start = np.zeros(len(values))
    for part, colour in PARTS.items():
        width = np.array([counts[value].get(part, 0) for value in values], dtype=float)
        if width.any():
            axes.barh(range(len(values)), width, 0.72, left=start, color=colour)
            start += width
    axes.set_yticks(range(len(values)), [_short(value) for value in values])
    axes.set(ylim=(len(values) - 0.4, -0.6), xlim=(0, max(start.max(initial=0) * 1.16, 1)))
    axes.set_title(name, size=10, pad=5, color=INK)
    axes.set_xticks([])
    axes.spines[["bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    for y, total in enumerate(start):
        axes.text(total, y, f" {total:,.0f}", va="center", size=8, color=MUTED)


def _curves(axes: Axes, name: str, counted: Mapping[str, Mapping[int, int]]) -> None:
    """Draw, for each style, the cumulative share of sessions."""
    styles = sorted(counted)
    most = 1
    for number, style in enumerate(styles):
        counts = Counter(counted[style])
        sizes = sorted(counts)
        share = np.cumsum([counts[size] for size in sizes]) / counts.total()
        colour = CURVES[number % len(CURVES)]
        broken = (number + number // len(CURVES)) % len(DASHES)
        xs, ys = [sizes[0], *sizes, sizes[-1]], [0.0, *share, 1.0]
        axes.step(
            xs, ys, where="post", color=colour, ls=DASHES[broken], lw=1.6, label=style,
            zorder=2 + broken / len(DASHES),
        )  # fmt: skip
        most = max(most, sizes[-1])
    axes.set_xscale("log")
    axes.set(xlim=(0.9, most * 1.15), ylim=(0, 1.02), xlabel=f"{name} of a session, at most")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000) if tick <= most]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.grid(axis="both", lw=0.5)
    axes.set_title(f"{name}: share of each style's sessions", size=10, pad=5, color=INK)
    if name == "segments":
        axes.legend(
            loc="lower right", fontsize=7.5, handlelength=2.6, labelspacing=0.25,
            frameon=True, framealpha=0.85, edgecolor="none",
        )  # fmt: skip


def _legend(figure: Figure, height: float, parts: Sequence[str | None]) -> None:
    y = 1 - 0.82 / height
    x = 0.15
    for part in parts:
        colour, words = PARTS[part], part or "in no part"
        figure.text(x, y, "■", size=11, color=colour, va="center")
        figure.text(x + 0.018, y, words, size=9, color=MUTED, va="center")
        x += 0.045 + 0.0062 * len(words)


def _short(text: str) -> str:
    return safe(text if len(text) <= _NAME_MAX else text[: _NAME_MAX - 1] + "…")
