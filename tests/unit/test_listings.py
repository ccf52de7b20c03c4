"""Judging Listings 3 to 13: each criterion holds where it should, and can fail."""

from dataclasses import replace
from itertools import accumulate

import pytest
from synthetic import MS, reads_of, record

from seglab.core.record import MtuChange, SessionRecord
from seglab.core.trace import Segment, Write
from seglab.errors import InputError
from seglab.experiment import registry
from seglab.reproduction.listings import (
    PATHS,
    RULES,
    as_published,
    judge_listing,
    layer_sizes,
    listing_sequences,
    multiples_and_a_remainder,
    pairs_and_a_remainder,
    path_did,
    shortened,
)
from seglab.reproduction.paper import PublishedListing, paper
from seglab.sender.smtp import session
from seglab.sender.steps import Expect, Wait
from seglab.sender.steps import Write as WriteStep

MIDDLE = {
    "listings.8": [47, 1440, 2880, 600],
    "listings.10": [*paper().listings[10].sizes, 2800, 1400, 616],
    "listings.12": [*paper().listings[12].sizes, 1460, 588, 900],
}
"""What the listings without all rows may look like."""


def segments_of(sizes, **changes):
    """Segments of the sizes given, one after another, all of which arrive."""
    ends = list(accumulate(sizes))
    return tuple(
        Segment(i * MS, 70 * MS + i * MS, end - size, end, **changes)
        for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
    )


def carried(sizes, reads=None, **changes) -> SessionRecord:
    """A session whose segments, and reads unless others are given, have these sizes."""
    total = sum(sizes)
    fields = {
        "payload_bytes": total,
        "writes": (Write(0, 0, total),),
        "segments": segments_of(sizes),
        "reads": reads_of(sizes if reads is None else reads, at_ns=200 * MS),
        "mss": max(sizes),
        "mtu": max(sizes) + 40,
    }
    return record(**(fields | changes))


def moved(sizes, *mtus, drop=True, **changes) -> SessionRecord:
    """A session during which the path's MTU became each of ``mtus``, the first cost a packet."""
    found = carried(sizes, **changes)
    lost = Segment(0, None, 0, sizes[0], dropped=True, drop_reason="router")
    segments = (lost, *found.segments) if drop else found.segments
    changed = tuple(MtuChange(i, mtu) for i, mtu in enumerate(mtus))
    return replace(found, segments=segments, mtu_changes=changed, mtu=1500)


def alike(number: int) -> SessionRecord:
    """A session as the paper prints it."""
    key, listing = f"listings.{number}", paper().listings[number]
    sizes = MIDDLE.get(key, listing.sizes)
    if key == "listings.8":
        first, total = sizes[0], sum(sizes)
        writes = (Write(0, 0, first), Write(0, first, total))
        return carried(sizes, style="distinct_from", writes=writes)
    return moved(sizes, 576, 1440) if key in PATHS else carried(sizes)


def verdict(number: int, *records: SessionRecord, layer="reads"):
    """The listing's verdict on some sessions."""
    return judge_listing("it", f"listings.{number}", paper().listings[number], layer, records)


@pytest.mark.parametrize("number", sorted(paper().listings))
def test_each_listing_as_printed_is_reproduced(number):
    """A session with the printed sizes, at either layer, meets every criterion."""
    for layer in ("reads", "segments"):
        found = verdict(number, alike(number), layer=layer)
        assert [c.passed for c in found.criteria] == [True] * len(found.criteria)
        assert found.reproduced
        assert (found.matching, found.sessions, found.reads, found.segments) == (1, 1, 1, 1)


@pytest.mark.parametrize("number", sorted(paper().listings))
def test_no_listing_is_reproduced_by_something_else(number):
    """Other sizes, sizes in another order, a failed session, and none at all do not reproduce."""
    good = alike(number)
    sizes = [s.end - s.start for s in good.segments if not s.dropped]
    swapped = replace(good, reads=reads_of([*sizes[1:], sizes[0]]))
    longer = replace(good, reads=reads_of([sizes[0] + 1, *sizes[1:]]))
    failed = replace(good, status="failed", error="the wire ended")
    for records in ((swapped,), (longer,), (failed,), ()):
        assert not verdict(number, *records).reproduced, records


