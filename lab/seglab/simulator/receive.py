"""The receive queue: what a segment brings, in order or not, and what the program reads of it.

``data`` takes a segment's bytes. What is in order advances ``rcv_nxt``; what is not goes to ``ooo``
and into a SACK block. Every segment leaves a note in ``ack_pending`` that an acknowledgement is
owed; when it is sent is the matter of ``acknowledging.py``, and what window it offers that of
``window.py``.

The memory of what waits to be read decides which window can be offered. A segment that follows its
predecessor in the queue may be joined to it, and then takes less (``_joined``).

What this ignores: memory pressure, urgent data and SO_RCVLOWAT.
"""

from typing import Final

from seglab.simulator import acknowledging, output, window
from seglab.simulator.clock import TICK_NS
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.state import (
    ACK_NOW,
    ACK_PUSHED,
    ACK_PUSHED2,
    ACK_SCHEDULED,
    DEFAULT_MSS,
    Received,
    TcpState,
)

_SACK_BLOCKS: Final = 4  # TCP_NUM_SACKS
_SACK_BLOCKS_EXPECTED: Final = 2  # TCP_SACK_BLOCKS_EXPECTED
_MSS_MIN: Final = 88  # TCP_MIN_MSS


def data(tp: TcpState, now_ns: int, seg: TcpSegment) -> None:
    """``tcp_data_queue``: take the bytes and the FIN of a segment."""
    start, end_seq = seg.start, seg.end + seg.fin
    if start == tp.rcv_nxt:
        if tp.rcv_wup + tp.rcv_wnd <= start and end_seq > start:
            _out_of_window(tp)
            return
    elif end_seq <= tp.rcv_nxt:
        if end_seq > start:
            tp.dsack = (start, end_seq) if tp.sack_ok else None
        _out_of_window(tp)
        return
    elif start > tp.rcv_nxt:
        _out_of_order(tp, now_ns, seg)
        return
    else:
        tp.dsack = (start, tp.rcv_nxt) if tp.sack_ok else None
    _in_order(tp, now_ns, seg, end_seq)


def _in_order(tp: TcpState, now_ns: int, seg: TcpSegment, end_seq: int) -> None:
    size = seg.end - seg.start
    if seg.fin:
        tp.peer_fin_end = end_seq
    tp.rcv_nxt = end_seq
    if size:
        frame = size + tp.ip_header_len + tp.header_len
        memory = window.truesize(frame)
        if _queue(tp, Received(seg.start, seg.end, memory, window.tail_room(frame, memory))):
            tp.rmem_alloc += memory
        _received(tp, now_ns, seg, size, memory)
    if tp.ooo:
        _fill(tp)
    if tp.peer_fin_end == tp.rcv_nxt and not tp.peer_closed:
        _fin(tp)


def _queue(tp: TcpState, new: Received) -> bool:
    """``tcp_queue_rcv``: add a segment to what can be read; return whether it takes memory there.

    It takes none where it is joined to the last one.
    """
    queue = tp.received
    if queue and queue[-1].end == new.start and _joined(queue[-1], new):
        return False
    queue.append(new)
    return True


def _joined(last: Received, new: Received) -> bool:
    """``tcp_try_coalesce``: join a segment to the one before it, if ``skb_try_coalesce`` can.

    What fits into the room behind the last one is copied there, and its own memory is free. All
    frames lie in one piece, which is nobody else's to take, so nothing else is joined.
    """
    size = new.end - new.start
    if size > last.room:
        return False
    last.room -= size
    last.end = new.end
    return True


