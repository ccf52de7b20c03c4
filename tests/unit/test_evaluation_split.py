"""The networks that classifiers are tuned on, and those they are held to, have no MTU in common."""

import tomllib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest

from seglab.core.labels import PATH_CONDITIONS, STYLES
from seglab.experiment.registry import networks, scenario
from seglab.networks.network import Network

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
SPLIT = tomllib.loads((QUALITY / "split.toml").read_text())
FILES = {
    "tuning": sorted(QUALITY.glob("tuning-*.toml")),
    "held_out": sorted(QUALITY.glob("held-out-*.toml")),
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


@pytest.mark.parametrize("side", FILES)
def test_a_side_sends_over_its_networks(side: str) -> None:
    """The scenario files name the networks that the split names, and no other."""
    assert FILES[side]
    assert set(networks_of(side)) == set(SPLIT[side])


def test_no_mtu_is_on_both_sides() -> None:
    """A rule that has learned an MTU cannot be right about the other side."""
    assert not mtus(networks_of("tuning").values()) & mtus(networks_of("held_out").values())


def test_every_shipped_network_has_a_side() -> None:
    """A new network needs a decision, and none is on two sides."""
    sides = [*SPLIT["tuning"], *SPLIT["held_out"], *SPLIT["neither"]]
    assert len(sides) == len(set(sides))
    assert {*networks()} <= {*sides}


@pytest.mark.parametrize("side", FILES)
def test_a_side_has_every_sender_and_path_condition(side: str) -> None:
    """Both sides ask for every style, and for all that can lie between."""
    parts = chain.from_iterable(scenario(file).senders for file in FILES[side])
    assert {part.sender.style_for(part.parameters) for part in parts} == {*STYLES}
    conditions = {path.path_condition for path in networks_of(side).values()}
    assert conditions == {*PATH_CONDITIONS}
