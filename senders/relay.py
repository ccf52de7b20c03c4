"""A relay: it writes the Received header that it added, then the message as it came."""

from collections.abc import Iterator

from lab.message import Message
from lab.parameters import Parameters
from lab.sender import Sender, smtp_parameters
from lab.steps import Step, Write


def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
    """The relay's own header field, which RFC 5321, 4.4, puts first, then all the rest."""
    own = message.fields[0]
    if not own.lower().startswith(b"received:"):
        raise ValueError("a relay's message begins with its own Received header")
    text, end_of_data = message.split(parameters["terminator_bytes"])
    yield Write(own)
    if rest := text[len(own) :]:
        yield Write(rest)
    if end_of_data:
        yield Write(end_of_data)


SENDER = Sender(
    name="relay",
    summary="a relay that writes its own Received header, then the rest",
    source="VB2014, Listing 5 (SMTP relay servers); RFC 5321, 4.4",
    style="relay",
    parameters=smtp_parameters(),
    steps=steps,
)
