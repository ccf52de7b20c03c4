"""Whose TCP a client has: Linux's, or one of the stacks that the paper's bots lived on.

Linux's is held to the kernel. **The others are unchecked**: they are written from documents, and
nothing here was compared with such a system. Whatever shows their segments says so
(``Personality.checked``, ``Personality.label``).

What the other stacks have in common: their congestion window counts bytes, so it may end inside a
write; Nagle's algorithm is RFC 896's, which waits for any unacknowledged data; and they delay an
acknowledgement by a fixed time, or until a second segment comes. The rest is Linux's here as well:
round trips, timeouts, loss recovery, how the congestion window grows, the path's MTU.

A personality is data. The simulator's TCP (``seglab.simulator``) follows it.
"""

from dataclasses import dataclass
from typing import Final

_RFC_3390_BYTES: Final = 4380


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """How a stack differs from Linux's.

    Attributes:
        name: what networks call it.
        checked: whether it was compared with a real system.
        source: the documents that its rules come from.
        timestamps: whether it offers timestamps; ``None`` leaves it to the network. So do all
            other fields.
        sack: whether it offers selective acknowledgements.
        wscale: whether it offers window scaling.
        initcwnd: its initial congestion window in segments.
        rfc3390: whether that window follows from the MSS instead, by RFC 3390.
        receive_buffer_bytes: its receive buffer; half of that is the window.
        rfc896: whether Nagle's algorithm waits for any data, not for small segments alone.
        counts_bytes: whether its congestion window counts bytes.
        whole_segments: whether a segment is sent only if all of it fits into the window. Otherwise
            a part may leave, by the rules of RFC 9293, 3.8.6.2.1.
        delayed_ack_ms: how long it delays an acknowledgement.
    """

    name: str
    checked: bool
    source: str
    timestamps: bool | None = None
    sack: bool | None = None
    wscale: bool | None = None
    initcwnd: int | None = None
    rfc3390: bool = False
    receive_buffer_bytes: int | None = None
    rfc896: bool = False
    counts_bytes: bool = False
    whole_segments: bool = False
    delayed_ack_ms: int | None = None

    def initial_window(self, mss: int) -> int | None:
        """Return the whole segments of its initial window; ``None`` leaves it to the network.

        RFC 3390, 1 has ``min(4 * MSS, max(2 * MSS, 4380))`` bytes.

        Args:
            mss: the payload bytes of a full segment, 1 or more.
        """
        return min(4, max(2, _RFC_3390_BYTES // mss)) if self.rfc3390 else self.initcwnd

    @property
    def label(self) -> str:
        """Its name, and ``, unchecked`` where nobody compared it with a real system."""
        return self.name if self.checked else f"{self.name}, unchecked"


LINUX: Final = Personality(name="linux", checked=True, source="Linux 6.18, measured")

PERSONALITIES: Final = {
    one.name: one
    for one in (
        LINUX,
        Personality(
            name="windows",
            checked=False,
            source=(
                "Windows XP and Server 2003. KB224829: no timestamps and no window scaling "
                "unless the other side asks (Tcp1323Opts), SACK (SackOpts), a receive window of "
                "16384 bytes rounded up to 12 segments. KB214397: RFC 896's Nagle, and "
                "acknowledgements delayed by 200 ms (TcpDelAckTicks). RFC 2581, 3.1: an initial "
                "window of two segments, and a congestion window that counts bytes"
            ),
            timestamps=False,
            sack=True,
            wscale=False,
            initcwnd=2,
            receive_buffer_bytes=2 * 12 * 1460,
            rfc896=True,
            counts_bytes=True,
            delayed_ack_ms=200,
        ),
        Personality(
            name="lwip",
            checked=False,
            source=(
                "lwIP 2.1. opt.h: TCP_WND is 4 * TCP_MSS; LWIP_TCP_TIMESTAMPS, LWIP_TCP_SACK_OUT "
                "and LWIP_WND_SCALE are 0. tcp_priv.h: tcp_do_output_nagle, TCP_TMR_INTERVAL of "
                "250 ms. tcp_out.c: only whole segments leave. tcp_in.c: its initial window "
                "is that of RFC 3390"
            ),
            timestamps=False,
            sack=False,
            wscale=False,
            rfc3390=True,
            receive_buffer_bytes=8 * 536,
            rfc896=True,
            counts_bytes=True,
            whole_segments=True,
            delayed_ack_ms=250,
        ),
    )
}
"""All personalities by name."""
