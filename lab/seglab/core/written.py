"""How a message was written, read from its write calls: the ground truth of a program.

The style of an emulated sender is known before it runs. Of a program nothing is known but what it
did. ``labels_of`` looks at the write calls of one session and at the structure of the message, and
names the styles, the buffer and the terminator. It never sees the wire, and it knows no program by
its name. The tests hold it to the shipped senders, whose labels are known.

Theory of operation
-------------------
A style is a rule that says where writes end. Several rules can end the writes of one message at
the same places: a message that is shorter than its program's buffer is one write, and so is that
of a program without a buffer. So the answer is a list, of every style that admits the writes:

    style               admits
    single_write        one write of the text
    relay               one cut, after the first header field, which is Received
    headers_then_body   one cut, before or after the empty line; or more, with a buffer in the body,
                        after each line of it, or around each delimiter, each header of a MIME part
                        or each line of one, again with a buffer in these pieces
    distinct_from       cuts around each From field, and nowhere else
    custom_headers      cuts in the header block, at fields or their values, that no name above has,
                        and perhaps at the empty line's end and by a buffer in the body
    line_by_line        cuts after equal numbers of lines; or after each line, where a header field
                        with its folded lines may be one, and an added dot apart
    fixed_buffer        pieces of one length, the last one shorter, with the dots that were added
                        to lines or without them; pieces of whole lines, each as long as a buffer
                        allows; the header up to the fields of the body (Content-), and such pieces
                        after it; one piece that is not longer than any known buffer
    timed_writes        a pause between each two writes

The terminator is the last write if it has the bytes of the end of data and nothing else. The last
piece of a buffer may have the same length, so the terminator can be a list as well.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from seglab.core.labels import TERMINATORS, UNKNOWN_STYLE, Style, Terminator
from seglab.core.trace import HeaderField, Write, WriteCall, content_start, sizes

TERMINATOR_BYTES: Final = (3, 5)
"""The lengths of a terminator with a write of its own: ``.CRLF``, or ``CRLF.CRLF``."""

LINE_MAX_BYTES: Final = 1000
"""The longest line of a mail with its CRLF (RFC 5321, 4.5.3.1.6)."""

BUFFER_MAX_BYTES: Final = 1 << 16
"""The largest buffer that mail software is known to write through (libcurl's, and OpenSMTPD's).

