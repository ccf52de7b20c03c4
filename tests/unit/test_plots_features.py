"""What figures say is seen of a session, and the figures of sizes."""

from dataclasses import replace

import pytest
from drawn import shapes, svg_comments, texts
from hypothesis import given
from hypothesis import strategies as st
from synthetic import MS, record, simulated

from seglab.core.record import MtuChange
from seglab.core.trace import Read, Segment, Write
from seglab.plots.distribution import ROWS_AT_MOST, distribution
from seglab.plots.features import (
    SizeDistribution,
    agreement,
    matrix_of,
    other_full_sizes,
    patterns,
    reason_class,
    size_distributions,
    size_parts,
)
from seglab.plots.heatmap import heatmap
from seglab.plots.labels import left_edges
from seglab.plots.strips import KINDS, NAMES, Strip, strips
from seglab.plots.timeline import timeline, visible_changes
from seglab.reproduction.listings import layer_sizes
from seglab.reproduction.paper import paper


def on_wire(writes, segments, mss=1000):
    """A record of these sizes, each segment 1 ms after the one before, one read."""
    ends = [sum(writes[: i + 1]) for i in range(len(writes))]
    total, at, sent = sum(writes), 0, []
    for i, size in enumerate(segments):
        sent.append(Segment(i * MS, (i + 50) * MS, at, at + size))
        at += size
    return record(
        mss=mss,
        payload_bytes=total,
        writes=tuple(Write(0, end - size, end) for size, end in zip(writes, ends, strict=True)),
        segments=tuple(sent),
        reads=(Read(200 * MS, 0, total),),
    )


@pytest.mark.parametrize(
    ("writes", "segments", "expected"),
    [
        ([2500], [1000, 1000, 500], 1.0),  # one write, nothing to see, nothing seen
        ([500, 2500], [500, 1000, 1000, 500], 1.0),  # the relay's own header is seen
        ([500, 2500], [1000, 1000, 1000], 0.0),  # and here it has vanished
        ([2500], [900, 1000, 600], 0.0),  # a short segment that no write explains
        ([500, 500, 2000], [500, 1000, 1000, 500], 0.5),  # one of two is seen
        ([1000, 1500], [1000, 1000, 500], 0.0),  # ends on a full segment: not to be told
        ([], [], 1.0),
    ],
)
def test_agreement_compares_short_segments_with_writes(writes, segments, expected):
    """Ends of writes and of short segments, both over either, without the end of the stream."""
    assert agreement(on_wire(writes, segments)) == expected


@given(st.integers(1, 100_000), st.integers(1, 20_000))
def test_parts_hold_all_bytes(size, mss):
    """A multiple of the MSS and less than one MSS, together the size."""
    found = dict(size_parts(size, mss))
    assert sum(found.values()) == size
    assert found.get("multiple", 0) % mss == 0
    assert found.get("remainder", 0) < mss


def test_cells_count_failures_and_order_networks():
    """Networks stand by falling MSS; a cell says how many failed and why most did."""
    failed = record("c", network="slow", mss=536, status="failed", writes=(), reads=())
    matrix = matrix_of(
        [
            record("a", network="slow", mss=536),
            replace(failed, error="hit the time limit of 20 s"),
            record("b", network="fast"),
            record("d", network="fast", sender="other", status="failed", error="peer reset it"),
        ]
    )
    assert matrix.networks == ("fast", "slow")
    assert matrix.senders == ("raw_writes", "other")
    slow = matrix.rows[0][1]
    assert (slow.sessions, slow.complete, slow.reason, slow.reads) == (2, 1, "timed out", 1)
    lost = matrix.rows[1][0]
    assert (lost.agreement, lost.reason) == (None, "reset")
    assert matrix.rows[1][1] is None


def test_an_unknown_reason_is_a_failure():
    """Whatever stands in the error column, there is a word for the cell."""
    assert reason_class(None) == reason_class("quite unheard of") == "failed"


def test_patterns_count_sequences_of_a_layer():
    """The most frequent sequence first, out of the complete sessions."""
    records = [record(str(i)) for i in range(3)]
    records += [record("x", reads=(Read(0, 0, 4320), Read(1, 4320, 5120)))]
    records += [record("y", status="failed")]
    assert [(p.sizes, p.sessions, p.of) for p in patterns(records, "reads", 5)] == [
        ((5120,), 3, 4),
        ((4320, 800), 1, 4),
    ]
    assert layer_sizes(records[0], "segments") == (1440, 1440, 1440, 800)
    assert len(patterns(records, "reads", 1)) == 1


def test_spreads_group_by_network_and_mss():
    """A group a network; its sizes are counted at both layers."""
    found = size_distributions([record("a"), record("b"), record("c", network="n2")], "network")
    assert [(g.label, g.mss) for g in found] == [("paper", 1440), ("n2", 1440)]
    assert found[0].segments == {1440: 6, 800: 2}
    assert found[0].reads == {5120: 2}


def test_networks_come_by_falling_mtu_and_then_without_timestamps_first():
    """Whatever the order of the sessions."""
    values = [("c", 576, 536), ("b", 1500, 1448), ("a", 1500, 1460)]
    records = [record(n, network=n, mtu=mtu, mss=mss) for n, mtu, mss in values]
    assert [group.label for group in size_distributions(records, "network")] == ["a", "b", "c"]


def test_sizes_that_fill_another_mtu_are_told_apart():
    """Listing 13: after the fall from 1500 to 1428, 1388 is full, and 72 what was left over."""
    session = record(mtu=1500, mss=1460, mtu_changes=(MtuChange(9, 1428),))
    assert 1388 in other_full_sizes(session)
    assert size_parts(1388, 1460, other_full_sizes(session)) == (("another", 1388),)
    assert size_parts(72, 1460, other_full_sizes(session)) == (("remainder", 72),)
    assert 1376 in other_full_sizes(replace(session, timestamps=True, mss=1448))


