"""MTU probing: a larger segment now and then, to see whether the path takes it (RFC 4821).

``tcp_mtup_init`` and the search range are in ``mss.py``; what becomes of a probe is in ``acks.py``
(it arrived) and ``recovery.py`` (it was lost).
"""

from typing import Final

from seglab.simulator import mss, output
from seglab.simulator.clock import HZ
from seglab.simulator.state import (
    BUFFER_BYTES,
    CA_OPEN,
    Buffer,
    TcpState,
)

_PROBE_INTERVAL_J: Final = 600 * HZ  # net.ipv4.tcp_probe_interval
_PROBE_THRESHOLD: Final = 8  # net.ipv4.tcp_probe_threshold


def probe(tp: TcpState, now_ns: int) -> int:
    """``tcp_mtu_probe``: send a larger segment to see whether the path takes it (RFC 4821).

    The search begins at the MSS that the peer announced, which may be more than the host's own link
    takes. Such a probe never leaves, and its bytes are queued again.

    Returns:
        1 where a probe was sent, 0 where sending has to wait for one, -1 where none is due.
    """
    if tp.probe_size or tp.ca_state != CA_OPEN or tp.cwnd < 11 or tp.sacks or tp.dsack:
        return -1
    mss.current(tp, now_ns)
    size = mss.from_mtu(tp, (tp.search_high + tp.search_low) >> 1)
    needed = size + (tp.reordering + 1) * tp.mss
    if size > mss.from_mtu(tp, tp.search_high) or tp.search_high - tp.search_low < _PROBE_THRESHOLD:
        _reprobe(tp, now_ns)
        return -1
    if tp.write_seq - tp.snd_nxt < needed or tp.snd_wnd < needed:
        return -1
    if tp.snd_nxt + needed > tp.snd_una + tp.snd_wnd:
        return 0
    if tp.in_flight + 2 > tp.cwnd:
        return 0 if tp.in_flight else -1
    segment = taken(tp, size, keeps=True)
    if mss.to_mtu(tp, size) > tp.path_mtu:
        output.refused(tp, now_ns)
        tp.queue.insert(0, segment)
        return -1
    output.emit(tp, now_ns, segment)
    tp.cwnd -= 1
    output.sent_new(tp, now_ns, segment)
    tp.probe_size = mss.to_mtu(tp, segment.end - segment.start)
    tp.probe_start, tp.probe_end = segment.start, segment.end + segment.fin
    return 1


def taken(tp: TcpState, size: int, *, keeps: bool) -> Buffer:
    """Join the head of the queue to one segment of ``size`` bytes.

    Args:
        tp: the endpoint.
        size: how many bytes.
        keeps: whether a buffer of which a part is taken stays accounted with its whole memory, as
            in ``tcp_mtu_probe``, which calls ``__pskb_trim_head`` and corrects nothing.
    """
    queue = tp.queue
    segment = Buffer(queue[0].start, queue[0].start)
    segment.pcount = 1
    tp.wmem_queued += BUFFER_BYTES
    while segment.end - segment.start < size:
        head = queue[0]
        part = min(head.end - head.start, size - (segment.end - segment.start))
        segment.end += part
        head.start += part
        if head.start == head.end:
            segment.psh = segment.psh or head.psh
            segment.fin, segment.eor = head.fin, head.eor
            queue.pop(0)
            tp.wmem_queued -= BUFFER_BYTES + head.extra
        elif keeps:
            head.extra += part
            tp.wmem_queued += part
    return segment


def _reprobe(tp: TcpState, now_ns: int) -> None:
    """``tcp_mtu_check_reprobe``: search again after ten minutes."""
    now_j = tp.jiffies(now_ns)
    if now_j - tp.probe_j >= _PROBE_INTERVAL_J:
        tp.probe_size = 0
        tp.search_high = tp.mss_clamp + 20 + tp.ip_header_len
        tp.search_low = mss.to_mtu(tp, tp.mss)
        tp.probe_j = now_j
