"""The bytes of a simulated session's frames, for its captures.

The frames have what Linux puts into them: don't-fragment and an IP identification that counts,
sequence numbers from an initial one, options in the order of ``tcp_options_write``, and right
checksums. What Linux draws at random (identification, initial sequence number, port, flow label)
is drawn from the session's seed.
"""

import struct
from functools import cache
from ipaddress import ip_address
from random import Random
from typing import Final

from seglab.core.seeds import derive
from seglab.core.tcpip import ETHERNET_HEADER_BYTES
from seglab.frames.addresses import BY_VERSION, CLIENT_PORTS, MACS
from seglab.frames.headers import ACK, FIN, IPV4, IPV6, PSH, RST, SYN
from seglab.simulator.carried import DOWN, UP, Carried
from seglab.simulator.segment import NO_STAMP, TcpSegment

_TTL: Final = 64
_TCP, _ICMP, _ICMPV6 = 6, 1, 58
_DONT_FRAGMENT = 0x4000
_SEQ = 0xFFFFFFFF
_WINDOW_MOST = 0xFFFF
_ONES = 0xFFFF
"""The modulus of internet checksums (RFC 1071).

2**16 is 1 modulo 2**16 - 1. So a number of any length has the same remainder as the sum of its
16-bit words, and a checksum is computed from remainders of parts of any length, if each part begins
at an even offset.
"""
_IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")
_IPV6_HEADER = struct.Struct("!IHBB16s16s")
_TO_IPV4 = struct.Struct("!14s" + _IPV4_HEADER.format.removeprefix("!"))
_TO_IPV6 = struct.Struct("!14s" + _IPV6_HEADER.format.removeprefix("!"))
_TCP_HEADER = struct.Struct("!HHIIBBHHH")
_TIMESTAMPS = struct.Struct("!BBBBII")
_NOP_NOP = b"\x01\x01"
_ROUTER_TOS = 0xC0  # icmp_send: internetwork control


@cache
def _router(address: str) -> bytes:
    """Return the address of a lab's router as a header has it."""
    return ip_address(address).packed


def _macs(destination: str, source: str) -> bytes:
    return bytes.fromhex((MACS[destination] + MACS[source]).replace(":", ""))


_SENT_MACS = _macs("r-eth0", "c-eth0"), _macs("r-eth1", "s-eth0")
"""The addresses of a frame on its first link, by direction."""

_ARRIVED_MACS = _macs("s-eth0", "r-eth1"), _macs("c-eth0", "r-eth0")
"""The addresses of a frame on its last link, by direction."""


