"""Captures: hostile ones end in one clear error or in what was readable, in bounded memory."""

import gzip
import struct
import sys
from pathlib import Path
from subprocess import run

import pytest
from capture_mutations import check, hostile
from capturing import (
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
    resolution,
    section,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seglab.capture import containers
from seglab.capture.backend import Core
from seglab.capture.core.table import HALF_STREAMS_MAX, HELD_BYTES
from seglab.capture.reader import Capture
from seglab.errors import InputError

pytest_plugins = ["capture_core"]

GOOD = message((300, 200)).packets
SYN = bytes.fromhex("4500002c000040004006000000000000c6336419000000190000000000000000600200000000")
SYN += bytes.fromhex("0000020405b4") + bytes(2)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(hostile(), st.integers(1, 3000), st.sampled_from(["smtp", "raw"]))
def test_changed_captures(data: bytes, size: int, protocol: str) -> None:
    """No change of a capture leads to anything but observations, notes, or one line of error."""
    check(data, size, protocol)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([pcap([]), section() + interface(1), b"\x1f\x8b\x08\0\0\0\0\0"]), st.binary()
)
def test_noise_after_a_header(head: bytes, noise: bytes) -> None:
    """The same of noise after a good beginning."""
    check(head + noise, 7, "smtp")


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (pcap(GOOD) + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 0), "corrupt: a record claims"),
        (pcapng(GOOD) + struct.pack("<III", 6, 3, 0), "corrupt: a block claims to have 3 bytes"),
        (pcapng(GOOD) + struct.pack("<III", 6, 0xFFFFFFFC, 0), "cut: it ends inside a record"),
        (pcapng(GOOD) + struct.pack("<III", 1, 0xFFFFFFFC, 0), "corrupt: a header block"),
        (pcapng(GOOD) + block(6, bytes(8)), "1 packets whose lengths contradict"),
        (pcapng(GOOD) + block(6, struct.pack("<5I", 0, 0, 0, 99, 99)), "1 packets whose lengths"),
        (pcapng(GOOD) + enhanced(0, b"x", 77), "1 packets whose lengths contradict"),
        (gzip.compress(pcap(GOOD), mtime=0)[:-12], "cut"),
        (gzip.compress(pcap(GOOD), mtime=0)[:-8] + bytes(8), "corrupt: gzip"),
    ],
)
def test_lengths_that_lie(core: Core, data: bytes, note: str) -> None:
    """What came before is reported, and a note says where it broke off."""
    found, notes = read_noting(data, core)
    assert [o.sizes for o in found] == [(300, 200)]
    assert notes[0].startswith(note)


def test_a_huge_block_is_skipped_and_not_kept(core: Core) -> None:
    """A block of gigabytes takes no memory, and what follows it is read."""
    capture = Capture("x", core=core)
    capture.feed(section() + interface())
    capture.feed(struct.pack("<II", 0xBAD, 1 << 30))
    for _ in range(1023):
        assert capture.feed(bytes(1 << 20)) == []
        assert capture._waiting < 1 << 20
    rest = pcapng(GOOD)[len(section() + interface()) :]
    # Its size counts the 8 bytes of its head.
    (found,) = capture.feed(bytes((1 << 20) - 8) + rest)
    assert found.sizes == (300, 200)


@pytest.mark.parametrize("value", [10, 127, 0x80, 0xBF, 0xFF])
@pytest.mark.parametrize("t", [0, 1 << 63, (1 << 64) - 1])
def test_absurd_times(core: Core, value: int, t: int) -> None:
    """Any resolution and any time give numbers of 64 bits."""
    blocks = [section(), interface(options=resolution(value))]
    blocks += [enhanced(t, packet) for _, packet in GOOD]
    (found,) = read(b"".join(blocks), core)
    assert found.t_ns is not None
    assert all(abs(t_ns) < 1 << 63 for t_ns in found.t_ns)


def test_options_without_end(core: Core) -> None:
    """Options of an interface, of TCP, and headers of IPv6, each repeated to the limit."""
    options = struct.pack("<HH", 2, 0) * 10_000
    assert read(pcapng(GOOD, options=options), core)[0].sizes == (300, 200)
    nops = bytes.fromhex("45000050000040004006000001020304c633641900010019") + bytes(8)
    zero = b"\xf0\x02" + bytes(6) + b"\x02\x00" * 20
    endless = bytes.fromhex("6000000005000040") + bytes(32) + b"\x3c\x00" * 0x300
    found, notes = read_noting(pcap([(0, nops + zero), (0, endless), *GOOD]), core)
    assert [o.sizes for o in found] == [(300, 200)]
    assert notes == ["1 packets whose lengths contradict each other"]


