"""Loss recovery: which buffers are lost, what is sent again, and when a reduction is undone.

Theory of operation
-------------------
What is known of a buffer in flight is in ``marks.py``, and sending again is in ``resend.py``.

    who marks a buffer as lost          when
    ``rack.mark_lost`` (RFC 8985)       another one that was sent later has arrived, and the
                                        reordering window is over
    ``_newreno_mark_lost``              three duplicate acknowledgements (without SACK)
    ``enter_loss``                      the retransmission timer
    ``simple_retransmit``               the path's MTU fell below its segments

``ca_state`` goes from open or disorder to recovery (the window falls by PRR, RFC 6937) or to loss
(it falls to one segment), and back to open when ``high_seq`` is acknowledged. If it turns out that
nothing was lost (timestamps, DSACK or F-RTO tell), ``_undo`` restores the window.

A fall of the MTU is no congestion: it goes to loss without touching the window.
"""

from typing import Final

from seglab.simulator import congestion, cubic, marks, mss, rack, resend, rtt
from seglab.simulator.segment import NO_STAMP
from seglab.simulator.state import (
    CA_CWR,
    CA_DISORDER,
    CA_LOSS,
    CA_OPEN,
    CA_RECOVERY,
    INFINITE_SSTHRESH,
    LOST,
    SACKED,
    TIMER_RTO,
    TcpState,
)

REXMIT_NONE: Final = 0
REXMIT_LOST: Final = 1
REXMIT_NEW: Final = 2

# What an acknowledgement did (FLAG_* of tcp_input.c).
DATA: Final = 1
WIN_UPDATE: Final = 2
DATA_ACKED: Final = 4
RETRANS_ACKED: Final = 8
DATA_SACKED: Final = 16
LOST_RETRANS: Final = 32
UNA_ADVANCED: Final = 64
DSACKING: Final = 128
ORIG_SACK_ACKED: Final = 256
RENEGING: Final = 512
SET_TIMER: Final = 1024
DSACK_TLP: Final = 2048
NOT_DUP: Final = DATA | WIN_UPDATE | DATA_ACKED

_REORDERING: Final = 3  # net.ipv4.tcp_reordering
_REORDERING_MAX: Final = 300


def reordering_timeout(tp: TcpState, now_ns: int) -> None:
    """``tcp_rack_reo_timeout``: the reordering window is over."""
    before, lost = tp.in_flight, tp.lost
    rack.detect(tp, now_ns)
    if before != tp.in_flight:
        if tp.ca_state != CA_RECOVERY:
            enter_recovery(tp)
            reduce_cwnd(tp, 1, tp.lost - lost, 0)
        resend.retransmit_queue(tp, now_ns)
    if tp.pending != TIMER_RTO:
        rtt.rearm(tp, now_ns)


def simple_retransmit(tp: TcpState, now_ns: int) -> bool:
    """``tcp_simple_retransmit``: what does not fit the path is lost, without congestion.

    Returns:
        Whether the head of the queue was sent again, which sets the timeout anew.
    """
    full = mss.current(tp, now_ns)
    for buffer in tp.flight:
        if (buffer.mss or buffer.end - buffer.start) > full:
            marks.mark_lost(tp, buffer)
    if not tp.lost_out:
        return False
    if not tp.sack_ok:
        _limit_reno_sacked(tp)
    if tp.ca_state != CA_LOSS:
        tp.high_seq = tp.snd_nxt
        tp.ssthresh = congestion.current_ssthresh(tp)
        tp.prior_ssthresh = 0
        tp.undo_marker = None
        set_state(tp, now_ns, CA_LOSS)
    return resend.retransmit_queue(tp, now_ns)


