"""The networks that classifiers are tuned on, and those they are held to, have no MTU in common."""

import tomllib
from collections.abc import Iterable
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest

from seglab.core.labels import PATH_CONDITIONS, STYLES
from seglab.core.tcpip import full_segment
from seglab.experiment.registry import networks, scenario
from seglab.networks.network import Network

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
SPLIT = tomllib.loads((QUALITY / "split.toml").read_text())
FILES = {
    "tuning": sorted(QUALITY.glob("tuning-*.toml")),
    "held_out": sorted(QUALITY.glob("held-out-*.toml")),
    "fresh": sorted(QUALITY.glob("fresh-*.toml")),
    "unseen": sorted(QUALITY.glob("unseen-*.toml")),
}
YOUNGER_AND_OLDER = (
    ("fresh", "tuning"),
    ("fresh", "held_out"),
    ("unseen", "tuning"),
    ("unseen", "held_out"),
    ("unseen", "fresh"),
)
PAUSES_AND_SIZES = {
    "fixed_buffer": "buffer_bytes",
    "headers_then_body": "body_buffer_bytes",
    "raw_writes": "writes",
    "timed_writes": "gap_ms",
}


def networks_of(side: str) -> dict[str, Network]:
    """Every network over which a side's scenarios send, by its name."""
    found = chain.from_iterable(scenario(file).networks for file in FILES[side])
    return {network.name: network for network in found}


def mtus(paths: Iterable[Network]) -> set[int]:
    """Every MTU that such a path has at some time, or that one of its hosts has."""
    found: set[int] = set()
    for path in paths:
        found |= {path.mtu, path.path_mtu, *(change.mtu for change in path.router.schedule)}
    return found


def full_segments(paths: Iterable[Network]) -> set[int]:
    """What a full segment of such a path holds, at each MTU that a connection may go by."""
    found: set[int] = set()
    for path in paths:
        on = path.client.timestamps
        found |= {
            full_segment(mtu, ip_version=path.ip_version, timestamps=on) for mtu in mtus([path])
        }
    return found


def values_of(side: str, sender: str, parameter: str) -> set[Any]:
    """The values of a parameter with which a side's scenarios have a sender write; 0 is none."""
    parts = chain.from_iterable(scenario(file).senders for file in FILES[side])
    return {part.parameters[parameter] for part in parts if part.sender.name == sender} - {0}


@pytest.mark.parametrize("side", FILES)
def test_a_side_sends_over_its_networks(side: str) -> None:
    """The scenario files name the networks that the split names, and no other."""
    assert FILES[side]
    assert set(networks_of(side)) == set(SPLIT[side])


@pytest.mark.parametrize(("one", "other"), [*combinations(FILES, 2)])
def test_no_mtu_is_on_two_sides(one: str, other: str) -> None:
    """A rule that has learned an MTU of one side cannot be right about another."""
    assert not mtus(networks_of(one).values()) & mtus(networks_of(other).values())


@pytest.mark.parametrize(("side", "older"), YOUNGER_AND_OLDER)
def test_a_later_side_has_full_segments_of_its_own(side: str, older: str) -> None:
    """Nor can one that has learned how much a full segment holds."""
    new, known = (full_segments(networks_of(one).values()) for one in (side, older))
    assert not new & known


@pytest.mark.parametrize(("side", "older"), YOUNGER_AND_OLDER)
def test_a_later_side_has_mails_of_its_own(side: str, older: str) -> None:
    """No mail of a later side is as long as one of an older side."""
    new, known = (
        {scenario(file).message.payload_bytes for file in FILES[one]} for one in (side, older)
    )
    assert not new & known


@pytest.mark.parametrize(("side", "older"), YOUNGER_AND_OLDER)
@pytest.mark.parametrize(("sender", "parameter"), PAUSES_AND_SIZES.items())
def test_a_later_side_has_buffers_and_pauses_of_its_own(
    sender: str, parameter: str, side: str, older: str
) -> None:
    """The sizes and pauses by which senders write are not those of an older side."""
    new = values_of(side, sender, parameter)
    assert new
    assert not new & values_of(older, sender, parameter)


def test_every_shipped_network_has_a_side() -> None:
    """A new network needs a decision, and none is on two sides."""
    sides = [*chain.from_iterable(SPLIT[side] for side in FILES), *SPLIT["neither"]]
    assert len(sides) == len(set(sides))
    assert {*networks()} <= {*sides}


@pytest.mark.parametrize("side", FILES)
def test_a_side_has_every_sender_and_path_condition(side: str) -> None:
    """Every side asks for every style, and for all that can lie between."""
    parts = chain.from_iterable(scenario(file).senders for file in FILES[side])
    assert {part.sender.style_for(part.parameters) for part in parts} == {*STYLES}
    conditions = {path.path_condition for path in networks_of(side).values()}
    assert conditions == {*PATH_CONDITIONS}
