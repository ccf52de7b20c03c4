"""How long sessions take, and so which run first and how many run side by side."""

import math
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from seglab.experiment.plan import SessionSpec
from seglab.mail.stored import StoredMail
from seglab.networks.network import Network
from seglab.sender.registry import sender

WORK_S: Final = 1.5
"""How long a session may take that counts in full among those that run side by side.

One that takes longer waits for its network most of the time, and counts for less.
"""

SLOT: Final = 1000
"""The weight of a session that counts in full."""

LABS_MAX: Final = 64
LAB_BYTES: Final = 64 << 20
"""More than a lab needs: its four Python processes and four shells share most of their pages,
and have about 40 MB together; sessions side by side add their frames."""

_START_S = 0.5  # a lab's start: no session can have ended before
_WORK_EACH_S = 0.03  # a session's, of processor time, generously
_CHANGE_EACH_S = 0.06  # a change of the MTU, by a shell on the router, generously
_ENDED_MIN = 20  # sessions, from which on their pace says more than the options do


def estimate_s(specs: Iterable[SessionSpec], network: Network) -> float:
    """About how long the longest of some sessions takes, the senders' own pauses not counted."""
    return network.estimate_s(max(map(_payload_bytes, specs)))


def _payload_bytes(spec: SessionSpec) -> int:
    who = sender(spec.sender)
    if who.payload_bytes_of is not None:
        return who.payload_bytes_of(spec.parameters)
    if isinstance(spec.message, StoredMail):
        return spec.message.end - spec.message.start
    return spec.message.payload_bytes


def weight(session_s: float) -> int:
    """How much a session of that length counts among those side by side; ``SLOT`` is in full."""
    return SLOT if session_s <= WORK_S else math.ceil(SLOT * WORK_S / session_s)


def spread_s(network: Network, sessions: int) -> float:
    """Over how long the first sessions side by side begin.

    Three round trips, a good part of a session's length, or less where they have less to do. A
    schedule of MTU changes keeps its times only where the sessions' changes do not coincide.
    """
    if network.router.schedule:
        return _CHANGE_EACH_S * sessions
    return min(3 * network.round_trip_s, _WORK_EACH_S * sessions)


def labs_at_once() -> int:
    """How many labs the machine's free memory has room for, half of it left to others."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 8
    free = next((int(n.split()[1]) << 10 for n in lines if n.startswith("MemAvailable:")), 0)
    return max(2, min(LABS_MAX, free // 2 // LAB_BYTES))


class Forecast:
    """When a run will have ended, from what its sessions should take and how it goes."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pending: Counter[float] = Counter()
        self._running: dict[str, tuple[float, float]] = {}
        self._ended = 0
        self._work_done_s = 0.0
        self._began_s = time.monotonic()

    def plan(self, lengths_s: Iterable[float]) -> None:
        """Count sessions of these lengths as still to come."""
        self._pending.update(lengths_s)

    def call_off(self, lengths_s: Iterable[float]) -> None:
        """Count sessions of these lengths as never to come."""
        self._pending.subtract(lengths_s)

    def began(self, session_id: str, length_s: float) -> None:
        """Count one of them as running."""
        self._pending[length_s] -= 1
        self._running[session_id] = time.monotonic(), length_s

    def ended(self, session_id: str) -> None:
        """Count one of them as ended."""
        _, length_s = self._running.pop(session_id)
        self._ended += 1
        self._work_done_s += _work_s(length_s)

    def left_s(self) -> float:
        """Seconds until the last one ends: the longest, or what the work left takes."""
        now_s = time.monotonic()
        waiting = [(length_s, n) for length_s, n in self._pending.items() if n > 0]
        running = self._running.values()
        longest_s = max(
            max((length_s for length_s, _ in waiting), default=0.0),
            max((began_s + length_s - now_s for began_s, length_s in running), default=0.0),
        )
        work_s = sum(_work_s(length_s) * n for length_s, n in waiting)
        work_s += sum(_work_s(length_s) for _, length_s in running) / 2
        rate = self._work_done_s / max(now_s - self._began_s, _START_S)
        if self._ended < _ENDED_MIN:
            rate = max(rate, self._jobs / 2)
        return max(longest_s, work_s / rate)


def _work_s(length_s: float) -> float:
    return length_s * weight(length_s) / SLOT