@pytest.mark.parametrize("number", [n for n, one in paper().listings.items() if one.complete])
def test_a_complete_listing_is_no_prefix(number):
    """What follows the rows of a complete listing, or is missing from them, is another session."""
    listing = paper().listings[number]
    for sizes in ([*listing.sizes, 1], listing.sizes[:-1]):
        assert not as_published(f"listings.{number}", listing, "reads", carried(sizes))


@pytest.mark.parametrize(
    ("rest", "obeys"),
    [
        ((1400, 616), True), ((7000, 1400, 5), True), ((616,), True), ((1400,), True),
        ((), False), ((616, 1400), False), ((1400, 1300, 1400), False),
    ],
)  # fmt: skip
def test_rule_of_listing_10(rest, obeys):
    """After the rows: multiples of 1400, then one remainder; and the message does go on."""
    assert multiples_and_a_remainder(rest, 1400) is obeys


@pytest.mark.parametrize(
    ("rest", "obeys"),
    [
        ((1460, 588), True), ((1460, 588, 1460, 588, 900), True), ((1460, 588, 1460, 12), True),
        ((1460,), True), ((3,), True), ((1460, 587), True),
        ((), False), ((588, 1460), False), ((1460, 589), False), ((1461,), False),
        ((1460, 588, 900, 1460), False), ((1460, 588, 1460, 588, 588, 1), False),
        ((1460, 1460, 588), False),
    ],
)  # fmt: skip
def test_rule_of_listing_12(rest, obeys):
    """After the rows: 1460 588 goes on, up to a last write that may be shorter than 2048."""
    assert pairs_and_a_remainder(rest, 1460, 588) is obeys


@pytest.mark.parametrize(
    "changes",
    [
        {"style": "relay"},
        {"writes": (Write(0, 0, 40), Write(0, 40, 4967))},
        {"reads": reads_of([47 + 1440, 2880, 600])},
        {"reads": reads_of([47, 1441, 2879, 600])},
        {"reads": reads_of([47, 4920])},
    ],
)
def test_listing_8_needs_its_from_header_alone(changes):
    """Another sender, a first read that is not the first write, other multiples: not Listing 8."""
    assert not verdict(8, replace(alike(8), **changes)).reproduced


def test_the_share_counts_complete_sessions_alone():
    """Two of three complete sessions are as published; a failed one is counted apart."""
    other = carried([1400] * 7 + [36], reads=[1400] * 6 + [1436])
    failed = replace(alike(3), status="failed", error="the wire ended")
    found = verdict(3, alike(3), alike(3), other, failed)
    assert found.share == pytest.approx(2 / 3)
    assert (found.reads, found.segments, found.failed_sessions) == (2, 3, 1)
    assert not found.reproduced
    assert verdict(3, alike(3), alike(3), other).reproduced
    assert verdict(3).share is None


def test_sizes_that_no_segment_explains_are_not_the_listing():
    """Reads of the right sizes over a wire that was cut elsewhere fail the wire's criterion."""
    sizes = paper().listings[6].sizes
    odd = carried([500, *[1000] * 4, 250], reads=sizes)
    found = verdict(6, odd)
    assert found.matching == 1
    assert [c.passed for c in found.criteria] == [True, False]
    assert "read 0:520" in found.criteria[1].words


def test_the_path_has_to_move():
    """Listings 10 and 13 from a path that stood still, or never recovered, are not reproduced."""
    thirteen, ten = paper().listings[13].sizes, MIDDLE["listings.10"]
    for still in (carried(thirteen), moved(thirteen, 1428, drop=False), moved(thirteen, 1600)):
        found = verdict(13, still)
        assert [c.passed for c in found.criteria] == [True, True, False]
        assert not found.reproduced
    assert verdict(13, moved(thirteen, 1428)).reproduced
    assert not verdict(10, moved(ten, 576)).reproduced
    assert verdict(10, moved(ten, 576, 1440)).reproduced


def test_a_change_after_the_message_does_not_count():
    """An MTU that changes when all has been sent explains nothing."""
    late = replace(moved([1460, 900], 1428), mtu_changes=(MtuChange(10**12, 1428),))
    assert not path_did(late, "falls")


