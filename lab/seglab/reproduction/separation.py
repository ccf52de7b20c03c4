"""Whether the boundary between two writes is kept: on the wire, and in the server's reads.

The three layers answer two remarks of the paper here. The first says that two writes are less often
seen apart the smaller the gap between them is. The second says that two writes of 5 KB were
sometimes "treated as a single 10 KB block".
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from seglab.core.boundaries import write_boundaries
from seglab.core.record import SessionRecord
from seglab.core.text import count, percent, spaced
from seglab.core.trace import Span
from seglab.reproduction.paper import Sizes
from seglab.reproduction.statistics import wilson

NAMED_AS_ONE_BLOCK = (1, 3, 5, 6, 8, 10)
"""The numbers of the printed sessions of scenario 2 that the paper's text calls a single block."""

_NEARLY_ALWAYS = 0.95


@dataclass(frozen=True, slots=True)
class SeparationPoint:
    """The number of sessions whose writes stay apart, at one gap between the writes.

    Attributes:
        gap_ms: the pause between the writes, from the sender's parameters.
        sessions: the number of complete sessions.
        reads: the number of sessions in which no read holds bytes of two writes.
        wire: the number of sessions in which no segment holds bytes of two writes.
    """

    gap_ms: float
    sessions: int
    reads: int
    wire: int

    @property
    def reads_interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share of sessions whose reads keep the writes apart."""
        return wilson(self.reads, self.sessions)

    @property
    def wire_interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share of sessions whose segments keep the writes apart."""
        return wilson(self.wire, self.sessions)


@dataclass(frozen=True, slots=True)
class PublishedSeparation:
    """The number of printed sessions whose reads keep the writes apart, at one gap.

    The paper prints reads only, so there is no number for the wire.
    """

    gap_ms: float
    sessions: int
    reads: int


@dataclass(frozen=True, slots=True)
class PrintedSession:
    """One printed session of two writes, compared with both explanations.

    Attributes:
        number: its printed number, from 1.
        sizes: the sizes of its reads.
        merges: whether a read holds bytes of both writes.
        named: whether the paper's text calls it one block.
        impossible_ends: the ends of its reads where no segment of one single block would end.
        fits_two_writes: whether every read ends where a segment of the two writes ends.
    """

    number: int
    sizes: Sizes
    merges: bool
    named: bool
    impossible_ends: Sizes
    fits_two_writes: bool


@dataclass(frozen=True, slots=True)
class Block:
    """What the layers show about "a single 10 KB block".

    Attributes:
        writes: the sizes of the two writes.
        mss: the MSS of the scenario's network.
        printed: the sessions that the paper prints.
        lab_sessions: the number of complete sessions of the lab.
        reads_merged: the number of these in which a read holds bytes of both writes.
        wire_merged: the number of these in which a segment holds bytes of both writes.
        last_segments: pairs of a size of the stream's last segment and the number of sessions
            with it; the most frequent first.
    """

    writes: Sizes
    mss: int
    printed: tuple[PrintedSession, ...]
    lab_sessions: int
    reads_merged: int
    wire_merged: int
    last_segments: tuple[tuple[int, int], ...]

    @property
    def total_bytes(self) -> int:
        """The length of the whole stream."""
        return sum(self.writes)

    def paper_text(self) -> str:
        """The paper's explanation, compared with its own printed sessions."""
        merging = [session.number for session in self.printed if session.merges]
        named = [session.number for session in self.printed if session.named]
        agreement = (
            "These are exactly the printed sessions"
            if merging == named
            else f"By their sizes, sessions {_listed(merging)} are those"
        )
        text = (
            f"In sessions {_listed(named)} of {len(self.printed)}, the paper says, the two chunks"
            f" of data are treated as a single {self.total_bytes // 1024} KB block. {agreement}"
            f" in which one read runs across byte {self.writes[0]}, where the first write ends."
        )
        for session in self.printed:
            if session.named and session.impossible_ends:
                text += (
                    f" But session {session.number} ({spaced(session.sizes)}) has reads that end at"
                    f" {_listed(session.impossible_ends)}: one block of {self.total_bytes} bytes,"
                    f" cut every {self.mss}, has no segment that ends there."
                )
        fitting = sum(session.fits_two_writes for session in self.printed)
        return (
            f"{text} Two writes, each cut by itself, explain"
            f" {'all' if fitting == len(self.printed) else fitting} of the {len(self.printed)}"
            " sessions."
        )

    def lab_text(self) -> str:
        """The lab's explanation, from what was written, carried and read."""
        if not self.lab_sessions:
            return "The lab has no complete session of this scenario to set against it."
        single = _remainder(self.total_bytes, self.mss)
        apart = _remainder(self.writes[-1], self.mss)
        endings = dict(self.last_segments)
        text = (
            f"In {self.reads_merged} of the lab's {count(self.lab_sessions, 'session')}"
            f" ({percent(self.reads_merged, self.lab_sessions)}) a read holds bytes of both writes."
            f" On the wire, a segment did so in {self.wire_merged}."
            f" One write of {self.total_bytes} bytes would have ended in a segment of {single};"
            f" the last segment had {apart} bytes in {count(endings.get(apart, 0), 'session')}"
            f" and {single} in {endings.get(single, 0)}."
        )
        if self.wire_merged == 0 and self.reads_merged:
            return (
                f"{text} So the single block is made by the reader, which collects what waits in"
                " its socket: the wire carried two."
            )
        if self.wire_merged == 0:
            return f"{text} Neither the wire nor the reader ever joined the two writes."
        return f"{text} So here the sender's TCP itself joined the two writes, not only the reader."


