"""Where the header fields of a message stand in the bytes that cross the network."""

import re
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
    found: list[tuple[str, int, int]] = []
    at, size = 0, len(payload)
    while match := _FIELD.match(payload, at):
        end = match.end()
        if end == size or payload[end] in b" \t":
            break  # the field may go on where the bytes end
        found.append((match[1].decode("ascii"), at, end))
        at = end
    return Layout(at if _EMPTY_LINE.match(payload, at) else None, tuple(found))
