"""Packets as values that can be changed, and every way in which a capture may hold them.

All is made by ``struct`` here and by nothing of the lab. A field that is not given follows from the
others, so that a change of one field makes a packet that contradicts itself.
"""

import bz2
import gzip
import io
import lzma
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_V4 = (b"\xc0\x00\x02\x01", b"\xc6\x33\x64\x19")
_V6 = (bytes.fromhex("20010db8" + "0" * 23 + "1"), bytes.fromhex("20010db8" + "0" * 22 + "25"))
_MACS = b"\x02\0\0\0\0\1\x02\0\0\0\0\2"
_OUTER = b"\x0a\0\0\1\x0a\0\0\2"
_SNAP = b"\xaa\xaa\3\0\0\0"


@dataclass(slots=True)
class Packet:
    """A TCP segment in an IP packet.

    Attributes:
        t_ns: when.
        way: 0 from the client, 1 from the server.
        flags: of TCP.
        seq: of TCP, as all its numbers before they are cut to 32 bits.
        ack: of TCP.
        window: of TCP.
        options: of TCP, as bytes.
        payload: what it carries.
        v6: whether over IPv6.
        ports: of the client and the server.
        lies: values for fields that else follow from the others: ``total``, ``ihl``, ``version``,
            ``fragment``, ``protocol``, ``offset``.
        kept: how many bytes of the frame were captured; all where ``None``.
    """

    t_ns: int
    way: int
    flags: int
    seq: int
    ack: int = 0
    window: int = 500
    options: bytes = b""
    payload: bytes = b""
    v6: bool = False
    ports: tuple[int, int] = (40000, 25)
    lies: dict[str, int] = field(default_factory=dict)
    kept: int | None = None

    def ip(self) -> bytes:
        """Return the packet from its IP header on."""
        lies = self.lies
        options = self.options + bytes(-len(self.options) % 4)
        offset = lies.get("offset", 5 + len(options) // 4) & 15
        tcp = struct.pack(
            ">HHIIBBHHH",
            self.ports[self.way] & 0xFFFF,
            self.ports[1 - self.way] & 0xFFFF,
            self.seq & 0xFFFFFFFF,
            self.ack & 0xFFFFFFFF,
            offset << 4,
            self.flags & 0xFF,
            self.window & 0xFFFF,
            0,
            0,
        )
        body = tcp + options + self.payload
        protocol = lies.get("protocol", 6) & 0xFF
        if self.v6:
            total = lies.get("total", len(body)) & 0xFFFF
            head = struct.pack(
                ">IHBB", lies.get("version", 6) << 28 & 0xF0000000, total, protocol, 64
            )
            return head + _V6[self.way] + _V6[1 - self.way] + body
        total = lies.get("total", 20 + len(body)) & 0xFFFF
        first = (lies.get("version", 4) & 15) << 4 | lies.get("ihl", 5) & 15
        fragment = lies.get("fragment", 0x4000) & 0xFFFF
        head = struct.pack(">BBHHHBBH", first, 0, total, 7, fragment, 64, protocol, 0)
        return head + _V4[self.way] + _V4[1 - self.way] + body


def ethertype(ip: bytes) -> bytes:
    """Return the EtherType of an IP packet."""
    return b"\x86\xdd" if ip[:1] and ip[0] >> 4 == 6 else b"\x08\0"


def ethernet(ip: bytes) -> bytes:
    """Return a packet in an Ethernet frame."""
    return _MACS + ethertype(ip) + ip


def _around_ip(protocol: int, body: bytes) -> bytes:
    total = (20 + len(body)) & 0xFFFF
    return struct.pack(">BBHHHBBH", 0x45, 0, total, 9, 0, 64, protocol, 0) + _OUTER + body


def _udp(port: int, body: bytes) -> bytes:
    head = struct.pack(">HHHH", 50000, port, (8 + len(body)) & 0xFFFF, 0)
    return _around_ip(17, head + body)


def _ppp(ip: bytes) -> bytes:
    return b"\0\x57" if ethertype(ip) == b"\x86\xdd" else b"\0\x21"


def _wifi(ip: bytes) -> bytes:
    return b"\x08\1" + bytes(22) + _SNAP + ethertype(ip) + ip


def _tagged(random: Random, ip: bytes) -> bytes:
    """Return an Ethernet frame, perhaps with VLAN tags, PPPoE, MPLS or SNAP."""
    how, kind = random.randrange(8), ethertype(ip)
    if how == 0:
        return _MACS + b"\x81\0\0\7" + kind + ip
    if how == 1:
        return _MACS + b"\x88\xa8\0\7\x81\0\0\x08" + kind + ip
    if how == 2:
        size = struct.pack(">H", 2 + len(ip) & 0xFFFF)
        return _MACS + b"\x88\x64\x11\0\0\1" + size + _ppp(ip) + ip
    if how == 3:
        return _MACS + b"\x88\x47\0\1\1\7" + ip
    if how == 4:
        return _MACS + struct.pack(">H", min(1500, 8 + len(ip))) + _SNAP + kind + ip
    return _MACS + kind + ip


TUNNELS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "ip": lambda p: _around_ip(41 if ethertype(p) == b"\x86\xdd" else 4, p),
    "gre": lambda p: _around_ip(47, b"\0\0" + ethertype(p) + p),
    "gre-key": lambda p: _around_ip(47, b"\xb0\0" + ethertype(p) + bytes(12) + p),
    "gre-ethernet": lambda p: _around_ip(47, b"\0\0\x65\x58" + ethernet(p)),
    "erspan-2": lambda p: _around_ip(
        47, b"\x10\0\x88\xbe\0\0\0\1" + b"\x10\7" + bytes(6) + ethernet(p)
    ),
    "erspan-3": lambda p: _around_ip(
        47, b"\x10\0\x22\xeb\0\0\0\1" + b"\x20\7" + bytes(10) + ethernet(p)
    ),
    "pptp": lambda p: _around_ip(47, b"\x30\x81\x88\x0b" + bytes(12) + b"\xff\3" + _ppp(p) + p),
    "vxlan": lambda p: _udp(4789, b"\x08" + bytes(7) + ethernet(p)),
    "vxlan-gpe": lambda p: _udp(
        4790, b"\x0c\0\0" + (b"\2" if ethertype(p) == b"\x86\xdd" else b"\1") + bytes(4) + p
    ),
    "geneve": lambda p: _udp(6081, b"\2\0\x65\x58" + bytes(12) + ethernet(p)),
    "tzsp": lambda p: _udp(37008, b"\1\0\0\1\x0a\1\5\0\1" + ethernet(p)),
    "gtp": lambda p: _udp(2152, b"\x34\xff" + bytes(9) + b"\x85\1\0\t\0" + p),
}
"""From an IP packet to an IP packet that holds it."""

