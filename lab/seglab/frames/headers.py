"""Ethernet, IP, TCP and ICMP headers, read with ``struct`` from bytes that may be anything.

A frame that is cut short, has a wrong length in a header or belongs to another protocol gives
``None``, and never an exception.
"""

import struct
from typing import NamedTuple

from seglab.core.tcpip import (
    ETHERNET_HEADER_BYTES,
    IPV4_HEADER_BYTES,
    IPV6_HEADER_BYTES,
    TCP_HEADER_BYTES,
    TIMESTAMPS_BYTES,
)

IPV4 = b"\x08\x00"
IPV6 = b"\x86\xdd"

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

_TCP = 6
_ICMP = 1
_ICMPV6 = 58
_IPV4_HEADER = struct.Struct("!BxHHHxB2x4s4s")
_FRAGMENT = 0x3FFF  # more fragments, or an offset
_IPV6_HEADER = struct.Struct("!4xHBx16s16s")
_TCP_HEADER = struct.Struct("!HHIIBB6x")
_PLAIN_HEADERS = struct.Struct("!2xHHH4x4s4sHHIIBB6x")  # IPv4 without options, and TCP
_PLAIN_TCP_AT = 34
_PLAIN_IPV4 = b"\x08\x00\x45"  # IPv4 without options: the fields are at these places
_PROTOCOL_AT, _TCP_PORTS, _TCP_FLAGS_AT, _PLAIN_HEADERS_BYTES = 23, slice(34, 38), 47, 54
_TIMESTAMPS_ALONE = b"\x01\x01\x08\x0a"  # as Linux lays out segments after the SYN
_OPTION_END, _OPTION_NOP, _OPTION_MSS, _OPTION_TIMESTAMPS = 0, 1, 2, 8
_ICMP_ERRORS = frozenset((3, 4, 5, 11, 12))  # RFC 792: those that quote the packet
_ICMPV6_ERRORS = 128  # RFC 4443: types below are errors
_FRAGMENTATION_NEEDED = b"\x03\x04"  # RFC 1191: type and code; its last two bytes are the MTU
_PACKET_TOO_BIG = 2  # RFC 8201: its last four bytes are the MTU
_ICMP_HEADER_BYTES = 8
_PORTS_AND_SEQ_BYTES = 8


class IpPacket(NamedTuple):
    """An IP header, without its options.

    Attributes:
        source: address, 4 or 16 bytes.
        destination: address, 4 or 16 bytes.
        protocol: the number of the protocol that it carries (IPv6: the first next header).
        ip_id: the IPv4 identification, 0 in IPv6.
        start: where in the frame its content begins.
        end: the byte after its content, which is not always the frame's end.
        is_fragment: whether it is a part of a larger IPv4 packet.
    """

    source: bytes
    destination: bytes
    protocol: int
    ip_id: int
    start: int
    end: int
    is_fragment: bool


class TcpPacket(NamedTuple):
    """A TCP segment's header, and those of its options that the lab asks for.

    Attributes:
        payload_start: where in the frame its payload begins.
        payload_bytes: the length of its payload.
        mss: the MSS option's value.
        timestamps: whether it has the timestamps option (RFC 7323).
    """

    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    ip_id: int
    seq: int
    ack: int
    flags: int
    payload_start: int
    payload_bytes: int
    mss: int | None
    timestamps: bool


class TooBig(NamedTuple):
    """A router's message that a packet was too large for the next link.

    Attributes:
        name: what the message is called.
        mtu: the MTU of the next link; 0 where an old router does not say.
        about: the ``tcp_identity`` of the packet; ``None`` where it was no TCP segment.
    """

    name: str
    mtu: int
    about: tuple[bytes, bytes, bytes, int] | None


