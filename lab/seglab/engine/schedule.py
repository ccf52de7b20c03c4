"""How long sessions take, and so which of them run first and how many run side by side."""

import math
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

from seglab.confined.own_sender import sender
from seglab.experiment.plan import ProgramSession, SessionSpec
from seglab.mail.stored import StoredMail
from seglab.networks.network import Network

WORK_S: Final = 1.5
"""How long a session may take and still count in full among those that run side by side.

A session that takes longer waits for its network most of the time, and counts for less.
"""

SLOT: Final = 1000
"""The weight of a session that counts in full."""

PROGRAM_WEIGHT_MIN: Final = SLOT // 4
"""The least weight of a program's session: to start it takes processor time over any network.

Otherwise programs over slow networks would start by the dozen, and starve the lab's own processes.
"""

_START_S = 0.5  # the time that an engine needs before a session can have ended
_ENDED_MIN = 20  # from this number of ended sessions on, their pace says more than the options do


def estimate_s(specs: Iterable[SessionSpec], network: Network) -> float:
    """Return about how many seconds the longest of some sessions takes.

    The estimate leaves out the pauses that senders make by themselves.
    """
    return network.estimate_s(max(map(_payload_bytes, specs)))


def _payload_bytes(spec: SessionSpec) -> int:
    who = None if isinstance(spec, ProgramSession) else sender(spec.sender, spec.sender_path)
    if who is not None and who.payload_bytes_of is not None:
        return who.payload_bytes_of(spec.parameters)
    if isinstance(spec.message, StoredMail):
        return spec.message.end - spec.message.start
    return spec.message.payload_bytes


def weight(session_s: float, *, program: bool = False) -> int:
    """Return how much a session counts; ``SLOT`` is in full.

    Args:
        session_s: how many seconds it takes.
        program: whether it is a program's.
    """
    found = SLOT if session_s <= WORK_S else math.ceil(SLOT * WORK_S / session_s)
    return max(found, PROGRAM_WEIGHT_MIN) if program else found


class Forecast:
    """When a run will have ended, from how long its sessions should take and how it goes.

    Args:
        jobs: how many sessions run side by side.
    """

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
        """Stop counting sessions of these lengths, which will not run."""
        self._pending.subtract(lengths_s)

    def began(self, session_id: str, length_s: float) -> None:
        """Count a planned session of this length as running."""
        self._pending[length_s] -= 1
        self._running[session_id] = time.monotonic(), length_s

    def ended(self, session_id: str) -> None:
        """Count a running session as ended."""
        _, length_s = self._running.pop(session_id)
        self._ended += 1
        self._work_done_s += _work_s(length_s)

    def left_s(self) -> float:
        """Return the seconds until the last session ends.

        That is what the longest session still takes, or what all the work that is left takes,
        whichever is more.
        """
        now_s = time.monotonic()
        waiting = [(length_s, n) for length_s, n in self._pending.items() if n > 0]
        running = self._running.values()
        longest_s = max(
            max((length_s for length_s, _ in waiting), default=0.0),
            max((began_s + length_s - now_s for began_s, length_s in running), default=0.0),
        )
        work_s = sum(_work_s(length_s) * n for length_s, n in waiting)
        work_s += sum(_work_s(length_s) for _, length_s in running) / 2
        if not work_s:  # over a network that takes no time, no pace can be known either
            return longest_s
        rate = self._work_done_s / max(now_s - self._began_s, _START_S)
        if self._ended < _ENDED_MIN:
            rate = max(rate, self._jobs / 2)
        return max(longest_s, work_s / rate)


def _work_s(length_s: float) -> float:
    return length_s * weight(length_s) / SLOT
