"""An MTA that hands the network the whole message at once."""

from collections.abc import Iterator

from lab.message import Message
from lab.parameters import Parameters
from lab.sender import Sender, smtp_parameters
from lab.steps import Step, Write


def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
    """The message in one write."""
    text, end_of_data = message.split(parameters["terminator_bytes"])
    yield Write(text)
    if end_of_data:
        yield Write(end_of_data)


SENDER = Sender(
    name="single_write",
    summary="an MTA that writes the whole message at once",
    source="VB2014, Listings 3 and 4 (official MTAs)",
    style="single_write",
    parameters=smtp_parameters(),
    steps=steps,
)
