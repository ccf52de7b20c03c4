"""All of a TCP segment's options, its window, and whether its checksums are right.

``headers`` reads of a segment what the lab records. Who takes part in a connection needs the rest,
which is read here, from bytes that may be anything.
"""

import struct
from typing import Final, NamedTuple

from seglab.core.tcpip import ETHERNET_HEADER_BYTES
from seglab.frames.headers import IPV4, parse_ip

_TCP: Final = 6
_WINDOW_AT = 14
_OPTIONS_AT = 20
_END, _NOP, _MSS, _SCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8
_SCALE_MOST = 14  # RFC 7323, 2.3


class TcpOptions(NamedTuple):
    """What else a segment's header says.

    Attributes:
        window: the window, not scaled.
        mss: the value of the MSS option; ``None`` where the option is absent, as with the next.
        scale: the shift of the window scale option.
        sack_permitted: whether selective acknowledgements are permitted.
        sack: the ranges of sequence numbers of the SACK option.
        ts_val: the sender's clock.
        ts_ecr: the echoed clock.
    """

    window: int
    mss: int | None = None
    scale: int | None = None
    sack_permitted: bool = False
    sack: tuple[tuple[int, int], ...] = ()
    ts_val: int | None = None
    ts_ecr: int | None = None


def tcp_options(frame: bytes) -> TcpOptions | None:
    """Return a frame's options, up to one that is cut short; ``None`` where it is no whole TCP."""
    ip = parse_ip(frame)
    if ip is None or ip.protocol != _TCP or len(frame) < ip.start + _OPTIONS_AT:
        return None
    (window,) = struct.unpack_from("!H", frame, ip.start + _WINDOW_AT)
    end = ip.start + (frame[ip.start + 12] >> 4) * 4
    found = TcpOptions(window)
    at = ip.start + _OPTIONS_AT
    while at < min(end, len(frame)) and frame[at] != _END:
        if frame[at] == _NOP:
            at += 1
            continue
        length = frame[at + 1] if at + 1 < len(frame) else 0
        if length < 2 or at + length > min(end, len(frame)):
            break
        found = _with(found, frame[at], frame[at + 2 : at + length])
        at += length
    return found


def _with(found: TcpOptions, kind: int, value: bytes) -> TcpOptions:
    """Return the options with one more; an option of a wrong length or kind is ignored."""
    if kind == _MSS and len(value) == 2:
        return found._replace(mss=int.from_bytes(value, "big"))
    if kind == _SCALE and len(value) == 1:
        return found._replace(scale=min(value[0], _SCALE_MOST))
    if kind == _SACK_PERMITTED and not value:
        return found._replace(sack_permitted=True)
    if kind == _SACK and value and len(value) % 8 == 0:
        numbers = struct.unpack(f"!{len(value) // 4}I", value)
        return found._replace(sack=tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    if kind == _TIMESTAMPS and len(value) == 8:
        ts_val, ts_ecr = struct.unpack("!II", value)
        return found._replace(ts_val=ts_val, ts_ecr=ts_ecr)
    return found


def checksums_right(frame: bytes) -> bool:
    """Return whether the IP header's and the TCP segment's checksums are right (RFC 1071).

    With a right checksum in it, the sum of all 16-bit words is a multiple of 2**16 - 1.
    """
    ip = parse_ip(frame)
    if ip is None or ip.protocol != _TCP or ip.end > len(frame):
        return False
    header = frame[ETHERNET_HEADER_BYTES : ip.start]
    if frame[12:14] == IPV4 and not _is_complement(header):
        return False
    segment = frame[ip.start : ip.end]
    pseudo = ip.source + ip.destination + struct.pack("!II", len(segment), _TCP)
    return _is_complement(pseudo + segment)


def _is_complement(data: bytes) -> bool:
    return int.from_bytes(data + b"\0" * (len(data) % 2), "big") % 0xFFFF == 0
