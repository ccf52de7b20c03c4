"""Whether the lab's sessions agree with the paper's Table 1, the MTUs of six media.

The table is reproduced if the largest segment over each medium has the size that its MTU predicts,
both without and with TCP timestamps.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from seglab.core.record import SessionRecord
from seglab.core.tcpip import full_segment, headers_bytes
from seglab.core.text import count, spaced
from seglab.core.trace import sizes
from seglab.reproduction.paper import PublishedTable, Sizes
from seglab.reproduction.scenarios import Criterion, failed_criterion


@dataclass(frozen=True, slots=True)
class Medium:
    """One row of Table 1, with or without TCP timestamps.

    Attributes:
        name: the paper's name for the medium.
        mtu: its MTU in bytes.
        timestamps: whether TCP timestamps were on.
        predicted: the MSS that the MTU leaves.
        largest: the sizes of the largest segments of the complete sessions, each size once.
        sessions: the number of complete sessions.
    """

    name: str
    mtu: int
    timestamps: bool
    predicted: int
    largest: Sizes
    sessions: int

    @property
    def agrees(self) -> bool:
        """Whether there is a session, and the largest segment of each is as predicted."""
        return self.largest == (self.predicted,)


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """The verdict on Table 1.

    Attributes:
        scenario: the name of its scenario.
        media: each medium, without timestamps and with them.
        sessions: the number of complete sessions.
        failed_sessions: the number of failed sessions.
    """

    scenario: str
    media: tuple[Medium, ...]
    sessions: int
    failed_sessions: int

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The criterion for sessions without timestamps, and that for sessions with them."""
        return (
            self._criterion(timestamps=False),
            self._criterion(timestamps=True),
            *failed_criterion(self.sessions, self.failed_sessions),
        )

    @property
    def reproduced(self) -> bool:
        """Whether all criteria hold."""
        return all(criterion.passed for criterion in self.criteria)

    def published_words(self) -> str:
        """What the paper prints."""
        return "MTU " + spaced(tuple(dict.fromkeys(medium.mtu for medium in self.media)))

    def lab_words(self) -> str:
        """What the lab saw."""
        without, with_ = (
            spaced([size for m in self.media if m.timestamps is on for size in m.largest]) or "none"
            for on in (False, True)
        )
        return f"MSS {without}; with timestamps {with_}, in {count(self.sessions, 'session')}"

    def _criterion(self, *, timestamps: bool) -> Criterion:
        media = [medium for medium in self.media if medium.timestamps is timestamps]
        less = headers_bytes(timestamps=timestamps)
        wrong = [medium for medium in media if not medium.agrees]
        words = ", ".join(f"{m.mtu}: {spaced(m.largest) or 'no session'}" for m in wrong or media)
        if wrong:
            words = f"not so for {words}"
        return Criterion(
            "with timestamps" if timestamps else "without timestamps",
            f"the largest segment is the medium's MTU - {less}",
            bool(media) and not wrong,
            words,
        )


def judge_table(
    scenario: str, table: PublishedTable, records: Iterable[SessionRecord]
) -> TableVerdict:
    """Compare Table 1 with the lab's sessions over each medium, failed ones included."""
    sessions = list(records)
    complete = [record for record in sessions if record.complete]
    media = []
    for name, mtu in table.mtus.items():
        for timestamps in (False, True):
            there = [r for r in complete if r.mtu == mtu and r.timestamps is timestamps]
            largest = {max(sizes(r.segments), default=0) for r in there}
            media.append(
                Medium(
                    name,
                    mtu,
                    timestamps,
                    full_segment(mtu, timestamps=timestamps),
                    tuple(sorted(largest)),
                    len(there),
                )
            )
    return TableVerdict(scenario, tuple(media), len(complete), len(sessions) - len(complete))
