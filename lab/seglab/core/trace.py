"""The three layers of one byte stream: what was written, carried and read.

All ranges ``start:end`` are half-open byte ranges of one relative stream that begins with the
first payload byte. For SMTP that is the first byte after the 354 reply, up to and with
``CRLF . CRLF``. All times are nanoseconds of one monotonic clock, from the start of the session.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Final, Literal, NamedTuple, Protocol

import msgspec

OFFSET_MAX: Final = 1 << 40
"""The largest offset into a stream, and the largest size, that is read from a file."""

NS_MAX: Final = 1 << 60
"""The longest time that is read from a file: 36 years."""

Offset = Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]
"""A number of bytes. Reading a stored value outside the range is an error that names its key."""

Nanoseconds = Annotated[int, msgspec.Meta(ge=-NS_MAX, le=NS_MAX)]
"""A time. Reading a stored value outside the range is an error that names its key."""


class Write(msgspec.Struct, frozen=True, gc=False):
    """One write call of the sender: it handed ``start:end`` to the socket at ``t_ns``."""

    t_ns: Nanoseconds
    start: Offset
    end: Offset


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One TCP segment with payload, as the wire saw it.

    Attributes:
        t_sent_ns: when it entered the first link.
        t_arrived_ns: when it left the last link for the server; ``None`` if it never did.
        start: the first payload byte it carries.
        end: the byte after its last.
        psh: whether its PSH flag was set.
        retransmission: whether all its bytes had been sent before.
        dropped: whether the path lost it.
        drop_reason: who lost it and why; ``None`` where it arrived.
    """

    t_sent_ns: Nanoseconds
    t_arrived_ns: Nanoseconds | None
    start: Offset
    end: Offset
    psh: bool = False
    retransmission: bool = False
    dropped: bool = False
    drop_reason: str | None = None


class Read(msgspec.Struct, frozen=True, gc=False):
    """One ``recv`` of the server that returned ``start:end`` at ``t_ns``."""

    t_ns: Nanoseconds
    start: Offset
    end: Offset


class WriteCall(msgspec.Struct, frozen=True, gc=False):
    """One call by which a program wrote to its mail socket, as the kernel saw it.

    Attributes:
        t_ns: when the call began.
        name: the system call: ``write``, ``writev``, ``sendto``, ``sendmsg``, ``sendmmsg``,
            ``sendfile``, ``splice``, ``pwritev2`` or ``io_uring_enter``.
        start: the first byte of the payload that it wrote.
        end: the byte after the last one; ``start`` for a call that wrote nothing.
        asked_bytes: how many bytes it asked the kernel to take, also beyond the payload; ``None``
            where a call names them in a list that the kernel's event does not show.
        result: how many bytes the kernel took, also beyond the payload; below zero, the number of
            the error.
        flags: the flags that it gave, such as MSG_MORE (0x8000); ``None`` for a call without any.
    """

    t_ns: Nanoseconds
    name: str
    start: Offset
    end: Offset
    asked_bytes: Offset | None
    result: int
    flags: Offset | None


class SocketOption(msgspec.Struct, frozen=True, gc=False):
    """A program set an option of its mail socket, or asked for one.

    Attributes:
        t_ns: when the call began.
        name: the option, such as ``TCP_NODELAY``.
        action: ``set`` or ``get``.
        value: what it was set to, where that is a number; ``None`` where it is none, or not known.
    """

    t_ns: Nanoseconds
    name: str
    action: Literal["set", "get"]
    value: int | None = None


class HeaderField(msgspec.Struct, frozen=True, gc=False):
    """Where a header field of the message stands in the payload. Its value is not kept.

    Attributes:
        name: as it was sent, such as ``Received``.
        start: its first byte.
        end: the byte after its last CRLF, folded lines included.
    """

    name: str
    start: Offset
    end: Offset


def content_start(header_end: int | None, fields: Sequence[HeaderField]) -> int | None:
    """Return where the fields of the body (RFC 2045, 3) begin that the header block ends with.

    Returns:
        ``None`` where there are none, or no header block.
    """
    start = header_end
    for one in reversed(fields):
        if not one.name.lower().startswith("content-"):
            break
        start = one.start
    return None if start == header_end else start


class Piece(NamedTuple):
    """The bytes ``start:end`` of the stream, which ``segment`` was the first to carry."""

    start: Offset
    end: Offset
    segment: Segment


class Span(Protocol):
    """Anything with a half-open byte range."""

    @property
    def start(self) -> int:
        """The first byte."""

    @property
    def end(self) -> int:
        """The byte after the last."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The three layers of a session, and the MSS that was in force."""

    payload_bytes: int
    mss: int
    writes: tuple[Write, ...]
    segments: tuple[Segment, ...]
    reads: tuple[Read, ...]

    def violations(self) -> list[str]:
        """Describe each conservation law that this trace breaks; empty for a sound trace."""
        return [
            *_partition("write", self.writes, self.payload_bytes),
            *_partition("read", self.reads, self.payload_bytes),
            *_coverage(self.segments, self.payload_bytes),
            *_oversized(self.segments, self.mss),
            *_causality(self),
        ]

    @property
    def loss_free(self) -> bool:
        """Whether each byte crossed the wire exactly once and no segment was lost."""
        return not any(s.retransmission or s.dropped for s in self.segments)


