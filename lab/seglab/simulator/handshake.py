"""The handshake: both SYNs, their options, and what the connection begins with (RFC 9293, 3.5).

``endpoint.py`` says which state comes after which.
"""

from typing import Final

from seglab.core.tcpip import TIMESTAMPS_BYTES
from seglab.simulator import congestion, mss, output, rtt, window
from seglab.simulator.clock import HZ
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.state import (
    CA_LOSS,
    DEFAULT_MSS,
    ESTABLISHED,
    INFINITE_SSTHRESH,
    LISTEN,
    OUT_OF_WINDOW_NS,
    SYN_RECEIVED,
    SYN_SENT,
    TIMER_RTO,
    TcpState,
)

_WINDOW_MAX: Final = 65_535
_SYN_RETRIES: Final = 6  # net.ipv4.tcp_syn_retries
_SYN_ACK_RETRIES: Final = 5  # net.ipv4.tcp_synack_retries
_SYN_LINEAR: Final = 4  # net.ipv4.tcp_syn_linear_timeouts


def send_syn(tp: TcpState, now_ns: int, *, again: bool = False) -> None:
    """Send a SYN, or a SYN and ACK, with our options."""
    answering = tp.state != SYN_SENT
    settings = tp.settings
    timestamps = tp.timestamps if answering else settings.timestamps
    wscale = tp.wscale_ok if answering else settings.wscale
    if not again:
        tp.first_syn_ns = now_ns
    tp.out.append(
        TcpSegment(
            0,
            0,
            0 if answering else -1,
            min(tp.rcv_wnd, _WINDOW_MAX),
            syn=True,
            ts_val=tp.stamp_ms(now_ns) if timestamps else NO_STAMP,
            ts_ecr=(tp.ts_recent if answering else 0) if timestamps else NO_STAMP,
            retransmission=again,
            mss_option=settings.mtu - tp.ip_header_len - 20,
            wscale_option=tp.rcv_wscale if wscale else None,
            sack_option=tp.sack_ok if answering else settings.sack,
        )
    )


def syn_timeout(tp: TcpState, now_ns: int) -> None:
    """``tcp_retransmit_timer`` and ``reqsk_timer_handler``: send the SYN again."""
    tp.syn_retries += 1
    active = tp.state == SYN_SENT
    if tp.syn_retries > (_SYN_RETRIES + _SYN_LINEAR if active else _SYN_ACK_RETRIES):
        tp.error = "Connection timed out"
        return
    tp.total_retrans += 1
    if active:
        tp.frto = True  # tcp_enter_loss; a SYN's timeout counts, and nothing clears it
    send_syn(tp, now_ns, again=True)
    if not active or tp.syn_retries > _SYN_LINEAR:
        tp.rto_j <<= 1
    rtt.arm(tp, now_ns, TIMER_RTO, tp.rto_j)


def _take_options(tp: TcpState, seg: TcpSegment) -> None:
    """Agree on options with the peer's SYN."""
    if tp.state == LISTEN:
        tp.timestamps = tp.settings.timestamps and seg.ts_val != NO_STAMP
        tp.wscale_ok = tp.settings.wscale and seg.wscale_option is not None
        tp.sack_ok = tp.settings.sack and seg.sack_option
    else:
        tp.timestamps = tp.timestamps and seg.ts_val != NO_STAMP
        tp.wscale_ok = tp.wscale_ok and seg.wscale_option is not None
        tp.sack_ok = tp.sack_ok and seg.sack_option
    tp.mss_clamp = seg.mss_option or DEFAULT_MSS
    tp.option_len = TIMESTAMPS_BYTES if tp.timestamps else 0
    tp.header_len = 20 + tp.option_len
    tp.snd_wscale = seg.wscale_option or 0
    if seg.ts_val != NO_STAMP:
        tp.ts_recent = seg.ts_val


def answer_syn(tp: TcpState, now_ns: int, seg: TcpSegment) -> None:
    """``tcp_conn_request``: answer a SYN."""
    _take_options(tp, seg)
    window.first(tp, tp.advmss - tp.option_len)
    if not tp.wscale_ok:
        tp.rcv_wscale = 0
        tp.window_clamp = min(tp.window_clamp, _WINDOW_MAX)
    tp.state = SYN_RECEIVED
    send_syn(tp, now_ns)
    rtt.arm(tp, now_ns, TIMER_RTO, HZ)


