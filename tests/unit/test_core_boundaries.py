"""Which ends of writes a layer shows: those where TCP would not have ended a segment otherwise."""

from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from synthetic import MS, record

from seglab.core.boundaries import (
    FullSegments,
    short_ends,
    visible_boundaries,
    write_boundaries,
)
from seglab.core.observation import Layer, Observation
from seglab.core.record import MtuChange, SessionRecord
from seglab.core.trace import Read, Segment, Write


def spans(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Ranges of these sizes, from 0 on."""
    return list(pairwise([0, *accumulate(sizes)]))


def session(
    writes: tuple[int, ...], segments: tuple[int, ...], reads: tuple[int, ...], **changes: Any
) -> SessionRecord:
    """A session with an MSS of 1440 and these sizes at its three layers."""
    known: dict[str, Any] = {
        "mss": 1440,
        "payload_bytes": sum(writes),
        "writes": tuple(Write(i, a, b) for i, (a, b) in enumerate(spans(writes))),
        "segments": tuple(
            Segment(10 * MS + i, 80 * MS + i, a, b) for i, (a, b) in enumerate(spans(segments))
        ),
        "reads": tuple(Read(90 * MS + i, a, b) for i, (a, b) in enumerate(spans(reads))),
    }
    return record(**(known | changes))


def visible(one: SessionRecord, layer: Layer) -> frozenset[int]:
    """The visible boundaries of a session."""
    return visible_boundaries(one, Observation.of_record(one, layer).ends)


def test_a_short_segment_shows_the_end_of_a_write() -> None:
    """1000 ends a short segment, 2880 as well, 3000 is within one: TCP joined two writes there."""
    one = session((1000, 1880, 120, 2120), (1000, 1440, 440, 1440, 800), (5120,))
    assert write_boundaries(one) == {1000, 2880, 3000}
    assert visible(one, "segments") == {1000, 2880}


def test_a_full_segment_shows_nothing() -> None:
    """It ends at 1440 whether a write does or not."""
    one = session((1440, 3680), (1440, 1440, 1440, 800), (5120,))
    assert visible(one, "segments") == frozenset()


def test_a_read_shows_a_boundary_where_it_ends() -> None:
    """Within a read, nothing is visible; at its end it is, however long the read."""
    one = session((1000, 440, 3680), (1000, 440, 1440, 1440, 800), (1440, 2880, 800))
    assert visible(one, "segments") == {1000, 1440}
    assert visible(one, "reads") == {1440}


def test_a_read_that_ends_with_a_full_segment_shows_nothing() -> None:
    """77 and two full segments: a write ended at 2957, and any other message has that end too."""
    one = session((77, 2880, 2163), (77, 1440, 1440, 1440, 723), (2957, 2163))
    assert visible(one, "reads") == frozenset()


FELL = replace(
    session((1440, 1440, 2240), (5120,), (1348, 1532, 2240)),
    mtu=1480,
    mtu_changes=(MtuChange(0, 1388),),
    segments=(
        Segment(1 * MS, None, 0, 1440, dropped=True, drop_reason="router"),
        Segment(2 * MS, None, 1440, 2880, dropped=True, drop_reason="router"),
        Segment(9 * MS, 90 * MS, 0, 1348, retransmission=True),
        Segment(10 * MS, 91 * MS, 1348, 1440, retransmission=True),
        Segment(11 * MS, 92 * MS, 1440, 2788, retransmission=True),
        Segment(12 * MS, 93 * MS, 2788, 2880, retransmission=True),
        Segment(13 * MS, 94 * MS, 2880, 4228),
        Segment(14 * MS, 95 * MS, 4228, 5120),
    ),
)


def test_the_rest_of_a_resegmented_segment_shows_nothing() -> None:
    """1440 and 2880 end short segments of 92 bytes; as first sent, they ended full ones."""
    assert short_ends(Observation.of_record(FELL, "segments").sizes, 1440) >= {1440, 2880}
    assert visible(FELL, "segments") == frozenset()
    assert visible(FELL, "reads") == frozenset()


def test_a_full_segment_of_a_lower_mtu_shows_nothing() -> None:
    """A write that ends at 4228 ends with a segment of 1348 bytes, which was full by then."""
    writes = tuple(Write(i, a, b) for i, (a, b) in enumerate(spans((2880, 1348, 892))))
    assert visible(replace(FELL, writes=writes), "segments") == frozenset()
    full = FullSegments.of_record(FELL)
    assert full.full_sizes(0) == {1440}
    assert full.full_sizes(2880) >= {1440, 1348}


def test_a_segment_that_was_lost_shows_nothing_by_itself() -> None:
    """The wire carried 500 bytes alone, and the receiver got them together with what followed."""
    one = replace(
        session((500, 500), (1000,), (1000,)),
        segments=(
            Segment(1 * MS, None, 0, 500, dropped=True),
            Segment(2 * MS, None, 500, 1000, dropped=True),
            Segment(9 * MS, 90 * MS, 0, 1000, retransmission=True),
        ),
    )
    assert visible(one, "segments") == frozenset()


def test_ends_that_stand_out() -> None:
    """A size that is no whole number of full segments; all sizes where the MSS is not known."""
    assert short_ends((1440, 2880, 1500, 60), 1440) == {5820, 5880}
    assert short_ends((1440, 60), None) == {1440, 1500}


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=12))
def test_without_loss_the_visible_boundaries_are_the_short_ends(writes: list[int]) -> None:
    """Where each write leaves at once and none comes again, nothing else cuts a segment short."""
    cut: list[int] = []
    for size in writes:
        cut += [1440] * (size // 1440) + ([size % 1440] if size % 1440 else [])
    one = session(tuple(writes), tuple(cut), (sum(writes),))
    assert visible(one, "segments") == short_ends(cut, 1440) - {sum(writes)}
