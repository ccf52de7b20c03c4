"""Captures in pcapng, with the fate of every packet as its comment.

There are two captures of each session, from its two vantages. One is what tcpdump would show at the
client's interface, where packets that the path loses later still appear; the other is what it would
show at the server's, where they do not.
"""

import platform
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Literal, NamedTuple

from seglab.frames import blocks, comments
from seglab.frames.blocks import Machine
from seglab.frames.headers import tcp_identity, too_big
from seglab.frames.packets import Packet, stream_ranges

Vantage = Literal["client", "server"]


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
                comment = comments.sent_before(label, t_ns - sent_ns, copy)
                found.append(CapturedPacket(t_ns + wall_offset_ns, False, raw, comment))
        elif not packet.from_router:  # a router's own packet was never at this interface
            comment = comments.outcome(
                label, sent_ns, packet.arrivals_ns, packet.fate, packet.waiting_on
            )
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
    made = [blocks.packet(*one) for one in packets]
    machine = machine or this_machine()
    return blocks.section(comment, machine, interface, interface_description, made)


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
            packet, start, end, again = stream_range
            labels[id(packet)] = comments.data(start, end, again=again)
            if complaints:
                identity = tcp_identity(packet.frames[0].raw)
                ranges[identity] = comments.data(start, end, again=False)
    for key, message in complaints.items():
        labels[key] = comments.complaint(message, ranges.get(message.about))
    return labels


def _kind(packet: Packet) -> str:
    if packet.tcp is None:
        return "not TCP, from a router" if packet.from_router else "not TCP"
    return comments.flag_names(packet.tcp.flags)


def read(capture: bytes) -> Iterator[CapturedPacket]:
    """Yield the packets of a file that ``write`` made; their comments are left out.

    The lab's own captures are meant. ``seglab.capture`` reads those of others.

    Raises:
        ValueError: it is no such file, or is cut short.
    """
    at = 0
    while at < len(capture):
        if len(capture) - at < blocks.PACKET_HEADER.size:
            raise ValueError("the capture is cut short")
        kind, size, _, high, low, captured, _ = blocks.PACKET_HEADER.unpack_from(capture, at)
        start, end = at + blocks.PACKET_HEADER.size, at + size
        if size < blocks.PACKET_HEADER.size or size % 4 or end > len(capture):
            raise ValueError("the capture is cut short")
        if at == 0 and kind != blocks.SECTION_HEADER:
            raise ValueError("this is no pcapng file of this machine's byte order")
        if kind == blocks.ENHANCED_PACKET:
            raw = capture[start : start + captured]
            outbound = _is_outbound(capture[start + captured + -captured % 4 : end - 4])
            yield CapturedPacket(high << 32 | low, outbound, raw, "")
        at = end


def _is_outbound(options: bytes) -> bool:
    """Return what the flags among a packet block's options say of its direction."""
    at = 0
    while at + blocks.OPTION.size <= len(options):
        code, size = blocks.OPTION.unpack_from(options, at)
        at += blocks.OPTION.size
        if code == blocks.EPB_FLAGS:
            return options[at] & 3 == blocks.OUTBOUND
        at += size + -size % 4
    return False