def parse_ip(frame: bytes, start: int = ETHERNET_HEADER_BYTES) -> IpPacket | None:
    """Return the IP header that begins at ``start``; ``None`` where there is none."""
    if len(frame) <= start:
        return None
    version = frame[start] >> 4
    if version == 4 and len(frame) >= start + IPV4_HEADER_BYTES:
        first, total, ip_id, fragment, protocol, source, destination = _IPV4_HEADER.unpack_from(
            frame, start
        )
        header = (first & 0x0F) * 4
        if header < IPV4_HEADER_BYTES or total < header:
            return None
        return IpPacket(
            source,
            destination,
            protocol,
            ip_id,
            start + header,
            start + total,
            bool(fragment & _FRAGMENT),
        )
    if version == 6 and len(frame) >= start + IPV6_HEADER_BYTES:
        length, protocol, source, destination = _IPV6_HEADER.unpack_from(frame, start)
        content = start + IPV6_HEADER_BYTES
        return IpPacket(source, destination, protocol, 0, content, content + length, False)
    return None


def parse_tcp(frame: bytes) -> TcpPacket | None:
    """Return the TCP header of a frame; ``None`` where the frame has no whole TCP segment."""
    if is_plain_tcp(frame):  # nearly all frames: read both headers at once
        total, ip_id, fragment, source, destination, *tcp = _PLAIN_HEADERS.unpack_from(frame, 14)
        start, end, is_fragment = _PLAIN_TCP_AT, ETHERNET_HEADER_BYTES + total, fragment & _FRAGMENT
    else:
        ip = parse_ip(frame) if frame[12:14] in (IPV4, IPV6) else None
        if ip is None or ip.protocol != _TCP or len(frame) - ip.start < TCP_HEADER_BYTES:
            return None
        source, destination, _, ip_id, start, end, is_fragment = ip
        tcp = list(_TCP_HEADER.unpack_from(frame, start))
    source_port, destination_port, seq, ack, offset, flags = tcp
    header_bytes = (offset >> 4) * 4
    payload_start = start + header_bytes
    if is_fragment or header_bytes < TCP_HEADER_BYTES or not payload_start <= end <= len(frame):
        return None
    options = frame[start + TCP_HEADER_BYTES : payload_start]
    mss, timestamps = _options(options) if options else (None, False)
    return TcpPacket(
        source,
        destination,
        source_port,
        destination_port,
        ip_id,
        seq,
        ack,
        flags,
        payload_start,
        end - payload_start,
        mss,
        timestamps,
    )


def is_plain_tcp(frame: bytes) -> bool:
    """Return whether the frame holds a whole TCP header behind an IPv4 header without options.

    Its lengths may still be wrong, and it may be a fragment.
    """
    return (
        len(frame) >= _PLAIN_HEADERS_BYTES
        and frame[12:15] == _PLAIN_IPV4
        and frame[_PROTOCOL_AT] == _TCP
    )


def may_open(frame: bytes) -> bool:
    """Return whether the frame may be the first of a connection; if not plain IPv4, any may."""
    return not is_plain_tcp(frame) or bool(frame[_TCP_FLAGS_AT] & SYN)


def carries_data(frame: bytes) -> bool:
    """Return whether the frame is a TCP segment with payload."""
    tcp = parse_tcp(frame)
    return tcp is not None and tcp.payload_bytes > 0


def quoted_addresses(frame: bytes) -> tuple[bytes, bytes] | None:
    """Return the source and destination of the packet that an ICMP error is about.

    Returns ``None`` for any other frame. A router's "fragmentation needed" (RFC 1191) belongs to
    the flow of that packet, though its own source is the router.
    """
    ip = parse_ip(frame)
    if ip is None or ip.start >= len(frame):
        return None
    kind = frame[ip.start]
    if (ip.protocol == _ICMP and kind in _ICMP_ERRORS) or (
        ip.protocol == _ICMPV6 and kind < _ICMPV6_ERRORS
    ):
        quoted = parse_ip(frame, ip.start + 8)
        return None if quoted is None else (quoted.source, quoted.destination)
    return None


