"""A network: the path from the client to the server, and the client's own TCP, read from TOML."""

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Final

from seglab.core.labels import PATH_CONDITIONS, PathCondition
from seglab.core.parameters import shown
from seglab.core.specfile import SpecTable, unit_of
from seglab.core.tcpip import (
    ETHERNET_HEADER_BYTES,
    IPV6_MTU_MIN_BYTES,
    MTU_MAX_BYTES,
    MTU_MIN_BYTES,
    full_segment,
)
from seglab.errors import InputError
from seglab.networks import client
from seglab.networks.client import ClientTcp
from seglab.networks.link import LinkParams

SMALL_MSS_BYTES: Final = 1024
"""A path whose segments hold fewer bytes has the path condition ``small_mss``.

The paper calls 920 bytes "very small" (Listing 11), and 536 is GPRS. Linux assumes that every path
carries 1024 (``tcp_base_mss``). The least MTU of IPv6 leaves more.
"""

SCHEDULE_MAX: Final = 1000
"""The most changes of the MTU that a schedule may have."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
"""The names that a network may have: they are parts of file names and of command lines."""

_AT_MAX_MS = 3.6e6
_REPEAT_MIN_MS = 100
_DIALOGUE_ROUND_TRIPS = 8  # SYN, greeting, EHLO, MAIL, RCPT, DATA, the end of data, QUIT
_BLACK_HOLE_S = 4.0  # until tcp_mtu_probing 1 takes effect: tcp_retries1 (3) retransmissions
_TIME_LIMIT_S = 60.0  # the default of a run's limit, where the network has none


@dataclass(frozen=True, slots=True)
class Link:
    """A link, with parameters for each direction.

    Attributes:
        up: from the client to the server.
        down: from the server to the client.
    """

    up: LinkParams = field(default_factory=LinkParams)
    down: LinkParams = field(default_factory=LinkParams)


@dataclass(frozen=True, slots=True)
class ScheduledMtu:
    """From ``at_ms`` after the first SYN on, the router carries packets of up to ``mtu`` bytes."""

    at_ms: float
    mtu: int


@dataclass(frozen=True, slots=True)
class Router:
    """The router between the two links.

    Attributes:
        mtu: of its link to the server; ``None`` lets all pass that the client can send.
        mss_clamp: whether it lowers the MSS option of SYNs to what fits, as PPPoE routers do.
        icmp: whether it sends "fragmentation needed" (RFC 1191, RFC 8201). Without that, it is a
            black hole for packets that do not fit.
        schedule: how ``mtu`` changes during a session, counted from the session's first SYN.
        repeat_ms: after how long the schedule begins again; ``None`` is never.
    """

    mtu: int | None = None
    mss_clamp: bool = False
    icmp: bool = True
    schedule: tuple[ScheduledMtu, ...] = ()
    repeat_ms: float | None = None

    @property
    def filters(self) -> bool:
        """Whether the router needs a packet filter (nftables)."""
        return self.mss_clamp or not self.icmp

    def changes(self) -> Iterator[ScheduledMtu]:
        """Yield the changes of a session in order, without end where the schedule repeats."""
        begun_ms = 0.0
        while self.schedule:
            for change in self.schedule:
                yield ScheduledMtu(begun_ms + change.at_ms, change.mtu)
            if self.repeat_ms is None:
                return
            begun_ms += self.repeat_ms


@dataclass(frozen=True, slots=True)
class Network:
    """A path from the client to the server.

    Attributes:
        name: what scenarios call it.
        title: one line for people.
        source: the origin of its numbers.
        mtu: of the client's own interface, in bytes.
        path_condition: the ground truth about the path.
        access: the link between the client and the router.
        core: the link between the router and the server.
        client: the client's own TCP.
        router: the router between the links.
        ip_version: 4 or 6.
        time_limit_s: how long beyond its expected duration a session may last, in seconds; the
            run's own limit counts where it is shorter. ``None`` leaves the limit to the run.
        completes: whether its sessions are expected to complete. If not, a session that runs into
            its time limit does not make a run fail.
    """

    name: str
    title: str
    source: str
    mtu: int = 1500
    path_condition: PathCondition = "steady"
    access: Link = field(default_factory=Link)
    core: Link = field(default_factory=Link)
    client: ClientTcp = field(default_factory=ClientTcp)
    router: Router = field(default_factory=Router)
    ip_version: int = 4
    time_limit_s: float | None = None
    completes: bool = True

    @property
    def path_mtu(self) -> int:
        """The largest packet that gets through when a session begins."""
        return self.mtu if self.router.mtu is None else min(self.mtu, self.router.mtu)

    @property
    def mss(self) -> int:
        """The payload bytes that a segment of the client holds when a session begins.

        It is a full segment at the client's MTU (``core.tcpip``). A router's MTU counts only where
        the router clamps the MSS: without that, the client learns of it by its first segments.
        """
        mtu = self.path_mtu if self.router.mss_clamp else self.mtu
        return full_segment(mtu, ip_version=self.ip_version, timestamps=self.client.timestamps)

    @property
    def round_trip_s(self) -> float:
        """The delay of both directions together in seconds, without jitter and serialisation."""
        links = (self.access, self.core)
        return sum(link.up.delay_ms + link.down.delay_ms for link in links) / 1000

    @property
    def slowest_mbit(self) -> float | None:
        """The rate of the slowest link from the client; ``None`` where no link has one."""
        rates = (self.access.up.bw_mbit, self.core.up.bw_mbit)
        return min((rate for rate in rates if rate is not None), default=None)

    @property
    def segment_s(self) -> float:
        """How many seconds the slowest link from the client takes for a full segment.

        Segments that were sent at once arrive so far apart. It is 0 where no link has a rate.
        """
        rate = self.slowest_mbit
        return 8 * (self.mtu + ETHERNET_HEADER_BYTES) / (rate * 1e6) if rate else 0.0

    def limited_s(self, time_limit_s: float) -> float:
        """A run's time limit of a session in seconds, or the network's own where that is less."""
        return min(time_limit_s, self.time_limit_s or time_limit_s)

    @property
    def black_hole(self) -> bool:
        """Whether the router drops the client's full segments without sending an ICMP message."""
        return not (self.router.icmp or self.router.mss_clamp) and self.path_mtu < self.mtu

    @property
    def typical_condition(self) -> PathCondition:
        """The path condition that follows from the numbers. The network's file may state another.

        It is ``fluctuating`` where the path's MTU changes and rises again. It is ``pmtu_fall``
        where the path is, or becomes, narrower than the connection assumes at its start. It is
        ``small_mss`` where ``SMALL_MSS_BYTES`` says so. Otherwise it is ``steady``.
        """
        mtus = [self.mtu, self.path_mtu, *(min(self.mtu, c.mtu) for c in self.router.schedule)]
        if self.router.mss_clamp:
            mtus = mtus[1:]
        if any(later > earlier for earlier, later in pairwise(mtus)):
            return "fluctuating"
        if min(mtus) < mtus[0]:
            return "pmtu_fall"
        return "small_mss" if self.mss < SMALL_MSS_BYTES else "steady"

    def estimate_s(self, payload_bytes: int) -> float:
        """Estimate the seconds that a session takes with so many bytes, when nothing goes wrong.

        It counts the round trips of the dialogue and of slow start, and the time that the slowest
        link takes for the bytes. A time limit must leave room for losses beyond that.
        """
        segments = math.ceil(payload_bytes / self.mss)
        windows = math.log2(segments / self.client.initcwnd + 1)
        headers = self.mtu - self.mss + ETHERNET_HEADER_BYTES
        frames_bits = 8 * (payload_bytes + segments * headers)
        rate = self.slowest_mbit
        sending_s = frames_bits / (rate * 1e6) if rate else 0.0
        waiting_s = self._black_hole_wait_s(payload_bytes)
        return self.round_trip_s * (_DIALOGUE_ROUND_TRIPS + windows) + sending_s + waiting_s

    def _black_hole_wait_s(self, payload_bytes: int) -> float:
        """How long the client gets no answer because the router loses its full segments."""
        passing = full_segment(
            self.path_mtu, ip_version=self.ip_version, timestamps=self.client.timestamps
        )
        if not self.black_hole or payload_bytes <= passing:
            return 0.0
        if self.client.mtu_probing:
            return _BLACK_HOLE_S
        return self.time_limit_s or _TIME_LIMIT_S


