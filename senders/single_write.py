"""An MTA that hands the network the whole message at once."""

from collections.abc import Iterable

from seglab.sender import Message, Parameters, Sender, in_writes, smtp_parameters


def cuts(_message: Message, _parameters: Parameters) -> Iterable[int]:
    """None: the message is one write."""
    return ()


SENDER = Sender(
    name="single_write",
    summary="an MTA that writes the whole message at once",
    source="VB2014, Listings 3 and 4 (official MTAs)",
    style="single_write",
    parameters=smtp_parameters(),
    steps=in_writes(cuts),
)
