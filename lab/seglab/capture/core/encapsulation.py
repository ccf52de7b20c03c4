"""Finds the frame inside tunnels, and behind link headers that are rarely met.

Each function takes bytes and the range ``at:end`` of a header, and returns what stands behind it as
a link type of the registry of tcpdump.org, and where that begins. ``NOTHING`` means that there is
nothing that can be read. No length is believed: all slices are held against ``end`` first.

``walk`` takes the common headers itself, since it does so for each packet.
"""

from typing import Final

ETHERNET, RAW_IP, PPP, WIFI = 1, 101, 9, 105
NOTHING: Final = (-1, 0)

LINKS: Final = frozenset((104, 105, 109, 117, 119, 127, 149, 163, 166, 192, 204, 239, 258))
"""The link types that ``behind_link`` knows."""

TUNNEL_PORTS: Final = frozenset((4789, 4790, 6081, 6635, 8472, 37008, 2152))
"""The UDP ports of tunnels that ``inside_udp`` knows."""

ENCRYPTED_WIFI: Final = -2
"""In place of a link type: a frame of 802.11 that is encrypted."""

AGGREGATED_WIFI: Final = -3
"""In place of a link type: a frame of 802.11 that holds several packets."""

_IP_OF_ETHERTYPE = frozenset((0x0800, 0x86DD))
_MPLS = frozenset((0x8847, 0x8848))
_TRANSPARENT_ETHERNET, _PPP_IN_GRE = 0x6558, 0x880B
_ERSPAN_2, _ERSPAN_3 = 0x88BE, 0x22EB


def _u16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _by_ethertype(kind: int, data: bytes, at: int, end: int) -> tuple[int, int]:
    while kind in _MPLS and end - at > 4:  # labels (RFC 3032)
        at += 4
        if data[at - 2] & 1:
            return (RAW_IP, at) if data[at] >> 4 in (4, 6) else NOTHING
    if kind in _IP_OF_ETHERTYPE:
        return RAW_IP, at
    return (ETHERNET, at) if kind == _TRANSPARENT_ETHERNET else NOTHING


# --- tunnels ----------------------------------------------------------------------------------


def inside_udp(data: bytes, at: int, end: int) -> tuple[int, int]:  # noqa: PLR0911 - a case each
    """Return the frame in a UDP datagram, whose header begins at ``at``."""
    if end - at < 16:
        return NOTHING
    port = _u16(data, at + 2)
    at += 8
    if port in (4789, 8472):  # VXLAN (RFC 7348)
        return (ETHERNET, at + 8) if data[at] & 0x08 else NOTHING
    if port == 4790:  # VXLAN-GPE
        kinds = {1: RAW_IP, 2: RAW_IP, 3: ETHERNET}
        kind = kinds.get(data[at + 3], -1) if data[at] & 0x04 else ETHERNET
        return (kind, at + 8) if kind >= 0 and data[at] & 0x08 else NOTHING
    if port == 6081:  # Geneve (RFC 8926)
        if data[at] >> 6:
            return NOTHING
        return _by_ethertype(_u16(data, at + 2), data, at + 8 + (data[at] & 0x3F) * 4, end)
    if port == 6635:  # MPLS in UDP (RFC 7510)
        return _by_ethertype(0x8847, data, at, end)
    if port == 37008:
        return _tzsp(data, at, end)
    return _gtp(data, at, end) if port == 2152 else NOTHING


