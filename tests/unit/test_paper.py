"""The paper's numbers as values."""

import pytest

from seglab.errors import InputError
from seglab.reproduction.paper import (
    PublishedListing,
    PublishedScenario,
    PublishedTable,
    keys,
    paper,
    published,
)


@pytest.mark.parametrize(("number", "distinct"), [(1, 6), (2, 11), (3, 10)])
def test_scenarios(number: int, distinct: int) -> None:
    """Twelve sessions each, of so many different sequences; every one carries all bytes."""
    scenario = paper().scenarios[number]
    assert len(scenario.sessions) == 12
    assert len(scenario.distinct) == distinct
    assert {sum(sizes) for sizes in scenario.sessions} == {scenario.payload_bytes}


def test_reads_end_where_segments_could() -> None:
    """Every published read is a run of consecutive segments of 1440 1440 1440 800."""
    for scenario in paper().scenarios.values():
        ends, end = set(), 0
        for _ in scenario.writes:
            for size in (1440, 1440, 1440, 800):
                end += size
                ends.add(end)
        for sizes in scenario.sessions:
            assert {sum(sizes[: n + 1]) for n in range(len(sizes))} <= ends


def test_table_1() -> None:
    """The six media of Table 1."""
    assert [*paper().mtu_table.values()] == [17914, 4464, 4352, 1500, 1492, 1480]


def test_published() -> None:
    """A key leads to what was printed."""
    scenario, listing = published("scenarios.3"), published("listings.7")
    assert isinstance(scenario, PublishedScenario)
    assert scenario.gap_ms == 100
    assert isinstance(listing, PublishedListing)
    assert listing.sizes == (9366, 5)
    table = published("mtu_table")
    assert isinstance(table, PublishedTable)
    assert table.mtus["FDDI"] == 4352
    assert len(keys()) == 3 + 11 + 1
    lost = published("listings.8")
    assert isinstance(lost, PublishedListing)
    assert lost.sizes is None


@pytest.mark.parametrize("key", ["scenarios.4", "scenario.1", "", "listings", "table"])
def test_unknown_key(key: str) -> None:
    """What the paper does not have is refused, with the nearest that it has."""
    with pytest.raises(InputError, match="the paper has no"):
        published(key)
