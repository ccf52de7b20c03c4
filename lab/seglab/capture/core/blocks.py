"""The headers of captures: a pcap file's own, and a pcapng interface's."""

import struct
from typing import Final

from seglab.capture.core.encapsulation import LINKS as MORE_LINKS

LINKS: Final = MORE_LINKS | {0, 1, 9, 12, 14, 50, 51, 101, 108, 113, 228, 229, 276}
"""The link types that can be read, by their numbers in the registry of tcpdump.org."""

LINK_NAMES: Final = {
    6: "token ring", 7: "ARCNET", 8: "SLIP", 10: "FDDI", 19: "ATM", 100: "ATM", 106: "ATM",
    107: "Frame Relay", 120: "Aironet", 122: "IP over Fibre Channel", 129: "ARCNET",
    138: "IP over FireWire", 143: "DOCSIS", 147: "a private link type", 177: "LAPD",
    187: "Bluetooth", 189: "USB", 195: "IEEE 802.15.4", 197: "ERF", 201: "Bluetooth",
    215: "IEEE 802.15.4", 220: "USB", 227: "CAN", 230: "IEEE 802.15.4", 243: "MPEG-2",
    247: "InfiniBand", 249: "USB", 251: "Bluetooth LE", 252: "exported packet contents",
    253: "Netlink", 254: "Bluetooth", 266: "USB", 288: "Z-Wave",
}  # fmt: skip
"""Names of link types that cannot be read."""

PCAP_HEADER_BYTES: Final = 24
MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": (False, 1000),
    b"\xa1\xb2\xc3\xd4": (True, 1000),
    b"\x4d\x3c\xb2\xa1": (False, 1),
    b"\xa1\xb2\x3c\x4d": (True, 1),
}
"""The magics of pcap: whether its numbers are big-endian, and the nanoseconds of its time unit."""

SECTION_MAGIC: Final = b"\x0a\x0d\x0d\x0a"

_IF_TSRESOL, _IF_TSOFFSET = 9, 14
_OPTIONS = 64
_NS_PER_S = 10**9
_TIME_MAX = (1 << 63) - 1
_OFFSET_MAX_S = 1 << 32


class BrokenError(Exception):
    """A capture from which nothing more can be read; the message says why."""


class Interface:
    """What the packets of one interface have in common.

    Attributes:
        link: its link type.
        snaplen: how many bytes of a packet are captured; 0 for all.
        multiplier: the nanoseconds of its time unit; 0 where that is no whole number.
        offset_ns: what to add to each of its times.
        high_limit: a time whose upper 32 bits reach it may not fit into 64 bits of nanoseconds.
        resolution: its time units in a second.
    """

    __slots__ = ("high_limit", "link", "multiplier", "offset_ns", "resolution", "snaplen")

    def __init__(self, link: int, snaplen: int, resolution: int, offset_s: int = 0) -> None:
        self.link = link
        self.snaplen = snaplen
        self.resolution = resolution
        self.offset_ns = offset_s * _NS_PER_S
        whole = resolution <= _NS_PER_S and _NS_PER_S % resolution == 0
        self.multiplier = _NS_PER_S // resolution if whole else 0
        self.high_limit = (1 << 30) // self.multiplier if whole else 0

    def time_ns(self, high: int, low: int) -> int:
        """Return a packet's time in nanoseconds, cut to what 64 bits hold."""
        t_ns = (high << 32 | low) * _NS_PER_S // self.resolution + self.offset_ns
        return max(-_TIME_MAX, min(t_ns, _TIME_MAX))


def interface_of(body: bytes, big: bool) -> Interface:
    """Return the interface that the body of an Interface Description Block describes.

    Raises:
        BrokenError: the body is too short.
    """
    order = ">" if big else "<"
    if len(body) < 8:
        raise BrokenError("an interface description is too short")
    link, _, snaplen = struct.unpack_from(order + "HHI", body)
    resolution, offset_s, at = 10**6, 0, 8
    for _ in range(_OPTIONS):
        if at + 4 > len(body):
            break
        code, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if not code or len(value) < length:
            break
        if code == _IF_TSRESOL and length:
            resolution = 2 ** (value[0] & 127) if value[0] & 128 else 10 ** value[0]
        elif code == _IF_TSOFFSET and length == 8:
            (offset_s,) = struct.unpack(order + "q", value)
            if abs(offset_s) > _OFFSET_MAX_S:
                offset_s = 0
        at += 4 + (length + 3 & ~3)
    return Interface(link, snaplen, resolution, offset_s)


def pcap_interface(header: bytes) -> tuple[bool, Interface]:
    """Return of a pcap file's header of 24 bytes: whether it is big-endian, and the interface."""
    big, multiplier = MAGICS[header[:4]]
    snaplen, link = struct.unpack((">" if big else "<") + "II", header[16:24])
    return big, Interface(link & 0xFFFF, snaplen, _NS_PER_S // multiplier)
