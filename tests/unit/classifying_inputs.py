"""Files with messages in them, and classifiers to ask, for the tests of ``seglab classify``."""

from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import PcapWriter

from lab.classifier import Verdict
from lab.observation import Observation

CLIENT, SERVER = "192.0.2.2", "192.0.2.1"


def stub(observation: Observation) -> Verdict | None:
    """A verdict that the sizes alone decide: none for one size, else by the first size."""
    if len(observation.sizes) == 1:
        return None
    first = observation.sizes[0]
    styles = {77: "relay", 520: "headers_then_body", 9366: ("single_write", "fixed_buffer")}
    return Verdict(
        id="not this one",
        style=styles.get(first, "single_write"),
        terminator="own_write" if observation.sizes[-1] == 5 else "with_body",
        path_condition="pmtu_fall" if first == 1388 else "steady",
        buffer=2048 if first == 1460 else None,
        boundaries=(first,),
        boundary_confidence=(0.875,),
        confidence=0.5 if first == 9366 else 0.9375,
        evidence=(f"begins with {first}",),
    )


def style_alone(_observation: Observation) -> str:
    """A classifier that says nothing of how sure it is."""
    return "relay"


def failing(observation: Observation) -> Verdict:
    """A classifier with a mistake in it."""
    raise ZeroDivisionError(f"of {len(observation.sizes)} sizes\x1b[31m")


def failing_at_nine(observation: Observation) -> Verdict | None:
    """A classifier with a mistake that shows at nine sizes."""
    return stub(observation) if len(observation.sizes) != 9 else failing(observation)


def capture(path: Path, sizes: tuple[int, ...]) -> None:
    """A capture of one message over SMTP in segments of these sizes, with PSH on the last."""
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
