"""All hypotheses weighed against each other: a posterior over writers and paths."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from seglab.core.observation import Observation
from seglab.inference.bounds import PathBounds
from seglab.inference.families import parametrised
from seglab.inference.hypothesis import (
    RANKS,
    TERMINATORS_BYTES,
    Hypothesis,
    density_bits,
    features_of,
    hidden_terminators,
    with_hidden_terminator,
)
from seglab.inference.likelihood import Explained
from seglab.inference.lines import align
from seglab.inference.path import Path, paths
from seglab.inference.units import Unit, units_of
from seglab.inference.writers import BITS_MIN, unparametrised

MARGIN_BITS = 10.0
"""An explanation this much longer than the best one has no weight."""

_UNSAID_COMMANDS_BITS = 1.5
"""Commands share the first segment, although nothing says so, beyond the choice of their length."""

_COMMANDS_BYTES = range(6, 1001)
"""How many bytes of commands may share it: `DATA` and its CRLF, or a whole transaction."""

_COMMANDS_TYPICAL_BYTES = 130  # MAIL, RCPT and DATA
_COMMANDS_SPREAD = 0.6

_ROUNDING = 1e-6
"""Two sums of the same parts in another order differ by less than this."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One complete explanation: a path, a writer, its TCP, and what they leave open.

    Attributes:
        bits: the price of all of it together; the cheapest explanation is the likeliest.
        weight: its share of the posterior.
        path: what the path did to the segments.
        writer: who wrote.
        nagle: whether the sender's TCP held small segments back.
        explained: how the writer's ends align with the units.
        before: how many bytes of commands share the first segment.
    """

    bits: float
    weight: float
    path: Path
    writer: Hypothesis
    nagle: bool
    explained: Explained
    before: int = 0


def explanations(observation: Observation, units: Sequence[Unit]) -> tuple[Explanation, ...]:
    """The explanations that have a weight, the best first.

    Args:
        observation: what was seen.
        units: its sizes with their places; without any, there is no explanation.
    """
    return _weighed(_Search(observation, units).run()) if units else ()


def beginnings(
    observation: Observation, units: Sequence[Unit]
) -> Iterator[tuple[Sequence[Unit], float]]:
    """The units by how many bytes of commands may share the first segment, with their prices.

    Where nothing says that some do, a first segment that would be full with them suggests it: one
    that offload merged and that is no multiple of the MSS, or a shorter one before full ones.
    """
    yield units, 0.0
    mss = observation.mss
    if mss is None or observation.begins_at is not None or observation.layer == "reads":
        return
    first = units[0]
    missing = -first.size % mss
    merged = first.size > mss
    followed = len(units) > 1 and units[1].size >= mss and not units[1].hole
    if missing in _COMMANDS_BYTES and not first.hole and (merged or followed):
        bits = density_bits(missing, _COMMANDS_TYPICAL_BYTES, _COMMANDS_SPREAD)
        yield units_of(observation, missing), _UNSAID_COMMANDS_BITS + bits


def views(observation: Observation, units: Sequence[Unit]) -> Iterator[tuple[Sequence[Unit], Path]]:
    """The paths that are worth a look, each with the units as they would then be."""
    reads = observation.layer == "reads"
    for seen, bits in beginnings(observation, units):
        for path in paths(seen, observation.mss, reads=reads):
            yield seen, replace(path, bits=path.bits + bits) if bits else path


class PathSearch:
    """The search under one path: what all writers have in common there."""

    def __init__(
        self, observation: Observation, units: Sequence[Unit], number: int, path: Path
    ) -> None:
        before = -units[0].start
        pauses = [unit.start for unit in units if unit.silence_before and unit.size >= path.base]
        self.number = number
        self.path = path
        self.bounds = PathBounds(units, path)
        self.before = before
        self.features = features_of(
            observation,
            suggested_ends(units, path),
            pauses,
            path.base,
            before or observation.begins_at,
        )

    def prior(self, writer: Hypothesis) -> float:
        """Bits for the path and the writer, and one for Nagle's algorithm where it matters."""
        return self.path.bits + writer.bits + bool(writer.lines or writer.ends)


class _Aligned(NamedTuple):
    """An alignment below the limit, and its place among those that cost the same."""

    place: tuple[int, float, int, int]
    bits: float
    search: PathSearch
    writer: Hypothesis
    nagle: bool
    explained: Explained


