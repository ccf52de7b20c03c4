"""One direction of a TCP connection: its bytes in order, each by the segment that first brought it.

Theory of operation
-------------------

What comes in is every segment that one host sent, in the order of the capture, which may be another
order than that of the stream: segments are lost, repeated, cut into other pieces, and reordered.
What goes out are pieces of the stream, in order and without overlap, to the connection's
``Dialogue``. Each piece is a segment, or the part of one that nobody had seen before. Offsets count
the stream's bytes from the first after the SYN, or from the first that was captured.

A half-stream goes through these states, all of which are flags of ``HalfStream``:

| state | flag | until |
| --- | --- | --- |
| the next byte's number is not known | not ``synchronised`` | a SYN, or the first segment |
| nobody knows who is the client | not ``settled`` | ``owner.identify_protocol`` says it |
| it is followed | ``settled`` | FIN, RST, or the owner drops it |
| nothing of it is looked at | ``ignored`` | a SYN begins a new connection |

Three numbers say how far the stream has come, and ``_next <= every pending start``, always:

- ``_next`` is the offset of the next byte to hand on; ``_next_seq`` is its sequence number.
- ``_highest`` is the end of all that was seen. A segment that begins below it came again, or fills
  a hole; the dialogue gets to know which pieces did.
- ``_pending`` holds what came too early, sorted and without overlap, with its starts beside it for
  a binary search.

Most segments are the next ones, with nothing pending, and are handed on at once. Any other segment
goes through ``_place``. The bytes between ``_next`` and the first pending piece are a hole. It may
still be filled, so it is waited for; ``_skip_to`` gives it up and hands on a piece of ``GAP``

- when the other host sends data that acknowledges it: that host has it, so only the capture lacks
  it (``deliver_acknowledged``);
- when bare acknowledgements do, and 16 pieces wait: a capture may hold two packets in the wrong
  order (``on_bare_ack``);
- when more than ``PENDING_SPANS`` pieces or ``PENDING_BYTES`` wait, or the connection ends.

Ignored on purpose: checksums, which offload leaves wrong; the client's window, apart from whether
an RST lies in it; and whether the bytes of a repeated segment are those of the first.

This module does not know the connection that owns it, only what it asks of that connection, which
is the protocol ``StreamOwner``.
"""

from bisect import bisect_left
from typing import Final, Protocol

from .dialogue import Dialogue
from .message import GAP, Account

PENDING_SPANS: Final = 1024
"""How many pieces may wait behind a hole."""

PENDING_BYTES: Final = 1 << 22
"""How much memory the pieces behind a hole may use."""

SPAN_BYTES: Final = 160
"""The memory that a waiting piece uses beside its bytes, as an estimate."""

FAR: Final = 1 << 30
"""The largest window of TCP in bytes (RFC 7323); nothing beyond it belongs to the stream."""

_FIN, _RST, _PSH, _ACK = 1, 4, 8, 16
_GAP = GAP
_FAR = FAR
_MASK = (1 << 32) - 1
_WINDOW = 1 << 16
_SHIFT_MAX = 14
_HALF = 1 << 31

Span = tuple[int, int, int, int, bool, bytes]
"""Bytes that wait for earlier ones: start, end, time, PSH, came again, what was captured."""

Options = tuple[int, bool, int, bool]
"""Of a TCP header: the MSS or 0, whether it has a timestamp, the window's shift or -1, and whether
all options were captured."""


class StreamOwner(Protocol):
    """What a half-stream, and those who find one, ask of the connection that it belongs to.

    Attributes:
        stamped: whether its segments have timestamps, where no handshake said it; else ``None``.
        account: of the memory that it uses.
    """

    stamped: bool | None
    account: Account

    def on_syn(
        self,
        half: "HalfStream",
        t_ns: int,
        seq: int,
        flags: int,
        options: Options,
    ) -> None:
        """Take a SYN or a SYN-ACK."""

    def on_handshake_ack(self, half: "HalfStream", t_ns: int, ack: int) -> None:
        """Take the client's first segment after the SYN-ACK."""

    def identify_protocol(
        self, half: "HalfStream", seq: int, ack: int, flags: int, size: int, data: bytes
    ) -> bool:
        """Return whether it is now known who is the client, and what is spoken."""

    def on_zero_window_probe(self, half: "HalfStream") -> None:
        """Count a byte that came while the other host's window was closed."""

    def on_half_closed(self, half: "HalfStream", t_ns: int) -> None:
        """Take it that one host has said all."""

    def over(self, t_ns: int, reason: str) -> None:
        """Take it that nothing more comes."""


