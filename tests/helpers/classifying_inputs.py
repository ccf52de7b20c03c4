"""Writes captures for the tests of ``seglab classify``."""

from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import PcapWriter

CLIENT, SERVER = "192.0.2.2", "192.0.2.1"


def capture(path: Path, sizes: tuple[int, ...]) -> None:
    """Write a capture of one SMTP message in segments of these sizes, with PSH on the last."""
    text = b"Subject: x\r\n\r\n".ljust(sum(sizes) - 5, b"x") + b"\r\n.\r\n"
    talk: list[tuple[bool, bytes, str]] = [(True, b"", "S"), (False, b"", "SA"), (True, b"", "A")]
    for command, reply in (
        (b"", b"220 mx ESMTP\r\n"),
        (b"EHLO a\r\n", b"250 mx\r\n"),
        (b"MAIL FROM:<a@example.org>\r\n", b"250 ok\r\n"),
        (b"RCPT TO:<b@example.org>\r\n", b"250 ok\r\n"),
        (b"DATA\r\n", b"354 go on\r\n"),
    ):
        talk += [(True, command, "PA")] if command else []
        talk.append((False, reply, "PA"))
    at = 0
    for size in sizes:
        talk.append((True, text[at : at + size], "PA" if at + size == len(text) else "A"))
        at += size
    talk += [(False, b"250 taken\r\n", "PA"), (True, b"QUIT\r\n", "PA"), (True, b"", "FA")]
    number = {True: 1000, False: 5000}
    with PcapWriter(str(path), linktype=1) as writer:
        for step, (ours, data, flags) in enumerate(talk):
            source, target = (CLIENT, SERVER) if ours else (SERVER, CLIENT)
            ports = (40000, 25) if ours else (25, 40000)
            packet = (
                Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
                / IP(src=source, dst=target)
                / TCP(
                    sport=ports[0],
                    dport=ports[1],
                    flags=flags,
                    seq=number[ours],
                    ack=number[not ours],
                    options=[("MSS", 1460)] if "S" in flags else [],
                )
                / data
            )
            packet.time = 1000 + step / 100
            number[ours] += len(data) + ("S" in flags) + ("F" in flags)
            writer.write(packet)
