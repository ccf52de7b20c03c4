"""Reads a capture that the lab wrote of one session: which segments the client sent, and its bytes.

It is no reader of anyone's captures, which ``seglab.capture`` is: it expects one connection, whole
frames and times in nanoseconds, as ``seglab.frames.pcapng`` writes them.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from seglab.core.tcpip import (
    ETHERNET_HEADER_BYTES,
    IPV4_HEADER_BYTES,
    IPV6_HEADER_BYTES,
    TCP_HEADER_BYTES,
)

_SECTION_HEADER, _ENHANCED_PACKET = 0x0A0D0D0A, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_BLOCK_MIN_BYTES = 12
_IPV4, _IPV6, _TCP = b"\x08\x00", b"\x86\xdd", 6
_SYN, _PSH, _ACK = 0x02, 0x08, 0x10
_FRAGMENT = 0x3FFF  # more fragments, or an offset
_SEQUENCES = 1 << 32

CapturedSegment = tuple[int, int, int, bool]
"""A segment of the client: nanoseconds, first byte, byte after the last, PSH."""


@dataclass(frozen=True, slots=True)
class _Packet:
    """A TCP packet: time, both ends, sequence number, flags and payload."""

    t_ns: int
    source: bytes
    target: bytes
    sequence: int
    flags: int
    payload: bytes


class UnreadableCaptureError(ValueError):
    """A file is no capture that the lab wrote of a session; the message says why."""


def sent_by_client(capture: bytes) -> tuple[list[CapturedSegment], bytes]:
    """Return the client's segments with data, and the bytes that they carry.

    Raises:
        UnreadableCaptureError: it is no capture of the lab, or lacks a part of the stream.
    """
    try:
        packets = [packet for packet in _packets(capture) if packet is not None]
    except (struct.error, ValueError, IndexError) as error:
        raise UnreadableCaptureError(f"not a capture of the lab: {error}") from error
    if not packets:
        raise UnreadableCaptureError("has no packets")
    try:
        return _sent_by_client(packets)
    except ValueError as error:
        raise UnreadableCaptureError(str(error)) from error


def payload_sent(capture: bytes, payload_bytes: int, sha256: str) -> tuple[bytes, bytes] | None:
    """Return the payload that a client's capture carries, and what the client sent before it.

    Args:
        capture: the content of the client's capture.
        payload_bytes: the payload's length.
        sha256: its digest, in hexadecimal.

    Returns:
        ``None`` where no payload has this digest.

    Raises:
        UnreadableCaptureError: as ``sent_by_client``.
    """
    _, stream = sent_by_client(capture)
    start = 0
    while start + payload_bytes <= len(stream):
        payload = stream[start : start + payload_bytes]
        if hashlib.sha256(payload).hexdigest() == sha256:
            return payload, stream[:start]
        start = stream.find(b"\n", start) + 1
        if not start:
            break
    return None


def _sent_by_client(packets: list[_Packet]) -> tuple[list[CapturedSegment], bytes]:
    """The client's segments with data, and the bytes that they carry.

    Raises:
        ValueError: the capture has no SYN of a client, or lacks a part of the stream.
    """
    syn = next((p for p in packets if p.flags & (_SYN | _ACK) == _SYN), None)
    if syn is None:
        raise ValueError("has no SYN of the client")
    ends = syn.source, syn.target
    segments: list[CapturedSegment] = []
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
