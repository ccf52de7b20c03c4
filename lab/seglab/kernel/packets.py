"""From the frames that the wire recorded to the segments of a trace.

The wire records a frame on each link. Here the records of one packet are joined into its
*journey*: when its host sent it, when it reached the other host, or where it was lost. Direction
0 is from the client to the server, over the links in their order; 1 is the way back.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from seglab.core.tcpip import MSS_DEFAULT_BYTES, full_segment_of_mss
from seglab.core.trace import Segment
from seglab.kernel.headers import ACK, PSH, SYN, TcpPacket, is_plain_tcp, parse_ip, parse_tcp

LINKS = ("access", "core")
"""The links between client and server, as the wire numbers them."""

_SEQ_MODULUS = 1 << 32
_WHEN = itemgetter(0)
_WHEN_IN = attrgetter("t_in_ns")


class Frame(NamedTuple):
    """A frame on one link, as the wire reports it.

    Attributes:
        link: number of the link.
        direction: 0 is client to server.
        t_in_ns: when it was received from the one end.
        t_out_ns: when it was sent on to the other: twice for a duplicate, never for a loss.
        drop_reason: what killed it.
        raw: its bytes.
    """

    link: int
    direction: int
    t_in_ns: int
    t_out_ns: Sequence[int]
    drop_reason: str | None
    raw: bytes


@dataclass(slots=True)
class Journey:
    """One packet's way from its host to the other, over one link after the other.

    Attributes:
        direction: 0 is client to server.
        tcp: its TCP header, as it was sent; ``None`` where it is no TCP segment.
        frames: its records, in the order of the links; a duplicate has several on one link.
        arrivals_ns: when it, and its copies, left the last link for their host.
        fate: where and why it was lost: ``"loss on access"``, ``"router"``; ``None`` where it
            arrived, or was still on its way.
        waiting_on: the link that still held it when the session was over.
        from_router: whether a router on the way made it, and not the host.
    """

    direction: int
    tcp: TcpPacket | None
    frames: list[Frame] = field(default_factory=list)
    arrivals_ns: list[int] = field(default_factory=list)
    fate: str | None = None
    waiting_on: str | None = None
    from_router: bool = False

    @property
    def t_sent_ns(self) -> int:
        """When it entered the first link, or the link after the router that made it."""
        return self.frames[0].t_in_ns


class Stretch(NamedTuple):
    """The bytes ``start:end`` of one direction's stream, from the first after the SYN, on the way.

    Attributes:
        retransmission: whether they had all been sent before.
    """

    journey: Journey
    start: int
    end: int
    retransmission: bool


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the two SYNs announced, as the client sent its own and received the server's."""

    client_mss: int | None
    server_mss: int | None
    client_timestamps: bool
    server_timestamps: bool

    @property
    def timestamps(self) -> bool:
        """Whether segments carry timestamps: only where both hosts ask for them."""
        return self.client_timestamps and self.server_timestamps

    @property
    def mss(self) -> int:
        """The most payload that a segment from the client can have."""
        announced = min(self.client_mss or MSS_DEFAULT_BYTES, self.server_mss or MSS_DEFAULT_BYTES)
        return full_segment_of_mss(announced, timestamps=self.timestamps)


def journeys(records: Iterable[Sequence[Any]], links: Sequence[str] = LINKS) -> list[Journey]:
    """Join what was recorded on each link into journeys, in the order in which they began.

    A frame on a later link continues the journey of the latest like packet (same addresses,
    ports, sequence numbers, flags, length and IP identification) that left the link before it.
    One that no packet explains was made by a router, and begins a journey of its own.

    Args:
        records: the ``frames`` of the wire's message about a flow.
        links: the names of the links, by number.
    """
    by_hop: dict[tuple[int, int], list[Frame]] = defaultdict(list)
    for record in records:
        frame = Frame(*record)
        by_hop[frame.direction, frame.link].append(frame)
    found: list[Journey] = []
    for direction in (0, 1):
        path = range(len(links)) if direction == 0 else range(len(links) - 1, -1, -1)
        found += _follow(direction, [by_hop[direction, link] for link in path])
    for journey in found:
        _settle(journey, links)
    found.sort(key=lambda journey: journey.t_sent_ns)
    return found


