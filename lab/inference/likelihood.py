"""How well a hypothesis explains the units: bits for all that it does not predict.

A walk over the units in stream order. Each short segment ends where a write ended, or where the
path cut a segment anew, or is not explained. Each end of a write either shows or is hidden, and
what is likely depends on the sender's TCP at that moment: in the first window, an end shows;
behind a full window it need not; and with Nagle's algorithm, one that follows a small segment
not yet acknowledged is held back and joins what comes next (tcp_nagle_check, tcp_minshall_check).
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lab.inference import cost
from lab.inference.path import Path
from lab.inference.units import Unit
from lab.inference.writers import Hypothesis

_STATES_MAX = 12


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
class Way:
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

    def further(self, bits: float) -> "Way":
        """The same way, at a cost."""
        return replace(self, bits=self.bits + bits)

    def cut(self, bits: float, end: int) -> "Way":
        """The way on which a write's end shows here: segments count from it."""
        return Way(self.bits + bits, end, (*self.shown, end), self.recut, odd=self.odd)


class Walk:
    """The walk of writers whose writes end where their hypothesis says.

    Attributes:
        anywhere: whether a write may end at any byte.
    """

    anywhere = False

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
        ways = [Way(0.0, 0, ())]
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
            return cost.HIDDEN_BEHIND_FALL
        for until, bits in cost.HIDDEN_EARLY:
            if place < until:
                return min(bits, cost.HIDDEN_AGAIN) if self.late and place else bits
        return None

    def hidden_bits(self, number: int, offset: int, small: bool) -> float:
        """Bits for an end that does not show; ``small`` says that a small segment is before it."""
        if self.nagle and small:
            return cost.HELD
        bits = self.early(number, offset)
        return cost.LATE_HIDDEN if bits is None else bits

    def shown_bits(self, number: int, offset: int, small: bool) -> float:
        """Bits for one that does."""
        if self.nagle and small:
            return cost.RELEASED
        return cost.LATE_SHOWN if self.early(number, offset) is None else cost.SHOWN

    def single(self, ways: list[Way], number: int, unit: Unit) -> list[Way]:
        """A unit that is one segment: there is one way, and the unit decides it."""
        way = ways[0]
        shown, recut, anchor, odd = way.shown, way.recut, way.anchor, way.odd
        small = bool(shown)
        bits = way.bits + self.within_bits(number, unit, small)
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
            bits += cost.RECUT if unit.again else cost.RECUT_UNSURE
            recut = (*recut, (max(anchor, unit.end - self.path.base), unit.end))
        elif at_end or self.anywhere:
            bits += self.short_bits(number, way, unit) + self.pause_bits(number)
            shown = (*shown, unit.end)
            anchor = unit.end
        elif unit.end % self.path.base == 0 and shown:
            bits += cost.BYTE_WINDOW
        elif self.path.fell and unit.again and unit.size < self.path.levels[1]:
            bits += cost.CUT_SOMEHOW[bool(unit.push)]
            recut = (*recut, (unit.start, unit.end))
        else:
            bits += cost.UNEXPLAINED
            anchor = unit.end
            odd += 1
        return [Way(bits, anchor, shown, recut, odd=odd)]

    def full_bits(self, number: int, unit: Unit, at_end: bool) -> float:
        """Bits for what a full segment's PSH says, and for the pause where a write ends with it.

        Linux sets PSH at the end of each packet of several segments that it hands to the device
        (tcp_transmit_skb), so a long write shows it amid its full segments; lines that fill one
        segment after the other do not.
        """
        bits = 0.0
        if at_end:
            bits += self.pause_bits(number) + (cost.NO_PUSH if unit.push is False else 0.0)
        if not unit.push or self.late:
            return bits
        bits += self.push_bits(number, unit)
        if unit.size < self.path.base and not at_end:
            bits += cost.PUSH_AT_LEVEL if self.unheard else cost.BEFORE_FALL
        return bits

    def within_bits(self, _number: int, _unit: Unit, _small: bool) -> float:
        """Bits for writes whose ends are unknown, and hidden within a segment."""
        return 0.0

    def place_bits(self, _number: int, _way: Way, _end: int) -> float:
        """Bits for a write to end at this byte, where the hypothesis does not say so."""
        return 0.0

    def push_bits(self, _number: int, _unit: Unit) -> float:
        """Bits for PSH on a full segment that ends no write."""
        return 0.0

    def short_bits(self, number: int, way: Way, unit: Unit) -> float:
        """Bits for a write's end that shows as the end of a short segment."""
        bits = self.shown_bits(number, unit.end, bool(way.shown))
        if unit.push is False:
            bits += cost.NO_PUSH
        return bits + self.place_bits(number, way, unit.end)

    def pause_bits(self, number: int) -> float:
        """Bits for the pause, or its absence, after the unit that a write ends with."""
        following = self.units[number + 1] if number + 1 < len(self.units) else None
        stall = following.stall if following is not None and not following.again else None
        if self.path.fell and self.units[number].union:
            stall = None  # a packet that was lost made the reader wait, and reads do not tell
        if self.guess.paused:
            if stall is None:
                return cost.PAUSE_UNKNOWN
            return cost.PAUSE_SEEN if stall else cost.PAUSE_MISSED
        if stall and following is not None and self.early(number, following.start) is not None:
            released = self.nagle and following.size < self.path.base
            return cost.SHOWN if released else cost.PAUSE_ODD
        return 0.0

    def union(self, ways: list[Way], number: int, unit: Unit) -> list[Way]:
        """A unit that joins whole segments: each end within it shows or is hidden."""
        inside = self.ends_within(unit.start, unit.end)
        if inside:
            ways = _best([w for way in ways for w in self.within(way, number, unit, inside)])
        if unit.end == self.total:
            return ways
        return _best([w for way in ways for w in self.at_end(way, number, unit)])

    def within(self, way: Way, number: int, unit: Unit, inside: Sequence[int]) -> Iterator[Way]:
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

    def at_end(self, way: Way, number: int, unit: Unit) -> Iterator[Way]:
        """The ways to explain why a union ends where it does."""
        aligned = self.aligned(way, unit)
        if aligned is not None:
            yield aligned
        if unit.end in self.guess.members:
            bits = self.shown_bits(number, unit.end, bool(way.shown)) + self.pause_bits(number)
            yield way.cut(bits, unit.end)
        if aligned is None:
            bits = cost.ADRIFT if self.path.fell else cost.UNEXPLAINED
            yield Way(way.bits + bits, unit.end, way.shown, way.recut, odd=way.odd + 1)

    def aligned(self, way: Way, unit: Unit) -> Way | None:
        """The way on which a union ends with a whole segment; ``None`` if none can end there."""
        base = self.path.base
        if (unit.end - way.anchor) % base == 0:
            return way if way.adrift is None else replace(way, adrift=None)
        if way.adrift is not None:
            if any((unit.end - way.adrift) % level == 0 for level in self.path.levels[1:]):
                return way
            if unit.size % base == 0:  # the path takes whole segments again, from here on
                return replace(way, bits=way.bits + cost.BACK, anchor=unit.end, adrift=None)
        if self.path.amid(unit.end, way.anchor):
            return replace(way, bits=way.bits + cost.AMID, adrift=unit.end)
        return None


def _merged_bits(units: Sequence[Unit], base: int) -> float:
    """Bits for a union to run across an end that shows: few where the reader joins much anyway."""
    low, high = cost.MERGED
    if len(units) == 1:
        return low
    segments = units[-1].end / base
    share = (max(segments - len(units), 0.0) + 1.0) / (max(segments, len(units)) + 2.0)
    return min(max(-math.log2(share), low), high)


def _best(ways: list[Way]) -> list[Way]:
    """The cheapest way to each anchor, the cheapest first."""
    found: dict[tuple[int, int | None], Way] = {}
    for way in ways:
        other = found.get((way.anchor, way.adrift))
        if other is None or way.bits < other.bits:
            found[way.anchor, way.adrift] = way
    return sorted(found.values(), key=lambda way: way.bits)[:_STATES_MAX]