class HalfStream:
    """What one host of a connection sends: a half-stream, as libnids calls it.

    Attributes:
        awaits_handshake_ack: whether the last segment of the handshake has yet to come.
        fin_at: the offset of its host's FIN; -1 before it came.
        ignored: whether nothing of it is looked at, until a new SYN.
        isn: the sequence number of its SYN; -1 where that was not seen.
        key: the addresses and ports of its packets, its own host's first.
        mss: the MSS that its host announced in the SYN; 0 for none.
        of_client: whether its host is the client.
        owner: its connection; ``None`` once nothing of it is looked at.
        peer: the other direction of the connection.
        settled: whether it is known who is the client, and so what to do with the bytes.
        shift: by how much its SYN said that its windows are to be scaled; -1 for not at all.
        stamps: whether its host's SYN asked for timestamps.
        synchronised: whether the sequence number of the stream's next byte is known.
        told: whether a SYN of its host was captured with all options.
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
        "awaits_handshake_ack",
        "dialogue",
        "fin_at",
        "ignored",
        "isn",
        "key",
        "mss",
        "of_client",
        "owner",
        "peer",
        "settled",
        "shift",
        "stamps",
        "synchronised",
        "told",
        "window",
    )

    def __init__(self, key: bytes, owner: StreamOwner | None, account: Account | None) -> None:
        self.key = key
        self.owner = owner
        self.account = account
        self.peer: HalfStream | None = None
        self.dialogue: Dialogue | None = None
        self.of_client = False
        self.settled = False
        self.awaits_handshake_ack = False
        self.ignored = owner is None
        self.synchronised = False
        self.window = -1
        self.fin_at = -1
        self.isn = -1
        self.mss = 0
        self.shift = -1
        self.stamps = False
        self.told = False
        self._next = 0
        self._next_seq = 0
        self._highest = 0
        self._pending: list[Span] = []
        self._pending_starts: list[int] = []
        self._pending_bytes = 0

    def synchronise(self, seq: int) -> None:
        """Set the sequence number of the next byte."""
        self.synchronised = True
        self._next_seq = seq & _MASK

    def numbered(self) -> int:
        """Return a number that a translation of addresses leaves: its SYN's, or the next byte's.

        Returns -1 where none is known.
        """
        if self.isn >= 0:
            return self.isn
        return self._next_seq if self.synchronised else -1

    def forget(self) -> None:
        """Look at nothing more of it."""
        self.ignored = True
        self.settled = False
        self.owner = self.peer = self.dialogue = None
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
        if self.awaits_handshake_ack:
            self._on_handshake_ack(t_ns, ack)
        if not self.settled:
            owner = self.owner
            if owner is None or not owner.identify_protocol(self, seq, ack, flags, size, data):
                return
        peer = self.peer
        assert peer is not None
        self.window = window
        if size:
            if flags & _ACK and peer.synchronised:
                peer.deliver_acknowledged(ack, t_ns)
                if self.ignored:
                    return
            if not self.synchronised:
                self.synchronise(seq)
            start = self._next + ((seq - self._next_seq + _HALF) & _MASK) - _HALF
            push = 1 if flags & _PSH else 0
            if start == self._next and not self._pending:
                if size == 1 and peer.window == 0:
                    self._on_zero_window_probe()
                again = start < self._highest
                self._advance(size)
                self._hand_on(t_ns, push, again, size, data)
            elif start - self._next < _FAR:
                self._place(start, start + size, t_ns, push, data)
        elif peer._pending and flags & _ACK and peer.synchronised:
            peer.on_bare_ack(ack, t_ns)
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

    def _on_handshake_ack(self, t_ns: int, ack: int) -> None:
        if self.owner is not None:
            self.owner.on_handshake_ack(self, t_ns, ack)

    def _on_zero_window_probe(self) -> None:
        if self.owner is not None:
            self.owner.on_zero_window_probe(self)

    def _end(self, t_ns: int, seq: int, size: int, flags: int) -> None:
        owner = self.owner
        assert owner is not None
        if flags & _RST:
            if self._resets(seq):
                owner.over(t_ns, "the connection was reset before the message's end")
            return
        if not self.synchronised:
            self.synchronise(seq + size)
        end = self._next + ((seq + size - self._next_seq + _HALF) & _MASK) - _HALF
        if end >= self._next:
            self.fin_at = end
        if self.finished:
            owner.on_half_closed(self, t_ns)

    def _resets(self, seq: int) -> bool:
        """Return whether the other host may take an RST of this number (RFC 9293, 3.10.7.4).

        The number has to be in that host's window. Only that host knows where its window is now,
        because segments are under way. So the number may be up to one window below what was seen;
        where no window was seen, any number counts.
        """
        peer = self.peer
        assert peer is not None
        if not self.synchronised or peer.window < 0:
            return True
        window = max(peer.window << _scale(self, peer), _WINDOW)
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
        """Take a segment that is not simply the next: keep what of it is new, in its place."""
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
        if not self.ignored and self.finished and self.owner is not None:
            self.owner.on_half_closed(self, t_ns)

    def _hold(self, size: int) -> None:
        self._pending_bytes += size
        if self.account is not None:
            self.account.take(size)

    def _deliver_pending(self) -> None:
        """Hand on the pieces that waited for bytes which have come."""
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
        """Give up the bytes before ``offset``, as a piece of ``GAP``: they were not captured."""
        size = offset - self._next
        self._advance(size)
        self._hand_on(t_ns, _GAP, False, size, b"")
        if not self.ignored:
            self._deliver_pending()

    def on_bare_ack(self, ack: int, t_ns: int) -> None:
        """Take a bare acknowledgement of the other host.

        The other host has the bytes before it, so a hole there will most likely not be filled. A
        capture may hold two packets in the wrong order, so the hole is given up only once 16
        pieces wait.
        """
        if len(self._pending) >= 16:
            self.deliver_acknowledged(ack, t_ns)

    def deliver_acknowledged(self, ack: int, t_ns: int) -> None:
        """Hand on all that the other host had received when it sent ``ack``, holes as ``GAP``."""
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
        """Hand on all that waits, since no more will come."""
        while self._pending and not self.ignored:
            self._skip_to(self._pending_starts[0], t_ns)


def _scale(half: HalfStream, peer: HalfStream) -> int:
    """Return by how many bits windows are scaled; both SYNs have to ask for it (RFC 7323, 2.2)."""
    if half.isn < 0 or peer.isn < 0:
        return _SHIFT_MAX
    return min(peer.shift, _SHIFT_MAX) if half.shift >= 0 and peer.shift >= 0 else 0


IGNORED: Final = HalfStream(b"", None, None)
"""Stands for every half that is not looked at."""
