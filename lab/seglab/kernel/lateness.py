"""How late the server of a lab read, from what the wire and the server saw: pure.

A machine that is busy with other work lets the processes of a lab run late. The wire knows how late
its frames left, and the client how late its timers were. The server needs no probe: the wire knows
when each byte reached the server's host, and the server when it read the byte.
"""

from collections.abc import Iterable

from seglab.core.trace import Read, Segment
from seglab.experiment.reader import Reader
from seglab.experiment.serving import ServerProgram


def of_reads(
    reads: Iterable[Read], segments: Iterable[Segment], reader: Reader | ServerProgram
) -> int:
    """Return by how many nanoseconds the most delayed read was late; 0 where none was.

    A read is due once its first byte has arrived with all bytes before it, and the reader's own
    pace lets it read. A reader that waits between reads (``turn_us``, ``wake_us``) does so once for
    each, at most. Of a program nobody knows its pace, so it is never late.

    Args:
        reads: what the server read, in order.
        segments: the segments that carried it.
        reader: how the server reads.
    """
    if isinstance(reader, ServerProgram):
        return 0
    arrived = sorted(
        (s.t_arrived_ns, s.start, s.end) for s in segments if s.t_arrived_ns is not None
    )
    pace_ns = round(1000 * (reader.turn_us + reader.wake_us))
    late_ns = readable = position = due_ns = 0
    early: list[tuple[int, int]] = []
    for read in reads:
        while readable <= read.start and position < len(arrived):
            due_ns, *span = arrived[position]
            position += 1
            early.append((span[0], span[1]))
            readable = _contiguous(readable, early)
        if readable > read.start:
            late_ns = max(late_ns, read.t_ns - due_ns - pace_ns)
    return late_ns


def _contiguous(readable: int, early: list[tuple[int, int]]) -> int:
    """Return up to where bytes are readable, and remove the spans from ``early`` that are."""
    for span in sorted(early):
        if span[0] > readable:
            break
        readable = max(readable, span[1])
        early.remove(span)
    return readable