def too_big(frame: bytes) -> TooBig | None:
    """Return the message of a router about a packet that was too large; else ``None``."""
    ip = parse_ip(frame) if frame[12:14] in (IPV4, IPV6) else None
    if ip is None or ip.is_fragment or min(ip.end, len(frame)) < ip.start + _ICMP_HEADER_BYTES:
        return None
    quoted = ip.start + _ICMP_HEADER_BYTES
    if ip.protocol == _ICMP and frame.startswith(_FRAGMENTATION_NEEDED, ip.start):
        name, mtu = "ICMP fragmentation needed", frame[quoted - 2 : quoted]
    elif ip.protocol == _ICMPV6 and frame[ip.start] == _PACKET_TOO_BIG:
        name, mtu = "ICMPv6 packet too big", frame[quoted - 4 : quoted]
    else:
        return None
    return TooBig(name, int.from_bytes(mtu, "big"), tcp_identity(frame, quoted))


def tcp_identity(
    frame: bytes, start: int = ETHERNET_HEADER_BYTES
) -> tuple[bytes, bytes, bytes, int] | None:
    """Return what tells the TCP segment in the IP packet at ``start`` from others; else ``None``.

    That is the addresses, the ports with the sequence number, and the length. The first eight
    bytes of the segment are enough, and every ICMP error quotes as many.
    """
    ip = parse_ip(frame, start)
    if ip is None or ip.protocol != _TCP or ip.is_fragment:
        return None
    ports_and_seq = frame[ip.start : ip.start + _PORTS_AND_SEQ_BYTES]
    if len(ports_and_seq) < _PORTS_AND_SEQ_BYTES:
        return None
    return ip.source, ip.destination, ports_and_seq, ip.end - ip.start


class Teardown:
    """Finds out when the TCP connections of a flow are over.

    A connection is over when each side has acknowledged the other's FIN, or after a reset.
    """

    def __init__(self) -> None:
        self._fin_ends: dict[tuple[int, int], list[int | None]] = {}
        self._acknowledged: dict[tuple[int, int], list[bool]] = {}
        self._under_way: set[bytes] = set()  # the ports of connections without a FIN, either way

    def see(self, direction: int, frame: bytes) -> None:
        """Note a frame that has reached its host; ``direction`` 0 is client to server."""
        plain = is_plain_tcp(frame)
        if (
            plain
            and frame[_TCP_PORTS] in self._under_way
            and not frame[_TCP_FLAGS_AT] & (FIN | SYN | RST)
        ):
            return  # nearly every frame: it changes nothing
        tcp = parse_tcp(frame)
        if tcp is None:
            return
        ports = (tcp.source_port, tcp.destination_port)
        connection = ports if direction == 0 else ports[::-1]
        ends = self._fin_ends.setdefault(connection, [None, None])
        done = self._acknowledged.setdefault(connection, [False, False])
        if plain:
            both_ways = {frame[_TCP_PORTS], frame[36:38] + frame[34:36]}
            if tcp.flags & (FIN | RST) or ends != [None, None]:
                self._under_way -= both_ways
            else:
                self._under_way |= both_ways
        if tcp.flags & RST:
            done[:] = True, True
        if tcp.flags & FIN:
            ends[direction] = (tcp.seq + tcp.payload_bytes + 1) & 0xFFFFFFFF
        other = ends[1 - direction]
        if tcp.flags & ACK and other is not None and not (tcp.ack - other) & 0x80000000:
            done[1 - direction] = True

    @property
    def finished(self) -> bool:
        """Whether every connection seen so far is over."""
        return all(all(done) for done in self._acknowledged.values())


def _options(options: bytes) -> tuple[int | None, bool]:
    """Return the MSS and whether there are timestamps, up to an option that is cut short."""
    if len(options) == TIMESTAMPS_BYTES and options.startswith(_TIMESTAMPS_ALONE):
        return None, True
    mss = None
    timestamps = False
    at = 0
    while at < len(options) and options[at] != _OPTION_END:
        if options[at] == _OPTION_NOP:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            break
        if options[at] == _OPTION_MSS and length == 4:
            mss = int.from_bytes(options[at + 2 : at + 4], "big")
        timestamps |= options[at] == _OPTION_TIMESTAMPS
        at += length
    return mss, timestamps
