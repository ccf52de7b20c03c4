r"""A line of the paper's event format, ``[1][1400] 'MIME-Version: 1.0\r\nX-Re[...]Christ,'``.

The server writes it exactly (``lab.server.logs.event_line``); the paper prints it with whatever
typesetting did to it: other quotes, a quote or a space lost, spaces between the brackets. Such a
text still says how a read begins and ends.
"""

import re
from dataclasses import dataclass

from lab.logs.badline import LineError
from lab.observation import SIZE_MAX
from lab.server.connection import SAMPLE_END_BYTES
from lab.server.logs import GAP

EXPECTED = "a read as [number][bytes] 'text'"

_HEAD = re.compile(rb"\s*\[\s*([0-9]{1,12})\s*\]\s*\[\s*([0-9]{1,13})\s*\]\s*")
_QUOTES = tuple(quote.encode() for quote in ("'", '"', "`", "‘", "’", "“", "”"))  # noqa: RUF001
_GAPS = (GAP.encode(), "[…]".encode(), b"[]")
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_NAMED = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"0": b"\0"}
_TEXT_MAX = 4096


@dataclass(frozen=True, slots=True)
class Shown:
    """What an event line shows of a read.

    Attributes:
        size: of the read in bytes.
        head: its first bytes, or all of them.
        tail: its last bytes, where the middle is left out; else ``None``.
        exact: whether the text is as long as the server writes it, so that each byte's place in
            it is certain.
    """

    size: int
    head: bytes = b""
    tail: bytes | None = None
    exact: bool = True

    @property
    def hidden(self) -> int:
        """How many bytes between the two ends are not shown; 0 where it is not certain."""
        return max(self.size - len(self.head) - len(self.tail or b""), 0)


def parse(line: bytes) -> tuple[int, Shown]:
    """The number of a read within its payload, and what is shown of it.

    Raises:
        LineError: the line does not begin with number and size, or they cannot be.
    """
    match = _HEAD.match(line)
    if match is None:
        raise LineError(f"expected {EXPECTED}")
    number, size = int(match[1]), int(match[2])
    if not number or not 0 < size <= SIZE_MAX:
        raise LineError(f"expected a read's number and its bytes from 1, found [{number}][{size}]")
    return number, _shown(size, _unquoted(line[match.end() :]))


def _unquoted(text: bytes) -> bytes:
    """Without the quotes around it, of which the last may be missing, and without escapes."""
    text = text.rstrip(b" \t\r\n")
    if len(text) > _TEXT_MAX:  # nobody's event line; its ends are all that is used of it
        text = text[: _TEXT_MAX // 2] + GAP.encode() + text[-_TEXT_MAX // 2 :]
    opening = next((quote for quote in _QUOTES if text.startswith(quote)), b"")
    text = text[len(opening) :]
    for closing in _QUOTES:
        if opening and text.endswith(closing) and not _escaped(text, len(text) - len(closing)):
            text = text[: -len(closing)]
            break
    return _ESCAPE.sub(_meant, text)


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


def _shown(size: int, text: bytes) -> Shown:
    end, gap = SAMPLE_END_BYTES, GAP.encode()
    if size <= 2 * end:
        return Shown(size, text[: 2 * end], exact=len(text) == size)
    if len(text) == 2 * end + len(gap) and text[end:-end] == gap:
        return Shown(size, text[:end], text[-end:])
    for mark in _GAPS:
        head, found, tail = text.partition(mark)
        if found:
            exact = len(head) == len(tail) == end
            return Shown(size, head[:end], tail[-end:], exact=exact)
    return Shown(size, text[:end], text[end:][-end:], exact=False)
