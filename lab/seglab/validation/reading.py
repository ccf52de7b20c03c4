"""From the calls by which a server program read to the parameters of a reader: pure.

Theory of operation
-------------------
What came before a call that read says how the program waits:

    before it, in its thread                             the program waits
    a call such as poll, which returned after the        by that call
    connection was last read
    a read that filled its buffer                        not at all: it reads on
    a read that found nothing (EAGAIN)                   elsewhere: another thread, such as that of
                                                         Go's netpoller, is told of readiness
    none of these, and some read found nothing           not yet: it tries first, as Go does
    none of these                                        in the read itself, which blocks

A program that is told of readiness and then reads is an ``event-loop``, also where it has a process
or a thread for each connection: what arrives between the two is part of the read. One that waits in
the read itself is a ``recv-loop``. The buffer is the largest size that is asked for more than now
and then: a program whose buffer still holds the beginning of a line asks for the room that is left.

Only the reads of the message count, not those of the commands before it.

How long a server takes is in no call, but between arrivals and reads, which a record has of every
server alike (``pace``). If the first byte of a read arrived long after the read before it, the
server was idle, and the time from this arrival to the read is what it takes to wake. If that byte
arrived before that read, or soon after it, the server was busy with what it had read, and the time
between the two reads is one turn, with a call that waits.
Both are times of a machine. So they say something only beside those of the lab's own server on the
same machine at the same time, which has neither ``wake_us`` nor ``turn_us``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from errno import EAGAIN
from itertools import pairwise
from statistics import median
from typing import Final

from seglab.core.reading import ServerCall, ServerReading
from seglab.core.record import SessionRecord
from seglab.experiment.reader import Reader

_SHARE_LEAST: Final = 0.02
"""The share of the reads that must ask for a size if it is to be the buffer's."""

_IDLE_NS: Final = 5_000_000
"""So long after a read, no server is busy with it any more."""

_SOON_NS: Final = 50_000
"""So soon after a read, every server is still busy with it: the quickest needs as long to wait."""

ON: Final = "reads on"
ELSEWHERE: Final = "told elsewhere"
TRIES: Final = "tries first"
BLOCKS: Final = "blocks"


@dataclass(frozen=True, slots=True)
class Derived:
    """How a server program reads.

    Attributes:
        reader: the parameters of a reader that reads so.
        waits: how it waited before each read of a message, and how often.
        asked: the calls and the sizes that they asked for, and how often.
        filled: how many reads filled the buffer.
        read_on: after how many of these it read on without waiting.
        sets_rcvbuf: whether it sets SO_RCVBUF, which would bound what can merge.
        sessions: how many sessions were looked at.
    """

    reader: Reader
    waits: Counter[str]
    asked: Counter[tuple[str, int | None]]
    filled: int
    read_on: int
    sets_rcvbuf: bool
    sessions: int

    @property
    def calls(self) -> tuple[str, ...]:
        """What it waits with and asks for, in words, the most frequent first."""
        waits = [f"{how}: {count}" for how, count in self.waits.most_common()]
        sizes = [
            f"{name} {'of an unknown size' if size is None else size}: {count}"
            for (name, size), count in self.asked.most_common()
        ]
        return (*waits, *sizes)


def derive(readings: Iterable[ServerReading]) -> Derived:
    """Return how the program reads that read these sessions.

    Raises:
        ValueError: no session has a read of a message, or no size was asked for often enough.
    """
    waits: Counter[str] = Counter()
    asked: Counter[tuple[str, int | None]] = Counter()
    filled = read_on = sessions = 0
    sets_rcvbuf = False
    for reading in readings:
        sessions += 1
        sets_rcvbuf |= any((option.level, option.number) == (1, 8) for option in reading.options)
        of_message = list(_of_message(reading))
        tries = any(before is not None and before.result == -EAGAIN for before, _ in of_message)
        for before, call in of_message:
            how = _wait_before(before, call)
            if how == BLOCKS and tries:
                how = TRIES
            waits[how] += 1
            asked[call.name, call.asked_bytes] += 1
            if before is not None and before.result == before.asked_bytes:
                filled += 1
                read_on += how == ON
    sizes: Counter[int] = Counter()
    for (_, size), number in asked.items():
        if size is not None:
            sizes[size] += number
    if not sizes:
        raise ValueError("no call that read a message shows the size that it asked for")
    least = sizes.total() * _SHARE_LEAST
    buffer_bytes = max(size for size, number in sizes.items() if number >= least)
    kind = "recv-loop" if waits[BLOCKS] > waits.total() / 2 else "event-loop"
    reader = Reader(kind=kind, buffer_bytes=buffer_bytes)
    return Derived(reader, waits, asked, filled, read_on, sets_rcvbuf, sessions)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a server took, in microseconds: the medians, and of how many.

    Attributes:
        wake_us: from the arrival of a byte to its read, where the server was idle; ``None`` where
            it never was.
        wakes: how many such reads there were.
        turn_us: from a read to the next one, where its first byte had arrived before that or soon
            after; ``None`` where that never was so.
        turns: how many such pairs there were.
    """

    wake_us: float | None
    wakes: int
    turn_us: float | None
    turns: int


def pace(records: Iterable[SessionRecord]) -> Pace:
    """Return how long the server took in these sessions, whoever served."""
    wakes: list[int] = []
    turns: list[int] = []
    for record in records:
        arrivals = _arrivals(record)
        for before, read in pairwise(record.reads):
            arrived = next((t for t, end in arrivals if end > read.start), None)
            if arrived is None:
                continue
            if arrived > before.t_ns + _IDLE_NS:
                wakes.append(read.t_ns - arrived)
            elif arrived <= before.t_ns + _SOON_NS:
                turns.append(read.t_ns - before.t_ns)
    return Pace(_median_us(wakes), len(wakes), _median_us(turns), len(turns))


def _arrivals(record: SessionRecord) -> list[tuple[int, int]]:
    """When bytes could be read, and up to where: each arrival that closed the stream's gap."""
    ahead = sorted(
        (segment.t_arrived_ns, segment.start, segment.end)
        for segment in record.segments
        if segment.t_arrived_ns is not None
    )
    found: list[tuple[int, int]] = []
    reached = 0
    held: list[tuple[int, int]] = []
    for t_ns, start, end in ahead:
        held.append((start, end))
        came = reached
        for low, high in sorted(held):
            if low <= came:
                came = max(came, high)
        if came > reached:
            reached = came
            held = [(low, high) for low, high in held if high > came]
            found.append((t_ns, reached))
    return found


def _median_us(times_ns: Sequence[int]) -> float | None:
    return round(median(times_ns) / 1000, 1) if times_ns else None


def _of_message(reading: ServerReading) -> Iterator[tuple[ServerCall | None, ServerCall]]:
    """Yield the calls that took bytes of the message, each with the call before it."""
    start, end = reading.payload
    position = 0
    before: ServerCall | None = None
    for call in reading.calls:
        if call.result > 0 and not call.peek:
            if position < end and position + call.result > start:
                yield before, call
            position += call.result
        before = call


def _wait_before(before: ServerCall | None, call: ServerCall) -> str:
    if call.waited and (before is None or call.woken_ns > before.t_ns):
        return call.waited
    if before is not None and before.result == before.asked_bytes:
        return ON
    if before is not None and before.result == -EAGAIN:
        return ELSEWHERE
    return BLOCKS
