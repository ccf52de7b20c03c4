"""Captures: whatever the file, the link and the headers, the message is the same."""

import gzip
import random
import struct
from collections.abc import Callable

import pytest
from capturing import (
    MS,
    T0_NS,
    Packets,
    Talk,
    block,
    enhanced,
    interface,
    mail,
    message,
    pcap,
    pcapng,
    read,
    read_noting,
    read_one,
    resolution,
    section,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.all import (
    GRE,
    IP,
    PPP,
    UDP,
    CookedLinux,
    CookedLinuxV2,
    Dot1AD,
    Dot1Q,
    Ether,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Loopback,
    PPPoE,
    Raw,
    fragment,
    fragment6,
    raw,
)
from scapy.contrib.mpls import MPLS

from seglab.capture.backend import Core
from seglab.core.observation import Observation
from seglab.errors import InputError

pytest_plugins = ["capture_core"]

SIZES = (77, 1448, 1448, 329)
V4 = message(SIZES).packets
V6 = message(SIZES, v6=True).packets


def ether(packet: bytes) -> Ether:
    """An Ethernet header with the right type."""
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=kind)


def padded(packet: bytes) -> bytes:
    """An Ethernet frame, with the padding of short ones and four bytes of trailer."""
    frame = raw(ether(packet)) + packet
    return frame + bytes(max(0, 60 - len(frame))) + b"\xde\xad\xbe\xef"


def tagged(*tags: type[Dot1Q]) -> Callable[[bytes], bytes]:
    """A frame with VLAN tags."""

    def frame(packet: bytes) -> bytes:
        made = ether(packet)
        last = made.type
        for tag in tags:
            made.lastlayer().type = 0x88A8 if tag is Dot1AD else 0x8100
            made = made / tag(vlan=7)
        made.lastlayer().type = last
        return raw(made) + packet

    return frame


def layered(layer: Callable[[int], bytes]) -> Callable[[bytes], bytes]:
    """A frame whose link layer is made from the network layer's type."""
    return lambda packet: layer(0x0800 if packet[0] >> 4 == 4 else 0x86DD) + packet


def pppoe(packet: bytes) -> bytes:
    """PPPoE over Ethernet."""
    inner = PPPoE(sessionid=1, len=len(packet) + 2) / PPP(proto=_ppp(packet))
    return (
        raw(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x8864) / inner) + packet
    )


def labelled(packet: bytes) -> bytes:
    """A frame with two labels of MPLS."""
    inner = MPLS(label=16, s=0) / MPLS(label=17, s=1)
    return raw(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x8847)) + (
        raw(inner) + packet
    )


def _ppp(packet: bytes) -> int:
    return 0x21 if packet[0] >> 4 == 4 else 0x57


def _family(packet: bytes, v6: int = 30) -> int:
    return 2 if packet[0] >> 4 == 4 else v6


LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "ethernet": (1, lambda packet: raw(ether(packet)) + packet),
    "padding": (1, padded),
    "vlan": (1, tagged(Dot1Q)),
    "qinq": (1, tagged(Dot1AD, Dot1Q)),
    "llc-snap": (
        1,
        lambda p: (
            bytes(12) + struct.pack(">H", len(p) + 8) + b"\xaa\xaa\3\0\0\0" + raw(ether(p))[12:] + p
        ),
    ),
    "mpls": (1, labelled),
    "linux-cooked": (113, layered(lambda kind: raw(CookedLinux(proto=kind)))),
    "linux-cooked-2": (276, layered(lambda kind: raw(CookedLinuxV2(proto=kind)))),
    "raw-101": (101, bytes),
    "raw-12": (12, bytes),
    "raw-14": (14, bytes),
    "null-little": (0, lambda p: struct.pack("<I", _family(p)) + p),
    "null-big": (0, lambda p: raw(Loopback(type=_family(p, 24))) + p),
    "loop": (108, lambda p: struct.pack(">I", _family(p, 28)) + p),
    "pppoe": (1, pppoe),
    "ppp": (9, lambda p: struct.pack(">H", _ppp(p)) + p),
    "ppp-hdlc": (50, lambda p: b"\xff\x03" + struct.pack(">H", _ppp(p)) + p),
    "ppp-compressed": (9, lambda p: bytes([_ppp(p)]) + p),
    "pppoe-alone": (51, lambda p: pppoe(p)[14:]),
}


