"""The client's side of an SMTP session (RFC 5321) as steps, without a socket."""

from collections.abc import Iterator
from dataclasses import dataclass

from seglab.core.parameters import Parameters
from seglab.mail.message import Message
from seglab.sender.sender import Sender
from seglab.sender.steps import Expect, Step, Wait, command


@dataclass(frozen=True, slots=True)
class Envelope:
    """The names in the dialogue, all reserved for examples (RFC 2606)."""

    client: str = "client.example"
    sender: str = "sender@client.example"
    recipient: str = "recipient@server.example"


def session(
    sender: Sender, message: Message, parameters: Parameters, envelope: Envelope | None = None
) -> Iterator[Step]:
    """Yield all steps of one session, beginning right after the connection is open.

    MAIL announces a message with bytes above 127 by ``BODY=8BITMIME`` (RFC 6152).

    With pipelining, MAIL, RCPT and DATA share one write (RFC 2920, 3.1, has DATA last in its
    group). The client awaits their replies in order, so the payload still begins after the 354.

    With ``wait_ms``, the client is idle between the 354 and the payload. When it is idle longer
    than a retransmission timeout, its congestion window is the initial one again (RFC 5681, 4.1).

    Args:
        sender: a raw sender's session has only the payload, an SMTP sender's the dialogue around
            it.
        message: made by ``sender.message_for``.
        parameters: all parameters, checked.
        envelope: the names in the dialogue; by default those of ``Envelope``.
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
        *[(f"RCPT TO:<{envelope.recipient}>", 250)] * sender.recipients_for(parameters),
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
