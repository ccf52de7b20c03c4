"""A relay: it writes the Received header that it added, then the message as it came."""

from collections.abc import Iterable

from seglab.sender import Message, Parameters, Sender, in_writes, smtp_parameters


def cuts(message: Message, _parameters: Parameters) -> Iterable[int]:
    """After the relay's own header field, which RFC 5321, 4.4, puts first."""
    if not message.headers.lower().startswith(b"received:"):
        raise ValueError("a relay's message begins with its own Received header")
    return (len(message.fields[0]),)


SENDER = Sender(
    name="relay",
    summary="a relay that writes its own Received header, then the rest",
    source="VB2014, Listing 5 (SMTP relay servers); RFC 5321, 4.4",
    style="relay",
    first_header="Received",
    relays=True,
    parameters=smtp_parameters(),
    steps=in_writes(cuts),
)
