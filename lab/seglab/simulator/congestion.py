"""The congestion window: slow start, Reno, how far it is used, and the restart after idle time."""

from typing import Final

from seglab.simulator import cubic
from seglab.simulator.clock import TICK_NS
from seglab.simulator.state import CA_CWR, CA_OPEN, CA_RECOVERY, INFINITE_SSTHRESH, TcpState

_GSO_MAX_BYTES: Final = 65_536 - 257
_TSO_RTT_LOG: Final = 9  # net.ipv4.tcp_tso_rtt_log
_TSO_SEGMENTS_MIN: Final = 2  # net.ipv4.tcp_min_tso_segs
_PACING_SHIFT: Final = 10  # sk_pacing_shift: a burst lasts a millisecond
INITIAL_SEGMENTS: Final = 10  # TCP_INIT_CWND


def reduced_ssthresh(tp: TcpState) -> int:
    """``ssthresh`` of the algorithm: what a loss makes of the window."""
    if tp.cubic is not None:
        return cubic.ssthresh(tp.cubic, tp.cwnd)
    return max(tp.cwnd >> 1, 2)


def undone_cwnd(tp: TcpState) -> int:
    """``undo_cwnd`` of the algorithm (Reno's): the window before a loss that was none."""
    return max(tp.cwnd, tp.prior_cwnd)


def current_ssthresh(tp: TcpState) -> int:
    """``tcp_current_ssthresh``: the threshold that keeps three quarters of the window."""
    if tp.ca_state in {CA_CWR, CA_RECOVERY}:
        return tp.ssthresh
    return max(tp.ssthresh, (tp.cwnd >> 1) + (tp.cwnd >> 2))


def cwnd_limited(tp: TcpState) -> bool:
    """``tcp_is_cwnd_limited``: whether the window, and not the program, sets the pace."""
    if tp.is_cwnd_limited:
        return True
    return tp.cwnd < tp.ssthresh and tp.cwnd < 2 * tp.max_packets_out


def avoid(tp: TcpState, now_ns: int, acked: int) -> None:
    """``cong_avoid`` of the algorithm: let the window grow by what was acknowledged.

    Args:
        tp: the endpoint.
        now_ns: the time.
        acked: how many segments were acknowledged.
    """
    if not cwnd_limited(tp):
        return
    cwnd = tp.cwnd
    if cwnd < tp.ssthresh:  # tcp_slow_start
        grown = cwnd + acked
        if grown > tp.ssthresh:
            grown = tp.ssthresh
        acked -= grown - cwnd
        tp.cwnd = cwnd = grown
        if not acked:
            return
    every = cwnd
    if tp.cubic is not None:
        every = cubic.update(tp.cubic, tp.jiffies(now_ns), cwnd, acked)
    additive(tp, every, acked)


def additive(tp: TcpState, every: int, acked: int) -> None:
    """``tcp_cong_avoid_ai``: one segment more for ``every`` acknowledged ones."""
    if tp.cwnd_cnt >= every:
        tp.cwnd_cnt = 0
        tp.cwnd += 1
    tp.cwnd_cnt += acked
    if tp.cwnd_cnt >= every:
        more = tp.cwnd_cnt // every
        tp.cwnd_cnt -= more * every
        tp.cwnd += more


def update_pacing_rate(tp: TcpState) -> None:
    """``tcp_update_pacing_rate``: bytes a second; it only sizes bursts, nothing is paced."""
    ratio = 200 if tp.cwnd < tp.ssthresh >> 1 else 120
    segments = tp.cwnd if tp.cwnd > tp.packets_out else tp.packets_out
    rate = tp.mss * 80_000 * ratio * segments  # 80 000: (10^6 / 100) << 3
    tp.pacing_rate = rate // tp.srtt_us if tp.srtt_us else rate


def first_pacing_rate(tp: TcpState) -> None:
    """The pacing rate from the acknowledgement of our SYN until the first one of data.

    ``tcp_rcv_synsent_state_process`` calls ``tcp_ack``, which sets it, before ``tcp_init_transfer``
    sets the initial window. So the rate is that of ``TCP_INIT_CWND``, whatever the route says.
    """
    cwnd, tp.cwnd = tp.cwnd, INITIAL_SEGMENTS
    update_pacing_rate(tp)
    tp.cwnd = cwnd


def burst_segments(tp: TcpState, mss: int) -> int:
    """``tcp_tso_segs``: segments for a millisecond at the pacing rate, more on a short path."""
    size = tp.pacing_rate >> _PACING_SHIFT
    steps = tp.min_rtt_us >> _TSO_RTT_LOG
    if steps < 32:
        size += _GSO_MAX_BYTES >> steps
    if size > _GSO_MAX_BYTES:
        size = _GSO_MAX_BYTES
    segments = size // mss
    return segments if segments > _TSO_SEGMENTS_MIN else _TSO_SEGMENTS_MIN


def validate(tp: TcpState, now_ns: int, *, limited: bool) -> None:
    """``tcp_cwnd_validate``: note whether the window was used to the full (RFC 7661).

    Args:
        tp: the endpoint.
        now_ns: the time.
        limited: whether it held something back just now.
    """
    if (
        limited
        or tp.snd_una >= tp.cwnd_usage_seq
        or (not tp.is_cwnd_limited and tp.packets_out > tp.max_packets_out)
    ):
        tp.is_cwnd_limited = limited
        tp.max_packets_out = tp.packets_out
        tp.cwnd_usage_seq = tp.snd_nxt
    now_j = (now_ns + tp.phase_ns) // TICK_NS
    if limited or cwnd_limited(tp):
        tp.cwnd_used = 0
        tp.cwnd_j = now_j
        return
    if tp.packets_out > tp.cwnd_used:
        tp.cwnd_used = tp.packets_out
    if tp.restarts_after_idle and now_j - tp.cwnd_j >= tp.rto_j:
        _application_limited(tp, now_j)


def _application_limited(tp: TcpState, now_j: int) -> None:
    """``tcp_cwnd_application_limited``: an unused window shrinks towards what was used."""
    if tp.ca_state == CA_OPEN and not tp.send_waits:
        used = max(tp.cwnd_used, tp.settings.initcwnd)
        if used < tp.cwnd:
            tp.ssthresh = current_ssthresh(tp)
            tp.cwnd = (tp.cwnd + used) >> 1
        tp.cwnd_used = 0
    tp.cwnd_j = now_j


def restart_after_idle(tp: TcpState, now_ns: int) -> None:
    """``tcp_slow_start_after_idle_check``: an idle connection begins again (RFC 5681, 4.1)."""
    if tp.packets_out or not tp.restarts_after_idle:
        return
    now_j = (now_ns + tp.phase_ns) // TICK_NS
    idle_j = now_j - tp.lsnd_j
    if idle_j <= tp.rto_j:
        return
    tp.ssthresh = current_ssthresh(tp)
    cwnd = tp.cwnd
    least = min(tp.settings.initcwnd, cwnd)
    idle_j -= tp.rto_j
    while idle_j > 0 and cwnd > least:
        cwnd >>= 1
        idle_j -= tp.rto_j
    tp.cwnd = max(cwnd, least)
    tp.cwnd_j = now_j
    tp.cwnd_used = 0


def begin(tp: TcpState) -> None:
    """``tcp_init_congestion_control``: choose the algorithm."""
    tp.cubic = cubic.Cubic() if tp.settings.congestion_control == "cubic" else None
    tp.ssthresh = INFINITE_SSTHRESH
