"""A forward model of Linux's TCP: the segments that given writes become, one event at a time.

Theory of operation
-------------------

The evaluation uses this model, and nothing else does: it shows how well the rules of Linux are
understood that ``admissible`` and the classifier ``boundaries`` build upon
(``docs/quality.md``, "The forward model"). It carries out no session.

What comes in: writes with their times, and the ``TcpSettings`` of the connection. What comes out:
the segments in the order in which they leave, with times and PSH.

``_SendingTcp`` has a clock that jumps from event to event. There are four kinds of events:

    event                 what happens                                      in Linux
    a write               its bytes fill the last buffer of the queue,      tcp_sendmsg_locked
                          and then new buffers up to the size goal
    a segment arrives     the receiver acknowledges it now or later         __tcp_ack_snd_check
    a delayed ack is due  the receiver acknowledges what it has             tcp_delack_timer
    an ack arrives        segments are no longer in flight, the window      tcp_ack
                          grows

A write and an acknowledgement end with ``_transmit``, which sends from the head of the queue while
it may (tcp_write_xmit). In this order it asks:

    1. is there room in the congestion window, and in a burst?     tcp_cwnd_test, tcp_tso_segs
    2. up to one segment: does Nagle's algorithm hold it back?     tcp_nagle_check
       more: is an acknowledgement so near that waiting pays?      tcp_tso_should_defer
    3. how much of the buffer goes?                                tcp_mss_split_point

State, and who changes it:

    queue      ``_write`` appends and fills buffers, ``_send`` takes from the head
    flight     ``_send`` appends, ``_acked`` removes
    cwnd       ``_acked`` adds what was acknowledged: messages are too short to leave slow start
    small_end  ``_send``: the end of the last segment that was not full (snd_sml). Minshall's form
               of Nagle's algorithm waits while it is not acknowledged
    free_ns    ``_arrives``: when the narrowest link has sent everything before

The invariant: the segments join to the writes, without gap or overlap, and none exceeds the MSS.

What this deliberately ignores: loss and retransmission, a change of the MSS, the peer's window,
autocorking, and jitter. Sessions that meet one of these are outside of the model.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from seglab.tcp.receiver import Receiver

_DEFER_NS: Final = 1_000_000  # tcp_tso_should_defer: the last transmission is so recent
_WIN_DIVISOR: Final = 3  # net.ipv4.tcp_tso_win_divisor
_MIN_TSO_SEGMENTS: Final = 2  # net.ipv4.tcp_min_tso_segs
_TSO_RTT_LOG: Final = 9  # net.ipv4.tcp_tso_rtt_log
_GSO_MAX_BYTES: Final = 65_536
_PACING_SHIFT: Final = 10
_PACING_RATIO: Final = 2  # net.ipv4.tcp_pacing_ss_ratio, 200 %
_HALF_WINDOW_BYTES: Final = 32_767  # tcp_bound_to_half_wnd of the lab's servers' first window


@dataclass(frozen=True, slots=True)
class SentSegment:
    """One segment as it left the sender.

    Attributes:
        t_ns: when it left.
        start: its first byte.
        end: the byte after its last.
        psh: whether PSH is set.
    """

    t_ns: int
    start: int
    end: int
    psh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSettings:
    """What decides how a connection cuts writes, beside their lengths and times.

    Attributes:
        mss: payload bytes of a full segment.
        rtt_ns: from the sending of a segment to the arrival of an acknowledgement sent at once.
        initcwnd: the congestion window in segments when the message begins.
        nodelay: whether Nagle's algorithm is off.
        rate_bit: of the path's narrowest link in bit/s; ``None`` for no limit.
        header_bytes: of each frame, beside the payload.
        pingpong: whether the peer delays its acknowledgements, as it does in a dialogue.
    """

    mss: int
    rtt_ns: int
    initcwnd: int = 10
    nodelay: bool = False
    rate_bit: float | None = None
    header_bytes: int = 66
    pingpong: bool = True

    @property
    def size_goal(self) -> int:
        """How many bytes a buffer grows to: ``tcp_xmit_size_goal``."""
        return max(_HALF_WINDOW_BYTES // self.mss, 1) * self.mss


def segments_of(writes: Iterable[tuple[int, int, int]], settings: TcpSettings) -> list[SentSegment]:
    """The segments that writes become.

    Args:
        writes: ``t_ns, start, end`` of each, in order.
        settings: of the connection.
    """
    return _SendingTcp(settings).run(writes)


@dataclass(slots=True)
class _Buffer:
    """A buffer in the queue that has not been sent (an ``sk_buff``)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Flight:
    """A buffer that was sent and is not acknowledged."""

    t_ns: int
    start: int
    end: int


