"""What an acknowledgement changes at the sender: ``tcp_ack`` and what it calls."""

from typing import Final

from seglab.simulator import congestion, cubic, marks, mss, rack, recovery, resend, rtt, transmit
from seglab.simulator.recovery import (
    DATA,
    DATA_ACKED,
    DATA_SACKED,
    DSACK_TLP,
    DSACKING,
    NOT_DUP,
    ORIG_SACK_ACKED,
    RETRANS_ACKED,
    REXMIT_NEW,
    REXMIT_NONE,
    SET_TIMER,
    UNA_ADVANCED,
    WIN_UPDATE,
)
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.state import (
    BUFFER_BYTES,
    CA_CWR,
    CA_LOSS,
    CA_OPEN,
    CA_RECOVERY,
    EVER_RETRANSMITTED,
    LOST,
    NAGLE_OFF,
    RETRANSMITTED,
    SACKED,
    TIMER_WINDOW_PROBE,
    TcpState,
)
from seglab.simulator.tagging import NO_SEQ, Sacked, tag_range

_REORDERING: Final = 3


def ack(tp: TcpState, now_ns: int, seg: TcpSegment) -> None:
    """``tcp_ack``: take the acknowledgement, the window and the SACK blocks of a segment."""
    prior_una, number = tp.snd_una, seg.ack
    if number > tp.snd_nxt:
        return
    if number < prior_una:
        if seg.sack:
            _old_ack(tp, now_ns, seg)
        return
    flag = 0
    prior_packets = tp.packets_out
    prior_delivered, prior_lost = tp.delivered, tp.lost
    tp.rate_delivered = 0
    prior_fack = marks.highest_sacked(tp) if tp.sacked_out and tp.sack_ok else prior_una
    state: Sacked | None = None
    if number > prior_una:
        flag = UNA_ADVANCED
        tp.retransmits = 0
        if not (seg.sack or seg.window != tp.snd_wnd or tp.sacked_out):
            tp.snd_una = number
            tp.snd_wl1 = seg.start
            flag |= WIN_UPDATE
            fast = True
        else:
            fast = False
    else:
        fast = False
    if not fast:
        if seg.end > seg.start or seg.fin:
            flag |= DATA
        flag |= _update_window(tp, now_ns, seg)
        if seg.sack and tp.sack_ok:
            state = _tag(tp, now_ns, seg, prior_una)
            flag |= state.flag
            tp.delivered += state.delivered
    tp.probes_out = 0
    if not prior_packets:
        if flag & DSACKING:
            recovery.alert(tp, now_ns, prior_una, 0, flag)
        _ack_probe(tp, now_ns)
        if tp.tlp_high_seq is not None:
            _loss_probe_acked(tp, now_ns, number, flag)
        return
    if number > prior_una or state is not None:
        flag = _clean(tp, now_ns, flag, prior_fack, state)
    if tp.dsack_seen or tp.rack_steps > 1:
        rack.update_window(tp)
    if tp.tlp_high_seq is not None:
        _loss_probe_acked(tp, now_ns, number, flag)
    rexmit = REXMIT_NONE
    if not flag & NOT_DUP or flag & (DATA_SACKED | DSACKING) or tp.ca_state != CA_OPEN:
        dup = 0 if flag & (UNA_ADVANCED | NOT_DUP | DSACKING) else 1
        rexmit, flag = recovery.alert(tp, now_ns, prior_una, dup, flag)
    if flag & SET_TIMER:
        rtt.set_timer(tp, now_ns)
    delivered = tp.delivered - prior_delivered
    if tp.ca_state in {CA_CWR, CA_RECOVERY}:
        recovery.reduce_cwnd(tp, delivered, tp.lost - prior_lost, flag)
    elif flag & DATA_ACKED or (tp.reordering > _REORDERING and flag & DATA_SACKED):
        congestion.avoid(tp, now_ns, delivered)
        tp.cwnd_j = tp.jiffies(now_ns)
    congestion.update_pacing_rate(tp)
    if rexmit:
        _recover(tp, now_ns, rexmit)


