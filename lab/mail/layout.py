"""Where the header fields of a message stand in the bytes that cross the network."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n")
_EMPTY_LINE = re.compile(rb"\r?\n")


@dataclass(frozen=True, slots=True)
class Layout:
    """The header block of a message, without any field's value.

    Attributes:
        header_end: the offset of the end of the last header field, where the empty line begins;
            ``None`` where the bytes end before it.
        fields: name, first byte and end of each field (RFC 5322, 2.2), folded lines and the last
            CRLF included.
    """

    header_end: int | None
    fields: tuple[tuple[str, int, int], ...]


def layout(payload: bytes) -> Layout:
    """The layout of a message's first bytes, as far as they are well-formed."""
    found = tuple(_fields(payload))
    end = found[-1][2] if found else 0
    return Layout(end if _EMPTY_LINE.match(payload, end) else None, found)


def _fields(payload: bytes) -> Iterator[tuple[str, int, int]]:
    at = 0
    while match := _FIELD.match(payload, at):
        if match.end() == len(payload) or payload[match.end()] in b" \t":
            return  # the field may go on where the bytes end
        yield match[1].decode("ascii"), at, match.end()
        at = match.end()