def framed(packets: Packets, link: str) -> Packets:
    """The packets on that link."""
    return [(t_ns, LINKS[link][1](packet)) for t_ns, packet in packets]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("packets", [V4, V6], ids=["ipv4", "ipv6"])
def test_links(core: Core, link: str, packets: Packets) -> None:
    """The link's headers make no difference."""
    (expected,) = read(pcap(packets), core)
    assert expected.sizes == SIZES
    assert read(pcap(framed(packets, link), link=LINKS[link][0]), core) == [expected]
    flagged = LINKS[link][0] | 0x24000000  # four bytes of FCS, as the upper bits may say
    assert read(pcap(framed(packets, link), link=flagged), core) == [expected]


@pytest.mark.parametrize(("link", "packets"), [(228, V4), (229, V6)])
def test_links_of_one_version(core: Core, link: int, packets: Packets) -> None:
    """LINKTYPE_IPV4 and LINKTYPE_IPV6."""
    assert read(pcap(packets, link=link), core)[0].sizes == SIZES


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [True, False])
def test_pcap(core: Core, order: str, nanoseconds: bool) -> None:
    """Both byte orders and both resolutions."""
    packets = [(t_ns + 7_000, packet) for t_ns, packet in V4]
    data = pcap(packets, order=order, nanoseconds=nanoseconds)
    assert read(data, core) == read(pcap(packets), core)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(core: Core, order: str) -> None:
    """Both byte orders, with blocks of other kinds in between."""
    expected = read(pcap(V4), core)
    assert read(pcapng(V4, order=order), core) == expected
    blocks = [section(order), block(0x0BAD, b"custom", order), interface(101, order)]
    for t_ns, packet in V4:
        blocks += [enhanced(t_ns // 1000, packet, 0, order), block(5, bytes(8), order)]
        blocks.append(block(0x40000BAD, b"local use" * 100, order))
    assert read(b"".join(blocks), core) == expected


def test_several_sections_and_interfaces(core: Core) -> None:
    """Each section has its own byte order and its own interfaces, with their own units."""
    blocks = [section("<"), interface(1), interface(101, options=resolution(9))]
    for index, (t_ns, packet) in enumerate(V4):
        if index == 6:
            blocks += [
                section(">"),
                interface(113, ">"),
                interface(276, ">", 0, resolution(6, ">")),
            ]
        link = (("ethernet", "raw-101"), ("linux-cooked", "linux-cooked-2"))[index >= 6][index % 2]
        frame = LINKS[link][1](packet)
        nanoseconds = link == "raw-101"
        t = t_ns if nanoseconds else t_ns // 1000
        blocks.append(enhanced(t, frame, index % 2, "<>"[index >= 6]))
    assert read(b"".join(blocks), core) == read(pcap(V4), core)


@pytest.mark.parametrize(
    ("value", "units"),
    [(0, 1), (3, 10**3), (6, 10**6), (9, 10**9), (12, 10**12), (0x8A, 2**10), (0x9E, 2**30)],
)
def test_resolutions(core: Core, value: int, units: int) -> None:
    """A time is a count of units, of a power of ten or of two (if_tsresol)."""
    blocks = [section(), interface(options=resolution(value))]
    times = [index * 3 for index in range(len(V4))]  # seconds
    blocks += [enhanced(t * units, p) for t, (_, p) in zip(times, V4, strict=True)]
    (found,) = read(b"".join(blocks), core)
    assert found.t_ns is not None
    assert [b - a for a, b in zip(found.t_ns, found.t_ns[1:], strict=False)] == [3 * 10**9] * 3


def test_a_time_offset(core: Core) -> None:
    """if_tsoffset is added, in seconds."""
    offset = struct.pack("<HHq", 14, 8, -1_000_000)
    (plain,), (moved,) = read(pcapng(V4), core), read(pcapng(V4, options=offset), core)
    assert plain.t_ns is not None
    assert moved.t_ns == tuple(t - 10**15 for t in plain.t_ns)


def test_simple_and_old_packets(core: Core) -> None:
    """Simple packets have no time, so none is reported; old ones have all."""
    (expected,) = read(pcap(V4), core)
    simple = [section(), interface()]
    old = [section(), interface()]
    for t_ns, packet in V4:
        t = t_ns // 1000
        simple.append(block(3, struct.pack("<I", len(packet)) + packet))
        head = struct.pack("<HHIIII", 0, 0xFFFF, t >> 32, t & 0xFFFFFFFF, len(packet), len(packet))
        old.append(block(2, head + packet))
    assert read(b"".join(old), core) == [expected]
    (found,) = read(b"".join(simple), core)
    assert (found.sizes, found.t_ns, found.rtt_ns) == (SIZES, None, None)


def test_simple_packets_that_were_cut(core: Core) -> None:
    """A simple packet is cut where its interface cuts, and padding is not data."""
    blocks = [section(), interface(snaplen=97)]
    for _, packet in V4:
        blocks.append(block(3, struct.pack("<I", len(packet)) + packet[:97]))
    (found,) = read(b"".join(blocks), core)
    assert found.sizes == SIZES
    assert any("snap length" in note for note in found.notes)


def test_ip_options(core: Core) -> None:
    """Options before the TCP header are skipped, in IPv4 and IPv6."""
    four, six = [], []
    for t_ns, packet in V4:
        made = IP(packet)
        header = raw(IP(src=made.src, dst=made.dst, proto=6, options=[_router_alert()]))
        four.append(
            (t_ns, header[:2] + struct.pack(">H", len(packet) + 4) + header[4:24] + packet[20:])
        )
    for t_ns, packet in V6:
        made = IPv6(packet)
        extra = IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt(nh=6)
        head = IPv6(src=made.src, dst=made.dst) / extra
        six.append((t_ns, raw(head / Raw(packet[40:]))))
    assert read(pcap(four), core) == read(pcap(V4), core)
    assert read(pcap(six), core) == read(pcap(V6), core)


def _router_alert() -> object:
    from scapy.all import IPOption_Router_Alert  # noqa: PLC0415 - used once

    return IPOption_Router_Alert()


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("v6", [False, True])
def test_fragments(core: Core, v6: bool, shuffled: bool) -> None:
    """A segment in fragments is one segment, when the last of them has come."""
    packets: Packets = []
    for t_ns, packet in V6 if v6 else V4:
        if len(packet) < 600:
            packets.append((t_ns, packet))
            continue
        if v6:
            made = IPv6(packet)
            head = IPv6(src=made.src, dst=made.dst) / IPv6ExtHdrFragment(id=t_ns & 0xFFFF)
            whole = head / made.payload
            pieces = fragment6(whole, 600)
        else:
            pieces = fragment(IP(packet), 512)
        assert len(pieces) > 1
        if shuffled:
            random.Random(t_ns).shuffle(pieces)
        packets += [(t_ns, raw(piece)) for piece in pieces]
    assert len(packets) > len(V4) + 3
    assert read(pcap(packets), core) == read(pcap(V6 if v6 else V4), core)


def test_a_lost_fragment_is_a_hole(core: Core) -> None:
    """A datagram that lacks a fragment is none, and its bytes were not captured."""
    packets: Packets = []
    for index, (t_ns, packet) in enumerate(V4):
        pieces = [raw(piece) for piece in fragment(IP(packet), 512)]
        packets += [(t_ns, piece) for piece in (pieces[:1] if index == 13 else pieces)]
    (found,) = read(pcap(packets), core)
    assert (found.sizes, found.push) == (SIZES, (False, None, False, True))
    assert "bytes 77:1525 were not captured" in found.notes[0]


def test_total_length_zero(core: Core) -> None:
    """With TSO the header may say zero; then the length is that of the packet on the wire."""
    packets = [(t, p[:2] + b"\0\0" + p[4:]) for t, p in V4]
    assert read(pcap(packets), core) == read(pcap(V4), core)


def test_snap_length(core: Core) -> None:
    """Cut packets: sizes from the IP header, layout as far as it was captured, and a note."""
    (found,) = read(pcap(V4, snaplen=96), core)
    assert found.sizes == SIZES
    assert (found.mss, found.push) == (1448, (False, False, False, True))
    assert (found.header_end, found.complete) == (None, True)
    assert any("snap length" in note for note in found.notes)
    assert any("server replied" in note for note in found.notes)


def test_snap_length_without_any_payload(core: Core) -> None:
    """Headers alone: who speaks SMTP cannot be known, so nothing is claimed."""
    assert read(pcap(V4, snaplen=52), core) == []


def test_unknown_links_among_others(core: Core) -> None:
    """Packets of links that cannot be read are counted; only such ones are an error."""
    other = [section(), interface(147), interface(101)]
    strange = [enhanced(0, b"?" * 60, 0) for _ in range(3)]
    known = [enhanced(t // 1000, p, 1) for t, p in V4]
    found, notes = read_noting(b"".join(other + strange + known), core)
    assert (found, notes) == (read(pcap(V4), core), ["3 packets of link types that cannot be read"])
    with pytest.raises(InputError, match="link types"):
        read(b"".join(other + strange), core)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_slicing_makes_no_difference(core: Core, data: st.DataObject) -> None:
    """However a capture is cut into pieces, in whatever format, it says the same."""
    link = data.draw(st.sampled_from(sorted(LINKS)))
    packets = framed(V6 if data.draw(st.sampled_from([False, True])) else V4, link)
    make = data.draw(st.sampled_from([pcap, pcapng]))
    content = make(packets, link=LINKS[link][0])
    if data.draw(st.booleans()):
        content = gzip.compress(content)
    size = data.draw(st.integers(1, 4000))
    assert _told(read(content, core, size=size)) == _told(read(pcap(V4), core))


def _told(found: list[Observation]) -> list[object]:
    return [(o.id, o.sizes, o.t_ns, o.push, o.mss, o.fields, o.notes) for o in found]


def test_the_same_packets_twice(core: Core) -> None:
    """A capture on two interfaces at once, which has each packet twice, tells each byte once."""
    twice = [(t_ns + late, p) for t_ns, p in V4 for late in (0, 1000)]
    (found,) = read(pcap(twice), core)
    (once,) = read(pcap(V4), core)
    assert (found.sizes, found.t_ns, found.push) == (once.sizes, once.t_ns, once.push)


def test_times_that_go_backwards(core: Core) -> None:
    """Times are reported as they are; a round trip below zero is none."""
    packets = [(T0_NS - index * MS, p) for index, (_, p) in enumerate(V4)]
    (found,) = read(pcap(packets), core)
    assert found.rtt_ns is None
    assert found.t_ns is not None
    assert sorted(found.t_ns, reverse=True) == list(found.t_ns)


def test_a_capture_of_offloaded_segments(core: Core) -> None:
    """A size above the MSS is kept, and flagged as merged."""
    found = read_one(message((77, 5792, 329)), core)
    assert found.sizes == (77, 5792, 329)
    assert any("offload" in note and "5792" in note for note in found.notes)


def test_two_connections_interleaved(core: Core) -> None:
    """Packets of several connections may come in any order."""
    talks = [Talk(client_port=port, isn=port * 977) for port in range(1, 9)]
    for index, talk in enumerate(talks):
        talk.begin()
        talk.body(mail(300 + index), (100, 200 + index))
        talk.finish()
    queues = [list(talk.packets) for talk in talks]
    rng, mixed = random.Random(5), []
    while queues := [queue for queue in queues if queue]:
        mixed.append(rng.choice(queues).pop(0))
    found = read(pcap(mixed), core)
    assert sorted(o.sizes for o in found) == [(100, 200 + index) for index in range(8)]


OUTER4, OUTER6 = {"src": "10.0.0.1", "dst": "10.0.0.2"}, {"src": "fd00::1", "dst": "fd00::2"}


def _inner(packet: bytes) -> tuple[int, int]:
    """IP's number and the EtherType of a packet within another."""
    return (4, 0x0800) if packet[0] >> 4 == 4 else (41, 0x86DD)


@pytest.mark.parametrize("inner", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize(
    "outer",
    [
        lambda p: IP(**OUTER4, proto=_inner(p)[0]) / Raw(p),
        lambda p: IPv6(**OUTER6, nh=_inner(p)[0]) / Raw(p),
        lambda p: IPv6(**OUTER6) / IPv6ExtHdrDestOpt(nh=_inner(p)[0]) / Raw(p),
        lambda p: IP(**OUTER4) / GRE(proto=_inner(p)[1]) / Raw(p),
        lambda p: IPv6(**OUTER6, nh=47) / GRE(proto=_inner(p)[1]) / Raw(p),
        lambda p: (
            IP(**OUTER4)
            / GRE(proto=_inner(p)[1], chksum_present=1, key_present=1, seqnum_present=1)
            / Raw(p)
        ),
        lambda p: IP(**OUTER4) / GRE() / IP(**OUTER4, proto=_inner(p)[0]) / Raw(p),
    ],
    ids=["ipv4", "ipv6", "ipv6-options", "gre", "gre-in-ipv6", "gre-full", "twice"],
)
def test_tunnels(core: Core, outer: Callable[[bytes], IP | IPv6], inner: Packets) -> None:
    """What goes through IP in IP, or GRE, is read as without it."""
    packets = [(t_ns, raw(outer(p))) for t_ns, p in inner]
    assert read(pcap(packets), core) == read(pcap(inner), core)


def test_a_tunnel_in_fragments(core: Core) -> None:
    """A packet that does not fit into its tunnel comes in two."""
    packets: Packets = [
        (t_ns, raw(piece))
        for number, (t_ns, p) in enumerate(V4)
        for piece in fragment(IP(**OUTER4, proto=4, id=number + 1) / Raw(p), 1480)
    ]
    assert len(packets) > len(V4)
    assert [o.sizes for o in read(pcap(packets), core)] == [SIZES]


def test_what_was_not_looked_into_is_told(core: Core) -> None:
    """Whatever could have had mail in it is counted, whether there was other mail or not."""
    gre = raw(IP(**OUTER4) / GRE(proto=0x2000) / Raw(bytes(40)))
    esp = raw(IP(**OUTER4, proto=50) / Raw(bytes(40)))
    udp = raw(IP(**OUTER4) / UDP(dport=4500) / Raw(bytes(40)))
    packets = [(T0_NS, p) for p in (gre, gre, esp, udp)]
    tunnels = ["1 packets of ESP were not looked into", "2 packets of GRE were not looked into"]
    found, notes = read_noting(pcap(packets), core)
    note = "; ".join([*tunnels, "1 packets of UDP were not looked into"])
    assert (found, notes) == ([], [f"0 messages: {note}"])
    found, notes = read_noting(pcap([*packets, *V4]), core)
    assert ([o.sizes for o in found], notes) == ([SIZES], tunnels)


def test_labels_before_something_else(core: Core) -> None:
    """Behind the labels of MPLS may be Ethernet, which is not looked into."""
    frames = [(t_ns, labelled(bytes(4) + raw(ether(p)) + p)) for t_ns, p in V4]
    found, notes = read_noting(pcap(frames, link=1), core)
    expected = f"0 messages: {len(V4)} packets of MPLS were not looked into"
    assert (found, notes) == ([], [expected])


def test_headers_only(core: Core) -> None:
    """A capture without contents tells why there is nothing in it."""
    loaded = sum(len(p) > 52 for _, p in V4) - 2  # two of these are SYNs with an MSS
    found, notes = read_noting(pcap([(t, p) for t, p in V4], snaplen=52), core)
    expected = f"0 messages: the contents of {loaded} TCP segments were not captured"
    assert (found, notes) == ([], [expected])


def test_tunnels_in_tunnels_without_end(core: Core) -> None:
    """However deep a packet claims to be, it is left in time."""
    packet = raw(V4[0][1])
    for _ in range(500):
        packet = (
            raw(IP(**OUTER4, proto=4))[:2]
            + (len(packet) + 20).to_bytes(2, "big")
            + (raw(IP(**OUTER4, proto=4))[4:] + packet)
        )
    found, notes = read_noting(pcap([(T0_NS, packet), *V4]), core)
    assert [o.sizes for o in found] == [SIZES]
    assert notes == ["1 packets whose lengths contradict each other"]
