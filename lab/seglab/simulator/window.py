"""The window that the receiving half offers.

The window is the space of the receive buffer that is likely to be payload. ``scaling_ratio`` is the
payload's part in the memory that a full segment took when it came in. So the window follows what
the lab's wire hands to the kernel: frames in buffers of a power of two (``truesize``). It never
shrinks, it opens with each segment that uses its memory well (``grow``), and the buffer itself
grows with what the program reads in a round trip (``adjust_space``).
"""

from typing import Final

from seglab.simulator.segment import NO_STAMP
from seglab.simulator.state import (
    DEFAULT_MSS,
    TcpState,
)

_WINDOW_MAX: Final = 65_535
_MSS_MIN: Final = 88  # TCP_MIN_MSS
_LINK_HEADERS: Final = 14 + 16  # Ethernet, and the headroom of a packet socket
_SHARED_INFO: Final = 320  # skb_shared_info
_SK_BUFF: Final = 256
_SMALL_HEAD: Final = 256  # SKB_SMALL_HEAD_CACHE_SIZE, less the shared info
_PAGE: Final = 4096
_HEADROOM: Final = 16  # of a packet socket's frame before its IP header
_PULLED_MORE: Final = 128


def allocated(size: int) -> int:
    """Return what the kernel's allocator takes for more than 256 bytes: the next power of two."""
    memory = 512
    while memory < size:
        memory <<= 1
    return memory


