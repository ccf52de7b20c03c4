"""Bars of how often each sequence of read sizes occurs, in the paper and in the lab."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from seglab.core.text import spaced
from seglab.plots.scale import draw_grid, draw_lanes, draw_legend, draw_scale, round_steps
from seglab.plots.sheet import Area, Outline, Sheet, box
from seglab.plots.style import BLUE, INK, MUTED, ORANGE, PAPER
from seglab.reproduction.scenarios import Occurrence, Sequences
from seglab.reproduction.statistics import wilson

_OTHERS_SHOWN = 5
_WIDTH_INCHES, _ROW_INCHES = 9.4, 0.4
_LEFT_INCHES, _RIGHT_INCHES = 3.384, 0.752
_TOP_INCHES, _BOTTOM_INCHES = 1.13, 0.62
_BAR = 0.36
_LONG = 46
_MARGIN = 1.05
"""How far the scale reaches, in lengths of the longest bar."""


def frequencies(scenario: str, sequences: Sequences) -> Sheet:
    """Two bars for each sequence: its share of the published sessions, and of the lab's.

    The published sequences are above the dashed line. Below it are sequences that only the lab
    has: the most frequent ones with a bar each, all others with one bar together. The lab's bars
    have 95 % Wilson intervals.
    """
    rest = sequences.others[_OTHERS_SHOWN:]
    rows = [(_label(item), item) for item in sequences.printed]
    rows += [(_label(item), item) for item in sequences.others[:_OTHERS_SHOWN]]
    if rest:
        words = f"{len(rest)} other sequence{'' if len(rest) == 1 else 's'}"
        rows.append((words, Occurrence((), 0, sum(item.lab for item in rest))))
    bars = [bar for y, (_, item) in enumerate(rows) for bar in _bars(y, item, sequences)]
    drawn = _ROW_INCHES * max(len(rows), 1)
    sheet = Sheet(_WIDTH_INCHES, _TOP_INCHES + drawn + _BOTTOM_INCHES)
    sheet.heading(*_words(scenario, sequences))
    area = sheet.area(
        _LEFT_INCHES,
        _TOP_INCHES,
        _WIDTH_INCHES - _LEFT_INCHES - _RIGHT_INCHES,
        drawn,
        (0, _MARGIN * max((max(bar.share, bar.high) for bar in bars), default=1)),
        (max(len(rows) - 0.4, 0.6), -0.6),
    )
    _draw_bars(area, bars)
    printed = len(sequences.printed)
    if len(rows) > printed:
        line = [(0, printed - 0.5), (area.x[1], printed - 0.5)]
        area.lines([line], MUTED, 0.9, dashes=(2, 2))
    draw_lanes(area, {y: label for y, (label, _) in enumerate(rows)}, size=9)
    shares = round_steps(area.x[1])
    draw_grid(area, up=shares)
    words = "share of the sessions (%), number of sessions beside each bar"
    draw_scale(area, shares, [f"{share:g}" for share in shares], words)
    entries = (ORANGE, "published", 1.316), (BLUE, "the lab, 95 % interval", 0)
    draw_legend(sheet, _LEFT_INCHES, 0.86, entries, 0.188)
    return sheet


def _words(scenario: str, sequences: Sequences) -> tuple[str, str]:
    lab = f"{sequences.lab_sessions} in the lab"
    if not sequences.printed:
        return "The most frequent read sequences", f"{scenario}: {lab}; nothing published"
    found = len(sequences.printed) - len(sequences.missing)
    return (
        f"{found} of {len(sequences.printed)} published read sequences occur in the lab",
        f"{scenario}: {sequences.published_sessions} sessions published, {lab}",
    )


class _Bar(NamedTuple):
    """A bar: its middle, its share in percent, its interval, its colour, and its sessions."""

    y: float
    share: float
    low: float
    high: float
    colour: str
    sessions: int


def _bars(y: float, item: Occurrence, sequences: Sequences) -> Iterator[_Bar]:
    """Yield the bars of a row; the paper's has no interval."""
    if item.published:
        share = 100 * item.published / sequences.published_sessions
        yield _Bar(y - _BAR / 2, share, share, share, ORANGE, item.published)
    if sequences.lab_sessions:
        share = 100 * item.lab / sequences.lab_sessions
        low, high = (100 * end for end in wilson(item.lab, sequences.lab_sessions))
        yield _Bar(y + _BAR / 2 * bool(item.published), share, low, high, BLUE, item.lab)


def _draw_bars(area: Area, bars: Sequence[_Bar]) -> None:
    for colour in (ORANGE, BLUE):
        some = [bar for bar in bars if bar.colour == colour]
        faces = [box(0, bar.y + _BAR / 2, bar.share, bar.y - _BAR / 2) for bar in some]
        area.outlines(faces, colour, z=1)
    intervals: list[Outline] = [
        [(bar.low, bar.y), (bar.high, bar.y)] for bar in bars if bar.colour == BLUE
    ]
    area.lines(intervals, PAPER, 3.2)
    area.lines(intervals, INK, 1.1)
    area.marks("bar", [end for interval in intervals for end in interval], 5, INK)
    for bar in bars:
        words = str(bar.sessions)
        area.text(bar.high, bar.y, words, dx=5, along="center", size=8.5, colour=MUTED)


def _label(item: Occurrence) -> str:
    text = spaced(item.sizes)
    return text if len(text) <= _LONG else f"{text[: _LONG - 2].rsplit(' ', 1)[0]} …"
