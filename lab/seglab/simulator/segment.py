"""A TCP segment as it travels: counts and flags, no bytes."""

from typing import Final

NO_STAMP: Final = -1
"""The clock in a timestamp option that is not there."""


class TcpSegment:
    """One segment.

    Offsets count the bytes of the stream of the segment's own direction. The first byte after the
    SYN has the offset 0. A FIN counts as one byte behind the last one, as in a sequence number.

    Attributes:
        start: the offset of its first byte.
        end: the offset after its last byte; equal to ``start`` where it carries none.
        ack: the offset, in the other direction, up to which the sender has everything. It includes
            the other side's FIN. On a first SYN it is -1 and means nothing.
        window: how many bytes from ``ack`` on the sender can take. It is scaled already.
        syn: whether SYN is set.
        fin: whether FIN is set.
        psh: whether PSH is set.
        ts_val: the sender's clock in the timestamp option, in milliseconds; ``NO_STAMP`` without
            it.
        ts_ecr: the echoed clock in the timestamp option; ``NO_STAMP`` without it.
        sack: the ranges ``(start, end)`` of the SACK option.
        retransmission: whether these bytes had been sent before.
        mss_option: the MSS option of a SYN.
        wscale_option: the window scale option of a SYN.
        sack_option: whether a SYN permits selective acknowledgements.
    """

    __slots__ = (
        "ack",
        "end",
        "fin",
        "mss_option",
        "psh",
        "retransmission",
        "sack",
        "sack_option",
        "start",
        "syn",
        "ts_ecr",
        "ts_val",
        "window",
        "wscale_option",
    )

    def __init__(
        self,
        start: int,
        end: int,
        ack: int,
        window: int,
        syn: bool = False,
        fin: bool = False,
        psh: bool = False,
        ts_val: int = NO_STAMP,
        ts_ecr: int = NO_STAMP,
        sack: tuple[tuple[int, int], ...] = (),
        retransmission: bool = False,
        mss_option: int | None = None,
        wscale_option: int | None = None,
        sack_option: bool = False,
    ) -> None:
        self.start = start
        self.end = end
        self.ack = ack
        self.window = window
        self.syn = syn
        self.fin = fin
        self.psh = psh
        self.ts_val = ts_val
        self.ts_ecr = ts_ecr
        self.sack = sack
        self.retransmission = retransmission
        self.mss_option = mss_option
        self.wscale_option = wscale_option
        self.sack_option = sack_option

    @property
    def size(self) -> int:
        """The payload bytes."""
        return self.end - self.start

    def with_mss(self, most: int) -> "TcpSegment":
        """Return a SYN like this one whose MSS option says ``most``."""
        return TcpSegment(
            self.start, self.end, self.ack, self.window, self.syn, self.fin, self.psh,
            self.ts_val, self.ts_ecr, self.sack, self.retransmission,
            most, self.wscale_option, self.sack_option,
        )  # fmt: skip

    def __repr__(self) -> str:
        """Return the segment as tcpdump and packetdrill write it."""
        flags = "S" * self.syn + "F" * self.fin + "P" * self.psh + "."
        sack = "".join(f" sack {low}:{high}" for low, high in self.sack)
        again = " again" * self.retransmission
        ack = f" ack {self.ack}" if self.ack >= 0 else ""
        return f"{flags} {self.start}:{self.end}({self.size}){ack} win {self.window}{sack}{again}"
