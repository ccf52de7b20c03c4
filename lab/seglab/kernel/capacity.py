"""How much this machine can carry: how many labs at once, and how soon their sessions begin."""

from pathlib import Path
from typing import Final

from seglab.networks.network import Network

LABS_MAX: Final = 64
LAB_BYTES: Final = 64 << 20
"""More memory than a lab needs. Its four Python processes and four shells share most of their
pages, and have about 40 MB together; the frames of the sessions that run side by side add to that.
"""

_WORK_EACH_S = 0.03  # processor time of a session, estimated generously
_CHANGE_EACH_S = 0.06  # processor time of a change of the MTU on the router, also generously


def labs_at_once() -> int:
    """Return how many labs fit in half of the machine's free memory, from 2 to ``LABS_MAX``."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 8
    free = next((int(n.split()[1]) << 10 for n in lines if n.startswith("MemAvailable:")), 0)
    return max(2, min(LABS_MAX, free // 2 // LAB_BYTES))


def spread_s(network: Network, sessions: int) -> float:
    """Return over how many seconds the first sessions of a lab begin.

    That is three round trips, a good part of a session's length, or less where the sessions have
    less work to do together. Where the network has a schedule of MTU changes, it is long enough
    for the changes of different sessions not to coincide, since they would not keep their times.
    """
    if network.router.schedule:
        return _CHANGE_EACH_S * sessions
    return min(3 * network.round_trip_s, _WORK_EACH_S * sessions)
