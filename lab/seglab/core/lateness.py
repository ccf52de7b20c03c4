"""How late the processes of an engine were while sessions ran, summarised over sessions.

A machine that is busy with other work does not let a process run at the moment when it is due. How
late a session was (``SessionRecord.late_ns``) therefore says how far its times are those of the
network and of the hosts, and how far those of the machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MEDIAN_LIMIT_MS: Final = 3.0
"""Above this median of the sessions the machine was too busy to judge what depends on times.

Measured with ``seglab reproduce`` on two processors: 1.7 ms on an idle machine, and 5 ms beside
other work that kept both processors busy.
"""


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late some sessions were, each at its worst moment.

    Attributes:
        sessions: the number of sessions in which lateness was measured.
        median: how late the median session was, in milliseconds.
        p99: how late all but a hundredth of the sessions were at most, in milliseconds.
        longest: how late any session was at most, in milliseconds.
    """

    sessions: int
    median: float
    p99: float
    longest: float

    @property
    def too_late(self) -> bool:
        """Whether the machine was too busy to judge what depends on times."""
        return self.median > MEDIAN_LIMIT_MS

    def words(self) -> str:
        """By how much the sessions were late, and how much is allowed."""
        return (
            f"late by {self.median:.1f} ms in the median session, {MEDIAN_LIMIT_MS:g} ms allowed,"
            f" {self.longest:.0f} ms at most"
        )


def lateness(late_ns: Iterable[int | None]) -> Lateness | None:
    """Summarise how late sessions were; ``None`` where it was measured in no session."""
    late = sorted(value for value in late_ns if value is not None)
    if not late:
        return None
    last = len(late) - 1
    median, p99, longest = (
        round(late[-(-last * hundredths // 100)] / 1e6, 3) for hundredths in (50, 99, 100)
    )
    return Lateness(len(late), median, p99, longest)
