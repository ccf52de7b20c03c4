"""The sending half: from write calls to buffers, and from buffers to segments.

Theory of operation ------------------- A write fills the last buffer of ``queue``, then new
buffers, each up to the size goal (as many full segments as half of the peer's window holds). It
ends with ``push``, and an acknowledgement with ``push_pending``. Both come to ``write_xmit``, which
sends from the head of the queue as long as all of these allow it:

    may more be in flight?                              tcp_cwnd_test, and send_window_bytes
    does the peer's window take it?                     tcp_snd_wnd_test
    one segment: does Nagle's algorithm hold it back?   tcp_nagle_test
    several: is it better to wait for an ack?           tcp_tso_should_defer
    how much of the buffer leaves now?                  tcp_mss_split_point

Nagle's algorithm is Minshall's variant: a partial segment waits while an earlier *small* one is
unacknowledged (``snd_sml``), not while anything is.

A device has little of a connection at a time (TCP small queues): where more than two buffers wait
in it, ``write_xmit`` stops, and ``timers.device_done`` goes on. The lab's veth pair hands frames
over at once while the program writes. But what is sent because a frame came in leaves only after
that frame is done with (in the kernel: when the next softirq runs). So an acknowledgement or an
ICMP message may let out only some buffers, and the others follow, lost ones before new ones.

PSH is set on the last segment of what a write filled, and on the last segment of each burst of
several segments (``__tcp_transmit_skb``).

``emit`` cuts a buffer at its MSS, as software GSO does, so no segment is larger than the MSS. The
one exception is an MTU probe, which is larger on purpose.
"""

from typing import Final

from seglab.simulator import congestion, cubic, mss, receive, rtt
from seglab.simulator.clock import HZ, TICK_NS
from seglab.simulator.segment import TcpSegment
from seglab.simulator.state import (
    CA_CWR,
    CA_OPEN,
    CA_RECOVERY,
    NAGLE_CORK,
    NAGLE_OFF,
    NAGLE_PUSH,
    TIMER_LOSS_PROBE,
    TIMER_NONE,
    TIMER_WINDOW_PROBE,
    Buffer,
    TcpState,
)

_DEFER_NS: Final = 1_000_000  # tcp_tso_should_defer: what counts as recent, and as near
_WIN_DIVISOR: Final = 3  # net.ipv4.tcp_tso_win_divisor
BUFFER_BYTES: Final = 832
"""The memory of an empty buffer in the send queue."""

_PROBE_INTERVAL_J: Final = 600 * HZ  # net.ipv4.tcp_probe_interval
_PROBE_THRESHOLD: Final = 8  # net.ipv4.tcp_probe_threshold
_RTO_MIN_J: Final = HZ // 5
_PACING_SHIFT: Final = 10  # sk_pacing_shift
_OUTPUT_MAX: Final = 4_194_304  # net.ipv4.tcp_limit_output_bytes
_TCP_HEADER_MAX: Final = 256  # MAX_TCP_HEADER
_SHARED_INFO: Final = 320
_SK_BUFF: Final = 256
_INITIAL_SEGMENTS: Final = 10  # TCP_INIT_CWND


# Writing -----------------------------------------------------------------------------------------


def write(tp: TcpState, now_ns: int, size: int, *, more: bool) -> int:
    """``tcp_sendmsg_locked``: take bytes of a write, and send what may leave.

    Args:
        tp: the endpoint.
        now_ns: the time.
        size: how many bytes are written.
        more: whether MSG_MORE is set.

    Returns:
        How many bytes were taken; fewer where the send buffer is full.
    """
    full = mss.current(tp, now_ns)
    goal = mss.size_goal(tp, full)
    queue = tp.queue
    copied = 0
    while copied < size:
        tail = queue[-1] if queue else None
        room = 0 if tail is None or tail.eor else goal - (tail.end - tail.start)
        if tail is None or room <= 0:
            if tp.wmem_queued >= tp.sndbuf:
                tp.send_waits = True
                if copied:
                    push(tp, now_ns, full, goal, NAGLE_PUSH, more=False)
                break
            tail = _entail(tp, now_ns)
            room = goal
        if not copied:
            tail.psh = False
        taken = min(room, size - copied)
        tail.end += taken
        tail.pcount = 0
        tp.write_seq += taken
        tp.wmem_queued += taken
        copied += taken
        if copied < size and tail.end - tail.start >= goal:
            if _forced_push(tp):
                _mark_push(tp, tail)
                push_frames(tp, now_ns, full, NAGLE_PUSH)
            elif tail is queue[0]:
                write_xmit(tp, now_ns, full, NAGLE_PUSH, push_one=1)
    if copied:
        push(tp, now_ns, full, goal, tp.nonagle, more=more)
    return copied


def _entail(tp: TcpState, now_ns: int) -> Buffer:
    """``tcp_skb_entail``: a new buffer at the end of the queue."""
    buffer = Buffer(tp.write_seq, tp.write_seq)
    tp.queue.append(buffer)
    tp.wmem_queued += BUFFER_BYTES
    tp.nonagle &= ~NAGLE_PUSH
    congestion.restart_after_idle(tp, now_ns)
    return buffer