def sizes(spans: Iterable[Span]) -> list[int]:
    """The lengths of the spans, in order: what the paper prints."""
    return [span.end - span.start for span in spans]


def boundaries(spans: Iterable[Span]) -> set[int]:
    """The ends of the spans, as offsets into the payload."""
    return {span.end for span in spans}


def first_sent(segments: Iterable[Segment]) -> tuple[Piece, ...]:
    """The stream as the sender's TCP cut it when it sent each byte for the first time.

    This is the sender's view. Segments that the path lost are part of it, and what the sender
    sent again is not.

    Returns:
        The pieces in stream order, without overlaps.
    """
    return _first_carried(sorted(segments, key=attrgetter("t_sent_ns")))


def first_arrived(segments: Iterable[Segment]) -> tuple[Piece, ...]:
    """The stream by the segments in which each byte arrived for the first time.

    This is the receiver's view. Segments that the path lost are not part of it. A segment that
    repeats what had arrived counts with its new bytes alone, and not at all where it has none.

    Returns:
        The pieces in stream order, without overlaps.
    """
    arrived = [segment for segment in segments if segment.t_arrived_ns is not None]
    return _first_carried(sorted(arrived, key=attrgetter("t_arrived_ns")))


def arrived_sizes(segments: Sequence[Segment]) -> list[int]:
    """Return the sizes of ``first_arrived``; it takes a tenth of the time where nothing came again.

    Then the segments arrived one behind the other, in the order in which they were sent.
    """
    found = []
    t_ns, reached = -NS_MAX, 0
    for segment in segments:
        arrived_ns = segment.t_arrived_ns
        if arrived_ns is None:
            continue
        if arrived_ns < t_ns or segment.start < reached:
            return sizes(first_arrived(segments))
        t_ns, start, reached = arrived_ns, segment.start, segment.end
        found.append(reached - start)
    return found


def _first_carried(segments: Iterable[Segment]) -> tuple[Piece, ...]:
    """The pieces of the stream, each with the first of ``segments`` that has its bytes."""
    pieces: list[Piece] = []
    reached = 0
    for segment in segments:
        if segment.start >= reached:
            pieces.append(Piece(segment.start, segment.end, segment))
            reached = segment.end
            continue
        gaps = [(segment.start, segment.end)]
        for start, end, _ in pieces:
            gaps = [
                part
                for low, high in gaps
                for part in ((low, min(high, start)), (max(low, end), high))
                if part[0] < part[1]
            ]
        pieces += [Piece(low, high, segment) for low, high in gaps]
        reached = max(reached, segment.end)
    return tuple(sorted(pieces, key=_start))


def _partition(layer: str, spans: tuple[Span, ...], total: int) -> list[str]:
    found = []
    expected = 0
    for span in spans:
        if span.start != expected or span.end <= span.start:
            found.append(
                f"{layer} {span.start}:{span.end} where a {layer} from {expected} was expected"
            )
        expected = span.end
    if expected != total:
        found.append(f"{layer}s end at {expected}, the payload at {total}")
    return found


def _coverage(segments: tuple[Segment, ...], total: int) -> list[str]:
    """Check that the arrived segments hold every payload byte, and nothing beyond."""
    reached = 0
    arrived = [s for s in segments if s.t_arrived_ns is not None]
    arrived.sort(key=_start)
    for segment in arrived:
        if segment.start > reached:
            return [f"no segment carried {reached}:{segment.start}"]
        reached = max(reached, segment.end)
    if reached != total:
        return [f"segments reach {reached}, the payload ends at {total}"]
    return []


def _oversized(segments: tuple[Segment, ...], mss: int) -> list[str]:
    return [
        f"segment {s.start}:{s.end}({s.end - s.start}) exceeds the MSS {mss}"
        for s in segments
        if s.end - s.start > mss
    ]


def _causality(trace: Trace) -> list[str]:
    """Check that each byte was written, sent, delivered and read in this order."""
    found = [
        f"segment {s.start}:{s.end} arrived before it was sent"
        for s in trace.segments
        if s.t_arrived_ns is not None and s.t_arrived_ns < s.t_sent_ns
    ]
    writes = iter(trace.writes)
    write = next(writes, None)
    for segment in sorted(trace.segments, key=_end):
        while write is not None and write.end < segment.end:
            write = next(writes, None)
        if write is not None and segment.t_sent_ns < write.t_ns:
            found.append(
                f"segment {segment.start}:{segment.end} was sent before its last byte was written"
            )
    return [*found, *_premature(trace)]


def _premature(trace: Trace) -> Iterator[str]:
    """Yield reads that hold a byte before that byte, and all bytes before it, had arrived."""
    arrivals = sorted(
        (s.t_arrived_ns, s.start, s.end) for s in trace.segments if s.t_arrived_ns is not None
    )
    ahead: list[tuple[int, int]] = []
    seen = reached = 0
    for read in trace.reads:
        while seen < len(arrivals) and arrivals[seen][0] <= read.t_ns:
            _, start, end = arrivals[seen]
            seen += 1
            if start > reached:
                heapq.heappush(ahead, (start, end))
            elif end > reached:
                reached = end
        while ahead and ahead[0][0] <= reached:
            reached = max(reached, heapq.heappop(ahead)[1])
        if read.end > reached:
            yield f"read {read.start}:{read.end} holds bytes from {reached} that had not arrived"


_start: Final = attrgetter("start")
_end: Final = attrgetter("end")
