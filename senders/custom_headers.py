"""A template bot that fills some headers in on the fly: each of them in a write of its own."""

from collections.abc import Iterable, Iterator

from seglab.sender import (
    Flag,
    HeaderNames,
    Integer,
    Message,
    Parameters,
    Sender,
    Word,
    in_writes,
    smtp_parameters,
)


def cuts(message: Message, parameters: Parameters) -> Iterable[int]:
    """Around each header, or its value; by default, after the empty line, and in the body."""
    return sorted({*_asked(message, parameters)})


def _asked(message: Message, parameters: Parameters) -> Iterator[int]:
    spans = message.field_spans(*parameters["headers"])
    if parameters["part"] == "value":
        spans = tuple(_value(message, start, end) for start, end in spans)
    elif parameters["together"]:
        spans = tuple(_joined(spans))
    for start, end in spans:
        yield start
        yield end
    if parameters["body_apart"]:
        start, size = message.header_end + len(b"\r\n"), parameters["body_buffer_bytes"]
        yield start
        if size:
            yield from range(start + size, len(message.wire), size)


def _value(message: Message, start: int, end: int) -> tuple[int, int]:
    """A field's value: from after its colon to before its last CRLF."""
    return message.headers.index(b":", start) + 1, end - len(b"\r\n")


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans, neighbours made one."""
    last: tuple[int, int] | None = None
    for start, end in spans:
        if last is not None and last[1] == start:
            last = (last[0], end)
            continue
        if last is not None:
            yield last
        last = (start, end)
    if last is not None:
        yield last


SENDER = Sender(
    name="custom_headers",
    summary="a template bot that writes some headers, or their values, on their own",
    source="VB2014, Listing 9 (custom tailored headers)",
    style="custom_headers",
    parameters={
        "headers": HeaderNames(("Subject",), "the headers that have a write of their own"),
        "part": Word("value", ("value", "field"), "what of them has it: value, or whole field"),
        "together": Flag(False, "whether fields that are neighbours share one write"),
        "body_apart": Flag(True, "whether a write ends with the empty line after the headers"),
        "body_buffer_bytes": Integer(
            0,
            0,
            1 << 20,
            "with body_apart: writes of this size for the body (Mono's SmtpClient: 1024); 0 for one"
            " write",
        ),
        **smtp_parameters(nodelay=True),
    },
    steps=in_writes(cuts),
)
