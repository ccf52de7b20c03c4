"""How well a hypothesis explains the units: bits for all that it does not predict.

A walk over the units in stream order. Each short segment ends where a write ended, or where the
path cut a segment anew, or is not explained. Each end of a write either shows or is hidden, and
what is likely depends on the sender's TCP at that moment: in the first window, an end shows;
behind a full window it need not; and with Nagle's algorithm, one that follows a small segment
not yet acknowledged is held back and joins what comes next (tcp_nagle_check, tcp_minshall_check).
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from seglab.inference import cost
from seglab.inference.ground import Ground
from seglab.inference.units import Unit
from seglab.inference.writers import Hypothesis

_STATES_MAX = 12

_bits_of = itemgetter(0)


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


class Way(NamedTuple):
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
        return Way(self.bits + bits, *self[1:]) if bits else self

    def cut(self, bits: float, end: int) -> "Way":
        """The way on which a write's end shows here: segments count from it."""
        return Way(self.bits + bits, end, (*self.shown, end), self.recut, None, self.odd)


class Walk:
    """The walk of writers whose writes end where their hypothesis says.

    Attributes:
        anywhere: whether a write may end at any byte.
    """

    anywhere = False

    def __init__(self, ground: Ground, hypothesis: Hypothesis, nagle: bool) -> None:
        self.ground = ground
        self.units = ground.units
        self.path = ground.path
        self.base = ground.base
        self.total = ground.total
        self.merged = ground.merged
        self.early = ground.early
        self.guess = hypothesis
        self.ends = hypothesis.ends
        self.members = frozenset(hypothesis.ends)
        self.nagle = nagle

    def run(self, limit: float) -> Explained | None:
        """Walk the units that tell; ``None`` as soon as every way costs more than ``limit``."""
        units = self.units
        ways = [Way(0.0, 0, ())]
        for number in self.ground.numbers(self.guess):
            unit = units[number]
            if unit.union:
                ways = self.union(ways, number, unit, limit)
                if not ways:
                    return None
            else:
                way = self.single(ways[0], number, unit)
                if way.bits > limit:
                    return None
                ways = [way]
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
        ends = self.ends
        if not ends:
            return ends
        low = bisect_right(ends, start)
        return ends[low : bisect_right(ends, end - 1, low)]

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

    def single(self, way: Way, number: int, unit: Unit) -> Way:
        """A unit that is one segment: there is one way, and the unit decides it."""
        bits, anchor, shown, recut, _, odd = way
        start, end, _, again, _, _, size = unit
        small = bool(shown)
        bits += self.within_bits(number, unit, small)
        for inside in self.ends_within(start, end):
            bits += self.hidden_bits(number, inside, small)
        at_end = end in self.members
        if size in self.ground.levels:
            bits += self.full_bits(number, unit, at_end)
            if at_end:
                shown = (*shown, end)
        elif end == self.total:
            pass
        elif self.path.recut(end, anchor) and not (at_end and not again):
            bits += cost.RECUT if again else cost.RECUT_UNSURE
            recut = (*recut, (max(anchor, end - self.base), end))
        elif at_end or (self.anywhere and not self.path.bounds(unit)):
            ended = self.short_bits(number, way, unit) + self.pause_bits(number)
            if not at_end and (cut := self.cut_bits(unit)) < ended:
                bits += cut
                recut = (*recut, (start, end))
            else:
                bits += ended
                shown = (*shown, end)
                anchor = end
        elif end % self.base == 0 and shown:
            bits += cost.BYTE_WINDOW
        elif (cut := self.cut_bits(unit)) < math.inf:
            bits += cut
            recut = (*recut, (start, end))
        elif self.path.bounds(unit):
            bits += cost.BOUND
            anchor = end
        else:
            bits += self.ground.unexplained
            anchor = end
            odd += 1
        return Way(bits, anchor, shown, recut, None, odd)

    def cut_bits(self, unit: Unit) -> float:
        """Bits for a short segment that is the path's doing, wherever it ends."""
        if self.path.fell and unit.again and unit.size < self.path.levels[1]:
            return cost.CUT_SOMEHOW[bool(unit.push)]
        return math.inf

    def full_bits(self, number: int, unit: Unit, at_end: bool) -> float:
        """Bits for what a full segment's PSH says, and for the pause where a write ends with it.

        Linux sets PSH at the end of each packet of several segments that it hands to the device
        (tcp_transmit_skb), so a long write shows it amid its full segments; lines that fill one
        segment after the other do not.
        """
        bits = 0.0
        if at_end:
            bits += self.pause_bits(number) + (cost.NO_PUSH if unit.push is False else 0.0)
        if not unit.push or number >= self.ground.late:
            return bits
        bits += self.push_bits(number)
        if unit.size < self.base and not at_end:
            bits += cost.PUSH_AT_LEVEL if self.ground.unheard else cost.BEFORE_FALL
        return bits

    def within_bits(self, _number: int, _unit: Unit, _small: bool) -> float:
        """Bits for writes whose ends are unknown, and hidden within a segment."""
        return 0.0

    def push_bits(self, _number: int) -> float:
        """Bits for PSH on a full segment that ends no write."""
        return 0.0

    def short_bits(self, number: int, way: Way, unit: Unit) -> float:
        """Bits for a write's end that shows as the end of a short segment."""
        bits = cost.NO_PUSH if unit.push is False else 0.0
        return bits + self.ended_bits(number, way, unit.end)

    def ended_bits(self, number: int, way: Way, end: int) -> float:
        """Bits for a write's end that shows here."""
        return self.shown_bits(number, end, bool(way.shown))

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
            released = self.nagle and following.size < self.base
            return cost.SHOWN if released else cost.PAUSE_ODD
        return 0.0

    def union(self, ways: list[Way], number: int, unit: Unit, limit: float) -> list[Way]:
        """A unit that joins whole segments: each end within it shows or is hidden."""
        inside = self.ends_within(unit.start, unit.end)
        if inside:
            ways = self.within(ways, number, unit, inside, limit)
        if unit.end == self.total:
            return ways
        if len(ways) == 1 and not self.anywhere and unit.end not in self.members:
            way = ways[0]
            if way.adrift is None and (unit.end - way.anchor) % self.base == 0:
                return ways
        best = _Best(limit)
        for way in ways:
            for further in self.at_end(way, number, unit):
                best.add(further)
        return best.ways()

    def within(
        self, ways: list[Way], number: int, unit: Unit, inside: Sequence[int], limit: float
    ) -> list[Way]:
        """The ways through a union: no end within it shows, or some and one of them last."""
        chances: dict[bool, tuple[float, list[tuple[float, int]]]] = {}
        best = _Best(limit)
        for way in ways:
            small = bool(way.shown)
            if small not in chances:
                chances[small] = self.chances(number, unit, inside, small)
            none, some = chances[small]
            best.add(way.further(none))
            for bits, end in some:
                if way.bits + bits <= limit:
                    best.add(way.cut(bits, end))
        return best.ways()

    def chances(
        self, number: int, unit: Unit, inside: Sequence[int], small: bool
    ) -> tuple[float, list[tuple[float, int]]]:
        """Bits for no end to show within a union, and for each end that it is the last to show.

        Only an end from which whole segments reach the union's own end can be the last to show,
        or the first, behind which Nagle's algorithm holds the others back.
        """
        if self.nagle and small:
            hidden, shows = [cost.HELD] * len(inside), [cost.RELEASED] * len(inside)
        else:
            hidden = [self.hidden_bits(number, end, small) for end in inside]
            shows = [self.shown_bits(number, end, small) for end in inside]
        behind = [cost.HELD] * len(inside) if self.nagle else hidden
        after = sum(behind)
        before = 0.0
        some = []
        final = len(inside) - 1
        reaching = self.path.reaching
        for place, end in enumerate(inside):
            after -= behind[place]
            shown = shows[place] + self.merged
            if not place or place == final or (unit.end - end) % self.base in reaching:
                some.append((before + shown + max(after, 0.0), end))
            before += min(hidden[place], shown)
        return sum(hidden), some

    def at_end(self, way: Way, number: int, unit: Unit) -> list[Way]:
        """The ways to explain why a union ends where it does."""
        ways = self.aligned(way, unit)
        odd_end = not ways
        if unit.end in self.members:
            bits = self.shown_bits(number, unit.end, bool(way.shown)) + self.pause_bits(number)
            ways.append(way.cut(bits, unit.end))
        if odd_end:
            if self.path.bounds(unit):
                bits, odd = cost.BOUND, 0
            else:
                bits, odd = cost.ADRIFT if self.path.fell else self.ground.unexplained, 1
            bits += way.bits
            ways.append(Way(bits, unit.end, way.shown, way.recut, None, way.odd + odd))
        return ways

    def aligned(self, way: Way, unit: Unit) -> list[Way]:
        """The ways on which a union ends with a whole segment; none if none can end there."""
        base = self.base
        bits, anchor, shown, recut, adrift, odd = way
        if (unit.end - anchor) % base == 0:
            return [way if adrift is None else Way(bits, anchor, shown, recut, None, odd)]
        found = []
        if adrift is not None:
            if any((unit.end - adrift) % level == 0 for level in self.path.levels[1:]):
                return [way]
            if unit.size % base == 0:  # the path takes whole segments again, from here on
                found.append(Way(bits + cost.BACK, unit.end, shown, recut, None, odd))
        if self.path.amid(unit.end, anchor):
            found.append(Way(bits + cost.AMID, anchor, shown, recut, unit.end, odd))
        return found


class _Best:
    """The cheapest way to each anchor, none above the limit."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._found: dict[tuple[int, int | None], Way] = {}

    def add(self, way: Way) -> None:
        """Keep a way, if it is cheaper than the one that is there."""
        bits, anchor, _, _, adrift, _ = way
        if bits > self._limit:
            return
        place = (anchor, adrift)
        other = self._found.get(place)
        if other is None or bits < other.bits:
            self._found[place] = way

    def ways(self) -> list[Way]:
        """What was kept, the cheapest first."""
        found = list(self._found.values())
        if len(found) > 1:
            found.sort(key=_bits_of)
            del found[_STATES_MAX:]
        return found
