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
    named = None
    if len(text) == 2:
        named = _by_the_cut(text[0].end, header_end, next(iter(fields), None))
    return named or _by_the_sizes(text, fields)


def _by_the_cut(cut: int, header_end: int | None, first: HeaderField | None) -> Style | None:
    """Name the style of a text that was written in two pieces, by where it was cut."""
    if first is not None and cut == first.end:
        return "relay" if first.name.lower() == "received" else "custom_headers"
    if header_end is not None and 0 <= cut - header_end <= _EMPTY_LINE_BYTES:
        return "headers_then_body"
    return None


def _by_the_sizes(
    text: Sequence[Span], fields: Iterable[HeaderField]
) -> Style | Literal["unknown"]:
    sizes = [span.end - span.start for span in text]
    if len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]:
        return "fixed_buffer"
    ends = {span.end for span in text}
    lines = len(sizes) >= _LINES_MIN and max(sizes) <= LINE_MAX_BYTES
    return "line_by_line" if lines and {f.end for f in fields} <= ends else UNKNOWN_STYLE


def _has_own_terminator(writes: Sequence[Span]) -> bool:
    last = writes[-1]
    return len(writes) > 1 and last.end - last.start in TERMINATOR_BYTES