class _SendingTcp:
    """The sending half of a connection, with the path and the receiver as far as they answer it."""

    def __init__(self, settings: TcpSettings) -> None:
        self.settings = settings
        self.cwnd = settings.initcwnd
        self.queue: deque[_Buffer] = deque()
        self.flight: deque[_Flight] = deque()
        self.acked = 0
        self.small_end = 0  # snd_sml: the end of the last segment that was not full
        self.last_sent_ns: int | None = None
        self.now_ns = 0
        self.sent: list[SentSegment] = []
        self.free_ns = 0  # when the narrowest link has sent all before
        self.receiver = Receiver(settings.mss, pingpong=settings.pingpong)
        self.arrivals: list[tuple[int, int, int]] = []
        self.acks: list[tuple[int, int]] = []

    def run(self, writes: Iterable[tuple[int, int, int]]) -> list[SentSegment]:
        """Carry out the writes in order, and between them everything that comes back."""
        for t_ns, start, end in writes:
            self._until(t_ns)
            self.now_ns = max(self.now_ns, t_ns)
            self._write(start, end)
        self._until(None)
        return self.sent

    def _until(self, t_ns: int | None) -> None:
        """Carry out what is due up to that time, in its order; ``None`` for all that is due."""
        while True:
            due = [(self.arrivals[0][0], 0)] if self.arrivals else []
            if self.acks:
                due.append((self.acks[0][0], 1))
            if self.receiver.due_ns is not None:
                due.append((self.receiver.due_ns, 2))
            if not due:
                return
            at_ns, kind = min(due)
            if t_ns is not None and at_ns > t_ns:
                return
            if kind == 0:
                _, start, end = heapq.heappop(self.arrivals)
                self._acknowledge(at_ns, self.receiver.arrived(at_ns, start, end))
            elif kind == 1:
                _, upto = heapq.heappop(self.acks)
                self.now_ns = max(self.now_ns, at_ns)
                self._acked(upto)
            else:
                self._acknowledge(at_ns, self.receiver.timer())

    def _acknowledge(self, t_ns: int, upto: int | None) -> None:
        """Send an acknowledgement back; ``None`` stands for none."""
        if upto is not None:
            heapq.heappush(self.acks, (t_ns + self.settings.rtt_ns // 2, upto))

    def _write(self, start: int, end: int) -> None:
        """``tcp_sendmsg_locked``: fill the last buffer, and push whenever one is full."""
        goal = self.settings.size_goal
        while start < end:
            if not self.queue or self.queue[-1].end - self.queue[-1].start >= goal:
                self.queue.append(_Buffer(start, start))
            tail = self.queue[-1]
            taken = min(end - start, goal - (tail.end - tail.start))
            tail.end += taken
            start += taken
            if start < end and len(self.queue) == 1:
                self._transmit(push=True, once=True)
        self._transmit()

    def _acked(self, upto: int) -> None:
        """``tcp_ack``: the window grows by what was acknowledged, and then more may leave."""
        segments = 0
        while self.flight and self.flight[0].start < upto:
            first = self.flight.popleft()
            whole = min(first.end, upto)
            segments += self._segments(whole - first.start)
            if whole < first.end:
                self.flight.appendleft(_Flight(first.t_ns, whole, first.end))
        self.acked = max(self.acked, upto)
        self.cwnd += segments  # slow start: the messages are too short to leave it
        self._transmit()

    def _transmit(self, *, push: bool = False, once: bool = False) -> None:
        """``tcp_write_xmit``: send from the head of the queue while window and rules allow it."""
        mss = self.settings.mss
        while self.queue:
            head = self.queue[0]
            size = head.end - head.start
            in_flight = sum(self._segments(one.end - one.start) for one in self.flight)
            quota = min(max(self.cwnd >> 1, 1), self.cwnd - in_flight, self._tso_segments())
            if quota <= 0:
                return
            limit = mss
            last = len(self.queue) == 1
            if size <= mss:
                if last and not push and self._nagle(size < mss):
                    return
            elif not once and self._defers(size, in_flight, last=last):
                return
            else:
                limit = self._split(size, quota, push=push, last=last)
            self._send(head, min(size, limit))
            if once:
                return

    def _split(self, size: int, quota: int, *, push: bool, last: bool) -> int:
        """``tcp_mss_split_point``: how many bytes leave, perhaps with a last short part."""
        mss = self.settings.mss
        if quota * mss <= size or not last:
            return quota * mss
        partial = size % mss
        if partial and not push and self._nagle(True):
            return size - partial
        return size

    def _nagle(self, partial: bool) -> bool:
        """``tcp_nagle_check``: Minshall's variant, which waits for small segments alone."""
        return (
            partial
            and not self.settings.nodelay
            and bool(self.flight)
            and self.small_end > self.acked
        )

    def _defers(self, size: int, in_flight: int, *, last: bool) -> bool:
        """``tcp_tso_should_defer``: whether to wait for an acknowledgement that must be near."""
        mss = self.settings.mss
        if self.last_sent_ns is None or self.now_ns - self.last_sent_ns > _DEFER_NS:
            return False
        limit = (self.cwnd - in_flight) * mss
        if limit >= self._tso_segments() * mss or (not last and limit >= size):
            return False
        if limit >= self.cwnd * mss // _WIN_DIVISOR or not self.flight:
            return False
        return self.now_ns - self.flight[0].t_ns >= self.settings.rtt_ns // 2

    def _tso_segments(self) -> int:
        """``tcp_tso_segs``: segments for a millisecond at the pacing rate, more on a short path."""
        mss, rtt_ns = self.settings.mss, max(self.settings.rtt_ns, 1000)
        rate = _PACING_RATIO * self.cwnd * mss * 1_000_000_000 // rtt_ns
        size = rate >> _PACING_SHIFT
        steps = (rtt_ns // 1000) >> _TSO_RTT_LOG
        if steps < 32:
            size += _GSO_MAX_BYTES >> steps
        return max(min(size, _GSO_MAX_BYTES) // mss, _MIN_TSO_SEGMENTS)

    def _send(self, head: _Buffer, size: int) -> None:
        """Send so many bytes of the first buffer, cut at the MSS as software GSO does."""
        mss = self.settings.mss
        start, end = head.start, head.start + size
        if end == head.end:
            self.queue.popleft()
            empty = not self.queue
        else:
            head.start = end
            empty = False
        self.flight.append(_Flight(self.now_ns, start, end))
        self.last_sent_ns = self.now_ns
        if size % mss:
            self.small_end = end
        for low in range(start, end, mss):
            high = min(low + mss, end)
            psh = high == end and (empty or size > mss)  # __tcp_transmit_skb sets it for TSO
            self.sent.append(SentSegment(self.now_ns, low, high, psh))
            heapq.heappush(self.arrivals, (self._arrives(high - low), low, high))

    def _arrives(self, size: int) -> int:
        """When a segment arrives that leaves now, after all before it on the narrowest link."""
        rate = self.settings.rate_bit
        self.free_ns = max(self.free_ns, self.now_ns)
        if rate is not None:
            bits = 8 * (size + self.settings.header_bytes)
            self.free_ns += int(bits * 1_000_000_000 / rate)
        return self.free_ns + self.settings.rtt_ns // 2

    def _segments(self, size: int) -> int:
        """How many segments so many bytes take."""
        return -(-size // self.settings.mss)


def sizes(sent: Iterable[SentSegment]) -> Iterator[int]:
    """The payload bytes of each segment."""
    return (one.end - one.start for one in sent)
