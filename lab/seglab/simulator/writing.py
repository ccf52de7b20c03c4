"""What a write call does: it fills buffers, and asks for them to be sent.

A write fills the last buffer of ``queue``, then new buffers, each up to the size goal (as many full
segments as half of the peer's window holds). It ends with ``push``.

PSH is set on the last byte that a write brought, unless MSG_MORE says that more follows.
"""

from seglab.simulator import congestion, mss, transmit
from seglab.simulator.clock import REFRESHED_NS
from seglab.simulator.state import (
    BUFFER_BYTES,
    NAGLE_CORK,
    NAGLE_OFF,
    NAGLE_PUSH,
    Buffer,
    TcpState,
)


def write(tp: TcpState, now_ns: int, size: int, *, more: bool, eor: bool = False) -> int:
    """``tcp_sendmsg_locked``: take bytes of a write, and send what may leave.

    Args:
        tp: the endpoint.
        now_ns: the time.
        size: how many bytes are written.
        more: whether MSG_MORE is set.
        eor: whether MSG_EOR is set, so that no later write joins the last buffer.

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
        if copied == size:
            tail.eor = eor
        if copied < size and tail.end - tail.start >= goal:
            if _forced_push(tp):
                _mark_push(tp, tail)
                transmit.push_frames(tp, now_ns, full, NAGLE_PUSH)
                now_ns += REFRESHED_NS
            elif tail is queue[0]:
                transmit.write_xmit(tp, now_ns, full, NAGLE_PUSH, push_one=1)
                now_ns += REFRESHED_NS
    if copied:
        push(tp, now_ns, full, goal, tp.nonagle, more=more)
    tp.mstamp_ns = now_ns
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
    transmit.push_frames(tp, now_ns, full, NAGLE_CORK if more else nonagle)


def _autocorks(tp: TcpState, tail: Buffer, goal: int) -> bool:
    """``tcp_should_autocork``: whether to wait for the device, which still has data of ours."""
    return (
        tp.settings.autocorking
        and tail.end - tail.start < goal
        and bool(tp.flight)
        and tp.device_bytes > BUFFER_BYTES + tail.end - tail.start
        and not tail.eor
    )


def fin(tp: TcpState, now_ns: int) -> None:
    """``tcp_send_fin``: put a FIN behind what is queued."""
    tp.fin_queued = True
    if tp.queue:
        tp.queue[-1].fin = 1
    else:
        tp.queue.append(Buffer(tp.write_seq, tp.write_seq, fin=1))
        tp.wmem_queued += BUFFER_BYTES
    tp.write_seq += 1
    transmit.push_frames(tp, now_ns, mss.current(tp, now_ns), NAGLE_OFF)
