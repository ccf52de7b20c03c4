"""The SMTP session, fed as bytes: replies, messages, limits, and any cutting of the stream."""

import hashlib
import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.experiment.offers import Offers, announced
from seglab.server.limits import Limits
from seglab.server.session import RawSession, ReceivedPayload
from seglab.server.smtp import SmtpSession

HELLO = b"EHLO client.example\r\n"
ENVELOPE = HELLO + b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n"
DATA = ENVELOPE + b"DATA\r\n"


def run(
    *pieces: bytes, limits: Limits | None = None
) -> tuple[list[bytes], list[ReceivedPayload], SmtpSession]:
    session = SmtpSession(limits or Limits(), keep_content=True)
    replies = b""
    messages: list[ReceivedPayload] = []
    for piece in pieces:
        replied, ended = session.feed(piece)
        replies += replied
        messages += ended
    return replies.splitlines(), messages, session


def codes(*pieces: bytes, limits: Limits | None = None) -> list[int]:
    """The reply codes; a reply of several lines counts once."""
    lines, _, _ = run(*pieces, limits=limits)
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


# One table of commands after EHLO and the code that RFC 5321 gives each.
COMMANDS = [
    (b"HELO client.example\r\n", [250]),
    (b"ehlo [192.0.2.1]\r\n", [250]),
    (b"EHLO\r\n", [501]),
    (b"EHLO two words\r\n", [501]),
    (b"MAIL FROM:<a@b.example>\r\n", [250]),
    (b"mail from: <a@b.example>\r\n", [250]),
    (b"MAIL FROM:<>\r\n", [250]),
    (b'MAIL FROM:<"a b"@c.example>\r\n', [250]),
    (b"MAIL FROM:<@relay.example:a@b.example>\r\n", [250]),
    (b"MAIL FROM:<a@[192.0.2.7]>\r\n", [250]),
    (b"MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME\r\n", [250]),
    (b"MAIL FROM:<a@b.example> SIZE=x\r\n", [501]),
    (b"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n", [501]),
    (b"MAIL FROM:<a@b.example> SIZE=99999999999\r\n", [552]),
    (b"MAIL FROM:<a@b.example> FUTURE=1\r\n", [555]),
    (b"MAIL FROM:a@b.example\r\n", [501]),
    (b"MAIL FROM:<a b@c.example>\r\n", [501]),
    (b"MAIL FROM:<" + b"a" * 260 + b"@b.example>\r\n", [501]),
    (b"MAIL\r\n", [501]),
    (b"MAIL FROM:<a@b.c>\r\nMAIL FROM:<a@b.c>\r\n", [250, 503]),
    (b"RCPT TO:<a@b.example>\r\n", [503]),
    (b"MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\n", [250, 250]),
    (b"MAIL FROM:<>\r\nRCPT TO:<>\r\n", [250, 501]),
    (b"MAIL FROM:<>\r\nRCPT TO:<a@b.c> NOTIFY=NEVER\r\n", [250, 555]),
    (b"DATA\r\n", [503]),
    (b"MAIL FROM:<>\r\nDATA\r\n", [250, 554]),
    (b"MAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nDATA now\r\n", [250, 250, 501]),
    (b"MAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nRSET\r\nDATA\r\n", [250, 250, 250, 503]),
    (b"MAIL FROM:<>\r\nEHLO again\r\nRCPT TO:<a@b.c>\r\n", [250, 250, 503]),
    (b"RSET\r\n", [250]),
    (b"RSET x\r\n", [501]),
    (b"NOOP\r\n", [250]),
    (b"NOOP whatever\r\n", [250]),
    (b"VRFY postmaster\r\n", [252]),
    (b"VRFY\r\n", [501]),
    (b"HELP\r\n", [214]),
    (b"HELP MAIL\r\n", [214]),
    (b"QUIT\r\n", [221]),
    (b"QUIT now\r\n", [501]),
    (b"BDAT 10 LAST\r\n", [502]),
    (b"EXPN list\r\n", [502]),
    (b"STARTTLS\r\n", [502]),
    (b"AUTH PLAIN\r\n", [502]),
    (b"GET / HTTP/1.1\r\n", [500]),
    (b"\r\n", [500]),
    (b"NOOP\n", [500]),
    (b"NO\rOP\r\n", [500]),
    (b"\x16\x03\x01\x00\xa5\r\n", [500]),
    (b"NOOP caf\xc3\xa9\r\n", [500]),
]


