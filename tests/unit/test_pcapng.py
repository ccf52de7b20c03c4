"""Captures: what Scapy and tshark read in them, from either vantage."""

import io
import re
import subprocess

import pytest
from documents import text
from frames import CLIENT, CLIENT_ISN, MS, Recorder, tcp_frame
from programs import need
from scapy.all import (
    ICMP,
    IP,
    TCP,
    Ether,
    ICMPv6PacketTooBig,
    IPv6,
    Raw,
    RawPcapNgReader,
    raw,
)

from seglab.frames.headers import too_big
from seglab.frames.packets import join_frames
from seglab.frames.pcapng import CapturedPacket, capture, write

WALL_NS = 1_700_000_000_123_456_789
WAY_NS = 70 * MS + 20_000


def records() -> list[list]:
    """A connection, three segments of which the second is lost, and its retransmission."""
    recorder = Recorder()
    recorder.handshake()
    recorder.data(200 * MS, 0, 1440)
    recorder.data(201 * MS, 1440, 2880, lost="loss on access")
    recorder.data(202 * MS, 2880, 3001, copies=2)
    recorder.data(400 * MS, 1440, 2880)
    return recorder.records


def packets(data: bytes) -> list[tuple[int, bytes, str]]:
    """Time, bytes and comment of each packet, as Scapy reads them."""
    found = []
    with RawPcapNgReader(io.BytesIO(data)) as reader:
        for raw_packet, meta in reader:
            t_ns = ((meta.tshigh << 32) + meta.tslow) * 10**9 // meta.tsresol
            comments = getattr(meta, "comments", None) or [meta.comment]
            found.append((t_ns, raw_packet, comments[0].decode()))
    return found


def test_the_clients_vantage():
    """All that the client sent, when it left, lost or not; what came, when it came."""
    found = packets(capture(join_frames(records()), "client", WALL_NS))
    assert [(t_ns - WALL_NS, comment) for t_ns, _, comment in found] == [
        (0, "SYN, arrived after 70.020 ms"),
        (80 * MS + WAY_NS, "SYN, ACK, sent 70.020 ms before"),
        (200 * MS, "data 0:1440, arrived after 70.020 ms"),
        (201 * MS, "data 1440:2880, lost: loss on access"),
        (202 * MS, "data 2880:3001, arrived 2 times, after 70.020 and 71.020 ms"),
        (400 * MS, "data 1440:2880, a retransmission, arrived after 70.020 ms"),
    ]


def test_the_servers_vantage():
    """What was lost is not there, a duplicate is there twice; frames as the router sent them."""
    found = packets(capture(join_frames(records()), "server", WALL_NS))
    assert [(t_ns - WALL_NS, comment) for t_ns, _, comment in found] == [
        (WAY_NS, "SYN, sent 70.020 ms before"),
        (80 * MS, "SYN, ACK, arrived after 70.020 ms"),
        (200 * MS + WAY_NS, "data 0:1440, sent 70.020 ms before"),
        (202 * MS + WAY_NS, "data 2880:3001, sent 70.020 ms before"),
        (203 * MS + WAY_NS, "data 2880:3001, sent 71.020 ms before, a duplicate"),
        (400 * MS + WAY_NS, "data 1440:2880, a retransmission, sent 70.020 ms before"),
    ]
    ttls = {Ether(frame)[IP].ttl for _, frame, comment in found if comment.startswith("data")}
    assert ttls == {63}


def test_a_packet_that_a_router_lost_says_so():
    """It left the first link and never came to the second."""
    recorder = Recorder()
    recorder.handshake()
    recorder.data(200 * MS, 0, 1440, lost="router")
    assert packets(capture(join_frames(recorder.records), "client", 0))[-1][2] == (
        "data 0:1440, lost: router"
    )
    assert len(packets(capture(join_frames(recorder.records), "server", 0))) == 2


def complaint(quoted: int | None = None, mtu: int = 1428, version: int = 4) -> bytes:
    """What a router says of bytes 98:1558 of the client's stream, quoting so many bytes."""
    frame = Ether(tcp_frame(seq=CLIENT_ISN + 99, payload=bytes(1460)))
    if version == 4:
        about = raw(frame[IP])[:quoted]
        answer = IP(src="10.1.0.1", dst=CLIENT) / ICMP(type=3, code=4, nexthopmtu=mtu)
    else:
        about = raw(IPv6(src="fd00::1", dst="fd00::2") / frame[TCP])[:quoted]
        answer = IPv6(src="fd00::3", dst="fd00::1") / ICMPv6PacketTooBig(mtu=mtu)
    return raw(Ether(type={4: 0x0800, 6: 0x86DD}[version]) / answer / Raw(about))


