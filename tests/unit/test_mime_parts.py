"""The parts of a MIME message: where composing libraries begin a new write."""

from itertools import pairwise

from seglab.mail.message import Message
from seglab.mail.parts import part_edges, part_line_edges

HEADERS = b'Subject: a\r\nContent-Type: multipart/mixed; boundary="aa"\r\n'
PARTS = (
    b"--aa\r\n",
    b'Content-Type: multipart/alternative; boundary="bb"\r\n\r\n',
    b"--bb\r\n",
    b"Content-Type: text/plain\r\n\r\n",
    b"hello\r\n--no delimiter\r\n",
    b"\r\n--bb--\r\n",
    b"\r\n--aa\r\n",
    b"Content-Transfer-Encoding: base64\r\n\r\n",
    b"A" * 76 + b"\r\n",
    b"AAAA",
    b"\r\n--aa--\r\n",
)


def test_edges_of_a_message_with_parts() -> None:
    """Delimiters, headers of parts, parts, and what is left of a base64 body are pieces."""
    message = Message(HEADERS, b"".join(PARTS))
    edges = [*message.part_edges, len(message.wire)]
    pieces = [message.wire[a:b] for a, b in pairwise(edges)]
    assert pieces == [*PARTS, b".\r\n"]


def test_a_base64_body_of_full_lines_is_one_piece() -> None:
    """Its last line is no rest of anything."""
    whole = b"".join(PARTS).replace(b"AAAA\r\n--aa--", b"\r\n--aa--")
    message = Message(HEADERS, whole)
    pieces = [message.wire[a:b] for a, b in pairwise(message.part_edges)]
    assert b"A" * 76 + b"\r\n" in pieces


def test_other_messages_have_no_edges() -> None:
    """Neither has a message without parts, nor one whose delimiters never come."""
    assert Message(b"Subject: a\r\n", b"--aa\r\nhello\r\n").part_edges == ()
    assert part_edges(HEADERS + b"\r\nhello\r\n.\r\n", len(HEADERS)) == (len(HEADERS) + 2,)


def test_an_unfinished_part() -> None:
    """A header of a part without its empty line ends the search."""
    payload = HEADERS + b"\r\n--aa\r\nContent-Type: text/plain\r\n.\r\n"
    start = len(HEADERS) + 2
    assert part_edges(payload, len(HEADERS)) == (start, start + 6)


LINES = (
    b"This is a multi-part message.\r\n",
    b"\r\n",
    b"--aa\r\n",
    b"Content-Type: text/plain;\r\n",
    b'        charset="iso-8859-1"\r\n',
    b"Content-Transfer-Encoding: 7bit\r\n",
    b"\r\nhello\r\nworld\r\n",
    b"\r\n--aa--\r\n",
)


def test_edges_of_a_message_that_is_printed_by_lines() -> None:
    """SendEmail prints the preamble, the delimiters and the header of a part line by line."""
    message = Message(HEADERS, b"".join(LINES))
    edges = [*message.part_line_edges, len(message.wire)]
    assert [message.wire[a:b] for a, b in pairwise(edges)] == [*LINES, b".\r\n"]


def test_edges_by_lines_of_other_messages() -> None:
    """A message without parts has none; an unfinished header of a part is one piece."""
    assert Message(b"Subject: a\r\n", b"--aa\r\nhello\r\n").part_line_edges == ()
    payload = HEADERS + b"\r\n--aa\r\nContent-Type: text/plain\r\n.\r\n"
    start = len(HEADERS) + 2
    assert part_line_edges(payload, len(HEADERS)) == (start, start + 6)
