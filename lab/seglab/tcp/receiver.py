"""When Linux acknowledges what it received: a model of its delayed acknowledgements."""

from typing import Final

_RCV_MSS: Final = 536  # tcp_initialize_rcv_mss: TCP_MSS_DEFAULT
_ATO_NS: Final = 42_000_000  # TCP_ATO_MIN, 40 ms, and half a tick of 4 ms until the timer fires
_QUICK: Final = 16  # TCP_MAX_QUICKACKS


class Receiver:
    """The peer, which takes everything in order and reads it at once.

    It acknowledges as soon as more than one full segment is due (``__tcp_ack_snd_check``), when
    its program has read the second short segment (``tcp_cleanup_rbuf``), or after some 40 ms.
    """

    def __init__(self, mss: int, *, pingpong: bool) -> None:
        """Begin where everything before has been acknowledged.

        Args:
            mss: payload bytes of a full segment.
            pingpong: whether the connection is a dialogue, so that acknowledgements wait for a
                reply; without, the first ones are sent at once.
        """
        self.mss = mss
        self.pingpong = pingpong
        self.quick = 0 if pingpong else _QUICK
        self.rcv_mss = min(_RCV_MSS, mss)
        self.received = 0
        self.acked = 0
        self.small = 0
        self.due_ns: int | None = None

    def arrived(self, t_ns: int, start: int, end: int) -> int | None:
        """Take a segment; returns up to where it is acknowledged at once, or ``None``."""
        size = end - start
        self.received = max(self.received, end)
        if size >= self.rcv_mss:
            self.rcv_mss = min(size, self.mss)
        else:
            self.small += 1
        enough = self.received - self.acked > self.rcv_mss
        if enough or self.quick or self.small > 1:
            self.quick = max(self.quick - 1, 0)
            return self._acknowledge()
        if self.due_ns is None:
            self.due_ns = t_ns + _ATO_NS
        return None

    def timer(self) -> int:
        """The delayed acknowledgement is due."""
        return self._acknowledge()

    def _acknowledge(self) -> int:
        self.acked = self.received
        self.small = 0
        self.due_ns = None
        return self.acked