def test_a_decompression_bomb(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays flat, and past a size that no capture has at that ratio it ends with a note."""
    monkeypatch.setattr(containers, "BOMB_BYTES", 1 << 20)
    bomb = gzip.compress(pcap(GOOD) + bytes(8 << 20))
    found, notes = read_noting(bomb, core)
    assert len(found) == 1
    assert notes == ["corrupt: gzip: it is a decompression bomb; nothing after that was read"]


def test_half_open_connections(core: Core) -> None:
    """More connections than are remembered: the oldest go, and the notes say how many."""
    count = HALF_STREAMS_MAX
    capture = Capture("x", core=core)
    capture.feed(pcap([]))
    head = struct.pack("<IIII", 0, 0, len(SYN), len(SYN))
    for low in range(0, count, 4096):
        packets = [
            head + SYN[:12] + number.to_bytes(4, "big") + SYN[16:]
            for number in range(low, low + 4096)
        ]
        capture.feed(b"".join(packets))
        assert capture._table.ledger.held <= HELD_BYTES
        assert len(capture._table.young) <= HALF_STREAMS_MAX
    (note,) = capture.notes
    evicted = int(note.split()[0])
    assert count - HALF_STREAMS_MAX <= evicted < count
    assert capture.close() == []


def test_a_message_without_end(core: Core) -> None:
    """Bodies, lines, replies and holes without end are bounded, each by its own limit."""
    talk = Talk(stamps=False)
    talk.begin()
    last = talk.packet(0, b"x" * 1000, seq=talk.seq[0])
    capture = Capture("x", core=core)
    capture.feed(pcap(talk.packets))
    head = struct.pack("<IIII", 0, 0, len(last), len(last))
    for step in range(1, 20_000):  # each a hole of a byte further
        seq = (talk.seq[0] + 1001 * step) % 2**32
        capture.feed(head + last[:24] + seq.to_bytes(4, "big") + last[28:])
    assert capture._table.ledger.held < 8 << 20
    (found,) = capture.close()
    assert (found.complete, max(found.sizes)) == (False, 1000)


@pytest.mark.parametrize("way", [0, 1])
def test_a_line_without_end(core: Core, way: int) -> None:
    """A line that never ends is not SMTP: the connection is followed no further."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx\r\n")
    talk.command(b"EHLO x", b"250 Ok")
    for _ in range(20):
        talk.send(way, b"2" * 1400)
    talk.envelope()
    talk.body(mail(300), (300,))
    assert read(pcap(talk.packets), core) == []


def test_what_is_held_back_is_bounded(core: Core) -> None:
    """Payload without a reply to DATA is not kept for ever: what it looks like decides."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx\r\n")
    talk.command(b"HELO x", b"250 Ok")
    talk.send(0, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    payload = mail(70_000)
    for at in range(0, 70_000, 1000):
        talk.send(0, payload[at : at + 1000])
    (found,) = read(pcap(talk.packets), core)
    assert (found.sizes, found.complete) == ((1000,) * 70, True)


def test_many_commands_in_a_segment(core: Core) -> None:
    """Thousands of DATA in one segment do not exhaust the stack."""
    talk = Talk()
    talk.handshake()
    talk.send(0, b"HELO x\r\n" + b"DATA\r\nQUIT\r\n" * 4000)
    packets = [packet for packet in talk.packets if packet[1][12:16] == bytes([192, 0, 2, 1])]
    assert read(pcap(packets), core) == []
    talk.send(1, b"354 Go\r\n" * 4000)
    assert len(read(pcap(talk.packets), core)) <= 4000


def test_an_input_error_is_one_line(core: Core) -> None:
    """Bytes from the file are reported in hexadecimal."""
    with pytest.raises(InputError) as caught:
        read(b"\x1b]0;owned\x07" * 9, core)
    assert str(caught.value).isprintable()


def test_what_comes_before_a_corrupt_byte_of_gzip(core: Core) -> None:
    """It is read, however the bytes around the corrupt one are cut (found by fuzzing)."""
    data = bytearray(gzip.compress(pcap(GOOD), mtime=0))
    for at in range(len(data) // 2, len(data), 7):
        data[at] ^= 0x55
        whole = read_noting(bytes(data), core)
        assert read_noting(bytes(data), core, size=1) == whole
        data[at] ^= 0x55


@pytest.mark.parametrize("protocol", ["smtp", "raw"])
def test_bytes_after_the_end(core: Core, protocol: str) -> None:
    """What a client says after its FIN belongs to nothing (found by fuzzing)."""
    talk = Talk()
    talk.begin()
    talk.send(0, mail(300)[:100])
    talk.packet(0, flags="FA")
    talk.send(0, mail(300)[100:])
    (found,) = read(pcap(talk.packets), core, protocol=protocol)
    assert found.sizes[-1] == 100


@pytest.mark.parametrize("data", [b"\x00\x3c\xb2\xa1", b"\x00\x3c\xb2\xa1 and more"])
def test_the_error_does_not_depend_on_the_slicing(core: Core, data: bytes) -> None:
    """Few bytes that are no capture are reported in the same words (found by fuzzing)."""
    words = []
    for size in (1, 100):
        with pytest.raises(InputError) as caught:
            read(data, core, size=size)
        words.append(str(caught.value))
    assert words[0] == words[1]


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """The module's own command names it in one line, and so does a call without any file."""
    command = [sys.executable, "-m", "seglab.capture"]
    ended = run([*command, tmp_path / "no\x1bne"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == f"{tmp_path}/no\\x1bne: No such file or directory\n"
    ended = run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: ")
