"""The receiving half: the queue, the window that is offered, and when to acknowledge.

Theory of operation ------------------- ``data`` takes a segment's bytes. What is in order advances
``rcv_nxt``; what is not goes to ``ooo`` and into a SACK block. Every segment leaves a note in
``ack_pending`` that an acknowledgement is owed, and ``owes_ack`` decides whether it is sent at once
(``__tcp_ack_snd_check``):

    at once    more than one full segment is unacknowledged, and the window can open again
    at once    the connection is in quick-ack mode and is no dialogue (``pingpong``)
    at once    a gap has just been filled, or the segment was out of order (at first)
    later      the delayed-ack timer is set: ``ato_j``, 40 ms at first

A program that answers within ``ato_j`` of what it read makes the connection a dialogue, and then
acknowledgements wait for the next answer (``tcp_event_data_sent``). A program that reads may send
an acknowledgement as well (``cleanup``): where a short segment ended what was read, or where the
window at least doubles.

The window is the space of the receive buffer that is likely to be payload. ``scaling_ratio`` is the
payload's part in the memory that a full segment took when it came in. So the window follows what
the lab's wire hands to the kernel: frames in buffers of a power of two (``truesize``).

What this ignores: memory pressure, urgent data, SO_RCVLOWAT, and joining of buffers in the queue.
"""

from functools import cache
from typing import Final

from seglab.simulator.clock import HZ, NEVER, TICK_NS, fires_ns, usecs_to_jiffies
from seglab.simulator.mss import sack_bytes
from seglab.simulator.segment import TcpSegment
from seglab.simulator.state import (
    ACK_NOW,
    ACK_PUSHED,
    ACK_PUSHED2,
    ACK_SCHEDULED,
    ACK_TIMER,
    DEFAULT_MSS,
    TcpState,
)

QUICKACKS_MAX: Final = 16  # TCP_MAX_QUICKACKS
ATO_MIN: Final = HZ // 25  # TCP_ATO_MIN and TCP_DELACK_MIN: 40 ms
DELACK_MAX: Final = HZ // 5  # TCP_DELACK_MAX: 200 ms
_COMPRESSED_MAX: Final = 44  # net.ipv4.tcp_comp_sack_nr
_COMPRESSED_NS: Final = 1_000_000  # net.ipv4.tcp_comp_sack_delay_ns
_DUP_ACKS_AT_ONCE: Final = 3  # TCP_FASTRETRANS_THRESH
_SACK_BLOCKS: Final = 4
_WINDOW_MAX: Final = 65_535
_MSS_MIN: Final = 88  # TCP_MIN_MSS
_LINK_HEADERS: Final = 14 + 16  # Ethernet, and the headroom of a packet socket
_SHARED_INFO: Final = 320  # skb_shared_info
_SK_BUFF: Final = 256
_SMALL_HEAD: Final = 256  # SKB_SMALL_HEAD_CACHE_SIZE, less the shared info
_PAGE: Final = 4096


