"""Finds the parts of a MIME message (RFC 2046, 5.1) in the bytes that cross the network."""

import re

_BOUNDARY = re.compile(rb'boundary="?([^";\r\n]{1,70})', re.IGNORECASE)
_EMPTY_LINE = b"\r\n\r\n"
_LINE_END = re.compile(rb"\r\n")
_BASE64 = re.compile(rb"content-transfer-encoding:[ \t]*base64", re.IGNORECASE)
_BASE64_LINE_BYTES = 76


def _delimiter(payload: bytes) -> re.Pattern[bytes] | None:
    """Return what finds the lines of all delimiters; ``None`` where there is no multipart."""
    names = {re.escape(name) for name in _BOUNDARY.findall(payload)}
    return re.compile(rb"(?<=\n)--(?:" + b"|".join(names) + rb")(--)?\r\n") if names else None


def part_line_edges(payload: bytes, header_end: int) -> tuple[int, ...]:
    """Return where the pieces of a multipart message begin that is printed by lines, then parts.

    They are each line of the preamble, each delimiter, each line of a part's header, and each
    part's body with the empty line before it. All delimiters but the first one have the CRLF before
    them.

    Args:
        payload: the whole message.
        header_end: where its last header field ends.

    Returns:
        Offsets in ascending order, from the end of the header block on; empty where the message is
        no multipart message.
    """
    delimiter = _delimiter(payload)
    if delimiter is None:
        return ()
    edges = [header_end + 2]
    for number, found in enumerate(delimiter.finditer(payload, header_end)):
        if number:
            edges += [found.start() - 2, found.end()]
        else:
            preamble = payload[: found.start()]
            edges += [*_line_ends(preamble, edges[0]), found.start(), found.end()]
        end = payload.find(_EMPTY_LINE, found.end())
        if found[1] is None and end >= 0:
            edges += _line_ends(payload[: end + 2], found.end())
    return tuple(sorted({*edges}))


def _line_ends(payload: bytes, start: int) -> list[int]:
    return [found.end() for found in _LINE_END.finditer(payload, start)]


def part_edges(payload: bytes, header_end: int) -> tuple[int, ...]:
    """Return where the pieces of a multipart message begin that are made one by one.

    They are each delimiter with the CRLF before it, each header of a part with its empty line, each
    part's body, and the last line of a base64 body where that is no full one: what an encoder had
    left over.

    Args:
        payload: the whole message.
        header_end: where its last header field ends.

    Returns:
        Offsets in ascending order, from the end of the header block on; empty where the message is
        no multipart message.
    """
    delimiter = _delimiter(payload)
    if delimiter is None:
        return ()
    edges = [header_end + 2]
    base64_from: int | None = None
    for found in delimiter.finditer(payload, header_end):
        start = found.start() if found.start() == edges[-1] else found.start() - 2
        if base64_from is not None:
            last = payload.rfind(b"\n", base64_from, start) + 1
            if base64_from < last < start < last + _BASE64_LINE_BYTES:
                edges.append(last)
        edges += [start, found.end()]
        base64_from = None
        if found[1] is None:
            end = payload.find(_EMPTY_LINE, found.end())
            if end < 0:
                break
            body = end + len(_EMPTY_LINE)
            edges.append(body)
            if _BASE64.search(payload, found.end(), end):
                base64_from = body
    return tuple(dict.fromkeys(edges))
