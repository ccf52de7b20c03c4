"""What all walks over the same units under the same path share, computed once."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from math import log2
from statistics import median

from lab.inference import cost
from lab.inference.path import Path
from lab.inference.units import Unit
from lab.inference.writers import Hypothesis

_WINDOW = cost.HIDDEN_EARLY[-1][0]
_TYPICAL_UNITS = 64
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
        self.merged = _merged_bits(units, path.base)
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
        first = range(min(_WINDOW, len(self.units)))
        return [*first, *(number for number in self.telling if number >= _WINDOW)]

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
        if place >= _WINDOW:
            return None
        bits = _EARLY[place]
        return min(bits, cost.HIDDEN_AGAIN) if place and number >= self.late else bits

    def least(self, one: Hypothesis) -> float:
        """Bits that a walk costs at least: what every way through the units pays.

        An end that no unit ends with costs as much as the cheapest, shown or hidden. Where the
        path did not fall, a short segment ends with a write or is not explained; and so is the
        first union that ends with a whole segment counted from no write's end.
        """
        bits = _END_MIN * (len(one.ends) - len(self._ends.intersection(one.ends)))
        if self.fell or one.lines:
            return bits
        odd = self._short.difference(one.ends)
        bits += cost.UNEXPLAINED * len(odd)
        if self._residues:
            base = self.base
            from_odd = {end % base for end in odd}
            drifts = self._residues.difference((end % base for end in one.ends), from_odd)
            bits += cost.UNEXPLAINED * len(drifts)
        return bits

    @cached_property
    def _ends(self) -> frozenset[int]:
        return frozenset(self.ends)

    @cached_property
    def _short(self) -> frozenset[int]:
        """Ends of short segments, which a window that counts bytes does not explain."""
        return frozenset(
            unit.end
            for unit in self.units[:-1]
            if not unit.union
            and unit.size not in self.levels
            and unit.end % self.base
            and not self.path.bounds(unit)
        )

    @cached_property
    def _residues(self) -> frozenset[int]:
        """Where unions end, modulo the base, if not with a whole segment counted from zero."""
        if any(unit.union and self.path.bounds(unit) for unit in self.units):
            return frozenset()  # behind each, whole segments count anew
        ends = (unit.end for unit in self.units[:-1] if unit.union)
        return frozenset(end % self.base for end in ends) - {0}

    @cached_property
    def typical(self) -> tuple[float, int | None]:
        """The median size of what may be a write, and the size that comes again and again."""
        sizes = []
        start = 0
        for unit in self.units[: 4 * _TYPICAL_UNITS]:
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
    return min(max(-log2(share), low), high)


_EARLY = tuple(
    next(bits for until, bits in cost.HIDDEN_EARLY if place < until) for place in range(_WINDOW)
)
