"""The bytes of a simulated session's frames, for its captures.

The frames have what Linux puts into them: don't-fragment and an IP identification that counts,
sequence numbers from an initial one, options in the order of ``tcp_options_write``, and right
checksums. What Linux draws at random (identification, initial sequence number, port, flow label)
is drawn from the session's seed.
"""

import struct
from ipaddress import ip_address
from random import Random
from typing import Final

from seglab.core.seeds import derive
from seglab.core.tcpip import ETHERNET_HEADER_BYTES
from seglab.frames.addresses import BY_VERSION, CLIENT_PORTS, MACS
from seglab.frames.headers import ACK, FIN, IPV4, IPV6, PSH, RST, SYN
from seglab.simulator.path import DOWN, UP, Carried
from seglab.simulator.segment import TcpSegment

_TTL: Final = 64
_TCP, _ICMP, _ICMPV6 = 6, 1, 58
_DONT_FRAGMENT = 0x4000
_SEQ = 0xFFFFFFFF
_WINDOW_MOST = 0xFFFF
_IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")
_IPV6_HEADER = struct.Struct("!IHBB16s16s")
_TCP_HEADER = struct.Struct("!HHIIBBHHH")
_NOP_NOP = b"\x01\x01"
_TTL_LESS = bytes((_TTL - 1,))
_ROUTER_TOS = 0xC0  # icmp_send: internetwork control


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
        addresses = addresses or (at.client(number), at.server(number))
        self._addresses = tuple(ip_address(one).packed for one in addresses)
        self._router = ip_address(at.router_access_link).packed
        self._ports = draw.randint(*CLIENT_PORTS), port
        self._initial = draw.getrandbits(32), draw.getrandbits(32)
        self._ip_ids = [draw.getrandbits(16), draw.getrandbits(16)]
        self._router_id = draw.getrandbits(16)
        self._labels = draw.getrandbits(20), draw.getrandbits(20)
        self._scales = [0, 0]
        self._ids: dict[int, int] = {}

    def frame(self, packet: Carried) -> tuple[bytes, bytes]:
        """Return a packet's frame as it was sent, and as it arrives.

        Packets are to be given in the order in which they were sent, since the identifications
        count.
        """
        if packet.segment is None:
            raw = self._message(packet)
            return raw, raw
        direction = packet.direction
        ip_id = self._next_id(direction)
        self._ids[id(packet)] = ip_id
        body = self._ip(direction, self._tcp(direction, packet.segment), ip_id)
        sent = _SENT_MACS[direction] + body
        if packet.delivered is not packet.segment:
            assert packet.delivered is not None
            body = self._ip(direction, self._tcp(direction, packet.delivered), ip_id)
        return sent, _ARRIVED_MACS[direction] + self._forwarded(body)

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
        return _SENT_MACS[UP] + self._ip(UP, self._tcp(UP, segment), self._next_id(UP))

    def reset(self, start: int, ack: int) -> bytes:
        """Return the frame with which the client ends the connection at once (RFC 9293, 3.10.5)."""
        tcp = self._tcp(UP, TcpSegment(start, start, ack, 0), RST)
        return _SENT_MACS[UP] + self._ip(UP, tcp, self._next_id(UP))

    def _next_id(self, direction: int) -> int:
        ip_id = self._ip_ids[direction]
        self._ip_ids[direction] = (ip_id + 1) & 0xFFFF
        return ip_id

    def _forwarded(self, body: bytes) -> bytes:
        """Return a frame from its EtherType on, as the router passes it on: with a lower TTL."""
        if self._version == 6:
            return body[:9] + _TTL_LESS + body[10:]
        # RFC 1141: where the TTL falls by one, the checksum rises by 0x100
        total = (body[12] << 8 | body[13]) + 0x100
        checksum = (total & 0xFFFF) + (total >> 16)
        return b"".join((body[:10], _TTL_LESS, body[11:12], checksum.to_bytes(2, "big"), body[14:]))

    def _ip(self, direction: int, tcp: bytes, ip_id: int) -> bytes:
        """Return the EtherType and the IP packet around a TCP segment."""
        source, destination = self._addresses[direction], self._addresses[1 - direction]
        if self._version == 6:
            first = 6 << 28 | self._labels[direction]
            return IPV6 + _IPV6_HEADER.pack(first, len(tcp), _TCP, _TTL, source, destination) + tcp
        header = _ipv4_header(source, destination, _TCP, len(tcp), ip_id, _DONT_FRAGMENT, 0)
        return IPV4 + header + tcp

    def _tcp(self, direction: int, segment: TcpSegment, flags: int = 0) -> bytes:
        if segment.syn:
            flags |= SYN
            self._scales[direction] = segment.wscale_option or 0
        if segment.fin:
            flags |= FIN
        if segment.psh:
            flags |= PSH
        acknowledges = segment.ack >= 0
        if acknowledges:
            flags |= ACK
        seq = self._initial[direction] + (0 if segment.syn else 1 + segment.start)
        ack = self._initial[1 - direction] + 1 + segment.ack if acknowledges else 0
        scale = 0 if segment.syn else self._scales[direction]
        window = min(segment.window >> scale, _WINDOW_MOST)
        options = self._options(direction, segment)
        payload = b"" if segment.syn else self._streams[direction][segment.start : segment.end]
        offset = (_TCP_HEADER.size + len(options)) // 4 << 4
        head = (
            self._ports[direction],
            self._ports[1 - direction],
            seq & _SEQ,
            ack & _SEQ,
            offset,
            flags,
            window,
        )
        plain = _TCP_HEADER.pack(*head, 0, 0) + options + payload
        source, destination = self._addresses[direction], self._addresses[1 - direction]
        pseudo = source + destination + struct.pack("!II", len(plain), _TCP)
        sum_ = int.from_bytes(_checksum(pseudo + plain), "big")
        return _TCP_HEADER.pack(*head, sum_, 0) + options + payload

    def _options(self, direction: int, segment: TcpSegment) -> bytes:
        stamps = b""
        if segment.ts_val is not None:
            stamps = struct.pack(
                "!BBII", 8, 10, segment.ts_val & _SEQ, (segment.ts_ecr or 0) & _SEQ
            )
        if segment.syn:
            options = b""
            if segment.mss_option is not None:
                options += struct.pack("!BBH", 2, 4, segment.mss_option)
            permitted = bytes((4, 2)) if segment.sack_option else b""
            if stamps:
                options += (permitted or _NOP_NOP) + stamps
            elif permitted:
                options += _NOP_NOP + permitted
            if segment.wscale_option is not None:
                options += bytes((1, 3, 3, segment.wscale_option))
            return options
        options = _NOP_NOP + stamps if stamps else b""
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
        quoted = self._ip(UP, self._tcp(UP, about.segment), self._ids[id(about)])[2:]
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
    """Return the internet checksum (RFC 1071): the complement of the sum of all 16-bit words.

    2**16 is 1 modulo 2**16 - 1, so the number that all bytes make has the same remainder as the
    sum of its words.
    """
    total = int.from_bytes(data + b"\0" * (len(data) % 2), "big") % 0xFFFF
    if total == 0 and any(data):
        total = 0xFFFF
    return (~total & 0xFFFF).to_bytes(2, "big")
