"""What all walks over the same units under the same path share, computed once."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from statistics import median

from seglab.inference import cost
from seglab.inference.path import Path
from seglab.inference.units import Unit
from seglab.inference.writers import Hypothesis

WINDOW = cost.HIDDEN_EARLY[-1][0]
"""Segments of the first window (RFC 6928)."""

_TYPICAL_UNITS = 64
LINE_BYTES = 60.0
LINE_MAX = 1000  # RFC 5321, 4.5.3.1.6
_NOTHING = (0.0, 0.0, 0)
_END_MIN = min(cost.SHOWN, cost.HELD, cost.LATE_HIDDEN)


class Ground:
    """Units under a path: what is known before anything is said of the writer.

    Attributes:
        units: in stream order.
        path: which segments are full.
        total: where the message ends.
        ends: where each unit ends.
        late: the number of the first unit that was sent again; from it on, ends hide more easily.
        unheard: whether none was.
        unexplained: bits for an end that nothing explains.
        merged: bits for a union to run across an end that shows.
        telling: numbers of the units that may cost something though no write ends there.
    """

    def __init__(self, units: Sequence[Unit], path: Path) -> None:
        self.units = units
        self.path = path
        self.base = path.base
        self.levels = frozenset(path.levels)
        self.fell = path.fell
        self.total = units[-1].end
        self.ends = [unit.end for unit in units]
        again = (number for number, unit in enumerate(units) if unit.again)
        self.late = next(again, len(units))
        self.unheard = self.late == len(units)
        self.unexplained = max(cost.UNEXPLAINED, math.log2(self.base) + cost.UNEXPLAINED_MORE)
        self.merged = _merged_bits(units, path.base)
        self._prices = {0: _NOTHING}
        joined = any(unit.union for unit in units)  # behind which a segment decides on one way
        self.telling = [
            number for number, unit in enumerate(units) if joined or not self._quiet(unit)
        ]

    def _quiet(self, unit: Unit) -> bool:
        """Whether a segment, where no write ends, costs nothing."""
        if unit.size in self.levels:
            return not unit.push or unit.size == self.base
        return unit.end == self.total

    @cached_property
    def telling_lines(self) -> list[int]:
        """The same for a writer of lines, whose writes may be in any unit of the first window."""
        first = range(min(WINDOW, len(self.units)))
        return [*first, *(number for number in self.telling if number >= WINDOW)]

    def numbers(self, one: Hypothesis) -> list[int]:
        """The units that a walk has to look at, in order."""
        telling = self.telling_lines if one.lines else self.telling
        if not one.ends or len(telling) == len(self.units):
            return telling
        return sorted({*telling, *(bisect_left(self.ends, end) for end in one.ends)})

    def early(self, number: int, offset: int) -> float | None:
        """Bits for an end hidden in the first window; ``None`` when that is over.

        A fall of the path's MTU costs the first window's packets, and what is written meanwhile
        waits behind them; reads do not say when.
        """
        place = max(number, offset // self.base)
        if self.fell and place and self.units[number].union:
            return cost.HIDDEN_BEHIND_FALL
        if place >= WINDOW:
            return None
        bits = _EARLY[place]
        return min(bits, cost.HIDDEN_AGAIN) if place and number >= self.late else bits

    def least(self, one: Hypothesis, most: float = math.inf) -> float:
        """Bits that a walk costs at least: what every way through the units pays.

        Args:
            one: the hypothesis.
            most: bits above which it does not matter how many they are.
        """
        ends = one.ends
        bits = _END_MIN * (len(ends) - len(self._ends.intersection(ends))) if ends else 0.0
        if not one.lines:
            return bits + self.least_of(ends, most, self.total)
        first = self.units[0]
        return bits if first.union else bits + self.lines_within(one, 0, first)

    def lines_within(self, one: Hypothesis, number: int, unit: Unit) -> float:
        """Bits for the lines that a segment holds though each had its own write.

        None is held back before one has shown, nor ever without Nagle's algorithm.
        """
        if one.lines != "each" or self.early(number, unit.start) is None:
            return 0.0
        inside = sum([unit.start < end < unit.end for end in one.lines_known])
        inside = max(inside, int(unit.size / LINE_BYTES / 3))
        return min(inside * cost.LINE_HIDDEN, cost.LINE_HIDDEN_MAX) + 30.0 * (unit.size > LINE_MAX)

    def least_of(self, ends: Sequence[int], most: float, until: int) -> float:
        """The same for all writers with these ends, and perhaps more, beyond the least for each.

        Args:
            ends: where writes end; of a range, not all are looked at.
            most: bits above which it does not matter how many they are.
            until: from here on there may be others.
        """
        bits = 0.0
        for low, high in self._owed:
            if high >= until:
                break
            if not self._reached(ends, low, high):
                bits += self.unexplained
                if bits > most:
                    return bits
        return bits + self._opening(ends, most - bits, until) if ends else bits

    def _opening(self, ends: Sequence[int], most: float, until: int) -> float:
        """Bits up to the first end that shows, beyond the least for each.

        Before one has shown, Nagle's algorithm holds nothing back, so that hidden ends cost what
        they do without it; afterwards, they may cost next to nothing.
        """
        least = math.inf
        before = 0.0
        prices = self._prices
        for end in ends:
            if end >= until:
                break
            hidden, shown, stop = prices.get(end) or self._price(end)
            bits = before + shown
            if bits < least:
                if 0 < stop < until:
                    bits += self._stuck(ends, end, stop)
                least = min(least, bits)
            if not hidden:
                break
            before += hidden
            if before >= least or before > most:
                break
        return before if before < least else least

    def apiece(self, ends: Sequence[int], most: float) -> float:
        """Bits for the ends by themselves, without Nagle's algorithm, beyond the least for each.

        Args:
            ends: of a hypothesis.
            most: bits above which it does not matter how many they are.
        """
        bits = 0.0
        prices = self._prices
        for end in ends:
            hidden, shown, _ = prices.get(end) or self._price(end)
            bits += min(hidden, shown)
            if bits > most:
                break
        return bits

    def _price(self, end: int) -> tuple[float, float, int]:
        """Bits at least, beyond the least for any, for an end that is hidden, and that shows.

        That is while no small segment is on its way, behind which another end would be held. And
        where the union around it ends, if that depends on the ends within, or zero.
        """
        number = bisect_left(self.ends, end)
        unit = self.units[number]
        early = self.early(number, end)
        shown = cost.LATE_SHOWN if early is None else cost.SHOWN
        if end != unit.end:
            hidden = (cost.LATE_HIDDEN if early is None else early) - _END_MIN
            if unit.union:
                stop = 0 if unit.end == self.total or unit.end in self._turns else unit.end
                price = hidden, shown + self.merged - _END_MIN, stop
            else:
                price = hidden, math.inf, 0
        elif unit.union:  # which ends there anyway
            price = _NOTHING
        else:
            bits = 0.0 if unit.size in self.levels else shown
            bits += cost.NO_PUSH if unit.push is False else 0.0
            price = 0.0 if self.fell and unit.again else math.inf, bits, 0
        self._prices[end] = price
        return price

    def _stuck(self, ends: Sequence[int], end: int, stop: int) -> float:
        """Bits for a union that no end within it, from this one on, makes end at ``stop``."""
        base = self.base
        reaching = self.path.reaching
        for place in range(bisect_left(ends, end), len(ends)):
            if ends[place] > stop:
                break
            if (stop - ends[place]) % base in reaching:
                return 0.0
        if self.path.bounds(self.units[bisect_left(self.ends, stop)]):
            return cost.BOUND
        return cost.ADRIFT if self.fell else self.unexplained

    def _reached(self, ends: Sequence[int], low: int, high: int) -> bool:
        """Whether whole segments, from an end behind ``low`` on, reach ``high``."""
        base = self.base
        for place in range(bisect_right(ends, low), len(ends)):
            end = ends[place]
            if end > high:
                return False
            if (high - end) % base == 0:
                return True
        return False

    @cached_property
    def _ends(self) -> frozenset[int]:
        """Where units end, or the first one begins: where an end may cost nothing."""
        return frozenset((0, *self.ends))

    @cached_property
    def _owed(self) -> list[tuple[int, int]]:
        """Ends of units that only a write explains, if the path did not fall, and what is before.

        A short segment has to end with a write. Whole segments that a union ends with count from a
        write's end; so if it does not end where whole segments from the end of the union before it
        would, a write ends within it, at whole segments from its end.
        """
        if self.fell:
            return []
        found = []
        aligned: int | None = 0
        for unit in self.units[:-1]:
            explained = self.path.bounds(unit)
            if unit.union:
                turned = aligned is not None and (unit.end - aligned) % self.base != 0
                if turned and not explained:
                    found.append((unit.start, unit.end))
                aligned = unit.end
            else:
                if unit.size not in self.levels and unit.end % self.base and not explained:
                    found.append((unit.end - 1, unit.end))
                aligned = None
        return found

    @cached_property
    def _turns(self) -> frozenset[int]:
        return frozenset(high for _, high in self._owed)

    @cached_property
    def first_push(self) -> int | None:
        """The number of the first full segment with PSH."""
        found = (n for n, unit in enumerate(self.units) if unit.push and unit.size in self.levels)
        return next(found, None)

    @cached_property
    def typical(self) -> tuple[float, int | None]:
        """The median size of what may be a write, and the size that comes again and again.

        The last one has what was left, and tells only where it is the only one.
        """
        sizes: list[int] = []
        start = 0
        for unit in self.units[: 4 * _TYPICAL_UNITS]:
            if unit.end == self.total and sizes:
                break
            if unit.size not in self.levels and not self.path.recut(unit.end, start):
                sizes.append(unit.end - start)
                start = unit.end
        sizes = sizes[:_TYPICAL_UNITS] or [self.units[0].size]
        ((size, count),) = Counter(sizes).most_common(1)
        return median(sizes), size if count >= 3 else None


def _merged_bits(units: Sequence[Unit], base: int) -> float:
    """Bits for a union to run across an end that shows: few where the reader joins much anyway."""
    low, high = cost.MERGED
    if len(units) == 1:
        return low
    segments = units[-1].end / base
    share = (max(segments - len(units), 0.0) + 1.0) / (max(segments, len(units)) + 2.0)
    return min(max(-math.log2(share), low), high)


_EARLY = tuple(
    next(bits for until, bits in cost.HIDDEN_EARLY if place < until) for place in range(WINDOW)
)
