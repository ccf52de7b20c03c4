"""The client's own TCP, as a network has it, read from TOML."""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from seglab.core.specfile import SpecTable
from seglab.networks.personality import LINUX, PERSONALITIES

ClientStack = Literal["kernel", "simulator"]
"""Whose code the client's TCP is, on the kernel engine; the simulator engine has only its own."""

_ALGORITHM = re.compile(r"[a-z0-9_]{1,15}", re.ASCII)  # TCP_CA_NAME_MAX, less its final zero


@dataclass(frozen=True, slots=True)
class ClientTcp:
    """The client's own TCP.

    Attributes:
        timestamps: whether it offers TCP timestamps.
        sack: whether it offers selective acknowledgements.
        initcwnd: the initial congestion window, in segments (RFC 6928 has 10).
        congestion_control: the algorithm's name, as the kernel has it.
        mtu_probing: Linux's ``tcp_mtu_probing``: 0 never, 1 once a black hole is noticed, 2
            always (RFC 4821).
        pmtu_expires_s: how long it remembers that a path is narrower than its own link, in seconds
            (``route.mtu_expires``).
        send_window_bytes: the most bytes that it keeps in flight. Other stacks than Linux count
            their congestion window in bytes (``seglab.tcp.window``). ``None`` leaves the window
            to Linux.
        personality: whose TCP it behaves like: ``linux``, or one that is unchecked
            (``seglab.networks.personality``).
        tcp: which code does that on the kernel engine: the kernel's, or the simulator's. The
            kernel has no other personality than ``linux``.
    """

    timestamps: bool = True
    sack: bool = True
    initcwnd: int = 10
    congestion_control: str = "reno"
    mtu_probing: int = 0
    pmtu_expires_s: int = 600
    send_window_bytes: int | None = None
    personality: str = LINUX.name
    tcp: ClientStack = "kernel"

    @property
    def label(self) -> str:
        """Whose TCP it is, for people: ``linux``, ``windows, unchecked``..."""
        return PERSONALITIES[self.personality].label


def parse(table: SpecTable, default: ClientTcp, mss: int) -> ClientTcp:
    """Read a client's TCP from a network's table.

    Args:
        table: its content.
        default: has the values that the table leaves out.
        mss: the payload bytes of a full segment without timestamps.

    Raises:
        InputError: a value cannot be, or is not what the personality has.
    """
    default = _with_personality(table, default, mss)
    algorithm = table.text("congestion_control", default=default.congestion_control)
    if not _ALGORITHM.fullmatch(algorithm):
        raise table.problem("congestion_control", "an algorithm's name, such as 'reno'", algorithm)
    client = ClientTcp(
        timestamps=table.boolean("timestamps", default=default.timestamps),
        sack=table.boolean("sack", default=default.sack),
        initcwnd=table.integer("initcwnd", 1, 1024, default=default.initcwnd),
        congestion_control=algorithm,
        mtu_probing=table.integer("mtu_probing", 0, 2, default=default.mtu_probing),
        pmtu_expires_s=table.integer("pmtu_expires_s", 1, 86_400, default=default.pmtu_expires_s),
        send_window_bytes=table.integer("send_window_bytes", 1, 1 << 30)
        if "send_window_bytes" in table
        else default.send_window_bytes,
        personality=default.personality,
        tcp=table.choice("tcp", get_args(ClientStack), default=default.tcp),
    )
    _refuse_contradictions(table, client, mss)
    table.finish()
    return client


def _with_personality(table: SpecTable, default: ClientTcp, mss: int) -> ClientTcp:
    """Return the defaults of a client with the table's personality, and what that one fixes."""
    name = table.choice("personality", PERSONALITIES, default=default.personality)
    if name != LINUX.name:
        return modelled(default, name, mss)
    if name == default.personality:
        return default
    own = ClientTcp()
    return replace(
        default,
        personality=name,
        timestamps=own.timestamps,
        sack=own.sack,
        initcwnd=own.initcwnd,
        tcp=own.tcp,
    )


def modelled(client: ClientTcp, personality: str, mss: int) -> ClientTcp:
    """Return a client like another one that has the simulator's TCP with a personality.

    Args:
        client: has what the personality leaves to the network.
        personality: the name of one.
        mss: the payload bytes of a full segment without timestamps.
    """
    return replace(client, personality=personality, tcp="simulator", **_fixed(personality, mss))


def _fixed(name: str, mss: int) -> dict[str, Any]:
    """Return the client's settings that a personality fixes."""
    who = PERSONALITIES[name]
    values = {
        "timestamps": who.timestamps,
        "sack": who.sack,
        "initcwnd": who.initial_window(mss),
    }
    return {name: value for name, value in values.items() if value is not None}


def _refuse_contradictions(table: SpecTable, client: ClientTcp, mss: int) -> None:
    """Refuse a setting that is not the personality's."""
    name = client.personality
    if name == LINUX.name:
        return
    for key, value in (_fixed(name, mss) | {"tcp": "simulator"}).items():
        found = getattr(client, key)
        if found != value:
            expected = str(value).lower() if isinstance(value, bool) else repr(value)
            raise table.problem(key, f"{expected}, as {name} has it", found)
