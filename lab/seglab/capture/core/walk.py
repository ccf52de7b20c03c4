"""Walks the records of a capture and takes their packets apart, down to TCP.

Theory of operation
-------------------

What comes in are pieces of a capture file, each with whole records at its beginning (``reader``
sees to that). What goes out are TCP segments, to the half-streams that ``table`` finds for them,
and counts of all that was not followed. One record passes these methods, outermost layer first:

    pcap, pcapng -> _frame -> _ip -> _tcp -> HalfStream.receive
                       |        |
          _other_link, _inner,  _extended (IPv6), _join (fragments),
          _unwrap               _tunnel and _udp -> _ip or _frame again

Four offsets into the bytes describe a packet: ``at``, where the next header begins; ``end``, where
the captured bytes end; and ``wire_end`` or ``ip_end``, where the packet ended on the wire, by the
record or by the IP header. The snap length may have cut it, so ``end <= wire_end``. Sizes come from
``ip_end``; contents, which may be missing, come from ``at:end``.

The invariant is that nothing believes a length. Each is held against what there is before it is
used, by ``_byte``, ``_net16`` and their like, which raise ``IndexError`` outside the bytes. A
packet whose lengths contradict each other is counted in ``malformed``; a record whose length cannot
be is a ``BrokenError``, since nothing says where the next one begins.

A byte order and a clock belong to the file: ``_u16`` and ``_u32`` read the capture's own numbers,
``_net16`` and ``_net32`` those of packets. A segment's time is in nanoseconds since 1970.

Ignored on purpose: checksums, since offload leaves them wrong, and ports, since SMTP is known by
what is said.

The compiled form remembers, in 16 384 places of ``words`` and ``halves``, which half-stream a pair
of addresses and ports belongs to (``_recall``). That is where most packets end: of a connection
that nobody follows, only the headers are looked at.

The module is long because it is one class: compiled, all methods read the bytes through one bare
pointer and call each other without a lookup, and half of the time of a capture is spent here.
"""

from array import array
from typing import Final

from seglab.capture.core.blocks import BrokenError, Interface, interface_of
from seglab.capture.fragments import Fragments

from .encapsulation import (
    AGGREGATED_WIFI,
    ENCRYPTED_WIFI,
    NOTHING,
    TUNNEL_PORTS,
    behind_link,
    inside_gre,
    inside_udp,
)
from .encapsulation import LINKS as MORE_LINKS
from .message import NO_TIME
from .stream import IGNORED, HalfStream, Options
from .table import HELD_BYTES, Table

RECORD_BYTES: Final = 1 << 20
"""The longest record of a pcap file; a longer one is taken for a broken file."""

BLOCK_BYTES: Final = 1 << 22
"""The longest block of a pcapng file that is read."""

_SYN = 2
_HELD_BYTES = HELD_BYTES
_RECORD_BYTES = RECORD_BYTES
_BLOCK_BYTES = BLOCK_BYTES
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_ETHERNET, _SLL, _SLL2 = 1, 113, 276
_SLOTS = 1 << 14
_MIX = 0x9E3779B97F4A7C15  # 2 ** 64 over the golden ratio, as multiplicative hashing has it
_WORDS = 8  # per place, 6 of them used: one line of the processor's cache
_COMPILED = __name__.startswith("seglab.capture.compiled")
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6
_NESTED = 8  # the deepest nesting of tunnels that is followed


