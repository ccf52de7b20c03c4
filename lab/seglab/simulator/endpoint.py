"""One end of a TCP connection in virtual time: the handshake, the end, and what a session calls.

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
    congestion,
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
from seglab.simulator.clock import HZ, NEVER, REFRESHED_NS
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.settings import EndpointSettings
from seglab.simulator.state import (
    ACK_SCHEDULED,
    CA_LOSS,
    CLOSED,
    DEFAULT_MSS,
    ESTABLISHED,
    INFINITE_SSTHRESH,
    LISTEN,
    NAGLE_CORK,
    NAGLE_OFF,
    NAGLE_PUSH,
    SYN_RECEIVED,
    SYN_SENT,
    TIMER_RTO,
    TcpState,
)

_WINDOW_MAX: Final = 65_535
_SYN_RETRIES: Final = 6  # net.ipv4.tcp_syn_retries
_SYN_ACK_RETRIES: Final = 5  # net.ipv4.tcp_synack_retries
_SYN_LINEAR: Final = 4  # net.ipv4.tcp_syn_linear_timeouts
_TIMESTAMP_BYTES: Final = 12
_SOFTIRQ_NS: Final = 10_000  # measured: from one softirq that sends to the next
_PAWS_WINDOW_MS: Final = 1  # TCP_PAWS_WINDOW
_OUT_OF_WINDOW_NS: Final = 500_000_000  # net.ipv4.tcp_invalid_ratelimit


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

    __slots__ = ("answered_again", "first_syn_ns", "syn_retries")

    def __init__(self, settings: EndpointSettings) -> None:
        super().__init__(settings)
        self.first_syn_ns = 0
        self.syn_retries = 0
        self.answered_again = False
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
        self._send_syn(now_ns)
        rtt.arm(self, now_ns, TIMER_RTO, self.rto_j)
        return self.out if self.out else ()

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
            self._syn_sent(now_ns, segment)
        elif self.state == LISTEN and segment.syn:
            self._listening(now_ns, segment)
        elif self.state == SYN_RECEIVED:
            self._syn_received(now_ns, segment)
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
                self._syn_timeout(now_ns)
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
            return self.out if self.out else ()
        if start is not None and not self.snd_una <= start <= self.snd_nxt:
            return self.out if self.out else ()
        if self.settings.ip_version == 6 and mss.from_mtu(self, mtu) >= self.mss:
            return self.out if self.out else ()  # tcp_v6_mtu_reduced; only over IPv6
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

    # The handshake -----------------------------------------------------------------------------

    def _send_syn(self, now_ns: int, *, again: bool = False) -> None:
        """Send a SYN, or a SYN and ACK, with our options."""
        answering = self.state != SYN_SENT
        settings = self.settings
        timestamps = self.timestamps if answering else settings.timestamps
        wscale = self.wscale_ok if answering else settings.wscale
        if not again:
            self.first_syn_ns = now_ns
        self.out.append(
            TcpSegment(
                0,
                0,
                0 if answering else -1,
                min(self.rcv_wnd, _WINDOW_MAX),
                syn=True,
                ts_val=self.stamp_ms(now_ns) if timestamps else NO_STAMP,
                ts_ecr=(self.ts_recent if answering else 0) if timestamps else NO_STAMP,
                retransmission=again,
                mss_option=settings.mtu - self.ip_header_len - 20,
                wscale_option=self.rcv_wscale if wscale else None,
                sack_option=self.sack_ok if answering else settings.sack,
            )
        )

    def _syn_timeout(self, now_ns: int) -> None:
        """``tcp_retransmit_timer`` and ``reqsk_timer_handler``: send the SYN again."""
        self.syn_retries += 1
        active = self.state == SYN_SENT
        if self.syn_retries > (_SYN_RETRIES + _SYN_LINEAR if active else _SYN_ACK_RETRIES):
            self.error = "Connection timed out"
            return
        self.total_retrans += 1
        if active:
            self.frto = True  # tcp_enter_loss; a SYN's timeout counts, and nothing clears it
        self._send_syn(now_ns, again=True)
        if not active or self.syn_retries > _SYN_LINEAR:
            self.rto_j <<= 1
        rtt.arm(self, now_ns, TIMER_RTO, self.rto_j)

    def _take_options(self, seg: TcpSegment) -> None:
        """Agree on options with the peer's SYN."""
        if self.state == LISTEN:
            self.timestamps = self.settings.timestamps and seg.ts_val != NO_STAMP
            self.wscale_ok = self.settings.wscale and seg.wscale_option is not None
            self.sack_ok = self.settings.sack and seg.sack_option
        else:
            self.timestamps = self.timestamps and seg.ts_val != NO_STAMP
            self.wscale_ok = self.wscale_ok and seg.wscale_option is not None
            self.sack_ok = self.sack_ok and seg.sack_option
        self.mss_clamp = seg.mss_option or DEFAULT_MSS
        self.option_len = _TIMESTAMP_BYTES if self.timestamps else 0
        self.header_len = 20 + self.option_len
        self.snd_wscale = seg.wscale_option or 0
        if seg.ts_val != NO_STAMP:
            self.ts_recent = seg.ts_val

    def _listening(self, now_ns: int, seg: TcpSegment) -> None:
        """``tcp_conn_request``: answer a SYN."""
        self._take_options(seg)
        window.first(self, self.advmss - self.option_len)
        if not self.wscale_ok:
            self.rcv_wscale = 0
            self.window_clamp = min(self.window_clamp, _WINDOW_MAX)
        self.state = SYN_RECEIVED
        self._send_syn(now_ns)
        rtt.arm(self, now_ns, TIMER_RTO, HZ)

    def _syn_received(self, now_ns: int, seg: TcpSegment) -> None:
        """``tcp_check_req`` and ``tcp_rcv_state_process``: the last step of the handshake."""
        if seg.syn:  # the peer has not got our answer; it counts as no timeout (tcp_rtx_synack)
            if now_ns - self.last_oow_ns >= _OUT_OF_WINDOW_NS:
                self.last_oow_ns = now_ns
                self.answered_again = True
                self._send_syn(now_ns, again=True)
                rtt.arm(self, now_ns, TIMER_RTO, HZ << self.syn_retries)
            return
        rtt.disarm(self)
        self.rto_j = HZ
        self._measure_handshake(now_ns, seg)
        self.snd_wnd = self.max_window = seg.window
        self.snd_wl1 = seg.start
        self._stand(now_ns, seg.ts_ecr)
        window.begin(self, now_ns)
        window.first_rcv_mss(self)
        self._established(now_ns, seg, first=True)

    def _syn_sent(self, now_ns: int, seg: TcpSegment) -> None:
        """``tcp_rcv_synsent_state_process``: the peer's SYN and ACK."""
        if not seg.syn or seg.ack != 0:
            return
        rtt.disarm(self)
        self.rto_j = HZ
        self._take_options(seg)
        if not self.wscale_ok:
            self.rcv_wscale = 0
            self.window_clamp = min(self.window_clamp, _WINDOW_MAX)
        self._measure_handshake(now_ns, seg)
        self.snd_wnd = self.max_window = seg.window
        self.snd_wl1 = -1
        self._stand(now_ns, seg.ts_ecr)
        congestion.first_pacing_rate(self)
        window.first_rcv_mss(self)
        window.begin(self, now_ns)
        output.ack(self, now_ns)

    def _measure_handshake(self, now_ns: int, seg: TcpSegment) -> None:
        """``tcp_synack_rtt_meas``: the first round trip, by timestamps where a SYN was repeated."""
        if not self.syn_retries and not self.answered_again:
            measured_us = (now_ns - self.first_syn_ns) // 1000
        elif self.timestamps and seg.ts_ecr > 0:
            now_ms = self.stamp_ms(now_ns)
            measured_us = max(now_ms - seg.ts_ecr, 1) * 1000
        else:
            return
        rtt.sample(self, now_ns, measured_us, measured_us)

    def _stand(self, now_ns: int, echo: int) -> None:
        """``tcp_finish_connect`` and ``tcp_init_transfer``: the connection stands."""
        first_ms = self.stamp_ms(self.first_syn_ns)
        spurious = self.timestamps and echo == first_ms  # tcp_try_undo_spurious_syn
        self.state = ESTABLISHED
        self.delivered = 1  # the SYN
        self.advmss -= self.option_len
        mss.start_probing(self)
        mss.sync(self, self.path_mtu)
        mss.start_probing(self)  # tcp_init_transfer does so too, after tcp_sync_mss
        congestion.begin(self)
        if self.syn_retries > 1 and not spurious:
            self.cwnd = 1  # RFC 6298, 5.7
        if self.syn_retries and self.frto:
            self._syn_was_lost(spurious=spurious)
        if not self.srtt_us:
            rtt.without_sample(self)
        self.lsnd_j = self.cwnd_j = self.jiffies(now_ns)
        self.probe_j = self.lsnd_j
        self.syn_retries = 0
        congestion.update_pacing_rate(self)
        output.expand_send_buffer(self)

    def _syn_was_lost(self, *, spurious: bool) -> None:
        """``tcp_enter_loss`` of a SYN that was sent again, as far as the handshake leaves it.

        Without SACK its state stays until something above the SYN is acknowledged
        (``tcp_is_non_sack_preventing_reopen``).
        """
        if not spurious:
            self.undo_marker = -1
        self.undo_retrans = self.syn_retries
        self.prior_ssthresh = INFINITE_SSTHRESH
        self.prior_cwnd = congestion.INITIAL_SEGMENTS
        if not self.sack_ok:
            self.ca_state = CA_LOSS
            self.high_seq = 0

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
            if now_ns - self.last_oow_ns < _OUT_OF_WINDOW_NS:
                return
            self.last_oow_ns = now_ns
        elif start < self.rcv_nxt:
            receive.duplicate(self, start, end_seq)
        output.ack(self, now_ns)
