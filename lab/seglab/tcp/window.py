"""How much a TCP may send if its window counts bytes: pure.

Linux counts its congestion window in segments. Other stacks count it in bytes, so that a window can
end inside what is being written. A sender that sent all that fits would cut the stream into small
pieces (the silly window syndrome). RFC 9293, 3.8.6.2.1 has the rules that avoid it.
"""


def usable(waiting_bytes: int, in_flight_bytes: int, window_bytes: int, mss: int) -> int:
    """Return how many of the waiting bytes may leave now.

    Args:
        waiting_bytes: the bytes that have been written and not sent (the RFC's D).
        in_flight_bytes: the bytes that have been sent and not acknowledged.
        window_bytes: the size of the whole window.
        mss: the effective send MSS.

    Returns:
        All waiting bytes if they fit, since they are then pushed; otherwise as many as fit, if
        they are a full segment or at least half of the window; otherwise 0.
    """
    room = max(0, window_bytes - in_flight_bytes)
    fits = min(waiting_bytes, room)
    if fits == waiting_bytes or fits >= mss or 2 * fits >= window_bytes:
        return fits
    return 0
