"""How a buffer becomes segments, and what the device and the receiver's side note of it.

``emit`` cuts a buffer at its MSS, as software GSO does, so no segment is larger than the MSS. The
one exception is an MTU probe, which is larger on purpose. Each segment carries an acknowledgement
and a window, so nothing is owed after it.

A device has little of a connection at a time (TCP small queues): where more than two buffers wait
in it, senders stop (``device_full``), and ``timers.device_done`` goes on. The lab's veth pair hands
frames over at once while the program writes. But what is sent because a frame came in leaves only
after that frame is done with (in the kernel: when the next softirq runs). So an acknowledgement or
an ICMP message may let out only some buffers, and the others follow, lost ones before new ones.
"""

from typing import Final

from seglab.simulator import acknowledging, cubic, mss, rtt, window
from seglab.simulator.clock import TICK_NS
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.state import (
    BUFFER_BYTES,
    TIMER_LOSS_PROBE,
    Buffer,
    TcpState,
)

_PACING_SHIFT: Final = 10  # sk_pacing_shift
_OUTPUT_MAX: Final = 4_194_304  # net.ipv4.tcp_limit_output_bytes
_TCP_HEADER_MAX: Final = 192  # MAX_TCP_HEADER of a kernel without wireless, AX.25 and tunnels
_SHARED_INFO: Final = 320
_SK_BUFF: Final = 256
_SMALL_HEAD: Final = 576  # SKB_SMALL_HEAD_CACHE_SIZE
_INITIAL_SEGMENTS: Final = 10  # TCP_INIT_CWND


def emit(tp: TcpState, now_ns: int, buffer: Buffer, *, again: bool = False) -> None:
    """``__tcp_transmit_skb``: send a buffer as segments of its MSS."""
    start, end = buffer.start, buffer.end
    step = buffer.mss
    psh = buffer.psh or step > 0  # on a copy: the buffer itself does not keep it
    step = step or end - start or 1
    buffer.t_ns = now_ns
    buffer.delivered = tp.delivered
    tp.sends += 1
    buffer.order = tp.sends
    if now_ns > tp.wstamp_ns:
        tp.wstamp_ns = now_ns
    offered = window.select(tp)
    value = echo = NO_STAMP
    if tp.timestamps:
        value = tp.stamp_ms(now_ns)
        echo = tp.ts_recent
    sacks = acknowledging.sack_blocks(tp) if tp.sacks or tp.dsack else ()
    out, ack = tp.out, tp.rcv_nxt
    low = start
    while True:
        high = low + step
        if high >= end:
            out.append(
                TcpSegment(
                    low, end, ack, offered, False, bool(buffer.fin), psh,
                    value, echo, sacks, again,
                )
            )  # fmt: skip
            break
        out.append(
            TcpSegment(low, high, ack, offered, False, False, False, value, echo, sacks, again)
        )
        low = high
    tp.dsack = None
    acknowledging.ack_sent(tp)
    if end > start:
        _data_sent(tp, now_ns)
    if tp.softirq:
        _to_device(tp, now_ns, start, end, buffer.mss, buffer.extra)
    if now_ns >= tp.path_mtu_expires_ns:
        # Over IPv6 only a transmission looks the route up again (inet6_csk_route_socket), so the
        # first one after the expiry still has the old MSS.
        mss.forget_path_mtu(tp)


def _to_device(tp: TcpState, now_ns: int, start: int, end: int, step: int, extra: int) -> None:
    """Count the memory of what waits in the device's queue (``sk_wmem_alloc``)."""
    size = end - start
    if step:  # software GSO makes a linear buffer for each segment (skb_segment)
        rest = size % step
        tp.device_bytes += size // step * _linear(step) + (_linear(rest) if rest else 0)
    else:
        tp.device_bytes += BUFFER_BYTES + size + extra
    if tp.device_queue_ns:
        tp.device_ns = now_ns + tp.device_queue_ns


def _linear(size: int) -> int:
    """The memory of a segment with its headers in one piece."""
    room = (size + _TCP_HEADER_MAX + 63 & ~63) + _SHARED_INFO
    if room <= _SMALL_HEAD:
        return _SMALL_HEAD + _SK_BUFF
    return window.allocated(room) + _SK_BUFF


