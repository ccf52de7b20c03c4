"""The laws that hold between what was written, carried and read, each broken once."""

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as altered

from seglab.core.trace import (
    Read,
    Segment,
    Trace,
    Write,
    arrived_sizes,
    boundaries,
    first_arrived,
    first_sent,
    sizes,
)

SOUND = Trace(
    payload_bytes=3000,
    mss=1440,
    writes=(Write(0, 0, 2000), Write(500, 2000, 3000)),
    segments=(
        Segment(10, 100, 0, 1440),
        Segment(20, 110, 1440, 2000),
        Segment(510, 600, 2000, 3000, psh=True),
    ),
    reads=(Read(120, 0, 2000), Read(610, 2000, 3000)),
)


def test_a_sound_trace_breaks_no_law() -> None:
    """The trace that the others are made from is sound, and free of loss."""
    assert SOUND.violations() == []
    assert SOUND.loss_free
    assert sizes(SOUND.segments) == [1440, 560, 1000]
    assert boundaries(SOUND.reads) == {2000, 3000}


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"writes": SOUND.writes[:1]}, "writes end at 2000, the payload at 3000"),
        (
            {"writes": (Write(0, 0, 1900), SOUND.writes[1])},
            "write 2000:3000 where a write from 1900 was expected",
        ),
        (
            {"writes": (*SOUND.writes, Write(510, 3000, 3000))},
            "write 3000:3000 where a write from 3000 was expected",
        ),
        ({"reads": SOUND.reads[:1]}, "reads end at 2000, the payload at 3000"),
        (
            {"reads": (SOUND.reads[0], Read(610, 1999, 3000))},
            "read 1999:3000 where a read from 2000 was expected",
        ),
        (
            {"segments": (SOUND.segments[0], SOUND.segments[2])},
            "no segment carried 1440:2000",
        ),
        ({"segments": SOUND.segments[:2]}, "segments reach 2000, the payload ends at 3000"),
        (
            {"segments": (*SOUND.segments, Segment(520, 605, 3000, 3001))},
            "segments reach 3001, the payload ends at 3000",
        ),
        (
            {
                "segments": (
                    *SOUND.segments[:2],
                    altered(SOUND.segments[2], t_arrived_ns=None, dropped=True),
                )
            },
            "segments reach 2000, the payload ends at 3000",
        ),
        ({"mss": 1439}, "segment 0:1440(1440) exceeds the MSS 1439"),
        (
            {"segments": (altered(SOUND.segments[0], t_arrived_ns=9), *SOUND.segments[1:])},
            "segment 0:1440 arrived before it was sent",
        ),
        (
            {"segments": (*SOUND.segments[:2], altered(SOUND.segments[2], t_sent_ns=499))},
            "segment 2000:3000 was sent before its last byte was written",
        ),
        (
            {"reads": (Read(109, 0, 2000), SOUND.reads[1])},
            "read 0:2000 holds bytes from 1440 that had not arrived",
        ),
        (
            {"reads": (SOUND.reads[0], Read(599, 2000, 3000))},
            "read 2000:3000 holds bytes from 2000 that had not arrived",
        ),
    ],
)
def test_each_broken_law_is_named(broken: dict[str, object], named: str) -> None:
    """One change to the sound trace, and what is wrong stands among the violations."""
    assert named in replace(SOUND, **broken).violations()


def test_a_byte_is_not_read_before_the_one_ahead_of_it_arrived() -> None:
    """The second segment came first: until the first one is here, nothing can be read."""
    early, late = SOUND.segments[1], altered(SOUND.segments[0], t_arrived_ns=300)
    overtaken = replace(SOUND, segments=(late, early, SOUND.segments[2]))
    assert overtaken.violations() == ["read 0:2000 holds bytes from 0 that had not arrived"]
    patient = replace(overtaken, reads=(Read(301, 0, 2000), SOUND.reads[1]))
    assert patient.violations() == []


