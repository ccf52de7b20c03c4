"""The walk of a writer of lines: where they end is known in the header only.

Lines of a text have some fifty bytes, and no rule tells where in the body they end. So a write of
lines may end anywhere, at a price, and its size has to be that of one line, or of so many.
"""

import math

from seglab.inference import cost
from seglab.inference.ground import LINE_BYTES, WINDOW, Ground
from seglab.inference.likelihood import Explained, Walk, Way
from seglab.inference.units import Unit
from seglab.inference.writers import Hypothesis

_LINE_LONG = 200
_SPREAD = 0.5
_SPREAD_MIN = 0.1
_ENCODED_LINE_BYTES = 78  # 76 characters (RFC 2045, 6.7 and 6.8) and CRLF


def explain(
    ground: Ground, hypothesis: Hypothesis, *, nagle: bool, limit: float
) -> Explained | None:
    """Walk the units under one path and one hypothesis.

    Args:
        ground: the units and the path.
        hypothesis: where writes end.
        nagle: whether the sender's TCP holds small segments back.
        limit: bits above which the result is of no interest.

    Returns:
        What was found, or ``None`` beyond the limit.
    """
    walk = LinesWalk if hypothesis.lines else Walk
    return walk(ground, hypothesis, nagle).run(limit)


class LinesWalk(Walk):
    """The walk of a writer of lines."""

    anywhere = True

    def ended_bits(self, number: int, way: Way, end: int) -> float:
        """Bits for a write of lines that shows here.

        Each write of the first window shows, and one of so many lines has about the size of the
        first; later, and behind Nagle's algorithm, what was written meanwhile goes along, and its
        size follows no rule, unless it is the rest of a line.
        """
        shown = self.shown_bits(number, end, bool(way.shown))
        if end in self.members:
            return shown
        amid = self.guess.amid_line(end)
        if amid:
            return shown + cost.IMPOSSIBLE
        place = self.size_bits(number, way, end)
        rest = self.rest_bits(way, end)
        if cost.SHOWN + rest < shown + place:
            shown, place = cost.SHOWN, rest
        if end in self.guess.lines_known:
            place -= cost.LINE_END
        elif amid is None:
            place += cost.FOLDED
        return shown + max(min(place, cost.LINES_ODD_MAX), 0.0)

    def size_bits(self, number: int, way: Way, end: int) -> float:
        """Bits for the length of what was written since the last end that shows."""
        union = self.units[number].union
        each = self.guess.lines == "each"
        size = end - way.anchor
        if way.shown and (self.nagle or self.is_late(number, end)):
            bits = max(cost.LINES_LEFT, math.log2(self.base))
            if each and not union:
                bits = min(bits, cost.LINE_ALONE + _geometric_bits(size, LINE_BYTES))
        elif each:
            bits = cost.LINE_END
        elif union or not way.shown or self.as_many_lines(way, end):
            bits = self.lines_size_bits(size, union)
        else:
            bits = cost.IMPOSSIBLE
        return bits

    def rest_bits(self, way: Way, end: int) -> float:
        """Bits for the rest of a line that full segments left, under Nagle's algorithm.

        Behind a small segment lines gather until they fill a segment; it goes, the receiver
        acknowledges every second segment at once (RFC 5681, 4.2), and so goes what the last line
        has more than the segment holds. Its length is geometric, with half a line on average.
        Each full segment behind which no such rest shows speaks against it.
        """
        if not (self.nagle and way.shown):
            return math.inf
        full, rest = divmod(end - way.anchor, self.base)
        if not full and way.anchor == way.shown[-1]:
            return math.inf  # behind a full segment only, or one that the window bounds
        return _geometric_bits(rest, LINE_BYTES / 2) + max(full - 1, 0) * cost.NO_REST

    def as_many_lines(self, way: Way, end: int) -> bool:
        """Whether a write may have as many lines as the first one."""
        fewest, most = self.guess.lines_between(0, way.shown[0])
        least, largest = self.guess.lines_between(way.anchor, end)
        return fewest <= largest and least <= most

    def lines_size_bits(self, size: int, union: bool) -> float:
        """Bits for the size of a write of several lines, given those of the others.

        Lines of a paragraph vary, so do their sums, by the square root of their number; lines of
        encoded text are all alike.
        """
        typical, usual = self.ground.typical
        if size == usual and size % _ENCODED_LINE_BYTES == 0:
            return cost.LINES_ALIKE
        joined = max(round(size / typical), 1) if union else 1
        lines = joined * typical / LINE_BYTES
        spread = joined * typical * max(_SPREAD / math.sqrt(lines), _SPREAD_MIN)
        z = (size - joined * typical) / spread
        bits = math.log2(spread * math.sqrt(2 * math.pi)) + z * z / 2 / math.log(2)
        return bits + self.joined_bits(joined) if union else bits

    def joined_bits(self, writes: int) -> float:
        """Bits for so many writes in one read: a geometric code."""
        return (writes - 1) * self.merged - math.log2(1 - 2**-self.merged)

    def within_bits(self, number: int, unit: Unit, small: bool) -> float:
        """Bits for the lines that a segment holds though each had its own write."""
        if self.nagle and small:
            return 0.0
        return self.ground.lines_within(self.guess, number, unit)

    def union(self, ways: list[Way], number: int, unit: Unit, limit: float) -> list[Way]:
        """A unit that joins whole segments; the last one, too, joins lines."""
        ways = super().union(ways, number, unit, limit)
        if unit.end < self.total or not self.is_early(number, unit):
            return ways
        bits = self.joining_bits(unit)
        return [way.further(bits) for way in ways if way.bits + bits <= limit]

    def is_late(self, number: int, offset: int) -> bool:
        """Whether lines wait behind a full window, or behind the packets that a fall cost."""
        fell = self.path.fell and number >= WINDOW
        return fell or self.early(number, offset) is None

    def is_early(self, number: int, unit: Unit) -> bool:
        """Whether each line that has its own write leaves at once, in a segment of its own."""
        return not self.nagle and not self.is_late(number, unit.start)

    def joining_bits(self, unit: Unit) -> float:
        """Bits for the writes that a read joined in the first window."""
        writes = unit.size / LINE_BYTES if self.guess.lines == "each" else 1.0
        return min(self.merged * max(writes - 1, 0), cost.LINES_MERGED_MAX)

    def at_end(self, way: Way, number: int, unit: Unit) -> list[Way]:
        """The ways to explain why a union ends where it does.

        Without Nagle's algorithm each segment of the first window is a write, and a union of them
        joins many; with it, the first write goes alone and whole segments follow.
        """
        early = self.is_early(number, unit)
        bits = self.joining_bits(unit) if early else 0.0
        aligned = self.aligned(way, unit)
        whole = not early and (way.shown or self.early(number, unit.start) is None)
        if aligned and whole:
            return [one.further(bits) for one in aligned]
        end = unit.end
        if self.nagle and not way.shown and unit.size > self.base:
            end = unit.start + unit.size % self.base or unit.end
            bits += self.merged
        bits += self.ended_bits(number, way, end)
        bits += self.pause_bits(number) if end == unit.end else 0.0
        if self.guess.lines == "each" and not way.shown and end - unit.start > _LINE_LONG:
            bits += cost.LONG_FIRST
        return [way.cut(bits, end)]

    def push_bits(self, number: int) -> float:
        """Bits for PSH on a full segment, which lines that fill it one by one do not cause.

        Where segments waited in the sender's queue (tcp_small_queue_check), several leave as one
        packet, and then more will.
        """
        if self.early(number, self.units[number].start) is None:
            return 0.0
        return cost.PUSH_AMID_LINES[number != self.ground.first_push]


def _geometric_bits(size: int, mean: float) -> float:
    """The code length of a size that is geometric about a mean."""
    return math.log2(mean) + size / mean / math.log(2)