@pytest.mark.parametrize(("commands", "expected"), COMMANDS)
@pytest.mark.parametrize("cut", ["whole", "bytes", "trailing"])
def test_commands(commands: bytes, expected: list[int], cut: str) -> None:
    """Each command gets its code, whole, byte by byte, and with a command behind it."""
    stream = HELLO + commands
    if cut == "bytes":
        pieces = [bytes((byte,)) for byte in stream]
    else:
        pieces = [stream + (b"NOOP\r\n" if cut == "trailing" else b"")]
    if cut == "trailing" and b"QUIT\r" not in commands:
        expected = [*expected, 250]
    assert codes(*pieces) == [250, *expected]


def test_greeting_and_extensions() -> None:
    """The greeting is a 220, and EHLO offers what the server honours, and no more."""
    lines, _, session = run(HELLO, limits=Limits(message_bytes=12345))
    assert session.greeting.startswith(b"220 ")
    assert lines[0].startswith(b"250-")
    assert [line[4:] for line in lines[1:]] == [b"PIPELINING", b"8BITMIME", b"SIZE 12345", b"HELP"]


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        (Offers(pipelining=False), []),
        (Offers(chunking=True), [b"PIPELINING", b"CHUNKING"]),
        (Offers(pipelining=False, chunking=True), [b"CHUNKING"]),
    ],
)
def test_extensions_that_a_scenario_chooses(offers: Offers, expected: list[bytes]) -> None:
    """The reply to EHLO has their keywords, and only those."""
    replies, _ = SmtpSession(Limits(), offers=offers).feed(HELLO)
    words = [line[4:].split()[0] for line in replies.splitlines()[1:]]
    assert words == [*expected, b"8BITMIME", b"SIZE", b"HELP"]


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (b"220-mx\r\n220 ESMTP\r\n250-mx\r\n250-PIPELINING\r\n250-SIZE 9\r\n250 CHUNKING\r\n", 3),
        (b"220 mx\r\n250-mx\r\n250-SIZE 9\r\n250 chunking\r\n250 PIPELINING\r\n", 2),
        (b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n250 CHUNKING\r\n", 1),
        (b"220 PIPELINING\r\n250 mx\r\n", 0),
        (b"554 go away\r\n", 0),
        (b"", 0),
    ],
)
def test_what_a_server_announces(replies: bytes, expected: int) -> None:
    """The reply to EHLO has it, the first one with 250, in whatever case (RFC 5321, 4.1.1.1)."""
    assert announced(replies) == Offers(pipelining=bool(expected & 1), chunking=bool(expected & 2))


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("chunking", [True, False])
def test_what_is_offered_is_what_is_announced(pipelining: bool, chunking: bool) -> None:
    """The lab's server says in its replies what it was told to offer."""
    offers = Offers(pipelining, chunking)
    session = SmtpSession(Limits(), offers=offers)
    replies, _ = session.feed(HELLO)
    assert announced(session.greeting + replies) == offers


def test_helo_offers_nothing() -> None:
    """HELO gets one line, as RFC 5321, 4.1.1.1 has it."""
    lines, _, _ = run(b"HELO client\r\n")
    assert len(lines) == 1


def test_mail_needs_hello() -> None:
    """A transaction without EHLO or HELO is out of sequence."""
    assert codes(b"MAIL FROM:<a@b.c>\r\n") == [503]


def test_a_message_is_one_span_of_the_stream() -> None:
    """Span, digest and envelope of a message, with a QUIT right behind its terminator."""
    body = b"Subject: x\r\n\r\nhello\r\n.\r\n"
    lines, (message,), session = run(DATA + body + b"QUIT\r\n")
    assert (message.start, message.end) == (len(DATA), len(DATA + body))
    assert message.sha256 == hashlib.sha256(body).hexdigest()
    assert message.content == body[:-3]
    assert message.content_bytes == len(body) - 3
    assert message.helo == "client.example"
    assert message.mail_from == "a@example.org"
    assert message.recipients == ("b@example.org",)
    assert [line[:3] for line in lines[-3:]] == [b"354", b"250", b"221"]
    assert session.ended == "quit"


