"""What the capture reader sees in a run's own captures is what the lab itself recorded."""

from pathlib import Path

import pytest
from commanding import Seglab

from seglab.capture import observations
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.runs import parquet as store

SCENARIOS = {"listing-05": "smtp", "scenario-2": "raw"}
SAME = (
    *("sizes", "push", "mss", "timestamps", "header_end", "fields", "retransmission"),
    *("complete", "layer"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few sessions over SMTP and a few over raw TCP, nothing of which is lost."""
    out = tmp_path_factory.mktemp("captures") / "run"
    with Seglab("run", *SCENARIOS, "--sessions", "3", "--out", out) as seglab:
        assert seglab.ended() == 0, seglab.err
    return out


def records(run: Path, scenario: str) -> list[SessionRecord]:
    """The stored sessions of a scenario."""
    found = [r for r in store.read_sessions(run / "sessions.parquet") if r.scenario == scenario]
    assert len(found) == 3
    return found


def captured(run: Path, name: str | None, protocol: str) -> Observation:
    """The only observation in a session's capture."""
    assert name is not None
    with (run / name).open("rb") as file:
        (found,) = observations(file, name, protocol=protocol)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_servers_capture_tells_what_the_record_tells(run: Path, scenario: str) -> None:
    """Sizes, flags, MSS and layout: the frames say what writes, wire and server joined to."""
    for record in records(run, scenario):
        found = captured(run, record.captures.server, SCENARIOS[scenario])
        expected = Observation.of_record(record, "segments")
        for name in SAME:
            assert getattr(found, name) == getattr(expected, name), name
        assert found.t_ns is not None
        assert expected.t_ns is not None
        assert [t - found.t_ns[0] for t in found.t_ns] == [
            t - expected.t_ns[0] for t in expected.t_ns
        ]
        assert found.notes == ()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_ends_tell_the_same_of_a_path_without_loss(run: Path, scenario: str) -> None:
    """The client's capture has the same segments, earlier by the path's delay."""
    for record in records(run, scenario):
        client = captured(run, record.captures.client, SCENARIOS[scenario])
        server = captured(run, record.captures.server, SCENARIOS[scenario])
        assert (client.sizes, client.push, client.mss) == (server.sizes, server.push, server.mss)
        assert client.rtt_ns == pytest.approx(server.rtt_ns, rel=0.5)
        assert client.t_ns is not None
        assert server.t_ns is not None
        assert all(a < b for a, b in zip(client.t_ns, server.t_ns, strict=True))
