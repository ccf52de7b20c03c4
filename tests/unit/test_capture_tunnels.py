"""Captures: tunnels and links that people really have, and files that are packed."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable

import pytest
from capturing import Packets, Talk, mail, message, pcap, read, read_noting, read_one
from scapy.all import GRE, IP, LLC, SNAP, UDP, Dot11, Dot11QoS, Ether, IPv6, RadioTap, Raw, raw
from scapy.layers.vxlan import VXLAN

from seglab.capture import sniff
from seglab.capture.backend import Core
from seglab.errors import InputError

pytest_plugins = ["capture_core"]

SIZES = (120, 1400, 300)
V4 = message(SIZES).packets
V6 = message(SIZES, v6=True).packets
OUTER = {"src": "10.0.0.1", "dst": "10.0.0.2"}
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


def kind(packet: bytes) -> int:
    """The EtherType of a packet."""
    return 0x0800 if packet[0] >> 4 == 4 else 0x86DD


def ether(packet: bytes) -> bytes:
    """The packet in an Ethernet frame."""
    return raw(Ether(**MACS, type=kind(packet))) + packet


def udp(port: int, payload: bytes) -> bytes:
    """A datagram to a port."""
    return raw(IP(**OUTER) / UDP(sport=50000, dport=port) / Raw(payload))


def gre(proto: int, payload: bytes, **flags: int) -> bytes:
    """GRE with a protocol."""
    return raw(IP(**OUTER) / GRE(proto=proto, **flags) / Raw(payload))


def wifi(packet: bytes, *, qos: bool = False, four: bool = False) -> bytes:
    """A data frame of 802.11, not encrypted."""
    frame = Dot11(type=2, subtype=8 if qos else 0, FCfield=3 if four else 1)
    if four:
        frame.addr4 = "02:00:00:00:00:05"
    if qos:
        frame = frame / Dot11QoS()
    return raw(frame / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=kind(packet))) + packet


def radiotap(flags: int | None, frame: bytes) -> bytes:
    """A frame behind radiotap with a time, and flags if any."""
    present = 1 | (2 if flags is not None else 0)
    body = bytes(8) + (bytes([flags]) if flags is not None else b"")
    return struct.pack("<BBHI", 0, 0, 8 + len(body), present) + body + frame


def nflog(order: str) -> Callable[[bytes], bytes]:
    """A packet among the attributes of NFLOG."""

    def made(packet: bytes) -> bytes:
        head = struct.pack(">BBH", 2 if kind(packet) == 0x0800 else 10, 0, 5)
        prefix = struct.pack(order + "HH", 5, 10) + b"\0" + bytes(3)
        return head + prefix + struct.pack(order + "HH", 4 + len(packet), 9) + packet

    return made


TUNNELS: dict[str, Callable[[bytes], bytes]] = {
    "vxlan": lambda p: raw(IP(**OUTER) / UDP(dport=4789) / VXLAN(vni=7, flags=8) / Raw(ether(p))),
    "vxlan-in-ipv6": lambda p: raw(
        IPv6() / UDP(dport=4789) / VXLAN(vni=7, flags=8) / Raw(ether(p))
    ),
    "vxlan-old-port": lambda p: udp(8472, b"\x08\0\0\0\0\0\x07\0" + ether(p)),
    "vxlan-gpe": lambda p: udp(
        4790, bytes([0x0C, 0, 0, 1 if kind(p) == 0x0800 else 2]) + b"\0\0\x07\0" + p
    ),
    "geneve": lambda p: udp(6081, b"\0\0\x65\x58\0\0\x07\0" + ether(p)),
    "geneve-options": lambda p: udp(
        6081, b"\x02\0" + struct.pack(">H", kind(p)) + b"\0\0\x07\0" + bytes(8) + p
    ),
    "gre-ethernet": lambda p: gre(0x6558, ether(p)),
    "nvgre": lambda p: gre(0x6558, ether(p), key_present=1),
    "erspan-1": lambda p: gre(0x88BE, ether(p)),
    "erspan-2": lambda p: gre(0x88BE, b"\x10\x07\0\0\0\0\0\0" + ether(p), seqnum_present=1),
    "erspan-3": lambda p: gre(0x22EB, b"\x20\x07" + bytes(10) + ether(p), seqnum_present=1),
    "erspan-3-platform": lambda p: gre(
        0x22EB, b"\x20\x07" + bytes(9) + b"\x01" + bytes(8) + ether(p), seqnum_present=1
    ),
    "pptp": lambda p: raw(
        IP(**OUTER, proto=47)
        / Raw(
            struct.pack(">BBHHHII", 0x30, 0x81, 0x880B, len(p) + 4, 7, 1, 2)
            + b"\xff\x03"
            + struct.pack(">H", 0x21 if kind(p) == 0x0800 else 0x57)
            + p
        )
    ),
    "tzsp": lambda p: udp(37008, b"\x01\0\0\x01" + b"\x0a\x01\x05\0\x01" + ether(p)),
    "tzsp-wifi": lambda p: udp(37008, b"\x01\0\0\x12\x01" + wifi(p)),
    "mpls-in-gre": lambda p: gre(0x8847, b"\0\x01\0\x40\0\x02\x01\x40" + p),
    "mpls-in-udp": lambda p: udp(6635, b"\0\x02\x01\x40" + p),
    "gtp": lambda p: udp(2152, struct.pack(">BBHI", 0x30, 255, len(p), 7) + p),
    "gtp-extended": lambda p: udp(
        2152, struct.pack(">BBHI", 0x34, 255, len(p) + 8, 7) + b"\0\0\0\x85\x01\0\x09\0" + p
    ),
    "vxlan-in-vxlan": lambda p: udp(
        4789, b"\x08" + bytes(7) + ether(udp(4789, b"\x08" + bytes(7) + ether(p)))
    ),
}
LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "wifi": (105, wifi),
    "radiotap": (127, lambda p: raw(RadioTap()) + wifi(p)),
    "radiotap-fcs": (127, lambda p: radiotap(0x10, wifi(p, qos=True) + b"\1\2\3\4")),
    "radiotap-padded": (
        127,
        lambda p: radiotap(0x20, wifi(p, qos=True)[:26] + bytes(2) + wifi(p, qos=True)[26:]),
    ),
    "radiotap-four-addresses": (127, lambda p: radiotap(None, wifi(p, four=True))),
    "ppi": (192, lambda p: struct.pack("<BBHI", 0, 0, 8, 105) + wifi(p)),
    "prism": (119, lambda p: struct.pack("<II", 0x44, 144) + bytes(136) + wifi(p)),
    "avs": (163, lambda p: struct.pack(">II", 0x80211001, 64) + bytes(56) + wifi(p)),
    "nflog": (239, nflog("<")),
    "pktap": (258, lambda p: struct.pack("<III", 156, 1, 1) + bytes(144) + ether(p)),
    "pktap-raw": (258, lambda p: struct.pack("<III", 108, 1, 12) + bytes(96) + p),
    "ppp-pppd": (166, lambda p: b"\0\xff\x03\0" + (b"\x21" if kind(p) == 0x0800 else b"\x57") + p),
    "ppp-direction": (204, lambda p: b"\x01\0" + (b"\x21" if kind(p) == 0x0800 else b"\x57") + p),
    "cisco-hdlc": (104, lambda p: b"\x0f\0" + struct.pack(">H", kind(p)) + p),
    "enc": (109, lambda p: struct.pack("<III", 2, 7, 0) + p),
    "pflog": (117, lambda p: bytes([61, 2]) + bytes(62) + p),
}


@pytest.mark.parametrize("inner", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize("name", TUNNELS)
def test_tunnels(core: Core, name: str, inner: Packets) -> None:
    """A mirrored or tunnelled connection is read as without the tunnel."""
    packets = [(t_ns, TUNNELS[name](p)) for t_ns, p in inner]
    assert read(pcap(packets), core) == read(pcap(inner), core)


@pytest.mark.parametrize("inner", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize("name", LINKS)
def test_links(core: Core, name: str, inner: Packets) -> None:
    """The link's headers make no difference."""
    link, framed = LINKS[name]
    packets = [(t_ns, framed(p)) for t_ns, p in inner]
    assert read(pcap(packets, link=link), core) == read(pcap(inner), core)


