"""Readers and kinds of mail that ``seglab validate`` adds to the matrix: a small cross.

The matrix has every sender over every network, with one reader and one kind of mail. How a server
reads decides when it acknowledges and how its window opens, and so how the client sends. How long a
mail is decides which limits matter. Each scenario here changes one of the two, for three senders
over four networks.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from seglab.experiment.reader import Reader
from seglab.experiment.scenario import Scenario
from seglab.mail.message import MessageSpec

SENDERS: Final = ("fixed_buffer", "relay", "single_write")
NETWORKS: Final = ("dsl", "fddi", "ipv6-tunnel", "poor")

SESSIONS_MAX: Final = 10
"""How many sessions a cell of the cross has at most."""

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
