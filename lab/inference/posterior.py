"""All hypotheses weighed against each other: a posterior over writers and paths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.inference.likelihood import Explained
from lab.inference.lines import explain
from lab.inference.path import Path, paths
from lab.inference.units import Unit, units_of
from lab.inference.writers import Hypothesis, hypotheses, seen, with_hidden_terminator
from lab.observation import Observation

_MARGIN_BITS = 10.0
"""An explanation this much longer than the best one has no weight."""


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
    found: list[Account] = []
    best = math.inf
    for path in paths(units, observation.mss, reads=observation.layer == "reads"):
        pauses = [unit.start for unit in units if unit.stall and unit.size >= path.base]
        known = seen(observation, cuts(units, path), pauses, path.base)
        for writer in sorted(hypotheses(known), key=lambda h: h.bits):
            both = bool(writer.lines or writer.ends)  # else Nagle's algorithm changes nothing
            prior = path.bits + writer.bits + both
            for nagle in (False, True) if both else (False,):
                limit = best + _MARGIN_BITS - prior
                if limit < 0:
                    break
                explained = explain(units, path, writer, nagle=nagle, limit=limit)
                if explained is None:
                    continue
                bits = prior + explained.bits
                best = min(best, bits)
                found.append(Account(bits, 0.0, path, writer, nagle, explained))
                for other in with_hidden_terminator(known, writer):
                    more = bits + other.bits - writer.bits + explained.behind_bits
                    found.append(Account(more, 0.0, path, other, nagle, explained))
    return _weighed([one for one in found if one.bits <= best + _MARGIN_BITS])


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