def test_nflog_of_a_big_endian_host(core: Core) -> None:
    """The attributes are in the byte order of the host, as the file is."""
    packets = [(t_ns, nflog(">")(p)) for t_ns, p in V4]
    assert read(pcap(packets, link=239, order=">"), core) == read(pcap(V4), core)


@pytest.mark.parametrize("name", [*TUNNELS, *LINKS])
def test_headers_that_were_cut_or_changed(core: Core, name: str) -> None:
    """Whatever the headers say, and wherever they end, nothing but messages and notes comes out."""
    link, framed = (101, TUNNELS[name]) if name in TUNNELS else LINKS[name]
    rng = random.Random(name)
    packets = []
    for t_ns, p in V4:
        frame = bytearray(framed(p))
        for _ in range(rng.randrange(4)):
            frame[rng.randrange(min(len(frame), 90))] = rng.choice((0, 1, 255, rng.randrange(256)))
        packets.append((t_ns, bytes(frame[: rng.choice((len(frame), rng.randrange(90)))])))
    for _ in range(3):
        found, notes = read_noting(pcap(packets, link=link), core)
        assert len(found) <= 1
        assert all(note.isprintable() for note in notes)
        rng.shuffle(packets)


def test_encrypted_wifi_is_told(core: Core) -> None:
    """Frames of 802.11 that are encrypted are counted as such."""
    frames = [(t, b"\x08\x41" + wifi(p)[2:]) for t, p in V4]
    found, notes = read_noting(pcap(frames, link=105), core)
    note = f"0 messages: {len(V4)} packets of encrypted 802.11 were not looked into"
    assert (found, notes) == ([], [note])


