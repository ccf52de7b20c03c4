"""The frames of simulated sessions, read by Scapy and by the lab's own reader of headers."""

from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig
from scapy.layers.l2 import Ether

from seglab.frames.addresses import IPV4, MACS
from seglab.frames.headers import parse_tcp, quoted_addresses, too_big
from seglab.simulator.carried import DOWN, UP, Carried
from seglab.simulator.frames import FrameMaker
from seglab.simulator.segment import TcpSegment

STREAMS = bytes(range(200)) * 20, b"220 hello\r\n"
SYN = TcpSegment(
    0,
    0,
    -1,
    64240,
    syn=True,
    ts_val=5,
    ts_ecr=0,
    mss_option=1460,
    wscale_option=7,
    sack_option=True,
)
SYN_ACK = TcpSegment(
    0,
    0,
    0,
    65160,
    syn=True,
    ts_val=9,
    ts_ecr=5,
    mss_option=1460,
    wscale_option=7,
    sack_option=True,
)
DATA = TcpSegment(100, 1548, 11, 64256, psh=True, ts_val=50, ts_ecr=45)
ACK = TcpSegment(11, 11, 100, 65280, ts_val=90, ts_ecr=50, sack=((1548, 2996),))
FIN = TcpSegment(4000, 4000, 11, 64256, fin=True, ts_val=70, ts_ecr=45)


def carried(segment: TcpSegment, direction: int = UP) -> Carried:
    """The segment on its way."""
    return Carried(direction, segment, 0, 0)


def maker(version: int = 4) -> FrameMaker:
    """The frames of one session."""
    return FrameMaker(version, 25, 7, STREAMS)


def recomputed(raw: bytes) -> bytes:
    """The frame with the checksums that Scapy computes."""
    frame = Ether(raw)
    for layer in (IP, TCP, ICMP):
        if layer in frame:
            del frame[layer].chksum
    if ICMPv6PacketTooBig in frame:
        del frame[ICMPv6PacketTooBig].cksum
    return bytes(frame)


@pytest.mark.parametrize("version", [4, 6])
def test_headers_and_checksums(version: int) -> None:
    """Every field of every header is what Scapy makes of it, at both ends of the path."""
    frames = maker(version)
    for segment, direction in ((SYN, UP), (SYN_ACK, DOWN), (DATA, UP), (ACK, DOWN), (FIN, UP)):
        for raw in frames.frame(carried(segment, direction)):
            assert recomputed(raw) == raw


def test_what_a_segment_says() -> None:
    """Sequence numbers count from the SYN's, the window is scaled, and options are as written."""
    frames = maker()
    syn, _ = frames.frame(carried(SYN))
    answer, _ = frames.frame(carried(SYN_ACK, DOWN))
    data, arrived = frames.frame(carried(DATA))
    ack, _ = frames.frame(carried(ACK, DOWN))
    fin, _ = frames.frame(carried(FIN))
    first, second, third, fourth, last = (Ether(raw)[TCP] for raw in (syn, answer, data, ack, fin))
    assert (str(first.flags), str(second.flags), str(last.flags)) == ("S", "SA", "FA")
    assert second.ack == (first.seq + 1) % 2**32
    assert (third.seq - first.seq) % 2**32 == 101
    assert (third.ack - second.seq) % 2**32 == 12
    assert bytes(third.payload) == STREAMS[0][100:1548]
    assert (first.window, third.window, fourth.window) == (64240, 64256 >> 7, 65280 >> 7)
    assert dict(third.options)["Timestamp"] == (50, 45)
    assert dict(first.options)["MSS"] == 1460
    assert dict(fourth.options)["SAck"] == (
        (first.seq + 1549) % 2**32,
        (first.seq + 2997) % 2**32,
    )
    assert (last.seq - first.seq) % 2**32 == 4001
    ids = [Ether(raw)[IP].id for raw in (syn, data, fin)]
    assert [(one - ids[0]) % 2**16 for one in ids] == [0, 1, 2]
    assert Ether(data)[IP].flags == "DF"
    assert (Ether(data)[IP].ttl, Ether(arrived)[IP].ttl) == (64, 63)
    assert (Ether(data).src, Ether(arrived).dst) == (MACS["c-eth0"], MACS["s-eth0"])


def test_addresses_are_those_of_a_lab() -> None:
    """Also their ranges, so that whoever reads captures of both engines tells the hosts apart."""
    raw, _ = maker().frame(carried(SYN))
    packet = Ether(raw)[IP]
    assert ip_address(packet.src) in IPV4.clients
    assert ip_address(packet.dst) in IPV4.servers
    assert packet[TCP].dport == 25


def test_a_clamped_syn() -> None:
    """It was sent with one MSS and arrives with another, both with right checksums."""
    packet = carried(SYN)
    packet.delivered = TcpSegment(
        0,
        0,
        -1,
        64240,
        syn=True,
        ts_val=5,
        ts_ecr=0,
        mss_option=1452,
        wscale_option=7,
        sack_option=True,
    )
    sent, arrived = maker().frame(packet)
    assert [parse_tcp(raw).mss for raw in (sent, arrived)] == [1460, 1452]  # type: ignore[union-attr]
    assert recomputed(arrived) == arrived


@pytest.mark.parametrize(("version", "size"), [(4, 576), (6, 1280)])
def test_a_routers_message(version: int, size: int) -> None:
    """It quotes the packet that it is about, as it came in."""
    frames = maker(version)
    about = carried(DATA)
    sent, _ = frames.frame(about)
    message = Carried(DOWN, None, size + 14, 0)
    message.mtu = 1400
    message.about = about
    _, raw = frames.frame(message)
    assert len(raw) == size + 14
    assert recomputed(raw) == raw
    found = too_big(raw)
    assert found is not None
    assert found.mtu == 1400
    source, destination = Ether(sent)[1].src, Ether(sent)[1].dst
    quoted = quoted_addresses(raw)
    assert quoted == (ip_address(source).packed, ip_address(destination).packed)
    shown = sent[14 : 14 + size - (28 if version == 4 else 48)]
    assert raw.endswith(shown)


def test_the_same_seed_makes_the_same_frames() -> None:
    """Another one makes others."""
    frames = [FrameMaker(4, 25, seed, STREAMS).frame(carried(DATA)) for seed in (1, 1, 2)]
    assert frames[0] == frames[1] != frames[2]
