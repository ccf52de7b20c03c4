"""Captures for tests that read the packets of stored sessions."""

import struct

from seglab.core.record import Captures

_EPB_COMMENT, _IF_TSRESOL = 1, 9


def captures_of(session_id: str) -> Captures:
    """The names that a run gives a session's captures."""
    return Captures(*(f"wire/{session_id}.{side}.pcapng" for side in ("client", "server")))


def pcapng(frames: list[tuple[int, bytes, str]]) -> bytes:
    """A capture of Ethernet frames, each with its time in nanoseconds since 1970 and a comment.

    Written after draft-ietf-opsawg-pcapng, sections 4.1 to 4.3, and with none of seglab's code.
    """
    blocks = [
        _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        _block(1, struct.pack("<HHI", 1, 0, 0) + _option(_IF_TSRESOL, b"\x09") + _option(0, b"")),
    ]
    for t_ns, frame, comment in frames:
        head = struct.pack("<IIIII", 0, t_ns >> 32, t_ns & 0xFFFFFFFF, len(frame), len(frame))
        options = _option(_EPB_COMMENT, comment.encode()) + _option(0, b"")
        blocks.append(_block(6, head + _padded(frame) + options))
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
