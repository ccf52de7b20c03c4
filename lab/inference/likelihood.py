"""How well a hypothesis explains the units: bits for all that it does not predict.

A walk over the units in stream order. Each short segment ends where a write ended, or where the
path cut a segment anew, or is not explained. Each end of a write either shows or is hidden, and
what is likely depends on the sender's TCP at that moment: in the first window, an end shows;
behind a full window it need not; and with Nagle's algorithm, one that follows a small segment
not yet acknowledged is held back and joins what comes next (tcp_nagle_check, tcp_minshall_check).
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import Final

from lab.inference.path import Path
from lab.inference.units import Unit
from lab.inference.writers import Hypothesis

UNEXPLAINED: Final = 18.0
"""Bits for an end of a segment that nothing explains."""

IMPOSSIBLE: Final = 40.0
"""Bits for what cannot be."""

_SHOWN = 0.1
_HIDDEN_EARLY = ((1, 10.0), (4, 8.0), (10, 6.0))
_LATE = 1.0
_LATE_HIDDEN = 0.1
_HIDDEN_BEHIND_FALL = 2.0
_HIDDEN_AGAIN = 5.0
_HELD = 0.1
_RELEASED = 3.0
_MERGED = (0.15, 2.0)
_RECUT = 0.5
_RECUT_UNSURE = 2.0
_BYTE_WINDOW = 5.0
_ADRIFT = 14.0
_AMID = 2.5
_BACK = 6.0
_CUT_SOMEHOW = (3.0, 6.0)
_NO_PUSH = 5.0
_PUSH_AMID_LINES = 7.0
_PUSH_AT_LEVEL = 1.5
_BEFORE_FALL = 6.0  # a segment of the lower size before the fall has cost a packet
_PAUSE_SEEN = 0.3
_PAUSE_MISSED = 3.0
_PAUSE_UNKNOWN = 0.5
_PAUSE_ODD = 6.0
_STATES_MAX = 12
_LINE_BYTES = 60.0
_LINE_MAX = 1000
_LINE_END_BITS = 5.5
_LINE_HIDDEN = 9.0
_LINES_SPREAD = 0.5
_LINES_SPREAD_MIN = 0.1
_LINES_ALIKE = 2.0
_ENCODED_LINE_BYTES = 78  # 76 characters (RFC 2045, 6.7 and 6.8) and CRLF
_TYPICAL_UNITS = 64
_LINES_ODD_MAX = 20.0
_LINES_LEFT = 11.0
_FOLDED = 2.0
_LONG_FIRST = 6.0
_LINE_HIDDEN_MAX = 40.0
_LINES_MERGED_MAX = 12.0
_LINE_LONG = 200


@dataclass(frozen=True, slots=True)
class Explained:
    """What a walk found.

    Attributes:
        bits: for all that was not predicted.
        shown: ends of writes that show.
        recut: ranges of segments that the path cut anew.
        behind_bits: what one more end would cost that the last unit runs across.
        odd: ends of units that nothing explains.
    """

    bits: float
    shown: tuple[int, ...]
    recut: tuple[tuple[int, int], ...] = ()
    behind_bits: float = 0.0
    odd: int = 0


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to have come as far as this.

    Attributes:
        bits: its cost.
        anchor: the last end that showed: whole segments of the base count from it.
        shown: all ends that showed.
        recut: of the path's doing.
        adrift: where segments of a lower level count from, since the path's MTU fell.
        odd: ends that nothing explains.
    """

    bits: float
    anchor: int
    shown: tuple[int, ...]
    recut: tuple[tuple[int, int], ...] = ()
    adrift: int | None = None
    odd: int = 0

    def further(self, bits: float) -> "_Way":
        """The same way, at a cost."""
        return replace(self, bits=self.bits + bits)

    def cut(self, bits: float, end: int) -> "_Way":
        """The way on which a write's end shows here: segments count from it."""
        return _Way(self.bits + bits, end, (*self.shown, end), self.recut, odd=self.odd)


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
        self.unheard = not any(unit.again for unit in units)
        self.merged = _merged_bits(units, path.base)
        self.reaching = path.reaching

    def run(self, limit: float) -> Explained | None:
        """Walk all units; ``None`` as soon as even the best way costs more than ``limit``."""
        ways = [_Way(0.0, 0, ())]
        for number, unit in enumerate(self.units):
            if unit.again:
                self.late = True
            ways = self.union(ways, number, unit) if unit.union else self.single(ways, number, unit)
            if ways[0].bits > limit:
                return None
        way = ways[0]
        behind_bits = self.behind_bits(bool(way.shown))
        return Explained(way.bits, way.shown, way.recut, behind_bits, way.odd)

    def behind_bits(self, small: bool) -> float:
        """Bits for one more end, in the last unit, that runs across it."""
        number = len(self.units) - 1
        bits = self.hidden_bits(number, self.total - 1, small)
        if self.units[-1].union:
            bits = min(bits, self.shown_bits(number, self.total - 1, small) + self.merged)
        return bits

    def ends_within(self, start: int, end: int) -> tuple[int, ...]:
        """Ends of writes in ``start < offset < end``."""
        ends = self.guess.ends
        low = bisect_right(ends, start)
        return ends[low : bisect_right(ends, end - 1, low)]

    def early(self, number: int, offset: int) -> float | None:
        """Bits for an end hidden in the first window; ``None`` when that is over.

        A fall of the path's MTU costs the first window's packets, and what is written meanwhile
        waits behind them; reads do not say when.
        """
        place = max(number, offset // self.path.base)
        if self.path.fell and place and self.units[number].union:
            return _HIDDEN_BEHIND_FALL
        for until, bits in _HIDDEN_EARLY:
            if place < until:
                return min(bits, _HIDDEN_AGAIN) if self.late and place else bits
        return None

    def hidden_bits(self, number: int, offset: int, small: bool) -> float:
        """Bits for an end that does not show; ``small`` says that a small segment is before it."""
        if self.nagle and small:
            return _HELD
        bits = self.early(number, offset)
        return _LATE_HIDDEN if bits is None else bits

    def shown_bits(self, number: int, offset: int, small: bool) -> float:
        """Bits for one that does."""
        if self.nagle and small:
            return _RELEASED
        return _LATE if self.early(number, offset) is None else _SHOWN

    def single(self, ways: list[_Way], number: int, unit: Unit) -> list[_Way]:
        """A unit that is one segment: there is one way, and the unit decides it."""
        way = ways[0]
        shown, recut, anchor, odd = way.shown, way.recut, way.anchor, way.odd
        small = bool(shown)
        bits = way.bits + (self.lines_within(number, unit, small) if self.guess.lines else 0.0)
        for end in self.ends_within(unit.start, unit.end):
            bits += self.hidden_bits(number, end, small)
        at_end = unit.end in self.guess.members
        if unit.size in self.path.levels:
            bits += self.full_bits(number, unit, at_end)
            if at_end:
                shown = (*shown, unit.end)
        elif unit.end == self.total:
            pass
        elif self.path.recut(unit.end, anchor) and not (at_end and not unit.again):
            bits += _RECUT if unit.again else _RECUT_UNSURE
            recut = (*recut, (max(anchor, unit.end - self.path.base), unit.end))
        elif at_end or self.guess.lines:
            bits += self.short_bits(number, way, unit) + self.pause_bits(number)
            shown = (*shown, unit.end)
            anchor = unit.end
        elif unit.end % self.path.base == 0 and shown:
            bits += _BYTE_WINDOW
        elif self.path.fell and unit.again and unit.size < self.path.levels[1]:
            bits += _CUT_SOMEHOW[bool(unit.push)]
            recut = (*recut, (unit.start, unit.end))
        else:
            bits += UNEXPLAINED
            anchor = unit.end
            odd += 1
        return [_Way(bits, anchor, shown, recut, odd=odd)]

    def full_bits(self, number: int, unit: Unit, at_end: bool) -> float:
        """Bits for what a full segment's PSH says, and for the pause where a write ends with it.

        Linux sets PSH at the end of each packet of several segments that it hands to the device
        (tcp_transmit_skb), so a long write shows it amid its full segments; lines that fill one
        segment after the other do not.
        """
        bits = 0.0
        if at_end:
            bits += self.pause_bits(number) + (_NO_PUSH if unit.push is False else 0.0)
        if not unit.push or self.late:
            return bits
        if self.guess.lines and self.early(number, unit.start) is not None:
            bits += _PUSH_AMID_LINES
        if unit.size < self.path.base and not at_end:
            bits += _PUSH_AT_LEVEL if self.unheard else _BEFORE_FALL
        return bits

    def short_bits(self, number: int, way: _Way, unit: Unit) -> float:
        """Bits for a write's end that shows as the end of a short segment."""
        bits = self.shown_bits(number, unit.end, bool(way.shown))
        if unit.push is False:
            bits += _NO_PUSH
        return bits + self.line_end_bits(number, way, unit.end)

    def line_end_bits(self, number: int, way: _Way, end: int) -> float:
        """Bits for a write of lines to end here.

        Each write of the first window shows, and one of so many lines has about the size of the
        first; later, and behind Nagle's algorithm, what was written meanwhile goes along, and its
        size follows no rule.
        """
        if not self.guess.lines or end in self.guess.members:
            return 0.0
        amid = self.guess.amid_line(end)
        if amid:
            return IMPOSSIBLE
        if not way.shown:
            bits = _LINE_END_BITS
        elif (self.nagle and way.shown) or self.early(number, end) is None:
            bits = _LINES_LEFT
        elif self.guess.buffer == 1:
            bits = _LINE_END_BITS
        elif self.units[number].union or self.as_many_lines(way, end):
            bits = self.lines_size_bits(end - way.anchor, self.units[number].union)
        else:
            return IMPOSSIBLE
        if end in self.guess.lines_known:
            bits -= _LINE_END_BITS
        elif amid is None:
            bits += _FOLDED
        return max(min(bits, _LINES_ODD_MAX), 0.0)

    def as_many_lines(self, way: _Way, end: int) -> bool:
        """Whether a write may have as many lines as the first one."""
        fewest, most = self.guess.lines_between(0, way.shown[0])
        least, largest = self.guess.lines_between(way.anchor, end)
        return fewest <= largest and least <= most

    def lines_size_bits(self, size: int, union: bool) -> float:
        """Bits for the size of a write of several lines, given those of the others.

        Lines of a paragraph vary, so do their sums, by the square root of their number; lines of
        encoded text are all alike.
        """
        typical, usual = self.typical
        if size == usual and size % _ENCODED_LINE_BYTES == 0:
            return _LINES_ALIKE
        joined = max(round(size / typical), 1) if union else 1
        lines = joined * typical / _LINE_BYTES
        spread = joined * typical * max(_LINES_SPREAD / math.sqrt(lines), _LINES_SPREAD_MIN)
        z = (size - joined * typical) / spread
        return math.log2(spread * math.sqrt(2 * math.pi)) + z * z / 2 / math.log(2)

    @cached_property
    def typical(self) -> tuple[float, int | None]:
        """The median size of what may be a write, and the size that comes again and again."""
        sizes = []
        start = 0
        for unit in self.units[: 4 * _TYPICAL_UNITS]:
            if unit.size not in self.path.levels and not self.path.recut(unit.end, start):
                sizes.append(unit.end - start)
                start = unit.end
        sizes = sizes[:_TYPICAL_UNITS] or [self.units[0].size]
        ((size, count),) = Counter(sizes).most_common(1)
        return median(sizes), size if count >= 3 else None

    def lines_within(self, number: int, unit: Unit, small: bool) -> float:
        """Bits for the lines that a segment holds though each had its own write."""
        if self.guess.buffer != 1 or (self.nagle and small):
            return 0.0
        if self.early(number, unit.start) is None:
            return 0.0
        inside = sum(unit.start < end < unit.end for end in self.guess.lines_known)
        inside = max(inside, int(unit.size / _LINE_BYTES / 3))
        return min(inside * _LINE_HIDDEN, _LINE_HIDDEN_MAX) + 30.0 * (unit.size > _LINE_MAX)

    def pause_bits(self, number: int) -> float:
        """Bits for the pause, or its absence, after the unit that a write ends with."""
        following = self.units[number + 1] if number + 1 < len(self.units) else None
        stall = following.stall if following is not None and not following.again else None
        if self.path.fell and self.units[number].union:
            stall = None  # a packet that was lost made the reader wait, and reads do not tell
        if self.guess.paused:
            if stall is None:
                return _PAUSE_UNKNOWN
            return _PAUSE_SEEN if stall else _PAUSE_MISSED
        if stall and following is not None and self.early(number, following.start) is not None:
            released = self.nagle and following.size < self.path.base
            return _SHOWN if released else _PAUSE_ODD
        return 0.0

    def union(self, ways: list[_Way], number: int, unit: Unit) -> list[_Way]:
        """A unit that joins whole segments: each end within it shows or is hidden."""
        inside = self.ends_within(unit.start, unit.end)
        if inside:
            ways = _best([w for way in ways for w in self.within(way, number, unit, inside)])
        if unit.end == self.total:
            return ways
        return _best([w for way in ways for w in self.at_end(way, number, unit)])

    def within(self, way: _Way, number: int, unit: Unit, inside: Sequence[int]) -> Iterator[_Way]:
        """The ways through a union: no end within it shows, or some and one of them last.

        Only an end from which whole segments reach the union's own end can be the last to show,
        or the first, behind which Nagle's algorithm holds the others back.
        """
        small = bool(way.shown)
        hidden = [self.hidden_bits(number, end, small) for end in inside]
        yield way.further(sum(hidden))
        shown = [self.shown_bits(number, end, small) + self.merged for end in inside]
        before = 0.0
        for place, end in enumerate(inside):
            last = place == len(inside) - 1
            if not place or last or (unit.end - end) % self.path.base in self.reaching:
                after = sum(self.hidden_bits(number, later, True) for later in inside[place + 1 :])
                yield way.cut(before + shown[place] + after, end)
            before += min(hidden[place], shown[place])

    def at_end(self, way: _Way, number: int, unit: Unit) -> Iterator[_Way]:
        """The ways to explain why a union ends where it does."""
        if self.guess.lines:
            yield from self.line_ends(way, number, unit)
            return
        aligned = self.aligned(way, unit)
        if aligned is not None:
            yield aligned
        if unit.end in self.guess.members:
            bits = self.shown_bits(number, unit.end, bool(way.shown)) + self.pause_bits(number)
            yield way.cut(bits, unit.end)
        if aligned is None:
            bits = _ADRIFT if self.path.fell else UNEXPLAINED
            yield _Way(way.bits + bits, unit.end, way.shown, way.recut, odd=way.odd + 1)

    def line_ends(self, way: _Way, number: int, unit: Unit) -> Iterator[_Way]:
        """The same where each line is a write.

        Without Nagle's algorithm each segment of the first window is a write, and a union of them
        joins many; with it, the first write goes alone and whole segments follow.
        """
        early = self.early(number, unit.start) is not None
        bits = 0.0
        if early and not self.nagle:
            writes = unit.size / _LINE_BYTES if self.guess.buffer == 1 else 1.0
            bits += min(self.merged * max(writes - 1, 0), _LINES_MERGED_MAX)
        aligned = self.aligned(way, unit)
        if aligned is not None and (self.nagle or not early) and (way.shown or not early):
            yield aligned.further(bits)
            return
        end = unit.end
        if self.nagle and not way.shown and unit.size > self.path.base:
            end = unit.start + unit.size % self.path.base or unit.end
            bits += self.merged
        bits += self.shown_bits(number, end, bool(way.shown))
        bits += self.line_end_bits(number, way, end)
        bits += self.pause_bits(number) if end == unit.end else 0.0
        if self.guess.buffer == 1 and not way.shown and end - unit.start > _LINE_LONG:
            bits += _LONG_FIRST
        yield way.cut(bits, end)

    def aligned(self, way: _Way, unit: Unit) -> _Way | None:
        """The way on which a union ends with a whole segment; ``None`` if none can end there."""
        base = self.path.base
        if (unit.end - way.anchor) % base == 0:
            return way if way.adrift is None else replace(way, adrift=None)
        if way.adrift is not None:
            if any((unit.end - way.adrift) % level == 0 for level in self.path.levels[1:]):
                return way
            if unit.size % base == 0:  # the path takes whole segments again, from here on
                return replace(way, bits=way.bits + _BACK, anchor=unit.end, adrift=None)
        if self.path.amid(unit.end, way.anchor):
            return replace(way, bits=way.bits + _AMID, adrift=unit.end)
        return None


def _merged_bits(units: Sequence[Unit], base: int) -> float:
    """Bits for a union to run across an end that shows: few where the reader joins much anyway."""
    low, high = _MERGED
    if len(units) == 1:
        return low
    segments = units[-1].end / base
    share = (max(segments - len(units), 0.0) + 1.0) / (max(segments, len(units)) + 2.0)
    return min(max(-math.log2(share), low), high)


def _best(ways: list[_Way]) -> list[_Way]:
    """The cheapest way to each anchor, the cheapest first."""
    found: dict[tuple[int, int | None], _Way] = {}
    for way in ways:
        other = found.get((way.anchor, way.adrift))
        if other is None or way.bits < other.bits:
            found[way.anchor, way.adrift] = way
    return sorted(found.values(), key=lambda way: way.bits)[:_STATES_MAX]
