"""The sending half: what of the queue may leave now.

Theory of operation
-------------------
A write (``writing.py``) and an acknowledgement (``acks.py``) both come to ``write_xmit``, which
sends from the head of the queue as long as all of these allow it:

    may more be in flight?                              tcp_cwnd_test, and send_window_bytes
    does the peer's window take it?                     tcp_snd_wnd_test
    one segment: does Nagle's algorithm hold it back?   tcp_nagle_test
    several: is it better to wait for an ack?           tcp_tso_should_defer
    how much of the buffer leaves now?                  tcp_mss_split_point

Nagle's algorithm is Minshall's variant: a partial segment waits while an earlier *small* one is
unacknowledged (``snd_sml``), not while anything is.

How a buffer leaves is in ``output.py``.
"""

from typing import Final

from seglab.simulator import byte_window, congestion, mss, output, probing, rtt
from seglab.simulator.clock import HZ
from seglab.simulator.nagle import nagle
from seglab.simulator.state import (
    BUFFER_BYTES,
    CA_CWR,
    CA_RECOVERY,
    NAGLE_PUSH,
    TIMER_NONE,
    TIMER_WINDOW_PROBE,
    Buffer,
    TcpState,
)

_DEFER_NS: Final = 1_000_000  # tcp_tso_should_defer: what counts as recent, and as near
_WIN_DIVISOR: Final = 3  # net.ipv4.tcp_tso_win_divisor

_RTO_MIN_J: Final = HZ // 5


def push_pending(tp: TcpState, now_ns: int) -> None:
    """``tcp_push_pending_frames``: send what may leave, by the socket's own options."""
    if tp.queue:
        push_frames(tp, now_ns, mss.current(tp, now_ns), tp.nonagle)


def push_frames(tp: TcpState, now_ns: int, full: int, nonagle: int) -> None:
    """``__tcp_push_pending_frames``: where nothing may leave, a timer tries again."""
    if write_xmit(tp, now_ns, full, nonagle) and tp.pending == TIMER_NONE:
        rtt.arm(tp, now_ns, TIMER_WINDOW_PROBE, max(tp.rto_j, _RTO_MIN_J))


def probe_wait_j(tp: TcpState) -> int:
    """``tcp_probe0_when``: in how many jiffies to probe a closed window the next time."""
    return min(max(tp.rto_j, _RTO_MIN_J) << tp.backoff, rtt.RTO_MAX_JIFFIES)


