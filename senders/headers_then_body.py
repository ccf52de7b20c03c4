"""A template bot: the header block in one write, the body in another, or in several."""

from collections.abc import Iterable
from itertools import pairwise
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
    """After the header block; then where the body's lines, parts or full buffers end."""
    start = message.header_end + 2 * parameters["with_empty_line"]
    end, size = len(message.wire) - len(b"\r\n.\r\n"), parameters["body_buffer_bytes"]
    if parameters["body_lines"]:
        lines = (line.end() for line in finditer(rb"\r\n", message.wire[:end]))
        return (start, *(line for line in lines if line > start))
    edges = {
        "together": (),
        "apart": message.part_edges,
        "lines": message.part_line_edges,
    }[parameters["parts"]]
    begins = sorted({start, *(edge for edge in edges[1:] if start < edge < end)})
    if not size:
        return begins
    pieces = pairwise([*begins, len(message.wire)])
    return [cut for begin, stop in pieces for cut in range(begin, stop, size)]


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
        "body_lines": Flag(
            False, "whether each line of the body has a write of its own (qpsmtpd, git send-email)"
        ),
        "parts": Word(
            "together",
            ("together", "apart", "lines"),
            "whether a multipart body has a write for each delimiter, each header of a part and"
            " each part, as composing libraries make them (nodemailer), or for each line of these"
            " headers, and before them, as well (sendEmail). A body_buffer_bytes cuts longer ones",
        ),
        **smtp_parameters(terminator_bytes=5),
    },
    steps=in_writes(cuts),
)
