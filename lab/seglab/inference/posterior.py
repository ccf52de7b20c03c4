"""All hypotheses weighed against each other: a posterior over writers and paths."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from seglab.core.observation import Observation
from seglab.inference.ground import Ground
from seglab.inference.likelihood import Explained
from seglab.inference.lines import explain
from seglab.inference.path import Path, paths
from seglab.inference.units import Unit
from seglab.inference.writers import (
    BITS_MIN,
    RANKS,
    TERMINATORS_BYTES,
    Hypothesis,
    hidden_terminators,
    parametric,
    plain,
    seen,
    with_hidden_terminator,
)

MARGIN_BITS = 10.0
"""An explanation this much longer than the best one has no weight."""

_ROUNDING = 1e-6
"""By so much may sums differ that are the same but for the order of their parts."""


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


def accounts(observation: Observation, units: Sequence[Unit]) -> tuple[Account, ...]:
    """The explanations with any weight, the best first.

    Args:
        observation: what was seen.
        units: its sizes.

    Returns:
        none for an observation without sizes.
    """
    return _weighed(_Search(observation, units).run()) if units else ()


class _Field:
    """What all writers have in common on one path."""

    def __init__(
        self, observation: Observation, units: Sequence[Unit], number: int, path: Path
    ) -> None:
        pauses = [unit.start for unit in units if unit.stall and unit.size >= path.base]
        self.number = number
        self.path = path
        self.ground = Ground(units, path)
        self.known = seen(observation, cuts(units, path), pauses, path.base)

    def prior(self, writer: Hypothesis) -> float:
        """Bits for the path, the writer, and whether it has Nagle's algorithm, if that matters."""
        return self.path.bits + writer.bits + bool(writer.lines or writer.ends)


class _Found(NamedTuple):
    """A walk that found something, and its place among those that cost the same."""

    place: tuple[int, float, int, int]
    bits: float
    field: _Field
    writer: Hypothesis
    nagle: bool
    explained: Explained


class _Search:
    """Walks over paths and writers, and leaves out what can have no weight.

    That is what costs at least more than the margin above the best that was found until then. So
    the likely ones go first, and of large families most are not even made.
    """

    def __init__(self, observation: Observation, units: Sequence[Unit]) -> None:
        self._observation = observation
        self._units = units
        self._best = math.inf
        self._made = 0
        self._found: list[_Found] = []

    def run(self) -> list[Account]:
        """What was found, in the order of paths, of the writers' bits, and of their styles."""
        fields = []
        reads = self._observation.layer == "reads"
        for number, path in enumerate(paths(self._units, self._observation.mss, reads=reads)):
            if self._spare(path.bits + BITS_MIN) >= 0:
                field = _Field(self._observation, self._units, number, path)
                fields.append(field)
                self._walk_all((field, one) for one in plain(field.known))
        self._walk_all((field, one) for field in fields for one in self._parametric(field))
        self._found.sort(key=attrgetter("place"))
        return [account for one in self._found for account in self._accounts(one)]

    def _accounts(self, one: _Found) -> Iterator[Account]:
        """What was found, with the ends of data that the last size may hide."""
        enough = self._best + MARGIN_BITS
        field, writer, explained = one.field, one.writer, one.explained
        if one.bits > enough:
            return
        yield Account(one.bits, 0.0, field.path, writer, one.nagle, explained)
        for size, bits in hidden_terminators(field.known, writer):
            more = one.bits + bits - writer.bits + explained.behind_bits
            if more <= enough:
                other = with_hidden_terminator(field.known, writer, size)
                yield Account(more, 0.0, field.path, other, one.nagle, explained)

    def _spare(self, bits: float) -> float:
        """How many bits more would have a weight; less than zero if these have none."""
        return self._best + MARGIN_BITS + _ROUNDING - bits

    def _parametric(self, field: _Field) -> Iterator[Hypothesis]:
        """The writers of large families that may have weight."""
        text_end = field.known.total - max(TERMINATORS_BYTES)

        def worth(bits: float, ends: Sequence[int] | None) -> bool:
            spare = self._spare(field.path.bits + bits + bool(ends))
            if ends is None or spare < 0:
                return spare >= 0
            return field.ground.least_of(ends, spare, text_end) <= spare

        return parametric(field.known, worth)

    def _walk_all(self, writers: Iterable[tuple[_Field, Hypothesis]]) -> None:
        """Walk those that may have weight, the likeliest first."""
        waiting = []
        for field, one in writers:
            self._made += 1
            prior = field.prior(one)
            spare = self._spare(prior)
            least = field.ground.least(one, spare)
            if least <= spare:
                waiting.append((prior + least, self._made, field, one))
        waiting.sort()
        for least, number, field, one in waiting:
            if self._spare(least) >= 0:
                self._walk(field, one, number)

    def _walk(self, field: _Field, writer: Hypothesis, number: int) -> None:
        ground = field.ground
        prior = field.prior(writer)
        place = field.number, writer.bits, RANKS[writer.style], number
        for nagle in (False, True) if writer.lines or writer.ends else (False,):
            limit = self._best + MARGIN_BITS - prior
            if not nagle and not writer.lines and ground.apiece(writer.ends, limit) > limit:
                continue
            explained = explain(ground, writer, nagle=nagle, limit=limit)
            if explained is None:
                continue
            bits = prior + explained.bits
            self._best = min(self._best, bits)
            self._found.append(_Found(place, bits, field, writer, nagle, explained))


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