LINKS: Final[dict[int, Callable[[Random, bytes], bytes]]] = {
    1: _tagged,
    101: lambda _, p: p,
    228: lambda _, p: p,
    0: lambda _, p: (b"\2\0\0\0" if ethertype(p) == b"\x08\0" else b"\x0a\0\0\0") + p,
    108: lambda _, p: (b"\0\0\0\2" if ethertype(p) == b"\x08\0" else b"\0\0\0\x0a") + p,
    113: lambda _, p: bytes(14) + ethertype(p) + p,
    276: lambda _, p: ethertype(p) + bytes(18) + p,
    9: lambda r, p: r.choice((b"", b"\xff\3")) + _ppp(p) + p,
    50: lambda _, p: b"\xff\3" + _ppp(p) + p,
    51: lambda _, p: b"\x11\0\0\1\0\0" + _ppp(p) + p,
    105: lambda _, p: _wifi(p),
    127: lambda _, p: b"\0\0\x08\0\0\0\0\0" + _wifi(p),
    119: lambda _, p: struct.pack("<II", 0x44, 144) + bytes(136) + _wifi(p),
    163: lambda _, p: struct.pack(">II", 0x80211001, 64) + bytes(56) + _wifi(p),
    192: lambda _, p: struct.pack("<BBHI", 0, 0, 8, 105) + _wifi(p),
    239: lambda _, p: b"\2\0\0\5" + struct.pack("<HHBxxxHH", 5, 10, 0, 4 + len(p) & 0xFFFF, 9) + p,
    258: lambda _, p: struct.pack("<III", 156, 1, 1) + bytes(144) + ethernet(p),
    166: lambda _, p: b"\0\xff\3" + _ppp(p) + p,
    204: lambda _, p: b"\1" + _ppp(p) + p,
    104: lambda _, p: b"\x0f\0" + ethertype(p) + p,
    109: lambda _, p: struct.pack("<III", 2, 7, 0) + p,
    117: lambda _, p: bytes([61, 2]) + bytes(62) + p,
}
"""From an IP packet to a frame, by the link type's number."""


# --- files --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as a capture holds it: when, its bytes, and how many of them were kept."""

    t_ns: int
    data: bytes
    kept: int


def pcap(frames: list[Frame], link: int, *, order: str = "<", nanoseconds: bool = True) -> bytes:
    """Return a pcap file."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    for frame in frames:
        s, ns = divmod(frame.t_ns, 10**9)
        unit = ns if nanoseconds else ns // 1000
        head = (s & 0xFFFFFFFF, unit, frame.kept, len(frame.data))
        out.append(struct.pack(order + "IIII", *head) + frame.data[: frame.kept])
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<", size: int | None = None) -> bytes:
    """Return a block of pcapng; ``size`` is a length that lies."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", (len(body) + 12 if size is None else size) & 0xFFFFFFFF)
    return struct.pack(order + "I", kind) + length + body + length


def pcapng(random: Random, frames: list[Frame], link: int, order: str = "<") -> list[bytes]:
    """Return the blocks of a pcapng file, with one interface or several and options."""
    resolution = random.choice((6, 9, 3))
    interface = struct.pack(order + "HHI", link, 0, 0)
    interface += struct.pack(order + "HHB3x", 9, 1, resolution)
    if random.random() < 0.2:
        interface += struct.pack(order + "HHq", 14, 8, random.choice((0, 3600, -5)))
    interfaces = random.choice((1, 1, 2))
    blocks = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)]
    blocks += [block(1, interface, order)] * interfaces
    for frame in frames:
        t = frame.t_ns * 10**resolution // 10**9
        head = (t >> 32 & 0xFFFFFFFF, t & 0xFFFFFFFF, frame.kept, len(frame.data))
        data = frame.data[: frame.kept]
        data += bytes(-len(data) % 4)
        if random.random() < 0.1:
            data += struct.pack(order + "HHI", 2, 4, 1) + struct.pack(order + "HH", 0, 0)
        number = random.randrange(interfaces)
        blocks.append(block(6, struct.pack(order + "IIIII", number, *head) + data, order))
        if random.random() < 0.05:
            blocks.append(block(random.choice((4, 5, 0xBAD)), random.randbytes(16), order))
    return blocks


def _zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mail.pcap"), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


PACKINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "xz": lambda data: lzma.compress(data, preset=0),
    "bzip2": lambda data: bz2.compress(data, 1),
    "zip": _zip,
}
"""What a capture may be packed in."""
