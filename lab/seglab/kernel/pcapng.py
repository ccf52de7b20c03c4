"""Captures in pcapng (draft-ietf-opsawg-pcapng), with the fate of every packet as its comment.

Two vantages of the same session: what tcpdump would show at the client's interface, where packets
that the path is about to lose still appear, and at the server's, where they do not.
"""

import platform
import struct
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Literal, NamedTuple

from seglab.kernel.headers import ACK, FIN, RST, SYN, TooBig, tcp_identity, too_big
from seglab.kernel.packets import Journey, stretches

Vantage = Literal["client", "server"]

_SECTION_HEADER, _INTERFACE, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_LINKTYPE_ETHERNET = 1
_COMMENT = 1
_END = (0, b"")
_SHB_HARDWARE, _SHB_OS, _SHB_USERAPPL = 2, 3, 4
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL = 2, 3, 9
_EPB_FLAGS = 2
_INBOUND, _OUTBOUND = 1, 2
_PACKET_HEADER = struct.Struct("=7I")  # type, length, interface, time, captured and real length
_OPTION = struct.Struct("=HH")
_LENGTH = struct.Struct("=I")
_INBOUND_OPTION, _OUTBOUND_OPTION = (
    struct.pack("=HHIHH", _EPB_FLAGS, 4, direction, 0, 0) for direction in (_INBOUND, _OUTBOUND)
)
_PADDING = tuple(map(bytes, range(4)))
_NANOSECONDS = b"\x09"
_FLAG_NAMES = (SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (ACK, "ACK")

_INTERFACES: dict[Vantage, tuple[str, str]] = {
    "client": ("c-eth0", "the client's interface"),
    "server": ("s-eth0", "the server's interface"),
}


class CapturedPacket(NamedTuple):
    """A packet as a capture shows it.

    Attributes:
        t_ns: nanoseconds since 1970.
        outbound: whether the host at this vantage sent it.
        raw: the frame.
        comment: what became of it.
    """

    t_ns: int
    outbound: bool
    raw: bytes
    comment: str


def captures(
    way: Sequence[Journey], wall_offset_ns: int, description: str = ""
) -> dict[Vantage, bytes]:
    """One session's pcapng files, from either of its ends.

    Args:
        way: what ``packets.journeys`` returned.
        wall_offset_ns: what to add to the wire's clock to get nanoseconds since 1970.
        description: of the session, for the captures' own comments.
    """
    labels = _labels(way)
    return {
        vantage: write(_packets_at(way, vantage, wall_offset_ns, labels), name, what, description)
        for vantage, (name, what) in _INTERFACES.items()
    }


def capture(
    way: Sequence[Journey], vantage: Vantage, wall_offset_ns: int, description: str = ""
) -> bytes:
    """One of the two files of ``captures``."""
    return captures(way, wall_offset_ns, description)[vantage]


def packets_at(
    way: Sequence[Journey], vantage: Vantage, wall_offset_ns: int
) -> list[CapturedPacket]:
    """What passes the interface of ``vantage``, in chronological order."""
    return _packets_at(way, vantage, wall_offset_ns, _labels(way))


def _packets_at(
    way: Sequence[Journey], vantage: Vantage, wall_offset_ns: int, labels: Mapping[int, str]
) -> list[CapturedPacket]:
    outgoing = 0 if vantage == "client" else 1
    found = []
    for journey in way:
        label = labels[id(journey)]
        sent_ns = journey.t_sent_ns
        if journey.direction != outgoing:
            raw = journey.frames[-1].raw
            for copy, t_ns in enumerate(journey.arrivals_ns):
                comment = f"{label}, sent {_ms(t_ns - sent_ns)} ms before"
                if copy:
                    comment += ", a duplicate"
                found.append(CapturedPacket(t_ns + wall_offset_ns, False, raw, comment))
        elif not journey.from_router:  # what a router made never was at this interface
            comment = f"{label}, {_outcome(journey)}"
            raw = journey.frames[0].raw
            found.append(CapturedPacket(sent_ns + wall_offset_ns, True, raw, comment))
    found.sort(key=attrgetter("t_ns"))
    return found


def write(
    packets: Iterable[CapturedPacket],
    interface: str,
    interface_description: str = "",
    comment: str = "",
) -> bytes:
    """A pcapng file of one section with one Ethernet interface, stamped in nanoseconds."""
    blocks = [
        _block(
            _SECTION_HEADER,
            struct.pack("=IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1),
            [
                (_COMMENT, comment.encode()),
                (_SHB_HARDWARE, platform.machine().encode()),
                (_SHB_OS, f"{platform.system()} {platform.release()}".encode()),
                (_SHB_USERAPPL, b"seglab"),
            ],
        ),
        _block(
            _INTERFACE,
            struct.pack("=HHI", _LINKTYPE_ETHERNET, 0, 0),
            [
                (_IF_NAME, interface.encode()),
                (_IF_DESCRIPTION, interface_description.encode()),
                (_IF_TSRESOL, _NANOSECONDS),
            ],
        ),
    ]
    blocks += map(_packet_block, packets)
    return b"".join(blocks)


def _labels(way: Sequence[Journey]) -> dict[int, str]:
    """What each packet is, by its journey's ``id``."""
    labels = {id(journey): _kind(journey) for journey in way}
    complaints = {
        id(journey): complaint
        for journey in way
        if journey.tcp is None and (complaint := too_big(journey.frames[0].raw)) is not None
    }
    ranges: dict[Hashable, str] = {}
    for direction in (0, 1):
        for stretch in stretches(way, direction):
            data = f"data {stretch.start}:{stretch.end}"
            again = ", a retransmission" if stretch.retransmission else ""
            labels[id(stretch.journey)] = f"{data}{again}"
            if complaints:
                ranges[tcp_identity(stretch.journey.frames[0].raw)] = data
    labels |= {key: _complaint(complaint, ranges) for key, complaint in complaints.items()}
    return labels


def _complaint(complaint: TooBig, ranges: Mapping[Hashable, str]) -> str:
    words = [complaint.name]
    if complaint.mtu:
        words.append(f"MTU {complaint.mtu}")
    if complaint.about in ranges:
        words.append(f"about {ranges[complaint.about]}")
    return ", ".join(words)


def _kind(journey: Journey) -> str:
    if journey.tcp is None:
        return "not TCP, from a router" if journey.from_router else "not TCP"
    return _flag_names(journey.tcp.flags)


@cache
def _flag_names(flags: int) -> str:
    return ", ".join(name for bit, name in _FLAG_NAMES if flags & bit) or "no flags"


def _outcome(journey: Journey) -> str:
    sent_ns = journey.t_sent_ns
    if len(journey.arrivals_ns) == 1:
        return f"arrived after {_ms(journey.arrivals_ns[0] - sent_ns)} ms"
    if journey.arrivals_ns:
        after = " and ".join(_ms(t_ns - sent_ns) for t_ns in journey.arrivals_ns)
        return f"arrived {len(journey.arrivals_ns)} times, after {after} ms"
    if journey.fate is not None:
        return f"lost: {journey.fate}"
    return f"still queued on {journey.waiting_on} at the end"


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.3f}"


def _packet_block(packet: CapturedPacket) -> bytes:
    """An enhanced packet block. Nearly all of a capture is these, so they have a way of their own.

    It is what ``_block`` would make of the packet, its comment and its direction.
    """
    t_ns, outbound, raw, text = packet
    comment = text.encode()
    options = _OUTBOUND_OPTION if outbound else _INBOUND_OPTION
    if comment:
        options = b"".join(
            (_OPTION.pack(_COMMENT, len(comment)), comment, _PADDING[-len(comment) % 4], options)
        )
    captured = len(raw)
    padding = _PADDING[-captured % 4]
    size = _PACKET_HEADER.size + captured + len(padding) + len(options) + _LENGTH.size
    header = _PACKET_HEADER.pack(
        _ENHANCED_PACKET, size, 0, t_ns >> 32, t_ns & 0xFFFFFFFF, captured, captured
    )
    return b"".join((header, raw, padding, options, _LENGTH.pack(size)))


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    """A block: type, length, body, options, and the length again."""
    options = [(code, value) for code, value in options if value]
    encoded = b"".join(
        _OPTION.pack(code, len(value)) + _padded(value) for code, value in [*options, _END]
    )
    size = _LENGTH.pack(len(body) + len(encoded) + 12)
    return struct.pack("=I", kind) + size + body + encoded + size


def _padded(data: bytes) -> bytes:
    """The data, filled up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)
