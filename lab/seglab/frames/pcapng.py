"""Captures in pcapng (draft-ietf-opsawg-pcapng), with the fate of every packet as its comment.

There are two captures of each session, from its two vantages. One is what tcpdump would show at the
client's interface, where packets that the path loses later still appear; the other is what it would
show at the server's, where they do not.
"""

import platform
import struct
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Literal, NamedTuple

from seglab.frames.headers import ACK, FIN, RST, SYN, TooBig, tcp_identity, too_big
from seglab.frames.packets import Packet, stream_ranges

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


class Machine(NamedTuple):
    """The machine that made a capture, as the file says it (SHB options of the draft)."""

    hardware: str
    system: str
    application: str


def this_machine() -> Machine:
    """Return what captures say that this machine makes."""
    return Machine(platform.machine(), f"{platform.system()} {platform.release()}", "seglab")


INTERFACES: dict[Vantage, tuple[str, str]] = {
    "client": ("c-eth0", "the client's interface"),
    "server": ("s-eth0", "the server's interface"),
}


def capture_paths(session_id: str) -> dict[Vantage, str]:
    """Return where a session's captures are in the run folder, by their vantage."""
    return {vantage: f"wire/{session_id}.{vantage}.pcapng" for vantage in INTERFACES}


class CapturedPacket(NamedTuple):
    """A packet as a capture shows it.

    Attributes:
        t_ns: when, in nanoseconds since 1970.
        outbound: whether the host at this vantage sent it.
        raw: the bytes of the frame.
        comment: what became of the packet.
    """

    t_ns: int
    outbound: bool
    raw: bytes
    comment: str


def captures(
    packets: Sequence[Packet],
    wall_offset_ns: int,
    description: str = "",
    machine: Machine | None = None,
) -> dict[Vantage, bytes]:
    """Return a session's two pcapng files, by their vantage.

    Args:
        packets: the session's packets, from ``packets.join_frames``.
        wall_offset_ns: what to add to the wire's clock to get nanoseconds since 1970.
        description: of the session, for the comments of the files themselves.
        machine: what the files say made them; ``None`` is this machine.
    """
    labels = _labels(packets)
    return {
        vantage: write(
            _packets_at(packets, vantage, wall_offset_ns, labels), name, what, description, machine
        )
        for vantage, (name, what) in INTERFACES.items()
    }


def capture(
    packets: Sequence[Packet], vantage: Vantage, wall_offset_ns: int, description: str = ""
) -> bytes:
    """Return one of the two files of ``captures``."""
    return captures(packets, wall_offset_ns, description)[vantage]


def packets_at(
    packets: Sequence[Packet], vantage: Vantage, wall_offset_ns: int
) -> list[CapturedPacket]:
    """Return the packets at the interface of ``vantage``, in the order of their times."""
    return _packets_at(packets, vantage, wall_offset_ns, _labels(packets))


def _packets_at(
    packets: Sequence[Packet], vantage: Vantage, wall_offset_ns: int, labels: Mapping[int, str]
) -> list[CapturedPacket]:
    outgoing = 0 if vantage == "client" else 1
    found = []
    for packet in packets:
        label = labels[id(packet)]
        sent_ns = packet.t_sent_ns
        if packet.direction != outgoing:
            raw = packet.frames[-1].raw
            for copy, t_ns in enumerate(packet.arrivals_ns):
                comment = f"{label}, sent {_ms(t_ns - sent_ns)} ms before"
                if copy:
                    comment += ", a duplicate"
                found.append(CapturedPacket(t_ns + wall_offset_ns, False, raw, comment))
        elif not packet.from_router:  # a router's own packet was never at this interface
            comment = f"{label}, {_outcome(packet)}"
            raw = packet.frames[0].raw
            found.append(CapturedPacket(sent_ns + wall_offset_ns, True, raw, comment))
    found.sort(key=attrgetter("t_ns"))
    return found


def write(
    packets: Iterable[CapturedPacket],
    interface: str,
    interface_description: str = "",
    comment: str = "",
    machine: Machine | None = None,
) -> bytes:
    """Return a pcapng file of one section and one Ethernet interface, with times in ns."""
    hardware, system, application = machine or this_machine()
    blocks = [
        _block(
            _SECTION_HEADER,
            struct.pack("=IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1),
            [
                (_COMMENT, comment.encode()),
                (_SHB_HARDWARE, hardware.encode()),
                (_SHB_OS, system.encode()),
                (_SHB_USERAPPL, application.encode()),
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


def _labels(packets: Sequence[Packet]) -> dict[int, str]:
    """Return what each packet is, in words, by the ``id`` of the packet."""
    labels = {id(packet): _kind(packet) for packet in packets}
    complaints = {
        id(packet): complaint
        for packet in packets
        if packet.tcp is None and (complaint := too_big(packet.frames[0].raw)) is not None
    }
    ranges: dict[Hashable, str] = {}
    for direction in (0, 1):
        for stream_range in stream_ranges(packets, direction):
            data = f"data {stream_range.start}:{stream_range.end}"
            again = ", a retransmission" if stream_range.retransmission else ""
            labels[id(stream_range.packet)] = f"{data}{again}"
            if complaints:
                ranges[tcp_identity(stream_range.packet.frames[0].raw)] = data
    labels |= {key: _complaint(complaint, ranges) for key, complaint in complaints.items()}
    return labels


def _complaint(complaint: TooBig, ranges: Mapping[Hashable, str]) -> str:
    words = [complaint.name]
    if complaint.mtu:
        words.append(f"MTU {complaint.mtu}")
    if complaint.about in ranges:
        words.append(f"about {ranges[complaint.about]}")
    return ", ".join(words)


def _kind(packet: Packet) -> str:
    if packet.tcp is None:
        return "not TCP, from a router" if packet.from_router else "not TCP"
    return _flag_names(packet.tcp.flags)


@cache
def _flag_names(flags: int) -> str:
    return ", ".join(name for bit, name in _FLAG_NAMES if flags & bit) or "no flags"


def _outcome(packet: Packet) -> str:
    sent_ns = packet.t_sent_ns
    if len(packet.arrivals_ns) == 1:
        return f"arrived after {_ms(packet.arrivals_ns[0] - sent_ns)} ms"
    if packet.arrivals_ns:
        after = " and ".join(_ms(t_ns - sent_ns) for t_ns in packet.arrivals_ns)
        return f"arrived {len(packet.arrivals_ns)} times, after {after} ms"
    if packet.fate is not None:
        return f"lost: {packet.fate}"
    return f"still queued on {packet.waiting_on} at the end"


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.3f}"


def _packet_block(packet: CapturedPacket) -> bytes:
    """Return an enhanced packet block.

    ``_block`` would make the same of the packet, its comment and its direction. Nearly all blocks
    of a capture are of this kind, so they are made here in less time.
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
    """Return a block: its type, length, body and options, and the length again."""
    options = [(code, value) for code, value in options if value]
    encoded = b"".join(
        _OPTION.pack(code, len(value)) + _padded(value) for code, value in [*options, _END]
    )
    size = _LENGTH.pack(len(body) + len(encoded) + 12)
    return struct.pack("=I", kind) + size + body + encoded + size


def _padded(data: bytes) -> bytes:
    """Return the data, filled up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)