def test_starts_lie_end_to_end():
    """Each length begins where the one before ends."""
    assert left_edges([2, 3, 4]) == [0, 2, 5]
    assert left_edges([]) == []


def test_every_listing_can_be_drawn_as_strips():
    """Each printed size stands in its box where there is room, all of them are boxes."""
    rows = [
        Strip("the paper", listing.sizes, max(listing.sizes), frozenset({72}),
              listing.sizes[-1] == 5, str(n), published=True)
        for n, listing in paper().listings.items()
        if listing.sizes
    ]  # fmt: skip
    figure = strips("title", "subtitle", rows)
    shown = " ".join(texts(figure))
    for size in ("7000", "9366", "1377", "2896"):
        assert size in shown
    assert "end of data, alone" in shown
    assert set(KINDS.values()) <= {shape.fill for shape in shapes(figure)}
    assert svg_comments(figure)


@pytest.mark.parametrize(
    ("rows", "boxes", "labels"),
    [
        ([], 0, []),
        ([Strip("$x^2$ <b>", (), 1440)], 0, ["$x^2$ <b>"]),
        ([Strip("one", (1,) * 300, 1440)], 300, ["one", "1", "1 x 300"]),
        ([Strip("more", (1,) * 3000, 1440)], 400, ["more, 2600 more sizes", "1", "1 x 400"]),
        ([Strip("no MSS", (10, 5), 0, own_terminator=True)], 2, ["no MSS", "10", "5"]),
        ([Strip("end", (90_000, 3), 1440)], 2, ["end", "90000", "3"]),
    ],
)
def test_strips_of_anything(rows, boxes, labels):
    """No row, an empty row, thousands of sizes and an unknown MSS: boxes, and their numbers."""
    figure = strips("t", "s", rows)
    edges = [shape for shape in shapes(figure) if shape.closed and shape.fill is None]
    assert sum(len(shape.outlines) for shape in edges) == boxes
    assert set(texts(figure)) - {"■", *NAMES.values()} == {"t", "s", *labels}
    assert {"t", "s", *labels} <= {*svg_comments(figure)}


def test_what_a_client_falls_back_to_is_full():
    """After a black hole swallowed 1448 bytes, segments of 1024 are full, and 424 is a rest."""
    session = record(
        mtu=1400,
        mss=1448,
        timestamps=True,
        segments=(
            Segment(0, None, 0, 1448, dropped=True, drop_reason="router"),
            Segment(MS, 20 * MS, 0, 1024, retransmission=True),
            Segment(2 * MS, 21 * MS, 1024, 1448, retransmission=True),
        ),
    )
    others = other_full_sizes(session)
    assert size_parts(1024, 1448, others) == (("another", 1024),)
    assert size_parts(424, 1448, others) == (("remainder", 424),)
    (pattern,) = patterns([session], "segments", 1)
    assert (pattern.sizes, pattern.others) == ((1024, 424), {1024})


@pytest.mark.parametrize("senders", [0, 1, 12])
def test_heat_maps_of_any_size(senders):
    """From nothing to 12 x 20, with failed cells, cells that did not run, and their reasons."""
    records = [
        simulated(1, sender=f"s{s}", network=f"n{n}", status="failed" if n == 3 else "complete",
                  error="the time limit passed" if n == 3 else None)
        for s in range(senders) for n in range(20) if (s, n) != (0, 5)
    ]  # fmt: skip
    figure = heatmap("title", matrix_of(records))
    shown = svg_comments(figure)
    assert shown.count("timed out") == senders
    assert shown.count("100") == max(19 * senders - 1, 0)


@pytest.mark.parametrize(
    "groups",
    [
        [],
        [SizeDistribution("empty", 1440, {}, {})],
        [SizeDistribution("merged", 100, {100: 3, 7: 1}, {5000: 2, 300: 1})],
        [SizeDistribution(f"n{i}", 500 + i, {500: 1}, {500: 1}) for i in range(ROWS_AT_MOST + 5)],
    ],
    ids=["none", "empty", "beyond", "many"],
)
def test_distributions_of_anything(groups):
    """Each group has a row with its name; sizes beyond the axis and other groups are counted."""
    labels = {group.label for group in groups}
    figure = distribution("title", groups)
    shown = svg_comments(figure)
    assert [g.label for g in groups[:ROWS_AT_MOST]] == [t for t in shown if t in labels]
    assert any("5 more are not drawn" in text for text in shown) == (len(groups) > ROWS_AT_MOST)
    assert any("67 % larger" in text for text in shown) == ("merged" in labels)


def test_mtu_changes_are_marked_where_they_count():
    """One before the session began is in force at its begin; one after its end is left out."""
    changes = [MtuChange(-9 * MS, 1400), MtuChange(-MS, 1480), MtuChange(5 * MS, 576)]
    changes.append(MtuChange(90 * MS, 1500))
    assert visible_changes(changes, [0, 72 * MS]) == [(0, changes[1]), (5 * MS, changes[2])]
    assert visible_changes(changes, []) == []
    shown = " ".join(texts(timeline(record(mtu_changes=tuple(changes)))))
    assert "MTU 576" in shown
    assert "MTU 1480 since" not in shown  # no room
    assert "MTU 1480 since -0.001 s" in " ".join(
        texts(timeline(record(mtu_changes=tuple(changes[:2]))))
    )
    assert "MTU 1500" not in shown
