"""A program that works while it sends: parts of the message, with pauses between them."""

from collections.abc import Iterator
from itertools import pairwise

from lab.message import Message
from lab.parameters import Integer, Number, Parameters
from lab.sender import Sender, smtp_parameters
from lab.steps import Step, Wait, Write


def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
    """Parts that differ in length by one byte at most; fewer where the message is shorter."""
    text, end_of_data = message.split(parameters["terminator_bytes"])
    pieces = min(parameters["pieces"], len(text))
    ends = [len(text) * number // pieces for number in range(pieces + 1)]
    for number, (start, end) in enumerate(pairwise(ends)):
        if number:
            yield Wait(parameters["gap_ms"] / 1000)
        yield Write(text[start:end])
    if end_of_data:
        yield Write(end_of_data)


SENDER = Sender(
    name="timed_writes",
    summary="a program that writes the message in parts, with pauses between them",
    source="VB2014, Scenario #3 (two writes, 100 ms apart)",
    style="timed_writes",
    parameters={
        "pieces": Integer(3, 2, 1000, "how many parts the message has"),
        "gap_ms": Number(100, 0.001, 60_000, "the pause between one part and the next"),
        **smtp_parameters(),
    },
    steps=steps,
)
