"""Whose TCP the client of a session has, in the words of records, reports and datasets.

It is the kernel's, or the simulator's with a personality (``seglab.networks.personality``). A
personality that nobody compared with a real system is called *unchecked* wherever it shows.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from seglab.core.labels import SIMULATORS
from seglab.core.text import one_line
from seglab.networks.network import Network
from seglab.networks.personality import LINUX, PERSONALITIES

_NAME_MOST = 64


def client_tcp(network: Network, engine: str) -> str:
    """Return whose TCP the client has over a network in an engine, as records have it."""
    client = network.client
    if client.tcp == "kernel" and engine not in SIMULATORS:
        return "kernel"
    return f"simulator: {client.label}"


def remarks(networks: Mapping[str, Any], engine: str) -> Iterator[str]:
    """Yield what a reader has to know of the clients of a run or a dataset, one sentence each.

    Args:
        networks: the networks by name, as a manifest has them; they may be anybody's.
        engine: the name of the engine that carried the sessions out.
    """
    for personality, names in _simulated(networks).items():
        where = ", ".join(one_line(name, _NAME_MOST) for name in names)
        if personality != LINUX.name:
            yield (
                f"Unchecked: over {where}, the client's TCP is a model of {_called(personality)}. "
                "It follows documents, and nobody compared it with such a system."
            )
        elif engine not in SIMULATORS:
            yield f"Over {where}, the client's TCP is the simulator's, not the kernel's."


def unchecked(networks: Mapping[str, Any]) -> list[str]:
    """Return the labels of the personalities in these networks that nobody checked."""
    found = (name for name in _simulated(networks) if name != LINUX.name)
    return [f"{_called(name)}, unchecked" for name in found]


def _called(personality: str) -> str:
    return one_line(personality, _NAME_MOST)


def _simulated(networks: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the names of the networks whose client's TCP is the simulator's, by personality."""
    found: dict[str, list[str]] = {}
    for name, network in networks.items():
        client = network.get("client") if isinstance(network, dict) else None
        if not isinstance(client, dict):
            continue
        personality = str(client.get("personality", LINUX.name))
        checked = personality in PERSONALITIES and PERSONALITIES[personality].checked
        if not checked or client.get("tcp") == "simulator":
            found.setdefault(personality, []).append(name)
    return found
