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
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from seglab.core.record import SessionRecord
from seglab.core.tcpip import (
    ETHERNET_HEADER_BYTES,
    IPV4_HEADER_BYTES,
    IPV6_HEADER_BYTES,
    TCP_HEADER_BYTES,
)

_SECTION_HEADER, _INTERFACE, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_BLOCK_MIN_BYTES = 12
_IPV4, _IPV6, _TCP = b"\x08\x00", b"\x86\xdd", 6
_SYN, _PSH, _ACK = 0x02, 0x08, 0x10
_FRAGMENT = 0x3FFF  # more fragments, or an offset
_SEQUENCES = 1 << 32
_DATA = b"\r\nDATA\r\n"
_EHLO = b"EHLO "

Shown = tuple[int, int, int, bool]
"""A segment as a row or a capture has it: nanoseconds, first byte, byte after the last, PSH."""


@dataclass(frozen=True, slots=True)
class _Packet:
    """A TCP packet: time, both ends, sequence number, flags and payload."""

    t_ns: int
    source: bytes
    target: bytes
    sequence: int
    flags: int
    payload: bytes


def differences(record: SessionRecord, vantage: str, capture: bytes) -> str | None:
    """Say in what a capture differs from the row of its session; ``None`` where it does not.

    Args:
        record: the row.
        vantage: ``client`` or ``server``.
        capture: the content of the pcapng file.
    """
    try:
        packets = [packet for packet in _packets(capture) if packet is not None]
    except (struct.error, ValueError, IndexError) as error:
        return f"not a capture of the lab: {error}"
    if not packets:
        return "has no packets"
    try:
        segments, stream = _sent_by_client(packets)
    except ValueError as error:
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


def _sent_by_client(packets: list[_Packet]) -> tuple[list[Shown], bytes]:
    """The client's segments with data, and the bytes that they carry.

    Raises:
        ValueError: the capture has no SYN of a client, or lacks a part of the stream.
    """
    syn = next((p for p in packets if p.flags & (_SYN | _ACK) == _SYN), None)
    if syn is None:
        raise ValueError("has no SYN of the client")
    ends = syn.source, syn.target
    segments: list[Shown] = []
    pieces: dict[int, bytes] = {}
    for packet in packets:
        if (packet.source, packet.target) == ends and packet.payload:
            start = (packet.sequence - syn.sequence - 1) % _SEQUENCES
            segments.append(
                (packet.t_ns, start, start + len(packet.payload), bool(packet.flags & _PSH))
            )
            if len(packet.payload) > len(pieces.get(start, b"")):
                pieces[start] = packet.payload
    stream = bytearray()
    for start, piece in sorted(pieces.items()):
        if start > len(stream):
            raise ValueError(f"lacks the bytes {len(stream)}:{start} of the client's stream")
        stream[start : start + len(piece)] = piece
    return segments, bytes(stream)


def _packets(capture: bytes) -> Iterator[_Packet | None]:
    """Yield the TCP packets of a capture that the lab wrote; ``None`` for any other frame.

    Raises:
        ValueError: it is not a pcapng file with one Ethernet interface and times in nanoseconds.
        struct.error: it ends too early.
    """
    if not capture:
        raise ValueError("it is empty")
    kind, _, magic = struct.unpack_from("<III", capture)
    if kind != _SECTION_HEADER:
        raise ValueError("it is no pcapng file")
    order = "<" if magic == _BYTE_ORDER_MAGIC else ">"
    at = 0
    while at < len(capture):
        kind, length = struct.unpack_from(f"{order}II", capture, at)
        if length < _BLOCK_MIN_BYTES or at + length > len(capture):
            raise ValueError(f"its block at byte {at} has an impossible length")
        if kind == _ENHANCED_PACKET:
            _, high, low, size, _ = struct.unpack_from(f"{order}5I", capture, at + 8)
            start = at + 28
            if start + size > at + length:
                raise ValueError(f"its packet at byte {at} has an impossible length")
            yield _tcp((high << 32) + low, capture[start : start + size])
        at += length


def _tcp(t_ns: int, frame: bytes) -> _Packet | None:
    ip, kind = ETHERNET_HEADER_BYTES, frame[12:14]
    if kind == _IPV4 and len(frame) >= ip + IPV4_HEADER_BYTES:
        total, fragment = struct.unpack_from(">H2xH", frame, ip + 2)
        tcp, end = ip + (frame[ip] & 15) * 4, ip + total
        if frame[ip + 9] != _TCP or fragment & _FRAGMENT:
            return None
        hosts = frame[ip + 12 : ip + 16], frame[ip + 16 : ip + 20]
    elif kind == _IPV6 and len(frame) >= ip + IPV6_HEADER_BYTES:
        tcp = ip + IPV6_HEADER_BYTES
        end = tcp + struct.unpack_from(">H", frame, ip + 4)[0]
        if frame[ip + 6] != _TCP:
            return None
        hosts = frame[ip + 8 : ip + 24], frame[ip + 24 : ip + 40]
    else:
        return None
    if tcp + TCP_HEADER_BYTES > min(end, len(frame)):
        return None
    ports, target_port = frame[tcp : tcp + 2], frame[tcp + 2 : tcp + 4]
    sequence, header, flags = struct.unpack_from(">I4xBB", frame, tcp + 4)
    payload = frame[tcp + (header >> 4) * 4 : end]
    return _Packet(t_ns, hosts[0] + ports, hosts[1] + target_port, sequence, flags, payload)