def _recover(tp: TcpState, now_ns: int, rexmit: int) -> None:
    """``tcp_xmit_recovery``: send lost data, or with F-RTO new data first."""
    if rexmit == REXMIT_NEW:
        if tp.queue:
            transmit.push_frames(tp, now_ns, mss.current(tp, now_ns), NAGLE_OFF)
        if tp.snd_nxt > tp.high_seq:
            return
        tp.frto = False
    resend.retransmit_queue(tp, now_ns)


def _old_ack(tp: TcpState, now_ns: int, seg: TcpSegment) -> None:
    """An acknowledgement that is older than the last one: only its SACK blocks count."""
    state = _tag(tp, now_ns, seg, tp.snd_una)
    rexmit, _ = recovery.alert(tp, now_ns, tp.snd_una, 0, state.flag)
    if rexmit:
        _recover(tp, now_ns, rexmit)


def _update_window(tp: TcpState, now_ns: int, seg: TcpSegment) -> int:
    """``tcp_ack_update_window``: take the peer's window where the segment is new enough."""
    flag = 0
    window = seg.window
    if (
        seg.ack > tp.snd_una
        or seg.start > tp.snd_wl1
        or (seg.start == tp.snd_wl1 and (window > tp.snd_wnd or not window))
    ):
        flag = WIN_UPDATE
        tp.snd_wl1 = seg.start
        if tp.snd_wnd != window:
            tp.snd_wnd = window
            if tp.queue:
                congestion.restart_after_idle(tp, now_ns)
            if window > tp.max_window:
                tp.max_window = window
                mss.sync(tp, tp.pmtu_cookie)
    if seg.ack > tp.snd_una:
        tp.snd_una = seg.ack
    return flag


def _clean(
    tp: TcpState,
    now_ns: int,
    flag: int,
    prior_fack: int,
    state: Sacked | None,
) -> int:
    """``tcp_clean_rtx_queue``: take what is acknowledged out of flight; returns the flags."""
    una = tp.snd_una
    first_ns = last_ns = -1
    reord = NO_SEQ
    acked = gone = 0
    for buffer in tp.flight:
        start = buffer.start
        end_seq = buffer.end + buffer.fin
        whole = end_seq <= una
        if whole:
            count = buffer.pcount
        else:
            if buffer.pcount == 1 or una <= buffer.start:
                break
            count = buffer.pcount
            tp.wmem_queued -= una - start
            buffer.start = una
            buffer.count(buffer.mss)
            count -= buffer.pcount
            if not count:
                break
        sacked = buffer.sacked
        if sacked & (RETRANSMITTED | EVER_RETRANSMITTED):
            if sacked & RETRANSMITTED:
                tp.retrans_out -= count
            flag |= RETRANS_ACKED
        elif not sacked & SACKED:
            last_ns = buffer.t_ns
            if first_ns < 0:
                first_ns = last_ns
            if start < reord:
                reord = start
            if end_seq <= tp.high_seq:
                flag |= ORIG_SACK_ACKED
        if tp.reord_seen:
            marks.note_delivered(tp, buffer)
        if sacked & SACKED:
            tp.sacked_out -= count
        elif tp.sack_ok:
            tp.delivered += count
            if not sacked:  # tcp_rack_advance, without a retransmission that is ambiguous
                sent_ns = buffer.t_ns
                tp.rack_advanced = True
                tp.rack_rtt_us = (now_ns - sent_ns) // 1000 if now_ns > sent_ns else 0
                if sent_ns > tp.rack_ns or (sent_ns == tp.rack_ns and end_seq > tp.rack_end):
                    tp.rack_ns, tp.rack_end = sent_ns, end_seq
            elif not _is_spurious(tp, sacked, buffer.t_ns):
                rack.advance(tp, now_ns, sacked, end_seq, buffer.t_ns)
        if sacked & LOST:
            tp.lost_out -= count
        tp.packets_out -= count
        acked += count
        flag |= DATA_ACKED
        if not whole:
            break
        tp.wmem_queued -= buffer.end - buffer.start + BUFFER_BYTES + buffer.extra
        gone += 1
    if gone:
        if tp.retransmit_hint is not None and tp.retransmit_hint.end_seq <= una:
            tp.retransmit_hint = None
        if gone == 1:  # as nearly always, and faster
            del tp.flight[0]
        else:
            del tp.flight[:gone]
    fast_us = sack_us = least_us = -1
    if first_ns >= 0 and not flag & RETRANS_ACKED:
        fast_us = (now_ns - first_ns) // 1000
        least_us = (now_ns - last_ns) // 1000
    if state is not None and state.first_ns >= 0:
        sack_us = (now_ns - state.first_ns) // 1000
        least_us = (now_ns - state.last_ns) // 1000
    least_us = _measure(tp, now_ns, flag, fast_us, sack_us, least_us)
    if flag & DATA_ACKED:
        flag |= SET_TIMER
        if tp.probe_size and tp.probe_end <= una:
            _probe_arrived(tp, now_ns)
        if not tp.sack_ok:
            tp.delivered += max(acked - tp.sacked_out, 1)
            tp.sacked_out = max(tp.sacked_out - (acked - 1), 0)
            recovery.check_reno_reordering(tp, acked)
            if flag & RETRANS_ACKED:
                flag &= ~ORIG_SACK_ACKED
        elif reord < prior_fack:
            marks.check_reordering(tp, reord)
    elif tp.flight and sack_us >= 0 and sack_us > (now_ns - tp.flight[0].t_ns) // 1000:
        flag |= SET_TIMER
    if tp.fin_queued and not tp.flight and not tp.queue:
        tp.fin_acked = True
    if tp.cubic is not None:
        hystart = cubic.acked(
            tp.cubic, now_ns // 1000, tp.jiffies(now_ns), least_us, tp.cwnd, tp.ssthresh,
            una, tp.snd_nxt, tp.pacing_rate,
        )  # fmt: skip
        if hystart:
            tp.ssthresh = tp.cwnd
    return flag


