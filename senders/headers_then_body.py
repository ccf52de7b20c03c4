"""A template bot: the header block in one write, the body in another, or in several."""

from collections.abc import Iterable

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
    """After the header block; then, where the body has a buffer, each time that is full."""
    start = message.header_end + 2 * parameters["with_empty_line"]
    if parameters["parts"] == "apart" and message.part_edges:
        end = len(message.wire) - len(b"\r\n.\r\n")
        return sorted({start, *(edge for edge in message.part_edges[1:] if edge < end)})
    size = parameters["body_buffer_bytes"]
    return range(start, len(message.wire), size) if size else (start,)


SENDER = Sender(
    name="headers_then_body",
    summary="a template bot that writes the headers, then the body, then the end of data",
    source="VB2014, Listing 6 (headers first, then entire body), and Listing 7",
    style="headers_then_body",
    parameters={
        "with_empty_line": Flag(False, "whether the headers' write has the empty line after them"),
        "body_buffer_bytes": Integer(
            0, 0, 1 << 20, "writes of this size for the body (PHP's mail(): 1024); 0 for one write"
        ),
        "parts": Word(
            "together",
            ("together", "apart"),
            "whether a multipart body has a write for each delimiter, each header of a part and"
            " each part, as composing libraries make them (nodemailer)",
        ),
        **smtp_parameters(terminator_bytes=5),
    },
    steps=in_writes(cuts),
)
