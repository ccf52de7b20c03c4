"""All hypotheses weighed against each other: a posterior over writers and paths."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter

from lab.inference.ground import Ground
from lab.inference.likelihood import Explained
from lab.inference.lines import explain
from lab.inference.path import Path, paths
from lab.inference.units import Unit, units_of
from lab.inference.writers import Hypothesis, Seen, hypotheses, seen, with_hidden_terminator
from lab.observation import Observation

_MARGIN_BITS = 10.0
"""An explanation this much longer than the best one has no weight."""

_ROUNDING = 1e-6
"""By so much may sums differ that are the same but for the order of their parts."""

_Candidate = tuple[float, int, Ground, Seen, Hypothesis, float]


@dataclass(frozen=True, slots=True)
class Account:
    """One complete explanation: a path, a writer, its TCP, and what they leave open.

    Attributes:
        bits: the whole code length, the smaller the better.
        weight: its share of the posterior.
        path: what lay between.
        writer: who wrote.
        nagle: whether the sender's TCP held small segments back.
        explained: the walk.
    """

    bits: float
    weight: float
    path: Path
    writer: Hypothesis
    nagle: bool
    explained: Explained


def accounts(observation: Observation) -> tuple[Account, ...]:
    """The explanations with any weight, the best first.

    Returns:
        none for an observation without sizes.
    """
    units = units_of(observation)
    if not units:
        return ()
    candidates = _candidates(observation, units)
    found: list[tuple[int, Account]] = []
    best = math.inf
    for least, place, ground, known, writer, prior in sorted(candidates, key=itemgetter(0, 1)):
        if least > best + _MARGIN_BITS + _ROUNDING:
            break
        for nagle in (False, True) if writer.lines or writer.ends else (False,):
            limit = best + _MARGIN_BITS - prior
            explained = explain(ground, writer, nagle=nagle, limit=limit)
            if explained is None:
                continue
            bits = prior + explained.bits
            best = min(best, bits)
            found.append((place, Account(bits, 0.0, ground.path, writer, nagle, explained)))
            for other in with_hidden_terminator(known, writer):
                more = bits + other.bits - writer.bits + explained.behind_bits
                found.append((place, Account(more, 0.0, ground.path, other, nagle, explained)))
    found.sort(key=itemgetter(0))
    return _weighed([one for _, one in found if one.bits <= best + _MARGIN_BITS])


def _candidates(observation: Observation, units: Sequence[Unit]) -> Iterator[_Candidate]:
    """All paths and writers, with the least that each pair costs and its place in the order."""
    place = 0
    for path in paths(units, observation.mss, reads=observation.layer == "reads"):
        ground = Ground(units, path)
        pauses = [unit.start for unit in units if unit.stall and unit.size >= path.base]
        known = seen(observation, cuts(units, path), pauses, path.base)
        for writer in sorted(hypotheses(known), key=attrgetter("bits")):
            both = bool(writer.lines or writer.ends)  # else Nagle's algorithm changes nothing
            prior = path.bits + writer.bits + both
            yield prior + ground.least(writer), place, ground, known, writer, prior
            place += 1


def cuts(units: Sequence[Unit], path: Path) -> tuple[int, ...]:
    """Where the sizes suggest that a write ended.

    A short segment's end, unless the path's recutting explains it; of a read whose end is no
    whole number of segments from the last cut, that end and the least one that fits as well.
    """
    found: list[int] = []
    anchor = 0
    total = units[-1].end
    for unit in units:
        if unit.end == total or (not unit.union and unit.size in path.levels):
            continue
        if path.bounds(unit):
            anchor = unit.end
            continue
        rest = (unit.end - anchor) % path.base
        if unit.union:
            if not rest or path.amid(unit.end, anchor):
                continue
        elif path.recut(unit.end, anchor) or path.is_rest(unit):
            continue
        if unit.union and rest and unit.size > path.base:
            low = unit.start + (unit.end - unit.start) % path.base
            if low > unit.start:
                found.append(low)
        found.append(unit.end)
        anchor = unit.end
    return tuple(dict.fromkeys(found))


def _weighed(found: Sequence[Account]) -> tuple[Account, ...]:
    if not found:
        return ()
    best = min(one.bits for one in found)
    weights = [2.0 ** (best - one.bits) for one in found]
    whole = sum(weights)
    weighed = (
        Account(one.bits, weight / whole, one.path, one.writer, one.nagle, one.explained)
        for one, weight in zip(found, weights, strict=True)
    )
    return tuple(sorted(weighed, key=lambda one: one.bits))