class Walker:
    """Takes the packets out of the records.

    Args:
        table: the connections that they belong to.

    Attributes:
        big: whether the capture's own numbers are big-endian.
        cut_headers: of how many packets the headers were not captured whole.
        cut_segments: of how many segments of followed connections no content was captured.
        malformed: how many packets have lengths that contradict each other.
        need: how many bytes the next record has at least, so that it can be read.
        packets: how many packets there were.
        skip: how many of the next bytes belong to a block that is not read.
        udp_packets: how many packets of UDP there were.
        unknown_links: how many packets have a link type that cannot be read.
        unread_kinds: how many packets were not looked into, by EtherType, or by IP's number below
            256.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.fragments = Fragments()
        self.nobody = IGNORED
        self.ledger = table.ledger
        self.young = table.young
        self.data = b""
        self.raw = b""
        self.size = 0
        self.big = False
        self.need = 0
        self.skip = 0
        self.packets = 0
        self.unknown_links = 0
        self.malformed = 0
        self.cut_headers = 0
        self.cut_segments = 0
        self.udp_packets = 0
        self.unread_kinds: dict[int, int] = {}
        self.depth = 0
        self.interfaces: list[Interface] = []
        self.known_link = False
        self.kind = 0
        self.place = 0
        self.words = array("Q", bytes(8 * _WORDS * _SLOTS if _COMPILED else 0))
        self.halves: list[HalfStream] = [IGNORED] * (_SLOTS if _COMPILED else 0)

    # --- records --------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        """Read from these bytes from here on."""
        self.data = self.raw = data
        self.size = len(data)

    def _byte(self, at: int) -> int:
        """Return a byte. Compiled, ``raw`` is a bare pointer, and this is where its bounds are."""
        if at < 0 or at >= self.size:
            raise IndexError
        return self.raw[at]

    def _u16(self, at: int) -> int:
        """Return a number in the capture's own byte order, each byte widened before its shift."""
        if at < 0 or at > self.size - 2:
            raise IndexError
        a, b = self.raw[at], self.raw[at + 1]
        return a << 8 | b if self.big else b << 8 | a

    def _u32(self, at: int) -> int:
        if at < 0 or at > self.size - 4:
            raise IndexError
        a, b, c, d = self.raw[at], self.raw[at + 1], self.raw[at + 2], self.raw[at + 3]
        return a << 24 | b << 16 | c << 8 | d if self.big else d << 24 | c << 16 | b << 8 | a

    def _net16(self, at: int) -> int:
        """Return a number of a packet, which is big-endian."""
        if at < 0 or at > self.size - 2:
            raise IndexError
        a, b = self.raw[at], self.raw[at + 1]
        return a << 8 | b

    def _net32(self, at: int) -> int:
        if at < 0 or at > self.size - 4:
            raise IndexError
        a, b, c, d = self.raw[at], self.raw[at + 1], self.raw[at + 2], self.raw[at + 3]
        return a << 24 | b << 16 | c << 8 | d

    def _cut(self, start: int, end: int) -> bytes:
        """Return a copy of ``start:end``. Compiled, the slice itself would check no bounds."""
        if not 0 <= start <= end <= self.size:
            raise IndexError
        text = self.data
        return text[start:end]

    def pcap(self, data: bytes, at: int, interface: Interface) -> int:
        """Take all whole records from ``at`` on.

        Returns:
            Where the first record begins that is not whole; ``need`` is how long it is at least.

        Raises:
            BrokenError: a record's length cannot be.
        """
        self._read(data)
        self.young = self.table.young
        end = len(data)
        unit, link = interface.multiplier, interface.link
        self.need = 16
        while at + 16 <= end:
            captured = self._u32(at + 8)
            if captured > _RECORD_BYTES:
                raise BrokenError(f"a record claims to hold {captured} bytes")
            stop = at + 16 + captured
            if stop > end:
                self.need = 16 + captured
                break
            t_ns = self._u32(at) * 1_000_000_000 + self._u32(at + 4) * unit
            self.packets += 1
            wire = self._u32(at + 12)
            self._frame(at + 16, stop, at + 16 + max(wire, captured), link, t_ns)
            at = stop
        return at

    def pcapng(self, data: bytes, at: int) -> int:
        """Take all whole blocks of a pcapng file; returns and raises as ``pcap`` does.

        Of a packet block that is too long, the rest is left to ``skip``.
        """
        self._read(data)
        self.young = self.table.young
        end = len(data)
        self.need = 12
        while at + 12 <= end:
            kind = self._u32(at)
            if kind == _SECTION:
                self.big = data[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d"
                if not self.big and data[at + 8 : at + 12] != b"\x4d\x3c\x2b\x1a":
                    raise BrokenError("a section header has no byte-order magic")
            total = self._u32(at + 4)
            if total < 12 or total & 3:
                raise BrokenError(f"a block claims to have {total} bytes")
            if total > _BLOCK_BYTES:
                if kind in (_SECTION, _INTERFACE):
                    raise BrokenError(f"a header block claims to have {total} bytes")
                self.malformed += kind in (_ENHANCED_PACKET, _SIMPLE_PACKET, _OLD_PACKET)
                self.skip = max(0, at + total - end)
                at = min(end, at + total)
                continue
            stop = at + total
            if stop > end:
                self.need = total
                break
            if kind == _ENHANCED_PACKET:
                self._enhanced(at, stop, self._u32(at + 8) if total >= 32 else -1)
            elif kind == _INTERFACE:
                self.interfaces.append(interface_of(data[at + 8 : stop - 4], self.big))
            elif kind == _SECTION:
                self.interfaces = []
            elif kind == _SIMPLE_PACKET:
                self._simple(at, stop)
            elif kind == _OLD_PACKET:
                self._enhanced(at, stop, self._u16(at + 8) if total >= 32 else -1)
            at = stop
        return at

    def _enhanced(self, at: int, stop: int, number: int) -> None:
        if not 0 <= number < len(self.interfaces):
            self.malformed += 1
            return
        captured = self._u32(at + 20)
        if captured > stop - at - 32:
            self.malformed += 1
            return
        interface = self.interfaces[number]
        high, low = self._u32(at + 12), self._u32(at + 16)
        if interface.multiplier and high < interface.high_limit:
            t_ns = (high << 32 | low) * interface.multiplier + interface.offset_ns
        else:
            t_ns = interface.time_ns(high, low)
        wire = self._u32(at + 24)
        self._packet(at + 28, at + 28 + captured, wire, interface.link, t_ns)

    def _simple(self, at: int, stop: int) -> None:
        if stop - at < 16 or not self.interfaces:
            self.malformed += 1
            return
        interface = self.interfaces[0]
        wire = self._u32(at + 8)
        captured = min(wire, stop - at - 16)
        if interface.snaplen:
            captured = min(captured, interface.snaplen)
        self._packet(at + 12, at + 12 + captured, wire, interface.link, NO_TIME)

    # --- links ----------------------------------------------------------------------------

    def _packet(self, at: int, end: int, wire: int, link: int, t_ns: int) -> None:
        """Take the packet ``at:end``, of which ``wire`` bytes were on the wire."""
        self.packets += 1
        self._frame(at, end, at + max(wire, end - at), link, t_ns)

    def _frame(self, at: int, end: int, wire_end: int, link: int, t_ns: int) -> None:
        """Take a frame of that link type, of a record or of a tunnel."""
        if link == _ETHERNET:
            if end - at < 14:
                self.cut_headers += wire_end - at >= 14
                return
            kind = self._net16(at + 12)
            at += 14
        elif link in MORE_LINKS:
            self._unwrap(link, at, end, wire_end, t_ns)
            return
        else:
            at = self._other_link(at, end, link)
            if at < 0:
                return
            kind = self.kind
        if kind not in (0x0800, 0x86DD):
            at = self._inner(kind, at, end)
            if at < 0:
                return
            kind = self.kind
        self._ip(at, end, wire_end, t_ns)

    def _unwrap(self, link: int, at: int, end: int, wire_end: int, t_ns: int) -> None:
        """Take what stands behind a link header that is rarely met."""
        try:
            inner, at = behind_link(link, self.data, at, end, self.big)
        except IndexError:  # the header was cut
            return
        if inner in (ENCRYPTED_WIFI, AGGREGATED_WIFI):
            self._count_unread(inner)
        elif inner >= 0:
            self._nest(inner, at, end, wire_end, t_ns)

    def _nest(self, link: int, at: int, end: int, wire_end: int, t_ns: int) -> None:
        """Take a frame inside a frame."""
        if self.depth >= _NESTED:
            self.malformed += 1
        elif at < end:
            self.depth += 1
            self._frame(at, end, wire_end, link, t_ns)
            self.depth -= 1

    def _udp(self, at: int, end: int, ip_end: int, t_ns: int) -> None:
        """Take a UDP datagram: a tunnel, or nothing that is looked into."""
        if end - at >= 16 and self._net16(at + 2) in TUNNEL_PORTS:
            try:
                link, inner = inside_udp(self.data, at, end)
            except IndexError:
                link, inner = NOTHING
            if link >= 0:
                self._nest(link, inner, end, ip_end, t_ns)
                return
        self.udp_packets += 1

    def _other_link(self, at: int, end: int, link: int) -> int:  # noqa: PLR0911 - a case each
        """Return where the network layer's header begins, with its EtherType in ``kind``.

        Returns -1 where there is none that can be read.
        """
        size = end - at
        if link == _SLL:
            if size < 16:
                return -1
            self.kind = self._net16(at + 14)
            return at + 16
        if link == _SLL2:
            if size < 20:
                return -1
            self.kind = self._net16(at)
            return at + 20
        if link in (12, 14, 101, 228, 229):  # raw IP: the version is in the packet
            self.kind = 0x0800
            return at
        if link in (0, 108):  # BSD loopback: the address family, in either byte order
            if size < 4:
                return -1
            self.kind = 0x0800
            family = self._byte(at) | self._byte(at + 3)
            return at + 4 if family in (2, 10, 24, 28, 30) else -1
        if link in (9, 50):  # PPP, with or without its HDLC address and control bytes
            if size >= 2 and self._byte(at) == 0xFF and self._byte(at + 1) == 0x03:
                at += 2
            return self._ppp(at, end)
        if link == 51:
            self.kind = 0x8864
            return at
        self.unknown_links += 1
        return -1

    def _inner(self, kind: int, at: int, end: int) -> int:
        """Return the same behind VLAN tags, PPPoE, LLC or MPLS."""
        while kind in (0x8100, 0x88A8, 0x9100, 0x9200):
            if end - at < 4:
                return -1
            kind = self._net16(at + 2)
            at += 4
        if kind == 0x8864:
            return self._ppp(at + 6, end)
        if kind < 1536 and end - at >= 8 and self._byte(at) == 0xAA and self._byte(at + 1) == 0xAA:
            kind = self._net16(at + 6)  # LLC and SNAP (RFC 1042)
            at += 8
        if kind in (0x8847, 0x8848):
            return self._labelled(kind, at, end)
        self.kind = kind
        if kind in (0x0800, 0x86DD):
            return at
        self._count_unread(kind)
        return -1

    def _labelled(self, kind: int, at: int, end: int) -> int:
        """Return the same behind labels of MPLS (RFC 3032), where it looks like IP."""
        while end - at > 4:
            bottom = self._byte(at + 2) & 1
            at += 4
            if bottom:
                self.kind = 0x0800  # the version is in the packet
                if self._byte(at) >> 4 in (4, 6):
                    return at
                break
        self._count_unread(kind)
        return -1

    def _count_unread(self, kind: int) -> None:
        """Count a packet that is not looked into."""
        if kind == 17:
            self.udp_packets += 1
            return
        self.unread_kinds[kind] = self.unread_kinds.get(kind, 0) + 1

    def _ppp(self, at: int, end: int) -> int:
        if end - at < 2:
            return -1
        protocol = self._byte(at)
        at += 1
        if not protocol & 1:  # else it is compressed to one byte (RFC 1661, 6.5)
            protocol = protocol << 8 | self._byte(at)
            at += 1
        self.kind = 0x0800
        return at if protocol in (0x21, 0x57) else -1

    # --- IP -------------------------------------------------------------------------------

    def _ip(  # noqa: PLR0912 - a case for each protocol
        self, at: int, end: int, wire_end: int, t_ns: int
    ) -> None:
        if end - at < 20:
            self.cut_headers += wire_end - at >= 20
            return
        version = self._byte(at) >> 4
        if version == 4:
            header = (self._byte(at) & 15) * 4
            total = self._net16(at + 2)
            if not total:  # a segment that offload has yet to cut
                total = wire_end - at
            fragment = (self._byte(at + 6) & 0x3F) << 8 | self._byte(at + 7)
            protocol = self._byte(at + 9)
            if header < 20 or total < header:
                self.malformed += 1
            elif protocol == 6 and not fragment:
                self._tcp(at + 12, 8, at + header, min(end, at + total), at + total, t_ns)
            elif protocol == 17 and not fragment:
                self._udp(at + header, min(end, at + total), at + total, t_ns)
            elif protocol not in (6, 4, 41, 47):
                self._count_unread(protocol)
            elif not fragment:
                self._tunnel(protocol, at + header, min(end, at + total), at + total, t_ns)
            else:
                self._join(self.fragments.ipv4(self.data[at:end], header, total), t_ns)
        elif version == 6 and end - at < 40:
            self.cut_headers += wire_end - at >= 40
        elif version == 6:
            length = self._net16(at + 4)
            ip_end = at + 40 + length if length else wire_end
            if self._byte(at + 6) == 6:
                self._tcp(at + 8, 32, at + 40, min(end, ip_end), ip_end, t_ns)
            else:
                self._extended(at, self._byte(at + 6), min(end, ip_end), ip_end, t_ns)

    def _extended(self, at: int, header: int, end: int, ip_end: int, t_ns: int) -> None:
        """Take an IPv6 packet with extension headers (RFC 8200, 4)."""
        here = at + 40
        for _ in range(16):
            if header == 6:
                self._tcp(at + 8, 32, here, end, ip_end, t_ns)
                return
            if header in (4, 41, 47):
                self._tunnel(header, here, end, ip_end, t_ns)
                return
            if header == 17:
                self._udp(here, end, ip_end, t_ns)
                return
            if header not in (0, 43, 44, 51, 60, 135, 139, 140) or end - here < 8:
                self._count_unread(header)
                return
            if header == 44:
                joined = self.fragments.ipv6(self.data[at:end], here - at, ip_end - at)
                self._join(joined, t_ns)
                return
            following = self._byte(here)
            length = self._byte(here + 1)
            here += (length + 2) * 4 if header == 51 else (length + 1) * 8
            header = following
        self.malformed += 1

    def _join(self, joined: tuple[bytes, int] | None, t_ns: int) -> None:
        """Take a datagram that its last fragment has made whole."""
        if joined is None:
            return
        data = self.data
        datagram, size = joined
        self._read(datagram)
        self._ip(0, len(datagram), size, t_ns)
        self._read(data)

    def _tunnel(self, protocol: int, at: int, end: int, ip_end: int, t_ns: int) -> None:
        """Take a packet inside a packet: IP in IP (RFC 2003, 2473), or GRE (RFC 2784, 2890)."""
        if self.depth >= _NESTED:
            self.malformed += 1
            return
        if protocol == 47:
            kind = self._net16(at + 2) if end - at >= 4 else 0
            first = self._byte(at) if kind else 0
            if kind not in (0x0800, 0x86DD) or first & 0x4F or self._byte(at + 1) & 7:
                self._other_gre(at, end, ip_end, t_ns)
                return
            at += 4 + 4 * ((first >> 7) + (first >> 5 & 1) + (first >> 4 & 1))
        self.depth += 1
        self._ip(at, end, ip_end, t_ns)
        self.depth -= 1

    def _other_gre(self, at: int, end: int, ip_end: int, t_ns: int) -> None:
        """Take GRE that holds no IP, or has more in its header."""
        try:
            link, inner = inside_gre(self.data, at, end)
        except IndexError:
            link, inner = NOTHING
        if link < 0:
            self._count_unread(47)
        else:
            self._nest(link, inner, end, ip_end, t_ns)

    # --- TCP ------------------------------------------------------------------------------

    def _tcp(self, addresses: int, size: int, at: int, end: int, ip_end: int, t_ns: int) -> None:
        """Take a TCP segment: the header is at ``at``, captured until ``end``."""
        if end - at < 20:
            self.cut_headers += ip_end - at >= 20
            return
        flags = self._byte(at + 13)
        if _COMPILED and self._recall(addresses, size, at):
            half = self.halves[self.place]
            if half.ignored and half is not self.nobody:  # it was given up since then
                half = self._find(self._key(addresses, size, at))
        else:
            half = self._find(self._key(addresses, size, at))
        if half is self.nobody and not flags & _SYN:
            return
        header = (self._byte(at + 12) >> 4) * 4
        length = ip_end - at - header
        if header < 20 or length < 0:
            self.malformed += 1
            return
        seq = self._net32(at + 4)
        self.table.t_ns = t_ns
        if flags & _SYN:
            options = self._options(at + 20, end, at + header)
            key = self._key(addresses, size, at)
            self.table.syn(half, key, t_ns, seq, flags, options)
            self._bound()
            return
        ack = self._net32(at + 8)
        if length and half.peer is not None and not (half.told and half.peer.told):
            self._stamp(half, at + 20, end, at + header)
        window = self._net16(at + 14)
        payload = b""
        if length:
            if at + header < end:
                payload = self._cut(at + header, end)
            else:
                self.cut_segments += 1
        half.receive(t_ns, seq, ack, flags, window, length, payload)
        self._bound()

    def _key(self, addresses: int, size: int, at: int) -> bytes:
        """Return the addresses and ports as the key by which the table knows a half-stream."""
        if addresses + size == at:
            return self._cut(addresses, at + 4)
        return self._cut(addresses, addresses + size) + self._cut(at, at + 4)

    def _find(self, key: bytes) -> HalfStream:
        """Return the half-stream of this key, and remember it."""
        half = self.young.get(key)
        if half is None:
            half = self.table.find(key)
            self.young = self.table.young
        if _COMPILED:
            self.halves[self.place] = half
        return half

    def _bound(self) -> None:
        """Keep within the memory that may be used."""
        if self.ledger.held > _HELD_BYTES:
            self.table.limit()
        self.young = self.table.young

    def _recall(self, addresses: int, size: int, at: int) -> bool:
        """Return whether the half-stream of these addresses and ports is remembered.

        It then is ``halves[place]``; else it is to be remembered there. To make a key and look it
        up costs more than all else that is done to most packets. What is remembered counts only
        for one ``epoch`` of the table, in which no key gets another half-stream.
        """
        a, b = self._net64(addresses), 0
        c, d = self.table.epoch, self._net32(at) | size << 32
        e = f = 0
        if size == 32:
            b = self._net64(addresses + 8)
            e, f = self._net64(addresses + 16), self._net64(addresses + 24)
        mixed = (a ^ b * 3 ^ e * 5 ^ f * 7 ^ d * 17) * _MIX
        self.place = mixed >> 50
        i = self.place * _WORDS
        if (
            self.words[i] == a
            and self.words[i + 1] == b
            and self.words[i + 2] == c
            and self.words[i + 3] == d
            and self.words[i + 4] == e
            and self.words[i + 5] == f
        ):
            return True
        self.words[i], self.words[i + 1], self.words[i + 2] = a, b, c
        self.words[i + 3], self.words[i + 4], self.words[i + 5] = d, e, f
        return False

    def _net64(self, at: int) -> int:
        a, b = self._net32(at), self._net32(at + 4)
        return a << 32 | b

    def _stamp(self, half: HalfStream, at: int, captured: int, end: int) -> None:
        """Note whether segments have timestamps, where no handshake said it."""
        owner = half.owner
        if owner is not None and owner.stamped is None:
            _, stamps, _, whole = self._options(at, captured, end)
            if stamps or whole:
                owner.stamped = stamps

    def _options(self, at: int, captured: int, end: int) -> Options:
        """Return the options of a TCP header in ``at:end``, captured until ``captured``."""
        mss, stamps, shift, whole = 0, False, -1, end <= captured
        end = min(end, captured)
        while at < end and self._byte(at):
            if self._byte(at) == 1:
                at += 1
                continue
            if at + 1 >= end or self._byte(at + 1) < 2 or at + self._byte(at + 1) > end:
                break
            if self._byte(at) == 2 and self._byte(at + 1) == 4:
                mss = self._net16(at + 2)
            elif self._byte(at) == 8 and self._byte(at + 1) == 10:
                stamps = True
            elif self._byte(at) == 3 and self._byte(at + 1) == 3:
                shift = self._byte(at + 2)
            at += self._byte(at + 1)
        return mss, stamps, shift, whole
