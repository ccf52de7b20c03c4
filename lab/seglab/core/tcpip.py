"""Lengths of the headers of Ethernet, IP and TCP, and how much payload a full segment holds.

Two numbers are both called MSS, and they differ where TCP timestamps are on:

- The *announced* MSS is what a SYN's MSS option says. It is the MTU less the IP header and the TCP
  header, both without options (RFC 9293, 3.7.1; RFC 6691, 2).
- A *full segment* holds the announced MSS less the TCP options that it carries (RFC 6691, 3). The
  only option of the lab's data segments is timestamps. ``mss`` of networks, records and
  observations is this number.
"""

from typing import Final

ETHERNET_HEADER_BYTES: Final = 14
"""What a frame has before its IP packet: two addresses and the EtherType (IEEE 802.3)."""

IPV4_HEADER_BYTES: Final = 20
"""An IPv4 header without options (RFC 791, 3.1)."""

IPV6_HEADER_BYTES: Final = 40
"""An IPv6 header without extension headers (RFC 8200, 3)."""

TCP_HEADER_BYTES: Final = 20
"""A TCP header without options (RFC 9293, 3.1)."""

TIMESTAMPS_BYTES: Final = 12
"""What timestamps take of each segment: an option of 10 bytes and its padding.

RFC 7323, 3.2, has the option, and its appendix A the padding.
"""

MTU_MIN_BYTES: Final = 68
"""The smallest MTU of IPv4: every module must forward a datagram of 68 bytes (RFC 791, 3.2)."""

MTU_MAX_BYTES: Final = 65_535
"""The largest MTU: the total length of an IPv4 packet has 16 bits (RFC 791, 3.1)."""

IPV6_MTU_MIN_BYTES: Final = 1280
"""The smallest MTU of IPv6: every link must carry 1280 bytes (RFC 8200, 5)."""

MSS_DEFAULT_BYTES: Final = 536
"""The announced MSS of a host whose SYN has no MSS option, over IPv4 (RFC 9293, 3.7.1)."""

MSS_DEFAULT_IPV6_BYTES: Final = 1220
"""The announced MSS of a host whose SYN has no MSS option, over IPv6 (RFC 9293, 3.7.1)."""

IP_VERSIONS: Final = (4, 6)

_IP_HEADER_BYTES: Final = {4: IPV4_HEADER_BYTES, 6: IPV6_HEADER_BYTES}


def headers_bytes(*, ip_version: int = 4, timestamps: bool = False) -> int:
    """The bytes of a packet with data that are not payload: IP header, TCP header, timestamps.

    Args:
        ip_version: 4 or 6; any other raises ``KeyError``.
        timestamps: whether the segments carry TCP timestamps.
    """
    return _IP_HEADER_BYTES[ip_version] + TCP_HEADER_BYTES + TIMESTAMPS_BYTES * timestamps


def full_segment(mtu: int, *, ip_version: int = 4, timestamps: bool = False) -> int:
    """The payload bytes of a full segment at an MTU; 0 or less where not even the headers fit."""
    return mtu - headers_bytes(ip_version=ip_version, timestamps=timestamps)


def full_segment_of_mss(announced: int, *, timestamps: bool) -> int:
    """The payload bytes of a full segment where the lower announced MSS is ``announced``."""
    return announced - TIMESTAMPS_BYTES * timestamps


def full_segments(mtu: int, *, timestamps: bool) -> tuple[int, ...]:
    """The payload bytes of a full segment at an MTU over IPv4, and over IPv6."""
    return tuple(full_segment(mtu, ip_version=v, timestamps=timestamps) for v in IP_VERSIONS)
