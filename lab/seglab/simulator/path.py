"""The path between the two hosts in virtual time: two links, and the router between them.

What a link does with a frame is ``seglab.networks.link``, with the same seeds as in the kernel
engine's wire. So for one seed the same offers get the same fates on both engines. This module adds
the router: which packet is too large when, what it says about that, and how it lowers the MSS.

    client --- access --- router --- core --- server

A packet takes two steps, one for each link. ``Path`` finds out when and where a packet is next, and
puts that into the session's queue; it has no clock. Where the first link keeps the order of frames,
both steps are taken at once, since nothing that happens later can change the second one.

Not modelled: the router's own queue, and what Linux does with packets that
may be fragmented, which TCP's are not (``seglab.simulator.support`` refuses such networks).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from seglab.core.kept import Kept
from seglab.core.seeds import derive
from seglab.core.tcpip import ETHERNET_HEADER_BYTES, TIMESTAMPS_BYTES, headers_bytes
from seglab.frames.addresses import ETHERNET_MTU
from seglab.networks.link import LinkState
from seglab.networks.network import Network
from seglab.simulator.carried import DOWN, UP, Carried, Outlet, options_bytes
from seglab.simulator.due import ARRIVAL, AT_ROUTER, COMPLAINT, Queue
from seglab.simulator.host_times import (
    BARE_WIRE_WAKE,
    HOP,
    HOP_APART,
    ROUTER,
    WIRE_WAKE,
    HostTimes,
)
from seglab.simulator.segment import NO_STAMP, TcpSegment

LINKS: Final = ("access", "core")
_WAYS = ("a_to_b", "b_to_a")
_STAMPS_BYTES: Final[int] = TIMESTAMPS_BYTES
_LINK_BYTES: Final[int] = ETHERNET_HEADER_BYTES
_ICMP_IPV4_BYTES = 28  # its IPv4 header and its own (RFC 792)
_ICMP_IPV6_BYTES = 48
_ICMP_QUOTED_MOST = {4: 576, 6: 1280}  # icmp_send and icmp6_send: the longest message


class _Way:
    """One direction of the path.

    Attributes:
        first: the state of the first link on it; ``None`` for one that does nothing to a frame.
        second: of the second link.
        first_name: of the first link.
        second_name: of the second one.
        at_once: whether both links can be crossed in one step.
        first_free_ns: when the last frame was over a first link that does nothing to it.
        second_free_ns: over such a second one.
        routed_ns: when the router passed the last frame on.
    """

    __slots__ = (
        "at_once",
        "first",
        "first_free_ns",
        "first_name",
        "routed_ns",
        "second",
        "second_free_ns",
        "second_name",
    )

    def __init__(
        self, first: LinkState | None, second: LinkState | None, direction: int, at_once: bool
    ) -> None:
        self.first = first
        self.second = second
        self.first_name = LINKS[direction]
        self.second_name = LINKS[1 - direction]
        self.at_once = at_once
        self.first_free_ns = 0
        self.second_free_ns = 0
        self.routed_ns = 0


class Path(Outlet):
    """The links and the router of one session.

    Args:
        network: the path's network.
        seed: the session's.
        horizon_ns: when the session is over at the latest, for schedules without end.
        times: how long a frame takes over a link that does nothing to it.
        queue: takes when and where each packet is next.

    Attributes:
        awake_ns: until when the wire, which carries the frames, is awake. What leaves a host until
            then is read at once: by an arrival's acknowledgement, above all.
        bare: whether no link does anything to a frame. Then the wire does not go before the hosts'
            programs, and has to wait for a processor when a frame wakes it up.
        changes: when the router's MTU changes, in nanoseconds, and to what.
        held: packets that the wire reads only when the client's program sleeps, since it woke up on
            the same processor: a process that wakes up does not interrupt one of its own rank
            (``wakeup_preempt_fair``, RUN_TO_PARITY).
        packets: every packet, in the order in which they were sent.
        program_runs: whether the client's program runs.
    """

    __slots__ = (
        "_back_mtu",
        "_change_times",
        "_checks",
        "_clamps",
        "_down",
        "_fixed_bytes",
        "_headers_bytes",
        "_held_ns",
        "_ip_version",
        "_mtu",
        "_queue",
        "_read_ns",
        "_says_so",
        "_times",
        "_up",
        "awake_ns",
        "bare",
        "changes",
        "held",
        "packets",
        "program_runs",
    )

    def __init__(
        self, network: Network, seed: int, horizon_ns: int, times: HostTimes, queue: Queue
    ) -> None:
        plan: _Plan = _plan(network)
        access_up, access_down, core_up, core_down = [
            None if params is None else LinkState(params, derive(seed, *names) if names else 0)
            for params, names in plan.links
        ]
        self._up = _Way(access_up, core_up, UP, plan.at_once[UP])
        self._down = _Way(core_down, access_down, DOWN, plan.at_once[DOWN])
        self._times = times
        self._queue = queue
        self.packets: list[Carried] = []
        self._mtu: int = plan.mtu
        self._clamps: bool = network.router.mss_clamp
        self._says_so: bool = network.router.icmp
        self._headers_bytes: int = plan.headers_bytes
        self._fixed_bytes: int = plan.headers_bytes + _LINK_BYTES
        self._ip_version: int = network.ip_version
        self._back_mtu: int = plan.back_mtu
        self._checks: bool = plan.narrow
        self.bare: bool = plan.bare
        self.awake_ns = -1
        self.held: list[Carried] = []
        self.program_runs = False
        self._held_ns = 0
        self._read_ns = 0
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

    def send(self, now_ns: int, direction: int, segments: Sequence[TcpSegment]) -> None:
        """Let segments leave their host, in order."""
        for segment in segments:
            size = self._fixed_bytes + segment.end - segment.start
            if segment.syn or segment.sack:
                size += options_bytes(segment)
            elif segment.ts_val != NO_STAMP:
                size += _STAMPS_BYTES
            packet = Carried(direction, segment, size, now_ns)
            self.packets.append(packet)
            if self.held or (now_ns > self.awake_ns and self._stays_asleep(now_ns)):
                self.held.append(packet)
            else:
                self.first_link(now_ns, packet)

    def stays_awake(self, until_ns: int) -> None:
        """Note that the wire is awake at ``until_ns``."""
        if until_ns > self.awake_ns:
            self.awake_ns = until_ns

    def release(self, now_ns: int) -> None:
        """Let the wire read what was held: the client's program sleeps at ``now_ns``."""
        held, self.held = self.held, []
        read_ns = self.awake_ns = now_ns + self._held_ns
        for packet in held:
            self.first_link(read_ns, packet)

    def _stays_asleep(self, now_ns: int) -> bool:
        """Wake the wire up for a frame, unless it has to wait until the client's program sleeps."""
        times = self._times
        woke_ns: int = times.follow(BARE_WIRE_WAKE) if self.bare else times.draw(WIRE_WAKE)
        self._held_ns = woke_ns if woke_ns > 0 else -woke_ns
        if woke_ns < 0 and self.program_runs:
            return True
        self.awake_ns = awake_ns = now_ns + self._held_ns
        if awake_ns > self._read_ns:
            self._read_ns = awake_ns
        return False

    def forward(self, now_ns: int, packet: Carried) -> None:
        """Let the router take a packet that it has to pass on."""
        self.second_link(now_ns, packet)
        if packet.mtu and packet.segment is not None:
            self.complain(now_ns, packet)

    def complain(self, now_ns: int, packet: Carried) -> None:
        """Let the router say that a packet was too large, if it says so."""
        message = self.complaint(packet)
        if message is not None:
            self.packets.append(message)
            self.second_link(now_ns, message)

    def first_link(self, now_ns: int, packet: Carried) -> None:
        """Let the wire read a packet, not before those that left earlier, and offer it to its link.

        Queue where it is next, if anywhere.
        """
        if now_ns < self._read_ns:
            now_ns = self._read_ns
        else:
            self._read_ns = now_ns
        way = self._down if packet.direction else self._up
        link = way.first
        copy_ns = -1
        if link is None:
            left_ns = way.first_free_ns = self._hop(now_ns, way.first_free_ns)
        else:
            left_ns = link.departure(now_ns, packet.size, is_data=packet.is_data)
            if left_ns < 0:
                packet.fate = f"{link.drop_reason} on {way.first_name}"
                return
            copy_ns = link.copy_ns
        if way.at_once:
            self.second_link(left_ns, packet)
            if copy_ns >= 0:
                self.second_link(copy_ns, packet)
            if packet.mtu:
                self._queue.put(packet.left_ns, COMPLAINT, packet)
        else:
            self._queue.put(left_ns, AT_ROUTER, packet)
            if copy_ns >= 0:
                self._queue.put(copy_ns, AT_ROUTER, packet)

    def second_link(self, now_ns: int, packet: Carried) -> None:
        """Let the router forward a packet, and queue when it reaches the other host, if it does."""
        way = self._down if packet.direction else self._up
        if way.first is not None:  # otherwise the router is a part of the hop
            now_ns += self._times.draw(ROUTER)
            if now_ns < way.routed_ns:
                now_ns = way.routed_ns
            way.routed_ns = now_ns
        packet.left_ns = now_ns
        if packet.direction == UP and self._checks:
            mtu = self.mtu_at(now_ns)
            if packet.size - _LINK_BYTES > mtu:
                packet.fate = "router"
                packet.mtu = mtu
                return
        segment = packet.segment
        if self._clamps and segment is not None and segment.syn:
            packet.delivered = self._clamped(now_ns, segment)
        link = way.second
        if link is None:
            way.second_free_ns = self._hop(now_ns, way.second_free_ns)
            self._queue.put(way.second_free_ns, ARRIVAL, packet)
            return
        arrival_ns = link.departure(now_ns, packet.size, is_data=packet.is_data)
        if arrival_ns < 0:
            packet.fate = f"{link.drop_reason} on {way.second_name}"
            return
        self._queue.put(arrival_ns, ARRIVAL, packet)
        if link.copy_ns >= 0:
            self._queue.put(link.copy_ns, ARRIVAL, packet)

    def complaint(self, packet: Carried) -> Carried | None:
        """Return the router's message about a packet that it lost for its size, if it sends one.

        RFC 1191 and RFC 8201. Linux quotes as much of the packet as the least MTU allows.
        """
        if not self._says_so or packet.mtu == 0 or packet.segment is None:
            return None
        quoting = _ICMP_IPV4_BYTES if self._ip_version == 4 else _ICMP_IPV6_BYTES
        whole = packet.size - _LINK_BYTES + quoting
        size = min(whole, _ICMP_QUOTED_MOST[self._ip_version]) + _LINK_BYTES
        message = Carried(DOWN, None, size, packet.left_ns)
        message.mtu = packet.mtu
        message.about = packet
        message.left_ns = packet.left_ns
        return message

    def _hop(self, now_ns: int, free_ns: int) -> int:
        """Return when a frame has crossed a link that does nothing to it.

        Args:
            now_ns: when it comes to the link.
            free_ns: when the last one had crossed it.
        """
        at_ns = now_ns + self._times.draw(HOP)
        if at_ns <= free_ns:
            at_ns = free_ns + self._times.draw(HOP_APART)
        if self.bare:
            self.stays_awake(at_ns)
        return at_ns

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
        links: for each direction of each link, its parameters, and the names of its seed, none
            where it needs none; ``None`` for the parameters of one that does nothing to a frame.
        mtu: of the router's link to the server when a session begins.
        back_mtu: of its link to the client.
        headers_bytes: of a packet without options.
        narrow: whether a packet of the client can be too large for the router.
        at_once: by direction, whether both links can be crossed in one step.
        bare: whether no link does anything to a frame.
    """

    __slots__ = (
        "at_once",
        "back_mtu",
        "bare",
        "headers_bytes",
        "links",
        "mtu",
        "narrow",
        "network",
    )

    def __init__(self, network: Network) -> None:
        router = network.router
        self.network = network
        self.links = tuple(
            (None if params.transparent else params, (name, way) if params.draws else ())
            for name, link in zip(LINKS, (network.access, network.core), strict=True)
            for params, way in zip((link.up, link.down), _WAYS, strict=True)
        )
        self.bare: bool = all(params is None for params, _ in self.links)
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
