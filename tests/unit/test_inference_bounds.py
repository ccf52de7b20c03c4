"""What the search of explanations leaves out: nothing that has any weight."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from seglab.core.observation import Observation
from seglab.core.trace import HeaderField
from seglab.inference.ground import Ground
from seglab.inference.lines import explain
from seglab.inference.path import Path, paths
from seglab.inference.posterior import MARGIN_BITS, accounts, cuts
from seglab.inference.units import units_of
from seglab.inference.writers import (
    BITS_MIN,
    TERMINATORS_BYTES,
    Hypothesis,
    Seen,
    parametric,
    plain,
    seen,
)

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
        push=draw(st.none() | flags),
        t_ns=draw(st.none() | gaps.map(accumulate).map(tuple)),
        retransmission=draw(st.none() | flags),
        header_end=None if fields is None else fields[-1].end,
        fields=fields,
        complete=draw(st.sampled_from((None, True, False))),
    )


def fields_of(observation: Observation) -> Iterator[tuple[Path, Ground, Seen]]:
    """The paths of an observation, and what writers are made from and walked on."""
    units = units_of(observation)
    for path in paths(units, observation.mss, reads=observation.layer == "reads"):
        pauses = [unit.start for unit in units if unit.stall and unit.size >= path.base]
        known = seen(observation, cuts(units, path), pauses, path.base)
        yield path, Ground(units, path), known


def everything(_bits: float, _ends: Sequence[int] | None) -> bool:
    """All is worth a look."""
    return True


def walked(ground: Ground, writer: Hypothesis, *, nagle: bool) -> float:
    """Bits of a walk to its end."""
    explained = explain(ground, writer, nagle=nagle, limit=math.inf)
    assert explained is not None
    return explained.bits


@settings(deadline=None, max_examples=100)
@given(observations())
def test_the_bound_before_a_walk_is_one(observation: Observation) -> None:
    """No walk costs less than what it was said to cost at least."""
    for _, ground, known in fields_of(observation):
        for writer in (*plain(known), *parametric(known, everything)):
            assert writer.bits >= BITS_MIN
            least = ground.least(writer) - ROUNDING
            assert walked(ground, writer, nagle=True) >= least
            bits = walked(ground, writer, nagle=False)
            assert bits >= least
            if not writer.lines:
                assert bits >= ground.apiece(writer.ends, math.inf) - ROUNDING


@settings(deadline=None, max_examples=100)
@given(observations())
def test_the_bound_before_writers_are_made_is_one(observation: Observation) -> None:
    """None costs less than its family was said to, with a terminator of its own or without."""
    for _, ground, known in fields_of(observation):
        asked: list[tuple[float, Sequence[int] | None]] = []

        def worth(
            bits: float,
            ends: Sequence[int] | None,
            asked: list[tuple[float, Sequence[int] | None]] = asked,
        ) -> bool:
            asked.append((bits, ends))
            return True

        text_end = known.total - max(TERMINATORS_BYTES)
        for writer in parametric(known, worth):
            bits, ends = asked[-1]
            assert writer.bits >= bits - ROUNDING
            if ends is not None:
                least = ground.least_of(ends, math.inf, text_end) - ROUNDING
                assert walked(ground, writer, nagle=True) >= least
                assert walked(ground, writer, nagle=False) >= least


@settings(deadline=None, max_examples=60)
@given(observations())
def test_nothing_that_has_weight_is_left_out(observation: Observation) -> None:
    """The same explanations are found as by walking all of them to the end."""
    bits = {
        (path, writer, nagle): path.bits
        + writer.bits
        + bool(writer.lines or writer.ends)
        + walked(ground, writer, nagle=nagle)
        for path, ground, known in fields_of(observation)
        for writer in (*plain(known), *parametric(known, everything))
        for nagle in ((False, True) if writer.lines or writer.ends else (False,))
    }
    found = {
        (one.path, one.writer, one.nagle): one.bits
        for one in accounts(observation, units_of(observation))
    }
    enough = min(bits.values()) + MARGIN_BITS - ROUNDING
    for one, price in bits.items():
        if price < enough:
            assert math.isclose(found[one], price, abs_tol=ROUNDING)
