"""Captures: TCP as it is on real networks, held against a slow and simple reference."""

from collections.abc import Sequence

import pytest
from capturing import MS, Packets, Talk, mail, message, pcap, read, read_one
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seglab.capture.backend import Core
from seglab.core.observation import Observation

pytest_plugins = ["capture_core"]

SIZES = (500, 500, 500)
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sent(
    ranges: Sequence[tuple[int, int]], size: int, *, isn: int = 1000, replied: bool = True
) -> Talk:
    """A message of ``size`` bytes in segments of these ranges, in this order."""
    talk = Talk(isn=isn)
    talk.begin()
    base, payload = talk.seq[0], mail(size)
    for start, end in ranges:
        talk.packet(0, payload[start:end], seq=base + start, flags="PA" if end == size else "A")
    talk.seq[0] = base + size
    if replied:
        talk.finish()
    return talk


def told(found: Observation) -> tuple[tuple[int, ...], tuple[bool, ...] | None]:
    """Sizes, and which of them came late."""
    return found.sizes, found.retransmission


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        # In order, and all of it again.
        ([(0, 500), (500, 1000), (0, 500), (1000, 1500)], ((500, 500, 500), (0, 0, 0))),
        # A loss before the capture, then its retransmission: it fills a hole.
        ([(0, 500), (1000, 1500), (500, 1000)], ((500, 500, 500), (0, 1, 0))),
        # The same, cut again.
        ([(0, 500), (1000, 1500), (500, 700), (700, 1000)], ((500, 200, 300, 500), (0, 1, 1, 0))),
        # A retransmission that brings new bytes at its end: only those count.
        ([(0, 500), (0, 1000), (1000, 1500)], ((500, 500, 500), (0, 1, 0))),
        # One that covers a hole and what lies on both sides.
        ([(0, 500), (700, 900), (400, 1200), (1200, 1500)], None),
        # Two segments overtaken by a third.
        ([(1000, 1500), (500, 1000), (0, 500)], ((500, 500, 500), (1, 1, 0))),
        # Keep-alives: one byte, or none, before what is expected (RFC 9293, 3.8.4).
        ([(0, 500), (499, 500), (500, 1000), (999, 999), (1000, 1500)], ((500,) * 3, (0, 0, 0))),
    ],
)
def test_order(
    core: Core,
    ranges: list[tuple[int, int]],
    expected: tuple[tuple[int, ...], tuple[int, ...]] | None,
) -> None:
    """Each byte counts where it was first seen, and segments below the highest are marked."""
    found = read_one(sent(ranges, 1500), core)
    if expected is None:
        expected = (500, 200, 200, 300, 300), (0, 1, 0, 1, 0)
    assert told(found) == (expected[0], tuple(map(bool, expected[1])))
    assert (found.complete, found.header_end) == (True, 82)


@pytest.mark.parametrize("isn", [2**32 - 1, 2**32 - 100, 2**32 - 700, 2**31 - 300])
def test_sequence_numbers_wrap(core: Core, isn: int) -> None:
    """From 2**32 - 1 the numbers go on at zero, also in the middle of a hole."""
    found = read_one(sent([(0, 500), (1000, 1500), (500, 1000)], 1500, isn=isn), core)
    assert told(found) == ((500, 500, 500), (False, True, False))


def reference(ranges: list[tuple[int, int]]) -> list[tuple[int, bool]]:
    """Byte for byte: who brought it first, and was a higher byte there already."""
    owner: dict[int, int] = {}
    late: list[bool] = []
    highest = 0
    for index, (start, end) in enumerate(ranges):
        late.append(start < highest)
        highest = max(highest, end)
        for byte in range(start, end):
            owner.setdefault(byte, index)
    pieces: list[tuple[int, bool]] = []
    previous = None
    for byte in sorted(owner):
        # A piece ends where another segment's bytes begin, or where the segment was cut in two.
        if (owner[byte], byte - 1 in owner) == (previous, True):
            pieces[-1] = (pieces[-1][0] + 1, pieces[-1][1])
        else:
            pieces.append((1, late[owner[byte]]))
        previous = owner[byte]
    return pieces


SIZE = 160


@QUICK
@given(
    starts=st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 60)), max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_any_order_and_overlap(core: Core, starts: list[tuple[int, int]], order: object) -> None:
    """Segments in any order, with any overlap, as long as no byte is missing."""
    ranges = [(start, min(start + size, SIZE)) for start, size in starts]
    ranges += [(start, start + 40) for start in range(0, SIZE, 40)]
    order.shuffle(ranges)  # type: ignore[attr-defined]
    found = read_one(sent(ranges, SIZE), core)
    expected = reference(ranges)
    assert found.sizes == tuple(size for size, _ in expected)
    assert found.retransmission == tuple(late for _, late in expected)
    assert sum(found.sizes) == SIZE


