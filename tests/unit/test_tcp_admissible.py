"""Which sizes some writes could have become: the grammar admits what happens, and not much more."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seglab.tcp.admissible import SenderTcp, could_give
from seglab.tcp.model import TcpSettings, segments_of

MS = 1_000_000
ETHERNET = SenderTcp(mss=1448)
NODELAY = SenderTcp(mss=1448, nodelay=True)


@pytest.mark.parametrize(
    ("ends", "sizes", "tcp"),
    [
        pytest.param([], [1448, 1448, 104], ETHERNET, id="one write"),
        pytest.param([77], [77, 1448, 1448, 27], ETHERNET, id="a relay"),
        pytest.param([1448], [1448, 552], NODELAY, id="a write of one full segment"),
        pytest.param([2048, 4096], [1448, 600, 1448, 600, 904], NODELAY, id="a buffer"),
        pytest.param([2048, 4096], [1448, 600, 1448, 1448, 56], ETHERNET, id="Nagle holds one"),
        pytest.param([15_000], [1448] * 13 + [1176], NODELAY, id="the window is full"),
        pytest.param(
            [700],
            [1348, 100, 1348],
            SenderTcp(mss=1448, others=frozenset({1348}), disturbed_from=0),
            id="a buffer cut again",
        ),
    ],
)
def test_admitted(ends: list[int], sizes: list[int], tcp: SenderTcp) -> None:
    """Some timing leads to these segments."""
    assert could_give(ends, sizes, tcp)


@pytest.mark.parametrize(
    ("ends", "sizes", "tcp"),
    [
        pytest.param([], [1448, 600, 1448, 600], ETHERNET, id="a short segment within a write"),
        pytest.param([78], [77, 1448, 1448, 27], ETHERNET, id="a boundary beside"),
        pytest.param([2048], [1448, 1448, 1104], NODELAY, id="nothing hides the first boundary"),
        pytest.param([2048], [1448, 1448, 1104], ETHERNET, id="Nagle needs a short one before"),
        pytest.param([700], [1449, 300], ETHERNET, id="more than the MSS"),
        pytest.param([10_000], [1448] * 7 + [1000], NODELAY, id="the window has room"),
        pytest.param(
            [2048, 4096], [1448, 600, 1448, 1448, 56], NODELAY, id="Nagle is off, no window full"
        ),
        pytest.param(
            [700],
            [1348, 100, 1348],
            SenderTcp(mss=1448, others=frozenset({1348})),
            id="cut again before anything was sent again",
        ),
        pytest.param([], [], ETHERNET, id="nothing"),
    ],
)
def test_refused(ends: list[int], sizes: list[int], tcp: SenderTcp) -> None:
    """No timing does."""
    assert not could_give(ends, sizes, tcp)


@pytest.mark.parametrize(
    ("ends", "reads", "expected"),
    [
        ([77], [1525, 475], True),  # 77 + 1448, 475
        ([77], [77, 1923], True),
        ([77], [1448, 552], False),  # 1448 is no end of 77, 1448, 475
        ([], [2896, 104], True),
        ([], [2000, 1000], False),
        ([2048, 4096], [2048, 2952], True),
        ([2048, 4096], [3496, 1504], True),  # 1448 600 1448, 600 904
        ([2048, 4096], [3000, 2000], False),
    ],
)
def test_reads_are_unions_of_segments(ends: list[int], reads: list[int], expected: bool) -> None:
    """A read ends where some admitted segmentation has an end."""
    assert could_give(ends, reads, NODELAY, merged=True) is expected


LENGTHS = st.lists(st.integers(1, 5000), min_size=1, max_size=25)


@given(
    LENGTHS,
    st.lists(st.integers(0, 90 * MS), min_size=25, max_size=25),
    st.sampled_from([536, 1448, 4300]),
    st.integers(1, 20),
    st.booleans(),
    st.integers(0, 1 << 30),
)
def test_what_the_model_cuts_is_admitted(
    lengths: list[int], gaps: list[int], mss: int, initcwnd: int, nodelay: bool, dice: int
) -> None:
    """The forward model knows one timing of all that the grammar allows."""
    ends = list(accumulate(lengths))
    times = list(accumulate(gaps))
    writes = [(times[i], a, b) for i, (a, b) in enumerate(pairwise([0, *ends]))]
    connection = TcpSettings(mss=mss, rtt_ns=40 * MS, initcwnd=initcwnd, nodelay=nodelay)
    sizes = [one.end - one.start for one in segments_of(writes, connection)]
    tcp = SenderTcp(mss=mss, initcwnd=initcwnd, nodelay=nodelay)
    assert could_give(ends, sizes, tcp)
    merged = [
        b - a
        for a, b in pairwise(
            sorted({0, sum(sizes), *(e for i, e in enumerate(accumulate(sizes)) if dice >> i & 1)})
        )
    ]
    assert could_give(ends, merged, tcp, merged=True)


@given(LENGTHS, st.integers(0, 24), st.integers(1, 400))
def test_a_moved_boundary_that_shows_is_refused(lengths: list[int], which: int, move: int) -> None:
    """A short segment ends where a write does, and nowhere beside."""
    ends = list(accumulate(lengths))
    assume(len(ends) > 1)
    moved = ends[which % (len(ends) - 1)]
    writes = [(200 * MS * i, a, b) for i, (a, b) in enumerate(pairwise([0, *ends]))]
    sent = segments_of(writes, TcpSettings(mss=1448, rtt_ns=40 * MS, nodelay=True))
    assume(any(one.end == moved and one.end - one.start < 1448 for one in sent))
    assume(moved + move not in ends)
    others = [end for end in ends if end != moved] + [moved + move]
    assert not could_give(others, [one.end - one.start for one in sent], NODELAY)


@settings(max_examples=25, deadline=None)
@given(
    st.sets(st.integers(1, 11), max_size=4),
    st.sets(st.integers(1, 11), max_size=4),
    st.integers(1, 3),
    st.sampled_from([None, True, False]),
)
def test_reads_are_admitted_where_segments_are(
    ends: set[int], reads: set[int], initcwnd: int, nodelay: bool | None
) -> None:
    """Held against all ways to cut 12 bytes at an MSS of 3: some must have each read's end."""
    tcp = SenderTcp(mss=3, initcwnd=initcwnd, nodelay=nodelay)
    wanted = [b - a for a, b in pairwise(sorted({0, *reads, 12}))]
    cuts = (
        [0, *(at for at in range(1, 12) if bits >> at & 1 or at in reads), 12]
        for bits in range(0, 1 << 12, 2)
    )
    possible = any(could_give(ends, [b - a for a, b in pairwise(cut_)], tcp) for cut_ in cuts)
    assert could_give(ends, wanted, tcp, merged=True) is possible