A text that is longer and still one write had no buffer.
"""

SLACK_BYTES: Final = 3
"""How many bytes of a buffer may stay empty: a program that escapes dots and line ends as it copies
empties its buffer when the next byte might need more room (Exim's ``transport.c``)."""

PAUSE_NS: Final = 1_000_000
"""The shortest pause. A program that does not pause writes again within some microseconds."""

_EMPTY_LINE_BYTES: Final = 2
_ROUND_BYTES: Final = 256
_ONE_CUT: Final = 2


Command = tuple[int, int]
"""A range of a payload that is an SMTP command, and none of the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """The places in a payload at which programs end their writes.

    Attributes:
        payload_bytes: its length, with the end of data.
        header_end: where the last header field ends; ``None`` where there is no header block.
        fields: the header fields, in order.
        line_ends: where each line ends, in ascending order; empty where that is not known.
        stuffed: the offset of each dot that was added to a line that begins with one (RFC 5321,
            4.5.2), in ascending order; empty where that is not known.
        part_edges: where the pieces of a multipart message begin, its first one included; empty
            where it has no parts.
        part_line_edges: the same where each line before a part's body is a piece.
        lead_bytes: how many bytes of SMTP commands the first write had before the payload.
        in_chunks: whether the message was sent by BDAT, so that it has no end of data.
        commands: the commands between its chunks, as ranges of the payload. All other places are
            counted as if they were not there.
    """

    payload_bytes: int
    header_end: int | None = None
    fields: tuple[HeaderField, ...] = ()
    line_ends: tuple[int, ...] = field(default=(), repr=False)
    stuffed: tuple[int, ...] = field(default=(), repr=False)
    part_edges: tuple[int, ...] = field(default=(), repr=False)
    part_line_edges: tuple[int, ...] = field(default=(), repr=False)
    lead_bytes: int = 0
    in_chunks: bool = False
    commands: tuple[Command, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Buffer:
    """What is known about the size of a program's buffer.

    Attributes:
        least_bytes: it has as many at least.
        most_bytes: it has as many at most; ``None`` where nothing says so.
    """

    least_bytes: int
    most_bytes: int | None

    def __str__(self) -> str:
        if self.most_bytes is None:
            return f"{self.least_bytes} or more"
        if self.most_bytes == self.least_bytes:
            return str(self.least_bytes)
        return f"{self.least_bytes} to {self.most_bytes}"


@dataclass(frozen=True, slots=True)
class WrittenLabels:
    """How a message was written, as far as its write calls tell.

    Attributes:
        styles: every style that admits the writes; the one that says most about them first. Empty
            where the lab has no name for them.
        terminators: every terminator that admits them, the likelier one first; empty where the
            writes do not reach the payload's end, or the message was sent in chunks.
        buffer: the buffer of a program that has one; ``None`` where no style with a buffer admits
            the writes.
    """

    styles: tuple[Style, ...]
    terminators: tuple[Terminator, ...]
    buffer: Buffer | None = None

    @property
    def style(self) -> Style | Literal["unknown"]:
        """The first of ``styles``, or ``unknown``: what the session's row has."""
        return self.styles[0] if self.styles else UNKNOWN_STYLE

    @property
    def terminator(self) -> Terminator | None:
        """The first of ``terminators``: what the session's row has."""
        return self.terminators[0] if self.terminators else None


def writes_of(calls: Iterable[WriteCall], mss: int | None = None) -> tuple[Write, ...]:
    """Return the writes that a program meant: a call that the kernel took in part, with its rest.

    A socket whose buffer is full takes a part, and the program's next call has the rest. Of calls
    that gather pieces (``writev``) the recorder may not know how much they asked for. Such a call
    was taken in part if it ends with a full segment and the next call comes after a pause: the
    kernel fills a segment before it looks for room for another one (``tcp_sendmsg_locked``), and a
    program does not know where that is. Full segments are counted from the first write, from its
    end, where it left by itself, or from the call's own beginning.

    Args:
        calls: in order.
        mss: of the connection; ``None`` believes every call that it was taken whole, unless it is
            known to have asked for more.
    """
    found: list[Write] = []
    before: WriteCall | None = None
    for call in calls:
        if call.end == call.start:
            continue
        if before is not None and _goes_on(before, call, found[0], mss):
            found[-1] = Write(found[-1].t_ns, found[-1].start, call.end)
        else:
            found.append(Write(call.t_ns, call.start, call.end))
        before = call
    return tuple(found)


def _goes_on(before: WriteCall, call: WriteCall, first: Write, mss: int | None) -> bool:
    """Whether a call has the rest of what the call before it asked for."""
    if before.asked_bytes is not None:
        left = before.asked_bytes - before.result
        return left > 0 and call.asked_bytes == left
    if call.asked_bytes is not None or call.t_ns - before.t_ns < PAUSE_NS:
        return False
    counted_from = (first.start, first.end, before.end - before.result)
    return (
        mss is not None
        and before.result >= mss > 0
        and any(start < before.end and not (before.end - start) % mss for start in counted_from)
    )


def labels_of(writes: Sequence[Write], structure: Structure) -> WrittenLabels:
    """Name the styles, the buffer and the terminator with which a message was written.

    Args:
        writes: the write calls, in order, as ranges of the payload.
        structure: of the payload.
    """
    writes = _of_message(writes, structure.commands)
    if not writes or writes[-1].end != structure.payload_bytes:
        return WrittenLabels((), ())
    own = not structure.in_chunks and _has_own_terminator(writes)
    text = writes[:-1] if own else writes
    found = dict(_admitted(text, structure))
    terminators: tuple[Terminator, ...] = ("own_write",) if own else ("with_body",)
    if own and (
        _may_be_a_remainder(writes, structure.lead_bytes)
        or (
            sizes(writes)[-1] == max(TERMINATOR_BYTES)
            and ("line_by_line" in found or _body_in_lines(text, structure))
        )
    ):  # the text's last line may be empty
        terminators = TERMINATORS[::-1]
    if structure.in_chunks:
        terminators = ()
    buffers = [buffer for buffer in found.values() if buffer is not None]
    return WrittenLabels(tuple(found), terminators, buffers[0] if buffers else None)


def _of_message(writes: Sequence[Write], commands: Sequence[Command]) -> Sequence[Write]:
    """Return the writes of the message, counted without the commands between its chunks.

    A write of nothing but commands is left out.
    """
    if not commands:
        return writes

    def place(offset: int) -> int:
        return offset - sum(min(offset, end) - start for start, end in commands if start < offset)

    found = [Write(write.t_ns, place(write.start), place(write.end)) for write in writes]
    return [write for write in found if write.start < write.end]


def _admitted(text: Sequence[Write], structure: Structure) -> Iterator[tuple[Style, Buffer | None]]:
    """Yield the styles that admit these writes of the text, each with its buffer."""
    if len(text) == 1:
        yield "single_write", None
        length = text[0].end + structure.lead_bytes
        if length <= BUFFER_MAX_BYTES:
            yield "fixed_buffer", Buffer(length, None)
        return
    paused = all(b.t_ns - a.t_ns >= PAUSE_NS for a, b in pairwise(text))
    if paused and _alike(text):
        yield "timed_writes", None
    each_line = _line_after_line(text, structure)
    at_headers = [] if each_line else [*_in_the_headers(text, structure)]
    yield from at_headers
    buffer, lines = _buffer(text, structure), each_line or _in_lines(text, structure.line_ends)
    if len(text) == _ONE_CUT and at_headers:  # one cut at a field is hardly there by chance
        buffer, lines = buffer if _chosen(sizes(text[:1])) else None, False
    one_cut_of_a_buffer = buffer is not None and len(text) == _ONE_CUT and not each_line
    if one_cut_of_a_buffer:  # after some number of lines is any cut at the end of one
        yield "fixed_buffer", buffer
    if lines:
        yield "line_by_line", None
    if buffer is not None and not one_cut_of_a_buffer:
        yield "fixed_buffer", buffer
    if paused and not _alike(text):
        yield "timed_writes", None


def _in_the_headers(
    text: Sequence[Write], structure: Structure
) -> Iterator[tuple[Style, Buffer | None]]:
    """Yield the styles that cut in the header block, and at its end."""
    header_end, fields = structure.header_end, structure.fields
    if header_end is None:
        return
    cuts = [write.end for write in text[:-1]]
    named = False
    first = next(iter(fields), None)
    if first is not None and _is(first, "received") and cuts == [first.end]:
        named = True
        yield "relay", None
    if cuts[0] in (header_end, header_end + _EMPTY_LINE_BYTES):
        body = sizes(text[1:])
        buffer = None
        if len(body) > 1 and _chosen(body[:-1]):
            buffer = _equal(body) or _equal(body, SLACK_BYTES)
        in_parts, of_parts = _in_parts(text, structure)
        in_lines = _body_in_lines(text, structure)
        if len(body) == 1 or buffer is not None or in_parts or in_lines:
            named = True
            yield "headers_then_body", buffer or of_parts
    of_from = {edge for f in fields if _is(f, "from") for edge in (f.start, f.end)} - {0}
    if of_from and {*cuts} == of_from:
        named = True
        yield "distinct_from", None
    if not named:
        yield from _custom(text, header_end + _EMPTY_LINE_BYTES, fields)


def _custom(
    text: Sequence[Write], body_start: int, fields: Sequence[HeaderField]
) -> Iterator[tuple[Style, Buffer | None]]:
    """Yield the style that cuts around fields, if the body has one write, or those of a buffer."""
    cuts = {write.end for write in text[:-1]}
    in_header = {cut for cut in cuts if cut <= body_start}
    if not in_header <= _edges(fields) | {body_start}:
        return
    if cuts == in_header:
        yield "custom_headers", None
    elif body_start in in_header and len(in_header) > 1:
        body = sizes([write for write in text if write.start >= body_start])
        buffer = _equal(body) if _chosen(body[:-1]) else None
        if buffer is not None:
            yield "custom_headers", buffer


def _in_parts(text: Sequence[Write], structure: Structure) -> tuple[bool, Buffer | None]:
    """Whether the body's writes are the pieces of a multipart message, or buffers of these.

    Returns:
        The buffer as well, where a piece fills one.
    """
    start, *cuts = [write.end for write in text[:-1]]
    text_end = structure.payload_bytes - max(TERMINATOR_BYTES)
    for found in (structure.part_edges, structure.part_line_edges):
        edges = [edge for edge in found[1:] if start < edge < text_end]
        if not edges or not {*edges} <= {*cuts}:
            continue
        more = sorted({*cuts} - {*edges})
        if not more:
            return True, None
        begins = [start, *edges]
        size = more[0] - max(begin for begin in begins if begin < more[0])
        pieces = pairwise([*begins, text[-1].end])
        if more == [cut for a, b in pieces for cut in range(a + size, b, size)]:
            return True, Buffer(size, size)
    return False, None


def _edges(fields: Iterable[HeaderField]) -> set[int]:
    """Where fields and their values begin and end."""
    return {
        edge
        for f in fields
        for edge in (f.start, f.start + len(f.name) + 1, f.end - _EMPTY_LINE_BYTES, f.end)
    }


def _in_lines(text: Sequence[Write], line_ends: Sequence[int]) -> bool:
    """Whether each write has as many whole lines as the first, and the last one no more.

    The dot's line, the last of all, is not counted.
    """
    number = {end: n for n, end in enumerate(line_ends, 1)}
    ends = [number.get(write.end) for write in text[:-1]]
    if None in ends:
        return False
    reached = [0, *(n for n in ends if n is not None)]
    counts = {b - a for a, b in pairwise(reached)}
    left = len([end for end in line_ends[:-1] if text[-1].start < end <= text[-1].end])
    return len(counts) == 1 and left <= max(counts)


def _line_after_line(text: Sequence[Write], structure: Structure) -> bool:
    """Whether each line has a write, where a header field may be a line."""
    if structure.header_end is None:
        return False
    lines = {end for end in structure.line_ends if end <= structure.header_end}
    fields = {one.end for one in structure.fields}
    return _each_line(text, structure, lines, fields)


def _body_in_lines(text: Sequence[Write], structure: Structure) -> bool:
    """Whether the header block has a write, with the empty line or without, and then each line."""
    end = structure.header_end
    return end is not None and _each_line(text, structure, {end}, {end + _EMPTY_LINE_BYTES})


def _each_line(text: Sequence[Write], structure: Structure, *headers: set[int]) -> bool:
    """Whether each line of the body has a write, and the header has one of these sets of cuts.

    The end of the empty line after the header is a cut in each of them.
    """
    if structure.header_end is None:
        return False
    body_start = structure.header_end + _EMPTY_LINE_BYTES
    body = {end for end in structure.line_ends if body_start < end < text[-1].end}
    cuts = {write.end for write in text[:-1]} - {at + 1 for at in structure.stuffed}
    last = structure.payload_bytes - min(TERMINATOR_BYTES)  # the dot may be with the last line
    return len(body) > 1 and any(
        (wanted := body | header | {body_start}) - cuts <= {last} and cuts <= wanted
        for header in headers
    )


def _buffer(text: Sequence[Write], structure: Structure) -> Buffer | None:
    """Return the buffer that was full at each cut; ``None`` where none can have been."""
    if len(text) > _ONE_CUT and text[0].end == content_start(
        structure.header_end, structure.fields
    ):
        past = _equal(sizes(text[1:]))
        if past is not None:
            return past
    lengths = sizes(text)
    lengths[0] += structure.lead_bytes
    dots = [
        bisect_left(structure.stuffed, w.end) - bisect_left(structure.stuffed, w.start)
        for w in text
    ]
    bare = [length - added for length, added in zip(lengths, dots, strict=True)]
    of_lines = _gathered(text, structure)
    if lengths[0] % _ROUND_BYTES:
        if len(text) == _ONE_CUT and not bare[0] % _ROUND_BYTES:
            return _equal(bare)
        if of_lines:
            return of_lines
    return _equal(lengths) or _equal(bare) or _equal(lengths, SLACK_BYTES) or of_lines


def _equal(lengths: Sequence[int], slack_bytes: int = 0) -> Buffer | None:
    """Return the buffer whose full pieces these are, but for the last one."""
    *full, last = lengths
    size = max(full)
    return Buffer(size, size) if size - min(full) <= slack_bytes and last <= size else None


def _gathered(text: Sequence[Write], structure: Structure) -> Buffer | None:
    """Return the buffer that held as many whole lines as it could at each cut.

    The next line would not have fitted, so the length of a piece with it bounds the buffer. Or the
    buffer was emptied after the line with which it was full, so the length without that line does.
    A dot that is added to a line may count as one.
    """
    cuts = {write.end for write in text[:-1]}
    ends = sorted({*structure.line_ends, *(at + 1 for at in structure.stuffed)})
    if not structure.line_ends or not cuts <= {*ends}:
        return None
    lengths = sizes(text)
    following = dict(pairwise(ends))
    before = {end: start for start, end in pairwise(ends)}
    fits = (
        max(lengths),
        min(following.get(w.end, w.end) - w.start for w in text[:-1]) - 1,
    )
    full = (
        max(before.get(w.end, 0) - w.start for w in text[:-1]) + 1,
        min(lengths[:-1]) if lengths[-1] <= min(lengths[:-1]) else 0,
    )
    found = [(a, b) for a, b in (fits, full) if LINE_MAX_BYTES < a <= b]
    return Buffer(min(a for a, _ in found), max(b for _, b in found)) if found else None


def _alike(text: Sequence[Write]) -> bool:
    """Whether the writes, the last one too, differ in length by one byte at most."""
    lengths = sizes(text)
    return max(lengths) - min(lengths) <= 1


def _is(header: HeaderField, name: str) -> bool:
    return header.name.lower() == name


def _has_own_terminator(writes: Sequence[Write]) -> bool:
    last = writes[-1]
    return len(writes) > 1 and last.end - last.start in TERMINATOR_BYTES


def _may_be_a_remainder(writes: Sequence[Write], lead_bytes: int) -> bool:
    """Whether the last write may be what a buffer had left over, and no terminator by intention."""
    *full, _ = sizes(writes)
    full[0] += lead_bytes
    return len({*full}) == 1 and _chosen(full)


def _chosen(full: Sequence[int]) -> bool:
    """Whether pieces are as long as they are because a buffer was full, not by chance.

    Several are. A single piece has any length, so it must be of one that programmers choose.
    """
    return len(full) > 1 or not full[0] % _ROUND_BYTES
