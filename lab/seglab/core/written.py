"""How a message was written, read from its write calls: the ground truth of a program.

The style of an emulated sender is known before it runs. Of a program nothing is known but what it
did. The functions of this module look at the write calls of one session and name the style and the
terminator. They never see the wire, and they know no program by its name.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from seglab.core.labels import UNKNOWN_STYLE, Style, Terminator
from seglab.core.trace import HeaderField, Span

TERMINATOR_BYTES: Final = (3, 5)
"""The lengths of a terminator with a write of its own: ``.CRLF``, or ``CRLF.CRLF``."""

LINE_MAX_BYTES: Final = 1000
"""The longest line of a mail with its CRLF (RFC 5321, 4.5.3.1.6)."""

_LINES_MIN = 3
_EMPTY_LINE_BYTES = 2


def terminator_of(writes: Sequence[Span], payload_bytes: int) -> Terminator | None:
    """Return whether the end of data had a write of its own; ``None`` where nothing was written.

    Args:
        writes: the write calls, in order.
        payload_bytes: the length of the payload, with its end of data.
    """
    if not writes or writes[-1].end != payload_bytes:
        return None
    return "own_write" if _has_own_terminator(writes) else "with_body"


def style_of(
    writes: Sequence[Span],
    payload_bytes: int,
    header_end: int | None,
    fields: Sequence[HeaderField],
) -> Style | Literal["unknown"]:
    """Name the style in which a message was written.

    Args:
        writes: the write calls, in order.
        payload_bytes: the length of the payload, with its end of data.
        header_end: where the last header field ends.
        fields: the message's header fields, in order.

    Returns:
        ``unknown`` where the writes are of no style that the lab has a name for, or where they do
        not reach the payload's end.
    """
    if not writes or writes[-1].end != payload_bytes:
        return UNKNOWN_STYLE
    text = writes[:-1] if _has_own_terminator(writes) else writes
    if len(text) == 1:
        return "single_write"
    cuts = [span.end for span in text[:-1]]
    if header_end is not None and cuts[-1] <= header_end + _EMPTY_LINE_BYTES:
        return _by_the_headers(cuts, header_end, fields) or _by_the_sizes(text, fields)
    return _by_the_sizes(text, fields)


def _by_the_headers(
    cuts: Sequence[int], header_end: int, fields: Sequence[HeaderField]
) -> Style | None:
    """Name the style of a text that was cut in its header block alone, by where.

    Returns:
        ``None`` where no cut is at a field or at its value.
    """
    first = next(iter(fields), None)
    if len(cuts) == 1 and cuts[0] >= header_end:
        return "headers_then_body"
    if len(cuts) == 1 and first is not None and cuts[0] == first.end and _is(first, "received"):
        return "relay"
    if any({*cuts} == {f.start, f.end} - {0} for f in fields if _is(f, "from")):
        return "distinct_from"
    starts = {field.start + len(field.name) + 1 for field in fields}
    edges = {edge for f in fields for edge in (f.start, f.end, f.end - _EMPTY_LINE_BYTES)}
    return (
        "custom_headers" if {*cuts} <= edges | starts | {header_end + _EMPTY_LINE_BYTES} else None
    )


def _by_the_sizes(
    text: Sequence[Span], fields: Iterable[HeaderField]
) -> Style | Literal["unknown"]:
    """Name the style of a text that was cut by its length, or after each line."""
    sizes = [span.end - span.start for span in text]
    if len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]:
        return "fixed_buffer"
    ends = {span.end for span in text}
    lines = len(sizes) >= _LINES_MIN and max(sizes) <= LINE_MAX_BYTES
    return "line_by_line" if lines and {f.end for f in fields} <= ends else UNKNOWN_STYLE


def _is(field: HeaderField, name: str) -> bool:
    return field.name.lower() == name


def _has_own_terminator(writes: Sequence[Span]) -> bool:
    last = writes[-1]
    return len(writes) > 1 and last.end - last.start in TERMINATOR_BYTES
