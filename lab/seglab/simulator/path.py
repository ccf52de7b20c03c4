"""The path between the two hosts in virtual time: two links, and the router between them.

What a link does with a frame is ``seglab.networks.link``, with the same seeds as in the kernel
engine's wire. So for one seed the same offers get the same fates on both engines. This module adds
the router: which packet is too large when, what it says about that, and how it lowers the MSS.

    client --- access --- router --- core --- server

A packet takes two steps, one for each link. ``Path`` returns when and where a packet is next; it
has no clock and no queue of its own. Where the first link keeps the order of frames, both steps
are taken at once, since nothing that happens later can change the second one.

Not modelled: the router's own queue, and what Linux does with packets that
may be fragmented, which TCP's are not (``seglab.simulator.support`` refuses such networks).
"""

from bisect import bisect_right
from typing import Final

from seglab.core.kept import Kept
from seglab.core.seeds import derive
from seglab.core.tcpip import ETHERNET_HEADER_BYTES, TIMESTAMPS_BYTES, headers_bytes
from seglab.frames.addresses import ETHERNET_MTU
from seglab.networks.link import LinkState
from seglab.networks.network import Network
from seglab.simulator.host_times import HostTimes
from seglab.simulator.segment import TcpSegment

UP: Final = 0
"""From the client to the server."""
DOWN: Final = 1
"""From the server to the client."""

LINKS: Final = ("access", "core")
_WAYS = ("a_to_b", "b_to_a")
_ICMP_IPV4_BYTES = 28  # its IPv4 header and its own (RFC 792)
_ICMP_IPV6_BYTES = 48
_ICMP_QUOTED_MOST = {4: 576, 6: 1280}  # icmp_send and icmp6_send: the longest message
_SACK_HEADER_BYTES = 4  # two NOPs, kind and length
_SACK_BLOCK_BYTES = 8
_MSS_BYTES, _WSCALE_BYTES, _SACK_PERMITTED_BYTES = 4, 4, 4


class Carried:
    """A packet on its way, and what became of it.

    Attributes:
        direction: ``UP`` or ``DOWN``.
        segment: what it carries; ``None`` for a router's message about an MTU.
        size: of its frame in bytes, with the Ethernet header.
        sent_ns: when it entered the first link.
        left_ns: when the router forwarded it, or lost it; -1 as long as it has not.
        arrivals_ns: when it, and its copies, reached the other host.
        fate: why it was lost, in the words of ``seglab.frames.packets``; ``None`` where it was not.
        delivered: the segment that arrived: another one than ``segment`` where a router lowered
            its MSS.
        mtu: what a router's message says; 0 for a segment.
        about: the packet that a router's message is about.
    """

    __slots__ = (
        "about",
        "arrivals_ns",
        "delivered",
        "direction",
        "fate",
        "left_ns",
        "mtu",
        "segment",
        "sent_ns",
        "size",
    )

    def __init__(self, direction: int, segment: TcpSegment | None, size: int, sent_ns: int) -> None:
        self.direction = direction
        self.segment = segment
        self.delivered = segment
        self.size = size
        self.sent_ns = sent_ns
        self.left_ns = -1
        self.arrivals_ns: list[int] = []
        self.fate: str | None = None
        self.mtu = 0
        self.about: Carried | None = None


def options_bytes(segment: TcpSegment) -> int:
    """Return the length of a segment's TCP options, as ``tcp_options_write`` lays them out."""
    size = TIMESTAMPS_BYTES if segment.ts_val is not None else 0
    if segment.syn:
        if segment.mss_option is not None:
            size += _MSS_BYTES
        if segment.wscale_option is not None:
            size += _WSCALE_BYTES
        if segment.sack_option and segment.ts_val is None:
            size += _SACK_PERMITTED_BYTES  # otherwise it takes the place of the timestamps' padding
    elif segment.sack:
        size += _SACK_HEADER_BYTES + _SACK_BLOCK_BYTES * len(segment.sack)
    return size


