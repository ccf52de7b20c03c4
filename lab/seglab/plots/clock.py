"""A time axis on which long idle spans are short.

Over a link with a delay of 70 ms, a session is active for two milliseconds at each end. On a linear
axis everything of interest would be two vertical lines. So each long idle span becomes a break: a
mark of fixed width that says how long it lasts. All spans between the breaks have the same scale.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise

_BREAK_SHARE = 0.5
_BREAK_LEAST_NS = 1_000_000
_BREAK_WIDTH = 0.12
_BREAKS_AT_MOST = 4


@dataclass(frozen=True, slots=True)
class Break:
    """An idle span: where it lies on the axis, from 0 to 1, and how long it lasts."""

    left: float
    right: float
    lasts_ns: int


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps a time to a position from 0 to 1, linearly between neighbouring knots.

    Attributes:
        times_ns: the times of the knots, rising.
        places: the positions of the knots.
        breaks: the idle spans that are shortened.
    """

    times_ns: tuple[int, ...]
    places: tuple[float, ...]
    breaks: tuple[Break, ...]

    def __call__(self, t_ns: float) -> float:
        """The position of an instant; 0 before the first knot, 1 after the last."""
        after = bisect_right(self.times_ns, t_ns)
        if after == 0:
            return self.places[0]
        if after == len(self.times_ns):
            return self.places[-1]
        t0, t1 = self.times_ns[after - 1], self.times_ns[after]
        x0, x1 = self.places[after - 1], self.places[after]
        return x0 + (x1 - x0) * (t_ns - t0) / (t1 - t0)

    @property
    def active_spans_ns(self) -> tuple[tuple[int, int], ...]:
        """The spans of time between the breaks, as pairs of instants."""
        idle = {(b.left, b.right) for b in self.breaks}
        return tuple(
            (t0, t1)
            for (t0, x0), (t1, x1) in pairwise(zip(self.times_ns, self.places, strict=True))
            if (x0, x1) not in idle
        )


def clock(events_ns: Iterable[int]) -> Clock:
    """The axis for these instants.

    A pause becomes a break if it is longer than 1 ms and than half of all shorter pauses
    together. If more than ``_BREAKS_AT_MOST`` pauses are that long, only the longest become
    breaks, and only if they are at least twice as long as the next shorter one.
    """
    instants = sorted(set(events_ns)) or [0]
    pauses = sorted(t1 - t0 for t0, t1 in pairwise(instants))
    shorter = [0, *accumulate(pauses)]
    long = [
        pause
        for pause, before in zip(pauses, shorter, strict=False)
        if before and pause > max(before * _BREAK_SHARE, _BREAK_LEAST_NS)
    ]
    limit_ns = long[0] if long else None
    candidates = [pause for pause in pauses if long and pause >= long[0]]
    if len(candidates) > _BREAKS_AT_MOST:
        limit_ns = next(
            (b for a, b in pairwise(candidates[-_BREAKS_AT_MOST - 1 :]) if b >= 2 * a), None
        )
    return _laid_out(instants, limit_ns)


def _laid_out(instants: list[int], limit_ns: int | None) -> Clock:
    groups = [[instants[0]]]
    for t0, t1 in pairwise(instants):
        if limit_ns is not None and t1 - t0 >= limit_ns:
            groups.append([])
        groups[-1].append(t1)
    shown_ns = sum(group[-1] - group[0] for group in groups)
    margin_ns = max(shown_ns * 0.06 / len(groups), 20_000)
    lengths = [group[-1] - group[0] + 2 * margin_ns for group in groups]
    scale = (1 - _BREAK_WIDTH * (len(groups) - 1)) / sum(lengths)
    times, places, breaks = [], [], []
    at = 0.0
    for index, (group, length) in enumerate(zip(groups, lengths, strict=True)):
        if index:
            before = groups[index - 1][-1]
            breaks.append(Break(at, at + _BREAK_WIDTH, group[0] - before))
            at += _BREAK_WIDTH
        times += [int(group[0] - margin_ns), int(group[-1] + margin_ns)]
        places += [at, at + length * scale]
        at = places[-1]
    return Clock(tuple(times), tuple(places), tuple(breaks))