def parse(name: str, table: SpecTable, base: Network | None = None) -> Network:
    """Read a network from a table.

    Args:
        name: of the network.
        table: its content.
        base: another network; it has the values that the table leaves out.

    Raises:
        InputError: says where in which file, what was expected and what was found.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"{table.where}: {shown(name)} cannot name a network; "
            "expected lower-case letters, digits, - and _, 64 at most"
        )
    like = base or Network(name, "", "")
    links = table.table("links")
    ip_version = table.integer("ip_version", 4, 6, default=like.ip_version, expected="4 or 6")
    if ip_version == 5:
        raise table.problem("ip_version", "4 or 6", ip_version)
    mtu = _mtu(table, ip_version, default=like.mtu)
    network = Network(
        name=name,
        title=table.text("title", default=base.title if base else None),
        source=table.text("source", default=like.source),
        mtu=mtu,
        access=_link(links.table("access"), like.access),
        core=_link(links.table("core"), like.core),
        client=client.parse(
            table.table("client"), like.client, full_segment(mtu, ip_version=ip_version)
        ),
        router=_router(table.table("router"), ip_version, like.router),
        ip_version=ip_version,
        time_limit_s=_time_limit(table, like.time_limit_s),
        completes=table.boolean("completes", default=like.completes),
    )
    typical = network.typical_condition
    condition = table.choice("path_condition", PATH_CONDITIONS, default=typical)
    links.finish()
    table.finish()
    return replace(network, path_condition=condition)


def _time_limit(table: SpecTable, default: float | None) -> float | None:
    if "time_limit_s" not in table:
        return default
    expected = "seconds, above 0"
    limit_s = table.number("time_limit_s", expected=expected)
    if not 0 < limit_s <= _AT_MAX_MS / 1000:
        raise table.problem("time_limit_s", expected, limit_s)
    return limit_s


def _mtu(table: SpecTable, ip_version: int, default: int | None = None) -> int:
    least, rfc = (MTU_MIN_BYTES, 791) if ip_version == 4 else (IPV6_MTU_MIN_BYTES, 8200)
    return table.integer(
        "mtu",
        least,
        MTU_MAX_BYTES,
        default=default,
        expected=f"an IPv{ip_version} MTU from {least} to {MTU_MAX_BYTES} bytes (RFC {rfc})",
    )


def _router(table: SpecTable, ip_version: int, default: Router) -> Router:
    schedule = _schedule(table, ip_version) if "schedule" in table else default.schedule
    router = Router(
        mtu=_mtu(table, ip_version) if "mtu" in table else default.mtu,
        mss_clamp=table.boolean("mss_clamp", default=default.mss_clamp),
        icmp=table.boolean("icmp", default=default.icmp),
        schedule=schedule,
        repeat_ms=_repeat(table, schedule) if "repeat_ms" in table else default.repeat_ms,
    )
    table.finish()
    return router


def _schedule(table: SpecTable, ip_version: int) -> tuple[ScheduledMtu, ...]:
    schedule: list[ScheduledMtu] = []
    listed = table.array("schedule", "a list of changes {at_ms, mtu}", required=False)
    for number, value in enumerate(listed):
        entry = table.inside(f"schedule[{number}]", value)
        earliest = schedule[-1].at_ms if schedule else 0
        expected = f"milliseconds from the first SYN, after {earliest:g}"
        at_ms = entry.number("at_ms", expected=expected)
        if not earliest < at_ms <= _AT_MAX_MS:
            raise entry.problem("at_ms", expected, at_ms)
        change = ScheduledMtu(at_ms, _mtu(entry, ip_version))
        entry.finish()
        schedule.append(change)
    if len(schedule) > SCHEDULE_MAX:
        raise table.problem("schedule", f"at most {SCHEDULE_MAX} changes", len(schedule))
    return tuple(schedule)


def _repeat(table: SpecTable, schedule: tuple[ScheduledMtu, ...]) -> float:
    """Read after how many milliseconds a schedule begins again: not before it has ended."""
    if not schedule:
        raise table.problem("repeat_ms", "a schedule to repeat", "none")
    least = max(schedule[-1].at_ms, _REPEAT_MIN_MS)
    expected = f"milliseconds, {least:g} or more: the schedule has to end before it begins again"
    repeat_ms = table.number("repeat_ms", expected=expected)
    if not least <= repeat_ms <= _AT_MAX_MS:
        raise table.problem("repeat_ms", expected, repeat_ms)
    return repeat_ms


def _link(table: SpecTable, default: Link) -> Link:
    """Read a link. A key beside ``up`` and ``down`` counts for both directions."""
    both = _values(table, also=("up", "down"))
    directions = {}
    for direction in ("up", "down"):
        own = table.table(direction)
        values = asdict(getattr(default, direction)) | both | _values(own)
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


def _values(table: SpecTable, also: Collection[str] = ()) -> dict[str, Any]:
    """Read link parameters of the right types. ``LinkParams`` checks their ranges."""
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
