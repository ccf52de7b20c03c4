"""What a block of an acknowledgement marks: ``tcp_sacktag_walk`` and ``tcp_shift_skb_data``.

A buffer that a block covers is marked ``SACKED``. One that it covers in part is cut in full
segments first. Where the buffer in front of it is marked already and has segments of the same size,
the bytes join that buffer, which frees memory of the send buffer.
"""

from typing import Final

from seglab.simulator import marks, rack
from seglab.simulator.recovery import DATA_SACKED, ORIG_SACK_ACKED
from seglab.simulator.state import (
    BUFFER_BYTES,
    EVER_RETRANSMITTED,
    LOST,
    RETRANSMITTED,
    SACKED,
    Buffer,
    TcpState,
)

NO_SEQ: Final = 1 << 62
_MATCH: Final = -1  # the buffer is marked as it is
_NOTHING: Final = -2  # too little of it is covered


class Sacked:
    """What the SACK blocks of one acknowledgement told (``struct tcp_sacktag_state``).

    Attributes:
        flag: what it is, in the words of ``recovery.py``.
        reord: from where on buffers arrived that were sent before others that had arrived.
        first_ns: when the first one of the buffers was sent that arrived; -1 without one.
        last_ns: when the last one of them was.
        delivered: how many segments arrived.
    """

    __slots__ = ("delivered", "first_ns", "flag", "last_ns", "reord")

    def __init__(self) -> None:
        self.flag = 0
        self.reord = NO_SEQ
        self.first_ns = -1
        self.last_ns = -1
        self.delivered = 0


def tag_range(
    tp: TcpState,
    now_ns: int,
    low: int,
    start: int,
    end: int,
    state: Sacked,
    *,
    dsack: bool,
    twice: tuple[int, int] | None = None,
) -> None:
    """``tcp_sacktag_walk``: mark the buffers of one block.

    Args:
        tp: the endpoint.
        now_ns: the time.
        low: buffers that end here or before are passed over.
        start: where the block begins.
        end: where it ends.
        state: what the acknowledgement told.
        dsack: whether the block reports what came twice.
        twice: the range that a later block of the same acknowledgement reports as come twice.
    """
    index = 0
    while index < len(tp.flight):
        buffer = tp.flight[index]
        if buffer.start >= end:
            return
        if buffer.end_seq <= low:
            index += 1
            continue
        if twice is not None and buffer.start < twice[1] and _match(tp, index, twice[0], twice[1]):
            _mark(tp, now_ns, index, state, dsack=True)
            index += 1
            continue
        index = _shift_or_mark(tp, now_ns, index, start, end, state, dsack=dsack)


def _shift_or_mark(
    tp: TcpState, now_ns: int, index: int, start: int, end: int, state: Sacked, *, dsack: bool
) -> int:
    """Join a buffer with the one in front of it, or mark it; return which buffer is the next."""
    size = _shiftable(tp, index, start, end, dsack=dsack)
    if size == _NOTHING:
        return index + 1
    if size == _MATCH:
        if _match(tp, index, start, end):
            _mark(tp, now_ns, index, state, dsack=dsack)
        return index + 1
    front, buffer = tp.flight[index - 1], tp.flight[index]
    step = _segment(buffer)
    whole = size == buffer.end - buffer.start
    count = buffer.pcount if whole else size // step
    low = buffer.start
    _tag_one(tp, now_ns, buffer, state, low, low + size, count, dsack=dsack)
    if not _shift(tp, index, size, count, step):
        return index
    if index < len(tp.flight):
        behind = tp.flight[index]
        if (
            behind.end > behind.start
            and behind.sacked & (SACKED | RETRANSMITTED | LOST) == SACKED
            and _segment(behind) == step
            and not front.eor
        ):
            _shift(tp, index, behind.end - behind.start, behind.pcount, step)
    return index


def _segment(buffer: Buffer) -> int:
    """``tcp_skb_seglen``: the bytes of a segment of a buffer."""
    return buffer.mss if buffer.pcount > 1 else buffer.end - buffer.start


def _shiftable(tp: TcpState, index: int, start: int, end: int, *, dsack: bool) -> int:
    """``tcp_shift_skb_data``: how many bytes of a buffer may join the one in front of it.

    Returns:
        ``_MATCH`` where it is marked as it is, and ``_NOTHING`` where the block covers too little.
    """
    buffer = tp.flight[index]
    size = buffer.end - buffer.start
    sacked = buffer.sacked & (LOST | RETRANSMITTED)
    if index == 0 or not size or buffer.end_seq <= tp.snd_una:
        return _MATCH
    if not dsack and sacked == RETRANSMITTED:
        return _MATCH
    front = tp.flight[index - 1]
    if front.sacked & (SACKED | RETRANSMITTED | LOST) != SACKED or front.eor:
        return _MATCH
    step = _segment(buffer)
    if start > buffer.start or end < buffer.end_seq:
        if buffer.end_seq <= start or buffer.pcount <= 1:
            return _NOTHING
        if start > buffer.start:
            return _MATCH
        size = (end - buffer.start) // step * step
        if _segment(front) == step and not size:
            return _NOTHING
    if _segment(front) != step or buffer.start + size <= tp.snd_una:
        return _MATCH
    return size