@pytest.mark.parametrize(
    ("frame", "comment"),
    [
        (complaint(), "ICMP fragmentation needed, MTU 1428, about data 98:1558"),
        (complaint(quoted=28), "ICMP fragmentation needed, MTU 1428, about data 98:1558"),
        (complaint(quoted=27), "ICMP fragmentation needed, MTU 1428"),
        (complaint(quoted=0), "ICMP fragmentation needed, MTU 1428"),
        (complaint(mtu=0), "ICMP fragmentation needed, about data 98:1558"),
        (complaint(version=6, mtu=1280), "ICMPv6 packet too big, MTU 1280"),
        (complaint()[:41], "not TCP, from a router"),
        (complaint()[:14], "not TCP, from a router"),
    ],
    ids=["whole", "eight bytes", "too few", "nothing", "no mtu", "v6", "cut", "empty"],
)
def test_a_routers_complaint_says_what_fits(frame, comment):
    """The MTU of RFC 1191 or RFC 8201, and which bytes did not pass, however little is quoted."""
    recorder = Recorder()
    recorder.handshake()
    recorder.data(200 * MS, 0, 98)
    recorder.data(201 * MS, 98, 1558, lost="router")
    recorder.records.append([0, 1, 211 * MS, [216 * MS], None, frame])
    found = [text for _, _, text in packets(capture(join_frames(recorder.records), "client", 0))]
    assert found[-1] == f"{comment}, sent 5.000 ms before"


@pytest.mark.parametrize("version", [4, 6])
def test_a_complaint_cut_anywhere_is_read_without_an_error(version):
    """Whatever is missing of it, and whatever its lengths say."""
    whole = complaint(version=version)
    for length in range(len(whole)):
        too_big(whole[:length])
        too_big(whole[:length] + b"\xff" * (len(whole) - length))


def tshark(data: bytes, *arguments: str) -> list[str]:
    """What tshark prints about a capture that it reads from stdin, line by line."""
    command = [need("tshark"), "-r", "-", *arguments]
    result = subprocess.run(command, input=data, capture_output=True, check=True, timeout=60)
    complaints = [
        line for line in result.stderr.decode().splitlines() if not line.startswith("Running as")
    ]
    assert complaints == []
    return result.stdout.decode().splitlines()


@pytest.mark.parametrize("vantage", ["client", "server"])
def test_tshark_finds_nothing_to_complain_about(vantage):
    """No malformed packet, no wrong checksum, and the times to the nanosecond."""
    data = capture(join_frames(records()), vantage, WALL_NS, "a session")
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    bad = "_ws.malformed || tcp.checksum.status != 1 || ip.checksum.status != 1"
    assert tshark(data, *checks, "-Y", bad) == []
    lines = tshark(data, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.comment")
    expected = packets(data)
    assert [line.split("\t")[1] for line in lines] == [comment for _, _, comment in expected]
    first = lines[0].split("\t")[0]
    assert first == f"{expected[0][0] // 10**9}.{expected[0][0] % 10**9:09d}"


def test_tshark_knows_the_interface_and_the_direction():
    """Each packet has its interface's name and says whether it came or went."""
    data = capture(join_frames(records()), "client", WALL_NS)
    fields = ("frame.interface_name", "frame.packet_flags_direction", "frame.packet_flags")
    lines = tshark(data, "-T", "fields", *(word for name in fields[::2] for word in ("-e", name)))
    directions = [int(line.split("\t")[1], 16) & 3 for line in lines]
    assert {line.split("\t")[0] for line in lines} == {"c-eth0"}
    assert directions == [2, 1, 2, 2, 2, 2]


def test_capinfos_reads_what_the_file_says_of_itself(tmp_path):
    """Program, comment, precision and order, as capinfos prints them."""
    path = tmp_path / "session.pcapng"
    path.write_bytes(capture(join_frames(records()), "server", WALL_NS, "scenario-1, session 4"))
    command = [need("capinfos"), str(path)]
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    lines = {" ".join(line.split()) for line in output.splitlines()}
    assert {
        "Capture application: seglab",
        "Capture comment: scenario-1, session 4",
        "File timestamp precision: nanoseconds (9)",
        "Strict time order: True",
        "Name = s-eth0",
    } <= lines


@pytest.mark.parametrize("size", range(14, 22))
def test_blocks_are_padded(size):
    """Frames and comments of any length keep the next block on a multiple of four bytes."""
    frames = [CapturedPacket(n, True, bytes([n]) * size, "c" * n) for n in range(6)]
    data = write(frames, "if0")
    assert len(data) % 4 == 0
    with RawPcapNgReader(io.BytesIO(data)) as reader:
        assert [raw_packet for raw_packet, _ in reader] == [frame.raw for frame in frames]


def test_an_empty_session_is_a_valid_capture():
    """A client that never sent anything leaves a file with no packets."""
    assert tshark(capture([], "client", 0)) == []


def test_the_tutorials_filter():
    """It shows each long segment once: what was sent again, it leaves out by the comment."""
    (shown,) = re.findall(r"-Y '(.*)'", text("docs/tutorial.md"))
    shown = shown.replace("tcp.dstport == 25", "tcp.dstport == 2007")  # the port of these frames
    found = capture(join_frames(records()), "client", WALL_NS)
    fields = ("-T", "fields", "-e", "tcp.len")
    assert tshark(found, *fields, "-Y", shown) == ["1440", "1440"]
    without, comment, _ = shown.partition(" && not frame.comment")
    assert comment
    assert tshark(found, *fields, "-Y", without) == ["1440", "1440", "1440"]
