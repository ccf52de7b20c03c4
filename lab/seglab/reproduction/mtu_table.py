"""Whether the lab's sessions bear the paper's Table 1 out.

Pure functions of the printed MTUs and recorded sessions. The table is reproduced when the largest
segment over each medium is what its MTU predicts, without and with TCP timestamps.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from seglab.core.record import SessionRecord
from seglab.core.tcpip import full_segment, headers_bytes
from seglab.core.text import count, spaced
from seglab.core.trace import sizes
from seglab.reproduction.paper import PublishedTable, Sizes
from seglab.reproduction.scenarios import Criterion


@dataclass(frozen=True, slots=True)
class Medium:
    """One row of Table 1, with or without TCP timestamps.

    Attributes:
        name: the paper's name for the medium.
        mtu: in bytes.
        timestamps: whether TCP timestamps were on.
        predicted: the MSS that the MTU leaves.
        largest: the largest segment of each complete session, without repeats.
        sessions: how many there are.
    """

    name: str
    mtu: int
    timestamps: bool
    predicted: int
    largest: Sizes
    sessions: int

    @property
    def agrees(self) -> bool:
        """Whether every session's largest segment is as predicted, and there is one."""
        return self.largest == (self.predicted,)


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """What became of Table 1.

    Attributes:
        scenario: its scenario's name.
        media: each medium, without timestamps and with them.
        sessions: the complete ones.
        failed_sessions: the others.
    """

    scenario: str
    media: tuple[Medium, ...]
    sessions: int
    failed_sessions: int

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The MSS without timestamps, and with them."""
        return (self._criterion(timestamps=False), self._criterion(timestamps=True))

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
