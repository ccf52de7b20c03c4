"""The sessions in the report's page: all that was recorded, small, and harmless as HTML."""

import json
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as altered
from synthetic import MS, record, simulated

from seglab.core.record import MtuChange
from seglab.core.trace import Read, Segment
from seglab.report.embedding import embed
from seglab.report.published import layer_of, published_rows, verdict_of
from seglab.report.scenario_result import ScenarioResult
from seglab.reproduction.paper import paper
from seglab.reproduction.scenarios import Sequences
from seglab.runs.manifest import Counts, Experiment


def embedded(records, room=8_000_000):
    """What is embedded of these records, and its parsed text."""
    grouped = {}
    for item in records:
        grouped.setdefault(item.scenario, []).append(item)
    found = embed(grouped, dict.fromkeys(grouped, lambda r: f"verdict of {r.session_id}"), room)
    return found, json.loads(found.text)


def chunks(numbers, size):
    """A flat list as tuples of ``size``."""
    walk = iter(numbers)
    return list(iter(lambda: tuple(islice(walk, size)), ()))


def ranges(rows):
    """Absolute ranges of ``(gap, bytes)``."""
    end, found = 0, []
    for gap, length in rows:
        found.append((end + gap, end + gap + length))
        end = found[-1][1]
    return found


def running(numbers):
    """Sums from the first on."""
    total, found = 0, []
    for number in numbers:
        total += number
        found.append(total)
    return found


def test_every_layer_can_be_read_back():
    """Times to the microsecond since the first write, ranges exactly, losses with their reason."""
    session = simulated(3, gap_ms=5)
    late = tuple(altered(w, t_ns=w.t_ns + 7 * MS) for w in session.writes)
    lost = Segment(9 * MS, None, 0, 1440, psh=True, dropped=True, drop_reason="core: loss")
    again = Segment(80 * MS, 150 * MS, 0, 1440, retransmission=True)
    session = replace(
        session, writes=late, segments=(lost, *session.segments, again),
        mtu_changes=(MtuChange(-3 * MS, 1400),),
    )  # fmt: skip
    _, data = embedded([session])
    (row,) = data["sessions"]
    writes, segments, reads = chunks(row[11], 3), chunks(row[12], 5), chunks(row[13], 3)
    zero = 7 * MS
    for calls, rows in ((session.writes, writes), (session.reads, reads)):
        assert ranges(r[1:] for r in rows) == [(c.start, c.end) for c in calls]
        assert running(r[0] for r in rows) == [round((c.t_ns - zero) / 1000) for c in calls]
    assert ranges(r[2:4] for r in segments) == [(s.start, s.end) for s in session.segments]
    sent = running(r[0] for r in segments)
    assert sent == [round((s.t_sent_ns - zero) / 1000) for s in session.segments]
    arrived = [None if r[1] < 0 else t + r[1] for t, r in zip(sent, segments, strict=True)]
    assert arrived == [
        None if s.t_arrived_ns is None else round((s.t_arrived_ns - zero) / 1000)
        for s in session.segments
    ]
    assert segments[0][4] & 0b111 == 0b101
    assert data["strings"][(segments[0][4] >> 3) - 1] == "core: loss"
    assert segments[-1][4] == 0b010
    assert row[14] == [-10_000, 1400]
    assert data["strings"][row[4]] == f"verdict of {session.session_id}"


@given(st.text())
def test_no_string_can_leave_its_script_element(text):
    """Neither a tag, nor an entity, nor a line separator of JavaScript is left in the text."""
    session = record(session_id=text, network=text, status="failed", error=text)
    found, data = embedded([session])
    assert not set("<>&\u2028\u2029") & set(found.text)
    assert data["sessions"][0][0] == text
    assert data["strings"][data["sessions"][0][6]] == text


def test_where_room_ends_each_cell_keeps_its_first():
    """Of many alike and one that failed, the failed one stays, and the rest is counted."""
    many = [record(f"a/{i}") for i in range(100)]
    rare = [record("b/1", network="rare"), record("a/x", status="failed", error="why")]
    found, data = embedded([*many, *rare], room=4000)
    kept = [row[0] for row in data["sessions"]]
    assert {"a/0", "b/1", "a/x"} <= set(kept)
    assert kept == sorted(kept, key=[r.session_id for r in [*many, *rare]].index)
    assert (found.shown, found.left_out) == (len(kept), 102 - len(kept))
    assert found.left_out > 0


def result(published, layer="reads"):
    """A result of an experiment that nothing was counted for."""
    experiment = Experiment("x", published=published, layer=layer)
    return ScenarioResult(experiment, Counts(), Sequences(0, 0, (), ()))


def carrying(sizes, **changes):
    """A record whose segments have these sizes, all read at once."""
    segments, at = [], 0
    for size in sizes:
        segments.append(Segment(at, at + 70 * MS, at, at + size))
        at += size
    return record(payload_bytes=at, segments=tuple(segments), reads=(Read(0, 0, at),), **changes)


@pytest.mark.parametrize(
    ("key", "layer", "sizes", "expected"),
    [
        ("listings.3", "segments", paper().listings[3].sizes, "as published"),
        ("listings.3", "segments", (*paper().listings[3].sizes, 9), "other sizes"),
        ("listings.3", "reads", paper().listings[3].sizes, "other sizes"),
        ("listings.12", "segments", (*paper().listings[12].sizes, 1460, 588, 7), "as published"),
        ("listings.12", "segments", (*paper().listings[12].sizes, 7, 1460, 588), "other sizes"),
        ("listings.12", "segments", paper().listings[12].sizes[:-1], "other sizes"),
        ("listings.8", "segments", (1440, 5), "other sizes"),
        ("nothing of the paper", "segments", (1440, 5), "complete"),
        (None, "reads", (1440, 5), "complete"),
    ],
)
def test_a_session_is_called_by_its_sizes(key, layer, sizes, expected):
    """A complete listing has to be met exactly, a cut one as a beginning, at its own layer."""
    call = verdict_of(result(key, layer))
    assert call(carrying(sizes)) == expected
    assert call(carrying(sizes, status="failed")) == "failed"


def test_what_prints_nothing_is_about_segments():
    """Only where the paper prints sizes does an experiment's own layer count."""
    assert layer_of(result(None)) == "segments"
    assert layer_of(result("listings.4")) == "reads"
    assert published_rows(result("listings.8")) == ()