class _Search:
    """The search over paths and writers, which leaves out what can have no weight.

    A writer has no weight if its lower bound is more than ``MARGIN_BITS`` above the best
    explanation found so far. So the likely writers are tried first, and most writers of the large
    families are not even made.
    """

    def __init__(self, observation: Observation, units: Sequence[Unit]) -> None:
        self._observation = observation
        self._units = units
        self._best = math.inf
        self._made = 0
        self._found: list[_Aligned] = []

    def run(self) -> list[Explanation]:
        """The explanations by path, then by the price of the writer, then by its style."""
        searches = []
        for number, (units, path) in enumerate(views(self._observation, self._units)):
            if self._bits_left(path.bits + BITS_MIN) >= 0:
                search = PathSearch(self._observation, units, number, path)
                searches.append(search)
                self._try_all((search, one) for one in unparametrised(search.features))
        self._try_all((search, one) for search in searches for one in self._parametrised(search))
        self._found.sort(key=attrgetter("place"))
        return [each for one in self._found for each in self._with_hidden_ends_of_data(one)]

    def _with_hidden_ends_of_data(self, one: _Aligned) -> Iterator[Explanation]:
        """An explanation, and those in which the last size hides an end of data written apart."""
        enough = self._best + MARGIN_BITS
        search, writer, explained = one.search, one.writer, one.explained
        if one.bits > enough:
            return
        known = one.nagle, explained, search.before
        yield Explanation(one.bits, 0.0, search.path, writer, *known)
        for size, bits in hidden_terminators(search.features, writer):
            more = one.bits + bits - writer.bits + explained.trailing_end_bits
            if more <= enough:
                other = with_hidden_terminator(search.features, writer, size)
                yield Explanation(more, 0.0, search.path, other, *known)

    def _bits_left(self, bits: float) -> float:
        """How many bits may be added to these without losing all weight; negative if none."""
        return self._best + MARGIN_BITS + _ROUNDING - bits

    def _parametrised(self, search: PathSearch) -> Iterator[Hypothesis]:
        """The writers of the large families that may have weight."""
        text_end = search.features.total - max(TERMINATORS_BYTES)

        def may_matter(bits: float, ends: Sequence[int] | None) -> bool:
            spare = self._bits_left(search.path.bits + bits + bool(ends))
            if ends is None or spare < 0:
                return spare >= 0
            return search.bounds.lower_bound_of_family(ends, spare, text_end) <= spare

        return parametrised(search.features, may_matter)

    def _try_all(self, writers: Iterable[tuple[PathSearch, Hypothesis]]) -> None:
        """Align the writers that may have weight, the likeliest first."""
        waiting = []
        for search, one in writers:
            self._made += 1
            prior = search.prior(one)
            spare = self._bits_left(prior)
            least = search.bounds.lower_bound(one, spare)
            if least <= spare:
                waiting.append((prior + least, self._made, search, one))
        waiting.sort()
        for least, number, search, one in waiting:
            if self._bits_left(least) >= 0:
                self._try(search, one, number)

    def _try(self, search: PathSearch, writer: Hypothesis, number: int) -> None:
        """Align one writer, without Nagle's algorithm and with it."""
        bounds = search.bounds
        prior = search.prior(writer)
        place = search.number, writer.bits, RANKS[writer.style], number
        for nagle in (False, True) if writer.lines or writer.ends else (False,):
            limit = self._best + MARGIN_BITS - prior
            bounded = not nagle and not writer.lines
            if bounded and bounds.bound_without_nagle(writer.ends, limit) > limit:
                continue
            explained = align(bounds, writer, nagle=nagle, limit=limit)
            if explained is None:
                continue
            bits = prior + explained.bits
            self._best = min(self._best, bits)
            self._found.append(_Aligned(place, bits, search, writer, nagle, explained))


def suggested_ends(units: Sequence[Unit], path: Path) -> tuple[int, ...]:
    """Where the sizes suggest that a write ended, if this was the path; in rising order.

    This is a guess from sizes, to make hypotheses from. Which boundaries really are visible is
    defined in ``seglab.core.boundaries``, and needs the truth.

    A short segment suggests its end, unless the path may have cut it. A read that whole segments
    from the last suggested end do not reach suggests its own end, and the earliest offset in it
    from which whole segments reach that end.
    """
    found: list[int] = []
    anchor = units[0].start
    total = units[-1].end
    for unit in units:
        if unit.hole:
            anchor = unit.end
            continue
        if unit.end == total or (not unit.coalesced and unit.size in path.levels):
            continue
        if path.may_bound(unit):
            anchor = unit.end
            continue
        rest = (unit.end - anchor) % path.base
        if unit.coalesced:
            if not rest or path.within_resegmented(unit.end, anchor):
                continue
        elif path.resegmented(unit.end, anchor) or path.is_rest(unit):
            continue
        if unit.coalesced and rest and unit.size > path.base:
            low = unit.start + (unit.end - unit.start) % path.base
            if low > max(unit.start, 0):
                found.append(low)
        found.append(unit.end)
        anchor = unit.end
    return tuple(dict.fromkeys(found))


def _weighed(found: Sequence[Explanation]) -> tuple[Explanation, ...]:
    """The explanations with their weights, which add up to 1; the cheapest first."""
    if not found:
        return ()
    best = min(one.bits for one in found)
    weights = [2.0 ** (best - one.bits) for one in found]
    whole = sum(weights)
    weighed = (
        replace(one, weight=weight / whole) for one, weight in zip(found, weights, strict=True)
    )
    return tuple(sorted(weighed, key=lambda one: one.bits))
