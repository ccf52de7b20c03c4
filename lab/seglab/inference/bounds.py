"""What an alignment costs at least: lower bounds, so that most writers need no alignment at all.

Theory of operation
-------------------

The search (see ``posterior``) knows some hundred writers for a message, most of them buffers and
equal parts of many sizes. To align each with the units is what takes time, and nearly all of them
cost far more than the best. So the search asks first for a bound, and aligns a writer only if the
bound leaves it a chance. A ``PathBounds`` has everything that does not depend on the writer, and
computes it once for all writers under one path.

There are three bounds, for three moments:

    method                   when it is asked                              it bounds
    lower_bound_of_family    before the writers of a family are made:      all writers with these
                             the ends of a buffer, say, without the end    ends, and perhaps more
                             of data, which may have a write of its own    near the end
    lower_bound              before an alignment, once the writer exists   both alignments, with
                                                                           Nagle's algorithm or not
    bound_without_nagle      before the alignment without Nagle's          that one
                             algorithm

The first two are built from the same parts:

1. Each end of a write costs at least ``_END_MIN``, hidden or not, unless it lies where a unit ends
   or at the beginning, where it may cost nothing.
2. Some units can only end with a write (``_due_to_writes``): a short segment, if the path did not
   fall, and a read whose end whole segments do not reach from the read before. A writer whose ends
   do not explain such a unit pays for an end that nothing explains.
3. Until the first end has shown, Nagle's algorithm holds nothing back. So the first ends cost what
   they cost without it: each is hidden at its price, up to one that shows, at its price
   (``_bits_until_one_shows``). What follows may cost next to nothing and is left out.

The third bound needs no order: without Nagle's algorithm each end has a price of its own, the lower
one of hidden and shown (``_prices_of_end``).

The invariant, which ``tests/unit/test_inference_bounds.py`` holds the code to: no alignment costs
less than its bound. So the search finds the same explanations as one that aligns everything.
A bound may be too low; that costs time and changes no verdict.

``numbers_to_look_at`` saves time in the same spirit within one alignment: it leaves out the full
segments in which no write ends, and that have no PSH to explain.

What this deliberately ignores: pauses, PSH behind the first end that shows, and the sizes of
lines, except within the first segment.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from statistics import median

from seglab.inference import cost
from seglab.inference.hypothesis import Hypothesis
from seglab.inference.path import Path
from seglab.inference.units import Unit

WINDOW = cost.HIDDEN_EARLY[-1][0]
"""How many segments the first window has (RFC 6928)."""

_TYPICAL_UNITS = 64
LINE_BYTES = 60.0
"""The mean length of a line of text."""

LINE_MAX = 1000
"""The longest line that SMTP allows (RFC 5321, 4.5.3.1.6)."""

_NOTHING = (0.0, 0.0, 0)
_END_MIN = min(cost.SHOWN, cost.HELD_BACK, cost.LATE_HIDDEN)


class PathBounds:
    """The units under one path, and everything about them that does not depend on the writer.

    Attributes:
        units: in stream order.
        path: which segments are full.
        base: bytes of a full segment when the connection began.
        levels: bytes of a full segment at any time.
        fell: whether the path's MTU fell.
        total: where the message ends.
        ends: where each unit ends.
        first_resent: the number of the first unit that was sent again, or the number of units.
            From it on, ends hide more easily.
        nothing_resent: whether no unit was sent again.
        unexplained_bits: the price of a unit's end that nothing explains.
        merged_bits: the price of a read that runs across an end that shows on the wire.
        may_cost: the numbers of the units that may cost something although no write ends there.
    """

    def __init__(self, units: Sequence[Unit], path: Path) -> None:
        self.units = units
        self.path = path
        self.base = path.base
        self.levels = frozenset(path.levels)
        self.fell = path.fell
        self.total = units[-1].end
        self.ends = [unit.end for unit in units]
        resent = (number for number, unit in enumerate(units) if unit.retransmitted)
        self.first_resent = next(resent, len(units))
        self.nothing_resent = self.first_resent == len(units)
        self.unexplained_bits = max(cost.UNEXPLAINED, math.log2(self.base) + cost.UNEXPLAINED_MORE)
        self.merged_bits = _merged_bits(units, path.base)
        self._prices = {0: _NOTHING}
        joined = any(unit.coalesced for unit in units)  # a segment behind it settles on one state
        self.may_cost = [
            number for number, unit in enumerate(units) if joined or not self._costs_nothing(unit)
        ]

    def _costs_nothing(self, unit: Unit) -> bool:
        """Whether a segment costs nothing, and changes no state, if no write ends in it."""
        if unit.hole:
            return False
        if unit.size in self.levels:
            return not unit.push or unit.size == self.base
        return unit.end == self.total

    @cached_property
    def may_cost_lines(self) -> list[int]:
        """``may_cost`` for a writer of lines, whose writes may end anywhere in the first window."""
        first = range(min(WINDOW, len(self.units)))
        return [*first, *(number for number in self.may_cost if number >= WINDOW)]

    def numbers_to_look_at(self, one: Hypothesis) -> list[int]:
        """The numbers of the units that an alignment has to look at, in order."""
        may_cost = self.may_cost_lines if one.lines else self.may_cost
        if not one.ends or len(may_cost) == len(self.units):
            return may_cost
        return sorted({*may_cost, *(bisect_left(self.ends, end) for end in one.ends)})

    def hidden_early_bits(self, number: int, offset: int) -> float | None:
        """Bits for an end that is hidden in the first window; ``None`` where that is over.

        After a fall of the path's MTU, what the program writes waits behind the packets that the
        router dropped. Reads do not show when that was, so there every hidden end is cheap.
        """
        place = max(number, offset // self.base)
        if self.fell and place and self.units[number].coalesced:
            return cost.HIDDEN_BEHIND_FALL
        if place >= WINDOW:
            return None
        bits = _EARLY[place]
        return min(bits, cost.HIDDEN_AFTER_LOSS) if place and number >= self.first_resent else bits

    def lower_bound(self, one: Hypothesis, most: float = math.inf) -> float:
        """The bits that an alignment costs at least, with Nagle's algorithm or without it.

        Args:
            one: the hypothesis.
            most: the result may stop growing above these bits.
        """
        ends = one.ends
        bits = _END_MIN * (len(ends) - len(self._unit_ends.intersection(ends))) if ends else 0.0
        if not one.lines:
            return bits + self.lower_bound_of_family(ends, most, self.total)
        first = self.units[0]
        return bits if first.coalesced or first.hole else bits + self.lines_within(one, 0, first)

    def lines_within(self, one: Hypothesis, number: int, unit: Unit) -> float:
        """Bits for the lines that one segment holds although each line had its own write.

        They count where nothing holds a line back: before any end has shown, and without Nagle's
        algorithm at all times.
        """
        if one.lines != "each" or self.hidden_early_bits(number, unit.start) is None:
            return 0.0
        inside = sum([unit.start < end < unit.end for end in one.lines_known])
        inside = max(inside, int(unit.size / LINE_BYTES / 3))
        return min(inside * cost.LINE_HIDDEN, cost.LINE_HIDDEN_MAX) + 30.0 * (unit.size > LINE_MAX)

    def lower_bound_of_family(self, ends: Sequence[int], most: float, until: int) -> float:
        """The bits that all writers with these ends pay at least, beyond ``_END_MIN`` for each end.

        Args:
            ends: where writes end. It may be a long range, of which only a part is looked at.
            most: the result may stop growing above these bits.
            until: from this offset on, the writers may have other ends, too.
        """
        bits = 0.0
        for low, high in self._due_to_writes:
            if high >= until:
                break
            if not self._reachable(ends, low, high):
                bits += self.unexplained_bits
                if bits > most:
                    return bits
        return bits + self._bits_until_one_shows(ends, most - bits, until) if ends else bits

    def _bits_until_one_shows(self, ends: Sequence[int], most: float, until: int) -> float:
        """The bits of the ends up to the first one that shows, beyond ``_END_MIN`` for each.

        Before one has shown, Nagle's algorithm holds nothing back, and a hidden end costs what it
        costs without the algorithm. Afterwards it may cost next to nothing.
        """
        least = math.inf
        before = 0.0
        prices = self._prices
        for end in ends:
            if end >= until:
                break
            hidden, shown, stop = prices.get(end) or self._prices_of_end(end)
            bits = before + shown
            if bits < least:
                if 0 < stop < until:
                    bits += self._unreachable_bits(ends, end, stop)
                least = min(least, bits)
            if not hidden:
                break
            before += hidden
            if before >= least or before > most:
                break
        return before if before < least else least

    def bound_without_nagle(self, ends: Sequence[int], most: float) -> float:
        """The bits that an alignment without Nagle's algorithm pays at least, beyond ``_END_MIN``.

        Args:
            ends: of a hypothesis.
            most: the result may stop growing above these bits.
        """
        bits = 0.0
        prices = self._prices
        for end in ends:
            hidden, shown, _ = prices.get(end) or self._prices_of_end(end)
            bits += min(hidden, shown)
            if bits > most:
                break
        return bits

    def _prices_of_end(self, end: int) -> tuple[float, float, int]:
        """The least prices of one end, beyond ``_END_MIN``, while Nagle's algorithm holds nothing.

        Returns:
            The price if it is hidden; the price if it shows; and where the unit around it ends, if
            the price for ending there is not counted by ``_due_to_writes`` (otherwise 0).
        """
        number = bisect_left(self.ends, end)
        unit = self.units[number]
        early = self.hidden_early_bits(number, end)
        shown = cost.LATE_SHOWN if early is None else cost.SHOWN
        if unit.hole:
            price = _NOTHING if end == unit.end else (cost.IN_HOLE - _END_MIN, math.inf, 0)
        elif end != unit.end:
            hidden = (cost.LATE_HIDDEN if early is None else early) - _END_MIN
            if unit.coalesced:
                stop = 0 if unit.end == self.total or unit.end in self._counted_ends else unit.end
                price = hidden, shown + self.merged_bits - _END_MIN, stop
            else:
                price = hidden, math.inf, 0
        elif unit.coalesced:  # the unit ends there anyway
            price = _NOTHING
        else:
            bits = 0.0 if unit.size in self.levels else shown
            bits += cost.NO_PUSH if unit.push is False else 0.0
            price = 0.0 if self.fell and unit.retransmitted else math.inf, bits, 0
        self._prices[end] = price
        return price

    def _unreachable_bits(self, ends: Sequence[int], end: int, stop: int) -> float:
        """Bits for a unit to end at ``stop``; 0 if whole segments lead there from an end in it."""
        base = self.base
        reaching = self.path.reaching
        for place in range(bisect_left(ends, end), len(ends)):
            if ends[place] > stop:
                break
            if (stop - ends[place]) % base in reaching:
                return 0.0
        if self.path.may_bound(self.units[bisect_left(self.ends, stop)]):
            return cost.BOUNDED
        return cost.UNEXPLAINED_AFTER_FALL if self.fell else self.unexplained_bits

    def _reachable(self, ends: Sequence[int], low: int, high: int) -> bool:
        """Whether whole segments reach ``high`` from an end that lies behind ``low``."""
        base = self.base
        for place in range(bisect_right(ends, low), len(ends)):
            end = ends[place]
            if end > high:
                return False
            if (high - end) % base == 0:
                return True
        return False

    @cached_property
    def _unit_ends(self) -> frozenset[int]:
        """Where units end, and 0: the offsets at which an end of a write may cost nothing."""
        return frozenset((0, *self.ends))

    @cached_property
    def _due_to_writes(self) -> list[tuple[int, int]]:
        """The units that end where they do because of a write: ``low, high`` for each.

        Some write must end behind ``low`` and at or before ``high``, where the unit ends, with
        whole segments between. For a short segment that is its own end. A read ends with whole
        segments that count from an end of a write. So if whole segments do not lead from the end
        of one read to the end of the next, a write ended within the next. Empty if the path fell,
        because then the path may explain such an end.
        """
        if self.fell:
            return []
        found = []
        aligned: int | None = self.units[0].start
        for unit in self.units[:-1]:
            if unit.hole:
                aligned = None
                continue
            explained = self.path.may_bound(unit) or self.path.may_fill_window(unit)
            if unit.coalesced:
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
    def _counted_ends(self) -> frozenset[int]:
        """The ends of units whose price ``_due_to_writes`` counts."""
        return frozenset(high for _, high in self._due_to_writes)

    @cached_property
    def first_push(self) -> int | None:
        """The number of the first full segment with PSH; ``None`` without one."""
        found = (n for n, unit in enumerate(self.units) if unit.push and unit.size in self.levels)
        return next(found, None)

    @cached_property
    def typical(self) -> tuple[float, int | None]:
        """The median size of what may be a write, and the size that occurs three times or more.

        The last unit has what was left of the message. It counts only if there is no other one.
        """
        sizes: list[int] = []
        start = 0
        for unit in self.units[: 4 * _TYPICAL_UNITS]:
            if unit.hole:
                start = unit.end
                continue
            if unit.end == self.total and sizes:
                break
            if unit.size not in self.levels and not self.path.resegmented(unit.end, start):
                sizes.append(unit.end - start)
                start = unit.end
        sizes = sizes[:_TYPICAL_UNITS] or [self.units[0].size]
        ((size, count),) = Counter(sizes).most_common(1)
        return median(sizes), size if count >= 3 else None


def _merged_bits(units: Sequence[Unit], base: int) -> float:
    """Bits for a read that runs across an end that shows: few where the reader joins much."""
    low, high = cost.MERGED
    if len(units) == 1:
        return low
    segments = units[-1].end / base
    share = (max(segments - len(units), 0.0) + 1.0) / (max(segments, len(units)) + 2.0)
    return min(max(-math.log2(share), low), high)


_EARLY = tuple(
    next(bits for until, bits in cost.HIDDEN_EARLY if place < until) for place in range(WINDOW)
)
