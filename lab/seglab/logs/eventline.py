r"""Reads a line of the paper's event format, ``[1][1400] 'MIME-Version: 1.0\r\nX-[...]ist,'``.

The server writes the format exactly (``seglab.server.logs.event_line``). The paper prints it as
typesetting left it: with other quotes, with a quote or a space lost, with spaces between the
brackets, with several reads on one line. Such a text still says how a read begins and ends.

A text may itself hold ``[2][2896]``. So another read begins on the line only where its number is
the next one, a quote closes the text before it, and a quote opens a text behind it. A text that is
exactly as long as the server writes it is never cut. ``EventLine.unread`` holds what looks like a
read and was not taken for one, so that the user hears of it.
"""

import re
from dataclasses import dataclass

from seglab.core.observation import SIZE_MAX
from seglab.logs.badline import LineError
from seglab.server.connection import SAMPLE_END_BYTES
from seglab.server.logs import GAP

READS_MAX = 1000
"""How many reads of a line are used; the server writes one a line."""

EXPECTED = "a read as [number][bytes] 'text'"

_HEAD = re.compile(rb"\[\s*([0-9]{1,12})\s*\]\s*\[\s*([0-9]{1,13})\s*\]\s*")
_SINGLE = tuple(quote.encode() for quote in ("'", "`", "‘", "’"))  # noqa: RUF001
_DOUBLE = tuple(quote.encode() for quote in ('"', "“", "”"))
_QUOTES = _SINGLE + _DOUBLE
_CLOSING = {quote: kind for kind in (_SINGLE, _DOUBLE) for quote in kind} | {b"": _QUOTES}
_TAGS = (b"<pre>", b"<code>")
_END_TAGS = (b"</pre>", b"</code>")
_GAPS = (GAP.encode(), "[…]".encode(), b"[]")
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_NAMED = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"0": b"\0"}
_BLANKS = b" \t\r\n"
_TEXT_MAX = 4096
_UNREAD_MAX = 64
_EXACT_MAX = 1024
"""The server writes no longer text: it has 69 bytes, each an escape of at most six."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What an event line shows of a read.

    Attributes:
        size: of the read in bytes.
        head: its first bytes, or all of them.
        tail: its last bytes, where the middle is left out; else ``None``.
        exact: whether the text is as long as the server writes it, so that the place of each byte
            is certain.
        closed: whether the text is all there, because it ends in a quote or is exact.
    """

    size: int
    head: bytes = b""
    tail: bytes | None = None
    exact: bool = True
    closed: bool = True

    @property
    def hidden(self) -> int:
        """How many bytes between the two ends are not shown; 0 where that is not certain."""
        return max(self.size - len(self.head) - len(self.tail or b""), 0)


@dataclass(frozen=True, slots=True)
class EventLine:
    """What a line holds.

    Attributes:
        reads: for each read its number in the payload, and what is shown of it; at least one.
        unread: the beginning of what looks like a read and was not taken for one.
        open: the last read as it stands in the line, where its text is not closed: if somebody
            wrapped the line, the rest is on the next one.
    """

    reads: tuple[tuple[int, Shown], ...]
    unread: bytes = b""
    open: bytes = b""


def parse(line: bytes) -> EventLine:
    """Return the reads of a line.

    Raises:
        LineError: the line does not begin with a number and a size, or they cannot be.
    """
    head = _HEAD.match(line)
    if head is None:
        raise LineError(f"expected {EXPECTED}")
    number, size = int(head[1]), int(head[2])
    if not _possible(number, size):
        raise LineError(f"expected a read's number and its bytes from 1, found [{number}][{size}]")
    reads, unread = list[tuple[int, Shown]](), b""
    while True:
        following, passed = _following(line, head)
        unread = unread or passed
        end = len(line) if following is None else following.start()
        shown = _shown(int(head[2]), *_unquoted(line[head.end() : end]))
        reads.append((int(head[1]), shown))
        if following is not None and len(reads) == READS_MAX:
            unread = unread or line[end : end + _UNREAD_MAX]
            return EventLine(tuple(reads), unread)
        if following is None:
            return EventLine(tuple(reads), unread, b"" if shown.closed else line[head.start() :])
        head = following


