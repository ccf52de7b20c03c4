"""The simulator describes its packets itself; the kernel engine reads them in the frames."""

import pytest

from seglab.execution.request import RunRequest
from seglab.frames import pcapng
from seglab.frames.addresses import PORTS
from seglab.frames.headers import parse_tcp
from seglab.frames.packets import Frame, Packet
from seglab.simulator.captured import MACHINE, WALL_NS, captures
from seglab.simulator.carried import UP, Carried
from seglab.simulator.frames import FrameMaker
from seglab.simulator.path import LINKS
from seglab.simulator.script import script_of
from seglab.simulator.session import Simulation

NETWORKS = "ethernet", "gprs", "cellular", "tunnel-1400", "ipv6-tunnel", "pppoe-clamped"


def packet(carried: Carried, sent: bytes, arrived: bytes) -> Packet:
    """A packet as the kernel engine's wire would have recorded it."""
    waiting = None
    if not carried.arrivals_ns and carried.fate is None:
        waiting = (LINKS if carried.direction == UP else LINKS[::-1])[carried.left_ns >= 0]
    return Packet(
        carried.direction,
        parse_tcp(sent),
        [
            Frame(link, carried.direction, carried.sent_ns, carried.arrivals_ns, None, raw)
            for link, raw in enumerate((sent, arrived))
        ],
        list(carried.arrivals_ns),
        None if carried.arrivals_ns else carried.fate,
        waiting,
        from_router=carried.segment is None,
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_both_routes_make_the_same_captures(network: str) -> None:
    """Byte for byte: with loss, a router's messages, clamping, and in both versions of IP."""
    said = b""
    for spec, path in RunRequest(("matrix",), (), (network,), 1).specs(2014):
        simulation = Simulation(spec, path, script_of(spec), 10**12)
        simulation.run()
        maker = FrameMaker(
            path.ip_version,
            PORTS[spec.protocol],
            spec.seed,
            (simulation.script.stream, bytes(simulation.server.replies)),
        )
        packets = [packet(one, *maker.frame(one)) for one in simulation.packets]
        made = captures(spec, path, simulation, "words")
        assert made == pcapng.captures(packets, WALL_NS, "words", MACHINE)
        said += made["client"] + made["server"]
    shown = {
        "gprs": [b"a retransmission", b"lost: loss on access"],
        "tunnel-1400": [b"ICMP fragmentation needed, MTU 1400, about data "],
        "ipv6-tunnel": [b"ICMPv6 packet too big, MTU "],
    }
    for words in shown.get(network, []):
        assert words in said