def stretches(way: Iterable[Journey], direction: int = 0) -> Iterator[Stretch]:
    """What each segment with payload carried of the stream, in the order they were sent.

    Nothing comes where the connection's SYN was not seen. A flow's first connection counts.
    """
    base: int | None = None
    ports = 0, 0
    reached = 0
    for journey in way:
        tcp = journey.tcp
        if tcp is None or journey.direction != direction:
            continue
        if tcp.flags & SYN:
            if base is None:
                base = tcp.seq + 1
                ports = tcp.source_port, tcp.destination_port
        elif base is not None and tcp.payload_bytes:
            if ports != (tcp.source_port, tcp.destination_port):
                continue
            ahead = (tcp.seq - base - reached) % _SEQ_MODULUS  # sequence numbers wrap around
            start = reached + (ahead if ahead < _SEQ_MODULUS // 2 else ahead - _SEQ_MODULUS)
            end = start + tcp.payload_bytes
            yield Stretch(journey, start, end, retransmission=end <= reached)
            reached = max(reached, end)


def segments(
    way: Iterable[Journey], payload_start: int, payload_end: int, t0_ns: int
) -> tuple[Segment, ...]:
    """The trace's segments: those from the client with bytes of the payload.

    Args:
        way: what ``journeys`` returned.
        payload_start: where the payload begins in the client's stream, counted from the first
            byte after its SYN. SMTP commands before it do not count.
        payload_end: the byte after the payload.
        t0_ns: the session's zero on the wire's clock.

    Returns:
        Segments in the order they were sent, their ranges clipped to the payload and counted from
        its first byte. A duplicate on the way is one segment, with the first copy's arrival. One
        that was still queued at the end is not dropped, but has not arrived.
    """
    return tuple(
        Segment(
            t_sent_ns=stretch.journey.t_sent_ns - t0_ns,
            t_arrived_ns=min((t - t0_ns for t in stretch.journey.arrivals_ns), default=None),
            start=max(stretch.start, payload_start) - payload_start,
            end=min(stretch.end, payload_end) - payload_start,
            psh=stretch.journey.tcp is not None and bool(stretch.journey.tcp.flags & PSH),
            retransmission=stretch.retransmission,
            dropped=stretch.journey.fate is not None,
            drop_reason=stretch.journey.fate,
        )
        for stretch in stretches(way)
        if stretch.start < payload_end and stretch.end > payload_start
    )


def handshake(way: Iterable[Journey]) -> Handshake | None:
    """The options of the first connection's SYNs; ``None`` where not both were seen."""
    syns: dict[int, TcpPacket] = {}
    for journey in way:
        if journey.tcp is None or not journey.tcp.flags & SYN:
            continue
        if journey.direction == 0:
            syns.setdefault(0, journey.tcp)
        elif journey.tcp.flags & ACK and journey.arrivals_ns:
            received = parse_tcp(journey.frames[-1].raw)  # a router may have lowered its MSS
            syns.setdefault(1, received or journey.tcp)
    if len(syns) < 2:
        return None
    return Handshake(syns[0].mss, syns[1].mss, syns[0].timestamps, syns[1].timestamps)


def largest(way: Iterable[Journey], direction: int = 0) -> Stretch | None:
    """The longest segment that a host sent, to be held against the MSS; ``None`` for none.

    One above the MSS was never a segment: an offload left the cutting to a network card.
    """
    return max(stretches(way, direction), key=lambda s: s.end - s.start, default=None)


def _follow(direction: int, hops: list[list[Frame]]) -> list[Journey]:
    """The journeys in one direction; ``hops`` has the frames of each link on the way."""
    found: list[Journey] = []
    left: dict[Hashable, list[tuple[int, Journey]]] = defaultdict(list)
    for hop, frames in enumerate(hops):
        departed = left
        for departures in departed.values():
            departures.sort(key=_WHEN)
        underway: dict[Hashable, list[Journey]] = defaultdict(list)
        left = defaultdict(list)
        for frame in sorted(frames, key=_WHEN_IN):
            key = _identity(frame.raw)
            departures = departed.get(key, [])
            while departures and departures[0][0] <= frame.t_in_ns:
                underway[key].append(departures.pop(0)[1])
            if candidates := underway.get(key):
                journey = candidates.pop()
            else:
                journey = Journey(direction, parse_tcp(frame.raw), from_router=hop > 0)
                found.append(journey)
            journey.frames.append(frame)
            for t_ns in frame.t_out_ns:
                left[key].append((t_ns, journey))
    for arrivals in left.values():
        for t_ns, journey in sorted(arrivals, key=_WHEN):
            journey.arrivals_ns.append(t_ns)
    return found


def _identity(raw: bytes) -> Hashable:
    """What stays the same of a packet when a router passes it on, perhaps with a lower MSS."""
    if is_plain_tcp(raw):  # length to fragment; ports to flags: the same, and not taken apart
        return raw[16:22] + raw[34:48]
    tcp = parse_tcp(raw)
    if tcp is not None:
        return (
            tcp.source_port,
            tcp.destination_port,
            tcp.seq,
            tcp.ack,
            tcp.flags,
            tcp.payload_bytes,
            tcp.ip_id,
        )
    ip = parse_ip(raw)
    return raw[12:] if ip is None else (ip.source, ip.protocol, ip.ip_id, raw[ip.start : ip.end])


def _settle(journey: Journey, links: Sequence[str]) -> None:
    """Say where a journey ended that did not arrive."""
    if journey.arrivals_ns:
        return
    last = journey.frames[-1]
    if last.drop_reason is not None:
        journey.fate = f"{last.drop_reason} on {links[last.link]}"
    elif last.t_out_ns:
        journey.fate = "router"
    else:
        journey.waiting_on = links[last.link]
