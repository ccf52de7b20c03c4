"""From frames to segments: headers of any quality, packets over two links, SMTP offsets."""

import random

import pytest
from frames import CLIENT_ISN, ETHER, MS, SERVER_ISN, Recorder, routed, tcp_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import ICMP, IP, TCP, UDP, Ether, IPerror, IPv6, Raw, TCPerror, raw

from seglab.core.trace import Segment, Trace
from seglab.frames import headers
from seglab.frames.packets import handshake, join_frames, largest, segments

OPTIONS = st.lists(
    st.sampled_from(
        [("MSS", 1440), ("NOP", None), ("Timestamp", (1, 2)), ("SAckOK", b""), ("WScale", 7)]
    ),
    max_size=4,
    unique=True,
)


@given(
    seq=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=40),
    flags=st.sampled_from(("S", "A", "PA", "FA", "R")),
    options=OPTIONS,
)
def test_tcp_headers_are_read_as_scapy_wrote_them(seq, payload, flags, options):
    """Numbers, flags, options and payload come out of a frame as they went in."""
    frame = tcp_frame(seq=seq, payload=payload, flags=flags, options=options, ip_id=77)
    found = headers.parse_tcp(frame)
    assert found is not None
    assert (found.seq, found.ip_id, found.flags) == (seq, 77, int(TCP(flags=flags).flags))
    assert frame[found.payload_start :][: found.payload_bytes] == payload
    assert found.mss == (1440 if ("MSS", 1440) in options else None)
    assert found.timestamps == (("Timestamp", (1, 2)) in options)


def test_padding_of_a_short_frame_is_no_payload():
    """Ethernet fills up to 60 bytes; the IP length says what counts."""
    frame = tcp_frame(seq=1)
    assert headers.parse_tcp(frame + bytes(6)).payload_bytes == 0
    assert not headers.carries_data(frame + bytes(6))
    assert headers.carries_data(tcp_frame(seq=1, payload=b"x"))


def test_ipv6_is_read_as_well():
    """The same TCP header behind an IPv6 header."""
    frame = raw(ETHER / IPv6(src="fd00::1", dst="fd00::2") / TCP(seq=9) / Raw(b"abc"))
    found = headers.parse_tcp(frame)
    assert (found.seq, found.payload_bytes, len(found.source)) == (9, 3, 16)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(14),
        raw(ETHER / IP() / UDP() / Raw(b"x" * 40)),
        raw(ETHER / IP(frag=3) / Raw(b"x" * 40)),
        raw(ETHER / IP(flags="MF") / TCP() / Raw(b"x" * 40)),
        raw(Ether(type=0x0806) / Raw(b"E" * 60)),
    ],
    ids=["nothing", "bare", "udp", "later fragment", "first fragment", "arp"],
)
def test_what_is_no_tcp_segment(frame):
    """Other protocols and fragments are not taken for segments."""
    assert headers.parse_tcp(frame) is None


@given(st.binary(max_size=120), st.sampled_from((headers.IPV4, headers.IPV6)))
def test_no_bytes_make_the_parsers_raise(junk, ethertype):
    """Rubbish behind an honest EtherType gives a value or ``None``."""
    frame = bytes(12) + ethertype + junk
    headers.parse_tcp(frame)
    headers.quoted_addresses(frame)
    headers.Teardown().see(0, frame)
    join_frames([[0, 0, 1, [2], None, frame], [1, 0, 3, [], "loss", frame]])


