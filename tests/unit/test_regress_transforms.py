"""What happens to a message on its way: bytes are conserved, and each change is what it says."""

from dataclasses import replace
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from seglab.core.observation import Observation
from seglab.regress.transforms import OFFLOAD_MAX, merged_reads, noise, offloaded, retransmitted

SEEDS = st.integers(0, 2**63 - 1)


@st.composite
def observations(draw):
    """Segments of at most the MSS, many of them full, with what may be known of them."""
    mss = draw(st.integers(1, 9000))
    size = st.one_of(st.just(mss), st.integers(1, mss))
    sizes = tuple(draw(st.lists(size, min_size=1, max_size=60)))
    known = draw(st.booleans())
    return Observation(
        id=draw(st.text("abc", min_size=1, max_size=4)),
        sizes=sizes,
        layer="segments",
        mss=draw(st.sampled_from([mss, None])),
        push=tuple(draw(st.booleans()) for _ in sizes) if known else None,
        t_ns=tuple(accumulate(draw(st.integers(0, 9)) for _ in sizes)) if known else None,
        retransmission=tuple(draw(st.booleans()) for _ in sizes) if known else None,
    )


@given(observations(), SEEDS)
def test_merged_reads(before, seed) -> None:
    """Reads are unions of neighbours: all bytes, and no end that was not there."""
    after = merged_reads(before, seed)
    assert after.total_bytes == before.total_bytes
    assert set(after.ends) <= set(before.ends)
    assert after.layer == "reads"
    assert after.push is None
    if before.t_ns is not None and after.t_ns is not None:
        times = dict(zip(before.ends, before.t_ns, strict=True))
        assert after.t_ns == tuple(times[end] for end in after.ends)


@given(observations(), SEEDS)
def test_retransmitted(before, seed) -> None:
    """One segment is marked, a full one in two pieces; the rest is as it was."""
    before = replace(before, retransmission=None)
    after = retransmitted(before, seed)
    assert after.total_bytes == before.total_bytes
    new = set(after.ends) - set(before.ends)
    assert set(before.ends) <= set(after.ends)
    assert len(new) == len(after.sizes) - len(before.sizes) <= 1
    assert after.retransmission is not None
    assert sum(after.retransmission) == 1 + len(new)
    if new:
        end = new.copy().pop()
        assert any(e - s < end < e and s == (before.mss or max(before.sizes))
                   for s, e in zip(before.sizes, before.ends, strict=True))  # fmt: skip
        at = after.ends.index(new.pop())
        assert after.retransmission[at : at + 2] == (True, True)


@given(observations(), SEEDS)
def test_lone_retransmission(before, seed) -> None:
    """Where something came again already, nothing more does."""
    if any(before.retransmission or ()):
        assert retransmitted(before, seed) == before


@given(observations(), SEEDS)
def test_offloaded(before, seed) -> None:
    """Merged are only full segments with what follows them, never over a PSH, nor without end."""
    after = offloaded(before, seed)
    assert after.total_bytes == before.total_bytes
    assert set(after.ends) <= set(before.ends)
    mss = before.mss or max(before.sizes)
    push = before.push or (False,) * len(before.sizes)
    for end, size, pushed in zip(before.ends, before.sizes, push, strict=True):
        if end not in after.ends:
            assert size == mss
            assert not pushed
    assert all(size <= max(OFFLOAD_MAX, mss) for size in after.sizes)
    assert bool(after.notes) == (len(after.sizes) < len(before.sizes))


@given(observations(), SEEDS)
def test_same_seed_same_change(before, seed) -> None:
    """A change is drawn from the seed and the observation alone, and another id draws another."""
    for change in (merged_reads, retransmitted, offloaded):
        assert change(before, seed) == change(before, seed)
        assert (change(before, seed).id != before.id) or change(before, seed) == before


def test_another_observation_draws_anew() -> None:
    """Two observations with the same sizes are not merged in the same places."""
    one = Observation(id="a", sizes=(100,) * 200, mss=1448)
    assert merged_reads(one, 1).sizes != merged_reads(replace(one, id="b"), 1).sizes


@given(SEEDS, st.integers(0, 100), st.integers(1, 9000))
def test_noise(seed, number, mss) -> None:
    """Noise has sizes up to the MSS, and is the same for the same seed."""
    made = noise(seed, number, mss, None, "segments")
    assert made == noise(seed, number, mss, None, "segments")
    assert 4 <= len(made.sizes) <= 16
    assert max(made.sizes) <= mss
