"""From a simulated session to its captures, as the kernel engine writes them.

``seglab.frames`` makes captures of what a wire recorded, and has to read frames to tell packets
apart. Here the packets are known, so their frames are made and described in one pass.
"""

from operator import itemgetter
from typing import Final

from seglab.experiment.plan import SessionSpec
from seglab.frames import blocks, comments, pcapng
from seglab.frames.addresses import PORTS
from seglab.frames.headers import ACK, FIN, SYN, too_big
from seglab.networks.network import Network
from seglab.simulator.carried import UP, Carried
from seglab.simulator.frames import FrameMaker
from seglab.simulator.path import LINKS
from seglab.simulator.segment import TcpSegment
from seglab.simulator.session import Simulation

WALL_NS: Final = 1_388_534_400_000_000_000
"""What captures have as the time of day at a session's zero: 2014-01-01, 00:00 UTC.

Virtual time has no date, and captures must not depend on when they were made.
"""

MACHINE: Final = blocks.Machine("virtual", "seglab simulator", "seglab")
"""What captures say about the machine that made them."""

_WHEN = itemgetter(0)


def captures(
    spec: SessionSpec, network: Network, simulation: Simulation, description: str
) -> dict[pcapng.Vantage, bytes]:
    """Return a session's captures, by their vantage."""
    maker = FrameMaker(
        network.ip_version,
        PORTS[spec.protocol],
        spec.seed,
        (simulation.script.stream, bytes(simulation.server.replies)),
    )
    seen: tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]] = [], []
    reached = [0, 0]
    for packet in simulation.packets:
        sent, arrived = maker.frame(packet)
        direction, segment, sent_ns = packet.direction, packet.segment, packet.sent_ns
        if segment is None:
            name = _complaint(packet, sent)
        elif segment.end > segment.start and not segment.syn:
            name = comments.data(
                segment.start, segment.end, again=segment.end <= reached[direction]
            )
            reached[direction] = max(reached[direction], segment.end)
        else:
            name = comments.flag_names(_flags(segment))
        if segment is not None:  # a router's own packet was never at its sender's interface
            fate, waiting_on = _left_over(packet)
            comment = comments.outcome(name, sent_ns, packet.arrivals_ns, fate, waiting_on)
            block = blocks.packet(sent_ns + WALL_NS, True, sent, comment)
            seen[direction].append((sent_ns, block))
        for copy, t_ns in enumerate(packet.arrivals_ns):
            comment = comments.sent_before(name, t_ns - sent_ns, copy)
            block = blocks.packet(t_ns + WALL_NS, False, arrived, comment)
            seen[1 - direction].append((t_ns, block))
    made = {}
    for (vantage, (name, what)), packets in zip(pcapng.INTERFACES.items(), seen, strict=True):
        packets.sort(key=_WHEN)
        parts = [block for _, block in packets]
        made[vantage] = blocks.section(description, MACHINE, name, what, parts)
    return made


def _complaint(packet: Carried, raw: bytes) -> str:
    message = too_big(raw)
    about = packet.about.segment if packet.about is not None else None
    assert message is not None
    assert about is not None
    return comments.complaint(message, comments.data(about.start, about.end, again=False))


def _flags(segment: TcpSegment) -> int:
    return SYN * segment.syn | FIN * segment.fin | ACK * (segment.ack >= 0)


def _left_over(packet: Carried) -> tuple[str | None, str | None]:
    """Return why a packet was lost, or the link that holds it, if it did not arrive."""
    if packet.arrivals_ns or packet.fate is not None:
        return packet.fate, None
    names = LINKS if packet.direction == UP else LINKS[::-1]
    return None, names[packet.left_ns >= 0]