def test_links_are_refused_by_name(core: Core) -> None:
    """A link that cannot be read is named."""
    with pytest.raises(InputError, match=r"link type 195 \(IEEE 802\.15\.4\) cannot be read"):
        read(pcap(V4, link=195), core)


# --- a proxy in front ---------------------------------------------------------------------------

TARGETS = {
    "ipv4": b"\x01" + bytes([192, 0, 2, 25]),
    "ipv6": b"\x04" + bytes(16),
    "name": b"\x03\x0amx.example",
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("login", [False, True])
@pytest.mark.parametrize("piece", [1, 3, 100])
def test_socks_in_front(core: Core, target: str, login: bool, piece: int) -> None:
    """SOCKS 5 (RFC 1928), with a login (RFC 1929) or without, is skipped; its mail is read."""
    talk = Talk(port=1080)
    talk.handshake()

    def say(way: int, data: bytes) -> None:
        for at in range(0, len(data), piece):
            talk.send(way, data[at : at + piece])

    say(0, b"\x05\x02\x00\x02")
    say(1, b"\x05\x02" if login else b"\x05\x00")
    if login:
        say(0, b"\x01\x04user\x06secret")
        say(1, b"\x01\x00")
    say(0, b"\x05\x01\x00" + TARGETS[target] + b"\x00\x19")
    answer = b"\x05\x00\x00" + TARGETS["ipv4"] + b"\x30\x39"
    say(1, answer + b"220 mx.example ESMTP\r\n")
    talk.command(b"EHLO c.example", b"250 mx.example")
    talk.envelope()
    talk.body(mail(400), (150, 250))
    talk.finish()
    found = read_one(talk, core)
    assert (found.sizes, found.reply) == ((150, 250), "accepted")


@pytest.mark.parametrize("host", [b"\1\2\3\4me\0", b"\0\0\0\1\0mx.example\0"])
@pytest.mark.parametrize("piece", [1, 3, 100])
@pytest.mark.parametrize("granted", [True, False])
def test_socks_4_in_front(core: Core, host: bytes, piece: int, granted: bool) -> None:
    """SOCKS 4, by address, and 4a, by name, are skipped; after a refusal nothing is mail."""
    talk = Talk(port=1080)
    talk.handshake()
    request = b"\x04\x01\x00\x19" + host
    for at in range(0, len(request), piece):
        talk.send(0, request[at : at + piece])
    talk.send(1, b"\0" + (b"\x5a" if granted else b"\x5b") + bytes(6) + b"220 mx.example ESMTP\r\n")
    talk.command(b"EHLO c.example", b"250 mx.example")
    talk.envelope()
    talk.body(mail(400), (150, 250))
    talk.finish()
    assert [o.sizes for o in read(pcap(talk.packets), core)] == [(150, 250)] * granted


@pytest.mark.parametrize(
    ("method", "answer"), [(b"\x05\xff", b""), (b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6))]
)
def test_socks_refused(core: Core, method: bytes, answer: bytes) -> None:
    """Where the proxy does not connect, nothing after is taken for mail."""
    talk = Talk(port=1080)
    talk.handshake()
    talk.send(0, b"\x05\x01\x00")
    talk.send(1, method)
    if answer:
        talk.send(0, b"\x05\x01\x00" + TARGETS["ipv4"] + b"\x00\x19")
        talk.send(1, answer)
    talk.send(0, b"DATA\r\n" + mail(300))
    assert read(pcap(talk.packets), core) == []