class FrameMaker:
    """Makes the frames of one session.

    Args:
        ip_version: 4 or 6.
        port: the server's.
        seed: the session's.
        streams: the bytes of both directions, from the client first.
        addresses: of the client and the server; ``None`` draws them as well.
    """

    __slots__ = (
        "_addresses",
        "_arrived_ethernet",
        "_ids",
        "_initial",
        "_ip_ids",
        "_ip_sum",
        "_labels",
        "_ports",
        "_router",
        "_router_id",
        "_scales",
        "_sent_ethernet",
        "_streams",
        "_tcp_sum",
        "_version",
    )

    def __init__(
        self,
        ip_version: int,
        port: int,
        seed: int,
        streams: tuple[bytes, bytes],
        addresses: tuple[str, str] | None = None,
    ) -> None:
        draw = Random(derive(seed, "frames"))
        at = BY_VERSION[ip_version]
        self._version = ip_version
        self._streams = streams
        number = 1 + draw.randrange(at.clients.num_addresses // 2 if ip_version == 4 else 1 << 22)
        hosts = at.clients[number], at.servers[number]
        if addresses is not None:
            hosts = ip_address(addresses[0]), ip_address(addresses[1])
        client, server = hosts[0].packed, hosts[1].packed
        self._addresses: tuple[bytes, bytes] = (client, server)
        self._router: bytes = _router(at.router_access_link)
        self._ports: tuple[int, int] = draw.randint(*CLIENT_PORTS), port
        self._initial: tuple[int, int] = draw.getrandbits(32), draw.getrandbits(32)
        self._ip_ids: list[int] = [draw.getrandbits(16), draw.getrandbits(16)]
        self._router_id: int = draw.getrandbits(16)
        self._labels: tuple[int, int] = draw.getrandbits(20), draw.getrandbits(20)
        self._scales: list[int] = [0, 0]
        self._ids: dict[int, int] = {}
        ether_type = IPV4 if ip_version == 4 else IPV6
        up, down = _SENT_MACS
        self._sent_ethernet: tuple[bytes, bytes] = (up + ether_type, down + ether_type)
        up, down = _ARRIVED_MACS
        self._arrived_ethernet: tuple[bytes, bytes] = (up + ether_type, down + ether_type)
        addresses_sum = (int.from_bytes(client, "big") + int.from_bytes(server, "big")) % _ONES
        fixed = 0x4500 + 20 + _DONT_FRAGMENT + (_TTL << 8 | _TCP)
        self._ip_sum: int = (fixed + addresses_sum) % _ONES
        self._tcp_sum: int = (addresses_sum + _TCP + sum(self._ports)) % _ONES

    def frame(self, packet: Carried) -> tuple[bytes, bytes]:
        """Return a packet's frame as it was sent, and as it arrives.

        Packets are to be given in the order in which they were sent, since the identifications
        count.
        """
        segment = packet.segment
        if segment is None:
            raw = self._message(packet)
            return raw, raw
        direction = packet.direction
        ip_id = self._next_id(direction)
        self._ids[id(packet)] = ip_id
        tcp = self._tcp_segment(direction, segment)
        sent = self._sent(direction, len(tcp), ip_id) + tcp
        if packet.delivered is not segment:
            assert packet.delivered is not None
            tcp = self._tcp_segment(direction, packet.delivered)
        return sent, self._arrived(direction, len(tcp), ip_id) + tcp

    @property
    def client_port(self) -> int:
        """The client's port."""
        return self._ports[UP]

    @property
    def initial(self) -> tuple[int, int]:
        """The initial sequence numbers of both directions."""
        return self._initial

    def meet(self, initial: int) -> None:
        """Take the server's initial sequence number, where the server has chosen it itself."""
        self._initial = self._initial[UP], initial

    def sent(self, segment: TcpSegment) -> bytes:
        """Return the frame of a segment that the client sends."""
        tcp = self._tcp_segment(UP, segment)
        return self._sent(UP, len(tcp), self._next_id(UP)) + tcp

    def reset(self, start: int, ack: int) -> bytes:
        """Return the frame with which the client ends the connection at once (RFC 9293, 3.10.5).

        Args:
            start: where in the client's stream.
            ack: what of the server's stream it acknowledges; -1 for nothing.
        """
        tcp = self._tcp_segment(UP, TcpSegment(start, start, ack, 0), RST)
        return self._sent(UP, len(tcp), self._next_id(UP)) + tcp

    def _next_id(self, direction: int) -> int:
        ip_id = self._ip_ids[direction]
        self._ip_ids[direction] = (ip_id + 1) & 0xFFFF
        return ip_id

    def _sent(self, direction: int, tcp_bytes: int, ip_id: int) -> bytes:
        """Return the Ethernet and the IP header of a TCP segment, as its host sends it."""
        source, destination = self._addresses[direction], self._addresses[1 - direction]
        if self._version == 6:
            first = 6 << 28 | self._labels[direction]
            return _TO_IPV6.pack(
                self._sent_ethernet[direction],
                *(first, tcp_bytes, _TCP, _TTL, source, destination),
            )
        return _TO_IPV4.pack(
            self._sent_ethernet[direction],
            *(0x45, 0, 20 + tcp_bytes, ip_id, _DONT_FRAGMENT, _TTL, _TCP),
            *(self._ip_checksum(tcp_bytes, ip_id), source, destination),
        )

    def _arrived(self, direction: int, tcp_bytes: int, ip_id: int) -> bytes:
        """Return the same headers as the router passes them on: with a lower TTL."""
        source, destination = self._addresses[direction], self._addresses[1 - direction]
        if self._version == 6:
            first = 6 << 28 | self._labels[direction]
            return _TO_IPV6.pack(
                self._arrived_ethernet[direction],
                *(first, tcp_bytes, _TCP, _TTL - 1, source, destination),
            )
        # RFC 1141: where the TTL falls by one, the checksum rises by 0x100
        checksum = self._ip_checksum(tcp_bytes, ip_id) + 0x100
        return _TO_IPV4.pack(
            self._arrived_ethernet[direction],
            *(0x45, 0, 20 + tcp_bytes, ip_id, _DONT_FRAGMENT, _TTL - 1, _TCP),
            *((checksum & 0xFFFF) + (checksum >> 16), source, destination),
        )

    def _ip_checksum(self, tcp_bytes: int, ip_id: int) -> int:
        return -(self._ip_sum + tcp_bytes + ip_id) % _ONES

    def _tcp_segment(self, direction: int, segment: TcpSegment, flags: int = 0) -> bytes:
        if segment.syn:
            flags |= SYN
            self._scales[direction] = segment.wscale_option or 0
        if segment.fin:
            flags |= FIN
        if segment.psh:
            flags |= PSH
        ack = 0
        if segment.ack >= 0:
            flags |= ACK
            ack = self._initial[1 - direction] + 1 + segment.ack & _SEQ
        if segment.syn:
            seq = self._initial[direction]
            payload = b""
            window = min(segment.window, _WINDOW_MOST)
        else:
            seq = self._initial[direction] + 1 + segment.start & _SEQ
            payload = self._streams[direction][segment.start : segment.end]
            window = min(segment.window >> self._scales[direction], _WINDOW_MOST)
        options = self._options(direction, segment)
        offset = 20 + len(options) << 2  # in words, in the upper half of its byte
        rest = options + payload
        number = int.from_bytes(rest, "big")
        if len(rest) & 1:
            number <<= 8
        size = 20 + len(rest)
        sum_ = self._tcp_sum + size + seq + ack + (offset << 8 | flags) + window
        checksum = -(sum_ + number % _ONES) % _ONES
        source, destination = self._ports[direction], self._ports[1 - direction]
        return (
            _TCP_HEADER.pack(source, destination, seq, ack, offset, flags, window, checksum, 0)
            + rest
        )

    def _options(self, direction: int, segment: TcpSegment) -> bytes:
        options = b""
        if segment.ts_val != NO_STAMP:
            stamps = segment.ts_val & _SEQ, max(segment.ts_ecr, 0) & _SEQ
            options = _TIMESTAMPS.pack(1, 1, 8, 10, *stamps)
        if segment.syn:
            stamps_alone = options.removeprefix(_NOP_NOP)
            options = b""
            if segment.mss_option is not None:
                options += struct.pack("!BBH", 2, 4, segment.mss_option)
            permitted = bytes((4, 2)) if segment.sack_option else b""
            if stamps_alone:
                options += (permitted or _NOP_NOP) + stamps_alone
            elif permitted:
                options += _NOP_NOP + permitted
            if segment.wscale_option is not None:
                options += bytes((1, 3, 3, segment.wscale_option))
            return options
        if segment.sack:
            base = self._initial[1 - direction] + 1
            options += _NOP_NOP + bytes((5, 2 + 8 * len(segment.sack)))
            for start, end in segment.sack:
                options += struct.pack("!II", (base + start) & _SEQ, (base + end) & _SEQ)
        return options

    def _message(self, packet: Carried) -> bytes:
        """Return a router's message that a packet was too large, as the client gets it."""
        about = packet.about
        assert about is not None
        assert about.segment is not None
        tcp = self._tcp_segment(UP, about.segment)
        sent = self._sent(UP, len(tcp), self._ids[id(about)])
        quoted = sent[ETHERNET_HEADER_BYTES:] + tcp
        client = self._addresses[UP]
        macs = _ARRIVED_MACS[DOWN]
        size = packet.size - ETHERNET_HEADER_BYTES
        if self._version == 6:
            quoted = quoted[: size - 48]
            plain = struct.pack("!BBHI", 2, 0, 0, packet.mtu) + quoted
            pseudo = self._router + client + struct.pack("!II", len(plain), _ICMPV6)
            body = plain[:2] + _checksum(pseudo + plain) + plain[4:]
            return (
                macs
                + IPV6
                + _IPV6_HEADER.pack(6 << 28, len(body), _ICMPV6, _TTL, self._router, client)
                + body
            )
        quoted = quoted[: size - 28]
        plain = struct.pack("!BBHHH", 3, 4, 0, 0, packet.mtu) + quoted
        body = plain[:2] + _checksum(plain) + plain[4:]
        self._router_id = (self._router_id + 1) & 0xFFFF
        header = _ipv4_header(
            self._router, client, _ICMP, len(body), self._router_id, 0, _ROUTER_TOS
        )
        return macs + IPV4 + header + body


def _ipv4_header(
    source: bytes, destination: bytes, protocol: int, size: int, ip_id: int, flags: int, tos: int
) -> bytes:
    values = (0x45, tos, 20 + size, ip_id, flags, _TTL, protocol)
    plain = _IPV4_HEADER.pack(*values, 0, source, destination)
    return _IPV4_HEADER.pack(*values, int.from_bytes(_checksum(plain), "big"), source, destination)


def _checksum(data: bytes) -> bytes:
    """Return the internet checksum of data that are not all zero."""
    number = int.from_bytes(data, "big") << 8 * (len(data) & 1)
    return (-number % _ONES).to_bytes(2, "big")
