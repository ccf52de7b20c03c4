"""What lies between a sender and the server, and the sender's own TCP: a value read from TOML."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any, Final

from lab.errors import InputError
from lab.link import LinkParams
from lab.parameters import shown
from lab.sender import PATH_CONDITIONS, PathCondition
from lab.specfile import Table, unit_of

MTU_MIN_BYTES: Final = 68
"""Each module must be able to forward a datagram of so many bytes (RFC 791, 3.2)."""

MTU_MAX_BYTES: Final = 65_535
"""The largest total length of a datagram (RFC 791, 3.1)."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
"""What a network may be called: a part of file names, and of the engine's command lines."""

_ALGORITHM = re.compile(r"[a-z0-9_]{1,15}", re.ASCII)  # TCP_CA_NAME_MAX, less its final zero
_IPV4_TCP_BYTES = 40
_TIMESTAMPS_BYTES = 12


@dataclass(frozen=True, slots=True)
class Link:
    """A link, each direction for itself.

    Attributes:
        up: from the client to the server.
        down: from the server to the client.
    """

    up: LinkParams = field(default_factory=LinkParams)
    down: LinkParams = field(default_factory=LinkParams)


@dataclass(frozen=True, slots=True)
class Personality:
    """The client's own TCP.

    Attributes:
        timestamps: whether it offers TCP timestamps, which take 12 bytes of each segment.
        sack: whether it offers selective acknowledgements.
        initcwnd: the initial congestion window, in segments (RFC 6928 has 10).
        congestion_control: the algorithm's name, as the kernel has it.
    """

    timestamps: bool = True
    sack: bool = True
    initcwnd: int = 10
    congestion_control: str = "reno"


@dataclass(frozen=True, slots=True)
class Network:
    """A path from the client to the server.

    Attributes:
        name: what scenarios call it.
        title: one line for people.
        source: where its numbers come from.
        mtu: of the client's own interface, in bytes.
        path_condition: the ground truth of what lay between.
        access: the link between the client and the router.
        core: the link between the router and the server.
        client: the client's own TCP.
    """

    name: str
    title: str
    source: str
    mtu: int = 1500
    path_condition: PathCondition = "steady"
    access: Link = field(default_factory=Link)
    core: Link = field(default_factory=Link)
    client: Personality = field(default_factory=Personality)

    @property
    def mss(self) -> int:
        """The payload bytes that a segment of the client can hold over IPv4.

        The MTU without two headers of 20 bytes, and without the timestamps' option.
        """
        return self.mtu - _IPV4_TCP_BYTES - (_TIMESTAMPS_BYTES if self.client.timestamps else 0)

    @property
    def round_trip_s(self) -> float:
        """The delay there and back, without jitter and serialisation."""
        links = (self.access, self.core)
        return sum(link.up.delay_ms + link.down.delay_ms for link in links) / 1000


def parse(name: str, table: Table) -> Network:
    """The network that a table describes.

    Raises:
        InputError: says where in which file, what was expected and what was found.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"{table.where}: {shown(name)} cannot name a network; "
            "expected lower-case letters, digits, - and _, 64 at most"
        )
    links = table.table("links")
    network = Network(
        name=name,
        title=table.text("title"),
        source=table.text("source", default=""),
        mtu=table.integer(
            "mtu",
            MTU_MIN_BYTES,
            MTU_MAX_BYTES,
            default=1500,
            expected=f"an IPv4 MTU from {MTU_MIN_BYTES} to {MTU_MAX_BYTES} bytes (RFC 791)",
        ),
        path_condition=table.choice("path_condition", PATH_CONDITIONS, default="steady"),
        access=_link(links.table("access")),
        core=_link(links.table("core")),
        client=_personality(table.table("client")),
    )
    links.finish()
    table.finish()
    return network


def _personality(table: Table) -> Personality:
    default = Personality()
    algorithm = table.text("congestion_control", default=default.congestion_control)
    if not _ALGORITHM.fullmatch(algorithm):
        raise table.problem("congestion_control", "an algorithm's name, such as 'reno'", algorithm)
    personality = Personality(
        timestamps=table.boolean("timestamps", default=default.timestamps),
        sack=table.boolean("sack", default=default.sack),
        initcwnd=table.integer("initcwnd", 1, 1024, default=default.initcwnd),
        congestion_control=algorithm,
    )
    table.finish()
    return personality


def _link(table: Table) -> Link:
    """Keys beside ``up`` and ``down`` hold in both directions."""
    both = _values(table, also=("up", "down"))
    directions = {}
    for direction in ("up", "down"):
        own = table.table(direction)
        values = both | _values(own)
        own.finish()
        try:
            directions[direction] = LinkParams(**values)
        except ValueError as error:
            raise InputError(f"{table.where}.{direction}.{error}") from error
    table.finish()
    return Link(**directions)


_TEXTS: Final[Collection[str]] = ("jitter_distribution",)
_COUNTS: Final[Collection[str]] = ("max_queue_size", "mtu")
_LISTS: Final[Collection[str]] = ("drop_data",)


def _values(table: Table, also: Collection[str] = ()) -> dict[str, Any]:
    """Link parameters with the right types; their ranges are the link's own business."""
    names = [parameter.name for parameter in fields(LinkParams)]
    table.only({*names, *also})
    values: dict[str, Any] = {}
    for name in names:
        if name not in table:
            continue
        if name in _TEXTS:
            values[name] = table.text(name)
        elif name in _LISTS:
            values[name] = tuple(table.integers(name))
        elif name in _COUNTS:
            values[name] = table.integer(name, 0)
        else:
            values[name] = table.number(name, expected=f"a number of {unit_of(name)}")
    return values
