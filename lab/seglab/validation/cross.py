"""Readers and kinds of mail that ``seglab validate`` adds to the matrix: a small cross.

The matrix has every sender over every network, with one reader and one kind of mail. How a server
reads decides when it acknowledges and how its window opens, and so how the client sends. How long a
mail is decides which limits matter. Each scenario here changes one of the two, for three senders
over four networks.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from seglab.core.tcpip import full_segment
from seglab.experiment.reader import Reader
from seglab.experiment.scenario import Scenario
from seglab.mail.message import MessageSpec
from seglab.networks.client import modelled
from seglab.networks.network import Network
from seglab.networks.personality import PERSONALITIES

SENDERS: Final = ("fixed_buffer", "relay", "single_write")
NETWORKS: Final = ("dsl", "fddi", "ipv6-tunnel", "poor")

SESSIONS_MAX: Final = 10
"""How many sessions a cell of the cross has at most."""

WIRE_NETWORKS: Final = (
    *("ethernet", "pppoe", "pppoe-clamped", "gprs", "poor", "cellular", "pmtu-fall", "jumbo"),
    *("tunnel-1400", "ipv6-tunnel", "black-hole-probing", "vb2014"),
)
"""Where clients with every personality meet the server's kernel."""

WIRE_SESSIONS_MAX: Final = 2
"""How many sessions of each sender they have there at most."""

READERS: Final = {
    "recv-loop": Reader("recv-loop"),
    "recv-loop-1000": Reader("recv-loop", buffer_bytes=1000),
    "event-loop-2048": Reader(buffer_bytes=2048),
    "wake-5000us": Reader(wake_us=5000),
    "turn-20000us": Reader(turn_us=20_000),
}
"""The readers, by what their scenarios are called behind the matrix's name."""

MAILS: Final = {
    "newsletter": MessageSpec(kind="newsletter", payload_bytes=12_000),
    "notification": MessageSpec(kind="notification", payload_bytes=12_000),
    "picture": MessageSpec(kind="picture", payload_bytes=12_000),
    "stock-tip": MessageSpec(kind="stock_tip", payload_bytes=12_000),
    "mail-2000": MessageSpec(payload_bytes=2_000),
    "mail-40000": MessageSpec(payload_bytes=40_000),
    "mail-200000": MessageSpec(payload_bytes=200_000),
}
"""The mails, in the same way."""


def scenarios(matrix: Scenario, sessions: int) -> Iterator[Scenario]:
    """Yield the scenarios of the cross.

    Args:
        matrix: the scenario that has all senders and all networks.
        sessions: how many sessions each cell of the matrix has.
    """
    base = replace(
        matrix,
        senders=tuple(one for one in matrix.senders if one.sender.name in SENDERS),
        networks=tuple(one for one in matrix.networks if one.name in NETWORKS),
        sessions=min(sessions, SESSIONS_MAX),
    )
    for name, reader in READERS.items():
        yield replace(base, name=f"{matrix.name}-{name}", reader=reader)
    for name, message in MAILS.items():
        yield replace(base, name=f"{matrix.name}-{name}", message=message)


def on_the_wire(matrix: Scenario, sessions: int) -> Scenario:
    """Return a scenario whose clients have the simulator's TCP, with every personality.

    Args:
        matrix: the scenario that has all senders and all networks.
        sessions: how many sessions each cell of the matrix has.
    """
    return replace(
        matrix,
        name=f"{matrix.name}-personalities",
        senders=tuple(one for one in matrix.senders if one.sender.name in SENDERS),
        networks=tuple(
            _modelled(network, personality)
            for network in matrix.networks
            if network.name in WIRE_NETWORKS
            for personality in PERSONALITIES
        ),
        sessions=min(sessions, WIRE_SESSIONS_MAX),
    )


def _modelled(network: Network, personality: str) -> Network:
    mss = full_segment(network.mtu, ip_version=network.ip_version)
    client = modelled(network.client, personality, mss)
    return replace(network, name=f"{network.name}-{personality}", client=client)
