"""One end of a TCP connection in virtual time: its states, its end, and what a session calls.

Theory of operation
-------------------
``TcpEndpoint`` is a state machine. It has no clock, no socket and no queue of events. Whoever holds
it says what happens and when. ``out`` then has the segments that leave, in order, and each method
that need not return anything else returns them:

    endpoint.connect(now_ns)                 the SYN
    endpoint.on_segment(now_ns, segment)     what arrives
    endpoint.on_timer(now_ns)                at ``wake_ns`` or later
    endpoint.write(now_ns, size)             a write call; returns how many bytes it took
    endpoint.read(now_ns, limit)             a read; returns how many bytes it gave
    endpoint.close(now_ns)                   the FIN; and set_nodelay, set_cork
    endpoint.on_path_mtu(now_ns, mtu)        an ICMP "fragmentation needed" or "packet too big"
    endpoint.on_reset(now_ns, segment)       a reset

    state          it becomes so by                       it leaves it by
    CLOSED         being made                             ``connect`` or ``listen``
    LISTEN         ``listen``                             a SYN
    SYN_SENT       ``connect``                            SYN and ACK of the peer
    SYN_RECEIVED   a SYN                                  an acknowledgement of our SYN
    ESTABLISHED    the handshake                          never: ``fin_queued``, ``fin_acked`` and
                                                          ``peer_closed`` tell how far the end is

The rules are in the other modules of this folder; ``state.py`` says which.
"""

from collections.abc import Sequence
from typing import Final

from seglab.simulator import (
    acknowledging,
    acks,
    handshake,
    mss,
    output,
    receive,
    recovery,
    rtt,
    timers,
    transmit,
    window,
    writing,
)
from seglab.simulator.clock import NEVER, REFRESHED_NS
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.settings import EndpointSettings
from seglab.simulator.state import (
    ACK_SCHEDULED,
    CLOSED,
    ESTABLISHED,
    LISTEN,
    NAGLE_CORK,
    NAGLE_OFF,
    NAGLE_PUSH,
    OUT_OF_WINDOW_NS,
    SYN_RECEIVED,
    SYN_SENT,
    TIMER_RTO,
    TcpState,
)

_SOFTIRQ_NS: Final = 10_000  # measured: from one softirq that sends to the next
_PAWS_WINDOW_MS: Final = 1  # TCP_PAWS_WINDOW


