"""Which sessions an engine carries out again, because its processes were late.

A session that was late shows the machine's load in its times, and often in its reads. The engine
carries it out again at once, with the same seed, up to ``TRIES`` times in all, and keeps the try
that was least late. What the discarded tries were late by stays in the record
(``discarded_late_ns``), and a record that is still too late is marked (``too_late``).

On a machine that is always late this helps nobody. So only a share of the sessions is carried out
again (``SHARE``). The others keep their first try, and their mark.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from seglab.core.lateness import SESSION_LIMIT_MS
from seglab.core.record import SessionRecord
from seglab.networks.network import Network

TRIES: Final = 3
"""How often a session is carried out at most, if it is late each time."""

SHARE: Final = 0.25
"""The most that is carried out again, as a share of an engine's sessions.

One stretch of load meets all sessions that run at that time, forty by default. A run of 160
sessions can do all of these again, and no run does more than a quarter of its work twice.
"""


def limit_ns(network: Network) -> int:
    """Return by how much a session may be late over a network, in nanoseconds.

    That is ``SESSION_LIMIT_MS``, or the time between two full segments if that is longer: a reader
    that is less late merges no segments that it would not have merged anyway.
    """
    return round(max(SESSION_LIMIT_MS / 1e3, network.segment_s) * 1e9)


class SecondTries:
    """The budget of an engine for carrying out late sessions again.

    Attributes:
        left: how many sessions may be carried out again.
    """

    def __init__(self) -> None:
        self._planned = 0
        self._used = 0

    def plan(self, sessions: int) -> None:
        """Count sessions that the engine is to carry out."""
        self._planned += sessions

    @property
    def left(self) -> int:
        """How many more tries may be made."""
        return math.ceil(SHARE * self._planned) - self._used

    def grant(self, record: SessionRecord, tries: int) -> bool:
        """Say whether a session is to be carried out again, and take that off the budget.

        A session that failed is carried out again for other reasons, if at all.

        Args:
            record: of the session's last try.
            tries: how often it was carried out.
        """
        if not (record.complete and record.too_late and tries < TRIES and self.left > 0):
            return False
        self._used += 1
        return True


def better(first: SessionRecord, second: SessionRecord) -> bool:
    """Say whether the second try of a session is to be kept, not the first.

    A try that failed tells nothing about one that was complete: a part of the engine may have died.
    """
    return second.complete and (second.late_ns or 0) < (first.late_ns or 0)


def noting(record: SessionRecord, late_ns: Iterable[int | None]) -> SessionRecord:
    """Return the record with how late the discarded tries were, in their order, where measured."""
    return replace(record, discarded_late_ns=tuple(t_ns for t_ns in late_ns if t_ns is not None))
