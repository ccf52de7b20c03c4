"""How well a hypothesis explains the units: bits for all that it does not predict.

A walk over the units in stream order. Each short segment ends where a write ended, or where the
path cut a segment anew, or is not explained. Each end of a write either shows or is hidden, and
what is likely depends on the sender's TCP at that moment: in the first window, an end shows;
behind a full window it need not; and with Nagle's algorithm, one that follows a small segment
not yet acknowledged is held back and joins what comes next (tcp_nagle_check, tcp_minshall_check).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.inference.path import Path
from lab.inference.units import Unit
from lab.inference.writers import Hypothesis

UNEXPLAINED: Final = 15.0
"""Bits for an end of a segment that nothing explains."""

_SHOWN = 0.1
_HIDDEN_EARLY = ((1, 10.0), (4, 8.0), (10, 6.0))
_LATE = 1.0
_HELD = 0.4
_RELEASED = 3.0
_MERGED = 1.0
_RECUT = 0.5
_RECUT_UNSURE = 2.0
_BYTE_WINDOW = 5.0
_CUT_SOMEHOW = (3.0, 6.0)
_NO_PUSH = 5.0
_PUSH_AMID_LINES = 7.0
_PAUSE_SEEN = 0.3
_PAUSE_MISSED = 5.0
_PAUSE_UNKNOWN = 1.0
_PAUSE_ODD = 6.0
_STATES_MAX = 12
_LINE_BYTES = 60.0
_LINE_MAX = 1000
_LINE_END_BITS = 5.5
_LINE_HIDDEN = 9.0
_LINE_HIDDEN_MAX = 40.0


@dataclass(frozen=True, slots=True)
class Explained:
    """What a walk found.

    Attributes:
        bits: for all that was not predicted.
        shown: ends of writes that show.
        recut: ranges of segments that the path cut anew.
        held: ends behind which Nagle's algorithm held data back.
    """

    bits: float
    shown: tuple[int, ...]
    recut: tuple[tuple[int, int], ...] = ()
    held: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to have come as far as this: which ends showed."""

    bits: float
    anchor: int
    shown: tuple[int, ...]
    recut: tuple[tuple[int, int], ...] = ()


def explain(
    units: Sequence[Unit], path: Path, hypothesis: Hypothesis, *, nagle: bool, limit: float
) -> Explained | None:
    """Walk the units under one path and one hypothesis.

    Args:
        units: in stream order.
        path: which segments are full.
        hypothesis: where writes end.
        nagle: whether the sender's TCP holds small segments back.
        limit: bits above which the result is of no interest.

    Returns:
        What was found, or ``None`` beyond the limit.
    """
    return _Walk(units, path, hypothesis, nagle).run(limit)


