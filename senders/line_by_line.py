"""A program that writes line by line, as PHPMailer and msmtp do; the dot is a line of its own."""

from collections.abc import Iterable
from itertools import islice
from re import finditer

from seglab.sender import Integer, Message, Parameters, Sender, in_writes, smtp_parameters


def cuts(message: Message, parameters: Parameters) -> Iterable[int]:
    """After so many lines, again and again; the dot is with the last one, or the terminator."""
    count = parameters["lines"]
    lines = message.wire[: -len(b"\r\n.\r\n")]
    ends = (line.end() for line in finditer(rb"\r\n", lines))
    return islice(ends, count - 1, None, count)


SENDER = Sender(
    name="line_by_line",
    summary="a program that writes one line at a time",
    source="PHPMailer (one fwrite a line), msmtp (one send a line)",
    style="line_by_line",
    parameters={
        "lines": Integer(1, 1, 10_000, "how many lines share one write"),
        **smtp_parameters(terminator_bytes=3),
    },
    steps=in_writes(cuts),
)