def test_a_change_before_the_session_does_not_count():
    """The path has to move under a connection that has begun; before the message is enough."""
    found = moved([1460, 900], 1428)
    assert not path_did(replace(found, mtu_changes=(MtuChange(-1, 1428),)), "falls")
    assert path_did(replace(found, mtu_changes=(MtuChange(0, 1428),)), "falls")
    title = verdict(13, alike(13)).criteria[2].title
    assert title == "the path's MTU falls during the session, before the message's last segment"


def test_segments_count_by_what_they_bring():
    """Out of order, dropped and repeated segments leave the new bytes in stream order."""
    found = carried(
        [100, 100, 100],
        segments=(
            Segment(0, None, 0, 100, dropped=True),
            Segment(1, 6, 100, 200),
            Segment(2, 9, 0, 100, retransmission=True),
            Segment(3, 10, 0, 50, retransmission=True),
            Segment(4, 12, 150, 300),
        ),
    )
    assert layer_sizes(found, "segments") == (100, 100, 100)


def test_sequences_keep_the_listing_apart_from_others():
    """The listing's own row has its count, whatever follows it; the others come after it."""
    listing = paper().listings[12]
    records = [alike(12), carried([2048]), carried([2048]), carried([9])]
    found = listing_sequences("listings.12", listing, "reads", records)
    assert [(o.sizes, o.lab) for o in found.printed] == [(listing.sizes, 1)]
    assert [(o.sizes, o.lab) for o in found.others] == [((2048,), 2), ((9,), 1)]


def test_every_listing_without_all_rows_has_a_rule():
    """No listing is cut or lost without a rule, and none that is whole has one."""
    lacking = {f"listings.{n}" for n, listing in paper().listings.items() if not listing.complete}
    assert set(RULES) == lacking
    unruled = PublishedListing("x", (1,), complete=False)
    assert not as_published("listings.99", unruled, "reads", carried([1, 2]))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [((1400,) * 7 + (36,), "1400 x 7 36"), ((1, 1, 2, 2, 2), "1 1 2 x 3"), ((), "")],
)
def test_sizes_in_short(sizes, words):
    """Three or more alike in a row are counted; two are written out."""
    assert shortened(sizes) == words


@pytest.mark.parametrize("number", sorted(paper().listings))
def test_scenario_carries_what_the_listing_needs(number):
    """Its file names its numbers, and its message is as long as the rows, or longer."""
    scenario = registry.scenario(f"listing-{number:02}")
    listing = paper().listings[number]
    assert scenario.expectation == listing
    assert len(scenario.senders) == len(scenario.networks) == 1
    payload = scenario.message.payload_bytes
    assert (
        payload == sum(listing.sizes or ())
        if listing.complete
        else payload > sum(listing.sizes or ())
    )
    key = f"listings.{number}"
    assert bool(scenario.networks[0].router.schedule) is (key in PATHS)


def test_a_sender_may_wait_before_its_message():
    """The pause stands between the 354 reply and the first write; by default there is none."""
    sender = registry.sender("single_write")
    message = sender.message_for(sender.defaults, registry.scenario("listing-13").message, 1)
    for wait_ms, expected in ((700, [Wait(0.7)]), (0, [])):
        steps = list(session(sender, message, sender.resolve({"wait_ms": wait_ms})))
        begin = steps.index(Expect(354)) + 1
        end = next(i for i, s in enumerate(steps) if isinstance(s, WriteStep) and s.payload)
        assert steps[begin:end] == expected


def test_an_unknown_layer_is_refused(tmp_path):
    """A scenario can look for a listing among the reads or the segments, and nowhere else."""
    file = tmp_path / "own.toml"
    text = 'title = "t"\nnetworks = ["ethernet"]\nsenders = ["relay"]\npublished = "listings.5"\n'
    file.write_text(text + 'layer = "wire"\n')
    with pytest.raises(InputError, match=r"layer: unknown 'wire'; known: reads, segm"):
        registry.scenario(file)
    file.write_text(text + 'layer = "segments"\n')
    assert registry.scenario(file).layer == "segments"
