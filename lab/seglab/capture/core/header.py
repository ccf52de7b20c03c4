"""Finds header fields as ``seglab.mail.header_layout`` does, without regular expressions."""

from seglab.core.trace import HeaderField

_TAB, _LF, _CR, _SPACE, _COLON, _DELETE = 9, 10, 13, 32, 58, 127


def fields_of(payload: bytes) -> tuple[int | None, list[HeaderField]]:
    """Return the end of the last header field, and all fields, as ``header_layout`` does.

    The end is ``None`` where the bytes do not reach the empty line.
    """
    raw = payload  # compiled, a bare pointer: each of its indexes is held against ``size`` before
    size = len(payload)
    found = []
    start = 0
    while True:
        at = start
        while at < size and _SPACE < raw[at] < _DELETE and raw[at] != _COLON:
            at += 1
        name_end = at
        while at < size and (raw[at] == _SPACE or raw[at] == _TAB):
            at += 1
        if name_end == start or at >= size or raw[at] != _COLON:
            break
        at = _line_end(payload, at)
        while 0 <= at < size and (raw[at] == _SPACE or raw[at] == _TAB):  # it is folded
            at = _line_end(payload, at)
        if not 0 <= at < size:  # the field may go on where the bytes end
            break
        found.append(HeaderField(payload[start:name_end].decode("ascii"), start, at))
        start = at
    if start < size and raw[start] == _CR:
        empty = start + 1 < size and raw[start + 1] == _LF
    else:
        empty = start < size and raw[start] == _LF
    return start if empty else None, found


def _line_end(payload: bytes, at: int) -> int:
    """The byte after the line's end, LF or CRLF; -1 where there is none or a CR alone."""
    raw = payload
    size = len(payload)
    while at < size and raw[at] != _LF and raw[at] != _CR:
        at += 1
    if at < size and raw[at] == _CR:
        at += 1
    return at + 1 if at < size and raw[at] == _LF else -1
