"""CUBIC (RFC 9438) as Linux has it in ``net/ipv4/tcp_cubic.c``, with HyStart.

The window after a loss follows a cubic curve of time: it flattens where the loss was, at
``last_max``, and then rises ever faster. ``update`` returns after how many acknowledged segments
the window grows by one. HyStart ends slow start before it loses: when a round's acknowledgements
come as a train for half of the shortest round trip, or when round trips grow.
"""

import math
from typing import Final

from seglab.simulator.clock import HZ, usecs_to_jiffies

_BETA: Final = 717  # of 1024: the window after a loss
_BETA_SCALE: Final = 15  # 8 * (1024 + beta) / 3 / (1024 - beta)
_CUBE_RTT_SCALE: Final = 410
_CUBE_FACTOR: Final = (1 << 40) // 410
_HZ_STEPS: Final = 10  # BICTCP_HZ: the curve's time counts 1/1024 s
_TRAIN: Final = 1
_DELAY: Final = 2
_LOW_WINDOW: Final = 16
_DELTA_US: Final = 2_000
_SAMPLES: Final = 8
_DELAY_MIN_US: Final = 4_000
_DELAY_MAX_US: Final = 16_000
_GSO_MAX_BYTES: Final = 65_536 - 257


class Cubic:
    """What CUBIC keeps of one connection (``struct bictcp``)."""

    __slots__ = (
        "ack_cnt",
        "cnt",
        "curr_rtt_us",
        "delay_min_us",
        "end_seq",
        "epoch_j",
        "found",
        "k",
        "last_ack_us",
        "last_cwnd",
        "last_j",
        "last_max",
        "origin",
        "round_us",
        "samples",
        "tcp_cwnd",
    )  # fmt: skip

    def __init__(self) -> None:
        self.clear()
        self.begin_round(0, 0)

    def clear(self) -> None:
        """``bictcp_reset``."""
        self.cnt = 0
        self.last_max = 0
        self.last_cwnd = 0
        self.last_j = 0
        self.origin = 0
        self.k = 0
        self.delay_min_us = 0
        self.epoch_j = 0
        self.ack_cnt = 0
        self.tcp_cwnd = 0
        self.found = 0

    def begin_round(self, now_us: int, snd_nxt: int) -> None:
        """``bictcp_hystart_reset``."""
        self.round_us = self.last_ack_us = now_us
        self.end_seq = snd_nxt
        self.curr_rtt_us = 1 << 32
        self.samples = 0


