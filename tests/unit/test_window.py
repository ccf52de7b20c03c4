"""The silly window syndrome's avoidance, against the text of RFC 9293, 3.8.6.2.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.tcp.window import usable


@pytest.mark.parametrize(
    ("waiting", "in_flight", "window", "mss", "allowed", "why"),
    [
        (399, 0, 1460, 1460, 399, "all of it fits, and is pushed"),
        (184, 428, 1460, 1460, 184, "all of it fits behind what is in flight"),
        (8065, 612, 1460, 1460, 848, "more than half of the window is free"),
        (7217, 1460, 1460, 1460, 0, "the window is full"),
        (7217, 1061, 1460, 1460, 0, "the first acknowledgement frees less than half"),
        (7217, 848, 1460, 1460, 0, "612 bytes are less than half of the window"),
        (7217, 0, 1460, 1460, 1460, "a full segment"),
        (9000, 0, 65535, 1460, 9000, "all of it fits"),
        (9000, 64000, 65535, 1460, 1535, "more than a segment fits, though little of the window"),
    ],
)
def test_what_may_leave(
    waiting: int, in_flight: int, window: int, mss: int, allowed: int, why: str
) -> None:
    """Each clause of the rule, with Listing 9's sizes first."""
    assert usable(waiting, in_flight, window, mss) == allowed, why


@given(
    st.integers(1, 100_000), st.integers(0, 100_000), st.integers(1, 70_000), st.integers(1, 9000)
)
def test_the_window_is_never_exceeded_and_never_stuck(
    waiting: int, in_flight: int, window: int, mss: int
) -> None:
    """What leaves fits; and when nothing is in flight, something leaves."""
    allowed = usable(waiting, in_flight, window, mss)
    assert 0 <= allowed <= min(waiting, max(0, window - in_flight))
    if in_flight == 0:
        assert allowed > 0
