"""From the frames that the wire recorded to the segments of a trace.

The wire records a packet once on each link, as a frame. This module joins the frames of a packet
again, so that it knows when its host sent it, and when it reached the other host or where it was
lost. Direction 0 is from the client to the server, over the links in their order; direction 1 is
from the server to the client.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from seglab.core.tcpip import MSS_DEFAULT_BYTES, full_segment_of_mss
from seglab.core.trace import Segment
from seglab.frames.headers import ACK, PSH, SYN, TcpPacket, is_plain_tcp, parse_ip, parse_tcp

LINKS = ("access", "core")
"""The links between client and server, as the wire numbers them."""

_SEQ_MODULUS = 1 << 32
_WHEN = itemgetter(0)
_WHEN_IN = attrgetter("t_in_ns")


class Frame(NamedTuple):
    """A frame on one link, as the wire recorded it.

    Attributes:
        link: the number of the link.
        direction: 0 is client to server.
        t_in_ns: when the wire received it at one end of the link.
        t_out_ns: when the wire sent it at the other end: two times for a duplicate, none for a
            frame that was lost.
        drop_reason: why it was lost on the link; ``None`` where it was not.
        raw: its bytes.
    """

    link: int
    direction: int
    t_in_ns: int
    t_out_ns: Sequence[int]
    drop_reason: str | None
    raw: bytes


@dataclass(slots=True)
class Packet:
    """One packet on its way from one host to the other, over one link after the other.

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


class StreamRange(NamedTuple):
    """The bytes ``start:end`` that a packet carries of its direction's stream.

    The first byte after the SYN is number 0.

    Attributes:
        packet: the packet.
        start: the first byte.
        end: the byte after the last one.
        retransmission: whether all of these bytes had been sent before.
    """

    packet: Packet
    start: int
    end: int
    retransmission: bool


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the two SYNs announced: the client's as it was sent, the server's as it arrived."""

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


def join_frames(records: Iterable[Sequence[Any]], links: Sequence[str] = LINKS) -> list[Packet]:
    """Join the frames of each packet; return the packets in the order in which they were sent.

    A frame on a later link belongs to the latest packet that left the link before and looks the
    same (addresses, ports, sequence numbers, flags, length and IP identification). A frame on a
    later link that no earlier frame explains is a packet that a router made.

    Args:
        records: the ``frames`` of the wire's message about a flow.
        links: the names of the links, by number.
    """
    by_hop: dict[tuple[int, int], list[Frame]] = defaultdict(list)
    for record in records:
        frame = Frame(*record)
        by_hop[frame.direction, frame.link].append(frame)
    found: list[Packet] = []
    for direction in (0, 1):
        path = range(len(links)) if direction == 0 else range(len(links) - 1, -1, -1)
        found += _follow(direction, [by_hop[direction, link] for link in path])
    for packet in found:
        _settle(packet, links)
    found.sort(key=lambda packet: packet.t_sent_ns)
    return found


def stream_ranges(packets: Iterable[Packet], direction: int = 0) -> Iterator[StreamRange]:
    """Yield the range of the stream that each segment with payload carried, in sending order.

    Only the first connection of a flow counts. There is nothing where its SYN was not seen.
    """
    base: int | None = None
    ports = 0, 0
    reached = 0
    for packet in packets:
        tcp = packet.tcp
        if tcp is None or packet.direction != direction:
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
            yield StreamRange(packet, start, end, retransmission=end <= reached)
            reached = max(reached, end)


def stream(packets: Iterable[Packet], direction: int, most: int) -> bytes:
    """Return the bytes that a host sent, in order from the first one, and at most so many."""
    found = bytearray()
    for one in sorted(stream_ranges(packets, direction), key=lambda one: one.start):
        tcp = one.packet.tcp
        if one.start <= len(found) < min(one.end, most) and tcp is not None:
            raw = one.packet.frames[0].raw[tcp.payload_start :][: tcp.payload_bytes]
            found += raw[len(found) - one.start :]
    return bytes(found[:most])


def segments(
    packets: Iterable[Packet], payload_start: int, payload_end: int, t0_ns: int
) -> tuple[Segment, ...]:
    """Return the trace's segments: those from the client with bytes of the payload.

    Args:
        packets: the session's packets, from ``join_frames``.
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
            t_sent_ns=stream_range.packet.t_sent_ns - t0_ns,
            t_arrived_ns=min((t - t0_ns for t in stream_range.packet.arrivals_ns), default=None),
            start=max(stream_range.start, payload_start) - payload_start,
            end=min(stream_range.end, payload_end) - payload_start,
            psh=stream_range.packet.tcp is not None and bool(stream_range.packet.tcp.flags & PSH),
            retransmission=stream_range.retransmission,
            dropped=stream_range.packet.fate is not None,
            drop_reason=stream_range.packet.fate,
        )
        for stream_range in stream_ranges(packets)
        if stream_range.start < payload_end and stream_range.end > payload_start
    )


