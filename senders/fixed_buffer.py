"""The 2048 writer: output through a buffer of fixed size, emptied whenever it is full."""

from collections.abc import Iterator

from lab.message import Message
from lab.parameters import Integer, Parameters
from lab.sender import Sender, smtp_parameters
from lab.steps import Step, Write


def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
    """Full buffers, and what is left in the last one."""
    size = parameters["buffer_bytes"]
    text, end_of_data = message.split(parameters["terminator_bytes"])
    for start in range(0, len(text), size):
        yield Write(text[start : start + size])
    if end_of_data:
        yield Write(end_of_data)


SENDER = Sender(
    name="fixed_buffer",
    summary="a program that writes through a buffer of fixed size (the '2048' fan club)",
    source="VB2014, Listing 12",
    style="fixed_buffer",
    parameters={
        "buffer_bytes": Integer(2048, 1, 1 << 20, "the size of the buffer"),
        **smtp_parameters(nodelay=True),
    },
    steps=steps,
)