def truesize(frame_bytes: int) -> int:
    """Return the memory that a frame takes at the receiver (``skb->truesize``).

    A packet socket makes a linear buffer for what is below a page (``packet_alloc_skb``): a small
    head from a cache of its own, else the allocator's next power of two. What is larger has a small
    head, and whole pages.
    """
    room = frame_bytes + _LINK_HEADERS
    if room <= _SMALL_HEAD:
        return _SMALL_HEAD + _SHARED_INFO + _SK_BUFF
    if room < _PAGE:
        return allocated(room + _SHARED_INFO) + _SK_BUFF
    return _SMALL_HEAD + _SHARED_INFO + _SK_BUFF + -(-frame_bytes // _PAGE) * _PAGE


def tail_room(frame_bytes: int, memory: int) -> int:
    """Return how many bytes could be added to a frame in its memory, which is its ``truesize``.

    ``skb_tailroom`` of what ``packet_alloc_skb`` makes. The pages of a larger frame are copied into
    one piece before it leaves, since the lab's devices have no scatter-gather
    (``__skb_linearize``). That makes the piece larger, and nobody accounts for it.
    """
    room = frame_bytes + _LINK_HEADERS
    if room <= _SMALL_HEAD:
        return _SMALL_HEAD - frame_bytes - _HEADROOM
    piece = memory - _SK_BUFF
    if room >= _PAGE:  # pskb_expand_head by __pskb_pull_tail
        piece = allocated(frame_bytes + _HEADROOM + _PULLED_MORE + _SHARED_INFO)
    return piece - _SHARED_INFO - frame_bytes - _HEADROOM


def from_space(tp: TcpState, space: int) -> int:
    """``tcp_win_from_space``: how much of a buffer's memory may be payload."""
    return space * tp.scaling_ratio >> 8


def first(tp: TcpState, mss: int) -> None:
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


def offered(tp: TcpState) -> int:
    """``tcp_receive_window``: what is left of the window that was last offered."""
    left = tp.rcv_wup + tp.rcv_wnd - tp.rcv_nxt
    return left if left > 0 else 0


def free(tp: TcpState) -> int:
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


def select(tp: TcpState) -> int:
    """``tcp_select_window``: fix the window that the next segment offers, and return it."""
    left = tp.rcv_wup + tp.rcv_wnd - tp.rcv_nxt
    window = free(tp)
    if window < left:  # a window never shrinks
        scale = tp.rcv_wscale
        window = -(-left >> scale) << scale
    tp.rcv_wnd = window
    tp.rcv_wup = tp.rcv_nxt
    most = _WINDOW_MAX << tp.rcv_wscale
    return window if window < most else most


def clamp(tp: TcpState, most: int) -> None:
    """``tcp_set_window_clamp``: the largest window that may be offered from now on."""
    if most < tp.window_clamp:
        tp.rcv_ssthresh = min(tp.rcv_ssthresh, most)
    else:
        tp.rcv_ssthresh = max(tp.rcv_ssthresh, min(tp.rcv_wnd, most))
    tp.window_clamp = most


def grow(tp: TcpState, size: int, memory: int) -> None:
    """``tcp_grow_window``: offer more as long as segments use their memory well."""
    ssthresh = tp.rcv_ssthresh
    if tp.window_clamp <= ssthresh:
        return
    space = (tp.rcvbuf - tp.rmem_alloc) * tp.scaling_ratio >> 8
    room = (space if space < tp.window_clamp else tp.window_clamp) - ssthresh
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


def receiver_rtt_by_echo(tp: TcpState, now_ns: int, size: int) -> None:
    """``tcp_rcv_rtt_measure_ts``: the round trip as the echo of a full segment shows it.

    It is asked for with each segment, also one that comes too early or carries nothing, before the
    segment is queued. An echo counts once, and one of less than a millisecond never.
    """
    echo = tp.rcv_tsecr
    if echo in (NO_STAMP, tp.rcv_rtt_tsecr):
        return
    tp.rcv_rtt_tsecr = echo
    sample_ms = tp.stamp_ms(now_ns) - echo
    if size >= tp.rcv_mss and sample_ms > 0:
        _update_receiver_rtt(tp, sample_ms * 1000, window=False)


def receiver_rtt_by_window(tp: TcpState, now_ns: int) -> None:
    """``tcp_rcv_rtt_measure``: how long a whole window takes, with timestamps as well."""
    if tp.rcv_rtt_ns:
        if tp.rcv_nxt < tp.rcv_rtt_seq:
            return
        _update_receiver_rtt(tp, max((now_ns - tp.rcv_rtt_ns) // 1000, 1), window=True)
    tp.rcv_rtt_seq = tp.rcv_nxt + tp.rcv_wnd
    tp.rcv_rtt_ns = now_ns


def _update_receiver_rtt(tp: TcpState, sample_us: int, *, window: bool) -> None:
    """``tcp_rcv_rtt_update`` since Linux 6.16: the least one at once, and a mean of eight upwards.

    A greater one says nothing where the program has not read all that is there, or of a window.
    """
    scaled = sample_us << 3
    old = tp.rcv_rtt_us
    if not old or scaled < old:
        tp.rcv_rtt_us = scaled
    elif not window and tp.rcv_nxt == tp.copied_seq:
        tp.rcv_rtt_us = old + sample_us - (old >> 3)


def adjust_space(tp: TcpState, now_ns: int) -> None:
    """``tcp_rcv_space_adjust``: let the buffer grow with what the program reads in a round trip."""
    rtt_us = tp.rcv_rtt_us
    if not rtt_us or (now_ns - tp.space_ns) // 1000 < rtt_us >> 3:
        return
    waiting = tp.rcv_nxt - tp.copied_seq
    copied = tp.copied_seq - tp.space_seq - waiting
    if copied > tp.space:
        grow_buffer(tp, copied)
    tp.space_seq = tp.copied_seq
    tp.space_ns = now_ns


def grow_buffer(tp: TcpState, copied: int) -> None:
    """``tcp_rcvbuf_grow``: a buffer for twice of what was read, and for a doubling of the rate."""
    old = tp.space
    tp.space = copied
    window = copied << 1
    window += (window * (copied - old) // old) << 1
    if tp.ooo:
        window += tp.ooo[-1].end - tp.rcv_nxt
    wanted = min((window << 8) // tp.scaling_ratio, tp.settings.receive_buffer_max_bytes)
    if wanted > tp.rcvbuf:
        tp.rcvbuf = wanted
        tp.window_clamp = min(from_space(tp, wanted), _WINDOW_MAX << tp.rcv_wscale)