def _forced_push(tp: TcpState) -> bool:
    return tp.write_seq > tp.pushed_seq + (tp.max_window >> 1)


def _mark_push(tp: TcpState, buffer: Buffer) -> None:
    buffer.psh = True
    tp.pushed_seq = tp.write_seq


def push(tp: TcpState, now_ns: int, full: int, goal: int, nonagle: int, *, more: bool) -> None:
    """``tcp_push``: the end of a write, after which data leaves if it may."""
    if not tp.queue:
        return
    tail = tp.queue[-1]
    if not more or _forced_push(tp):
        _mark_push(tp, tail)
    if tp.device_bytes and _autocorks(tp, tail, goal):
        tp.device_throttled = True
        return
    push_frames(tp, now_ns, full, NAGLE_CORK if more else nonagle)


def _autocorks(tp: TcpState, tail: Buffer, goal: int) -> bool:
    """``tcp_should_autocork``: whether to wait for the device, which still has data of ours."""
    return (
        tp.settings.autocorking
        and tail.end - tail.start < goal
        and bool(tp.flight)
        and tp.device_bytes > BUFFER_BYTES + tail.end - tail.start
        and not tail.eor
    )


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


def expand_send_buffer(tp: TcpState) -> None:
    """``tcp_sndbuf_expand``: room for twice the congestion window, in the memory that it takes."""
    segment = max(tp.mss_clamp, tp.mss) + _TCP_HEADER_MAX + _SHARED_INFO
    each = (1 << (segment - 1).bit_length()) + _SK_BUFF
    wanted = 2 * max(_INITIAL_SEGMENTS, tp.cwnd, tp.reordering + 1) * each
    tp.sndbuf = max(tp.sndbuf, min(wanted, tp.settings.send_buffer_max_bytes))


def fin(tp: TcpState, now_ns: int) -> None:
    """``tcp_send_fin``: put a FIN behind what is queued."""
    tp.fin_queued = True
    if tp.queue:
        tp.queue[-1].fin = 1
    else:
        tp.queue.append(Buffer(tp.write_seq, tp.write_seq, fin=1))
        tp.wmem_queued += BUFFER_BYTES
    tp.write_seq += 1
    push_frames(tp, now_ns, mss.current(tp, now_ns), NAGLE_OFF)


