"""A message in chunks: which bytes of its payload are commands, and how it was written."""

from itertools import pairwise

from seglab.core.trace import Write
from seglab.core.written import labels_of
from seglab.mail.chunked import commands_in, first_chunk_bytes, without
from seglab.mail.header_layout import structure_of

HEADER = b"From: a@b.example\r\nSubject: x\r\n\r\n"
BODY = b"".join(b"line %05d\r\n" % n for n in range(300))  # 3600 bytes
FIRST, SECOND = b"BDAT %d\r\n" % len(HEADER), b"BDAT %d LAST\r\n" % len(BODY)
PAYLOAD = HEADER + SECOND + BODY


def test_the_first_chunk_follows_its_command() -> None:
    """Its size is in the last line before the payload; after DATA there is no chunk."""
    assert first_chunk_bytes(b"RCPT TO:<a@b.c>\r\n" + FIRST) == len(HEADER)
    assert first_chunk_bytes(b"x" * 5000 + b"\r\nbdat 77 last\r\n") == 77
    assert first_chunk_bytes(FIRST + b"DATA\r\n") is None
    assert first_chunk_bytes(b"") is None


def test_the_commands_in_a_payload() -> None:
    """Each lies between two chunks, or after the last with content."""
    commands = [*commands_in(PAYLOAD, len(HEADER))]
    assert commands == [(len(HEADER), len(HEADER) + len(SECOND))]
    assert without(PAYLOAD, commands) == HEADER + BODY
    assert [*commands_in(b"abcBDAT 2\r\ndeBDAT 0 LAST\r\n", 3)] == [(3, 11), (13, 26)]
    assert [*commands_in(b"abc", 3)] == []
    assert [*commands_in(b"abcBDAT", 3)] == []


def test_how_a_message_in_chunks_was_written() -> None:
    """The commands are no part of it, and a last line of a dot is no end of data."""
    header, command, whole = len(HEADER), len(HEADER) + len(SECOND), len(PAYLOAD)
    structure = structure_of(PAYLOAD, 0, header)
    apart = [Write(0, 0, header), Write(1, header, command), Write(2, command, whole)]
    found = labels_of(apart, structure)
    assert (found.style, found.terminators) == ("headers_then_body", ())
    joined = [Write(0, 0, header), Write(1, header, whole)]
    assert labels_of(joined, structure).style == "headers_then_body"
    buffered = [
        Write(0, 0, command),
        *(Write(n, command + n, min(command + n + 1024, whole)) for n in range(0, len(BODY), 1024)),
    ]
    found = labels_of(buffered, structure)
    assert found.style == "headers_then_body"
    assert found.buffer is not None
    assert found.buffer.least_bytes == found.buffer.most_bytes == 1024
    ends = [0, 1023, 2047, 3070, len(BODY)]  # a byte stays free where it escapes line ends
    slack = [
        Write(0, 0, command),
        *(Write(n, command + a, command + b) for n, (a, b) in enumerate(pairwise(ends))),
    ]
    assert labels_of(slack, structure).style == "headers_then_body"
    dot = HEADER + b"text\r\n.\r\n"
    written = [Write(0, 0, len(dot) - 3), Write(1, len(dot) - 3, len(dot))]
    assert labels_of(written, structure_of(dot, 0, len(dot))).terminators == ()
    assert labels_of(written, structure_of(dot)).terminator == "own_write"
