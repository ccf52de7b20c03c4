"""How many processors this process may use."""

import os


def usable() -> int:
    """Return the number of processors that this process is allowed to run on, at least 1.

    It may be allowed fewer than the machine has, as by ``taskset`` or in a container.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
