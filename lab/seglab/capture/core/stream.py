"""One direction of a TCP connection: its bytes in order, each by the segment that first brought it.

Offsets count the stream's bytes from the first after the SYN, or from the first that was seen.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from .dialogue import Dialogue
from .message import GAP, Account

if TYPE_CHECKING:
    from .connection import Connection


PENDING_SPANS: Final = 1024
PENDING_BYTES: Final = 1 << 22
SPAN_BYTES: Final = 160
"""What a segment that waits for an earlier one takes in memory, beside its bytes."""

FAR: Final = 1 << 30
"""The largest window that TCP can have (RFC 7323): nothing beyond it belongs to the stream."""

_FIN, _RST, _PSH, _ACK = 1, 4, 8, 16
_GAP = GAP
_FAR = FAR
_MASK = (1 << 32) - 1
_WINDOW = 1 << 16
_SHIFT_MAX = 14
_HALF = 1 << 31

Span = tuple[int, int, int, int, bool, bytes]
"""Bytes that wait for earlier ones: start, end, time, PSH, came again, what was captured."""


class Half:
    """What one host of a connection sends.

    Attributes:
        fin_at: where its host's FIN is; -1 before it came.
        ignored: whether nothing of it is looked at, until a new SYN.
        isn: the sequence number of its SYN; -1 where that was not seen.
        mss: the MSS that its host announced in the SYN; 0 for none.
        shift: by how much its SYN said that its windows are to be scaled; -1 for not at all.
        settled: whether it is known who is the client, and so what to do with the bytes.
        shaking: whether the last segment of the handshake has yet to come.
        stamps: whether its host's SYN asked for timestamps.
        synchronised: whether it is known where the stream's next byte is.
        window: the latest that its host announced, not scaled; -1 before there was one.
    """

    __slots__ = (
        "_highest",
        "_next",
        "_next_seq",
        "_pending",
        "_pending_bytes",
        "_pending_starts",
        "account",
        "connection",
        "dialogue",
        "fin_at",
        "ignored",
        "isn",
        "key",
        "mss",
        "of_client",
        "settled",
        "shaking",
        "shift",
        "stamps",
        "synchronised",
        "twin",
        "window",
    )

    def __init__(
        self, key: bytes, connection: "Connection | None", account: Account | None
    ) -> None:
        self.key = key
        self.connection = connection
        self.account = account
        self.twin: Half | None = None
        self.dialogue: Dialogue | None = None
        self.of_client = False
        self.settled = False
        self.shaking = False
        self.ignored = connection is None
        self.synchronised = False
        self.window = -1
        self.fin_at = -1
        self.isn = -1
        self.mss = 0
        self.shift = -1
        self.stamps = False
        self._next = 0
        self._next_seq = 0
        self._highest = 0
        self._pending: list[Span] = []
        self._pending_starts: list[int] = []
        self._pending_bytes = 0

    def synchronise(self, seq: int) -> None:
        """Say which sequence number the next byte has."""
        self.synchronised = True
        self._next_seq = seq & _MASK

    def forget(self) -> None:
        """Follow no further."""
        self.ignored = True
        self.settled = False
        self.connection = self.twin = self.dialogue = None
        self._pending = []
        self._pending_starts = []

    def receive(
        self, t_ns: int, seq: int, ack: int, flags: int, window: int, size: int, data: bytes
    ) -> None:
        """Take a segment without SYN.

        Args:
            t_ns: when it was seen.
            seq: its sequence number.
            ack: its acknowledgement number.
            flags: of its TCP header.
            window: that its host announces.
            size: bytes of payload on the wire.
            data: as many of them as were captured.
        """
        if self.shaking:
            self._shake(t_ns, ack)
        if not self.settled:
            connection = self.connection
            if connection is None or not connection.meet(self, seq, ack, flags, size, data):
                return
        twin = self.twin
        assert twin is not None
        self.window = window
        if size:
            if flags & _ACK and twin.synchronised:
                twin.catch_up(ack, t_ns)
                if self.ignored:
                    return
            if not self.synchronised:
                self.synchronise(seq)
            start = self._next + ((seq - self._next_seq + _HALF) & _MASK) - _HALF
            push = 1 if flags & _PSH else 0
            if start == self._next and not self._pending:
                if size == 1 and twin.window == 0:
                    self._probe()
                again = start < self._highest
                self._advance(size)
                self._hand_on(t_ns, push, again, size, data)
            elif start - self._next < _FAR:
                self._place(start, start + size, t_ns, push, data)
        elif twin._pending and flags & _ACK and twin.synchronised:
            twin.hear_ack(ack, t_ns)
        if flags & (_FIN | _RST) and not self.ignored:
            self._end(t_ns, seq, size, flags)

    def _hand_on(self, t_ns: int, push: int, again: bool, size: int, data: bytes) -> None:
        dialogue = self.dialogue
        if dialogue is None:
            return
        if self.of_client:
            dialogue.client(t_ns, push, again, size, data)
        else:
            dialogue.server(size, data)

    def _shake(self, t_ns: int, ack: int) -> None:
        if self.connection is not None:
            self.connection.shake(self, t_ns, ack)

    def _probe(self) -> None:
        if self.connection is not None:
            self.connection.probed(self)

    def _end(self, t_ns: int, seq: int, size: int, flags: int) -> None:
        connection = self.connection
        assert connection is not None
        if flags & _RST:
            if self._resets(seq):
                connection.over(t_ns, "the connection was reset before the message's end")
            return
        if not self.synchronised:
            self.synchronise(seq + size)
        end = self._next + ((seq + size - self._next_seq + _HALF) & _MASK) - _HALF
        if end >= self._next:
            self.fin_at = end
        if self.finished:
            connection.half_closed(self, t_ns)

    def _resets(self, seq: int) -> bool:
        """Whether the other host may take an RST of this number (RFC 9293, 3.10.7.4).

        It has to be in the window. Where that is now, nobody but that host knows, so it may be a
        window earlier than what was seen, which is under way, and any where nothing is known.
        """
        twin = self.twin
        assert twin is not None
        if not self.synchronised or twin.window < 0:
            return True
        window = max(twin.window << _scale(self, twin), _WINDOW)
        at = ((seq - self._next_seq + _HALF) & _MASK) - _HALF
        return -window <= at <= self._highest - self._next + window

    @property
    def finished(self) -> bool:
        """Whether all was seen up to the host's FIN."""
        return 0 <= self.fin_at <= self._next

    def _advance(self, size: int) -> None:
        self._next += size
        self._next_seq = (self._next_seq + size) & _MASK
        self._highest = max(self._highest, self._next)

    def _place(self, start: int, end: int, t_ns: int, push: int, data: bytes) -> None:
        """Take a segment that is not simply the next: what of it is new, where it belongs."""
        again = start < self._highest
        self._highest = max(self._highest, end)
        at = max(start, self._next)
        index = bisect_left(self._pending_starts, at)
        if index and self._pending[index - 1][1] > at:
            at = self._pending[index - 1][1]
        while at < end:
            stop = end
            if index < len(self._pending):
                stop = min(end, self._pending_starts[index])
            if at < stop:
                part = data[at - start : stop - start]
                self._pending.insert(index, (at, stop, t_ns, push, again, part))
                self._pending_starts.insert(index, at)
                self._hold(len(part) + SPAN_BYTES)
                index += 1
            if index >= len(self._pending):
                break
            at = max(at, self._pending[index][1]) if stop < end else end
            index += 1
        self._deliver_pending()
        while not self.ignored and (
            len(self._pending) > PENDING_SPANS or self._pending_bytes > PENDING_BYTES
        ):
            self._skip_to(self._pending_starts[0], t_ns)
        self._check_end(t_ns)

    def _check_end(self, t_ns: int) -> None:
        if not self.ignored and self.finished and self.connection is not None:
            self.connection.half_closed(self, t_ns)

    def _hold(self, size: int) -> None:
        self._pending_bytes += size
        if self.account is not None:
            self.account.take(size)

    def _deliver_pending(self) -> None:
        """Hand on what waited for bytes that have come."""
        count = 0
        for start, end, t_ns, push, again, data in self._pending:
            if start > self._next:
                break
            count += 1
            self._advance(end - start)
            self._hand_on(t_ns, push, again, end - start, data)
            if self.ignored:
                return
        if count:
            self._hold(-sum(len(span[5]) + SPAN_BYTES for span in self._pending[:count]))
            del self._pending[:count]
            del self._pending_starts[:count]

    def _skip_to(self, offset: int, t_ns: int) -> None:
        """Give up on the bytes before ``offset``: they were not captured."""
        size = offset - self._next
        self._advance(size)
        self._hand_on(t_ns, _GAP, False, size, b"")
        if not self.ignored:
            self._deliver_pending()

    def hear_ack(self, ack: int, t_ns: int) -> None:
        """Take a bare acknowledgement of the other host: a hole before it will not be filled.

        A capture may have two packets in the wrong order, so a hole is waited for a little.
        """
        if len(self._pending) >= 16:
            self.catch_up(ack, t_ns)

    def catch_up(self, ack: int, t_ns: int) -> None:
        """Hand on all that the other host had received when it said ``ack``."""
        behind = ((ack - self._next_seq + _HALF) & _MASK) - _HALF
        if behind <= 0 or behind >= _FAR:
            return
        target = self._next + behind
        if 0 <= self.fin_at < target:
            target = self.fin_at
        while not self.ignored and self._next < target:
            gap_end = self._pending_starts[0] if self._pending else target
            self._skip_to(min(gap_end, target), t_ns)
        self._check_end(t_ns)

    def flush(self, t_ns: int) -> None:
        """Hand on all that waits: no more will come."""
        while self._pending and not self.ignored:
            self._skip_to(self._pending_starts[0], t_ns)


def _scale(half: Half, twin: Half) -> int:
    """By how much windows are scaled, which both SYNs have to ask for (RFC 7323, 2.2)."""
    if half.isn < 0 or twin.isn < 0:
        return _SHIFT_MAX
    return min(twin.shift, _SHIFT_MAX) if half.shift >= 0 and twin.shift >= 0 else 0


IGNORED: Final = Half(b"", None, None)
"""Stands for every half that is not looked at."""