def _possible(number: int, size: int) -> bool:
    return number > 0 and 0 < size <= SIZE_MAX


def _following(line: bytes, head: re.Match[bytes]) -> tuple[re.Match[bytes] | None, bytes]:
    """Return the next read of the line, if any, and the first text that only looks like a read."""
    start = at = head.end()
    if len(line) - at <= _EXACT_MAX:
        text, closed = _unquoted(line[at:])
        if closed and _shown(int(head[2]), text, closed).exact:
            return None, b""
    opening = _opening(line, at)
    at += len(opening)
    number, unread = int(head[1]), b""
    for found in _HEAD.finditer(line, start):
        between = line[at : found.start()].rstrip(_BLANKS)
        at = found.end()
        follows_on = int(found[1]) == number + 1
        closed = _split(between, opening)[1] != b""
        if not _possible(int(found[1]), int(found[2])):
            pass
        elif found.start() == start:  # sizes without any text
            if follows_on and (_begins_text(line, at) or _HEAD.match(line, at)):
                return found, unread
        elif closed and (follows_on or int(found[1]) == 1) and _begins_text(line, at):
            return found, unread
        if not unread and (follows_on or closed):
            unread = line[found.start() : found.start() + _UNREAD_MAX]
    return None, unread


def _begins_text(line: bytes, at: int) -> bool:
    return at == len(line) or bool(_opening(line, at))


def _opening(line: bytes, at: int) -> bytes:
    """Return the quote at which a text begins, with the tag that a web page has before it."""
    for tag in (*_TAGS, b""):
        for quote in _QUOTES:
            if line.startswith(tag + quote, at):
                return tag + quote
    return b""


def _split(text: bytes, opening: bytes) -> tuple[bytes, bytes]:
    """Split a text without its opening quote into what it says and its closing quote, if any."""
    for tag in _TAGS:
        opening = opening.removeprefix(tag)
    for end in (*_END_TAGS, b""):
        inside = text.removesuffix(end)
        if quote := text.endswith(end) and _closing(inside, _CLOSING[opening]):
            return inside[: -len(quote)], quote
    return text, b""


def _closing(text: bytes, quotes: tuple[bytes, ...]) -> bytes:
    """Return the quote that a text ends in, unless a backslash makes it part of the text."""
    for quote in quotes:
        if text.endswith(quote) and not _escaped(text, len(text) - len(quote)):
            return quote
    return b""


def _unquoted(text: bytes) -> tuple[bytes, bool]:
    """Return a text without quotes and escapes, and whether a quote closed it."""
    text = text.rstrip(_BLANKS)
    if len(text) > _TEXT_MAX:  # nobody's event line; its ends are all that is used of it
        text = text[: _TEXT_MAX // 2] + GAP.encode() + text[-_TEXT_MAX // 2 :]
    opening = _opening(text, 0)
    text = text[len(opening) :]
    text, closing = _split(text, opening)
    if not opening:
        text, closing = text + closing, b""
    return _ESCAPE.sub(_meant, text), closing != b""


def _escaped(text: bytes, at: int) -> bool:
    before = text[:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _meant(match: re.Match[bytes]) -> bytes:
    escape = match[1]
    if len(escape) == 3:
        return bytes((int(escape[1:], 16),))
    if len(escape) == 5:
        return chr(int(escape[1:], 16)).encode("utf-8", "replace")
    return _NAMED.get(escape, escape)


def _shown(size: int, text: bytes, closed: bool) -> Shown:
    end, gap = SAMPLE_END_BYTES, GAP.encode()
    if size <= 2 * end:
        exact = len(text) == size
        return Shown(size, text[: 2 * end], exact=exact, closed=closed or exact)
    if len(text) == 2 * end + len(gap) and text[end:-end] == gap:
        return Shown(size, text[:end], text[-end:])
    for mark in _GAPS:
        head, found, tail = text.partition(mark)
        if found:
            exact = len(head) == len(tail) == end
            return Shown(size, head[:end], tail[-end:], exact=exact, closed=closed or exact)
    return Shown(size, text[:end], text[end:][-end:], exact=False, closed=closed)