def device_full(tp: TcpState, buffer: Buffer, factor: int) -> bool:
    """``tcp_small_queue_check``: whether to wait until the device has sent more of ours."""
    memory = BUFFER_BYTES + buffer.end - buffer.start + buffer.extra
    limit = max(2 * memory, tp.pacing_rate >> _PACING_SHIFT)
    if tp.device_bytes < min(limit, _OUTPUT_MAX) << factor or len(tp.flight) <= 1:
        return False
    tp.device_throttled = True
    return True


def _data_sent(tp: TcpState, now_ns: int) -> None:
    """``tcp_event_data_sent``: an answer within the ack's delay makes a dialogue (pingpong)."""
    now_j = (now_ns + tp.phase_ns) // TICK_NS
    if tp.cubic is not None and not tp.in_flight:
        cubic.after_idle(tp.cubic, now_j - tp.lsnd_j, now_j)
    tp.lsnd_j = now_j
    if now_j - tp.lrcv_j < tp.ato_j:
        tp.pingpong += 1


def refused(tp: TcpState, now_ns: int) -> None:
    """What is left of a transmission that the host's own link refuses (``ip_fragment``)."""
    if now_ns > tp.wstamp_ns:
        tp.wstamp_ns = now_ns
    _data_sent(tp, now_ns)


def ack(tp: TcpState, now_ns: int) -> None:
    """``tcp_send_ack``: a segment that only acknowledges."""
    value = echo = NO_STAMP
    if tp.timestamps:
        value = tp.stamp_ms(now_ns)
        echo = tp.ts_recent
    sacks = acknowledging.sack_blocks(tp) if tp.sacks or tp.dsack else ()
    tp.dsack = None
    if now_ns > tp.wstamp_ns:
        tp.wstamp_ns = now_ns
    offered = window.select(tp)
    at = tp.snd_nxt
    tp.out.append(TcpSegment(at, at, tp.rcv_nxt, offered, False, False, False, value, echo, sacks))
    acknowledging.ack_sent(tp)


def sent_new(tp: TcpState, now_ns: int, buffer: Buffer) -> None:
    """``tcp_event_new_data_sent``."""
    prior = tp.packets_out
    tp.snd_nxt = buffer.end + buffer.fin
    tp.flight.append(buffer)
    tp.packets_out = prior + buffer.pcount
    if not prior or tp.pending == TIMER_LOSS_PROBE:
        rtt.rearm(tp, now_ns)
    if tp.send_waits:
        check_space(tp, now_ns)


def check_space(tp: TcpState, now_ns: int) -> None:
    """``tcp_check_space``: the send buffer may grow, and a writer that waits may go on.

    Linux asks after each buffer that leaves (``tcp_event_new_data_sent``), and at the end of an
    acknowledgement. So a window that is not filled by the first of several bursts lets the buffer
    grow, even where the last one fills it.
    """
    if tp.in_flight < tp.cwnd:
        expand_send_buffer(tp)
        tp.cwnd_j = tp.jiffies(now_ns)
    if tp.sndbuf - tp.wmem_queued >= tp.wmem_queued >> 1:
        tp.send_waits = False


def expand_send_buffer(tp: TcpState) -> None:
    """``tcp_sndbuf_expand``: room for twice the congestion window, in the memory that it takes."""
    segment = max(tp.mss_clamp, tp.mss) + _TCP_HEADER_MAX + _SHARED_INFO
    each = window.allocated(segment) + _SK_BUFF
    wanted = 2 * max(_INITIAL_SEGMENTS, tp.cwnd, tp.reordering + 1) * each
    tp.sndbuf = max(tp.sndbuf, min(wanted, tp.settings.send_buffer_max_bytes))


def send_head(tp: TcpState, now_ns: int) -> None:
    """Send the first buffer of the queue, whatever its size."""
    head = tp.queue[0]
    del tp.queue[0]
    emit(tp, now_ns, head)
    sent_new(tp, now_ns, head)
