"""The client of the paper's scenarios: buffers of given sizes, written to a bare connection."""

from collections.abc import Iterator
from itertools import pairwise

from seglab.sender import (
    Message,
    Number,
    Parameters,
    Sender,
    Sizes,
    Step,
    Style,
    Wait,
    Write,
    nodelay_parameter,
)


def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
    """One write a size, with the gap between two."""
    end = 0
    for number, size in enumerate(parameters["writes"]):
        if number and parameters["gap_ms"]:
            yield Wait(parameters["gap_ms"] / 1000)
        start, end = end, end + size
        yield Write(message.wire[start:end])


def style(parameters: Parameters) -> Style:
    """One write is a single write; equal ones at once are a buffer that was filled and emptied."""
    writes = parameters["writes"]
    if len(writes) == 1:
        return "single_write"
    *whole, last = writes
    filled = all(one == other for one, other in pairwise(whole)) and last <= whole[0]
    return "fixed_buffer" if filled and not parameters["gap_ms"] else "timed_writes"


def payload_bytes(parameters: Parameters) -> int:
    """The writes together."""
    return sum(parameters["writes"])


SENDER = Sender(
    name="raw_writes",
    summary="buffers of given sizes over raw TCP, with a gap between them",
    source="VB2014, Scenarios #1 to #3 (client.write(buff5k))",
    protocol="raw",
    style="single_write",
    style_of=style,
    payload_bytes_of=payload_bytes,
    parameters={
        "writes": Sizes((5120,), "the size of each write"),
        "gap_ms": Number(0, 0, 60_000, "the pause between one write and the next"),
        **nodelay_parameter(default=True),
    },
    steps=steps,
)
