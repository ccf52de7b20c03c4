"""Round-trip times and the retransmission timeout (RFC 6298, as Linux has it)."""

from typing import Final

from seglab.simulator.clock import NEVER, TICK_NS, TICK_US, fires_ns, usecs_to_jiffies
from seglab.simulator.state import (
    CA_CWR,
    INITIAL_RTO_JIFFIES,
    TIMER_LOSS_PROBE,
    TIMER_NONE,
    TIMER_REORDERING,
    TIMER_RTO,
    TcpState,
)

RTO_MAX_JIFFIES: Final = 30_000  # TCP_RTO_MAX: 120 s
_FALLBACK_JIFFIES: Final = 750  # TCP_TIMEOUT_FALLBACK: 3 s
_MIN_RTT_WINDOW_NS: Final = 300 * 1_000_000_000  # tcp_min_rtt_wlen


def sample(tp: TcpState, now_ns: int, rtt_us: int, min_us: int) -> None:
    """Take a round-trip time: ``tcp_ack_update_rtt``, ``tcp_rtt_estimator``, ``tcp_set_rto``.

    Args:
        tp: the endpoint.
        now_ns: the time.
        rtt_us: the round trip that counts for the timeout.
        min_us: the shortest one that the acknowledgement shows (``ca_rtt_us``).
    """
    if min_us <= tp.min_rtt_us or now_ns - tp.min_rtt_ns > _MIN_RTT_WINDOW_NS:
        tp.min_rtt_us = min_us or 1
        tp.min_rtt_ns = now_ns
    least_us = tp.min_rto_us
    srtt = tp.srtt_us
    if srtt:
        error = rtt_us - (srtt >> 3)
        srtt += error
        if error < 0:
            error = -error - (tp.mdev_us >> 2)
            if error > 0:
                error >>= 3  # a fall of the round trip must not raise the deviation (Eifel)
        else:
            error -= tp.mdev_us >> 2
        tp.mdev_us += error
        if tp.mdev_us > tp.mdev_max_us:
            tp.mdev_max_us = tp.mdev_us
            if tp.mdev_us > tp.rttvar_us:
                tp.rttvar_us = tp.mdev_us
        if tp.snd_una > tp.rtt_seq:
            if tp.mdev_max_us < tp.rttvar_us:
                tp.rttvar_us -= (tp.rttvar_us - tp.mdev_max_us) >> 2
            tp.rtt_seq = tp.snd_nxt
            tp.mdev_max_us = least_us
    else:
        srtt = rtt_us << 3
        tp.mdev_us = rtt_us << 1
        tp.rttvar_us = max(tp.mdev_us, least_us)
        tp.mdev_max_us = tp.rttvar_us
        tp.rtt_seq = tp.snd_nxt
    tp.srtt_us = srtt = srtt or 1
    rto_j = -(-((srtt >> 3) + tp.rttvar_us) // TICK_US)
    tp.rto_j = rto_j if rto_j < RTO_MAX_JIFFIES else RTO_MAX_JIFFIES
    tp.backoff = 0


def without_sample(tp: TcpState) -> None:
    """``tcp_init_metrics``: the handshake gave no round trip, so begin with 3 s (RFC 6298, 5.7)."""
    tp.rttvar_us = tp.mdev_us = tp.mdev_max_us = _FALLBACK_JIFFIES * TICK_US
    tp.rto_j = _FALLBACK_JIFFIES


def arm(tp: TcpState, now_ns: int, kind: int, after_j: int) -> None:
    """``tcp_reset_xmit_timer``: set the one timer of the sending half."""
    phase_ns = tp.phase_ns
    now_j = (now_ns + phase_ns) // TICK_NS
    tp.pending = kind
    tp.expires_j = expires_j = now_j + (after_j if after_j < RTO_MAX_JIFFIES else RTO_MAX_JIFFIES)
    tp.retransmit_ns = fires_ns(now_j, expires_j, phase_ns)


def disarm(tp: TcpState) -> None:
    """Clear the timer of the sending half."""
    tp.pending = TIMER_NONE
    tp.retransmit_ns = NEVER


def rto_delta_us(tp: TcpState, now_ns: int) -> int:
    """``tcp_rto_delta_us``: how far off the timeout of the first buffer in flight is."""
    return (tp.flight[0].t_ns - now_ns) // 1000 + tp.rto_j * TICK_US


def rearm(tp: TcpState, now_ns: int) -> None:
    """``tcp_rearm_rto``: set the retransmission timer, or clear it where nothing is in flight."""
    if not tp.packets_out:
        disarm(tp)
        return
    rto_j = tp.rto_j
    if tp.pending in {TIMER_REORDERING, TIMER_LOSS_PROBE}:
        rto_j = usecs_to_jiffies(max(rto_delta_us(tp, now_ns), 1))
    arm(tp, now_ns, TIMER_RTO, rto_j)


def schedule_loss_probe(tp: TcpState, now_ns: int, *, advancing: bool) -> bool:
    """``tcp_schedule_loss_probe``: set the tail-loss probe (RFC 8985, 7.2) where one may be sent.

    Args:
        tp: the endpoint.
        now_ns: the time.
        advancing: whether an acknowledgement has just restarted the timeout.

    Returns:
        Whether the timer is set.
    """
    if not tp.packets_out or not tp.sack_ok or (tp.ca_state and tp.ca_state != CA_CWR):
        return False
    if tp.srtt_us:
        timeout_us = tp.srtt_us >> 2
        if tp.packets_out == 1:
            timeout_us += tp.min_rto_us
        else:
            timeout_us += 2_000  # TCP_TIMEOUT_MIN_US
        timeout_j = -(-timeout_us // TICK_US)
    else:
        timeout_j = INITIAL_RTO_JIFFIES
    if advancing:
        delta_us = tp.rto_j * TICK_US
    else:
        delta_us = (tp.flight[0].t_ns - now_ns) // 1000 + tp.rto_j * TICK_US
    if 0 < delta_us < timeout_j * TICK_US:
        timeout_j = -(-delta_us // TICK_US)
    arm(tp, now_ns, TIMER_LOSS_PROBE, timeout_j)
    return True


def set_timer(tp: TcpState, now_ns: int) -> None:
    """``tcp_set_xmit_timer``: a loss probe where possible, else the retransmission timer."""
    if not schedule_loss_probe(tp, now_ns, advancing=True):
        rearm(tp, now_ns)