def handshake(packets: Iterable[Packet]) -> Handshake | None:
    """Return the options of the first connection's SYNs; ``None`` unless both were seen."""
    syns: dict[int, TcpPacket] = {}
    for packet in packets:
        if packet.tcp is None or not packet.tcp.flags & SYN:
            continue
        if packet.direction == 0:
            syns.setdefault(0, packet.tcp)
        elif packet.tcp.flags & ACK and packet.arrivals_ns:
            received = parse_tcp(packet.frames[-1].raw)  # a router may have lowered its MSS
            syns.setdefault(1, received or packet.tcp)
    if len(syns) < 2:
        return None
    return Handshake(syns[0].mss, syns[1].mss, syns[0].timestamps, syns[1].timestamps)


def largest(packets: Iterable[Packet], direction: int = 0) -> StreamRange | None:
    """Return the longest segment that a host sent; ``None`` where there is no segment.

    If it is longer than the MSS, TCP did not cut it: an offload left that to the network card.
    """
    return max(stream_ranges(packets, direction), key=lambda s: s.end - s.start, default=None)


def _follow(direction: int, hops: list[list[Frame]]) -> list[Packet]:
    """Return the packets of one direction; ``hops`` has the frames of each link on the way."""
    found: list[Packet] = []
    left: dict[Hashable, list[tuple[int, Packet]]] = defaultdict(list)
    for hop, frames in enumerate(hops):
        departed = left
        for departures in departed.values():
            departures.sort(key=_WHEN)
        underway: dict[Hashable, list[Packet]] = defaultdict(list)
        left = defaultdict(list)
        for frame in sorted(frames, key=_WHEN_IN):
            key = _identity(frame.raw)
            departures = departed.get(key, [])
            while departures and departures[0][0] <= frame.t_in_ns:
                underway[key].append(departures.pop(0)[1])
            if candidates := underway.get(key):
                packet = candidates.pop()
            else:
                packet = Packet(direction, parse_tcp(frame.raw), from_router=hop > 0)
                found.append(packet)
            packet.frames.append(frame)
            for t_ns in frame.t_out_ns:
                left[key].append((t_ns, packet))
    for arrivals in left.values():
        for t_ns, packet in sorted(arrivals, key=_WHEN):
            packet.arrivals_ns.append(t_ns)
    return found


def _identity(raw: bytes) -> Hashable:
    """Return what a router does not change of a packet, even where it lowers the MSS option."""
    if is_plain_tcp(raw):  # the same fields, length to fragment and ports to flags, as bytes
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


def _settle(packet: Packet, links: Sequence[str]) -> None:
    """Note where a packet was lost or waits, if it did not arrive."""
    if packet.arrivals_ns:
        return
    last = packet.frames[-1]
    if last.drop_reason is not None:
        packet.fate = f"{last.drop_reason} on {links[last.link]}"
    elif last.t_out_ns:
        packet.fate = "router"
    else:
        packet.waiting_on = links[last.link]
