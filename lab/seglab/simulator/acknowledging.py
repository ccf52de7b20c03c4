"""When the receiving half acknowledges.

Every segment leaves a note in ``ack_pending`` that an acknowledgement is owed, and ``owes_ack``
decides whether it is sent at once (``__tcp_ack_snd_check``):

    at once    more than one full segment is unacknowledged, and the window can open again
    at once    the connection is in quick-ack mode and is no dialogue (``pingpong``)
    at once    a gap has just been filled, or the segment was out of order (at first)
    later      the delayed-ack timer is set: ``ato_j``, 40 ms at first

A program that answers within ``ato_j`` of what it read makes the connection a dialogue, and then
acknowledgements wait for the next answer (``tcp_event_data_sent``). A program that reads may send
an acknowledgement as well (``cleanup``): where a short segment ended what was read, or where the
window at least doubles.
"""

from typing import Final

from seglab.simulator import window
from seglab.simulator.clock import HZ, NEVER, TICK_NS, fires_ns, usecs_to_jiffies
from seglab.simulator.mss import sack_bytes
from seglab.simulator.state import (
    ACK_NOW,
    ACK_PUSHED,
    ACK_PUSHED2,
    ACK_SCHEDULED,
    ACK_TIMER,
    TcpState,
)

QUICKACKS_MAX: Final = 16  # TCP_MAX_QUICKACKS
ATO_MIN: Final = HZ // 25  # TCP_ATO_MIN and TCP_DELACK_MIN: 40 ms
DELACK_MAX: Final = HZ // 5  # TCP_DELACK_MAX: 200 ms
ATO_MASK: Final = 0xFF  # ATO_BITS: the kernel keeps ato in eight bits, and what is more is lost
_DELACK_MOST: Final = HZ // 5 - 1  # tcp_delack_max: a jiffy less than the least timeout
_COMPRESSED_MAX: Final = 44  # net.ipv4.tcp_comp_sack_nr
_COMPRESSED_NS: Final = 1_000_000  # net.ipv4.tcp_comp_sack_delay_ns
_DUP_ACKS_AT_ONCE: Final = 3  # TCP_FASTRETRANS_THRESH


def more_quick_acks(tp: TcpState, most: int) -> None:
    """``tcp_incr_quickack``: acknowledge the next segments one by one."""
    count = tp.rcv_wnd // (2 * tp.rcv_mss) or 2
    tp.quick = max(tp.quick, min(count, most))


def enter_quick_acks(tp: TcpState) -> None:
    """``tcp_enter_quickack_mode``: the peer needs acknowledgements now."""
    more_quick_acks(tp, QUICKACKS_MAX)
    tp.pingpong = 0
    tp.ato_j = ATO_MIN


def owes_ack(tp: TcpState, now_ns: int) -> bool:
    """``__tcp_ack_snd_check``: whether to acknowledge now; otherwise a timer is set."""
    if (
        (
            tp.rcv_nxt - tp.rcv_wup > tp.rcv_mss
            and (tp.rcv_nxt - tp.copied_seq < 1 or window.free(tp) >= tp.rcv_wnd)
        )
        or (tp.quick and not tp.pingpong)
        or tp.ack_pending & ACK_NOW
    ):
        return True
    if not tp.ooo:
        return delay_ack(tp, now_ns)
    if not tp.sack_ok or tp.compressed_ack >= _COMPRESSED_MAX:
        return True
    if tp.compressed_rcv_nxt != tp.rcv_nxt:
        tp.compressed_rcv_nxt = tp.rcv_nxt
        tp.dup_acks = 0
    if tp.dup_acks < _DUP_ACKS_AT_ONCE:
        tp.dup_acks += 1
        return True
    tp.compressed_ack += 1
    if tp.compressed_ns == NEVER:
        rtt = tp.rcv_rtt_us
        if tp.srtt_us and tp.srtt_us < rtt:
            rtt = tp.srtt_us
        tp.compressed_ns = now_ns + min(_COMPRESSED_NS, rtt * 125 // 20)
    return False


def delay_ack(tp: TcpState, now_ns: int) -> bool:
    """``tcp_send_delayed_ack``: set the timer; return whether to acknowledge now after all."""
    ato = tp.ato_j
    if ato > ATO_MIN and not tp.delack_fixed_j:
        most = HZ // 2
        if tp.pingpong or tp.ack_pending & ACK_PUSHED:
            most = DELACK_MAX
        if tp.srtt_us:
            most = min(most, max(usecs_to_jiffies(tp.srtt_us >> 3), ATO_MIN))
        ato = min(ato, most)
    if ato > _DELACK_MOST and not tp.delack_fixed_j:
        ato = _DELACK_MOST
    now_j = (now_ns + tp.phase_ns) // TICK_NS
    timeout = now_j + ato
    if tp.ack_pending & ACK_TIMER:
        if tp.delack_j <= now_j + (ato >> 2):
            return True
        timeout = min(timeout, tp.delack_j)
    tp.ack_pending |= ACK_SCHEDULED | ACK_TIMER
    tp.delack_j = timeout
    tp.delack_ns = fires_ns(now_j, timeout, tp.phase_ns)
    return False


def ack_sent(tp: TcpState) -> None:
    """``tcp_event_ack_sent``: a segment with an acknowledgement has left."""
    if tp.quick and tp.ack_pending & ACK_SCHEDULED:
        tp.quick -= 1
        if not tp.quick:
            tp.ato_j = ATO_MIN
    tp.ack_pending = 0
    tp.delack_ns = NEVER
    if tp.compressed_ack:
        tp.compressed_ack = 0
        tp.compressed_ns = NEVER


def delayed_ack_due(tp: TcpState) -> bool:
    """``tcp_delack_timer_handler``: whether the timer's acknowledgement is still owed."""
    tp.delack_ns = NEVER
    if not tp.ack_pending & ACK_TIMER:
        return False
    tp.ack_pending &= ~ACK_TIMER
    if not tp.ack_pending & ACK_SCHEDULED:
        return False
    if tp.pingpong:
        tp.pingpong = 0
        tp.ato_j = ATO_MIN  # a personality sets its own again with the next segment
    else:
        tp.ato_j = min(tp.ato_j << 1, tp.rto_j) & ATO_MASK
    return True


def sack_blocks(tp: TcpState) -> tuple[tuple[int, int], ...]:
    """Return the blocks of the next SACK option; a duplicate that came in is the first of them."""
    room = (sack_bytes(tp) - 4) // 8
    blocks = ([tp.dsack] if tp.dsack else []) + tp.sacks
    return tuple(blocks[:room]) if room > 0 else ()


def cleanup(tp: TcpState, copied: int) -> bool:
    """``tcp_cleanup_rbuf``: whether a read of ``copied`` bytes is to be followed by an ack."""
    if tp.ack_pending & ACK_SCHEDULED and (
        tp.rcv_nxt - tp.rcv_wup > tp.rcv_mss
        or (
            copied > 0
            and (tp.ack_pending & ACK_PUSHED2 or (tp.ack_pending & ACK_PUSHED and not tp.pingpong))
            and not tp.rmem_alloc
        )
    ):
        return True
    if copied > 0 and not tp.peer_closed:
        left = window.offered(tp)
        if 2 * left <= tp.window_clamp:
            wider = window.free(tp)
            return bool(wider) and wider >= 2 * left
    return False
