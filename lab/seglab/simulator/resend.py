"""Sending again what is lost, cut at the MSS in force.

The path's MTU may have fallen since a buffer was first sent. Then ``tcp_fragment`` cuts it into
what fits and a rest; nothing joins the rest with another buffer, but for small ones
(``_collapse``).
"""

from seglab.simulator import congestion, marks, mss, output, rtt
from seglab.simulator.state import (
    BUFFER_BYTES,
    CA_CWR,
    CA_RECOVERY,
    EVER_RETRANSMITTED,
    LOST,
    RETRANSMITTED,
    SACKED,
    TIMER_REORDERING,
    TIMER_RTO,
    UNWATCHED,
    TcpState,
)


def retransmit(tp: TcpState, now_ns: int, index: int, segments: int) -> bool:
    """``__tcp_retransmit_skb``: send a buffer in flight again, cut at the MSS in force.

    Args:
        tp: the endpoint.
        now_ns: the time.
        index: of the buffer in ``flight``.
        segments: how many segments may leave.

    Returns:
        Whether something was sent.
    """
    tp.probe_size = 0
    buffer = tp.flight[index]
    if buffer.start < tp.snd_una:  # tcp_trim_head
        tp.wmem_queued -= tp.snd_una - buffer.start
        buffer.start = tp.snd_una
        if buffer.pcount > 1:
            buffer.count(buffer.mss)
    full = mss.current(tp, now_ns)
    window = tp.snd_una + tp.snd_wnd - buffer.start
    if window <= 0:
        if buffer.start != tp.snd_una:
            return False
        window = full
    size = full * segments
    if size > window:
        size = window - window % full or window
    if buffer.end - buffer.start > size:
        marks.fragment(tp, index, size, full)
    else:
        fewer = buffer.pcount
        buffer.count(full)
        fewer -= buffer.pcount
        if fewer:
            marks.adjust(tp, buffer, fewer)
        window = min(window, full)
        if buffer.end - buffer.start < window:
            _collapse(tp, index, window)
    tp.total_retrans += buffer.pcount
    output.emit(tp, now_ns, buffer, again=True)
    buffer.sacked = buffer.sacked & ~UNWATCHED | EVER_RETRANSMITTED
    return True


def send_again(tp: TcpState, now_ns: int, index: int, segments: int) -> bool:
    """``tcp_retransmit_skb``: send again, and count the copy as under way.

    An attempt that the window refuses counts for undoing as well.
    """
    sent = retransmit(tp, now_ns, index, segments)
    buffer = tp.flight[index]
    if sent:
        buffer.sacked |= RETRANSMITTED | EVER_RETRANSMITTED
        tp.retrans_out += buffer.pcount
    if tp.retrans_ns is None:
        tp.retrans_ns = buffer.t_ns
    tp.undo_retrans = max(tp.undo_retrans, 0) + buffer.pcount
    return sent


def _collapse(tp: TcpState, index: int, space: int) -> None:
    """``tcp_retrans_try_collapse``: small buffers behind it leave in the same segment."""
    to = tp.flight[index]
    space -= to.end - to.start
    if to.sacked & SACKED or to.pcount > 1:
        return
    while index + 1 < len(tp.flight):
        behind = tp.flight[index + 1]
        if behind.pcount > 1 or behind.sacked & SACKED or to.eor or to.fin:
            return
        space -= behind.end - behind.start
        if space < 0 or behind.end_seq > tp.snd_una + tp.snd_wnd:
            return
        to.end, to.fin, to.eor = behind.end, behind.fin, behind.eor
        to.psh = to.psh or behind.psh
        to.sacked |= behind.sacked & EVER_RETRANSMITTED
        marks.adjust(tp, behind, behind.pcount)
        if behind is tp.retransmit_hint:
            tp.retransmit_hint = to
        del tp.flight[index + 1]
        tp.wmem_queued -= BUFFER_BYTES + behind.extra


def retransmit_queue(tp: TcpState, now_ns: int) -> bool:
    """``tcp_xmit_retransmit_queue``: send what is lost again, as far as the window allows.

    It goes on where it was (``retransmit_skb_hint``), so what is lost in front of that waits for
    the next loss that moves the place back.

    Returns:
        Whether the head of the queue was sent again, which sets the timeout anew.
    """
    if not tp.packets_out:
        return False
    most = congestion.burst_segments(tp, mss.current(tp, now_ns))
    rearm = hole = False
    index = 0 if tp.retransmit_hint is None else tp.flight.index(tp.retransmit_hint)
    while index < len(tp.flight):
        buffer = tp.flight[index]
        if not hole:
            tp.retransmit_hint = buffer
        segments = min(tp.cwnd - tp.in_flight, most)
        if segments <= 0 or tp.retrans_out >= tp.lost_out:
            break
        if not buffer.sacked & (LOST | SACKED | RETRANSMITTED):
            hole = True
        elif buffer.sacked & (LOST | SACKED | RETRANSMITTED) == LOST:
            if tp.device_bytes and output.device_full(tp, buffer, 1):
                break
            if not send_again(tp, now_ns, index, segments):
                break
            if tp.ca_state in {CA_CWR, CA_RECOVERY}:
                tp.prr_out += buffer.pcount
            if index == 0 and tp.pending != TIMER_REORDERING:
                rearm = True
        index += 1
    if rearm:
        rtt.arm(tp, now_ns, TIMER_RTO, tp.rto_j)
    return rearm