def _received(tp: TcpState, now_ns: int, seg: TcpSegment, size: int, memory: int) -> None:
    """``tcp_event_data_recv``: what a segment in order says about the peer's pace."""
    tp.ack_pending |= ACK_SCHEDULED
    _measure(tp, seg, size, memory)
    window.receiver_rtt_by_window(tp, now_ns)
    now_j = (now_ns + tp.phase_ns) // TICK_NS
    if tp.delack_fixed_j:
        tp.ato_j = tp.delack_fixed_j
        tp.pingpong = 1
    elif not tp.ato_j:
        acknowledging.more_quick_acks(tp, acknowledging.QUICKACKS_MAX)
        tp.ato_j = acknowledging.ATO_MIN
    else:
        gap = now_j - tp.lrcv_j
        if gap <= acknowledging.ATO_MIN // 2:
            tp.ato_j = (tp.ato_j >> 1) + acknowledging.ATO_MIN // 2
        elif gap < tp.ato_j:
            ato = ((tp.ato_j >> 1) + gap) & acknowledging.ATO_MASK
            tp.ato_j = ato if ato <= tp.rto_j else tp.rto_j & acknowledging.ATO_MASK
        elif gap > tp.rto_j:
            acknowledging.more_quick_acks(tp, acknowledging.QUICKACKS_MAX)
    tp.lrcv_j = now_j
    if size >= 128:
        window.grow(tp, size, memory)


def duplicate(tp: TcpState, start: int, end_seq: int) -> None:
    """``tcp_send_dupack``: note what came twice, for a duplicate SACK (RFC 2883)."""
    acknowledging.enter_quick_acks(tp)
    if tp.sack_ok:
        tp.dsack = (start, min(end_seq, tp.rcv_nxt))


def _out_of_window(tp: TcpState) -> None:
    acknowledging.enter_quick_acks(tp)
    tp.ack_pending |= ACK_SCHEDULED


