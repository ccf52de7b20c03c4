"""A template bot: the header block in one write, the body in another."""

from collections.abc import Iterator

from lab.message import Message
from lab.parameters import Parameters
from lab.sender import Sender, smtp_parameters
from lab.steps import Step, Write


def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
    """The header fields; the empty line and the body; by default the end of data alone."""
    text, end_of_data = message.split(parameters["terminator_bytes"])
    yield Write(message.headers)
    if body := text[message.header_end :]:
        yield Write(body)
    if end_of_data:
        yield Write(end_of_data)


SENDER = Sender(
    name="headers_then_body",
    summary="a template bot that writes the headers, then the body, then the end of data",
    source="VB2014, Listing 6 (headers first, then entire body), and Listing 7",
    style="headers_then_body",
    parameters=smtp_parameters(terminator_bytes=5),
    steps=steps,
)