def separation(records: Iterable[SessionRecord]) -> tuple[SeparationPoint, ...]:
    """The separation curve: one point for each gap, from complete sessions of several writes.

    The gap is the sender's parameter ``gap_ms``; sessions without it are skipped.
    """
    groups = defaultdict(list)
    for record in records:
        gap_ms = record.parameter("gap_ms")
        if record.complete and len(record.writes) > 1 and isinstance(gap_ms, int | float):
            groups[float(gap_ms)].append(record)
    return tuple(
        SeparationPoint(
            gap_ms,
            len(group),
            reads=sum(not crosses(record.reads, write_boundaries(record)) for record in group),
            wire=sum(not crosses(record.segments, write_boundaries(record)) for record in group),
        )
        for gap_ms, group in sorted(groups.items())
    )


def separation_words(points: Sequence[SeparationPoint]) -> str:
    """The curve in two sentences."""
    if not points:
        return "No complete session of two writes."
    first, last = points[0], points[-1]
    low, high = first.reads_interval
    text = (
        f"At a gap of {first.gap_ms:g} ms the reads keep the writes apart in"
        f" {percent(first.reads, first.sessions)} of {count(first.sessions, 'session')}"
        f" (95 % interval {percent(low)} to {percent(high)}),"
        f" the wire in {percent(first.wire, first.sessions)}."
    )
    if last is first:
        return text
    settled = last.gap_ms
    for point in reversed(points):
        if point.reads < point.sessions * _NEARLY_ALWAYS:
            break
        settled = point.gap_ms
    share = last.reads / last.sessions
    if share < _NEARLY_ALWAYS:
        return f"{text} At {last.gap_ms:g} ms, the largest gap, it is {percent(share)}."
    return (
        f"{text} From {settled:g} ms on it is {percent(_NEARLY_ALWAYS)} or more at every gap tried."
    )


def published_separation(
    gap_ms: float, writes: Sequence[int], sessions: Sequence[Sequence[int]]
) -> PublishedSeparation:
    """Count the printed sessions whose reads keep the writes apart."""
    inner = set(accumulate(writes[:-1]))
    apart = sum(inner <= set(accumulate(session)) for session in sessions)
    return PublishedSeparation(gap_ms, len(sessions), apart)


def single_block(
    writes: Sequence[int],
    mss: int,
    published: Sequence[Sequence[int]],
    records: Iterable[SessionRecord],
    named: Sequence[int] = NAMED_AS_ONE_BLOCK,
) -> Block:
    """Compare the paper's remark about scenario 2 with its printed sessions and with the lab's.

    Args:
        writes: the sizes that the sender writes, in order.
        mss: the MSS of the scenario's network.
        published: the printed sessions.
        records: the lab's sessions of the scenario; failed ones are skipped.
        named: the numbers of the sessions that the paper's text names.
    """
    complete = [record for record in records if record.complete]
    endings = Counter(
        max((s.end, s.end - s.start) for s in record.segments)[1]
        for record in complete
        if record.segments
    )
    return Block(
        writes=tuple(writes),
        mss=mss,
        printed=tuple(
            _held_against(number, tuple(session), writes, mss, named)
            for number, session in enumerate(published, start=1)
        ),
        lab_sessions=len(complete),
        reads_merged=sum(crosses(record.reads, write_boundaries(record)) for record in complete),
        wire_merged=sum(crosses(record.segments, write_boundaries(record)) for record in complete),
        last_segments=tuple(endings.most_common()),
    )


def crosses(spans: Iterable[Span], offsets: Collection[int]) -> bool:
    """Whether any span runs across any of the offsets."""
    return any(span.start < offset < span.end for span in spans for offset in offsets)


def cut(writes: Sequence[int], mss: int) -> set[int]:
    """Where segments end when each write is cut by itself, from its own first byte."""
    ends = set()
    start = 0
    for size in writes:
        ends |= {*range(start + mss, start + size, mss), start + size}
        start += size
    return ends


def _held_against(
    number: int, session: Sizes, writes: Sequence[int], mss: int, named: Sequence[int]
) -> PrintedSession:
    ends = list(accumulate(session))
    one_block = cut([sum(writes)], mss)
    return PrintedSession(
        number=number,
        sizes=session,
        merges=not set(accumulate(writes[:-1])) <= set(ends),
        named=number in named,
        impossible_ends=tuple(end for end in ends if end not in one_block),
        fits_two_writes=set(ends) <= cut(writes, mss),
    )


def _remainder(size: int, mss: int) -> int:
    return size % mss or mss


def _listed(numbers: Sequence[int]) -> str:
    words = [str(number) for number in numbers]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "none"