# Sending -----------------------------------------------------------------------------------------


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
        return _xmit_bytes(tp, now_ns, full, nonagle, forced=push_one == 2)
    queue = tp.queue
    sent = 0
    if tp.probing and not push_one:
        probed = _probe_mtu(tp, now_ns)
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
        head.pcount, head.mss = (1, 0) if size <= full else (-(-size // full), full)
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
                and _nagle(tp, nonagle)
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
        if tp.device_bytes and device_full(tp, head, 0):
            break
        queue.popleft()
        emit(tp, now_ns, head)
        _sent_new(tp, now_ns, head)
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


def _xmit_bytes(tp: TcpState, now_ns: int, full: int, nonagle: int, *, forced: bool) -> bool:
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
        if size < full and not (last and tp.fin_queued) and _nagle(tp, nonagle):
            break
        segment = _take(tp, size, last=last)
        emit(tp, now_ns, segment)
        _sent_new(tp, now_ns, segment)
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
    segment = _take_for_probe(tp, size)
    if last and tp.queue:  # only a FIN is left
        segment.fin = tp.queue.popleft().fin
        tp.wmem_queued -= BUFFER_BYTES
    return segment


def _nagle(tp: TcpState, nonagle: int) -> bool:
    """``tcp_nagle_check`` for a partial segment: whether it has to wait."""
    if nonagle & NAGLE_PUSH:
        return False
    if nonagle & NAGLE_CORK:
        return True
    if tp.rfc896:
        return not nonagle and tp.packets_out > 0
    return not nonagle and tp.packets_out > 0 and tp.snd_una < tp.snd_sml <= tp.snd_nxt


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
    if partial and _nagle(tp, nonagle):
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
            tp.wmem_queued -= BUFFER_BYTES
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
    tp.queue.popleft()
    tp.queue.appendleft(rest)
    tp.queue.appendleft(head)
    tp.wmem_queued += BUFFER_BYTES


def send_head(tp: TcpState, now_ns: int) -> None:
    """Send the first buffer of the queue, whatever its size."""
    head = tp.queue.popleft()
    emit(tp, now_ns, head)
    _sent_new(tp, now_ns, head)


def _sent_new(tp: TcpState, now_ns: int, buffer: Buffer) -> None:
    """``tcp_event_new_data_sent``."""
    prior = tp.packets_out
    tp.snd_nxt = buffer.end + buffer.fin
    tp.flight.append(buffer)
    tp.packets_out = prior + buffer.pcount
    if not prior or tp.pending == TIMER_LOSS_PROBE:
        rtt.rearm(tp, now_ns)


def emit(tp: TcpState, now_ns: int, buffer: Buffer, *, again: bool = False) -> None:
    """``__tcp_transmit_skb``: send a buffer as segments of its MSS."""
    start, end = buffer.start, buffer.end
    step = buffer.mss
    psh = buffer.psh or step > 0  # on a copy: the buffer itself does not keep it
    step = step or end - start or 1
    buffer.t_ns = now_ns
    tp.wstamp_ns = max(tp.wstamp_ns, now_ns)
    window = receive.select_window(tp)
    value = echo = None
    if tp.timestamps:
        value = tp.clock_offset_ms + now_ns // 1_000_000
        echo = tp.ts_recent
    sacks = receive.sack_blocks(tp) if tp.sacks or tp.dsack else ()
    out, ack = tp.out, tp.rcv_nxt
    low = start
    while True:
        high = low + step
        if high >= end:
            out.append(
                TcpSegment(
                    low, end, ack, window, False, bool(buffer.fin), psh,
                    value, echo, sacks, again,
                )
            )  # fmt: skip
            break
        out.append(
            TcpSegment(low, high, ack, window, False, False, False, value, echo, sacks, again)
        )
        low = high
    tp.dsack = None
    receive.ack_sent(tp)
    if end > start:
        _data_sent(tp, now_ns)
    if tp.softirq:
        _to_device(tp, now_ns, start, end, buffer.mss)


def _to_device(tp: TcpState, now_ns: int, start: int, end: int, step: int) -> None:
    """Count the memory of what waits in the device's queue (``sk_wmem_alloc``)."""
    size = end - start
    if step:  # software GSO makes a linear buffer for each segment (skb_segment)
        whole, rest = divmod(size, step)
        tp.device_bytes += whole * _linear(step) + (_linear(rest) if rest else 0)
    else:
        tp.device_bytes += BUFFER_BYTES + size
    if tp.settings.device_queue_ns:
        tp.device_ns = now_ns + tp.settings.device_queue_ns


def _linear(size: int) -> int:
    """The memory of a segment with its headers in one piece."""
    room = (size + _TCP_HEADER_MAX + 63 & ~63) + _SHARED_INFO
    return (1 << (room - 1).bit_length()) + _SK_BUFF


def device_full(tp: TcpState, buffer: Buffer, factor: int) -> bool:
    """``tcp_small_queue_check``: whether to wait until the device has sent more of ours."""
    limit = max(2 * (BUFFER_BYTES + buffer.end - buffer.start), tp.pacing_rate >> _PACING_SHIFT)
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


def ack(tp: TcpState, now_ns: int) -> None:
    """``tcp_send_ack``: a segment that only acknowledges."""
    value = echo = None
    if tp.timestamps:
        value = tp.clock_offset_ms + now_ns // 1_000_000
        echo = tp.ts_recent
    sacks = receive.sack_blocks(tp) if tp.sacks or tp.dsack else ()
    tp.dsack = None
    tp.wstamp_ns = max(tp.wstamp_ns, now_ns)
    window = receive.select_window(tp)
    at = tp.snd_nxt
    tp.out.append(TcpSegment(at, at, tp.rcv_nxt, window, False, False, False, value, echo, sacks))
    receive.ack_sent(tp)


# MTU probing -------------------------------------------------------------------------------------


def _probe_mtu(tp: TcpState, now_ns: int) -> int:
    """``tcp_mtu_probe``: send a larger segment to see whether the path takes it (RFC 4821).

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
    probe = _take_for_probe(tp, size)
    emit(tp, now_ns, probe)
    tp.cwnd -= 1
    _sent_new(tp, now_ns, probe)
    tp.probe_size = mss.to_mtu(tp, probe.end - probe.start)
    tp.probe_start, tp.probe_end = probe.start, probe.end + probe.fin
    return 1


def _take_for_probe(tp: TcpState, size: int) -> Buffer:
    """Join the head of the queue to one segment of ``size`` bytes."""
    queue = tp.queue
    probe = Buffer(queue[0].start, queue[0].start)
    probe.pcount = 1
    tp.wmem_queued += BUFFER_BYTES
    while probe.end - probe.start < size:
        head = queue[0]
        taken = min(head.end - head.start, size - (probe.end - probe.start))
        probe.end += taken
        head.start += taken
        if head.start == head.end:
            probe.psh = probe.psh or head.psh
            probe.fin, probe.eor = head.fin, head.eor
            queue.popleft()
            tp.wmem_queued -= BUFFER_BYTES
    return probe


def _reprobe(tp: TcpState, now_ns: int) -> None:
    """``tcp_mtu_check_reprobe``: search again after ten minutes."""
    now_j = tp.jiffies(now_ns)
    if now_j - tp.probe_j >= _PROBE_INTERVAL_J:
        tp.probe_size = 0
        tp.search_high = tp.mss_clamp + 20 + tp.ip_header_len
        tp.search_low = mss.to_mtu(tp, tp.mss)
        tp.probe_j = now_j
