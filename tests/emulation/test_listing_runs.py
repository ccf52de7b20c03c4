"""Listings 3 to 13 and Table 1 on the real kernel: each comes out of TCP as the paper prints it."""

import asyncio
from collections import defaultdict

import pytest

from seglab.core.record import SessionRecord
from seglab.core.trace import sizes
from seglab.engine import EngineOptions
from seglab.experiment import plan, registry
from seglab.kernel.engine import KernelEngine
from seglab.reproduction.listings import ListingVerdict, judge_listing
from seglab.reproduction.mtu_table import judge_table
from seglab.reproduction.paper import PublishedListing, PublishedTable, paper

pytestmark = pytest.mark.timing

EACH = 6
"""Sessions a listing in one go; its share of good ones falls on a busy machine."""

GOES = 4

NAMES = [f"listing-{number:02}" for number in paper().listings]


def run(names: list[str], go: int) -> dict[str, list[SessionRecord]]:
    """The sessions of some scenarios, all side by side."""
    specs = [
        (spec, scenario.network(spec.network))
        for scenario in map(registry.scenario, names)
        for spec in plan.plan(scenario, seed=go, sessions=min(EACH, scenario.sessions))
    ]
    found: dict[str, list[SessionRecord]] = defaultdict(list)
    engine = KernelEngine(EngineOptions(jobs=200))
    asyncio.run(engine.run(specs, lambda record: found[record.scenario].append(record)))
    return found


def verdict(name: str, records: list[SessionRecord]) -> ListingVerdict:
    """What the sessions of a listing's scenario are worth."""
    scenario = registry.scenario(name)
    printed = scenario.expectation
    assert isinstance(printed, PublishedListing)
    return judge_listing(name, str(scenario.published), printed, scenario.layer, records)


@pytest.fixture(scope="module")
def seen() -> dict[str, list[SessionRecord]]:
    """All listings in labs side by side; again, those of which no session was good."""
    found: dict[str, list[SessionRecord]] = defaultdict(list)
    wanting = NAMES
    for go in range(GOES):
        for name, records in run(wanting, go).items():
            found[name] += records
        wanting = [name for name in NAMES if not verdict(name, found[name]).reproduced]
        if not wanting:
            break
    return found


@pytest.mark.parametrize("name", NAMES)
def test_listing_is_reproduced(name: str, seen: dict[str, list[SessionRecord]]) -> None:
    """Its sizes come out byte count for byte count, the wire explains them, the path moved."""
    found = verdict(name, seen[name])
    assert [record.error for record in seen[name]] == [None] * len(seen[name])
    failed = [criterion.words for criterion in found.criteria if not criterion.passed]
    assert not failed, [sizes(record.reads) for record in seen[name]]


@pytest.mark.parametrize(
    ("name", "segments"),
    [
        ("listing-04", [1448] * 6 + [138]),
        ("listing-05", [77, 1448, 1448, 329]),
        ("listing-07", [1460] * 6 + [606, 5]),
    ],
)
def test_merged_reads_are_the_readers_work(
    name: str, segments: list[int], seen: dict[str, list[SessionRecord]]
) -> None:
    """Where the paper shows more than an MSS, the wire carried whole segments of one MSS."""
    for record in seen[name]:
        assert sizes(s for s in record.segments if not s.retransmission) == segments


def test_listing_10_has_no_segment_above_its_path(seen: dict[str, list[SessionRecord]]) -> None:
    """7000 is five segments; from the fall to the recovery nothing above 536 gets through."""
    for record in seen["listing-10"]:
        assert max(sizes(record.segments)) == 1400
        fall, recovery = record.mtu_changes[:2]
        assert (fall.mtu, recovery.mtu) == (576, 1440)
        assert any(s.drop_reason == "router" for s in record.segments)


def test_table_1_is_reproduced() -> None:
    """Each medium's MTU gives the MSS that it predicts, without timestamps and with them."""
    records = run(["table-1"], 0)["table-1"]
    printed = registry.scenario("table-1").expectation
    assert isinstance(printed, PublishedTable)
    found = judge_table("table-1", printed, records)
    assert found.reproduced, [criterion.words for criterion in found.criteria]