def finish_passive(tp: TcpState, now_ns: int, seg: TcpSegment) -> bool:
    """``tcp_check_req`` and ``tcp_rcv_state_process``: the last step where the peer connected.

    Returns:
        Whether the connection stands; the segment may carry more than its acknowledgement.
    """
    if seg.syn:  # the peer has not got our answer; it counts as no timeout (tcp_rtx_synack)
        if now_ns - tp.last_oow_ns >= OUT_OF_WINDOW_NS:
            tp.last_oow_ns = now_ns
            tp.answered_again = True
            send_syn(tp, now_ns, again=True)
            rtt.arm(tp, now_ns, TIMER_RTO, HZ << tp.syn_retries)
        return False
    rtt.disarm(tp)
    tp.rto_j = HZ
    _measure(tp, now_ns, seg)
    tp.snd_wnd = tp.max_window = seg.window
    tp.snd_wl1 = seg.start
    _stand(tp, now_ns, seg.ts_ecr)
    window.begin(tp, now_ns)
    window.first_rcv_mss(tp)
    return True


def finish_active(tp: TcpState, now_ns: int, seg: TcpSegment) -> None:
    """``tcp_rcv_synsent_state_process``: the peer's SYN and ACK, where we connected."""
    if not seg.syn or seg.ack != 0:
        return
    rtt.disarm(tp)
    tp.rto_j = HZ
    _take_options(tp, seg)
    if not tp.wscale_ok:
        tp.rcv_wscale = 0
        tp.window_clamp = min(tp.window_clamp, _WINDOW_MAX)
    _measure(tp, now_ns, seg)
    tp.snd_wnd = tp.max_window = seg.window
    tp.snd_wl1 = -1
    _stand(tp, now_ns, seg.ts_ecr)
    congestion.first_pacing_rate(tp)
    window.first_rcv_mss(tp)
    window.begin(tp, now_ns)
    output.ack(tp, now_ns)


def _measure(tp: TcpState, now_ns: int, seg: TcpSegment) -> None:
    """``tcp_synack_rtt_meas``: the first round trip, by timestamps where a SYN was repeated."""
    if not tp.syn_retries and not tp.answered_again:
        measured_us = (now_ns - tp.first_syn_ns) // 1000
    elif tp.timestamps and seg.ts_ecr > 0:
        now_ms = tp.stamp_ms(now_ns)
        measured_us = max(now_ms - seg.ts_ecr, 1) * 1000
    else:
        return
    rtt.sample(tp, now_ns, measured_us, measured_us)


def _stand(tp: TcpState, now_ns: int, echo: int) -> None:
    """``tcp_finish_connect`` and ``tcp_init_transfer``: the connection stands."""
    first_ms = tp.stamp_ms(tp.first_syn_ns)
    spurious = tp.timestamps and echo == first_ms  # tcp_try_undo_spurious_syn
    tp.state = ESTABLISHED
    tp.delivered = 1  # the SYN
    tp.advmss -= tp.option_len
    mss.start_probing(tp)
    mss.sync(tp, tp.path_mtu)
    mss.start_probing(tp)  # tcp_init_transfer does so too, after tcp_sync_mss
    congestion.begin(tp)
    if tp.syn_retries > 1 and not spurious:
        tp.cwnd = 1  # RFC 6298, 5.7
    if tp.syn_retries and tp.frto:
        _syn_was_lost(tp, spurious=spurious)
    if not tp.srtt_us:
        rtt.without_sample(tp)
    tp.lsnd_j = tp.cwnd_j = tp.jiffies(now_ns)
    tp.probe_j = tp.lsnd_j
    tp.syn_retries = 0
    congestion.update_pacing_rate(tp)
    output.expand_send_buffer(tp)


def _syn_was_lost(tp: TcpState, *, spurious: bool) -> None:
    """``tcp_enter_loss`` of a SYN that was sent again, as far as the handshake leaves it.

    Without SACK its state stays until something above the SYN is acknowledged
    (``tcp_is_non_sack_preventing_reopen``).
    """
    if not spurious:
        tp.undo_marker = -1
    tp.undo_retrans = tp.syn_retries
    tp.prior_ssthresh = INFINITE_SSTHRESH
    tp.prior_cwnd = congestion.INITIAL_SEGMENTS
    if not tp.sack_ok:
        tp.ca_state = CA_LOSS
        tp.high_seq = 0
