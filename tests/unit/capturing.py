"""Captures for the tests: packets by Scapy, records by ``struct``, nothing by the lab."""

import io
import struct
from collections.abc import Iterable
from typing import Any

from scapy.all import IP, TCP, IPv6, Raw, raw

from seglab.capture.backend import Core
from seglab.capture.reader import Capture
from seglab.core.observation import Observation

MS = 1_000_000
T0_NS = 1_700_000_000_000_000_000
CLIENT, SERVER = "192.0.2.1", "198.51.100.25"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::25"
RTT_NS = 40 * MS
STAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]

Packets = list[tuple[int, bytes]]
"""Time and bytes of IP packets."""


class Talk:
    """A TCP connection, packet by packet.

    Args:
        port: of the server.
        v6: whether over IPv6.
        stamps: whether with TCP timestamps.
        mss: that each host announces.
        isn: the client's initial sequence number.
    """

    def __init__(
        self,
        *,
        port: int = 25,
        v6: bool = False,
        stamps: bool = True,
        mss: tuple[int | None, int | None] = (1460, 1460),
        isn: int = 1000,
        client_port: int = 40000,
    ) -> None:
        self.packets: Packets = []
        self.seq = [isn, 5_000_000]
        self.stamps = stamps
        self._v6 = v6
        self._mss = mss
        self._ports = client_port, port
        self._t_ns = T0_NS

    def packet(
        self,
        way: int,
        payload: bytes = b"",
        *,
        flags: str = "A",
        seq: int | None = None,
        ack: int | None = None,
        after_ns: int = MS,
        window: int = 500,
        options: list[Any] | None = None,
        ip_options: bytes = b"",
    ) -> bytes:
        """Send a packet as it is said: ``way`` 0 is from the client."""
        hosts = (CLIENT6, SERVER6) if self._v6 else (CLIENT, SERVER)
        source, target = hosts[way], hosts[1 - way]
        ip = (
            IPv6(src=source, dst=target)
            if self._v6
            else IP(src=source, dst=target, id=len(self.packets) + 1)
        )
        if ip_options:
            ip.options = [_ip_option(ip_options)]
        if options is None:
            options = STAMPS if self.stamps else []
        tcp = TCP(
            sport=self._ports[way],
            dport=self._ports[1 - way],
            seq=(self.seq[way] if seq is None else seq) % 2**32,
            ack=(self.seq[1 - way] if ack is None else ack) % 2**32 if "A" in flags else 0,
            flags=flags,
            window=window,
            options=options,
        )
        made = raw(ip / tcp / Raw(payload)) if payload else raw(ip / tcp)
        self._t_ns += after_ns
        self.packets.append((self._t_ns, made))
        return made

    def send(self, way: int, payload: bytes, flags: str = "PA", **more: Any) -> None:
        """Send payload, and move on."""
        self.packet(way, payload, flags=flags, **more)
        self.seq[way] += len(payload)

    def handshake(self) -> None:
        """SYN, SYN-ACK, ACK, with the round trip that the observation is to tell."""
        for way, flags in ((0, "S"), (1, "SA")):
            mss = self._mss[way]
            options: list[Any] = [] if mss is None else [("MSS", mss)]
            self.packet(way, flags=flags, options=options + (STAMPS if self.stamps else []))
            self.seq[way] += 1
        self.packet(0, after_ns=RTT_NS - MS)

    def begin(self) -> None:
        """All up to and with the 354 reply."""
        self.handshake()
        self.send(1, b"220 mx.example ESMTP\r\n")
        self.command(b"EHLO client.example", b"250-mx.example\r\n250 CHUNKING")
        self.envelope()

    def envelope(self) -> None:
        """From MAIL to the 354 reply."""
        self.command(b"MAIL FROM:<a@client.example>", b"250 Ok")
        self.command(b"RCPT TO:<b@mx.example>", b"250 Ok")
        self.command(b"DATA", b"354 Go on")

    def command(self, line: bytes, reply: bytes) -> None:
        """A command and its reply, each in a segment."""
        self.send(0, line + b"\r\n")
        self.send(1, reply + b"\r\n")

    def body(self, payload: bytes, sizes: Iterable[int], flags: str = "A") -> None:
        """The payload in segments of these sizes, the last with PSH."""
        at = 0
        for size in sizes:
            last = at + size >= len(payload)
            self.send(0, payload[at : at + size], "PA" if last else flags)
            at += size
        assert at == len(payload)

    def finish(self) -> None:
        """The reply to the message, QUIT, and the end."""
        self.send(1, b"250 Queued\r\n")
        self.command(b"QUIT", b"221 Bye")
        self.close()

    def close(self) -> None:
        """FIN both ways."""
        for way in (0, 1):
            self.packet(way, flags="FA")
            self.seq[way] += 1
        self.packet(0)