class _Walk:
    """The state that is the same for all ways: where in the units, what was held back."""

    def __init__(
        self, units: Sequence[Unit], path: Path, hypothesis: Hypothesis, nagle: bool
    ) -> None:
        self.units = units
        self.path = path
        self.guess = hypothesis
        self.nagle = nagle
        self.total = units[-1].end
        self.late = False
        self.small = False  # a small segment may be unacknowledged
        self.held: list[int] = []
        self.first_full_unpushed = 0

    def run(self, limit: float) -> Explained | None:
        ways = [_Way(0.0, 0, ())]
        for number, unit in enumerate(self.units):
            if unit.again:
                self.late = True
            ways = self.union(ways, number, unit) if unit.union else self.single(ways, number, unit)
            best = ways[0].bits
            if best > limit:
                return None
        way = ways[0]
        return Explained(way.bits, way.shown, way.recut, tuple(self.held))

    def ends_within(self, start: int, end: int) -> tuple[int, ...]:
        """Ends of writes in ``start < offset < end``."""
        ends = self.guess.ends
        low = bisect_right(ends, start)
        high = bisect_right(ends, end - 1, low)
        return ends[low:high]

    def hidden_bits(self, number: int) -> float:
        """Bits for an end that does not show, at this unit."""
        if self.nagle and self.small:
            return _HELD
        if self.late:
            return _LATE
        for until, bits in _HIDDEN_EARLY:
            if number < until:
                return bits
        return _LATE

    def shown_bits(self, number: int) -> float:
        """Bits for one that does."""
        if self.nagle and self.small:
            return _RELEASED
        return _LATE if self.late or number >= _HIDDEN_EARLY[-1][0] else _SHOWN

    def single(self, ways: list[_Way], number: int, unit: Unit) -> list[_Way]:
        """A unit that is one segment: there is one way, and the unit decides it."""
        way = ways[0]
        bits = way.bits
        shown, recut, anchor = way.shown, way.recut, way.anchor
        levels = self.path.levels
        bits += self.lines_within(number, unit) if self.guess.lines else 0.0
        for _ in self.ends_within(unit.start, unit.end):
            bits += self.hidden_bits(number)
        at_end = unit.end in self.guess.members
        if unit.size in levels:
            if at_end:
                shown = (*shown, unit.end)
                bits += self.pause_bits(number) + (_NO_PUSH if unit.push is False else 0.0)
            if unit.push and self.guess.lines and not self.late and number < 10:
                bits += _PUSH_AMID_LINES
        elif unit.end == self.total:
            if self.nagle and unit.stall:
                self.held.append(unit.start)
        elif self.path.recut(unit.end, anchor) and not (at_end and not unit.again):
            bits += _RECUT if unit.again else _RECUT_UNSURE
            recut = (*recut, (max(anchor, unit.end - self.path.base), unit.end))
        elif at_end or self.guess.lines:
            bits += self.end_bits(number, unit) + self.pause_bits(number)
            shown = (*shown, unit.end)
            anchor = unit.end
            self.small = True
        elif unit.end % self.path.base == 0 and shown:
            bits += _BYTE_WINDOW
        elif self.path.fell and unit.again and unit.size < self.path.levels[1]:
            bits += _CUT_SOMEHOW[bool(unit.push)]
            recut = (*recut, (unit.start, unit.end))
        else:
            bits += UNEXPLAINED
            anchor = unit.end
        return [_Way(bits, anchor, shown, recut)]

    def end_bits(self, number: int, unit: Unit) -> float:
        """Bits for a write's end that shows as the end of a short segment."""
        bits = self.shown_bits(number)
        if unit.push is False:
            bits += _NO_PUSH
        known = unit.end in self.guess.members or unit.end in self.guess.lines_known
        if self.guess.lines and not known:
            bits += _LINE_END_BITS
        return bits

    def lines_within(self, number: int, unit: Unit) -> float:
        """Bits for the lines that a segment holds though each had its own write."""
        few = self.guess.buffer == 1
        if self.nagle and self.small:
            return 0.0
        if self.late or number >= _HIDDEN_EARLY[-1][0]:
            return _SHOWN
        if few:
            inside = sum(unit.start < end < unit.end for end in self.guess.lines_known)
            inside = max(inside, int(unit.size / _LINE_BYTES / 3))
            return min(inside * _LINE_HIDDEN, _LINE_HIDDEN_MAX) + 30.0 * (unit.size > _LINE_MAX)
        return 4.0

    def pause_bits(self, number: int) -> float:
        """Bits for the pause, or its absence, after the unit that a write ends with."""
        following = self.units[number + 1] if number + 1 < len(self.units) else None
        stall = following.stall if following is not None and not following.again else None
        if self.guess.paused:
            if stall is None:
                return _PAUSE_UNKNOWN
            return _PAUSE_SEEN if stall else _PAUSE_MISSED
        if stall and not self.late and following is not None:
            if self.nagle and following.size < self.path.base:
                return _SHOWN
            return _PAUSE_ODD if number < _HIDDEN_EARLY[-1][0] else _LATE
        return 0.0

    def union(self, ways: list[_Way], number: int, unit: Unit) -> list[_Way]:
        """A unit that joins whole segments: each end within it shows or is hidden."""
        for end in self.ends_within(unit.start, unit.end):
            ways = [
                *(self.passed(way, number) for way in ways),
                *(self.cut(way, number, end, _MERGED) for way in ways),
            ]
            ways = _best(ways)
        if self.guess.lines:
            lines = self.lines_within(number, unit)
            ways = [_Way(w.bits + lines, w.anchor, w.shown, w.recut) for w in ways]
        if unit.end == self.total:
            return _best(ways)
        found = []
        for way in ways:
            aligned = self.aligned(unit.end, way.anchor)
            if unit.end in self.guess.members:
                found.append(self.cut(way, number, unit.end, 0.0))
                if aligned is not None:
                    found.append(_Way(way.bits + aligned, way.anchor, way.shown, way.recut))
            elif aligned is not None:
                found.append(_Way(way.bits + aligned, way.anchor, way.shown, way.recut))
            elif self.guess.lines:
                found.append(self.cut(way, number, unit.end, _LINE_END_BITS))
            else:
                found.append(_Way(way.bits + UNEXPLAINED, unit.end, way.shown, way.recut))
        if any(unit.end in way.shown for way in found):
            self.small = True
        return _best(found)

    def passed(self, way: _Way, number: int) -> _Way:
        """The way on which an end is hidden."""
        return _Way(way.bits + self.hidden_bits(number), way.anchor, way.shown, way.recut)

    def cut(self, way: _Way, number: int, end: int, more: float) -> _Way:
        """The way on which it shows, as a segment's end."""
        bits = way.bits + self.shown_bits(number) + more
        if not more:
            bits += self.pause_bits(number)
        return _Way(bits, end, (*way.shown, end), way.recut)

    def aligned(self, end: int, anchor: int) -> float | None:
        """Bits for a union to end with a segment counted from ``anchor``; ``None`` if none does."""
        if (end - anchor) % self.path.base == 0:
            return 0.0
        return _RECUT_UNSURE if self.path.amid(end, anchor, self.path.levels[1:]) else None


def _best(ways: list[_Way]) -> list[_Way]:
    """The cheapest way to each anchor, the cheapest first."""
    found: dict[int, _Way] = {}
    for way in ways:
        other = found.get(way.anchor)
        if other is None or way.bits < other.bits:
            found[way.anchor] = way
    return sorted(found.values(), key=lambda way: way.bits)[:_STATES_MAX]
