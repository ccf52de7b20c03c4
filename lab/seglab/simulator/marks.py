"""What is known of each buffer in flight, and the sums of it.

A buffer has marks: ``SACKED``, ``LOST``, ``RETRANSMITTED`` (a copy may be under way). Their sums in
segments are ``sacked_out``, ``lost_out`` and ``retrans_out``; ``in_flight`` follows from them.
"""

from typing import Final

from seglab.simulator.state import (
    BUFFER_BYTES,
    EVER_RETRANSMITTED,
    LOST,
    RETRANSMITTED,
    SACKED,
    Buffer,
    TcpState,
)

_REORDERING_MAX: Final = 300


def mark_lost(tp: TcpState, buffer: Buffer) -> None:
    """``tcp_mark_skb_lost``."""
    sacked = buffer.sacked
    if sacked & SACKED:
        return
    hint = tp.retransmit_hint  # tcp_verify_retransmit_hint
    if buffer.start < hint.start if hint is not None else tp.retrans_out >= tp.lost_out:
        tp.retransmit_hint = buffer
    if not sacked & LOST:
        buffer.sacked |= LOST
        tp.lost_out += buffer.pcount
        tp.lost += buffer.pcount
    elif sacked & RETRANSMITTED:  # what was sent again is lost again
        buffer.sacked &= ~RETRANSMITTED
        tp.retrans_out -= buffer.pcount
        tp.lost += buffer.pcount


def adjust(tp: TcpState, buffer: Buffer, fewer: int) -> None:
    """``tcp_adjust_pcount``: a buffer in flight now has so many segments fewer."""
    tp.packets_out -= fewer
    if buffer.sacked & SACKED:
        tp.sacked_out -= fewer
    if buffer.sacked & RETRANSMITTED:
        tp.retrans_out -= fewer
    if buffer.sacked & LOST:
        tp.lost_out -= fewer
    if not tp.sack_ok and fewer > 0:
        tp.sacked_out -= min(tp.sacked_out, fewer)


def fragment(tp: TcpState, index: int, size: int, full: int) -> None:
    """``tcp_fragment``: cut a buffer in flight into ``size`` bytes and the rest."""
    first = tp.flight[index]
    rest = Buffer(first.start + size, first.end, first.fin)
    rest.psh, rest.eor, rest.sacked, rest.t_ns = first.psh, first.eor, first.sacked, first.t_ns
    rest.delivered, rest.order = first.delivered, first.order
    first.end = rest.start
    first.fin = 0
    first.psh = first.eor = False
    old = first.pcount
    first.count(full)
    rest.count(full)
    tp.flight.insert(index + 1, rest)
    tp.wmem_queued += BUFFER_BYTES
    fewer = old - first.pcount - rest.pcount
    if fewer:
        adjust(tp, first, fewer)


def note_delivered(tp: TcpState, buffer: Buffer) -> None:
    """``tcp_rate_skb_delivered``: note the latest sent of what an acknowledgement is about.

    Only ``rack.update_window`` asks for it, and only where segments were seen out of order.
    """
    if buffer.delivered and (
        not tp.rate_delivered
        or buffer.t_ns > tp.rate_ns
        or (buffer.t_ns == tp.rate_ns and buffer.end_seq > tp.rate_end)
    ):
        tp.rate_delivered = buffer.delivered
        tp.rate_ns = buffer.t_ns
        tp.rate_end = buffer.end_seq


def any_retransmitted(tp: TcpState) -> bool:
    """``tcp_any_retrans_done``."""
    return tp.retrans_out > 0 or bool(tp.flight and tp.flight[0].sacked & EVER_RETRANSMITTED)


def highest_sacked(tp: TcpState) -> int:
    """``tcp_highest_sack_seq``: up to where the peer has something."""
    if not tp.sacked_out or tp.highest_sack is None:
        return tp.snd_una
    return tp.highest_sack


def check_reordering(tp: TcpState, low: int) -> None:
    """``tcp_check_sack_reordering``: something came later than what was sent after it."""
    metric = highest_sacked(tp) - low
    if metric <= 0:
        return
    if metric > tp.reordering * tp.mss:
        tp.reordering = min(-(-metric // tp.mss), _REORDERING_MAX)
    tp.reord_seen += 1
