"""Where the lines of a session's message end, from the lab's own capture of the session.

A run keeps no message, but its captures hold each one. The lab writes them
(``seglab.frames.pcapng``) with a comment on every packet that says which bytes of the connection it
carried, and a record has the hash of its payload: so the payload is either found for certain, or
not at all.
"""

import hashlib
import re
import struct
from collections.abc import Iterator

from seglab.core.record import SessionRecord

_ENHANCED_PACKET = 6
_BLOCK = struct.Struct("=II")
_PACKET = struct.Struct("=7I")
_CARRIED = re.compile(rb"data (\d{1,10}):(\d{1,10})")
_LINE_END = re.compile(rb"\r\n")
_DATA = b"DATA\r\n"


def payload_of(capture: bytes, record: SessionRecord) -> bytes | None:
    """The payload of a session; ``None`` where the capture does not have all of it.

    Args:
        capture: the server's, of that session.
        record: of the session.
    """
    stream = bytearray()
    for start, data in sorted(_carried(capture), key=lambda piece: piece[0]):
        if start > len(stream):
            return None
        stream[start : start + len(data)] = data
    at = 0 if record.terminator is None else stream.find(_DATA) + len(_DATA)
    payload = bytes(stream[at : at + record.payload_bytes])
    same = hashlib.sha256(payload).hexdigest() == record.payload_sha256
    return payload if same else None


def line_ends(payload: bytes) -> tuple[int, ...]:
    """The offsets at which its lines end, each after its CRLF."""
    return tuple(found.end() for found in _LINE_END.finditer(payload))


def _carried(capture: bytes) -> Iterator[tuple[int, bytes]]:
    """What the server received: offset in the connection, and bytes."""
    at = 0
    while at + _PACKET.size <= len(capture):
        kind, size = _BLOCK.unpack_from(capture, at)
        if size < _BLOCK.size or at + size > len(capture):
            return
        if kind == _ENHANCED_PACKET:
            length = _PACKET.unpack_from(capture, at)[5]
            raw = capture[at + _PACKET.size : at + _PACKET.size + length]
            comment = capture[at + _PACKET.size + length : at + size]
            found = _CARRIED.search(comment)
            if found is not None and b", sent " in comment:
                start, end = int(found[1]), int(found[2])
                if 0 < end - start <= len(raw):
                    yield start, raw[len(raw) - (end - start) :]
        at += size