def ssthresh(ca: Cubic, cwnd: int) -> int:
    """``cubictcp_recalc_ssthresh``: the window after a loss, with fast convergence."""
    ca.epoch_j = 0
    if cwnd < ca.last_max:
        ca.last_max = cwnd * (1024 + _BETA) // 2048
    else:
        ca.last_max = cwnd
    return max(cwnd * _BETA // 1024, 2)


def reset(ca: Cubic, now_us: int, snd_nxt: int) -> None:
    """``cubictcp_state`` on TCP_CA_Loss: begin anew."""
    ca.clear()
    ca.begin_round(now_us, snd_nxt)


def after_idle(ca: Cubic, idle_j: int, now_j: int) -> None:
    """``cubictcp_cwnd_event`` on CA_EVENT_TX_START: idle time does not count on the curve."""
    if ca.epoch_j and idle_j > 0:
        ca.epoch_j = min(ca.epoch_j + idle_j, now_j)


def update(ca: Cubic, now_j: int, cwnd: int, acked: int) -> int:
    """``bictcp_update``: after how many acknowledged segments the window grows by one."""
    ca.ack_cnt += acked
    if ca.last_cwnd == cwnd and now_j - ca.last_j <= HZ // 32:
        return ca.cnt
    if not (ca.epoch_j and now_j == ca.last_j):
        _curve(ca, now_j, cwnd, acked)
    _friendliness(ca, cwnd)
    ca.cnt = max(ca.cnt, 2)
    return ca.cnt


def _curve(ca: Cubic, now_j: int, cwnd: int, acked: int) -> None:
    """The cubic curve itself: set ``cnt``."""
    ca.last_cwnd = cwnd
    ca.last_j = now_j
    if not ca.epoch_j:
        ca.epoch_j = now_j
        ca.ack_cnt = acked
        ca.tcp_cwnd = cwnd
        if ca.last_max <= cwnd:
            ca.k = 0
            ca.origin = cwnd
        else:
            ca.k = _cube_root(_CUBE_FACTOR * (ca.last_max - cwnd))
            ca.origin = ca.last_max
    t = now_j - ca.epoch_j + usecs_to_jiffies(ca.delay_min_us)
    t = (t << _HZ_STEPS) // HZ
    offset = abs(t - ca.k)
    delta = (_CUBE_RTT_SCALE * offset * offset * offset) >> 40
    target = ca.origin - delta if t < ca.k else ca.origin + delta
    ca.cnt = cwnd // (target - cwnd) if target > cwnd else 100 * cwnd
    if ca.last_max == 0:
        ca.cnt = min(ca.cnt, 20)


def _friendliness(ca: Cubic, cwnd: int) -> None:
    """Never grow more slowly than Reno would."""
    delta = (cwnd * _BETA_SCALE) >> 3
    while delta and ca.ack_cnt > delta:
        ca.ack_cnt -= delta
        ca.tcp_cwnd += 1
    if ca.tcp_cwnd > cwnd:
        ca.cnt = min(ca.cnt, cwnd // (ca.tcp_cwnd - cwnd))


def _cube_root(value: int) -> int:
    """Return the whole cube root."""
    root = int(math.cbrt(value))
    while root * root * root > value:
        root -= 1
    while (root + 1) ** 3 <= value:
        root += 1
    return root


def acked(
    ca: Cubic,
    now_us: int,
    now_j: int,
    rtt_us: int,
    cwnd: int,
    ssthresh_now: int,
    una: int,
    nxt: int,
    pacing_rate: int,
) -> bool:
    """``cubictcp_acked``: note a round trip; return whether HyStart ends slow start now.

    Args:
        ca: the algorithm's state.
        now_us: the time.
        now_j: the time in jiffies.
        rtt_us: the round trip of this acknowledgement; -1 where there is none.
        cwnd: the window.
        ssthresh_now: the threshold.
        una: ``snd_una``.
        nxt: ``snd_nxt``.
        pacing_rate: ``sk_pacing_rate``.
    """
    if rtt_us < 0 or (ca.epoch_j and now_j - ca.epoch_j < HZ):
        return False
    delay = max(rtt_us, 1)
    if ca.delay_min_us == 0 or ca.delay_min_us > delay:
        ca.delay_min_us = delay
    if ca.found or cwnd >= ssthresh_now:
        return False
    if una > ca.end_seq:
        ca.begin_round(now_us, nxt)  # below the least window too, since Linux 6.14
    return cwnd >= _LOW_WINDOW and _hystart(ca, now_us, delay, pacing_rate)


def _hystart(ca: Cubic, now_us: int, delay: int, pacing_rate: int) -> bool:
    """``hystart_update``, from the least window on that it looks at."""
    if now_us - ca.last_ack_us <= _DELTA_US:
        ca.last_ack_us = now_us
        patience_us = min(1000, _GSO_MAX_BYTES * 4_000_000 // pacing_rate)
        if now_us - ca.round_us > (ca.delay_min_us + patience_us) >> 1:
            ca.found = _TRAIN
    ca.curr_rtt_us = min(ca.curr_rtt_us, delay)
    if ca.samples < _SAMPLES:
        ca.samples += 1
    else:
        margin = min(max(ca.delay_min_us >> 3, _DELAY_MIN_US), _DELAY_MAX_US)
        if ca.curr_rtt_us > ca.delay_min_us + margin:
            ca.found = _DELAY
    return bool(ca.found)
