"""A packet on its way between the two hosts of a session."""

from collections.abc import Sequence
from typing import Final

from seglab.core.tcpip import TIMESTAMPS_BYTES
from seglab.simulator.segment import NO_STAMP, TcpSegment

UP: Final = 0
"""From the client to the server."""
DOWN: Final = 1
"""From the server to the client."""

_SACK_HEADER_BYTES = 4  # two NOPs, kind and length
_SACK_BLOCK_BYTES = 8
_MSS_BYTES, _WSCALE_BYTES, _SACK_PERMITTED_BYTES = 4, 4, 4


class Carried:
    """A packet on its way, and what became of it.

    Attributes:
        direction: ``UP`` or ``DOWN``.
        is_data: whether it is a segment with payload.
        segment: what it carries; ``None`` for a router's message about an MTU.
        size: of its frame in bytes, with the Ethernet header.
        sent_ns: when it entered the first link.
        left_ns: when the router forwarded it, or lost it; -1 as long as it has not.
        arrived_ns: when it reached the other host for the first time; -1 as long as it has not.
        copies_ns: when its copies did.
        fate: why it was lost, in the words of ``seglab.frames.packets``; ``None`` where it was not.
        delivered: the segment that arrived: another one than ``segment`` where a router lowered
            its MSS.
        mtu: what a router's message says; 0 for a segment.
        about: the packet that a router's message is about.
    """

    __slots__ = (
        "about",
        "arrived_ns",
        "copies_ns",
        "delivered",
        "direction",
        "fate",
        "is_data",
        "left_ns",
        "mtu",
        "segment",
        "sent_ns",
        "size",
    )

    def __init__(self, direction: int, segment: TcpSegment | None, size: int, sent_ns: int) -> None:
        self.direction = direction
        self.segment = segment
        self.delivered = segment
        self.is_data: bool = segment is not None and segment.end > segment.start
        self.size = size
        self.sent_ns = sent_ns
        self.left_ns = -1
        self.arrived_ns = -1
        self.copies_ns: tuple[int, ...] = ()
        self.fate: str | None = None
        self.mtu = 0
        self.about: Carried | None = None

    @property
    def arrivals_ns(self) -> tuple[int, ...]:
        """When it, and its copies, reached the other host."""
        return () if self.arrived_ns < 0 else (self.arrived_ns, *self.copies_ns)


class Outlet:
    """Where the segments of a host go."""

    __slots__ = ()

    def send(self, now_ns: int, direction: int, segments: Sequence[TcpSegment]) -> None:
        """Let segments leave their host, in order.

        Args:
            now_ns: the time.
            direction: ``UP`` or ``DOWN``.
            segments: what leaves.
        """
        raise NotImplementedError


def options_bytes(segment: TcpSegment) -> int:
    """Return the length of a segment's TCP options, as ``tcp_options_write`` lays them out."""
    size = TIMESTAMPS_BYTES if segment.ts_val != NO_STAMP else 0
    if segment.syn:
        if segment.mss_option is not None:
            size += _MSS_BYTES
        if segment.wscale_option is not None:
            size += _WSCALE_BYTES
        if segment.sack_option and segment.ts_val == NO_STAMP:
            size += _SACK_PERMITTED_BYTES  # otherwise it takes the place of the timestamps' padding
    elif segment.sack:
        size += _SACK_HEADER_BYTES + _SACK_BLOCK_BYTES * len(segment.sack)
    return size
