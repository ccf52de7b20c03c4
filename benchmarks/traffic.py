"""Makes a capture of mixed traffic: mail among bulk, web and small packets.

The packets are put together from templates and not by a library, since a million of them is to be
made in seconds; ``tests/unit`` has the captures that Scapy makes. Checksums are zero.
"""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MSS = 1448
ACTIVE = 400
FIN, SYN, PSH, ACK = 1, 2, 8, 16
STAMP_OPTION = b"\x01\x01\x08\x0a" + bytes(8)
SYN_OPTIONS = b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + bytes(8) + b"\x01\x03\x03\x07"
RECORD = struct.Struct("<IIII")
WORDS = b"Lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy\r\n"
BULK = random.Random(1).randbytes(1 << 16)


class Host:
    """Two hosts, and what stands before the TCP header in each direction."""

    def __init__(self, rng: random.Random, port: int) -> None:
        ends = rng.randbytes(4), rng.randbytes(4)
        self.v6 = rng.random() < 0.2
        if self.v6:
            ends = b"\x20\x01" + rng.randbytes(14), b"\x20\x01" + rng.randbytes(14)
        ports = struct.pack(">H", rng.randrange(1024, 65536)), struct.pack(">H", port)
        tag = b"\x81\x00\x00\x07" if rng.random() < 0.1 else b""
        kind = b"\x86\xdd" if self.v6 else b"\x08\x00"
        self.link = bytes(range(12)) + tag + kind
        self.addresses = ends[0] + ends[1], ends[1] + ends[0]
        self.ports = ports[0] + ports[1], ports[1] + ports[0]
        self.seq = [rng.getrandbits(32), rng.getrandbits(32)]

    def ip(self, way: int, protocol: int, size: int) -> bytes:
        """Link and IP header of a packet with ``size`` bytes in it."""
        if self.v6:
            head = struct.pack(">IHBB", 6 << 28, size, protocol, 64)
        else:
            head = struct.pack(">BBHHHBBH", 0x45, 0, size + 20, 0, 0x4000, 64, protocol, 0)
        return self.link + head + self.addresses[way]

    def tcp(self, way: int, payload: bytes = b"", flags: int = ACK) -> bytes:
        """A segment; the sequence numbers go on by themselves."""
        options = SYN_OPTIONS if flags & SYN else STAMP_OPTION
        size = 20 + len(options) + len(payload)
        seq, ack = self.seq[way], self.seq[1 - way] if flags & ACK else 0
        self.seq[way] = (seq + len(payload) + bool(flags & (SYN | FIN))) % (1 << 32)
        head = struct.pack(">IIBBHHH", seq, ack, (20 + len(options)) << 2, flags, 500, 0, 0)
        return self.ip(way, 6, size) + self.ports[way] + head + options + payload

    def udp(self, way: int, payload: bytes) -> bytes:
        """A datagram."""
        head = struct.pack(">HH", 8 + len(payload), 0)
        return self.ip(way, 17, 8 + len(payload)) + self.ports[way] + head + payload


def _begin(host: Host) -> Iterator[bytes]:
    yield host.tcp(0, flags=SYN)
    yield host.tcp(1, flags=SYN | ACK)
    yield host.tcp(0)


def _end(host: Host) -> Iterator[bytes]:
    yield host.tcp(0, flags=FIN | ACK)
    yield host.tcp(1, flags=FIN | ACK)
    yield host.tcp(0)


def _stream(host: Host, way: int, size: int) -> Iterator[bytes]:
    for at in range(0, size, MSS):
        chunk = BULK[at % 60_000 :][: min(MSS, size - at)]
        yield host.tcp(way, chunk, PSH | ACK if at + MSS >= size else ACK)
        if at // MSS % 2:
            yield host.tcp(1 - way)


