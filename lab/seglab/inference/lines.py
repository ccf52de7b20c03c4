"""The alignment of a writer of lines, whose ends are known in the header only.

A line of text has some fifty bytes, and no rule says where in the body lines end. So a write of
lines may end anywhere, at a price, and its size has to be that of one line, or of so many lines.
"""

import math

from seglab.inference import cost
from seglab.inference.bounds import LINE_BYTES, WINDOW, PathBounds
from seglab.inference.hypothesis import Hypothesis
from seglab.inference.likelihood import Alignment, Explained, State
from seglab.inference.units import Unit

_LINE_LONG = 200
_SPREAD = 0.5
_SPREAD_MIN = 0.1
_ENCODED_LINE_BYTES = 78  # 76 characters (RFC 2045, 6.7 and 6.8) and CRLF


def align(
    bounds: PathBounds, hypothesis: Hypothesis, *, nagle: bool, limit: float
) -> Explained | None:
    """Align the ends of one hypothesis with the units under one path.

    Args:
        bounds: the units and the path.
        hypothesis: where writes end.
        nagle: whether the sender's TCP holds small segments back.
        limit: bits above which the result does not matter.

    Returns:
        The cheapest alignment; ``None`` if it costs more than the limit.
    """
    kind = LinesAlignment if hypothesis.lines else Alignment
    return kind(bounds, hypothesis, nagle).run(limit)


