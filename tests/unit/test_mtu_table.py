"""Judging Table 1: the largest segment over each medium is what its MTU predicts."""

from dataclasses import replace

import pytest
from synthetic import record

from seglab.core.trace import Segment
from seglab.experiment import registry
from seglab.reproduction.mtu_table import judge_table
from seglab.reproduction.paper import PublishedTable, published

TABLE = published("mtu_table")


def over(mtu, *, timestamps, largest=None):
    """A session over a medium; its largest segment is what RFC 879 and RFC 7323 say, or not."""
    size = largest or mtu - 20 - 20 - (12 if timestamps else 0)
    segments = (Segment(0, 1, 0, size), Segment(0, 1, size, size + 7))
    return record(mtu=mtu, timestamps=timestamps, mss=size, segments=segments)


def everywhere():
    """One session over each medium, without timestamps and with them."""
    return [over(m, timestamps=on) for m in TABLE.mtus.values() for on in (False, True)]


def test_the_table_is_reproduced():
    """All six media, both ways."""
    found = judge_table("table-1", TABLE, everywhere())
    assert found.reproduced
    assert found.sessions == 12
    assert {m.predicted for m in found.media if m.mtu == 1500} == {1460, 1448}


@pytest.mark.parametrize("gone", range(12))
def test_each_medium_is_needed_both_ways(gone):
    """Without the sessions over one medium, one of the criteria fails and names it."""
    sessions = everywhere()
    missing = sessions.pop(gone)
    found = judge_table("table-1", TABLE, sessions)
    assert not found.reproduced
    (failed,) = [c for c in found.criteria if not c.passed]
    assert failed.name == ("with timestamps" if missing.timestamps else "without timestamps")
    assert failed.words == f"not so for {missing.mtu}: no session"


@pytest.mark.parametrize("largest", [1459, 1461, 1448])
def test_another_mss_is_not_the_prediction(largest):
    """One session whose largest segment is another one fails its medium, beside a good one."""
    odd = over(1500, timestamps=False, largest=largest)
    assert not judge_table("table-1", TABLE, [*everywhere(), odd]).reproduced


def test_failed_sessions_are_no_evidence():
    """A failed session shows nothing of a medium, but with one the table is not reproduced."""
    failed = replace(over(1500, timestamps=False, largest=1), status="failed")
    found = judge_table("table-1", TABLE, [*everywhere(), failed])
    assert [c.passed for c in found.criteria] == [True, True, False]
    assert found.criteria[-1].words == "1 of 13 sessions failed"
    assert not found.reproduced
    assert not judge_table("table-1", TABLE, [failed]).reproduced


def test_the_scenario_covers_the_table():
    """Its networks have each printed MTU, with timestamps and without, and full segments."""
    scenario = registry.scenario("table-1")
    assert isinstance(scenario.expectation, PublishedTable)
    there = {(network.mtu, network.client.timestamps) for network in scenario.networks}
    assert there == {(mtu, on) for mtu in TABLE.mtus.values() for on in (False, True)}
    assert scenario.message.payload_bytes > max(TABLE.mtus.values())