@pytest.mark.parametrize("lost", range(3))
def test_bytes_that_were_not_captured(core: Core, lost: int) -> None:
    """A hole that the server acknowledges was lost by the capture: its size stands, and a note."""
    talk = sent([(0, 500), (500, 1000), (1000, 1500)], 1500)
    packets = talk.packets[: 12 + lost] + talk.packets[13 + lost :]
    found = read_one(packets, core)
    assert found.sizes == SIZES
    assert found.push is not None
    assert [flag is None for flag in found.push] == [index == lost for index in range(3)]
    assert f"{500 * lost}:{500 * lost + 500}" in found.notes[-1]
    # Without the last segment, only the server's reply says that there was an end.
    assert found.complete == (lost < 2)
    assert (found.header_end is None) == (lost == 0)


def test_much_that_was_not_captured(core: Core) -> None:
    """Several holes, one beside a retransmission; the sizes still join to the message."""
    ranges = [(0, 100), (300, 500), (600, 700), (300, 500), (900, 1500)]
    found = read_one(sent(ranges, 1500), core)
    assert found.sizes == (100, 200, 200, 100, 100, 200, 600)
    assert found.push == (False, None, False, None, False, None, True)


def test_the_reply_to_data_was_not_captured(core: Core) -> None:
    """Without the 354 reply, what the client sends next says what it was."""
    talk = message(SIZES)
    (reply,) = [i for i, (_, p) in enumerate(talk.packets) if b"354 Go on" in p]
    assert read_one(talk.packets[:reply] + talk.packets[reply + 1 :], core).sizes == SIZES


def test_data_was_not_captured(core: Core) -> None:
    """Without the DATA command, the 354 reply says where the payload begins."""
    talk = message(SIZES)
    (command,) = [i for i, (_, p) in enumerate(talk.packets) if p.endswith(b"DATA\r\n")]
    assert read_one(talk.packets[:command] + talk.packets[command + 1 :], core).sizes == SIZES


@pytest.mark.parametrize(
    ("beyond", "shift", "valid"),
    [
        (0, 7, True),
        (500_000_000, 7, False),
        (-500_000_000, 7, False),
        (1000 << 7, 7, True),  # the window that the client announces, scaled by its shift
        ((1000 << 7) + 1, 7, False),
        (-(1000 << 7) - 1, 7, False),
        (65_537, None, False),  # RFC 7323: without both options a window is not scaled
        (1, None, True),
    ],
)
def test_a_reset_has_to_be_in_the_window(
    core: Core, beyond: int, shift: int | None, valid: bool
) -> None:
    """Who guesses a sequence number ends no connection (RFC 9293, 3.10.7.4)."""
    talk = Talk()
    scale: list[tuple[str, int]] = [] if shift is None else [("WScale", shift)]
    for way, flags in ((0, "S"), (1, "SA")):
        talk.packet(way, flags=flags, options=[("MSS", 1460), *scale])
        talk.seq[way] += 1
    talk.packet(0, window=1000)
    talk.send(1, b"220 mx.example ESMTP\r\n")
    talk.command(b"EHLO client.example", b"250 mx.example")
    talk.envelope()
    payload = mail(900)
    talk.send(0, payload[:500], "A", window=1000)
    talk.packet(1, flags="R", seq=talk.seq[1] + beyond)
    talk.send(0, payload[500:], window=1000)
    talk.finish()
    found = read_one(talk, core)
    assert (found.sizes, found.complete) == (((500,), False) if valid else ((500, 400), True))
    assert any("reset" in note for note in found.notes) == valid


def test_a_reset_where_little_is_known(core: Core) -> None:
    """Without the SYNs the scale is not known, so a window may be as large as any."""
    talk = Talk()
    talk.begin()
    talk.send(0, mail(900)[:500], "A")
    talk.packet(1, flags="R", seq=talk.seq[1] + 1_000_000)
    found = read_one(talk.packets[3:], core)
    assert (found.sizes, found.complete) == ((500,), False)
    assert "reset" in found.notes[-1]