def test_a_retransmission_that_joins_earlier_segments_accuses_nobody() -> None:
    """Linux may send two small segments again as one, together with what was written since."""
    trace = Trace(
        payload_bytes=100,
        mss=1440,
        writes=(Write(0, 0, 60), Write(50, 60, 100)),
        segments=(
            Segment(1, None, 0, 40, dropped=True),
            Segment(2, None, 40, 60, dropped=True),
            Segment(60, 70, 0, 100, retransmission=True),
        ),
        reads=(Read(75, 0, 100),),
    )
    assert trace.violations() == []
    assert not trace.loss_free


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Sound by construction: written, cut, delayed, perhaps lost and sent again, then read."""
    mss = draw(st.integers(1, 40))
    lengths = draw(st.lists(st.integers(1, 100), min_size=1, max_size=5))
    now = start = 0
    writes, segments = [], []
    for length in lengths:
        now += draw(st.integers(0, 50))
        writes.append(Write(now, start, start + length))
        for at in range(start, start + length, mss):
            end = min(at + mss, start + length)
            sent = now + draw(st.integers(0, 20))
            if draw(st.booleans()):
                segments.append(Segment(sent, None, at, end, dropped=True))
                sent += draw(st.integers(1, 100))
            again = bool(segments) and segments[-1].start == at
            arrived = sent + draw(st.integers(0, 100))
            segments.append(Segment(sent, arrived, at, end, retransmission=again))
        start += length
    ends = sorted(draw(st.sets(st.integers(1, start), max_size=4)) | {start})
    reads, read_from, t_ns = [], 0, 0
    for end in ends:
        came = (s.t_arrived_ns for s in segments if s.start < end and s.t_arrived_ns is not None)
        t_ns = max(t_ns, *came, 0) + draw(st.integers(0, 10))
        reads.append(Read(t_ns, read_from, end))
        read_from = end
    return Trace(start, mss, tuple(writes), tuple(segments), tuple(reads))


@given(traces())
def test_sound_traces_break_no_law(trace: Trace) -> None:
    """Whatever is written, lost, delayed and overtaken: what TCP can do is accepted."""
    assert trace.violations() == []


@given(traces(), st.data())
def test_a_lost_layer_never_goes_unnoticed(trace: Trace, data: st.DataObject) -> None:
    """One event less in a layer that partitions the stream is always a violation."""
    layer = data.draw(st.sampled_from(["writes", "reads"]))
    events = getattr(trace, layer)
    gone = data.draw(st.integers(0, len(events) - 1))
    assert replace(trace, **{layer: events[:gone] + events[gone + 1 :]}).violations()


RESENT = (
    Segment(10, None, 0, 1440, dropped=True),
    Segment(11, None, 1440, 2880, dropped=True),
    Segment(12, 100, 2880, 3000),
    Segment(40, 140, 0, 1400, retransmission=True),
    Segment(41, 141, 1400, 2800, retransmission=True),
    Segment(42, 142, 2800, 3000, retransmission=True),
)
"""The path lost two segments. The sender sent them again in pieces of 1400 bytes, and the last of
these pieces repeats what had arrived."""


def test_first_sent_is_the_senders_view() -> None:
    """Lost segments count as they were sent, and nothing counts that was sent again."""
    found = first_sent(RESENT)
    assert [(start, end) for start, end, _ in found] == [(0, 1440), (1440, 2880), (2880, 3000)]
    assert [piece.segment for piece in found] == [*RESENT[:3]]


def test_first_arrived_is_the_receivers_view() -> None:
    """Lost segments do not count, and of one that repeats what had arrived its new bytes do."""
    found = first_arrived(reversed(RESENT))
    spans = [(start, end) for start, end, _ in found]
    assert spans == [(0, 1400), (1400, 2800), (2800, 2880), (2880, 3000)]
    assert [piece.segment for piece in found] == [*RESENT[3:], RESENT[2]]


def test_a_segment_that_surrounds_what_arrived_has_two_pieces() -> None:
    """The bytes in its middle belong to the segment that brought them."""
    segments = (Segment(1, 5, 100, 200), Segment(2, 6, 0, 300))
    assert [(a, b) for a, b, _ in first_arrived(segments)] == [(0, 100), (100, 200), (200, 300)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=12))
def test_each_byte_arrives_once(spans: list[tuple[int, int]]) -> None:
    """However segments overlap, the pieces hold the bytes of all of them, without overlaps."""
    segments = [Segment(i, i, start, start + size) for i, (start, size) in enumerate(spans)]
    pieces = first_arrived(segments)
    covered = [byte for start, end, _ in pieces for byte in range(start, end)]
    assert covered == sorted({byte for s in segments for byte in range(s.start, s.end)})
    assert arrived_sizes(segments) == sizes(pieces)


@given(
    st.lists(st.integers(1, 50), max_size=12),
    st.lists(st.one_of(st.none(), st.integers(0, 12)), min_size=12, max_size=12),
)
def test_arrived_sizes_are_those_of_the_pieces(lengths: list[int], times: list[int | None]) -> None:
    """They are found another way where nothing came again, whatever was lost or overtook."""
    ends = [*accumulate(lengths)]
    segments = [
        Segment(0, t_ns, end - size, end)
        for size, end, t_ns in zip(lengths, ends, times, strict=False)
    ]
    assert arrived_sizes(segments) == sizes(first_arrived(segments))
