"""A program that writes line by line, as PHPMailer and msmtp do; the dot is a line of its own."""

from collections.abc import Iterable, Iterator
from itertools import islice
from re import finditer

from seglab.sender import (
    Flag,
    Integer,
    Message,
    Parameters,
    Sender,
    Word,
    in_writes,
    smtp_parameters,
)


def cuts(message: Message, parameters: Parameters) -> Iterable[int]:
    """After so many lines, again and again; the dot is with the last one, or the terminator."""
    count = parameters["lines"]
    lines = message.wire[: -len(b"\r\n.\r\n")]
    ends: Iterable[int] = (line.end() for line in finditer(rb"\r\n", lines))
    if parameters["header"] == "fields":
        ends = [*_of_fields(message), *(e for e in ends if e > message.header_end)]
    if parameters["dots_apart"]:
        dots = (found.end() - 1 for found in finditer(rb"\r\n\.\.", lines))
        return sorted([*islice(ends, count - 1, None, count), *dots])
    return islice(ends, count - 1, None, count)


def _of_fields(message: Message) -> Iterator[int]:
    """The ends of the header fields, each with its folded lines."""
    end = 0
    for field in message.fields:
        end += len(field)
        yield end


SENDER = Sender(
    name="line_by_line",
    summary="a program that writes one line at a time",
    source="PHPMailer (one fwrite a line), msmtp (one send a line)",
    style="line_by_line",
    parameters={
        "lines": Integer(1, 1, 10_000, "how many lines share one write"),
        "header": Word(
            "lines",
            ("lines", "fields"),
            "what of the header counts as a line: a line, or a field with its folded lines (sSMTP)",
        ),
        "dots_apart": Flag(
            False, "whether the dot that is added to a line has a write of its own (mutt)"
        ),
        **smtp_parameters(terminator_bytes=3),
    },
    steps=in_writes(cuts),
)