def set_state(tp: TcpState, now_ns: int, state: int) -> None:
    """``tcp_set_ca_state``."""
    if state == CA_LOSS and tp.cubic is not None:
        cubic.reset(tp.cubic, now_ns // 1000, tp.snd_nxt)
    tp.ca_state = state


def keep_open(tp: TcpState, now_ns: int) -> None:
    """``tcp_try_keep_open``."""
    disordered = tp.sacked_out or tp.lost_out or marks.any_retransmitted(tp)
    state = CA_DISORDER if disordered else CA_OPEN
    if tp.ca_state != state:
        set_state(tp, now_ns, state)
        tp.high_seq = tp.snd_nxt


def begin_reduction(tp: TcpState) -> None:
    """``tcp_init_cwnd_reduction``."""
    tp.high_seq = tp.snd_nxt
    tp.tlp_high_seq = None
    tp.cwnd_cnt = 0
    tp.prior_cwnd = tp.cwnd
    tp.prr_delivered = 0
    tp.prr_out = 0
    tp.ssthresh = congestion.reduced_ssthresh(tp)


def reduce_cwnd(tp: TcpState, delivered: int, lost: int, flag: int) -> None:
    """``tcp_cwnd_reduction``: proportional rate reduction (RFC 6937)."""
    if delivered <= 0 or not tp.prior_cwnd:
        return
    in_flight = tp.in_flight
    room = tp.ssthresh - in_flight
    tp.prr_delivered += delivered
    if room < 0:
        share = tp.ssthresh * tp.prr_delivered + tp.prior_cwnd - 1
        count = share // tp.prior_cwnd - tp.prr_out
    else:
        count = max(tp.prr_delivered - tp.prr_out, delivered)
        if flag & UNA_ADVANCED and not lost:
            count += 1
        count = min(room, count)
    tp.cwnd = in_flight + max(count, 0 if tp.prr_out else 1)


def end_reduction(tp: TcpState, now_ns: int) -> None:
    """``tcp_end_cwnd_reduction``."""
    if tp.ssthresh < INFINITE_SSTHRESH and (tp.ca_state == CA_CWR or tp.undo_marker is not None):
        tp.cwnd = tp.ssthresh
        tp.cwnd_j = tp.jiffies(now_ns)


def _begin_undo(tp: TcpState) -> None:
    """``tcp_init_undo``."""
    tp.undo_marker = tp.snd_una
    tp.undo_retrans = tp.retrans_out
    if tp.tlp_high_seq is not None and tp.tlp_retrans:
        tp.undo_retrans += 1
    if not tp.undo_retrans:
        tp.undo_retrans = -1


def enter_recovery(tp: TcpState) -> None:
    """``tcp_enter_recovery``: the clock of what is undone begins with our next retransmission."""
    if not marks.any_retransmitted(tp):
        tp.retrans_ns = None
    tp.prior_ssthresh = 0
    _begin_undo(tp)
    if tp.ca_state not in {CA_CWR, CA_RECOVERY}:
        tp.prior_ssthresh = congestion.current_ssthresh(tp)
        begin_reduction(tp)
    tp.ca_state = CA_RECOVERY


def enter_loss(tp: TcpState, now_ns: int) -> None:
    """``tcp_enter_loss``: the retransmission timer has fired."""
    fresh = tp.ca_state < CA_RECOVERY
    head = tp.flight[0]
    reneged = bool(head.sacked & SACKED)
    if reneged or not tp.sack_ok:
        tp.sacked_out = 0
    for buffer in tp.flight:
        if reneged:
            buffer.sacked &= ~SACKED
        elif buffer is not head and rack.timeout_us(tp, now_ns, buffer, 0) > 0 and tp.sack_ok:
            continue  # it was sent so recently that it may arrive
        marks.mark_lost(tp, buffer)
    tp.retransmit_hint = None
    if (
        tp.ca_state <= CA_DISORDER
        or tp.high_seq <= tp.snd_una
        or (tp.ca_state == CA_LOSS and not tp.retransmits)
    ):
        tp.prior_ssthresh = congestion.current_ssthresh(tp)
        tp.prior_cwnd = tp.cwnd
        tp.ssthresh = congestion.reduced_ssthresh(tp)
        _begin_undo(tp)
    tp.cwnd = tp.in_flight + 1
    tp.cwnd_cnt = 0
    tp.cwnd_j = tp.jiffies(now_ns)
    if tp.ca_state <= CA_DISORDER and tp.sacked_out >= _REORDERING:
        tp.reordering = min(tp.reordering, _REORDERING)
    set_state(tp, now_ns, CA_LOSS)
    tp.high_seq = tp.snd_nxt
    tp.tlp_high_seq = None
    tp.frto = (fresh or tp.retransmits > 0) and not tp.probe_size


def _delayed(tp: TcpState) -> bool:
    """``tcp_packet_delayed``: whether the first copy arrived after all, by its timestamp."""
    if tp.retrans_ns is not None:
        return tp.rcv_tsecr != NO_STAMP and tp.rcv_tsecr < tp.stamp_ms(tp.retrans_ns)
    return tp.sack_ok or tp.snd_una < tp.high_seq


def _may_undo(tp: TcpState) -> bool:
    return tp.undo_marker is not None and (tp.undo_retrans == 0 or _delayed(tp))


def _undo(tp: TcpState, now_ns: int, *, unmark: bool) -> None:
    """``tcp_undo_cwnd_reduction``."""
    if unmark:
        for buffer in tp.flight:
            buffer.sacked &= ~LOST
        tp.lost_out = 0
        tp.retransmit_hint = None
    if tp.prior_ssthresh:
        tp.cwnd = congestion.undone_cwnd(tp)
        tp.ssthresh = max(tp.ssthresh, tp.prior_ssthresh)
    tp.cwnd_j = tp.jiffies(now_ns)
    tp.undo_marker = None
    tp.rack_advanced = True


def _prevents_reopening(tp: TcpState) -> bool:
    """``tcp_is_non_sack_preventing_reopen``: without SACK, stay until more is acknowledged."""
    if tp.snd_una == tp.high_seq and not tp.sack_ok:
        if not marks.any_retransmitted(tp):
            tp.retrans_ns = None
        return True
    return False


def _undo_recovery(tp: TcpState, now_ns: int) -> bool:
    """``tcp_try_undo_recovery``: recovery is over; return whether its state stays."""
    if _may_undo(tp):
        _undo(tp, now_ns, unmark=False)
    elif tp.rack_persist:
        tp.rack_persist -= 1
    if _prevents_reopening(tp):
        return True
    set_state(tp, now_ns, CA_OPEN)
    return False


def _undo_dsack(tp: TcpState, now_ns: int) -> bool:
    """``tcp_try_undo_dsack``: every retransmission turned out to be needless."""
    if tp.undo_marker is not None and not tp.undo_retrans:
        tp.rack_persist = min(tp.rack_persist + 1, rack.RECOVERY_THRESHOLD)
        _undo(tp, now_ns, unmark=False)
        return True
    return False


def _undo_loss(tp: TcpState, now_ns: int, *, frto: bool) -> bool:
    """``tcp_try_undo_loss``."""
    if not (frto or _may_undo(tp)):
        return False
    _undo(tp, now_ns, unmark=True)
    tp.retransmits = 0
    if _prevents_reopening(tp):
        return True
    if frto or tp.sack_ok:
        set_state(tp, now_ns, CA_OPEN)
    return True


def _undo_partial(tp: TcpState, now_ns: int, prior_una: int) -> bool:
    """``tcp_try_undo_partial``: a hole was filled by a delayed packet, not by ours."""
    if tp.undo_marker is None or not _delayed(tp):
        return False
    marks.check_reordering(tp, prior_una)
    if tp.retrans_out:
        return True
    if not marks.any_retransmitted(tp):
        tp.retrans_ns = None
    _undo(tp, now_ns, unmark=True)
    keep_open(tp, now_ns)
    return False


def _limit_reno_sacked(tp: TcpState) -> bool:
    holes = min(max(tp.lost_out, 1), tp.packets_out)
    if tp.sacked_out + holes > tp.packets_out:
        tp.sacked_out = tp.packets_out - holes
        return True
    return False


def check_reno_reordering(tp: TcpState, addend: int) -> None:
    """``tcp_check_reno_reordering``."""
    if _limit_reno_sacked(tp):
        tp.reordering = min(tp.packets_out + addend, _REORDERING_MAX)
        tp.reord_seen += 1


def _add_reno_sack(tp: TcpState, dup_acks: int) -> None:
    """``tcp_add_reno_sack``: each duplicate acknowledgement stands for a segment that arrived."""
    if dup_acks:
        prior = tp.sacked_out
        tp.sacked_out += dup_acks
        check_reno_reordering(tp, 0)
        tp.delivered += max(tp.sacked_out - prior, 0)


def _newreno_mark_lost(tp: TcpState, *, advanced: bool) -> None:
    """``tcp_newreno_mark_lost`` (RFC 6582)."""
    if (tp.ca_state < CA_RECOVERY and tp.sacked_out >= tp.reordering) or (
        tp.ca_state == CA_RECOVERY and advanced
    ):
        head = tp.flight[0]
        if head.sacked & LOST:
            return
        if head.pcount > 1 and head.end - head.start > head.mss:
            marks.fragment(tp, 0, head.mss, head.mss)
        marks.mark_lost(tp, tp.flight[0])


def _identify_loss(tp: TcpState, now_ns: int, flag: int) -> int:
    """``tcp_identify_packet_loss``: return the flags, changed."""
    if not tp.flight:
        return flag
    if not tp.sack_ok:
        _newreno_mark_lost(tp, advanced=bool(flag & UNA_ADVANCED))
        return flag
    prior = tp.retrans_out
    if rack.mark_lost(tp, now_ns):
        flag &= ~SET_TIMER
    if prior > tp.retrans_out:
        flag |= LOST_RETRANS
    return flag


def alert(tp: TcpState, now_ns: int, prior_una: int, dup_acks: int, flag: int) -> tuple[int, int]:
    """``tcp_fastretrans_alert``: move between the states of recovery.

    Args:
        tp: the endpoint.
        now_ns: the time.
        prior_una: ``snd_una`` before this acknowledgement.
        dup_acks: 1 for a duplicate acknowledgement, else 0.
        flag: what the acknowledgement did.

    Returns:
        What is to be sent (``REXMIT_*``), and the flags, changed.
    """
    if not tp.packets_out:
        tp.sacked_out = 0
    if tp.ca_state == CA_OPEN:
        tp.retrans_ns = None
    elif tp.snd_una >= tp.high_seq:
        if tp.ca_state == CA_CWR:
            if tp.snd_una != tp.high_seq:
                end_reduction(tp, now_ns)
                set_state(tp, now_ns, CA_OPEN)
        elif tp.ca_state == CA_RECOVERY:
            if not tp.sack_ok:
                tp.sacked_out = 0
            if _undo_recovery(tp, now_ns):
                return REXMIT_NONE, flag
            end_reduction(tp, now_ns)
    if tp.ca_state == CA_RECOVERY:
        if not flag & UNA_ADVANCED:
            if not tp.sack_ok:
                _add_reno_sack(tp, dup_acks)
        elif _undo_partial(tp, now_ns, prior_una):
            return REXMIT_NONE, flag
        if _undo_dsack(tp, now_ns):
            try_to_open(tp, now_ns)
        flag = _identify_loss(tp, now_ns, flag)
        if tp.ca_state != CA_RECOVERY:
            if not tp.lost_out:
                return REXMIT_NONE, flag
            enter_recovery(tp)
        return REXMIT_LOST, flag
    if tp.ca_state == CA_LOSS:
        rexmit = _process_loss(tp, now_ns, flag, dup_acks)
        flag = _identify_loss(tp, now_ns, flag)
        if not (tp.ca_state == CA_OPEN or flag & LOST_RETRANS):
            return rexmit, flag
    else:
        rexmit = REXMIT_NONE
    if not tp.sack_ok:
        if flag & UNA_ADVANCED:
            tp.sacked_out = 0
        _add_reno_sack(tp, dup_acks)
    if tp.ca_state <= CA_DISORDER:
        _undo_dsack(tp, now_ns)
    flag = _identify_loss(tp, now_ns, flag)
    if not tp.lost_out:
        try_to_open(tp, now_ns)
        return rexmit, flag
    if tp.ca_state < CA_CWR and tp.probe_size and tp.snd_una == tp.probe_start:
        tp.search_high = tp.probe_size - 1  # tcp_mtup_probe_failed
        tp.probe_size = 0
        tp.cwnd += 1
        simple_retransmit(tp, now_ns)
        return rexmit, flag
    enter_recovery(tp)
    return REXMIT_LOST, flag


def try_to_open(tp: TcpState, now_ns: int) -> None:
    """``tcp_try_to_open``."""
    if not marks.any_retransmitted(tp):
        tp.retrans_ns = None
    if tp.ca_state != CA_CWR:
        keep_open(tp, now_ns)


def _process_loss(tp: TcpState, now_ns: int, flag: int, dup_acks: int) -> int:
    """``tcp_process_loss``: an acknowledgement after a timeout, with F-RTO (RFC 5682)."""
    recovered = tp.snd_una >= tp.high_seq
    if flag & UNA_ADVANCED and _undo_loss(tp, now_ns, frto=False):
        return REXMIT_NONE
    if tp.frto:
        if flag & ORIG_SACK_ACKED and _undo_loss(tp, now_ns, frto=True):
            return REXMIT_NONE
        if tp.snd_nxt > tp.high_seq:
            if flag & DATA_SACKED or dup_acks:
                tp.frto = False
        elif flag & UNA_ADVANCED and not recovered:
            tp.high_seq = tp.snd_nxt
            if tp.queue and tp.snd_una + tp.snd_wnd > tp.snd_nxt:
                return REXMIT_NEW
            tp.frto = False
    if recovered:
        _undo_recovery(tp, now_ns)
        return REXMIT_NONE
    if not tp.sack_ok:
        if tp.snd_nxt > tp.high_seq and dup_acks:
            _add_reno_sack(tp, dup_acks)
        elif flag & UNA_ADVANCED:
            tp.sacked_out = 0
    return REXMIT_LOST
