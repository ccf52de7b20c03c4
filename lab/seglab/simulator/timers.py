"""What happens when nothing comes: timeouts, loss probes and window probes (tcp_timer.c)."""

from typing import Final

from seglab.simulator import marks, mss, output, recovery, resend, rtt, transmit
from seglab.simulator.clock import NEVER
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.state import (
    NAGLE_OFF,
    TIMER_LOSS_PROBE,
    TIMER_NONE,
    TIMER_REORDERING,
    TIMER_RTO,
    TIMER_WINDOW_PROBE,
    TcpState,
)

_RETRIES_1: Final = 3  # net.ipv4.tcp_retries1: then the path is in doubt
_RETRIES_2: Final = 15  # net.ipv4.tcp_retries2: then the connection is given up
_RTO_MIN_MS: Final = 200
_RTO_MAX_MS: Final = 120_000
_LINEAR: Final = 9  # ilog2(TCP_RTO_MAX / TCP_RTO_MIN): from there on, timeouts do not double
_PROBE_FLOOR: Final = 48  # net.ipv4.tcp_mtu_probe_floor


def device_done(tp: TcpState, now_ns: int) -> None:
    """``tcp_tsq_write``: the device has sent our frames, so what it held up may follow.

    This refreshes TCP's clock (``tcp_write_xmit``), also where nothing follows.
    """
    tp.device_bytes = 0
    tp.device_ns = NEVER
    if not tp.device_throttled:
        return
    tp.device_throttled = False
    tp.mstamp_ns = now_ns
    if tp.lost_out > tp.retrans_out and tp.cwnd > tp.in_flight:
        resend.retransmit_queue(tp, now_ns)
    transmit.write_xmit(tp, now_ns, mss.current(tp, now_ns), tp.nonagle)


def fire(tp: TcpState, now_ns: int) -> None:
    """``tcp_write_timer_handler``: the timer of the sending half is due."""
    kind = tp.pending
    if kind == TIMER_REORDERING:
        recovery.reordering_timeout(tp, now_ns)
    elif kind == TIMER_LOSS_PROBE:
        _loss_probe(tp, now_ns)
    elif kind == TIMER_RTO:
        rtt.disarm(tp)
        _timeout(tp, now_ns)
    elif kind == TIMER_WINDOW_PROBE:
        rtt.disarm(tp)
        _window_probe(tp, now_ns)


def _timeout(tp: TcpState, now_ns: int) -> None:
    """``tcp_retransmit_timer``: the retransmission timeout.

    While the peer offers no window, it is none: what is sent again only asks for the window.
    """
    if not tp.packets_out:
        return
    if tp.retransmits and tp.snd_wnd:
        if _timed_out(tp, now_ns, _RETRIES_1):
            _suspect_black_hole(tp, now_ns)
        if _timed_out(tp, now_ns, _RETRIES_2):
            tp.error = "Connection timed out"
            return
    recovery.enter_loss(tp, now_ns)
    if tp.snd_wnd:
        tp.retransmits += 1
    resend.send_again(tp, now_ns, 0, 1)
    tp.backoff += 1
    tp.rto_j = min(tp.rto_j << 1, rtt.RTO_MAX_JIFFIES)
    rtt.arm(tp, now_ns, TIMER_RTO, tp.rto_j)


def _timed_out(tp: TcpState, now_ns: int, boundary: int) -> bool:
    """``retransmits_timed_out``: whether sending again has lasted as long as so many timeouts."""
    if tp.retrans_ns is None:
        return False
    if boundary <= _LINEAR:
        limit_ms = ((2 << boundary) - 1) * _RTO_MIN_MS
    else:
        limit_ms = ((2 << _LINEAR) - 1) * _RTO_MIN_MS + (boundary - _LINEAR) * _RTO_MAX_MS
    return now_ns // 1_000_000 - tp.retrans_ns // 1_000_000 >= limit_ms


def _suspect_black_hole(tp: TcpState, now_ns: int) -> None:
    """``tcp_mtu_probing``: perhaps packets are too large for the path, and nobody says so."""
    if not tp.settings.mtu_probing:
        return
    if not tp.probing:
        tp.probing = True
        tp.probe_j = tp.jiffies(now_ns)
    else:
        size = min(tp.settings.base_mss, mss.from_mtu(tp, tp.search_low) >> 1)
        tp.search_low = mss.to_mtu(tp, max(size, _PROBE_FLOOR, mss.MSS_MIN))
    mss.sync(tp, tp.pmtu_cookie)


def _loss_probe(tp: TcpState, now_ns: int) -> None:
    """``tcp_send_loss_probe``: send something, so that an acknowledgement tells of a lost tail."""
    if tp.tlp_high_seq is None and _send_loss_probe(tp, now_ns):
        tp.tlp_high_seq = tp.snd_nxt
        tp.pending = TIMER_NONE
    rtt.rearm(tp, now_ns)


def _send_loss_probe(tp: TcpState, now_ns: int) -> bool:
    tp.tlp_retrans = False
    full = mss.current(tp, now_ns)
    if tp.queue:
        head = tp.queue[0]
        end = min(head.end_seq, head.start + full) if head.end - head.start > full else head.end_seq
        if end <= tp.snd_una + tp.snd_wnd:
            before = tp.packets_out
            transmit.write_xmit(tp, now_ns, full, NAGLE_OFF, push_one=2)
            return tp.packets_out > before
    index = len(tp.flight) - 1
    last = tp.flight[index]
    if last.pcount > 1 and last.end - last.start > (last.pcount - 1) * full:
        marks.fragment(tp, index, (last.pcount - 1) * full, full)
        index += 1
    if not resend.retransmit(tp, now_ns, index, 1):
        return False
    tp.tlp_retrans = True
    return True


def _window_probe(tp: TcpState, now_ns: int) -> None:
    """``tcp_probe_timer`` and ``tcp_send_probe0``: nothing may leave, so ask whether it may now."""
    if tp.packets_out or not tp.queue:
        tp.probes_out = 0
        return
    _wake_up(tp, now_ns)
    if tp.packets_out or not tp.queue:
        tp.probes_out = 0
        tp.backoff = 0
        return
    tp.probes_out += 1
    if tp.backoff < _RETRIES_2:
        tp.backoff += 1
    rtt.arm(tp, now_ns, TIMER_WINDOW_PROBE, transmit.probe_wait_j(tp))


def _wake_up(tp: TcpState, now_ns: int) -> None:
    """``tcp_write_wakeup``: send what the window takes, or a segment that must be answered."""
    head = tp.queue[0]
    room = tp.snd_una + tp.snd_wnd - head.start
    if room <= 0:
        window = tp.rcv_wnd
        value = tp.stamp_ms(now_ns) if tp.timestamps else NO_STAMP
        echo = tp.ts_recent if tp.timestamps else NO_STAMP
        at = tp.snd_una - 1
        tp.out.append(TcpSegment(at, at, tp.rcv_nxt, window, False, False, False, value, echo))
        return
    full = mss.current(tp, now_ns)
    tp.pushed_seq = max(tp.pushed_seq, head.end_seq)
    if room < head.end_seq - head.start or head.end - head.start > full:
        transmit.split(tp, head, min(room, full), full)
    else:
        head.count(full)
    head.psh = True
    output.send_head(tp, now_ns)