class Path:
    """The links and the router of one session.

    Args:
        network: the path's network.
        seed: the session's.
        horizon_ns: when the session is over at the latest, for schedules without end.
        times: how long a frame takes over a link that does nothing to it.
    """

    __slots__ = (
        "_at_once",
        "_back_mtu",
        "_change_times",
        "_checks",
        "_clamps",
        "_first",
        "_first_name",
        "_free_ns",
        "_headers_bytes",
        "_ip_version",
        "_mtu",
        "_routed_ns",
        "_says_so",
        "_second",
        "_second_name",
        "_times",
        "changes",
    )

    def __init__(self, network: Network, seed: int, horizon_ns: int, times: HostTimes) -> None:
        plan: _Plan = _plan(network)
        states = [
            None if params is None else LinkState(params, derive(seed, link, way))
            for params, link, way in plan.links
        ]
        self._first = states[0], states[3]  # access up, core down
        self._second = states[2], states[1]
        self._times = times
        self._free_ns: list[list[int]] = [[0, 0], [0, 0]]
        self._routed_ns: list[int] = [0, 0]
        self._first_name = LINKS[0], LINKS[1]
        self._second_name = LINKS[1], LINKS[0]
        self._mtu: int = plan.mtu
        self._clamps: bool = network.router.mss_clamp
        self._says_so: bool = network.router.icmp
        self._headers_bytes: int = plan.headers_bytes
        self._ip_version: int = network.ip_version
        self._back_mtu: int = plan.back_mtu
        self._checks: bool = plan.narrow
        self._at_once = plan.at_once
        self.changes: list[tuple[int, int]] = []
        for change in network.router.changes():
            at_ns = round(change.at_ms * 1e6)
            if at_ns > horizon_ns:
                break
            self.changes.append((at_ns, change.mtu))
        self._change_times = [at_ns for at_ns, _ in self.changes]

    def mtu_at(self, now_ns: int) -> int:
        """Return the largest packet that the router passes on to the server at ``now_ns``."""
        made = bisect_right(self._change_times, now_ns)
        return self.changes[made - 1][1] if made else self._mtu

    def first_link(self, now_ns: int, packet: Carried) -> tuple[tuple[int, ...], bool]:
        """Offer a packet to the first link on its way.

        Returns:
            When it is next somewhere, and whether that is at the other host already. There is
            nothing where it was lost, and more than one time where it was duplicated.
        """
        direction = packet.direction
        state: LinkState | None = self._first[direction]
        if state is None:
            times: tuple[int, ...] = self._hop(0, direction, now_ns)
        else:
            segment = packet.segment
            is_data = segment is not None and segment.end > segment.start
            times = state.departures(now_ns, packet.size, is_data=is_data)
            if state.drop_reason is not None:
                packet.fate = f"{state.drop_reason} on {self._first_name[direction]}"
                return times, False
        if self._at_once[direction]:
            if len(times) == 1:
                return self.second_link(times[0], packet), True
            arrivals: tuple[int, ...] = ()
            for left_ns in times:
                arrivals += self.second_link(left_ns, packet)
            return arrivals, True
        return times, False

    def second_link(self, now_ns: int, packet: Carried) -> tuple[int, ...]:
        """Let the router forward a packet; return when it reaches the other host, if it does."""
        direction = packet.direction
        if self._first[direction] is not None:  # otherwise the router is a part of the hop
            routed_ns = self._routed_ns
            earliest_ns: int = routed_ns[direction]
            now_ns += self._times.draw("router")
            if now_ns < earliest_ns:
                now_ns = earliest_ns
            routed_ns[direction] = now_ns
        packet.left_ns = now_ns
        if direction == UP and self._checks:
            mtu = self.mtu_at(now_ns)
            if packet.size - ETHERNET_HEADER_BYTES > mtu:
                packet.fate = "router"
                packet.mtu = mtu
                return ()
        segment = packet.segment
        if self._clamps and segment is not None and segment.syn:
            packet.delivered = self._clamped(now_ns, segment)
        state: LinkState | None = self._second[direction]
        if state is None:
            return self._hop(1, direction, now_ns)
        is_data = segment is not None and segment.end > segment.start
        times = state.departures(now_ns, packet.size, is_data=is_data)
        if state.drop_reason is not None:
            packet.fate = f"{state.drop_reason} on {self._second_name[direction]}"
        return times

    def complaint(self, packet: Carried) -> Carried | None:
        """Return the router's message about a packet that it lost for its size, if it sends one.

        RFC 1191 and RFC 8201. Linux quotes as much of the packet as the least MTU allows.
        """
        if not self._says_so or packet.mtu == 0 or packet.segment is None:
            return None
        quoting = _ICMP_IPV4_BYTES if self._ip_version == 4 else _ICMP_IPV6_BYTES
        whole = packet.size - ETHERNET_HEADER_BYTES + quoting
        size = min(whole, _ICMP_QUOTED_MOST[self._ip_version]) + ETHERNET_HEADER_BYTES
        message = Carried(DOWN, None, size, packet.left_ns)
        message.mtu = packet.mtu
        message.about = packet
        message.left_ns = packet.left_ns
        return message

    def _hop(self, link: int, direction: int, now_ns: int) -> tuple[int]:
        """Return when a frame has crossed a link that does nothing to it."""
        times = self._times
        free_ns = self._free_ns[link]
        at_ns = now_ns + times.draw("hop")
        if at_ns <= free_ns[direction]:
            at_ns = free_ns[direction] + times.draw("hop_apart")
        free_ns[direction] = at_ns
        return (at_ns,)

    def _clamped(self, now_ns: int, segment: TcpSegment) -> TcpSegment:
        """Return a SYN as the router passes it on: at the lower MTU of both ways."""
        most = min(self.mtu_at(now_ns), self._back_mtu) - self._headers_bytes
        if segment.mss_option is None or segment.mss_option <= most:
            return segment
        return segment.with_mss(most)


class _Plan:
    """What all sessions over a network have in common.

    Attributes:
        network: the network.
        links: for each direction of each link, its parameters, the link's name, and the
            direction's; ``None`` for the parameters of a link that does nothing to a frame.
        mtu: of the router's link to the server when a session begins.
        back_mtu: of its link to the client.
        headers_bytes: of a packet without options.
        narrow: whether a packet of the client can be too large for the router.
        at_once: by direction, whether both links can be crossed in one step.
    """

    __slots__ = ("at_once", "back_mtu", "headers_bytes", "links", "mtu", "narrow", "network")

    def __init__(self, network: Network) -> None:
        router = network.router
        self.network = network
        self.links = tuple(
            (None if params.transparent else params, name, way)
            for name, link in zip(LINKS, (network.access, network.core), strict=True)
            for params, way in zip((link.up, link.down), _WAYS, strict=True)
        )
        self.back_mtu: int = max(ETHERNET_MTU, network.mtu)
        self.mtu: int = router.mtu or self.back_mtu
        self.headers_bytes: int = headers_bytes(ip_version=network.ip_version)
        mtus = [self.mtu, *(change.mtu for change in router.schedule)]
        self.narrow: bool = min(mtus) < network.mtu
        self.at_once = (
            not network.access.up.reorder_pct,
            # a router's message enters the access link as well, and must find it in time's order
            not network.core.down.reorder_pct and not (self.narrow and router.icmp),
        )


_plan = Kept(_Plan)