def _is_spurious(tp: TcpState, sacked: int, sent_ns: int) -> bool:
    """``tcp_skb_spurious_retrans``: whether the echo is older than the copy that we sent."""
    return sacked & (RETRANSMITTED | EVER_RETRANSMITTED) != 0 and 0 < tp.rcv_tsecr < tp.stamp_ms(
        sent_ns
    )


def _measure(
    tp: TcpState, now_ns: int, flag: int, fast_us: int, sack_us: int, least_us: int
) -> int:
    """``tcp_ack_update_rtt``: prefer times of our own to the echoed timestamp (Karn).

    Returns:
        The round trip for congestion control (``ca_rtt_us``); -1 where there is none.
    """
    measured = fast_us if fast_us >= 0 else sack_us
    if measured < 0 and tp.rcv_tsecr != NO_STAMP and flag & DATA_ACKED:
        now_ms = tp.stamp_ms(now_ns)
        measured = least_us = max(now_ms - tp.rcv_tsecr, 1) * 1000  # tcp_rtt_tsopt_us
    if measured >= 0:
        rtt.sample(tp, now_ns, measured, least_us)
    return least_us


def _probe_arrived(tp: TcpState, now_ns: int) -> None:
    """``tcp_mtup_probe_success``: the path takes larger packets, so the window has fewer."""
    tp.prior_ssthresh = congestion.current_ssthresh(tp)
    tp.cwnd = max(tp.cwnd * mss.to_mtu(tp, tp.mss) // tp.probe_size, 1)
    tp.cwnd_cnt = 0
    tp.cwnd_j = tp.jiffies(now_ns)
    tp.ssthresh = congestion.current_ssthresh(tp)
    tp.search_low = tp.probe_size
    tp.probe_size = 0
    mss.sync(tp, tp.pmtu_cookie)


def _ack_probe(tp: TcpState, now_ns: int) -> None:
    """``tcp_ack_probe``: go on, or keep probing a window that is too small."""
    if not tp.queue:
        return
    head = tp.queue[0]
    if head.end_seq <= tp.snd_una + tp.snd_wnd:
        tp.backoff = 0
        if tp.pending == TIMER_WINDOW_PROBE:
            rtt.disarm(tp)
    else:
        rtt.arm(tp, now_ns, TIMER_WINDOW_PROBE, transmit.probe_wait_j(tp))


def _loss_probe_acked(tp: TcpState, now_ns: int, number: int, flag: int) -> None:
    """``tcp_process_tlp_ack``: whether a loss probe repaired a loss (RFC 8985, 7.4)."""
    high = tp.tlp_high_seq
    assert high is not None
    if number < high:
        return
    if not tp.tlp_retrans or flag & DSACK_TLP:
        tp.tlp_high_seq = None
    elif number > high:
        recovery.begin_reduction(tp)
        recovery.set_state(tp, now_ns, CA_CWR)
        recovery.end_reduction(tp, now_ns)
        recovery.keep_open(tp, now_ns)
    elif not flag & (UNA_ADVANCED | NOT_DUP | DATA_SACKED):
        tp.tlp_high_seq = None


# SACK --------------------------------------------------------------------------------------------


def _tag(tp: TcpState, now_ns: int, seg: TcpSegment, prior_una: int) -> Sacked:
    """``tcp_sacktag_write_queue``: mark what the peer has out of order.

    What the last acknowledgement's blocks covered is not looked at again (``recv_sack_cache``). So
    a buffer that one of them covered in part stays unmarked, even where it was cut since.
    """
    state = Sacked()
    if not tp.sacked_out:
        tp.highest_sack = None
    duplicate = _duplicate(tp, seg, prior_una, state)
    if not tp.packets_out:
        return state
    blocks = []
    for number, (start, end) in enumerate(seg.sack):
        dsack = duplicate and number == 0
        if end > prior_una and _valid_block(tp, start, end, dsack=dsack):
            blocks.append((start, end, dsack))
    blocks.sort()
    known = tp.sack_cache if tp.sacked_out else []
    at = 0
    for number, (start, end, dsack) in enumerate(blocks):
        low = start
        twice: tuple[int, int] | None = None  # the next block, where it reports what came twice
        if number + 1 < len(blocks) and blocks[number + 1][2]:
            twice = blocks[number + 1][:2]
        while at < len(known) and start >= known[at][1]:
            at += 1
        while at < len(known) and not dsack and end > known[at][0]:
            known_start, known_end = known[at]
            if start < known_start:
                tag_range(tp, now_ns, low, start, known_start, state, dsack=False, twice=twice)
            low = known_end
            if end <= known_end:
                break
            at += 1
            if marks.highest_sacked(tp) == known_end:
                break  # nothing behind it has a mark, so all the rest is looked at
        if end > low or dsack:
            tag_range(tp, now_ns, low, start, end, state, dsack=dsack, twice=twice)
    tp.sack_cache = [(start, end) for start, end, _ in blocks]
    if tp.ca_state != CA_LOSS or tp.undo_marker is not None:
        marks.check_reordering(tp, state.reord)
    return state


def _valid_block(tp: TcpState, start: int, end: int, *, dsack: bool) -> bool:
    """``tcp_is_sackblock_valid``: whether a block can be about what is in flight."""
    if end > tp.snd_nxt or start >= end:
        return False
    if start > tp.snd_una:
        return True
    marker = tp.undo_marker
    if not dsack or marker is None or end <= tp.snd_una:
        return False
    return start >= marker or (end > marker and start >= end - tp.max_window)


def _duplicate(tp: TcpState, seg: TcpSegment, prior_una: int, state: Sacked) -> bool:
    """``tcp_check_dsack``: whether the first block reports what came twice (RFC 2883)."""
    start, end = seg.sack[0]
    inside = len(seg.sack) > 1 and seg.sack[1][0] <= start and end <= seg.sack[1][1]
    if not (start < seg.ack or inside) or start >= end:
        return False
    if end - start > tp.max_window:
        return False
    segments = 1
    if end - start > tp.mss:
        segments = -(-(end - start) // tp.mss)
    elif tp.tlp_high_seq == end:
        state.flag |= DSACK_TLP
    tp.dsack_dups += segments
    if tp.dsack_dups > tp.total_retrans:
        return False  # the network has made copies: we have not sent so much again
    if tp.reord_seen and not state.flag & DSACK_TLP:
        tp.dsack_seen = True
    state.flag |= DSACKING
    state.delivered += segments
    if tp.undo_marker is not None and tp.undo_retrans > 0 and tp.undo_marker < end <= prior_una:
        tp.undo_retrans = max(0, tp.undo_retrans - segments)
    return True
