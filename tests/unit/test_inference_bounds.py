"""What the search of explanations leaves out: nothing that has any weight."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st
from regressing import session

from seglab.core.boundaries import visible_boundaries
from seglab.core.observation import Observation
from seglab.core.trace import HeaderField
from seglab.inference.bounds import PathBounds
from seglab.inference.families import parametrised
from seglab.inference.hypothesis import TERMINATORS_BYTES, Features, Hypothesis
from seglab.inference.lines import align
from seglab.inference.path import Path
from seglab.inference.posterior import (
    MARGIN_BITS,
    PathSearch,
    explanations,
    suggested_ends,
    views,
)
from seglab.inference.units import units_of
from seglab.inference.writers import BITS_MIN, unparametrised

NAMES = ("Received", "From", "To", "Subject")
ROUNDING = 1e-6


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Messages of full segments, reads of several, and whatever else, with and without details."""
    mss = draw(st.sampled_from((None, 536, 1448, 8948, 65483)))
    full = mss or 1448
    usual = (full, 2 * full, 5 * full, 512, 1024, 4096, 5, 3, 60, 16384, 65536)
    size = st.sampled_from(usual) | st.integers(1, 2 * full)
    sizes = tuple(draw(st.lists(size, min_size=1, max_size=14)))
    known = len(sizes)
    flags = st.lists(st.booleans(), min_size=known, max_size=known).map(tuple)
    seen = st.lists(st.sampled_from((True, False, None)), min_size=known, max_size=known)
    holes = seen.map(tuple)
    gaps = st.lists(st.sampled_from((10_000, 40_000_000)), min_size=known, max_size=known)
    fields = None
    if draw(st.booleans()):
        ends = list(accumulate(draw(st.lists(st.integers(20, 200), min_size=1, max_size=4))))
        spans = zip(NAMES, [0, *ends], ends, strict=False)
        fields = tuple(HeaderField(name, start, end) for name, start, end in spans)
    return Observation(
        id="x",
        sizes=sizes,
        layer=draw(st.sampled_from(("segments", "reads"))),
        mss=mss,
        push=draw(st.none() | flags | holes),
        begins_at=draw(st.sampled_from((None, 0, 0, 68, 1000))),
        t_ns=draw(st.none() | gaps.map(accumulate).map(tuple)),
        retransmission=draw(st.none() | flags),
        header_end=None if fields is None else fields[-1].end,
        fields=fields,
        complete=draw(st.sampled_from((None, True, False))),
    )


def path_searches(observation: Observation) -> Iterator[tuple[Path, PathBounds, Features]]:
    """The paths of an observation, each with its bounds and with the features of writers."""
    for number, (units, path) in enumerate(views(observation, units_of(observation))):
        search = PathSearch(observation, units, number, path)
        yield path, search.bounds, search.features


def everything(_bits: float, _ends: Sequence[int] | None) -> bool:
    """All writers may matter."""
    return True


def aligned(bounds: PathBounds, writer: Hypothesis, *, nagle: bool) -> float:
    """Bits of an alignment without a limit."""
    explained = align(bounds, writer, nagle=nagle, limit=math.inf)
    assert explained is not None
    return explained.bits


@settings(deadline=None, max_examples=100)
@given(observations())
def test_the_bound_before_an_alignment_is_one(observation: Observation) -> None:
    """No alignment costs less than its lower bound."""
    for _, bounds, known in path_searches(observation):
        for writer in (*unparametrised(known), *parametrised(known, everything)):
            assert writer.bits >= BITS_MIN
            least = bounds.lower_bound(writer) - ROUNDING
            assert aligned(bounds, writer, nagle=True) >= least
            bits = aligned(bounds, writer, nagle=False)
            assert bits >= least
            if not writer.lines:
                assert bits >= bounds.bound_without_nagle(writer.ends, math.inf) - ROUNDING


@settings(deadline=None, max_examples=100)
@given(observations())
def test_the_bound_before_writers_are_made_is_one(observation: Observation) -> None:
    """No writer costs less than the bound of its family, however the end of data is written."""
    for _, bounds, known in path_searches(observation):
        asked: list[tuple[float, Sequence[int] | None]] = []

        def may_matter(
            bits: float,
            ends: Sequence[int] | None,
            asked: list[tuple[float, Sequence[int] | None]] = asked,
        ) -> bool:
            asked.append((bits, ends))
            return True

        text_end = known.total - max(TERMINATORS_BYTES)
        for writer in parametrised(known, may_matter):
            bits, ends = asked[-1]
            assert writer.bits >= bits - ROUNDING
            if ends is not None:
                least = bounds.lower_bound_of_family(ends, math.inf, text_end) - ROUNDING
                assert aligned(bounds, writer, nagle=True) >= least
                assert aligned(bounds, writer, nagle=False) >= least


@settings(deadline=None, max_examples=60)
@given(observations())
def test_nothing_that_has_weight_is_left_out(observation: Observation) -> None:
    """The search finds the same explanations as aligning every writer does."""
    bits = {
        (path, writer, nagle): path.bits
        + writer.bits
        + bool(writer.lines or writer.ends)
        + aligned(bounds, writer, nagle=nagle)
        for path, bounds, known in path_searches(observation)
        for writer in (*unparametrised(known), *parametrised(known, everything))
        for nagle in ((False, True) if writer.lines or writer.ends else (False,))
    }
    found = {
        (one.path, one.writer, one.nagle): one.bits
        for one in explanations(observation, units_of(observation))
    }
    enough = min(bits.values()) + MARGIN_BITS - ROUNDING
    for one, price in bits.items():
        if price < enough:
            assert math.isclose(found[one], price, abs_tol=ROUNDING)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=10))
def test_suggested_ends_are_the_visible_boundaries_where_nothing_is_lost(writes: list[int]) -> None:
    """The guess from sizes and the definition by the truth agree on a path that does nothing."""
    record = session("wide", "raw_writes", writes)
    observation = Observation.of_record(record, "segments")
    found = suggested_ends(units_of(observation), Path(record.mss, (record.mss,), 0.0))
    assert set(found) == visible_boundaries(record, observation.ends)
