"""A simple bot: the From header in a write of its own, then the rest of its template."""

from collections.abc import Iterable
from itertools import chain

from seglab.sender import Message, Parameters, Sender, in_writes, smtp_parameters


def cuts(message: Message, _parameters: Parameters) -> Iterable[int]:
    """Before and after the From header; nothing is before it where the message begins with it."""
    return chain.from_iterable(message.field_spans("From"))


SENDER = Sender(
    name="distinct_from",
    summary="a bot that picks a sender's address, writes the From header, then the rest",
    source="VB2014, Listing 8 (distinct FROM header)",
    style="distinct_from",
    first_header="From",
    parameters=smtp_parameters(nodelay=True),
    steps=in_writes(cuts),
)
