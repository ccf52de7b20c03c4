"""CUBIC in the simulator, against RFC 9438 and the kernel's constants."""

import pytest

from seglab.simulator import cubic
from seglab.simulator.clock import HZ


def test_a_loss_leaves_seven_tenths() -> None:
    """RFC 9438, 4.6: the window after a loss is 0.7 of the window; Linux has 717/1024."""
    assert cubic.ssthresh(cubic.Cubic(), 100) == 70
    assert cubic.ssthresh(cubic.Cubic(), 2) == 2


def test_a_second_loss_below_the_last_one_releases_bandwidth() -> None:
    """RFC 9438, 4.7: fast convergence lowers the window's target to (1 + 0.7) / 2 of it."""
    state = cubic.Cubic()
    cubic.ssthresh(state, 100)
    cubic.ssthresh(state, 80)
    assert state.last_max == pytest.approx(0.85 * 80, abs=1)


def test_the_curve_reaches_the_old_window_after_k_seconds() -> None:
    """RFC 9438, 4.2: K is the cube root of (W_max - cwnd) / C, with C = 0.4."""
    state = cubic.Cubic()
    cubic.ssthresh(state, 100)
    cubic.update(state, 1000, 70, 1)
    assert state.k / 1024 == pytest.approx((30 / 0.4) ** (1 / 3), rel=0.005)


def test_counting_for_the_friendly_window_begins_anew_with_each_epoch() -> None:
    """``bictcp_update``: what was acknowledged before the loss does not count."""
    state = cubic.Cubic()
    for now_j in range(0, 10 * HZ, HZ):
        cubic.update(state, now_j + 1, 4, 1)
    cubic.ssthresh(state, 4)
    cubic.update(state, 20 * HZ, 2, 1)
    assert (state.ack_cnt, state.tcp_cwnd) == (1, 2)