def _ip_option(data: bytes) -> Any:
    from scapy.all import IPOption  # noqa: PLC0415 - only where it is asked for

    return IPOption(data)


HEADER = (
    b"Received: from client.example\r\n\tby mx.example\r\nSubject: test\r\nTo: <b@mx.example>\r\n"
)
FIELDS = (("Received", 0, 47), ("Subject", 47, 62), ("To", 62, 82))


def mail(size: int) -> bytes:
    """A message of that many bytes, with its terminator."""
    text = HEADER + b"\r\n" + b"Lorem ipsum dolor sit amet\r\n" * (size // 28 + 1)
    return text[: size - 5] + b"\r\n.\r\n"


def opened(**options: Any) -> Talk:
    """A connection up to the reply to EHLO."""
    talk = Talk(stamps=False, **options)
    talk.handshake()
    talk.send(1, b"220 mx.example ESMTP\r\n")
    talk.command(b"EHLO client.example", b"250-mx.example\r\n250-STARTTLS\r\n250 CHUNKING")
    return talk


def message(sizes: Iterable[int], **options: Any) -> Talk:
    """A connection with one message whose segments have these sizes."""
    sizes = tuple(sizes)
    talk = Talk(**options)
    talk.begin()
    talk.body(mail(sum(sizes)), sizes)
    talk.finish()
    return talk


# --- links and files --------------------------------------------------------------------------


def pcap(
    packets: Packets,
    *,
    link: int = 101,
    order: str = "<",
    nanoseconds: bool = True,
    snaplen: int = 262_144,
) -> bytes:
    """A pcap file of frames."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    for t_ns, frame in packets:
        s, ns = divmod(t_ns, 10**9)
        kept = frame[:snaplen]
        unit = ns if nanoseconds else ns // 1000
        out += [struct.pack(order + "IIII", s, unit, len(kept), len(frame)), kept]
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """A pcapng section header."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 101, order: str = "<", snaplen: int = 0, options: bytes = b"") -> bytes:
    """A pcapng interface description."""
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def resolution(value: int, order: str = "<") -> bytes:
    """The option if_tsresol."""
    return struct.pack(order + "HHB3x", 9, 1, value)


def enhanced(t: int, frame: bytes, number: int = 0, order: str = "<", kept: int = 1 << 30) -> bytes:
    """An enhanced packet block; ``t`` in the interface's units."""
    data = frame[:kept]
    head = struct.pack(order + "IIIII", number, t >> 32, t & 0xFFFFFFFF, len(data), len(frame))
    return block(6, head + data, order)


def pcapng(packets: Packets, *, link: int = 101, order: str = "<", options: bytes = b"") -> bytes:
    """A pcapng file of frames, with microseconds."""
    blocks = [section(order), interface(link, order, options=options)]
    blocks += [enhanced(t_ns // 1000, frame, 0, order) for t_ns, frame in packets]
    return b"".join(blocks)


# --- reading ----------------------------------------------------------------------------------


def read(data: bytes, core: Core, *, size: int | None = None, **options: Any) -> list[Observation]:
    """What comes out of a capture that is fed in pieces of ``size``."""
    return read_noting(data, core, size=size, **options)[0]


def read_noting(
    data: bytes, core: Core, *, size: int | None = None, **options: Any
) -> tuple[list[Observation], list[str]]:
    """The same, and the notes about the whole."""
    capture = Capture("test.pcap", core=core, **options)
    file = io.BytesIO(data)
    found = []
    while piece := file.read(size or len(data)):
        found += capture.feed(piece)
    return found + capture.close(), capture.notes


def read_one(talk: Talk | Packets, core: Core, **options: Any) -> Observation:
    """The only message of a connection."""
    packets = talk.packets if isinstance(talk, Talk) else talk
    (found,) = read(pcap(packets), core, **options)
    return found