def _tzsp(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the frame in TZSP, which access points and routers mirror by."""
    link = {1: ETHERNET, 18: WIFI, 119: 119, 127: 163}.get(_u16(data, at + 2), -1)
    if data[at] != 1 or data[at + 1] > 1 or link < 0:
        return NOTHING
    at += 4
    while at < end:
        tag = data[at]
        if tag == 1:
            return link, at + 1
        at += 1 if not tag else 2 + (data[at + 1] if at + 1 < end else end)
    return NOTHING


def _gtp(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the packet in GTP-U, version 1 (3GPP TS 29.281)."""
    flags = data[at]
    if flags >> 5 != 1 or data[at + 1] != 0xFF:
        return NOTHING
    at += 8
    if flags & 7:
        more = data[at + 3] if at + 3 < end and flags & 4 else 0
        at += 4
        while more and at < end and data[at]:
            size = data[at] * 4
            more = data[at + size - 1] if at + size <= end else 0
            at += size
    return (RAW_IP, at) if at < end else NOTHING


def inside_gre(data: bytes, at: int, end: int) -> tuple[int, int]:  # noqa: PLR0911 - a case each
    """Return the frame in GRE (RFC 2784, 2890), ERSPAN or PPTP (RFC 2637)."""
    if end - at < 8:
        return NOTHING
    flags, version, kind = data[at], data[at + 1] & 7, _u16(data, at + 2)
    if version == 1:  # PPTP: with a key, perhaps a number and an acknowledgement
        if kind != _PPP_IN_GRE or not flags & 0x20:
            return NOTHING
        return PPP, at + 8 + 4 * (flags >> 4 & 1) + 4 * (data[at + 1] >> 7)
    if version or flags & 0x40:  # a source route
        return NOTHING
    at += 4 + 4 * ((flags >> 7) + (flags >> 5 & 1) + (flags >> 4 & 1))
    if kind == _ERSPAN_2:  # without a sequence number it is type I, which has no header
        return ETHERNET, at + (8 if flags & 0x10 else 0)
    if kind == _ERSPAN_3:
        if end - at < 12:
            return NOTHING
        return ETHERNET, at + (20 if data[at + 11] & 1 else 12)
    return _by_ethertype(kind, data, at, end)


# --- links ------------------------------------------------------------------------------------


def behind_link(  # noqa: PLR0911 - a case each
    link: int, data: bytes, at: int, end: int, big: bool
) -> tuple[int, int]:
    """Return what stands behind the header of one of ``LINKS``.

    Args:
        link: its number.
        data: the bytes.
        at: where the header begins.
        end: where the captured bytes end.
        big: whether the capture's own numbers are big-endian.
    """
    if end - at < 8:
        return NOTHING
    if link in (105, 119, 127, 163, 192):
        return _wifi(link, data, at, end)
    if link == 239:
        return _nflog(data, at, end, big)
    if link in (149, 258):
        return _pktap(data, at, end)
    if link in (166, 204):  # PPP with a direction before it
        return PPP, at + 1
    if link == 104:  # Cisco HDLC
        return (RAW_IP, at + 4) if _u16(data, at + 2) in _IP_OF_ETHERTYPE else NOTHING
    if link == 109:  # OpenBSD's enc: family, SPI, flags
        return RAW_IP, at + 12
    return RAW_IP, at + (data[at] + 3 & ~3)  # 117, pflog: its length comes first


def _nflog(data: bytes, at: int, end: int, big: bool) -> tuple[int, int]:
    """Return the packet among the attributes of Linux's NFLOG."""
    at += 4
    while at + 4 <= end:
        size = _u16(data, at) if big else _little(data, at, 2)
        kind = (_u16(data, at + 2) if big else _little(data, at + 2, 2)) & 0x7FFF
        if kind == 9:
            return RAW_IP, at + 4
        if size < 4:
            break
        at += size + 3 & ~3
    return NOTHING


def _pktap(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the frame behind the header of macOS's pktap, which is little-endian."""
    size, link = _little(data, at, 4), _little(data, at + 8, 4)
    if end - at < 12 or not 12 <= size <= end - at or link in (149, 258):
        return NOTHING
    return (RAW_IP if link == 12 else link), at + size


def _wifi(link: int, data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the packet in a frame of 802.11, with or without a radio's header before it."""
    padded = False
    if link in (127, 192):  # radiotap; PPI has its length at the same place
        if link == 127:
            padded = _radiotap_pads(data, at, end)
        at += _little(data, at + 2, 2)
    elif link in (119, 163):  # Prism is little-endian, AVS big-endian; the length follows the magic
        magic = int.from_bytes(data[at : at + 4], "big")
        avs = magic >> 12 == 0x80211
        at += int.from_bytes(data[at + 4 : at + 8], "big" if avs else "little")
    if at + 26 > end or data[at] & 0x0F != 0x08 or data[at] & 0x40:
        return NOTHING  # no data frame, or one without data
    flags = data[at + 1]
    if flags & 0x40:
        return ENCRYPTED_WIFI, at
    size = 30 if flags & 3 == 3 else 24
    quality = at + size
    if data[at] & 0x80:
        size += 2 + (4 if flags & 0x80 else 0)
        if quality < end and data[quality] & 0x80:
            return AGGREGATED_WIFI, at
    at += size + 3 & ~3 if padded else size
    if data[at : at + 3] != b"\xaa\xaa\x03" or at + 8 > end:
        return NOTHING
    return (RAW_IP, at + 8) if _u16(data, at + 6) in _IP_OF_ETHERTYPE else NOTHING


def _radiotap_pads(data: bytes, at: int, end: int) -> bool:
    """Return whether radiotap says that the header of 802.11 is padded to four bytes."""
    present = _little(data, at + 4, 4)
    here, more = at + 8, present
    while more >> 31 and here + 4 <= end:
        more = _little(data, here, 4)
        here += 4
    if present & 1:  # the time, aligned to eight bytes
        here = at + (here - at + 7 & ~7) + 8
    return bool(present & 2) and here < end and bool(data[here] & 0x20)