def write_xmit(tp: TcpState, now_ns: int, full: int, nonagle: int, push_one: int = 0) -> bool:
    """``tcp_write_xmit``: send from the head of the queue what may be sent.

    Args:
        tp: the endpoint.
        now_ns: the time.
        full: the MSS.
        nonagle: bits ``NAGLE_*``.
        push_one: 0 for as much as may be, 1 for one buffer, 2 for a loss probe, which may exceed
            the congestion window.

    Returns:
        Whether something is queued, nothing is in flight, and nothing was sent.
    """
    if tp.counts_bytes:
        return byte_window.xmit_bytes(tp, now_ns, full, nonagle, forced=push_one == 2)
    queue = tp.queue
    sent = 0
    if tp.probing and not push_one:
        probed = probing.probe(tp, now_ns)
        if probed == 0:
            return False
        sent = max(probed, 0)
    limited = False
    most = congestion.burst_segments(tp, full)
    window_end = tp.snd_una + tp.snd_wnd
    cwnd = tp.cwnd
    while queue:
        head = queue[0]
        in_flight = tp.packets_out - tp.sacked_out - tp.lost_out + tp.retrans_out
        if in_flight >= cwnd:
            if push_one != 2:
                break
            quota = 1
        else:
            quota = cwnd - in_flight  # tcp_cwnd_test: at least two bursts a window
            if quota > cwnd >> 1:
                quota = cwnd >> 1 or 1
            if quota > most:
                quota = most
        size = head.end - head.start
        last = len(queue) == 1
        if not last and size < quota * full:
            size = _grow(tp, head, quota * full - size)
            last = len(queue) == 1
        if size <= full:
            head.pcount, head.mss = 1, 0
        else:
            head.pcount, head.mss = -(-size // full), full
        first = head.start + (size + head.fin if size <= full else full)
        if first > window_end:
            break
        limit = full
        if head.pcount == 1:
            if (
                last
                and size < full
                and not nonagle & NAGLE_PUSH
                and not head.fin
                and nagle(tp, nonagle)
            ):
                break
        else:
            if not push_one:
                defers, cwnd_bound = _defers(tp, now_ns, head, most, last=last)
                if defers:
                    limited = cwnd_bound
                    break
            limit = _split_point(tp, head, full, quota, nonagle, last=last)
        if size > limit:
            split(tp, head, limit, full)
        if head.end + head.fin == head.start:
            break
        if tp.device_bytes and output.device_full(tp, head, 0):
            break
        del queue[0]
        output.emit(tp, now_ns, head)
        output.sent_new(tp, now_ns, head)
        if head.end - head.start < head.pcount * full:  # tcp_minshall_update
            tp.snd_sml = head.end + head.fin
        sent += head.pcount
        if push_one:
            break
    in_flight = tp.packets_out - tp.sacked_out - tp.lost_out + tp.retrans_out
    limited = limited or in_flight >= cwnd
    if sent or limited:
        congestion.validate(tp, now_ns, limited=limited)
    if sent:
        if tp.ca_state in {CA_CWR, CA_RECOVERY}:
            tp.prr_out += sent
        if push_one != 2:
            rtt.schedule_loss_probe(tp, now_ns, advancing=False)
        return False
    return not tp.packets_out and bool(queue)


def _defers(tp: TcpState, now_ns: int, head: Buffer, most: int, *, last: bool) -> tuple[bool, bool]:
    """``tcp_tso_should_defer``: whether to wait for an acknowledgement that must be near.

    Returns:
        Whether to wait, and whether that is because of the congestion window.
    """
    if tp.ca_state >= CA_RECOVERY or now_ns - tp.wstamp_ns > _DEFER_NS:
        return False, False
    size = head.end - head.start
    send_window = tp.snd_una + tp.snd_wnd - head.start
    window = (tp.cwnd - tp.in_flight) * tp.mss
    limit = min(send_window, window)
    if (
        limit >= most * tp.mss
        or (not last and limit >= size)
        or limit >= min(tp.snd_wnd, tp.cwnd * tp.mss) // _WIN_DIVISOR
        or not tp.flight
    ):
        return False, False
    srtt_ns = tp.srtt_us * 125
    expected_in_ns = tp.flight[0].t_ns + srtt_ns - now_ns
    if expected_in_ns > min(srtt_ns >> 1, _DEFER_NS):
        return False, False
    if window < send_window:
        if window <= size:
            return True, True
    elif send_window <= size:
        return True, False
    return not (head.fin or head.eor), False


def _split_point(
    tp: TcpState, head: Buffer, full: int, quota: int, nonagle: int, *, last: bool
) -> int:
    """``tcp_mss_split_point``: how many bytes of a buffer leave, perhaps with a partial segment."""
    window = tp.snd_una + tp.snd_wnd - head.start
    most = full * quota
    if most <= window and not last:
        return most
    needed = min(head.end - head.start, window)
    if most <= needed:
        return most
    partial = needed % full
    if partial and nagle(tp, nonagle):
        return needed - partial
    return needed


def _grow(tp: TcpState, head: Buffer, missing: int) -> int:
    """``tcp_grow_skb``: fill the head up from the buffer behind it; return its size."""
    behind = tp.queue[1]
    if not head.eor:
        taken = min(missing, behind.end - behind.start)
        head.end += taken
        behind.start += taken
        if taken and behind.start == behind.end:
            head.fin = behind.fin
            head.psh = head.psh or behind.psh
            head.eor = behind.eor
            del tp.queue[1]
            tp.wmem_queued -= BUFFER_BYTES + behind.extra
    return head.end - head.start


def split(tp: TcpState, head: Buffer, limit: int, full: int) -> None:
    """``tso_fragment``: cut the head; PSH and FIN go with the second part."""
    rest = Buffer(head.start + limit, head.end, head.fin)
    rest.psh, rest.eor = head.psh, head.eor
    rest.count(full)
    head.end = rest.start
    head.fin = 0
    head.psh = head.eor = False
    head.count(full)
    tp.queue.insert(1, rest)
    tp.wmem_queued += BUFFER_BYTES
