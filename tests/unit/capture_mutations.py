"""Hostile captures for Hypothesis: good ones of every kind, with some of their bytes changed."""

import bz2
import gzip
import lzma
import struct
from functools import cache

from capturing import Packets, Talk, enhanced, interface, mail, message, pcap, pcapng, section
from hypothesis import strategies as st
from scapy.all import GRE, IP, UDP, Raw, fragment, raw

from seglab.capture.backend import Core, compiled, pure
from seglab.capture.reader import Capture
from seglab.core.observation import Observation
from seglab.errors import InputError

Outcome = tuple[list[Observation], list[str]] | str


@cache
def seeds() -> tuple[bytes, ...]:
    """Captures with each of the features that have code of their own."""
    talk = message((77, 500, 400, 100))
    v6 = message((300, 200), v6=True)
    long = Talk()
    long.begin()
    long.body(mail(600), (300, 300))
    long.send(1, b"250 Ok\r\n")
    long.send(0, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 10 LAST\r\n0123456789")
    long.send(1, b"250 Ok\r\n250 Ok\r\n250 Ok\r\n")
    long.command(b"AUTH LOGIN", b"334 eA==")
    long.command(b"eA==", b"235 Ok")
    long.command(b"STARTTLS", b"220 Go")
    long.send(0, b"\x16\x03\x01\x00\x10" + bytes(16))
    long.close()
    tunnel = Talk(port=3128)
    tunnel.handshake()
    tunnel.command(b"CONNECT mx:25 HTTP/1.1\r\n", b"HTTP/1.1 200 Ok\r\n")
    tunnel.packets += message((100,)).packets[3:]
    again = Talk(port=3128)
    again.handshake()
    again.command(b"CONNECT mx:25 HTTP/1.1\r\n", b"HTTP/1.1 407 No\r\n")
    again.command(b"CONNECT mx:25 HTTP/1.1\r\nA: b\r\n", b"HTTP/1.1 200 Ok\r\n220 mx")
    again.command(b"MAIL FROM:<a@b>", b"250 Ok")
    again.send(0, b"RCPT TO:<c@d>\r\nBDAT 10\r\n0123456789RSET\r\nBDAT 5 LAST\r\n01234")
    again.packet(1, flags="R")
    behind = Talk()
    behind.handshake()
    behind.send(0, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12))
    behind.packets += talk.packets[3:]
    careless = careless_talk()
    radio = [
        (t_ns, b"\0\0\x08\0\0\0\0\0\x08\1" + bytes(22) + b"\xaa\xaa\3\0\0\0\x08\0" + p)
        for t_ns, p in careless.packets
    ]
    mirrored = [
        (t_ns, raw(IP() / UDP(dport=4789) / Raw(b"\x08" + bytes(19) + b"\x08\0" + p)))
        for t_ns, p in talk.packets
    ]
    wrapped: Packets = [
        (t_ns, raw(IP(proto=47 if at % 2 else 4) / (GRE() / IP(p) if at % 2 else IP(p))))
        for at, (t_ns, p) in enumerate(talk.packets)
    ]
    labels = [(t_ns, bytes(12) + b"\x88\x47\0\1\1\7" + p) for t_ns, p in talk.packets]
    pieces: Packets = [
        (t_ns, raw(piece)) for t_ns, p in talk.packets for piece in fragment(IP(p), 128)
    ]
    lost = [p for index, p in enumerate(talk.packets) if index not in {4, 13}]
    frames = [(t_ns, bytes(12) + b"\x81\0\0\x07\x08\0" + p) for t_ns, p in talk.packets]
    mixed = section() + interface(101) + interface(1, options=struct.pack("<HHB3x", 9, 1, 9))
    mixed += b"".join(enhanced(t_ns // 1000, p) for t_ns, p in talk.packets)
    mixed += section(">") + interface(101, ">")
    mixed += b"".join(enhanced(t_ns // 1000, p, 0, ">") for t_ns, p in v6.packets)
    plain = pcap(talk.packets)
    return (
        plain,
        pcap(talk.packets, order=">", nanoseconds=False),
        pcap(talk.packets, snaplen=80),
        pcap(talk.packets + v6.packets + long.packets + tunnel.packets),
        pcap(pieces),
        pcap(again.packets + behind.packets),
        pcap(wrapped),
        pcap(labels, link=1),
        pcap(lost),
        pcap(talk.packets[9:]),
        pcap(frames, link=1),
        pcapng(talk.packets),
        mixed,
        gzip.compress(plain, mtime=0),
        pcap(careless.packets),
        pcap(careless.packets, snaplen=54),
        pcap(careless.packets, snaplen=82),
        pcap([p for index, p in enumerate(careless.packets) if index % 7 != 5]),
        pcap(radio, link=127),
        pcap(mirrored),
        lzma.compress(plain),
        bz2.compress(plain),
    )


def careless_talk() -> Talk:
    """A connection behind SOCKS in which both hosts do what they should not."""
    talk = Talk(port=1080, stamps=False, mss=(None, 1460))
    talk.handshake()
    for way, said in ((0, b"\5\1\0"), (1, b"\5\0"), (0, b"\5\1\0\3\2mx\0\x19")):
        talk.send(way, said)
    talk.send(1, b"\5\0\0\1" + bytes(6) + b"220 mx\r\n")
    talk.command(b"LHLO c", b"250 Ok")
    inner = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nlast\r.\n"
    for end in (b"\n.\n", b"\r.\r\n", b"\r\n\0.\r\n"):
        talk.envelope()
        talk.send(0, b"A: b\r\n\r\ntext" + end + inner)
        talk.send(0, b"more\r\n.\r\n")
        talk.send(1, b"250 Ok\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n250 Ok\r\n")
        talk.send(0, b"QUIT\r\n")
        talk.send(1, b"250 Ok\r\n221 Bye\r\n")
    talk.command(b"BDAT 5 X", b"501 No")
    talk.send(0, b"BDAT 3\r\nabcBDAT 4 LASTING\r\ndefg")
    talk.send(1, b"250 Ok\r\n250 Ok\r\n")
    talk.command(b"XEXCH50 4 2", b"354 Go")
    talk.command(b"ab", b"250 Ok")
    talk.command(b"STARTTLS", b"220 Go")
    talk.envelope()
    talk.body(mail(90), (84, 3, 3))
    talk.finish()
    return talk


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """A good capture with a few changes: bytes, numbers, pieces gone, doubled or cut off."""
    data = bytearray(draw(st.sampled_from(range(len(seeds()))).map(seeds().__getitem__)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == 1:
            number = draw(st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000]))
            data[at : at + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", number)
        elif kind == 2:
            size = draw(st.integers(0, 200))
            del data[at : at + size]
        elif kind == 3:
            other = draw(st.integers(0, max(0, len(data) - 1)))
            data[at:at] = data[other : other + draw(st.integers(0, 300))]
        elif kind == 4:
            data[at : at + 8] = draw(st.binary(max_size=8))
        else:
            del data[at:]
    return bytes(data)


def outcome(data: bytes, core: Core, size: int, protocol: str = "smtp") -> Outcome:
    """What comes out of it, or the error's one line; anything else is a bug."""
    capture = Capture("x", core=core, protocol=protocol)  # type: ignore[arg-type]
    found = []
    try:
        for at in range(0, len(data), size):
            found += capture.feed(data[at : at + size])
        found += capture.close()
    except InputError as error:
        return str(error)
    return found, capture.notes


def check(data: bytes, size: int, protocol: str) -> None:
    """Whatever is read ends well, alike in pieces and in one, alike compiled and not."""
    whole = outcome(data, pure(), max(1, len(data)), protocol)
    assert outcome(data, pure(), size, protocol) == whole
    other = compiled()
    if other is not None:
        assert outcome(data, other, max(1, len(data)), protocol) == whole
        assert outcome(data, other, size, protocol) == whole
    if isinstance(whole, str):
        assert whole.isprintable()
    else:
        for found in whole[0]:
            assert found.header_end is None or found.header_end <= found.total_bytes
            assert len({o.id for o in whole[0]}) == len(whole[0])
            assert Observation.from_json(found.to_json()).sizes == found.sizes