def _shift(tp: TcpState, index: int, size: int, count: int, step: int) -> bool:
    """``tcp_shifted_skb``: move bytes to the buffer in front; return whether all have moved."""
    front, buffer = tp.flight[index - 1], tp.flight[index]
    front.end += size
    buffer.start += size
    front.pcount += count
    buffer.pcount -= count
    front.mss = front.mss or step
    if buffer.pcount <= 1:
        buffer.mss = 0
    front.sacked |= buffer.sacked & EVER_RETRANSMITTED
    if buffer.end > buffer.start:
        return False
    if buffer is tp.retransmit_hint:
        tp.retransmit_hint = front
    front.psh = front.psh or buffer.psh
    front.eor, front.fin = buffer.eor, buffer.fin
    if tp.highest_sack is not None and front.end_seq > tp.highest_sack:
        tp.highest_sack = front.end_seq
    front.delivered = 0
    del tp.flight[index]
    tp.wmem_queued -= BUFFER_BYTES + buffer.extra
    return True


def _match(tp: TcpState, index: int, start: int, end: int) -> bool:
    """``tcp_match_skb_to_sack``: cut a buffer at a block's edge; return whether it is inside."""
    buffer = tp.flight[index]
    inside = start <= buffer.start and buffer.end_seq <= end
    if inside or buffer.pcount <= 1 or buffer.end_seq <= start:
        return inside
    size = _cut_at(buffer.start, buffer.end, buffer.mss, start, end)
    if size:
        marks.fragment(tp, index, size, buffer.mss)
    return start <= buffer.start and buffer.end_seq <= end


def _cut_at(low: int, high: int, step: int, start: int, end: int) -> int:
    """Return how many bytes come before the edge, in full segments; 0 for no cut."""
    covered = start <= low
    size = end - low if covered else start - low
    if covered and size < step:
        return 0
    size = max(size, step)
    if size > step:
        whole = size // step * step
        if not covered and whole < size:
            whole += step
        size = whole
    return size if size < high - low else 0


def _mark(tp: TcpState, now_ns: int, index: int, state: Sacked, *, dsack: bool) -> None:
    """Mark a whole buffer."""
    buffer = tp.flight[index]
    end_seq = buffer.end_seq
    sacked = _tag_one(tp, now_ns, buffer, state, buffer.start, end_seq, buffer.pcount, dsack=dsack)
    if sacked & SACKED:
        buffer.delivered = 0
    buffer.sacked = sacked


def _tag_one(
    tp: TcpState,
    now_ns: int,
    buffer: Buffer,
    state: Sacked,
    start: int,
    end_seq: int,
    count: int,
    *,
    dsack: bool,
) -> int:
    """``tcp_sacktag_one``: count a range of a buffer as arrived; return its marks."""
    sacked = buffer.sacked
    if dsack and sacked & (RETRANSMITTED | EVER_RETRANSMITTED):
        if tp.undo_marker is not None and tp.undo_retrans > 0 and end_seq > tp.undo_marker:
            tp.undo_retrans = max(0, tp.undo_retrans - count)
        if sacked & SACKED:
            state.reord = min(state.reord, start)
    if end_seq <= tp.snd_una:
        return sacked
    if not sacked & SACKED:
        rack.advance(tp, now_ns, sacked, end_seq, buffer.t_ns)
        if sacked & RETRANSMITTED:
            if sacked & LOST:
                sacked &= ~(LOST | RETRANSMITTED)
                tp.lost_out -= count
                tp.retrans_out -= count
        else:
            if not sacked & EVER_RETRANSMITTED:
                if start < marks.highest_sacked(tp):
                    state.reord = min(state.reord, start)
                if end_seq <= tp.high_seq:
                    state.flag |= ORIG_SACK_ACKED
                if state.first_ns < 0:
                    state.first_ns = buffer.t_ns
                state.last_ns = buffer.t_ns
            if sacked & LOST:
                sacked &= ~LOST
                tp.lost_out -= count
        sacked |= SACKED
        state.flag |= DATA_SACKED
        tp.sacked_out += count
        state.delivered += count
        if tp.highest_sack is None or end_seq > tp.highest_sack:
            tp.highest_sack = end_seq
    if dsack and sacked & RETRANSMITTED:
        sacked &= ~RETRANSMITTED
        tp.retrans_out -= count
    if tp.reord_seen:
        marks.note_delivered(tp, buffer)
    return sacked
