"""Compares the two captures of a session with its row.

A capture has the frames that one host sent and received, so it says independently of the row which
segments there were. From its frames follow, without the plan of the dataset:

- the bytes that the client sent, and with them the payload, whose digest is in the row;
- for each segment its place in the payload, its PSH flag and its time.

The client's capture has each segment as it was sent, the server's each that arrived. A row and a
capture count time from different zeros, so only differences are compared. A duplicate that the path
made is in the server's capture twice, and in the row once.

Reads are in no capture; the conservation laws bound them.
"""

import hashlib

from seglab.core.record import SessionRecord
from seglab.frames.lab_capture import CapturedSegment, UnreadableCaptureError, sent_by_client

_DATA = b"\r\nDATA\r\n"
_EHLO = b"EHLO "

Shown = CapturedSegment
"""A segment as a row or a capture has it: nanoseconds, first byte, byte after the last, PSH."""


def differences(record: SessionRecord, vantage: str, capture: bytes) -> str | None:
    """Say in what a capture differs from the row of its session; ``None`` where it does not.

    Args:
        record: the row.
        vantage: ``client`` or ``server``.
        capture: the content of the pcapng file.
    """
    try:
        segments, stream = sent_by_client(capture)
    except UnreadableCaptureError as error:
        return str(error)
    offset = _payload_offset(stream)
    payload = stream[offset : offset + record.payload_bytes]
    if hashlib.sha256(payload).hexdigest() != record.payload_sha256:
        return "has another payload, by its SHA-256, than the row"
    end = record.payload_bytes
    captured = {
        (t_ns, max(a - offset, 0), min(b - offset, end), psh)
        for t_ns, a, b, psh in segments
        if b > offset and a < offset + end
    }
    in_row: set[Shown] = {
        (t_ns, s.start, s.end, s.psh)
        for s in record.segments
        if (t_ns := s.t_sent_ns if vantage == "client" else s.t_arrived_ns) is not None
    }
    return _compared(in_row, captured)


def _compared(in_row: set[Shown], captured: set[Shown]) -> str | None:
    row, shown = _from_zero(in_row), _from_zero(captured)
    if missing := sorted(row - shown):
        t_ns, start, end, psh = missing[0]
        ranges = {(a, b) for _, a, b, _ in shown}
        if (start, end) not in ranges:
            return f"has no segment {start}:{end}({end - start}), which the row has"
        if (start, end, psh) not in {(a, b, flag) for _, a, b, flag in shown}:
            return f"says otherwise than the row whether segment {start}:{end} has PSH"
        return f"has segment {start}:{end} at another time than the row ({t_ns} ns)"
    ranges = {(a, b) for _, a, b, _ in row}
    for _, start, end, _ in sorted(shown - row):  # an equal range is a duplicate of the path's
        if (start, end) not in ranges:
            return f"has a segment {start}:{end}({end - start}), which the row has not"
    return None


def _from_zero(segments: set[Shown]) -> set[Shown]:
    zero = min((t_ns for t_ns, *_ in segments), default=0)
    return {(t_ns - zero, start, end, psh) for t_ns, start, end, psh in segments}


def _payload_offset(stream: bytes) -> int:
    """Where the payload begins in what the client sent: after DATA, or with the first byte."""
    if not stream.startswith(_EHLO):
        return 0
    at = stream.find(_DATA)
    return 0 if at < 0 else at + len(_DATA)
