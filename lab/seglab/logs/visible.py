"""Finds the header of a message in the two ends of its reads.

An event log shows the first and the last bytes of each read. The end of one read and the beginning
of the next are one piece of text. It shows which header field the read ends in, and whether the
header ends between the two reads. The middle of a read is hidden, so there are rules
(``docs/classify.md`` has them for users):

- A place is counted from the nearer end of its read, so it is exact where the text is.
- A field begins where its name is shown, and ends where the beginning of the next line is shown.
  With more than ``HIDDEN_IN_FIELD_MAX`` bytes hidden between the two, there may be another field,
  and the field is left out. One that begins with ``Received:`` and ends in a date and time is
  certainly one field.
- The header ends at the first empty line that is shown, if all lines shown before it are header
  lines and at most ``HIDDEN_MAX`` bytes before it are hidden. Else its end is not known.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from seglab.core.trace import HeaderField
from seglab.logs.eventline import Shown

HIDDEN_IN_FIELD_MAX = 32
HIDDEN_MAX = 512

FIELD_NAME = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_PART_OF_NAME = re.compile(rb"[!-9;-~]{0,200}[ \t]*")
_EMPTY_LINE = re.compile(rb"\r?\n")
_DATE_TIME = re.compile(rb"[0-9]{2}:[0-9]{2} [+-][0-9]{4}(?: \([\w. -]{1,40}\))?\r?\n\Z")
_DATE_TIME_MAX = 64


@dataclass(frozen=True, slots=True)
class VisibleHeader:
    """What the reads show of a message's header.

    Attributes:
        header_end: the offset of the end of the last header field; ``None`` where unknown.
        fields: those whose name, first byte and end are known.
        hidden: how many bytes before ``header_end`` are not shown.
        exact: whether each text that was used is as long as the server writes it.
    """

    header_end: int | None = None
    fields: tuple[HeaderField, ...] = ()
    hidden: int = 0
    exact: bool = True


@dataclass(slots=True)
class _Piece:
    """Text without a gap, made of the ends of neighbouring reads.

    Attributes:
        hidden: how many bytes before it are not shown.
        text: what is shown.
        indexes: where in the text each of its parts begins.
        offsets: where in the message these parts begin.
        end: where in the message the text ends.
        exact: whether all of the text is as long as the server writes it.
    """

    hidden: int
    text: bytes = b""
    indexes: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    end: int = 0
    exact: bool = True

    def add(self, offset: int, data: bytes, end: int, *, exact: bool) -> None:
        self.indexes.append(len(self.text))
        self.offsets.append(offset)
        self.text += data
        self.end = end
        self.exact &= exact

    def offset(self, index: int) -> int:
        """Return where in the message a byte of the text stands."""
        if index >= len(self.text):
            return self.end
        part = bisect_right(self.indexes, index) - 1
        return self.offsets[part] + index - self.indexes[part]


def header_of(reads: Sequence[Shown]) -> VisibleHeader:
    """Return what a message's first reads show of its header."""
    scan = _Scan()
    for piece in _pieces(reads):
        if not scan.take(piece):
            break
    return VisibleHeader(
        scan.header_end,
        tuple(scan.fields),
        scan.hidden if scan.header_end is not None else 0,
        scan.exact,
    )


def _pieces(reads: Sequence[Shown]) -> list[_Piece]:
    pieces = [_Piece(0)]
    at = 0
    for shown in reads:
        end = at + shown.size
        if shown.tail is None:  # a text that was changed may be longer than its read
            pieces[-1].add(at, shown.head[: shown.size], end, exact=shown.exact)
        else:
            pieces[-1].add(at, shown.head, at + len(shown.head), exact=shown.exact)
            pieces.append(_Piece(shown.hidden))
            pieces[-1].add(end - len(shown.tail), shown.tail, end, exact=shown.exact)
        at = end
    return pieces


class _Scan:
    """Reads the pieces line by line, as long as they can be the header."""

    def __init__(self) -> None:
        self.fields: list[HeaderField] = []
        self.header_end: int | None = None
        self.hidden = 0
        self.exact = True
        self._began = False
        self._open: tuple[str, int] | None = None
        self._hidden_in_open = 0

    def take(self, piece: _Piece) -> bool:
        """Read a piece; return whether the header may continue behind it."""
        self.hidden += piece.hidden
        self._hidden_in_open += piece.hidden
        if self.hidden > HIDDEN_MAX:
            return False
        self.exact &= piece.exact
        at = 0
        if self._began:
            at = piece.text.find(b"\n") + 1
            if not at:
                return True
        self._began = True
        while at < len(piece.text):
            if _EMPTY_LINE.match(piece.text, at):
                self._close(piece, at)
                self.header_end = piece.offset(at)
                return False
            if not self._line(piece, at):
                return False
            at = piece.text.find(b"\n", at) + 1
            if not at:
                break
        return True

    def _line(self, piece: _Piece, at: int) -> bool:
        """Take the line that begins at ``at``; return whether it can be a line of a header."""
        if piece.text[at] in b" \t":
            return at > 0 or bool(self.fields)
        self._close(piece, at)
        if name := FIELD_NAME.match(piece.text, at):
            self._open = (name[1].decode("ascii"), piece.offset(at))
            self._hidden_in_open = 0
            return True
        rest = piece.text[at:]
        part = _PART_OF_NAME.match(rest)
        return rest == b"\r" or (part is not None and part.end() == len(rest))

    def _close(self, piece: _Piece, at: int) -> None:
        """End the open field where another line begins."""
        if self._open is None:
            return
        (name, start), self._open = self._open, None
        if self._hidden_in_open > HIDDEN_IN_FIELD_MAX and not (
            name.lower() == "received" and _ends_in_date(piece.text[:at])
        ):
            return
        self.fields.append(HeaderField(name, start, piece.offset(at)))


def _ends_in_date(text: bytes) -> bool:
    return _DATE_TIME.search(text[-_DATE_TIME_MAX:]) is not None
