"""How much this machine can carry: how many labs at once, and how soon their sessions begin."""

import resource
from pathlib import Path
from typing import Final

from seglab.core import open_files
from seglab.errors import EnvironmentLacksError
from seglab.networks.network import Network
from seglab.server.limits import Limits
from seglab.server.process import SPARE_FILES

LABS_MAX: Final = 64
LAB_BYTES: Final = 64 << 20
"""More memory than a lab needs. Its four Python processes and four shells share most of their
pages, and have about 40 MB together; the frames of the sessions that run side by side add to that.
"""

FILES_MIN: Final = 64
"""Below this limit of open files no lab can be built. The lab's first process has 33 open at most
while Mininet makes the hosts, and the parent has 25 beside those of its labs."""

FILES_OF_PARENT: Final = 32
FILES_OF_LAB: Final = 6
"""Open files of the parent for each lab: four channels, the lifeline, and one while it ends."""

FILES_WANTED: Final = FILES_OF_PARENT + LABS_MAX * FILES_OF_LAB
"""The limit of open files with which as many labs may exist as ``LABS_MAX`` says."""

_WORK_EACH_S = 0.03  # processor time of a session, estimated generously
_CHANGE_EACH_S = 0.06  # processor time of a change of the MTU on the router, also generously


RAISE_FILES: Final = "raise it by `ulimit -n 1024`, by LimitNOFILE= of systemd or in limits.conf"
"""What a user can do about a limit of open files that is too low."""


def check_open_files() -> None:
    """Make sure that this machine's limit of open files allows a lab.

    Raises:
        EnvironmentLacksError: it does not; the message says what it takes.
    """
    if (limit := open_files.raise_limit(FILES_MIN)) < FILES_MIN:
        raise EnvironmentLacksError(
            f"the limit of open files is {limit}, and a lab needs {FILES_MIN}: {RAISE_FILES}"
        )


def labs_at_once() -> int:
    """Return how many labs may exist at once, at most ``LABS_MAX``.

    They fit in half of the machine's free memory, unless that is less than two, and the limit of
    open files allows them. It is raised as far as they need.
    """
    limit = open_files.raise_limit(FILES_WANTED)
    return max(1, min(_labs_in_memory(), (limit - FILES_OF_PARENT) // FILES_OF_LAB))


def sessions_at_once() -> int:
    """Return how many sessions may run side by side in one lab.

    Client and server raise the limit of open files for themselves, up to the hard limit, and need
    a file for each session. A quarter is left for connections that last longer than their sessions.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = Limits().connections
    if hard != resource.RLIM_INFINITY:
        connections = min(connections, hard - SPARE_FILES)
    return max(1, connections * 3 // 4)


def _labs_in_memory() -> int:
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
