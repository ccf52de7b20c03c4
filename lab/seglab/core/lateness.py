"""How late the processes of an engine were while sessions ran, summarised over sessions.

A machine that is busy with other work does not let a process run at the moment when it is due. How
late a session was (``SessionRecord.late_ns``) therefore says how far its times are those of the
network and of the hosts, and how far those of the machine.

An engine carries a session out again that was late by more than ``SESSION_LIMIT_MS``. A session
that stays late is marked (``SessionRecord.too_late``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from seglab.core.record import SessionRecord
from seglab.core.text import count

MEDIAN_LIMIT_MS: Final = 3.0
"""Above this median of the sessions the machine was too busy to judge what depends on times.

Measured with ``seglab reproduce`` on two processors: 1.7 ms on an idle machine, and 5 ms beside
other work that kept both processors busy.
"""

SESSION_LIMIT_MS: Final = 10.0
"""A session that was late by more than this at its worst moment is carried out again.

Over the path ``vb2014``, the four segments of a write arrive within 7.2 ms, so a reader that is
late by 10 ms can take a whole write at once, whatever the path did. ``docs/calibration.md`` has
what was measured.
"""

LATE_SHARE: Final = 0.05
"""With a larger share of late sessions, the machine was too busy to judge what depends on times.

Late sessions are done again as long as the engine's budget lasts. So there are hardly any in the
end, except where the machine was busy most of the time.
"""


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late some sessions were, each at its worst moment.

    Attributes:
        sessions: the number of sessions in which lateness was measured.
        median: how late the median session was, in milliseconds.
        p99: how late all but a hundredth of the sessions were at most, in milliseconds.
        longest: how late any session was at most, in milliseconds.
        late: how many complete sessions stayed too late (``SessionRecord.too_late``).
    """

    sessions: int
    median: float
    p99: float
    longest: float
    late: int = 0

    @property
    def too_late(self) -> bool:
        """Whether the machine was too busy to judge what depends on times."""
        return self.median > MEDIAN_LIMIT_MS or self.late > LATE_SHARE * self.sessions

    def words(self) -> str:
        """By how much the sessions were late, and how much is allowed."""
        words = (
            f"late by {self.median:.1f} ms in the median session, {MEDIAN_LIMIT_MS:g} ms allowed,"
            f" {self.longest:.0f} ms at most"
        )
        if self.late:
            words += f", {self.late} of {count(self.sessions, 'session')} too late"
        return words


@dataclass(frozen=True, slots=True)
class Redone:
    """The sessions that were carried out again because they had been late.

    Attributes:
        sessions: how many there are.
        tries: how many tries of them were discarded.
        median: how late the median discarded try was, in milliseconds.
        longest: how late any of the discarded tries was at most, in milliseconds.
    """

    sessions: int
    tries: int
    median: float
    longest: float

    def words(self) -> str:
        """How many sessions were carried out again, and how late they had been."""
        return (
            f"{count(self.sessions, 'session')} carried out again, since "
            f"{'it was' if self.sessions == 1 else 'they were'} late by up to {self.longest:.0f} ms"
        )


class LatenessCounter:
    """Collects how late sessions were, one after the other."""

    def __init__(self) -> None:
        self._late_ns: list[int] = []
        self._late = 0
        self._redone = 0
        self._discarded_ns: list[int] = []

    def add(self, record: SessionRecord) -> None:
        """Count a session."""
        if record.late_ns is not None:
            self._late_ns.append(record.late_ns)
            self._late += record.complete and record.too_late is True
        self._redone += bool(record.discarded_late_ns)
        self._discarded_ns += record.discarded_late_ns

    @property
    def lateness(self) -> Lateness | None:
        """How late the sessions were; ``None`` where it was measured in no session."""
        if not self._late_ns:
            return None
        late_ns = sorted(self._late_ns)
        median, p99, longest = (_at(late_ns, hundredths) for hundredths in (50, 99, 100))
        return Lateness(len(late_ns), median, p99, longest, self._late)

    @property
    def redone(self) -> Redone | None:
        """The sessions that were carried out again; ``None`` where there are none."""
        if not self._redone:
            return None
        tries_ns = sorted(self._discarded_ns)
        return Redone(self._redone, len(tries_ns), _at(tries_ns, 50), _at(tries_ns, 100))


def lateness_words(late: Lateness | None, redone: Redone | None) -> str:
    """Say how many sessions were carried out again, and how many stayed late; empty if none."""
    words = [] if redone is None else [redone.words()]
    if late is not None and late.late:
        words.append(
            f"the machine was too busy for {late.late} of {count(late.sessions, 'session')}, which "
            f"{'is' if late.late == 1 else 'are'} marked (too_late), late by up to "
            f"{late.longest:.0f} ms"
        )
    return "; ".join(words)


def lateness(records: Iterable[SessionRecord]) -> Lateness | None:
    """Summarise how late sessions were; ``None`` where it was measured in no session."""
    counter = LatenessCounter()
    for record in records:
        counter.add(record)
    return counter.lateness


def _at(late_ns: Sequence[int], hundredths: int) -> float:
    """Return the value, in milliseconds, that so many hundredths of the sorted values reach."""
    return round(late_ns[-(-(len(late_ns) - 1) * hundredths // 100)] / 1e6, 3)