def test_several_messages_a_connection() -> None:
    """Each transaction starts empty, and its message has its own span and digest."""
    second = b"MAIL FROM:<>\r\nRCPT TO:<c@d.e>\r\nDATA\r\n"
    stream = DATA + b"one\r\n.\r\n" + second + b"two\r\n.\r\n"
    _, messages, _ = run(stream)
    assert [stream[m.start : m.end] for m in messages] == [b"one\r\n.\r\n", b"two\r\n.\r\n"]
    assert [m.recipients for m in messages] == [("b@example.org",), ("c@d.e",)]
    assert [m.mail_from for m in messages] == ["a@example.org", ""]


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n"),
        (b"a.\r\n.\r\n", b"a.\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),
        (b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n"),
        (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\r\n"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_dot_unstuffing(wire: bytes, content: bytes, size: int) -> None:
    """Only CRLF.CRLF ends a message, and only a dot after CRLF is taken away."""
    pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
    _, (message,), _ = run(DATA, *pieces)
    assert message.content == content
    assert message.content_bytes == len(content)


TEXT = st.lists(st.sampled_from([b".", b"..", b"a", b"\r", b"\n", b"\r\n", b"\xff", b"bc"]))


@given(TEXT, st.lists(st.integers(0, 80)))
def test_unstuffing_undoes_stuffing(parts: list[bytes], cuts: list[int]) -> None:
    """What a client stuffs by RFC 5321, 4.5.2 comes out as it was, however the stream is cut."""
    content = b"".join(parts) + b"\r\n"
    lines = content.split(b"\r\n")
    stuffed = b"\r\n".join(b"." + line if line[:1] == b"." else line for line in lines)
    wire = stuffed + b".\r\n"
    _, (message,), _ = run(DATA, *_cut(wire, cuts))
    assert message.content == content
    assert message.sha256 == hashlib.sha256(wire).hexdigest()


FRAGMENTS = st.sampled_from([
    HELLO, b"HELO x\r\n", b"MAIL FROM:<a@b.c>\r\n", b"RCPT TO:<d@e.f>\r\n", b"DATA\r\n",
    b"DATA\r\nx\r\n.\r\n", b".\r\n", b"\r\n.\r\n", b"..", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n",
    b"BDAT 1\r\n", b"\r", b"\n", b"\x00", b"z" * 70, b"text",
])  # fmt: skip
TIGHT = Limits(
    command_line_bytes=64, message_line_bytes=64, message_bytes=100, recipients=2, errors=4
)


@given(st.lists(FRAGMENTS, max_size=40), st.lists(st.integers(0, 2000)))
def test_cutting_does_not_matter(fragments: list[bytes], cuts: list[int]) -> None:
    """Whole, byte by byte and cut anywhere, a stream gets the same replies and messages."""
    stream = DATA * bool(cuts) + b"".join(fragments)
    whole = _outcome(stream)
    assert _outcome(*_cut(stream, cuts)) == whole
    assert _outcome(*(bytes((byte,)) for byte in stream)) == whole


@given(st.lists(FRAGMENTS, max_size=40), st.binary(max_size=100))
def test_nothing_is_taken_after_quit(fragments: list[bytes], trailing: bytes) -> None:
    """Bytes behind a QUIT change nothing."""
    stream = b"".join(fragments)
    _, _, session = run(stream)
    if session.ended is not None:
        assert _outcome(stream, trailing) == _outcome(stream)
        assert _outcome(stream + trailing) == _outcome(stream)


@given(st.binary(max_size=3000))
def test_rubbish_gets_proper_replies(rubbish: bytes) -> None:
    """Whatever comes, every reply line is a code and printable text."""
    lines, _, _ = run(rubbish)
    assert all(re.fullmatch(rb"[2345][0-9]{2}[ -][ -~]*", line) for line in lines)


def _cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    points = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    return [stream[a:b] for a, b in pairwise(points)]


def _outcome(*pieces: bytes) -> object:
    lines, messages, session = run(*pieces, limits=TIGHT)
    return lines, messages, session.ended, session.refused, session.payload_start


# Limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [0, 1, 5000])
def test_command_line_limit(extra: int) -> None:
    """A line of exactly the limit with its CRLF passes; a longer one gets one 500."""
    line = b"NOOP " + b"x" * (512 - 7 + extra) + b"\r\n"
    expected = [250] if not extra else [500]
    assert codes(line + b"NOOP\r\n") == [*expected, 250]
    assert codes(*(bytes((byte,)) for byte in line + b"NOOP\r\n")) == [*expected, 250]


def test_endless_line_is_answered_before_it_ends() -> None:
    """The 500 does not wait for a CRLF that may never come, and memory does not grow."""
    session = SmtpSession(Limits())
    replies = b"".join(session.feed(b"A" * 4096)[0] for _ in range(1000))
    assert replies == b"500 Line too long\r\n"
    assert session.feed(b"\r\nNOOP\r\n")[0] == b"250 OK\r\n"
    assert session.refused == "500 Line too long"


def test_recipient_limit() -> None:
    """One recipient too many gets 452; the message still goes to the others."""
    limits = Limits(recipients=2)
    stream = ENVELOPE + b"RCPT TO:<c@d.e>\r\nRCPT TO:<f@g.h>\r\nDATA\r\n.\r\n"
    assert codes(stream, limits=limits) == [250, 250, 250, 250, 452, 354, 250]
    _, (message,), session = run(stream, limits=limits)
    assert message.recipients == ("b@example.org", "c@d.e")
    assert session.refused is not None
    assert session.refused.startswith("452")


@pytest.mark.parametrize(("size", "code"), [(100, 250), (101, 552)])
def test_message_size_limit(size: int, code: int) -> None:
    """The limit counts neither stuffed dots nor the terminator; 552 comes after the data."""
    body = b".." + b"x" * (size - 3) + b"\r\n.\r\n"
    stream = DATA + body + b"NOOP\r\n"
    assert codes(stream, limits=Limits(message_bytes=100)) == [250, 250, 250, 354, code, 250]


@pytest.mark.parametrize(("size", "code"), [(100, 250), (101, 500)])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_message_line_limit(size: int, code: int, step: int) -> None:
    """A line of message data counts with its CRLF, wherever the reads end."""
    line = b"x" * (size - 2) + b"\r\n"
    body = b"short\r\n" + line + b"short\r\n.\r\n"
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    assert codes(DATA, *pieces, limits=Limits(message_line_bytes=100))[-1] == code


def test_error_limit() -> None:
    """After too many faulty commands comes a 421, and then nothing."""
    lines, _, session = run(b"x\r\n" * 10, limits=Limits(errors=3))
    assert [line[:3] for line in lines] == [b"500", b"500", b"500", b"421"]
    assert session.ended == "limit errors"


@pytest.mark.parametrize(
    "stream",
    [
        DATA + b"\r\n.\r" * 400_000,
        DATA + b"x" * 2_000_000,
        b"A" * 2_000_000,
        DATA + b"\r" * 2_000_000,
    ],
)
@pytest.mark.parametrize("step", [16, 1 << 30])
def test_time_is_linear(stream: bytes, step: int) -> None:
    """Two million hostile bytes take a moment; with a quadratic step they would take hours."""
    session = SmtpSession(Limits())
    began = time.process_time()
    for start in range(0, len(stream), step):
        session.feed(stream[start : start + step])
    assert time.process_time() - began < 10


def test_raw_stream_is_one_payload() -> None:
    """Raw TCP replies nothing; the payload ends where the stream does."""
    session = RawSession(Limits())
    assert session.feed(b"ab") == (b"", ())
    session.feed(b"QUIT\r\n")
    (message,) = session.end_of_stream()
    assert (message.start, message.end) == (0, 8)
    assert message.sha256 == hashlib.sha256(b"abQUIT\r\n").hexdigest()


def test_raw_stream_limit() -> None:
    """A raw stream above the size limit ends the session."""
    session = RawSession(Limits(message_bytes=10))
    session.feed(b"x" * 10)
    assert session.ended is None
    session.feed(b"x")
    assert session.ended == "limit message_bytes"
