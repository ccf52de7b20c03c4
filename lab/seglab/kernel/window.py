"""How much a TCP may send whose window counts bytes: pure.

Linux counts its congestion window in segments. Other stacks count bytes, and then a window can end
inside what is being written. Sending all that fits would cut a stream into crumbs, so a sender
avoids the silly window syndrome by the rules of RFC 9293, 3.8.6.2.1.
"""


def usable(waiting_bytes: int, in_flight_bytes: int, window_bytes: int, mss: int) -> int:
    """How many of the waiting bytes may leave now.

    Args:
        waiting_bytes: what has been written and not sent (the RFC's D).
        in_flight_bytes: what has been sent and not acknowledged.
        window_bytes: the window, all of it.
        mss: the effective send MSS.

    Returns:
        All that waits, where it fits (it is pushed); else what fits, if that is a full segment or
        half of the window or more; else 0.
    """
    room = max(0, window_bytes - in_flight_bytes)
    fits = min(waiting_bytes, room)
    if fits == waiting_bytes or fits >= mss or 2 * fits >= window_bytes:
        return fits
    return 0
