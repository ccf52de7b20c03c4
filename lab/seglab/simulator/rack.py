"""RACK: what is lost, told by time (RFC 8985).

A buffer is lost if one that was sent later has arrived, and the reordering window is over: nothing
at first, or a quarter of the shortest round trip as long as less than three segments have arrived
above a hole, and more after needless retransmissions.
"""

from typing import Final

from seglab.simulator import marks, rtt
from seglab.simulator.clock import usecs_to_jiffies
from seglab.simulator.state import (
    CA_RECOVERY,
    EVER_RETRANSMITTED,
    LOST,
    RETRANSMITTED,
    SACKED,
    TIMER_REORDERING,
    UNWATCHED,
    Buffer,
    TcpState,
)

RECOVERY_THRESHOLD: Final = 16  # TCP_RACK_RECOVERY_THRESH


def advance(tp: TcpState, now_ns: int, sacked: int, end_seq: int, sent_ns: int) -> None:
    """``tcp_rack_advance``: note the latest sent of what has arrived."""
    rtt_us = max((now_ns - sent_ns) // 1000, 0)
    if rtt_us < tp.min_rtt_us and sacked & (RETRANSMITTED | EVER_RETRANSMITTED):
        return
    tp.rack_advanced = True
    tp.rack_rtt_us = rtt_us
    tp.rack_ns, tp.rack_end = max((tp.rack_ns, tp.rack_end), (sent_ns, end_seq))


def _window_us(tp: TcpState) -> int:
    """``tcp_rack_reo_wnd``."""
    if not tp.reord_seen and (tp.ca_state >= CA_RECOVERY or tp.sacked_out >= tp.reordering):
        return 0
    return min((tp.min_rtt_us >> 2) * tp.rack_steps, tp.srtt_us >> 3)


def timeout_us(tp: TcpState, now_ns: int, buffer: Buffer, window_us: int) -> int:
    """``tcp_rack_skb_timeout``: how long a buffer may still be on its way."""
    return tp.rack_rtt_us + window_us - (now_ns - buffer.t_ns) // 1000


def detect(tp: TcpState, now_ns: int) -> int:
    """``tcp_rack_detect_loss``: mark what is lost; return in how many us to look again.

    What is found lost leaves the list of what was sent, until it is sent again. So it is not found
    again where ``tcp_undo_cwnd_reduction`` took the mark back.
    """
    window_us = _window_us(tp)
    wait_us = 0
    waiting = [
        one
        for one in tp.flight
        if not one.sacked & (SACKED | UNWATCHED) and one.sacked & (LOST | RETRANSMITTED) != LOST
    ]
    for one in sorted(waiting, key=lambda buffer: buffer.order):  # tsorted_sent_queue
        if (one.t_ns, one.end_seq) >= (tp.rack_ns, tp.rack_end):
            break
        left_us = timeout_us(tp, now_ns, one, window_us)
        if left_us <= 0:
            marks.mark_lost(tp, one)
            one.sacked |= UNWATCHED
        else:
            wait_us = max(wait_us, left_us)
    return wait_us


def mark_lost(tp: TcpState, now_ns: int) -> bool:
    """``tcp_mark_lost``: return whether the reordering timer was set."""
    if not tp.rack_advanced:
        return False
    tp.rack_advanced = False
    wait_us = detect(tp, now_ns)
    if not wait_us:
        return False
    rtt.arm(tp, now_ns, TIMER_REORDERING, usecs_to_jiffies(wait_us + 2_000))
    return True


def update_window(tp: TcpState) -> None:
    """``tcp_rack_update_reo_wnd``: more patience after needless retransmissions.

    It grows once a round trip at most: what an acknowledgement is about must have been sent after
    the last change. One that is about nothing but what came twice leaves the change to the next.
    """
    if not tp.rate_delivered:
        return
    if tp.rate_delivered < tp.rack_delivered:
        tp.dsack_seen = False
    if tp.dsack_seen:
        tp.rack_steps = min(tp.rack_steps + 1, 255)
        tp.dsack_seen = False
        tp.rack_delivered = tp.delivered
        tp.rack_persist = RECOVERY_THRESHOLD
    elif not tp.rack_persist:
        tp.rack_steps = 1
