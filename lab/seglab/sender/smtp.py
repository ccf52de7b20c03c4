"""The client's side of an SMTP session as steps (RFC 5321), without a socket."""

from collections.abc import Iterator
from dataclasses import dataclass

from seglab.core.parameters import Parameters
from seglab.mail.message import Message
from seglab.sender.sender import Sender
from seglab.sender.steps import Expect, Step, Wait, command


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the dialogue says beside the message: names reserved for examples (RFC 2606)."""

    client: str = "client.example"
    sender: str = "sender@client.example"
    recipient: str = "recipient@server.example"


def session(
    sender: Sender, message: Message, parameters: Parameters, envelope: Envelope | None = None
) -> Iterator[Step]:
    """All steps of one session, from the first thing that happens on a connection that stands.

    A message with bytes above 127 is announced by ``BODY=8BITMIME`` (RFC 6152). With pipelining,
    MAIL, RCPT and DATA share one write (RFC 2920, 3.1, has DATA last in its group), and their
    replies are awaited in order: the payload begins after the 354 all the same. A sender that
    takes its time then (``wait_ms``) is idle: after a retransmission timeout its congestion
    window is the initial one again (RFC 5681, 4.1).

    Args:
        sender: raw ones say nothing but their payload; SMTP ones get the dialogue around it.
        message: what ``sender.message_for`` made.
        parameters: all of them, checked.
        envelope: by default names of examples.
    """
    payload = sender.steps(message, parameters)
    if sender.protocol == "raw":
        yield from payload
        return
    envelope = envelope or Envelope()
    body = " BODY=8BITMIME" if message.eight_bit else ""
    yield Expect(220)
    yield from _exchange(f"EHLO {envelope.client}", 250)
    opening = (
        (f"MAIL FROM:<{envelope.sender}>{body}", 250),
        (f"RCPT TO:<{envelope.recipient}>", 250),
        ("DATA", 354),
    )
    if sender.pipelining_for(parameters):
        yield command(*(line for line, _ in opening))
        yield from (Expect(reply) for _, reply in opening)
    else:
        for line, reply in opening:
            yield from _exchange(line, reply)
    if wait_s := sender.wait_s_for(parameters):
        yield Wait(wait_s)
    yield from payload
    yield Expect(250)
    yield from _exchange("QUIT", 221)


def _exchange(line: str, reply: int) -> Iterator[Step]:
    yield command(line)
    yield Expect(reply)