@cache
def truesize(frame_bytes: int) -> int:
    """Return the memory that a frame takes at the receiver (``skb->truesize``).

    A packet socket makes a linear buffer for what is below a page (``packet_alloc_skb``): a small
    head from a cache of its own, else the allocator's next power of two. What is larger has a small
    head, and lies in whole pages.
    """
    room = frame_bytes + _LINK_HEADERS
    if room <= _SMALL_HEAD:
        return _SMALL_HEAD + _SHARED_INFO + _SK_BUFF
    if room < _PAGE:
        return (1 << (room + _SHARED_INFO - 1).bit_length()) + _SK_BUFF
    return _SMALL_HEAD + _SHARED_INFO + _SK_BUFF + -(-frame_bytes // _PAGE) * _PAGE


def from_space(tp: TcpState, space: int) -> int:
    """``tcp_win_from_space``: how much of a buffer's memory may be payload."""
    return space * tp.scaling_ratio >> 8


def first_window(tp: TcpState, mss: int) -> None:
    """``tcp_select_initial_window``: the first window and its scale.

    Args:
        tp: the endpoint.
        mss: the segment size in whose multiples the window is counted.
    """
    space = from_space(tp, tp.rcvbuf)
    if space > mss:
        space -= space % mss
    tp.rcv_wnd = min(space, _WINDOW_MAX)
    tp.window_clamp = _WINDOW_MAX << 14
    if tp.settings.wscale:
        largest = max(space, tp.settings.receive_buffer_max_bytes)
        tp.rcv_wscale = min(max(largest.bit_length() - 16, 0), 14)
        tp.window_clamp = min(tp.window_clamp, _WINDOW_MAX << tp.rcv_wscale)
    tp.rcv_ssthresh = tp.rcv_wnd


def begin(tp: TcpState, now_ns: int) -> None:
    """``tcp_init_buffer_space`` and ``tcp_initialize_rcv_mss``: when the connection stands."""
    full = from_space(tp, tp.rcvbuf)
    if tp.window_clamp >= full:
        tp.window_clamp = full
        if full > 4 * tp.advmss:
            tp.window_clamp = max(full - (full >> 31), 4 * tp.advmss)
    if tp.window_clamp > 2 * tp.advmss and tp.window_clamp + tp.advmss > full:
        tp.window_clamp = max(2 * tp.advmss, full - tp.advmss)
    tp.rcv_ssthresh = min(tp.rcv_ssthresh, tp.window_clamp)
    tp.space = min(tp.rcv_ssthresh, tp.rcv_wnd, 10 * tp.advmss)
    tp.space_seq = tp.copied_seq
    tp.space_ns = now_ns


def first_rcv_mss(tp: TcpState) -> None:
    """``tcp_initialize_rcv_mss``: a careful guess of the peer's segments."""
    hint = min(tp.advmss, tp.mss, tp.rcv_wnd >> 1, DEFAULT_MSS)
    tp.rcv_mss = max(hint, _MSS_MIN)


# The window ---------------------------------------------------------------------------------


def offered(tp: TcpState) -> int:
    """``tcp_receive_window``: what is left of the window that was last offered."""
    return max(tp.rcv_wup + tp.rcv_wnd - tp.rcv_nxt, 0)


def free_window(tp: TcpState) -> int:
    """``__tcp_select_window``: the window that could be offered now."""
    ratio, scale = tp.scaling_ratio, tp.rcv_wscale
    allowed = tp.rcvbuf * ratio >> 8
    free = (tp.rcvbuf - tp.rmem_alloc) * ratio >> 8
    full = tp.window_clamp if tp.window_clamp < allowed else allowed
    mss = tp.rcv_mss
    if mss > full:
        mss = full
        if mss <= 0:
            return 0
    if free < full >> 1:
        tp.quick = 0
        free = free >> scale << scale
        if free < allowed >> 4 or free < mss:
            return 0
    if free > tp.rcv_ssthresh:
        free = tp.rcv_ssthresh
    if scale:
        return -(-free >> scale) << scale
    window = tp.rcv_wnd
    if window <= free - mss or window > free:
        return free - free % mss
    if mss == full and free > window + (full >> 1):
        return free
    return window


def select_window(tp: TcpState) -> int:
    """``tcp_select_window``: fix the window that the next segment offers, and return it."""
    left = tp.rcv_wup + tp.rcv_wnd - tp.rcv_nxt
    window = free_window(tp)
    if window < left:  # a window never shrinks
        scale = tp.rcv_wscale
        window = -(-left >> scale) << scale
    tp.rcv_wnd = window
    tp.rcv_wup = tp.rcv_nxt
    most = _WINDOW_MAX << tp.rcv_wscale
    return window if window < most else most


# Segments that come in -------------------------------------------------------------------------


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
        _out_of_order(tp, seg)
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
        memory = truesize(size + tp.ip_header_len + tp.header_len)
        tp.rmem_alloc += memory
        tp.received.append((seg.end, memory))
        _received(tp, now_ns, seg, size, memory)
    if tp.ooo:
        _fill(tp)
    if tp.peer_fin_end == tp.rcv_nxt and not tp.peer_closed:
        _fin(tp)


def _received(tp: TcpState, now_ns: int, seg: TcpSegment, size: int, memory: int) -> None:
    """``tcp_event_data_recv``: what a segment in order says about the peer's pace."""
    tp.ack_pending |= ACK_SCHEDULED
    _measure(tp, seg, size, memory)
    _receiver_rtt(tp, now_ns, size)
    now_j = (now_ns + tp.phase_ns) // TICK_NS
    if tp.delack_fixed_j:
        tp.ato_j = tp.delack_fixed_j
        tp.pingpong = 1
    elif not tp.ato_j:
        more_quick_acks(tp, QUICKACKS_MAX)
        tp.ato_j = ATO_MIN
    else:
        gap = now_j - tp.lrcv_j
        if gap <= ATO_MIN // 2:
            tp.ato_j = (tp.ato_j >> 1) + ATO_MIN // 2
        elif gap < tp.ato_j:
            tp.ato_j = min((tp.ato_j >> 1) + gap, tp.rto_j)
        elif gap > tp.rto_j:
            more_quick_acks(tp, QUICKACKS_MAX)
    tp.lrcv_j = now_j
    if size >= 128:
        _grow_window(tp, size, memory)


def more_quick_acks(tp: TcpState, most: int) -> None:
    """``tcp_incr_quickack``: acknowledge the next segments one by one."""
    count = tp.rcv_wnd // (2 * tp.rcv_mss) or 2
    tp.quick = max(tp.quick, min(count, most))


def _enter_quick_acks(tp: TcpState) -> None:
    """``tcp_enter_quickack_mode``: the peer needs acknowledgements now."""
    more_quick_acks(tp, QUICKACKS_MAX)
    tp.pingpong = 0
    tp.ato_j = ATO_MIN


def duplicate(tp: TcpState, start: int, end_seq: int) -> None:
    """``tcp_send_dupack``: note what came twice, for a duplicate SACK (RFC 2883)."""
    _enter_quick_acks(tp)
    if tp.sack_ok:
        tp.dsack = (start, min(end_seq, tp.rcv_nxt))


def _out_of_window(tp: TcpState) -> None:
    _enter_quick_acks(tp)
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
                _clamp_window(tp, from_space(tp, tp.rcvbuf))
                tp.space = min(tp.space, tp.window_clamp)
        tp.rcv_mss = size if size < tp.advmss else tp.advmss
        if seg.psh:
            tp.ack_pending |= ACK_PUSHED
        return
    with_header = size + 20 + (tp.option_len if seg.ts_val is not None else 0)
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


def _clamp_window(tp: TcpState, clamp: int) -> None:
    """``tcp_set_window_clamp``: the largest window that may be offered from now on."""
    if clamp < tp.window_clamp:
        tp.rcv_ssthresh = min(tp.rcv_ssthresh, clamp)
    else:
        tp.rcv_ssthresh = max(tp.rcv_ssthresh, min(tp.rcv_wnd, clamp))
    tp.window_clamp = clamp


def _grow_window(tp: TcpState, size: int, memory: int) -> None:
    """``tcp_grow_window``: offer more as long as segments use their memory well."""
    ssthresh = tp.rcv_ssthresh
    if tp.window_clamp <= ssthresh:
        return
    space = (tp.rcvbuf - tp.rmem_alloc) * tp.scaling_ratio >> 8
    room = min(tp.window_clamp, space) - ssthresh
    if room <= 0:
        return
    fits = from_space(tp, memory) <= size
    more = 2 * tp.advmss if fits else _careful_growth(tp, size, memory)
    if more:
        tp.rcv_ssthresh += min(room, max(more, 2 * size))
        tp.quick |= 1


def _careful_growth(tp: TcpState, size: int, memory: int) -> int:
    """``__tcp_grow_window``: growth for segments that are small for their memory."""
    need = from_space(tp, memory) >> 1
    window = from_space(tp, tp.settings.receive_buffer_max_bytes) >> 1
    while tp.rcv_ssthresh <= window:
        if need <= size:
            return 2 * tp.rcv_mss
        need >>= 1
        window >>= 1
    return 0


def _fin(tp: TcpState) -> None:
    """``tcp_fin``: the peer is done. Its FIN is acknowledged with our own, or soon."""
    tp.peer_closed = True
    tp.ack_pending |= ACK_SCHEDULED
    if tp.fin_queued:
        tp.ack_pending |= ACK_NOW
    else:
        tp.pingpong = 1


# Out of order ----------------------------------------------------------------------------------


def _out_of_order(tp: TcpState, seg: TcpSegment) -> None:
    """``tcp_data_queue_ofo``: keep what came too early, and tell the peer which it is."""
    tp.ack_pending |= ACK_SCHEDULED
    start, end = seg.start, seg.end + seg.fin
    if seg.fin:
        tp.peer_fin_end = end
    merged, covered = [], False
    low, high = start, end
    for left, right in tp.ooo:
        if left <= start and end <= right:
            covered = True
        if right < low or left > high:
            merged.append((left, right))
        else:
            low, high = min(low, left), max(high, right)
    if covered:
        tp.dsack = (start, end) if tp.sack_ok else None
    else:
        memory = truesize(seg.size + tp.ip_header_len + tp.header_len)
        tp.rmem_alloc += memory
        tp.ooo_truesize += memory
    tp.ooo = sorted([*merged, (low, high)])
    if tp.sack_ok:
        _new_sack(tp, start, end)
        if not covered:
            _grow_window(tp, seg.size, memory)


def _new_sack(tp: TcpState, start: int, end: int) -> None:
    """``tcp_sack_new_ofo_skb``: the block of the latest segment comes first (RFC 2018, 4)."""
    low, high = start, end
    rest = []
    for left, right in tp.sacks:
        if right < low or left > high:
            rest.append((left, right))
        else:
            low, high = min(low, left), max(high, right)
    tp.sacks = [(low, high), *rest][:_SACK_BLOCKS]


def _fill(tp: TcpState) -> None:
    """``tcp_ofo_queue``: what came too early may be in order now."""
    while tp.ooo and tp.ooo[0][0] <= tp.rcv_nxt:
        _, high = tp.ooo.pop(0)
        tp.rcv_nxt = max(tp.rcv_nxt, high)
    if not tp.ooo:
        tp.ack_pending |= ACK_NOW  # RFC 5681, 4.2: at once when a gap is filled
        last = tp.rcv_nxt - (tp.peer_fin_end == tp.rcv_nxt)
        tp.received.append((last, tp.ooo_truesize))
        tp.ooo_truesize = 0
    tp.sacks = [block for block in tp.sacks if block[1] > tp.rcv_nxt]


# Acknowledging ---------------------------------------------------------------------------------


def owes_ack(tp: TcpState, now_ns: int) -> bool:
    """``__tcp_ack_snd_check``: whether to acknowledge now; otherwise a timer is set."""
    if (
        (
            tp.rcv_nxt - tp.rcv_wup > tp.rcv_mss
            and (tp.rcv_nxt - tp.copied_seq < 1 or free_window(tp) >= tp.rcv_wnd)
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
    ato = min(ato, DELACK_MAX) if not tp.delack_fixed_j else ato
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
        tp.ato_j = min(tp.ato_j << 1, tp.rto_j)
    return True


def sack_blocks(tp: TcpState) -> tuple[tuple[int, int], ...]:
    """Return the blocks of the next SACK option; a duplicate that came in is the first of them."""
    room = (sack_bytes(tp) - 4) // 8
    blocks = ([tp.dsack] if tp.dsack else []) + tp.sacks
    return tuple(blocks[:room]) if room > 0 else ()


# Reading ---------------------------------------------------------------------------------------


def read(tp: TcpState, now_ns: int, limit: int) -> int:
    """``tcp_recvmsg``: take up to ``limit`` bytes; return how many there were."""
    size = min(tp.rcv_nxt - tp.peer_closed - tp.copied_seq, limit)
    if size <= 0:
        return 0
    tp.copied_seq += size
    while tp.received and tp.received[0][0] <= tp.copied_seq:
        tp.rmem_alloc -= tp.received.popleft()[1]
    _adjust_space(tp, now_ns)
    return size


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
        left = offered(tp)
        if 2 * left <= tp.window_clamp:
            window = free_window(tp)
            return bool(window) and window >= 2 * left
    return False


def _receiver_rtt(tp: TcpState, now_ns: int, size: int) -> None:
    """``tcp_rcv_rtt_measure``: the round trip as the receiver sees it, a window at a time."""
    if tp.rcv_tsecr is not None:
        if size >= tp.rcv_mss and tp.rcv_rtt_tsecr != tp.rcv_tsecr:
            tp.rcv_rtt_tsecr = tp.rcv_tsecr
            now_ms = tp.clock_offset_ms + now_ns // 1_000_000
            _update_receiver_rtt(tp, max(now_ms - tp.rcv_tsecr, 1) * 1000, window=False)
        return
    if tp.rcv_rtt_ns == 0:
        pass
    elif tp.rcv_nxt < tp.rcv_rtt_seq:
        return
    else:
        _update_receiver_rtt(tp, max((now_ns - tp.rcv_rtt_ns) // 1000, 1), window=True)
    tp.rcv_rtt_seq = tp.rcv_nxt + tp.rcv_wnd
    tp.rcv_rtt_ns = now_ns


def _update_receiver_rtt(tp: TcpState, sample_us: int, *, window: bool) -> None:
    """``tcp_rcv_rtt_update``: a mean of eight, or the least of whole windows."""
    scaled = sample_us << 3
    old = tp.rcv_rtt_us
    if not old:
        tp.rcv_rtt_us = scaled
    elif window:
        tp.rcv_rtt_us = min(scaled, old)
    else:
        tp.rcv_rtt_us = old + sample_us - (old >> 3)


def _adjust_space(tp: TcpState, now_ns: int) -> None:
    """``tcp_rcv_space_adjust``: let the buffer grow with what the program reads in a round trip."""
    rtt_us = tp.rcv_rtt_us
    if not rtt_us or (now_ns - tp.space_ns) // 1000 < rtt_us >> 3:
        return
    waiting = tp.rcv_nxt - tp.copied_seq
    copied = tp.copied_seq - tp.space_seq - waiting
    if copied > tp.space:
        _grow_buffer(tp, copied)
    tp.space_seq = tp.copied_seq
    tp.space_ns = now_ns


def _grow_buffer(tp: TcpState, copied: int) -> None:
    """``tcp_rcvbuf_grow``: a buffer for twice of what was read, and for a doubling of the rate."""
    old = tp.space
    tp.space = copied
    window = copied << 1
    window += (window * (copied - old) // old) << 1
    if tp.ooo:
        window += tp.ooo[-1][1] - tp.rcv_nxt
    wanted = min((window << 8) // tp.scaling_ratio, tp.settings.receive_buffer_max_bytes)
    if wanted > tp.rcvbuf:
        tp.rcvbuf = wanted
        tp.window_clamp = min(from_space(tp, wanted), _WINDOW_MAX << tp.rcv_wscale)