# --- packed files -------------------------------------------------------------------------------


def zipped_folder(data: bytes, method: int) -> bytes:
    """An archive of a folder, as ``zip -r`` makes it: the folder, one inside it, and the file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in (("a/", b""), ("a/b/", b""), ("a/b/x.pcap", data)):
            archive.writestr(name, content)
    return file.getvalue()


def zipped(data: bytes, *more: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for number, content in enumerate((data, *more)):
            archive.writestr(f"{number}.pcap", content)
    return file.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip-twice": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "xz": lzma.compress,
    "xz-twice": lambda data: lzma.compress(data[:1000]) + lzma.compress(data[1000:]),
    "bzip2": bz2.compress,
    "bzip2-twice": lambda data: bz2.compress(data[:1000]) + bz2.compress(data[1000:]),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zip": zipped,
    "zip-folder": lambda data: zipped_folder(data, zipfile.ZIP_DEFLATED),
    "zip-folder-stored": lambda data: zipped_folder(data, zipfile.ZIP_STORED),
    "zip-stored": lambda data: zipped(data, method=zipfile.ZIP_STORED),
}
MANY = [p for port in range(1, 40) for p in message(SIZES, client_port=port).packets]


@pytest.mark.parametrize("size", [None, 1, 700, 5000])
@pytest.mark.parametrize("name", PACKED)
def test_packed_files(core: Core, name: str, size: int | None) -> None:
    """A packed capture is read as it is, in whatever pieces it comes."""
    data = pcap(MANY if size != 1 else V4)
    packed = PACKED[name](data)
    assert sniff(packed[:512])
    assert read_noting(packed, core, size=size) == read_noting(data, core)


@pytest.mark.parametrize("name", PACKED)
def test_a_corrupt_packed_file(core: Core, name: str) -> None:
    """What comes before the corrupt part is read, alike for any slicing, and a note says so."""
    packed = bytearray(PACKED[name](random.Random(1).randbytes(0) + pcap(MANY)))
    packed[len(packed) // 2 :] = bytes(len(packed) - len(packed) // 2)
    results = []
    for size in (None, 999, 4096):
        try:
            results.append(read_noting(bytes(packed), core, size=size))
        except InputError as error:
            results.append(([], [str(error)]))
    assert results[0] == results[1] == results[2]
    assert results[0][1]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_an_archive_of_tar(core: Core, pack: Callable[[bytes], bytes]) -> None:
    """Also packed, it is known for what it is, and the error says what to do."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("x.pcap")
        member.size = len(pcap(V4))
        archive.addfile(member, io.BytesIO(pcap(V4)))
    packed = pack(file.getvalue())
    assert sniff(packed[:512])
    with pytest.raises(InputError, match="an archive of tar; unpack it first, by `tar -xf`"):
        read(packed, core)


