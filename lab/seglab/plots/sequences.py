"""Bars of how often each sequence of read sizes occurs, in the paper and in the lab."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglab.core.text import spaced
from seglab.plots.style import BLUE, INK, MUTED, ORANGE, PAPER, bare, heading
from seglab.reproduction.scenarios import Occurrence, Sequences
from seglab.reproduction.statistics import wilson

_OTHERS_SHOWN = 5
_ROW_INCHES = 0.4
_BAR = 0.36
_LONG = 46


def frequencies(scenario: str, sequences: Sequences) -> Figure:
    """Two bars for each sequence: its share of the published sessions, and of the lab's.

    The published sequences are above the dashed line. Below it are sequences that only the lab
    has: the most frequent ones with a bar each, all others with one bar together. The lab's bars
    have 95 % Wilson intervals.
    """
    shown = sequences.others[:_OTHERS_SHOWN]
    rest = sequences.others[_OTHERS_SHOWN:]
    rows = len(sequences.printed) + len(shown) + bool(rest)
    height = 1.75 + _ROW_INCHES * max(rows, 1)
    figure = Figure(figsize=(9.4, height))
    heading(figure, *_words(scenario, sequences))
    axes = figure.add_axes((0.36, 0.62 / height, 0.56, 1 - 1.75 / height))
    y = 0.0
    ticks: list[tuple[float, str]] = []
    for item in (*sequences.printed, *shown):
        _draw_row(axes, y, item, sequences)
        ticks.append((y, _label(item)))
        y += 1
    if rest:
        together = Occurrence((), 0, sum(item.lab for item in rest))
        _draw_row(axes, y, together, sequences)
        ticks.append((y, f"{len(rest)} other sequence{'' if len(rest) == 1 else 's'}"))
    _finish(axes, ticks, len(sequences.printed))
    _legend(figure, height)
    return figure


def _words(scenario: str, sequences: Sequences) -> tuple[str, str]:
    lab = f"{sequences.lab_sessions} in the lab"
    if not sequences.printed:
        return "The most frequent read sequences", f"{scenario}: {lab}; nothing published"
    found = len(sequences.printed) - len(sequences.missing)
    return (
        f"{found} of {len(sequences.printed)} published read sequences occur in the lab",
        f"{scenario}: {sequences.published_sessions} sessions published, {lab}",
    )


def _draw_row(axes: Axes, y: float, item: Occurrence, sequences: Sequences) -> None:
    if item.published:
        share = 100 * item.published / sequences.published_sessions
        axes.barh(y - _BAR / 2, share, _BAR, color=ORANGE)
        _note(axes, share, y - _BAR / 2, str(item.published))
    if not sequences.lab_sessions:
        return
    share = 100 * item.lab / sequences.lab_sessions
    low, high = (100 * end for end in wilson(item.lab, sequences.lab_sessions))
    at = y + _BAR / 2 if item.published else y
    axes.barh(at, share, _BAR, color=BLUE)
    for colour, width in ((PAPER, 3.2), (INK, 1.1)):
        axes.plot([low, high], [at, at], color=colour, linewidth=width, solid_capstyle="butt")
    axes.plot([low, high], [at, at], "|", color=INK, markersize=5)
    _note(axes, high, at, str(item.lab))


def _note(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(
        text, (x, y), (5, 0), textcoords="offset points", va="center", size=8.5, color=MUTED
    )


def _finish(axes: Axes, ticks: list[tuple[float, str]], printed: int) -> None:
    bare(axes)
    axes.set_yticks([y for y, _ in ticks], [label for _, label in ticks])
    axes.tick_params(axis="y", labelcolor=INK, labelsize=9, pad=6)
    axes.set_ylim(max(len(ticks) - 0.4, 0.6), -0.6)
    axes.set_xlim(left=0)
    axes.margins(x=0.08)
    axes.grid(axis="x")
    axes.set_xlabel("share of the sessions (%), number of sessions beside each bar", labelpad=6)
    if len(ticks) > printed:
        axes.axhline(printed - 0.5, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))


def _legend(figure: Figure, height: float) -> None:
    y = 1 - 0.86 / height
    for x, colour, text in ((0.36, ORANGE, "published"), (0.5, BLUE, "the lab, 95 % interval")):
        figure.text(x, y, "■", color=colour, size=12, va="center")
        figure.text(x + 0.02, y, text, color=INK, size=9, va="center")


def _label(item: Occurrence) -> str:
    text = spaced(item.sizes)
    return text if len(text) <= _LONG else f"{text[: _LONG - 2].rsplit(' ', 1)[0]} …"