def test_a_zero_window_probe(core: Core) -> None:
    """A byte sent into a closed window counts where it was first seen, and is noted."""
    talk = Talk()
    talk.begin()
    payload = mail(1500)
    talk.send(0, payload[:500], "A")
    talk.packet(1, window=0)
    base = talk.seq[0]
    talk.packet(0, payload[500:501], seq=base)  # BSD and Windows send a byte
    talk.packet(1, window=0)
    talk.packet(0, b"", seq=base - 1)  # Linux sends none, of an old number
    talk.packet(1, window=500)
    talk.send(0, payload[500:1000], "A")
    talk.send(0, payload[1000:])
    talk.finish()
    found = read_one(talk, core)
    assert told(found) == ((500, 1, 499, 500), (False, False, True, False))
    assert any("closed window" in note for note in found.notes)


def test_a_syn_that_came_twice(core: Core) -> None:
    """Which of two SYNs was answered is not known, and so neither is the round trip."""
    talk = message(SIZES)
    found = read_one([talk.packets[0], *talk.packets], core)
    assert (found.sizes, found.rtt_ns, found.mss) == (SIZES, None, 1448)


def test_data_in_the_last_packet_of_the_handshake(core: Core) -> None:
    """A client that speaks first, with its acknowledgement of the SYN-ACK."""
    talk = message(SIZES)
    packets = talk.packets[:2] + talk.packets[3:]
    assert read_one(packets, core).sizes == SIZES


def test_a_port_that_is_used_again(core: Core) -> None:
    """A new SYN between the same ports is a new connection, after the end or without it."""
    first, second = message((100,)), message((200,), isn=777_777_777)
    cut = Talk(isn=5)
    cut.begin()
    cut.send(0, mail(300)[:150])
    packets = [*first.packets, *cut.packets, *second.packets]
    found = read(pcap(packets), core)
    assert [(o.id, o.sizes, o.complete) for o in found] == [
        ("test.pcap#0.1", (100,), True),
        ("test.pcap#1.1", (150,), False),
        ("test.pcap#2.1", (200,), True),
    ]


def test_a_port_that_was_not_mail_before(core: Core) -> None:
    """What was skipped as something else is looked at again after a new SYN."""
    web = Talk(port=2525, isn=3)
    web.handshake()
    web.send(0, b"\x00\x01\x02\x03 nothing of mail")
    for _ in range(20):
        web.send(1, bytes(100))
    packets = [*web.packets, *message((100,), port=2525).packets]
    assert [o.id for o in read(pcap(packets), core)] == ["test.pcap#1.1"]


def test_both_sides_of_a_capture_that_drops_at_random(core: Core) -> None:
    """Whatever is dropped from a capture, nothing but true boundaries and gaps is reported."""
    talk = message((100, 200, 300, 400, 500))
    ends = {0, 100, 300, 600, 1000, 1500}
    for first in range(len(talk.packets)):
        for second in range(first, len(talk.packets)):
            packets: Packets = [p for i, p in enumerate(talk.packets) if i not in (first, second)]
            for found in read(pcap(packets), core):
                assert set(found.ends) <= ends
                if found.complete:
                    assert found.ends[-1] == 1500


def test_acknowledgements_alone_tell_of_a_hole(core: Core) -> None:
    """A long message with a hole goes on, though no reply comes until its end."""
    talk = Talk()
    talk.begin()
    payload = mail(30_000)
    for start in range(0, 30_000, 1000):
        talk.send(0, payload[start : start + 1000])
        if start % 2000:
            talk.packet(1)
    packets = [p for i, p in enumerate(talk.packets) if i != 20]
    found = read_one(packets, core)
    assert (found.total_bytes, found.complete) == (30_000, True)
    assert found.t_ns is not None
    assert found.t_ns[-1] - found.t_ns[0] == 43 * MS


@pytest.mark.parametrize("stamps", [False, True])
@pytest.mark.parametrize(
    ("announced", "sizes", "expected"),
    [
        ((None, None), (1460, 1460, 1460, 620), None),  # RFC 9293's default, but the wire has more
        ((None, None), (700,), None),
        ((None, None), (536, 536, 100), 536),
        ((None, None), (1072, 536, 100), 536),  # two segments that offload has merged
        ((1460, None), (1460, 1460, 620), 1460),
        ((None, 1460), (1460, 1460, 620), 1460),
        ((None, 1400), (1460, 1460, 620), None),
        ((1460, None), (400, 80), 536),
    ],
)
def test_the_default_mss_and_the_evidence(
    core: Core,
    stamps: bool,
    announced: tuple[int | None, int | None],
    sizes: tuple[int, ...],
    expected: int | None,
) -> None:
    """Without the MSS option 536 counts, unless segments are larger: then it is not known."""
    taken = 12 * stamps  # RFC 7323
    sizes = tuple(size - taken * (size // 536 if not size % 536 else size > 620) for size in sizes)
    found = read_one(message(sizes, mss=announced, stamps=stamps), core)
    assert found.mss == (None if expected is None else expected - taken)