class LinesAlignment(Alignment):
    """The alignment of a writer of lines, whose writes may end at any byte, at a price."""

    anywhere = True

    def ended_bits(self, number: int, state: State, end: int) -> float:
        """Bits for a write of lines that ends and shows here.

        In the first window each write shows, and if it has several lines, its size is about that
        of the first write. Later, and behind Nagle's algorithm, a segment also takes the lines that
        were written meanwhile. Its size then follows no rule, unless it is the rest of a line.
        """
        shown = self.shown_bits(number, end, bool(state.shown))
        if end in self.end_set:
            return shown
        within = self.hypothesis.within_line(end)
        if within:
            return shown + cost.IMPOSSIBLE
        place = self.size_bits(number, state, end)
        rest = self.rest_bits(state, end)
        if cost.SHOWN + rest < shown + place:
            shown, place = cost.SHOWN, rest
        if end in self.hypothesis.lines_known:
            place -= cost.LINE_END
        elif within is None:
            place += cost.FOLDED
        return shown + max(min(place, cost.LINES_ODD_MAX), 0.0)

    def size_bits(self, number: int, state: State, end: int) -> float:
        """Bits for the length of what was written since the last end that shows."""
        coalesced = self.units[number].coalesced
        each = self.hypothesis.lines == "each"
        size = end - state.anchor
        if state.shown and (self.nagle or self.is_late(number, end)):
            bits = max(cost.LINES_LEFT, math.log2(self.base))
            if each and not coalesced:
                bits = min(bits, self.alone_bits(number) + _geometric_bits(size, LINE_BYTES))
        elif each:
            bits = cost.LINE_END
        elif coalesced or not state.shown or self.as_many_lines(state, end):
            bits = self.lines_size_bits(size, coalesced)
        else:
            bits = cost.IMPOSSIBLE
        return bits

    def alone_bits(self, number: int) -> float:
        """Bits for a line that goes alone; where the one before it did as well, that is the rule.

        Then no window is full, and without Nagle's algorithm nothing holds lines back. So a slow
        writer's lines are known at a small MSS too, where an end that no rule sets is cheap.
        """
        before = self.units[number - 1]
        joined = before.hole or before.coalesced or before.size in self.bounds.levels
        return cost.LINE_ALONE if joined or self.nagle else 0.0

    def rest_bits(self, state: State, end: int) -> float:
        """Bits for the rest of a line that full segments left, under Nagle's algorithm.

        Behind a small segment, lines gather until they fill a segment, which then leaves. The
        receiver acknowledges every second segment at once (RFC 5681, 4.2). So what the last line
        has beyond the full segment leaves as well. Its length is geometric, with half a line on
        average. Each full segment that no such rest follows makes this less likely.

        Returns:
            Infinity where there can be no such rest.
        """
        if not (self.nagle and state.shown):
            return math.inf
        full, rest = divmod(end - state.anchor, self.base)
        if not full and state.anchor == state.shown[-1]:
            return math.inf  # behind a full segment only, or one that the window bounds
        return _geometric_bits(rest, LINE_BYTES / 2) + max(full - 1, 0) * cost.NO_REST

    def as_many_lines(self, state: State, end: int) -> bool:
        """Whether the write that ends here may have as many lines as the first one had."""
        fewest, most = self.hypothesis.lines_between(0, state.shown[0])
        least, largest = self.hypothesis.lines_between(state.anchor, end)
        return fewest <= largest and least <= most

    def lines_size_bits(self, size: int, coalesced: bool) -> float:
        """Bits for the size of a write of several lines, given the sizes of the other writes.

        The lengths of lines vary, and the length of several together varies by the square root of
        their number. Lines of encoded text all have the same length.
        """
        typical, usual = self.bounds.typical
        if size == usual and size % _ENCODED_LINE_BYTES == 0:
            return cost.LINES_ALIKE
        joined = max(round(size / typical), 1) if coalesced else 1
        lines = joined * typical / LINE_BYTES
        spread = joined * typical * max(_SPREAD / math.sqrt(lines), _SPREAD_MIN)
        z = (size - joined * typical) / spread
        bits = math.log2(spread * math.sqrt(2 * math.pi)) + z * z / 2 / math.log(2)
        return bits + self.joined_bits(joined) if coalesced else bits

    def joined_bits(self, writes: int) -> float:
        """Bits for so many writes in one read, by a geometric code."""
        return (writes - 1) * self.merged_bits - math.log2(1 - 2**-self.merged_bits)

    def within_bits(self, number: int, unit: Unit, small: bool) -> float:
        """Bits for the lines that one segment holds although each had its own write."""
        if self.nagle and small:
            return 0.0
        return self.bounds.lines_within(self.hypothesis, number, unit)

    def coalesced(self, states: list[State], number: int, unit: Unit, limit: float) -> list[State]:
        """The states after a unit that joins segments; the last unit joins lines, too."""
        states = super().coalesced(states, number, unit, limit)
        if unit.end < self.total or not self.is_early(number, unit):
            return states
        bits = self.joining_bits(unit)
        return [state.plus(bits) for state in states if state.bits + bits <= limit]

    def is_late(self, number: int, offset: int) -> bool:
        """Whether lines wait behind a full window, or behind packets that were lost in a fall."""
        fell = self.path.fell and number >= WINDOW
        return fell or self.hidden_early_bits(number, offset) is None

    def is_early(self, number: int, unit: Unit) -> bool:
        """Whether each write of lines leaves at once, in a segment of its own."""
        return not self.nagle and not self.is_late(number, unit.start)

    def joining_bits(self, unit: Unit) -> float:
        """Bits for the writes that one read joined in the first window."""
        writes = unit.size / LINE_BYTES if self.hypothesis.lines == "each" else 1.0
        return min(self.merged_bits * max(writes - 1, 0), cost.LINES_MERGED_MAX)

    def at_end(self, state: State, number: int, unit: Unit) -> list[State]:
        """The states at the end of a unit that joins segments.

        Without Nagle's algorithm, each segment of the first window is a write, and the unit joins
        many of them. With it, the first write leaves alone, and full segments follow.
        """
        early = self.is_early(number, unit)
        bits = self.joining_bits(unit) if early else 0.0
        aligned = self.aligned(state, unit)
        whole = not early and (state.shown or self.hidden_early_bits(number, unit.start) is None)
        if aligned and whole:
            return [one.plus(bits) for one in aligned]
        end = unit.end
        if self.nagle and not state.shown and unit.size > self.base:
            end = unit.start + unit.size % self.base or unit.end
            bits += self.merged_bits
        bits += self.ended_bits(number, state, end)
        bits += self.pause_bits(number) if end == unit.end else 0.0
        if self.hypothesis.lines == "each" and not state.shown and end - unit.start > _LINE_LONG:
            bits += cost.LONG_FIRST
        return [state.with_shown_end(bits, end)]

    def push_bits(self, number: int) -> float:
        """Bits for PSH on a full segment, which lines that fill it one by one do not set.

        Segments that waited in the queue of the sender (tcp_small_queue_check) leave as one packet
        of several, and have PSH. Where that happened once, it happens again.
        """
        if self.hidden_early_bits(number, self.units[number].start) is None:
            return 0.0
        return cost.PUSH_WITHIN_LINES[number != self.bounds.first_push]


def _geometric_bits(size: int, mean: float) -> float:
    """The code length of a size under a geometric distribution with this mean."""
    return math.log2(mean) + size / mean / math.log(2)
