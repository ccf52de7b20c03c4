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
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from errno import EAGAIN
from typing import Final

from seglab.core.reading import ServerCall, ServerReading
from seglab.experiment.reader import Reader

_SHARE_LEAST: Final = 0.02
"""The share of the reads that must ask for a size if it is to be the buffer's."""

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