@given(st.data())
def test_a_mangled_frame_makes_no_parser_raise(data):
    """A good frame, cut anywhere, with some bytes changed."""
    frame = bytearray(tcp_frame(seq=5, payload=b"x" * 30, options=[("MSS", 1440)]))
    for _ in range(data.draw(st.integers(0, 5))):
        frame[data.draw(st.integers(12, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    found = headers.parse_tcp(cut)
    assert found is None or found.payload_start + found.payload_bytes <= len(cut)
    headers.quoted_addresses(cut)


def test_an_icmp_error_names_the_flow_it_is_about():
    """The addresses come from the quoted packet, not from the router's own header."""
    quoted = IPerror(src="10.0.0.1", dst="10.64.0.1") / TCPerror(sport=40000, dport=25)
    frame = raw(
        ETHER / IP(src="10.128.0.2", dst="10.0.0.1") / ICMP(type=3, code=4) / IP(raw(quoted))
    )
    assert headers.quoted_addresses(frame) == (bytes((10, 0, 0, 1)), bytes((10, 64, 0, 1)))
    echo = raw(ETHER / IP(src="10.128.0.2") / ICMP(type=8) / Raw(raw(quoted)))
    assert headers.quoted_addresses(echo) is None


def session() -> Recorder:
    """A recorder in which a connection stands; its data begins at 200 ms."""
    recorder = Recorder()
    recorder.handshake()
    return recorder


def test_a_segment_is_sent_at_the_first_link_and_arrives_at_the_end_of_the_last():
    """Times are those of the two ends, counted from the session's zero; PSH is kept."""
    recorder = session()
    recorder.data(200 * MS, 0, 1440)
    recorder.data(201 * MS, 1440, 2000, flags="PA")
    way_ns = 70 * MS + 20_000
    assert segments(join_frames(recorder.records), 0, 2000, t0_ns=100 * MS) == (
        Segment(100 * MS, 100 * MS + way_ns, 0, 1440),
        Segment(101 * MS, 101 * MS + way_ns, 1440, 2000, psh=True),
    )


@pytest.mark.parametrize(
    "reason", ["loss on access", "exact on core", "queue on access", "mtu on core", "router"]
)
def test_a_lost_segment_and_its_retransmission(reason):
    """The loss says where and why; what is sent again is marked, and arrives."""
    recorder = session()
    recorder.data(200 * MS, 0, 1440, lost=reason)
    recorder.data(201 * MS, 1440, 2880)
    recorder.data(400 * MS, 0, 1440)
    first, second, third = segments(join_frames(recorder.records), 0, 2880, t0_ns=0)
    assert (first.dropped, first.drop_reason, first.t_arrived_ns) == (True, reason, None)
    assert not first.retransmission
    assert not second.dropped
    assert not second.retransmission
    assert (third.retransmission, third.dropped, third.drop_reason) == (True, False, None)


def test_like_packets_are_told_apart_by_time():
    """Without an IP identification a retransmission looks like the original, lost at a router."""
    recorder = session()
    recorder.data(200 * MS, 0, 1440, lost="router", ip_id=0)
    recorder.data(500 * MS, 0, 1440, ip_id=0)
    lost, arrived = segments(join_frames(recorder.records), 0, 1440, t0_ns=0)
    assert (lost.drop_reason, lost.t_arrived_ns) == ("router", None)
    assert arrived.t_arrived_ns == 500 * MS + 70 * MS + 20_000


def test_a_duplicate_is_one_segment_with_the_first_arrival():
    """The link copied it on the way; the sender sent it once."""
    recorder = session()
    recorder.data(200 * MS, 0, 1440, copies=2)
    recorder.data(201 * MS, 1440, 2880, copies=2, lost="loss on core")
    one, two = segments(join_frames(recorder.records), 0, 2880, t0_ns=0)
    assert one.t_arrived_ns == 200 * MS + 70 * MS + 20_000
    assert not one.dropped
    assert two.drop_reason == "loss on core"


def test_a_segment_that_is_still_queued_is_neither_lost_nor_there():
    """When a session ends with frames in a queue, they have no fate yet."""
    recorder = session()
    frame = tcp_frame(seq=CLIENT_ISN + 1, payload=b"x" * 100)
    recorder.records.append([0, 0, 200 * MS, [], None, frame])
    (segment,) = segments(join_frames(recorder.records), 0, 100, t0_ns=0)
    assert (segment.dropped, segment.t_arrived_ns) == (False, None)
    assert join_frames(recorder.records)[-1].waiting_on == "access"


def test_commands_around_the_payload_do_not_count():
    """Segments of SMTP commands go, those that hold a part of the payload are clipped."""
    recorder = session()
    for start, end in ((0, 30), (30, 1000), (1000, 2440), (2440, 2446)):
        recorder.data(200 * MS + start, start, end)
    found = segments(join_frames(recorder.records), 100, 2000, t0_ns=0)
    assert [(segment.start, segment.end) for segment in found] == [(0, 900), (900, 1900)]


def test_sequence_numbers_wrap():
    """The stream goes on over 2^32, forwards and back to what is sent again."""
    recorder = session()  # its sequence numbers begin 4096 below 2^32
    steps = ((0, 4000), (4000, 4095), (4095, 5000), (5000, 9000), (3000, 5000))
    for number, (start, end) in enumerate(steps):
        recorder.data(200 * MS + number, start, end)
    found = segments(join_frames(recorder.records), 0, 9000, t0_ns=0)
    assert [(segment.start, segment.end) for segment in found] == list(steps)
    assert [segment.retransmission for segment in found] == [False] * 4 + [True]


@settings(deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 1440), min_size=1, max_size=40))
def test_any_lossy_stream_keeps_the_laws_of_a_trace(seed, sizes):
    """Segments lost at random and sent until they arrive break none of the trace's laws."""
    rng = random.Random(seed)
    recorder = session()
    start, t_ns = 0, 200 * MS
    for size in sizes:
        while True:
            t_ns += rng.randrange(MS)
            lost = rng.choice((None, None, "loss on access", "router", "loss on core"))
            recorder.data(t_ns, start, start + size, lost=lost)
            if lost is None:
                break
        start += size
    rng.shuffle(recorder.records)
    found = segments(join_frames(recorder.records), 0, start, t0_ns=0)
    assert Trace(start, 1440, (), found, ()).violations() == [
        f"writes end at 0, the payload at {start}",
        f"reads end at 0, the payload at {start}",
    ]
    assert sum(segment.dropped for segment in found) == len(found) - len(sizes)


def test_without_a_syn_there_is_no_stream():
    """No offset can be known; nothing is made up."""
    recorder = Recorder()
    recorder.data(200 * MS, 0, 1440)
    assert segments(join_frames(recorder.records), 0, 1440, t0_ns=0) == ()
    assert handshake(join_frames(recorder.records)) is None
    assert largest(join_frames(recorder.records)) is None


def test_the_handshake_says_what_was_negotiated():
    """The MSS is the smaller of the two; timestamps need both hosts."""
    found = handshake(join_frames(session().records))
    assert (found.client_mss, found.server_mss, found.mss) == (1440, 65495, 1440)
    assert (found.client_timestamps, found.server_timestamps, found.timestamps) == (
        False,
        True,
        False,
    )


def test_the_client_obeys_the_mss_that_a_router_lowered():
    """Of the server's SYN counts what reached the client; timestamps cost 12 bytes of it."""
    recorder = Recorder()
    stamps = [("MSS", 1460), ("Timestamp", (1, 0))]
    recorder.sent(0, tcp_frame(seq=CLIENT_ISN, flags="S", options=stamps))
    answer = tcp_frame(seq=SERVER_ISN, flags="SA", ack=CLIENT_ISN + 1, back=True, options=stamps)
    clamped = routed(answer).replace(b"\x02\x04\x05\xb4", b"\x02\x04\x05\x8c")  # 1460 -> 1420
    recorder.records += [
        [1, 1, 80 * MS, [90 * MS], None, answer],
        [0, 1, 91 * MS, [99 * MS], None, clamped],
    ]
    found = handshake(join_frames(recorder.records))
    assert (found.server_mss, found.timestamps, found.mss) == (1420, True, 1408)


def test_the_largest_segment_shows_an_offload_that_leaks():
    """A segment above the MSS was never on a wire; its range is there for the message."""
    recorder = session()
    recorder.data(200 * MS, 0, 1440)
    recorder.data(201 * MS, 1440, 4320)
    recorder.data(202 * MS, 4320, 4400)
    found = largest(join_frames(recorder.records))
    assert (found.start, found.end) == (1440, 4320)


def test_a_routers_own_packet_begins_its_journey_at_the_router():
    """An ICMP error to the client was on one link only; no host sent it."""
    recorder = session()
    frame = raw(ETHER / IP(src="10.128.0.2", dst="10.0.0.1") / ICMP(type=3, code=4))
    recorder.records.append([0, 1, 300 * MS, [310 * MS], None, frame])
    last = join_frames(recorder.records)[-1]
    assert (last.from_router, last.tcp, last.arrivals_ns) == (True, None, [310 * MS])


@pytest.mark.parametrize("upto", range(6))
def test_a_connection_is_over_when_both_fins_are_acknowledged(upto):
    """Each frame of the closing counts: without the last one it is not over."""
    frames = [
        (0, tcp_frame(seq=100, flags="S", ack=0)),
        (1, tcp_frame(seq=500, flags="SA", ack=101, back=True)),
        (0, tcp_frame(seq=101, flags="FA", ack=501, payload=b"bye")),
        (1, tcp_frame(seq=501, flags="FA", ack=105, back=True)),
        (0, tcp_frame(seq=105, flags="A", ack=502)),
    ]
    teardown = headers.Teardown()
    for direction, frame in frames[:upto]:
        teardown.see(direction, frame)
    assert teardown.finished == (upto in (0, 5))


def test_a_reset_ends_a_connection():
    """After RST nothing more is to come."""
    teardown = headers.Teardown()
    teardown.see(0, tcp_frame(seq=100, flags="S", ack=0))
    assert not teardown.finished
    teardown.see(1, tcp_frame(seq=0, flags="RA", ack=101, back=True))
    assert teardown.finished