def smtp(rng: random.Random) -> Iterator[bytes]:
    """A session with one message."""
    host = Host(rng, 25)
    yield from _begin(host)
    yield host.tcp(1, b"220 mx.example ESMTP\r\n", PSH | ACK)
    talk = (
        (b"EHLO mail.example\r\n", b"250-mx.example\r\n250-SIZE 32000000\r\n250 8BITMIME\r\n"),
        (b"MAIL FROM:<someone@mail.example>\r\n", b"250 2.1.0 Ok\r\n"),
        (b"RCPT TO:<somebody@mx.example>\r\n", b"250 2.1.5 Ok\r\n"),
        (b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"),
    )
    for command, reply in talk:
        yield host.tcp(0, command, PSH | ACK)
        yield host.tcp(1, reply, PSH | ACK)
        yield host.tcp(0)
    header = b"Received: from mail.example\r\nSubject: greetings\r\nFrom: <a@b.example>\r\n\r\n"
    payload = header + WORDS * int(rng.paretovariate(1.2) * 12)
    payload = payload[:60_000] + b"\r\n.\r\n"
    for at in range(0, len(payload), MSS):
        last = at + MSS >= len(payload)
        yield host.tcp(0, payload[at : at + MSS], PSH | ACK if last else ACK)
        if at // MSS % 2:
            yield host.tcp(1)
    yield host.tcp(1, b"250 2.0.0 Ok: queued\r\n", PSH | ACK)
    yield host.tcp(0, b"QUIT\r\n", PSH | ACK)
    yield host.tcp(1, b"221 2.0.0 Bye\r\n", PSH | ACK)
    yield from _end(host)


def tls(rng: random.Random) -> Iterator[bytes]:
    """A download over TLS."""
    host = Host(rng, 443)
    yield from _begin(host)
    yield host.tcp(0, b"\x16\x03\x01\x02\x00" + BULK[:512], PSH | ACK)
    yield from _stream(host, 1, 4000)
    yield host.tcp(0, b"\x17\x03\x03" + BULK[:300], PSH | ACK)
    yield from _stream(host, 1, int(min(rng.paretovariate(1.1) * 8000, 600_000)))
    yield from _end(host)


def web(rng: random.Random) -> Iterator[bytes]:
    """Requests and replies of HTTP."""
    host = Host(rng, 80)
    yield from _begin(host)
    for _ in range(rng.randrange(1, 5)):
        yield host.tcp(0, b"GET /page HTTP/1.1\r\nHost: www.example\r\n\r\n", PSH | ACK)
        size = rng.randrange(200, 12_000)
        yield host.tcp(1, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, PSH | ACK)
        yield from _stream(host, 1, size)
    yield from _end(host)


def names(rng: random.Random) -> Iterator[bytes]:
    """A query of DNS and its answer."""
    host = Host(rng, 53)
    query = rng.randbytes(2) + b"\x01\x00\x00\x01\0\0\0\0\0\0\3www\7example\3com\0\0\1\0\1"
    yield host.udp(0, query)
    answer = query[:2] + b"\x81\x80\x00\x01\0\1\0\0\0\0" + query[12:]
    yield host.udp(1, answer + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1")


KINDS = (smtp, tls, web, names)
WEIGHTS = (13, 23, 19, 45)  # of connections; SMTP comes to about 17 % of the packets


def make(file: BinaryIO, packets: int, seed: int = 4) -> dict[str, int]:
    """Write a pcap of that many packets; how many there are of each kind, and messages."""
    rng = random.Random(seed)
    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
    active: list[tuple[str, Iterator[bytes]]] = []
    counts: dict[str, int] = dict.fromkeys([kind.__name__ for kind in KINDS], 0)
    begun = dict(counts)
    t_us, written = 1_700_000_000_000_000, 0
    while written < packets:
        while len(active) < ACTIVE:
            (kind,) = rng.choices(KINDS, WEIGHTS)
            begun[kind.__name__] += 1
            active.append((kind.__name__, kind(rng)))
        at = rng.randrange(len(active))
        name, flow = active[at]
        for _ in range(rng.randrange(1, 4)):
            packet = next(flow, None)
            if packet is None:
                active[at] = active[-1]
                active.pop()
                break
            t_us += rng.randrange(1, 20)
            file.write(RECORD.pack(*divmod(t_us, 10**6), len(packet), len(packet)))
            file.write(packet)
            counts[name] += 1
            written += 1
    return counts | {"sessions": begun["smtp"]}


if __name__ == "__main__":
    import sys

    with Path(sys.argv[1]).open("wb") as target:
        print(make(target, int(sys.argv[2])))
