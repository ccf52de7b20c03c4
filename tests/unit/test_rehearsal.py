"""What the server answers to a script, found before its sessions, against the protocol itself."""

from random import Random

import pytest

from seglab.server.session import ReceivedPayload
from seglab.server.smtp import SmtpSession
from seglab.simulator.rehearsal import LIMITS, rehearsed

HELLO = b"EHLO client.example\r\n"
ENVELOPE = b"MAIL FROM:<a@example.org> SIZE=900\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
MESSAGE = b"Subject: x\r\n\r\n..dots\r\n.\r.\n..\r\n" + b"line of text\r\n" * 60 + b".\r\n"
STREAMS = {
    "one message": HELLO + ENVELOPE + MESSAGE + b"QUIT\r\n",
    "two messages": HELLO + (ENVELOPE + MESSAGE) * 2 + b"QUIT\r\n",
    "no end": HELLO + ENVELOPE + MESSAGE[:-3],
    "no end of a command": HELLO + b"MAIL FROM:<a@exam",
    "refused": b"MAIL FROM:<a@example.org>\r\n" + HELLO + b"NONSENSE\r\nBDAT 3\r\nRSET\r\nQUIT\r\n",
    "too large": HELLO + b"MAIL FROM:<a@example.org> SIZE=99999999999\r\nQUIT\r\n",
    "more errors than the limit": b"NONSENSE\r\n" * (LIMITS.errors + 5) + HELLO,
    "bytes behind the end": HELLO + b"QUIT\r\nNOOP\r\nNOOP\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_protocol_answers_the_same_however_the_stream_is_cut(name: str) -> None:
    """At each cut it has given the replies, and ended the messages, of the turns before it."""
    stream = STREAMS[name]
    turns = rehearsed("smtp", stream)
    assert turns is not None
    rng = Random(name)
    for most in (1, 3, 40, 700, len(stream) + 1):
        session = SmtpSession(LIMITS)
        replies = b""
        messages: list[ReceivedPayload] = []
        at = 0
        while at < len(stream):
            piece = stream[at : at + rng.randint(1, most)]
            said, ended = session.feed(piece)
            replies += said
            messages += ended
            at += len(piece)
            taken = [turn for turn in turns if turn.end <= at]
            assert replies == b"".join(turn.reply for turn in taken)
            assert messages == [message for turn in taken for message in turn.messages]
            last = taken[-1] if taken else None
            assert session.ended == (last.ended if last else None)
            assert session.refused == (last.refused if last else None)


def test_a_line_that_is_too_long_is_not_rehearsed() -> None:
    """The protocol refuses it as soon as it has seen too much of it, which depends on the cuts."""
    longest = b"NOOP " + b"x" * (LIMITS.command_line_bytes - 8) + b"\r\n"
    assert rehearsed("smtp", HELLO + longest + ENVELOPE) is not None
    assert rehearsed("smtp", HELLO + b"x" + longest + ENVELOPE) is None
    assert rehearsed("smtp", HELLO + b"x" + longest[:-2]) is not None
    assert rehearsed("smtp", HELLO + b"xxx" + longest[:-2]) is None


def test_raw_tcp_is_not_rehearsed() -> None:
    """Its one payload ends where the connection does."""
    assert rehearsed("raw", b"anything") is None