def _measure(tp: TcpState, seg: TcpSegment, size: int, memory: int) -> None:
    """``tcp_measure_rcv_mss``: guess the peer's full segment, and notice the ends of its writes."""
    last = tp.last_seg_size
    tp.last_seg_size = 0
    if size >= tp.rcv_mss:
        if size != tp.rcv_mss:
            ratio = tp.scaling_ratio
            tp.scaling_ratio = min((size << 8) // memory, 255) or 1
            if ratio != tp.scaling_ratio:
                window.clamp(tp, window.from_space(tp, tp.rcvbuf))
                tp.space = min(tp.space, tp.window_clamp)
        tp.rcv_mss = size if size < tp.advmss else tp.advmss
        if seg.psh:
            tp.ack_pending |= ACK_PUSHED
        return
    with_header = size + 20 + (tp.option_len if seg.ts_val != NO_STAMP else 0)
    if with_header >= DEFAULT_MSS + 20 or (
        with_header >= _MSS_MIN + 20 and not (seg.psh or seg.fin)
    ):
        tp.last_seg_size = with_header - tp.header_len
        if tp.last_seg_size == last:
            tp.rcv_mss = last
            return
    if tp.ack_pending & ACK_PUSHED:
        tp.ack_pending |= ACK_PUSHED2
    tp.ack_pending |= ACK_PUSHED


def _fin(tp: TcpState) -> None:
    """``tcp_fin``: the peer is done. Its FIN is acknowledged with our own, or soon.

    Nothing is missing any more, and what came twice is not reported (``tcp_sack_reset``).
    """
    tp.peer_closed = True
    tp.sacks = []
    tp.dsack = None
    tp.ack_pending |= ACK_SCHEDULED
    if tp.fin_queued:
        tp.ack_pending |= ACK_NOW
    else:
        tp.pingpong = 1


def _out_of_order(tp: TcpState, now_ns: int, seg: TcpSegment) -> None:
    """``tcp_data_queue_ofo``: keep what came too early, and tell the peer which it is."""
    tp.ack_pending |= ACK_SCHEDULED
    start, end = seg.start, seg.end + seg.fin
    if seg.fin:
        tp.peer_fin_end = end
    size = seg.end - seg.start
    frame = size + tp.ip_header_len + tp.header_len
    memory = window.truesize(frame)
    _measure(tp, seg, size, memory)
    blocks = bool(tp.ooo)
    at = len(tp.ooo)
    while at and tp.ooo[at - 1].start > start:
        at -= 1
    new = Received(start, end, memory, window.tail_room(frame, memory))
    last = tp.ooo[at - 1] if at else None
    covered = last is not None and end <= last.end
    joined = last is not None and start == last.end and _joined(last, new)
    if covered:
        tp.dsack = (start, end) if tp.sack_ok else None
    elif not joined:
        _insert_early(tp, new, at)
    if tp.sack_ok:
        if blocks:
            _new_sack(tp, now_ns, start, end)
        else:
            tp.sacks = [(start, end)]
        if not covered:
            window.grow(tp, size, memory if size or not joined else 0)  # truesize_adjust
    if not (covered or joined):
        tp.rmem_alloc += memory
    window.grow_buffer(tp, tp.space)


def _insert_early(tp: TcpState, new: Received, at: int) -> None:
    """Put a segment at its place among the early ones; those that it covers are not needed."""
    early = tp.ooo
    if at and new.start < early[at - 1].end:
        if new.start > early[at - 1].start:
            tp.dsack = (new.start, early[at - 1].end) if tp.sack_ok else None
        else:
            at -= 1
            _drop_early(tp, at)
    early.insert(at, new)
    while at + 1 < len(early) and early[at + 1].start < new.end:
        following = early[at + 1]
        if new.end < following.end:
            _extend_dsack(tp, following.start, new.end)
            break
        _drop_early(tp, at + 1)


def _drop_early(tp: TcpState, at: int) -> None:
    """Drop a segment of the queue of early ones, all of which has come again."""
    gone = tp.ooo.pop(at)
    tp.rmem_alloc -= gone.memory
    _extend_dsack(tp, gone.start, gone.end)


def _new_sack(tp: TcpState, now_ns: int, start: int, end: int) -> None:
    """``tcp_sack_new_ofo_skb``: the block of the latest segment comes first (RFC 2018, 4).

    An acknowledgement that is held back leaves before a third block is made or changed.
    """
    low, high = start, end
    rest = []
    before = _SACK_BLOCKS
    for at, (left, right) in enumerate(tp.sacks):
        if right < low or left > high:
            rest.append((left, right))
        else:
            before = min(before, at)
            low, high = min(low, left), max(high, right)
    if tp.compressed_ack and min(before, len(tp.sacks)) >= _SACK_BLOCKS_EXPECTED:
        output.ack(tp, now_ns)
    tp.sacks = [(low, high), *rest][:_SACK_BLOCKS]


def _fill(tp: TcpState) -> None:
    """``tcp_ofo_queue``: what came too early may be in order now, and some of it came twice."""
    twice_end = tp.rcv_nxt
    while tp.ooo and tp.ooo[0].start <= tp.rcv_nxt:
        early = tp.ooo.pop(0)
        start, end = early.start, early.end
        if start < twice_end:
            _extend_dsack(tp, start, twice_end)
            twice_end = min(twice_end, end)
        if end <= tp.rcv_nxt:
            tp.rmem_alloc -= early.memory
            continue
        early.end -= end == tp.peer_fin_end
        if not _queue(tp, early):
            tp.rmem_alloc -= early.memory
        tp.rcv_nxt = end
    if not tp.ooo:
        tp.ack_pending |= ACK_NOW  # RFC 5681, 4.2: at once when a gap is filled
    tp.sacks = [block for block in tp.sacks if block[1] > tp.rcv_nxt]


def _extend_dsack(tp: TcpState, start: int, end: int) -> None:
    """``tcp_dsack_extend``: report that a range came twice, with what is to be reported already."""
    reported = tp.dsack
    if not tp.sack_ok:
        return
    if reported is None:
        tp.dsack = (start, end)
    elif start <= reported[1] and reported[0] <= end:
        tp.dsack = (min(start, reported[0]), max(end, reported[1]))


def read(tp: TcpState, now_ns: int, limit: int) -> int:
    """``tcp_recvmsg_locked``: take up to ``limit`` bytes; return how many there were.

    Segments are taken one by one, and the buffer is measured behind each: behind the first one of
    a burst, the others still wait.
    """
    size = tp.rcv_nxt - tp.peer_closed - tp.copied_seq
    if size <= 0:
        return 0
    if size > limit:
        size = limit
    until = tp.copied_seq + size
    while tp.copied_seq < until:
        first = tp.received[0]
        whole = first.end <= until
        tp.copied_seq = first.end if whole else until
        window.adjust_space(tp, now_ns)
        if whole:
            tp.rmem_alloc -= first.memory
            del tp.received[0]
    return size