def test_an_archive_of_folders_alone(core: Core) -> None:
    """An archive without a file is refused in one line."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/", b"")
    with pytest.raises(InputError, match="there is no file in the archive"):
        read(file.getvalue(), core)


def test_several_packets_in_a_frame(core: Core) -> None:
    """Frames of 802.11 that hold several packets (A-MSDU) are counted as such."""
    frame = bytes([0x88, 1]) + bytes(22) + b"\x80\0" + bytes(14) + b"\xaa\xaa\x03\0\0\0\x08\0"
    found, notes = read_noting(pcap([(1, frame + bytes(60))], link=105), core)
    assert found == []
    assert notes == [
        "0 messages: 1 packets of 802.11 with several packets in a frame (A-MSDU) "
        "were not looked into"
    ]


def test_an_archive_with_more_files(core: Core) -> None:
    """Of an archive the first file is read, and a note says that there are more."""
    found, notes = read_noting(zipped(pcap(V4), pcap(V6)), core)
    assert [o.sizes for o in found] == [SIZES]
    assert notes == ["the archive holds more files; only the first was read"]


@pytest.mark.parametrize("size", [None, 1, 3])
@pytest.mark.parametrize(
    ("head", "what", "way"),
    [
        (b"\x28\xb5\x2f\xfd", "zstd", "zstd -d"),
        (b"\x50\x2a\x4d\x18", "zstd", "zstd -d"),
        (b"\x5f\x2a\x4d\x18", "zstd", "zstd -d"),
        (b"snoop\0\0\0\0\0\0\2", "snoop", "editcap -F pcap"),
        (b"RTSS", "Network Monitor", "editcap -F pcap"),
        (b"GMBU", "Network Monitor", "editcap -F pcap"),
        (b"\x34\xcd\xb2\xa1", "modified pcap", "editcap -F pcap"),
        (b"\xa1\xb2\xcd\x34", "modified pcap", "editcap -F pcap"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
    ],
)
def test_formats_are_refused_by_name(
    core: Core, head: bytes, what: str, way: str, size: int | None
) -> None:
    """What cannot be read is named, with the way out, whether it is opened or looked at first."""
    data = head + bytes(200)
    assert sniff(data)
    with pytest.raises(InputError, match=what) as caught:
        read(data, core, size=size)
    assert way in str(caught.value)
    assert str(caught.value).startswith("test.pcap: ")


def test_an_encrypted_archive(core: Core) -> None:
    """An archive with a password is refused by name."""
    data = bytearray(zipped(pcap(V4)))
    data[6] |= 1
    with pytest.raises(InputError, match="encrypted archive"):
        read(bytes(data), core)


# --- nothing found ------------------------------------------------------------------------------


def test_what_was_seen_instead(core: Core) -> None:
    """Where there is no message, a note says what there was."""
    refused = Talk()
    refused.handshake()
    refused.send(1, b"220 mx.example\r\n")
    refused.command(b"EHLO c.example", b"250 Ok")
    refused.command(b"MAIL FROM:<a@c.example>", b"550 Not you")
    refused.command(b"QUIT", b"221 Bye")
    refused.close()
    unwelcome = Talk()  # RFC 5321, 3.1: a server may greet with 554
    unwelcome.handshake()
    unwelcome.send(1, b"554 No service\r\n")
    silent = Talk()
    silent.handshake()
    silent.send(1, b"220 mx.example\r\n")
    silent.command(b"QUIT", b"221 Bye")
    silent.close()
    web = Talk(port=80)
    web.handshake()
    web.send(0, b"GET / HTTP/1.1\r\n\r\n")
    tls = Talk(port=443)
    tls.handshake()
    tls.send(0, b"\x16\x03\x01\x02\x00" + bytes(512))
    refusal = "in 1 SMTP connection the server refused what was asked, and no message came"
    expected = [
        (refusal, refused.packets),
        (refusal, unwelcome.packets),
        ("1 SMTP connection ended before a message", silent.packets),
        ("no SMTP in 1 TCP connection", web.packets),
        ("1 TCP connection began with TLS, on no port of mail", tls.packets),
        ("no TCP in 1 packet", [(1, raw(IP(**OUTER, proto=1) / Raw(bytes(8))))]),
        ("there are no packets in it", []),
    ]
    for words, packets in expected:
        assert read_noting(pcap(packets), core) == ([], [f"0 messages: {words}"])
