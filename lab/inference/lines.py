"""The walk of a writer of lines: where they end is known in the header only.

Lines of a text have some fifty bytes, and no rule tells where in the body they end. So a write of
lines may end anywhere, at a price, and its size has to be that of one line, or of so many.
"""

import math

from lab.inference import cost
from lab.inference.ground import LINE_BYTES, Ground
from lab.inference.likelihood import Explained, Walk, Way
from lab.inference.units import Unit
from lab.inference.writers import Hypothesis

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

    def place_bits(self, number: int, way: Way, end: int) -> float:
        """Bits for a write of lines to end here.

        Each write of the first window shows, and one of so many lines has about the size of the
        first; later, and behind Nagle's algorithm, what was written meanwhile goes along, and its
        size follows no rule.
        """
        if end in self.members:
            return 0.0
        amid = self.guess.amid_line(end)
        if amid:
            return cost.IMPOSSIBLE
        if not way.shown:
            bits = cost.LINE_END
        elif (self.nagle and way.shown) or self.early(number, end) is None:
            bits = cost.LINES_LEFT
        elif self.guess.lines == "each":
            bits = cost.LINE_END
        elif self.units[number].union or self.as_many_lines(way, end):
            bits = self.lines_size_bits(end - way.anchor, self.units[number].union)
        else:
            return cost.IMPOSSIBLE
        if end in self.guess.lines_known:
            bits -= cost.LINE_END
        elif amid is None:
            bits += cost.FOLDED
        return max(min(bits, cost.LINES_ODD_MAX), 0.0)

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
        return math.log2(spread * math.sqrt(2 * math.pi)) + z * z / 2 / math.log(2)

    def within_bits(self, number: int, unit: Unit, small: bool) -> float:
        """Bits for the lines that a segment holds though each had its own write."""
        if self.nagle and small:
            return 0.0
        return self.ground.lines_within(self.guess, number, unit)

    def at_end(self, way: Way, number: int, unit: Unit) -> list[Way]:
        """The ways to explain why a union ends where it does.

        Without Nagle's algorithm each segment of the first window is a write, and a union of them
        joins many; with it, the first write goes alone and whole segments follow.
        """
        early = self.early(number, unit.start) is not None
        bits = 0.0
        if early and not self.nagle:
            writes = unit.size / LINE_BYTES if self.guess.lines == "each" else 1.0
            bits += min(self.merged * max(writes - 1, 0), cost.LINES_MERGED_MAX)
        aligned = self.aligned(way, unit)
        if aligned is not None and (self.nagle or not early) and (way.shown or not early):
            return [aligned.further(bits)]
        end = unit.end
        if self.nagle and not way.shown and unit.size > self.base:
            end = unit.start + unit.size % self.base or unit.end
            bits += self.merged
        bits += self.shown_bits(number, end, bool(way.shown))
        bits += self.place_bits(number, way, end)
        bits += self.pause_bits(number) if end == unit.end else 0.0
        if self.guess.lines == "each" and not way.shown and end - unit.start > _LINE_LONG:
            bits += cost.LONG_FIRST
        return [way.cut(bits, end)]

    def push_bits(self, number: int, unit: Unit) -> float:
        """Bits for PSH on a full segment, which lines that fill it one by one do not cause."""
        early = self.early(number, unit.start) is not None
        return cost.PUSH_AMID_LINES if early else 0.0
