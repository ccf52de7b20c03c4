"""Sending by a congestion window that counts bytes, as other stacks than Linux have it."""

from seglab.simulator import congestion, output, probing, rtt
from seglab.simulator.nagle import nagle
from seglab.simulator.state import (
    BUFFER_BYTES,
    CA_CWR,
    CA_RECOVERY,
    NAGLE_PUSH,
    Buffer,
    TcpState,
)


def xmit_bytes(tp: TcpState, now_ns: int, full: int, nonagle: int, *, forced: bool) -> bool:
    """Send as a stack does whose congestion window counts bytes (``personality.py``).

    The queue is one stream, without buffers. A segment leaves if all that waits fits into the
    window, or else if what fits is a full segment or half of the window (RFC 9293, 3.8.6.2.1); in
    a stack with whole segments, only if the next whole segment fits. Nagle's algorithm may hold a
    short one back, unless it ends the stream.
    """
    sent = 0
    while tp.queue:
        waiting = tp.queue[-1].end - tp.snd_nxt
        in_flight = tp.snd_nxt - tp.snd_una
        window = tp.settings.send_window_bytes or tp.cwnd * tp.mss
        room = min(window, tp.snd_wnd) - in_flight
        size = min(waiting, full)
        if size > room and not forced:
            if tp.whole_segments or 2 * room < window:
                break
            size = room
        last = size == waiting
        unforced = not nonagle & NAGLE_PUSH and not (last and tp.fin_queued)
        if size < full and unforced and nagle(tp, nonagle):
            break
        segment = _take(tp, size, last=last)
        output.emit(tp, now_ns, segment)
        output.sent_new(tp, now_ns, segment)
        if size < full:
            tp.snd_sml = tp.snd_nxt
        sent += 1
        if forced:
            break
    in_flight = tp.packets_out - tp.sacked_out - tp.lost_out + tp.retrans_out
    congestion.validate(tp, now_ns, limited=in_flight >= tp.cwnd or bool(tp.queue))
    if sent:
        if tp.ca_state in {CA_CWR, CA_RECOVERY}:
            tp.prr_out += sent
        if not forced:
            rtt.schedule_loss_probe(tp, now_ns, advancing=False)
        return False
    return not tp.packets_out and bool(tp.queue)


def _take(tp: TcpState, size: int, *, last: bool) -> Buffer:
    """Take ``size`` bytes from the head of the queue as one segment, and the FIN with the last."""
    segment = probing.taken(tp, size, keeps=False)
    if last and tp.queue:  # only a FIN is left
        segment.fin = tp.queue.pop(0).fin
        tp.wmem_queued -= BUFFER_BYTES
    return segment
