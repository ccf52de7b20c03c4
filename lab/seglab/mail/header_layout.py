"""Finds the header fields, and the lines, of a message in the bytes that cross the network."""

import re
from dataclasses import dataclass

from seglab.core.trace import HeaderField
from seglab.core.written import Structure
from seglab.mail.chunked import commands_in, without
from seglab.mail.parts import part_edges, part_line_edges

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n")
_LINE_END = re.compile(rb"\n")
_STUFFED = re.compile(rb"\n\.(?=\.)")
_EMPTY_LINE = re.compile(rb"\r?\n")


@dataclass(frozen=True, slots=True)
class HeaderLayout:
    """The places of a message's header fields, without their values.

    Attributes:
        header_end: the offset of the end of the last header field, where the empty line begins;
            ``None`` where the bytes end before the empty line.
        fields: the place of each field (RFC 5322, 2.2), in order.
    """

    header_end: int | None
    fields: tuple[HeaderField, ...]


def header_layout(payload: bytes) -> HeaderLayout:
    """Find the header fields at the beginning of a payload, up to the first that is malformed."""
    found: list[HeaderField] = []
    at, size = 0, len(payload)
    while match := _FIELD.match(payload, at):
        end = match.end()
        if end == size or payload[end] in b" \t":
            break  # the field may continue after the bytes end
        found.append(HeaderField(match[1].decode("ascii"), at, end))
        at = end
    return HeaderLayout(at if _EMPTY_LINE.match(payload, at) else None, tuple(found))


def structure_of(
    payload: bytes, lead_bytes: int = 0, first_chunk_bytes: int | None = None
) -> Structure:
    """Return the places in a mail's payload at which programs end their writes.

    Args:
        payload: from after the 354 reply, up to and with the end of data; or from the first chunk
            of BDAT to the end of the last one.
        lead_bytes: how many bytes of SMTP commands the first write had before it.
        first_chunk_bytes: the size of the first chunk of BDAT; ``None`` where there is none.
    """
    commands = () if first_chunk_bytes is None else (*commands_in(payload, first_chunk_bytes),)
    payload = without(payload, commands)
    layout = header_layout(payload)
    end = layout.header_end
    return Structure(
        payload_bytes=len(payload),
        header_end=end,
        fields=layout.fields,
        line_ends=tuple(found.end() for found in _LINE_END.finditer(payload)),
        part_edges=() if end is None else part_edges(payload, end),
        part_line_edges=() if end is None else part_line_edges(payload, end),
        stuffed=tuple(found.end() - 1 for found in _STUFFED.finditer(payload)),
        lead_bytes=lead_bytes,
        in_chunks=first_chunk_bytes is not None,
        commands=commands,
    )
