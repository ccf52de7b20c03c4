"""How the wire comes to be awake at the moment when a frame is due.

A frame that leaves late makes the link slower than it is meant to be. Three things make a process
late: the kernel groups timers to save power, other processes have the processor, and it takes tens
of microseconds to wake up from idle. Here is a remedy for each.
"""

import contextlib
import os
import time
from pathlib import Path

_MAX_HEAD_START_NS = 80_000
_LEARN_NS = 500
_BUSY_NS = 200_000
_NS_PER_S = 1_000_000_000


def sharpen_timers() -> None:
    """Let the kernel wake this process when asked, not up to 50 us later to save power."""
    with contextlib.suppress(OSError):  # without /proc of our PID namespace: less precise
        Path("/proc/self/timerslack_ns").write_text("1", encoding="ascii")


def take_precedence() -> str:
    """Run before the processes of the hosts where that is allowed, as a network would.

    Returns:
        The scheduling class: ``round-robin``, or ``other`` without the privilege (rootless).
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        return "other"
    return "round-robin"


class WakeUp:
    """Learns how late this machine wakes the process, and asks to be woken that much earlier.

    Attributes:
        head_start_ns: how much earlier than a frame is due the process asks to be woken.
    """

    def __init__(self) -> None:
        self.head_start_ns = 0
        self._asked_ns = 0

    def timeout_s(self, wake_ns: int) -> float:
        """Return for how many seconds ``select`` is to wait, to be awake at ``wake_ns``."""
        now_ns = time.monotonic_ns()
        # select(2) may oversleep by a thousandth (select_estimate_accuracy): wake a little
        # early from a long wait, and then wait for the rest.
        remaining_ns = max(0, wake_ns - now_ns)
        remaining_ns -= remaining_ns // 500
        self._asked_ns = now_ns + remaining_ns
        return remaining_ns / _NS_PER_S

    def await_due(self, due_ns: int) -> None:
        """Learn from how late ``select`` has just returned; stay awake if ``due_ns`` is near.

        The head start follows the median of how late the process was so far. Where it was much
        later, others had the processor, and a head start would not help.
        """
        now_ns = time.monotonic_ns()
        late_ns = now_ns - self._asked_ns
        if late_ns < _BUSY_NS:
            step_ns = _LEARN_NS if late_ns > self.head_start_ns else -_LEARN_NS
            self.head_start_ns = max(0, min(self.head_start_ns + step_ns, _MAX_HEAD_START_NS))
        if due_ns - now_ns <= _MAX_HEAD_START_NS:
            while time.monotonic_ns() < due_ns:
                pass