class TcpEndpoint(TcpState):
    """One end of a connection.

    Attributes:
        established: whether the handshake is over.
        mss: the payload bytes of a full segment, as in force now.
        timestamps: whether timestamps are in use.
        unread: the bytes in order that the program has not read.
        peer_closed: whether the peer's FIN is in order.
        fin_acked: whether the peer has acknowledged our FIN.
        writable: the room in the send buffer; 0 while a write has to wait.
        unacknowledged: the bytes written and not acknowledged (SIOCOUTQ).
        error: why the connection has failed; ``None`` while it has not.
        wake_ns: when ``on_timer`` is due; ``None`` where no timer is set.
        due_ns: the same; ``NEVER`` where no timer is set.
        out: the segments that leave by the last call, in order, until the next one. What a call
            returned does not change any more.
    """

    __slots__ = ()

    def __init__(self, settings: EndpointSettings) -> None:
        super().__init__(settings)
        self.softirq = self.device_queue_ns > 0

    # What a session looks at -------------------------------------------------------------------

    @property
    def established(self) -> bool:
        """Whether the handshake is over."""
        return self.state == ESTABLISHED

    @property
    def unread(self) -> int:
        """The bytes in order that the program has not read."""
        return self.rcv_nxt - self.peer_closed - self.copied_seq

    @property
    def unacknowledged(self) -> int:
        """``SIOCOUTQ``: the bytes written and not acknowledged."""
        return self.write_seq - self.snd_una

    @property
    def writable(self) -> int:
        """How much room the send buffer has, and 0 while a write has to wait (EPOLLOUT).

        It is 1 at least where a write may be tried: what the last buffer of the queue takes is not
        counted. After a write that did not fit, a third of the room must be free again
        (``sk_stream_is_writeable``).
        """
        free = self.sndbuf - self.wmem_queued
        if self.send_waits and free < self.wmem_queued >> 1:
            return 0
        return max(free, 1)

    @property
    def due_ns(self) -> int:
        """When ``on_timer`` is due; ``NEVER`` where no timer is set."""
        at_ns = self.retransmit_ns
        if self.delack_ns < at_ns:
            at_ns = self.delack_ns
        if self.compressed_ns < at_ns:
            at_ns = self.compressed_ns
        if self.device_ns < at_ns:
            at_ns = self.device_ns
        return at_ns

    @property
    def wake_ns(self) -> int | None:
        """When ``on_timer`` is due."""
        at = self.due_ns
        return None if at >= NEVER else at

    # What a session does -----------------------------------------------------------------------

    def connect(self, now_ns: int) -> Sequence[TcpSegment]:
        """Send the SYN (``tcp_connect``)."""
        if self.out:
            self.out = []
        self.state = SYN_SENT
        window.first(self, self.advmss)
        handshake.send_syn(self, now_ns)
        rtt.arm(self, now_ns, TIMER_RTO, self.rto_j)
        return self.out

    def listen(self) -> Sequence[TcpSegment]:
        """Wait for a SYN."""
        self.state = LISTEN
        return ()

    def write(self, now_ns: int, size: int, more: bool = False, eor: bool = False) -> int:
        """Write ``size`` bytes, with MSG_MORE where ``more`` is set, and MSG_EOR where ``eor`` is.

        Returns:
            How many bytes were taken; the segments that leave are in ``out``.
        """
        if self.out:
            self.out = []
        self.mstamp_ns = now_ns
        return writing.write(self, now_ns, size, more=more, eor=eor)

    def read(self, now_ns: int, limit: int) -> int:
        """Read up to ``limit`` bytes.

        Returns:
            How many bytes were read; the segments that leave are in ``out``.
        """
        if self.out:
            self.out = []
        size = receive.read(self, now_ns, limit)
        if self.error is None and acknowledging.cleanup(self, size):
            output.ack(self, now_ns)
        return size

    def look(self) -> None:
        """Ask whether there is room, as a program does that waits for the socket (``tcp_poll``).

        Where there is too little, Linux remembers that somebody waits for it (SOCK_NOSPACE), also
        if nobody does: then the send buffer grows with the window from now on.
        """
        if self.sndbuf - self.wmem_queued < self.wmem_queued >> 1:
            self.send_waits = True

    def close(self, now_ns: int) -> Sequence[TcpSegment]:
        """End our direction: a FIN follows what is queued."""
        if self.out:
            self.out = []
        if self.state == ESTABLISHED and not self.fin_queued:
            self.mstamp_ns = now_ns
            writing.fin(self, now_ns)
        return self.out if self.out else ()

    def set_nodelay(self, now_ns: int, on: bool) -> Sequence[TcpSegment]:
        """Set TCP_NODELAY, which sends what waits (``__tcp_sock_set_nodelay``)."""
        if self.out:
            self.out = []
        if on:
            self.nonagle |= NAGLE_OFF | NAGLE_PUSH
            self._push_pending(now_ns)
        else:
            self.nonagle &= ~NAGLE_OFF
        return self.out if self.out else ()

    def set_cork(self, now_ns: int, on: bool) -> Sequence[TcpSegment]:
        """Set TCP_CORK; taking it off sends what waits (``__tcp_sock_set_cork``)."""
        if self.out:
            self.out = []
        if on:
            self.nonagle |= NAGLE_CORK
        else:
            self.nonagle &= ~NAGLE_CORK
            if self.nonagle & NAGLE_OFF:
                self.nonagle |= NAGLE_PUSH
            self._push_pending(now_ns)
        return self.out if self.out else ()

    def _push_pending(self, now_ns: int) -> None:
        """``tcp_push_pending_frames``, which refreshes TCP's clock even where nothing may leave."""
        if self.queue:
            self.mstamp_ns = now_ns
            transmit.push_pending(self, now_ns)

    def on_segment(self, now_ns: int, segment: TcpSegment) -> Sequence[TcpSegment]:
        """Take a segment that arrives."""
        if self.out:
            self.out = []
        self.mstamp_ns = now_ns
        self.softirq = True
        if self.state == ESTABLISHED:
            self._established(now_ns, segment)
        elif self.state == SYN_SENT:
            handshake.finish_active(self, now_ns, segment)
        elif self.state == LISTEN and segment.syn:
            handshake.answer_syn(self, now_ns, segment)
        elif self.state == SYN_RECEIVED and handshake.finish_passive(self, now_ns, segment):
            self._established(now_ns, segment, first=True)
        return self._softirq_done(now_ns)

    def on_reset(self, now_ns: int, segment: TcpSegment) -> Sequence[TcpSegment]:
        """Take a reset (``tcp_reset``), if it is one of this connection (RFC 5961, 3.2).

        Before the connection stands, it must acknowledge the SYN. Afterwards it must be the very
        next in order, or follow the last block that came too early; any other one in the window is
        answered by an acknowledgement, to which a peer that really has no connection answers again.
        """
        if self.out:
            self.out = []
        if self.state == SYN_SENT:
            if segment.ack == 0:
                self._give_up("Connection refused")
        elif self.state == ESTABLISHED and self.error is None:
            start, last = segment.start, self.rcv_nxt
            for _, end in self.sacks:
                last = max(last, end)
            if start in (self.rcv_nxt, last):
                self._give_up("Connection reset by peer")
            elif self.rcv_wup <= start <= self.rcv_wup + self.rcv_wnd:
                output.ack(self, now_ns)
        return self.out if self.out else ()

    def _give_up(self, error: str) -> None:
        """End the connection, which has failed; no timer is left (``tcp_done``)."""
        self.error = error
        rtt.disarm(self)
        self.delack_ns = self.compressed_ns = self.device_ns = NEVER

    def on_timer(self, now_ns: int) -> Sequence[TcpSegment]:
        """Do what is due at ``now_ns``, in the order of the timers."""
        if self.out:
            self.out = []
        self.mstamp_ns = now_ns
        self.softirq = True
        while self.error is None:
            at = self.due_ns
            if at > now_ns:
                break
            if at == self.delack_ns:
                if acknowledging.delayed_ack_due(self):
                    output.ack(self, now_ns)
            elif at == self.compressed_ns:
                self.compressed_ns = NEVER
                if self.compressed_ack:
                    self.compressed_ack -= 1
                    output.ack(self, now_ns)
            elif at == self.device_ns:
                timers.device_done(self, now_ns)
            elif self.state == ESTABLISHED:
                timers.fire(self, now_ns)
            else:
                handshake.syn_timeout(self, now_ns)
        if self.error is not None:
            self._give_up(self.error)
            return self.out if self.out else ()
        return self._softirq_done(now_ns)

    def on_path_mtu(self, now_ns: int, mtu: int, start: int | None = None) -> Sequence[TcpSegment]:
        """Take a router's report that a packet was too large (``tcp_v4_mtu_reduced``).

        Args:
            now_ns: the time.
            mtu: the MTU that the router reports.
            start: the first offset of the packet that the report quotes. A report about bytes that
                are not in flight is ignored (``tcp_v4_err``); ``None`` takes it in any case.
        """
        if self.out:
            self.out = []
        if self.state in {CLOSED, LISTEN}:
            return ()
        if start is not None and not self.snd_una <= start <= self.snd_nxt:
            return ()
        if self.settings.ip_version == 6 and mss.from_mtu(self, mtu) >= self.mss:
            return ()  # tcp_v6_mtu_reduced; only over IPv6
        self.softirq = True
        mss.learn_path_mtu(self, now_ns, mtu)
        if self.pmtu_cookie > self.path_mtu:
            mss.sync(self, self.path_mtu)
            if self.flight:
                self._resegment(now_ns)
        return self._softirq_done(now_ns)

    def _resegment(self, now_ns: int) -> None:
        """``tcp_simple_retransmit``, by TCP's clock as it stood at the last event.

        The handler of ICMP errors does not refresh that clock (``tcp_mstamp_refresh``). So the
        segments bear an older timestamp, and an acknowledgement that echoes it undoes nothing.
        """
        if recovery.simple_retransmit(self, self.mstamp_ns):
            rtt.arm(self, now_ns, TIMER_RTO, self.rto_j)

    def _softirq_done(self, now_ns: int) -> Sequence[TcpSegment]:
        """Let frames leave that waited in the device, and what they held up; return all."""
        queue_ns = self.device_queue_ns
        if self.device_bytes and not queue_ns:
            while self.device_throttled:
                now_ns += _SOFTIRQ_NS
                timers.device_done(self, now_ns)
            self.device_bytes = 0
        self.softirq = queue_ns > 0
        return self.out if self.out else ()

    # The connection ----------------------------------------------------------------------------

    def _established(self, now_ns: int, seg: TcpSegment, first: bool = False) -> None:
        """``tcp_rcv_established``: check a segment, and take what it acknowledges and carries.

        The ``first`` one ends the handshake (``tcp_rcv_state_process``), and its echo says nothing
        to the receiving half.
        """
        start, end_seq = seg.start, seg.end + seg.fin
        stamp_ms = seg.ts_val if self.timestamps else NO_STAMP
        if (
            self.ts_recent - stamp_ms > _PAWS_WINDOW_MS
            and stamp_ms != NO_STAMP
            and not self._is_disordered_ack(seg)
        ):
            self._unacceptable(now_ns, start, end_seq)
            return
        if end_seq < self.rcv_wup or start > self.rcv_wup + self.rcv_wnd or seg.syn:
            self._unacceptable(now_ns, start, end_seq)
            return
        if stamp_ms != NO_STAMP:
            self.rcv_tsecr = seg.ts_ecr
            if start <= self.rcv_wup and stamp_ms >= self.ts_recent:
                self.ts_recent = stamp_ms
        if seg.ack > self.snd_una or seg.sack or self.packets_out or seg.window != self.snd_wnd:
            acks.ack(self, now_ns, seg)
        elif start > self.snd_wl1:
            self.snd_wl1 = start
        if not first:
            window.receiver_rtt_by_echo(self, now_ns, seg.end - start)
        if end_seq > start:
            receive.data(self, now_ns, seg)
        if self.queue:
            self.mstamp_ns = now_ns + REFRESHED_NS
            transmit.push_pending(self, self.mstamp_ns)
        if self.send_waits:
            output.check_space(self, now_ns)
        if self.ack_pending & ACK_SCHEDULED and acknowledging.owes_ack(self, now_ns):
            output.ack(self, now_ns)

    def _is_disordered_ack(self, seg: TcpSegment) -> bool:
        """``tcp_disordered_ack``: whether an older timestamp only shows that it was overtaken.

        Any other segment with one is discarded, and answered, as one from another time (PAWS, RFC
        7323, 5).
        """
        return (
            seg.end + seg.fin == seg.start == self.rcv_nxt
            and seg.ack == self.snd_una
            and not (
                seg.start > self.snd_wl1
                or (seg.start == self.snd_wl1 and (seg.window > self.snd_wnd or not seg.window))
            )
        )

    def _unacceptable(self, now_ns: int, start: int, end_seq: int) -> None:
        """``tcp_validate_incoming``: answer what is outside of the window, but not too often."""
        if end_seq == start:
            if now_ns - self.last_oow_ns < OUT_OF_WINDOW_NS:
                return
            self.last_oow_ns = now_ns
        elif start < self.rcv_nxt:
            receive.duplicate(self, start, end_seq)
        output.ack(self, now_ns)
