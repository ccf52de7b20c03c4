"""A program that works while it sends: parts of the message, with pauses between them."""

from collections.abc import Iterable

from seglab.sender import (
    GAP_MAX_MS,
    Integer,
    Message,
    Number,
    Parameters,
    Sender,
    in_writes,
    smtp_parameters,
)


def cuts(message: Message, parameters: Parameters) -> Iterable[int]:
    """After each part; they differ in length by one byte at most."""
    size = len(message.wire) - parameters["terminator_bytes"]
    pieces = parameters["pieces"]
    return (size * number // pieces for number in range(1, pieces))


SENDER = Sender(
    name="timed_writes",
    summary="a program that writes the message in parts, with pauses between them",
    source="VB2014, Scenario #3 (two writes, 100 ms apart)",
    style="timed_writes",
    parameters={
        "pieces": Integer(3, 2, 1000, "how many parts the message has"),
        **smtp_parameters(),
        "gap_ms": Number(100, 0.001, GAP_MAX_MS, "the pause between one write and the next"),
    },
    steps=in_writes(cuts),
)
