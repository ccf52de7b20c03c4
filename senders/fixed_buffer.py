"""The 2048 writer: output through a buffer, emptied whenever it is full."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from re import finditer

from seglab.sender import (
    Integer,
    Message,
    MssBuffer,
    Parameters,
    Sender,
    SetOption,
    Step,
    Wait,
    Word,
    Write,
    smtp_parameters,
)


def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
    """Empty the buffer whenever it is full, and at the end; the end of data may be apart."""
    hold, gap_ms = parameters["hold"], parameters["gap_ms"]
    text, end = message.split(parameters["terminator_bytes"])
    size, segments = parameters["buffer_bytes"], parameters["mss_multiple"]
    buffer = MssBuffer(size, segments) if segments else None
    past = parameters["overlong"] == "past" and message.content_start < message.header_end
    start = message.content_start if past and len(text) - message.content_start > size else 0
    ends = () if buffer else _FILLS[parameters["fills"]](text[start:], size)
    cuts = dict.fromkeys((0, start, *(start + end for end in ends), len(text)))
    pieces = [text[begin:stop] for begin, stop in pairwise(cuts)]
    if hold == "cork":
        yield SetOption("cork", True)
    for number, piece in enumerate(pieces, 1):
        last = number == len(pieces) and not end
        more = (hold == "more" and not last) or (hold == "more_last" and last)
        yield Write(piece, more=more, buffer=buffer)
        pause_ms = gap_ms + (parameters["end_wait_ms"] if number == len(pieces) else 0)
        if pause_ms and not last:
            yield Wait(pause_ms / 1000)
    if end:
        yield Write(end)
    if hold == "cork":
        yield SetOption("cork", False)


def _bytes(text: bytes, size: int) -> Iterator[int]:
    """As many bytes as the buffer has."""
    yield from range(size, len(text), size)


def _unstuffed(text: bytes, size: int) -> Iterator[int]:
    """As many bytes as the buffer has, before the dots of lines that begin with one are doubled."""
    dots = [found.start() + 1 - n for n, found in enumerate(finditer(rb"\n\.\.", text))]
    for bare in range(size, len(text) - len(dots), size):
        yield bare + bisect_left(dots, bare)


def _characters(text: bytes, size: int) -> Iterator[int]:
    """So many bytes, or one more where a CRLF or a doubled dot would be cut."""
    at = size
    while at < len(text):
        whole = text[at - 1 : at + 1] == b"\r\n" or text[at - 2 : at + 1] == b"\n.."
        at += 1 if whole else 0
        if at < len(text):
            yield at
        at += size


def _lines(text: bytes, size: int) -> Iterator[int]:
    """As many whole lines as fit the buffer, and one at least; an added dot counts as one."""
    start = end = 0
    for found in finditer(rb"\n|(?<=\n)\.(?=\.)", text):
        if found.end() - start > size and end > start:
            yield end
            start = end
        end = found.end()
    if len(text) - start > size and start < end < len(text):
        yield end


def _lines_over(text: bytes, size: int) -> Iterator[int]:
    """Whole lines, up to the one with which the buffer is full."""
    start = 0
    for found in finditer(rb"\n", text):
        if found.end() - start >= size and found.end() < len(text):
            start = found.end()
            yield start


_FILLS: Mapping[str, Callable[[bytes, int], Iterator[int]]] = {
    "bytes": _bytes,
    "unstuffed": _unstuffed,
    "characters": _characters,
    "lines": _lines,
    "lines_over": _lines_over,
}
"""Where the buffer is full, by what it is filled with."""

SENDER = Sender(
    name="fixed_buffer",
    summary="a program that writes through a buffer of fixed size (the '2048' fan club)",
    source="VB2014, Listing 12",
    style="fixed_buffer",
    parameters={
        "buffer_bytes": Integer(2048, 1, 1 << 20, "the size of the buffer"),
        "mss_multiple": Integer(
            0, 0, 64, "the buffer holds so many segments, where that is more (Postfix: 4); 0 none"
        ),
        "fills": Word(
            "bytes",
            tuple(_FILLS),
            "what is counted: bytes; bytes before dots are doubled (libcurl); characters, of which"
            " CRLF and a doubled dot are one (Exim); whole lines, as many as fit, or up to the one"
            " with which it is full (OpenSMTPD). Of no effect with mss_multiple",
        ),
        "overlong": Word(
            "through",
            ("through", "past"),
            "what becomes of a body that is longer than the buffer, with the Content- fields before"
            " it: it goes through the buffer, or past it in pieces of its size, after what the"
            " buffer holds (emailjs). Past it makes no difference without such fields",
        ),
        "hold": Word(
            "none",
            ("none", "more", "more_last", "cork"),
            "what keeps short segments back: nothing; MSG_MORE at all writes but the last, or at"
            " the last one alone (Exim); TCP_CORK until the end",
        ),
        **smtp_parameters(nodelay=True),
    },
    steps=steps,
)
