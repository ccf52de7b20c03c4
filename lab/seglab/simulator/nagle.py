"""Nagle's algorithm: whether a short segment waits for an acknowledgement.

Linux has Minshall's variant: a short segment waits while an earlier *short* one is unacknowledged
(``snd_sml``). RFC 896 lets it wait while anything is.
"""

from seglab.simulator.state import NAGLE_CORK, TcpState


def nagle(tp: TcpState, nonagle: int) -> bool:
    """``tcp_nagle_check`` for a partial segment: whether it has to wait.

    ``NAGLE_PUSH`` is no part of that: ``tcp_nagle_test`` asks for it before, and
    ``tcp_mss_split_point`` does not. So a corked partial segment that may leave leaves by itself.
    """
    if nonagle & NAGLE_CORK:
        return True
    if tp.rfc896:
        return not nonagle and tp.packets_out > 0
    return not nonagle and tp.packets_out > 0 and tp.snd_una < tp.snd_sml <= tp.snd_nxt
