"""The times of the hosts' programs: drawn from what was measured, with a session's own seed."""

import json
from importlib.resources import files

import pytest

from seglab.simulator.host_times import HOP, KINDS, SEQUENCES, HostTimes, measured


def test_where_the_distributions_come_from() -> None:
    """The file says on which kernel and machine each was measured, and from how many samples."""
    content = json.loads(files("seglab.simulator").joinpath("host_times.json").read_text())
    samples = {}
    for half in content["provenance"].values():
        assert half["program"] == "benchmarks/host_times.py"
        assert half["kernel"].startswith("Linux ")
        samples.update(half["samples"])
    assert content["quantiles_ns"].keys() == set(KINDS)
    assert content["sequences_ns"].keys() == set(SEQUENCES)
    assert samples.keys() == {*KINDS, *SEQUENCES}
    assert min(samples.values()) >= 50


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_measured_distribution(kind: str) -> None:
    """A tenth of them is below the measured tenth, half below the median, and so on."""
    values = measured()["quantiles_ns"][kind]
    assert values == sorted(values)
    times = HostTimes(5)
    drawn = sorted(times.draw(KINDS.index(kind)) for _ in range(4000))
    for share in (10, 50, 90):
        below, above = (values[share + step] for step in (-3, 3))
        assert below <= drawn[share * 40] <= above
    assert values[0] <= drawn[0] <= drawn[-1] <= values[-1]


@pytest.mark.parametrize("kind", SEQUENCES)
def test_times_follow_as_in_a_measured_session(kind: str) -> None:
    """From its first one on, each time that the client's program wakes."""
    rows = measured()["sequences_ns"][kind]
    times = HostTimes(5)
    begun = set()
    for _ in range(400):
        times.begin()
        one = [times.follow(SEQUENCES.index(kind)) for _ in range(max(map(len, rows)))]
        assert any(one[: len(row)] == row for row in rows)
        begun.add(one[0])
    assert len(begun) > len(rows) / 2


def test_a_seed_draws_the_same_again() -> None:
    """And another one draws other times."""
    sessions = [HostTimes(seed) for seed in (1, 1, 2)]
    one, again, other = ([times.draw(HOP) for _ in range(20)] for times in sessions)
    assert one == again != other


def test_own_distributions() -> None:
    """They are linear between two quantiles."""
    times = HostTimes(1, {"hop": [100, 200]})
    drawn = [times.draw(HOP) for _ in range(2000)]
    assert 100 <= min(drawn) < 105
    assert 195 < max(drawn) <= 200
    assert sum(drawn) / len(drawn) == pytest.approx(150, abs=3)
