"""Profiles on the real kernel: a buffer that follows the MSS, as the simulator has it."""

from dataclasses import replace
from pathlib import Path

import pytest

from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent, sizes
from seglab.execution.carry_out import carry_out
from seglab.execution.request import RunRequest
from seglab.experiment import registry
from seglab.runs.folder import RunFolder

pytestmark = pytest.mark.emulation

SCENARIO = """
title = "A program that asks for its MSS"
senders = ["profile:postfix", "profile:curl"]
networks = ["ethernet", "jumbo", "poor"]
sessions = 1

[message]
payload_bytes = 20000
"""


def records(folder: Path, engine: str) -> dict[tuple[str, str], SessionRecord]:
    """The sessions of the scenario on an engine, by sender and network."""
    path = folder / "asks.toml"
    path.write_text(SCENARIO)
    request = RunRequest((replace(registry.scenario(path), name="asks"),))
    manifest = request.manifest("run", 7, 6, 60, engine)
    with RunFolder.create(folder / engine, manifest) as run:
        carry_out(run, [request.specs(7)], jobs=6)
        found = {(r.sender, r.network): r for r in run.sessions()}
    assert all(record.complete for record in found.values())
    return found


def test_a_buffer_follows_the_mss_of_the_connection(tmp_path: Path) -> None:
    """4 segments, at least 4096 bytes: Postfix from 3.5 on; both engines write the same.

    The MSS is 1448 over Ethernet, 8948 with jumbo frames and, at an MTU of 960 without timestamps,
    920.
    """
    kernel, simulator = records(tmp_path, "kernel"), records(tmp_path, "simulator")
    expected = {
        "ethernet": [5792, 5792, 5792, 2624],
        "jumbo": [20_000],
        "poor": [4096, 4096, 4096, 4096, 3616],
    }
    for network, lengths in expected.items():
        assert sizes(kernel["postfix", network].writes) == lengths
    for key, record in kernel.items():
        assert sizes(simulator[key].writes) == sizes(record.writes)
    one, other = kernel["postfix", "ethernet"], simulator["postfix", "ethernet"]
    assert sizes(first_sent(one.segments)) == sizes(first_sent(other.segments))
