"""Messages in chunks (RFC 3030), fed to the SMTP session as bytes."""

import hashlib

import pytest

from seglab.experiment.offers import Offers
from seglab.server.limits import Limits
from seglab.server.session import ReceivedPayload
from seglab.server.smtp import SmtpSession

ENVELOPE = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<d@e.example>\r\n"
ONE = b"BDAT 11 LAST\r\nS: x\r\n\r\nabc"
TWO = b"BDAT 8\r\nS: x\r\n\r\nBDAT 7 LAST\r\n.\r\nQUIT"
STEPS = [1, 3, 7, 1 << 20]


def run(
    stream: bytes, step: int = 1 << 20, limits: Limits | None = None
) -> tuple[list[int], list[ReceivedPayload], SmtpSession]:
    """The reply codes, the messages and the session after these bytes, in pieces."""
    session = SmtpSession(limits or Limits(), keep_content=True, offers=Offers(chunking=True))
    replies, messages = b"", []
    for start in range(0, len(stream), step):
        replied, ended = session.feed(stream[start : start + step])
        replies += replied
        messages += ended
    lines = replies.splitlines()
    return [int(line[:3]) for line in lines if line[3:4] == b" "], messages, session


@pytest.mark.parametrize("step", STEPS)
def test_a_message_of_one_chunk(step: int) -> None:
    """It is the chunk: without a command in it, and without an end of data."""
    codes, (message,), session = run(ENVELOPE + ONE + b"QUIT\r\n", step)
    assert codes == [250, 250, 250, 250, 221]
    start = len(ENVELOPE) + len(b"BDAT 11 LAST\r\n")
    assert (message.start, message.end) == (start, start + 11)
    assert message.content == b"S: x\r\n\r\nabc"
    assert message.sha256 == hashlib.sha256(b"S: x\r\n\r\nabc").hexdigest()
    assert message.recipients == ("d@e.example",)
    assert (session.ended, session.refused, session.payload_start) == ("quit", None, None)


@pytest.mark.parametrize("step", STEPS)
def test_a_message_of_several_chunks(step: int) -> None:
    """Its payload has the later commands in it, its content has not; a dot ends nothing."""
    codes, (message,), _ = run(ENVELOPE + TWO + b"NOOP\r\n", step)
    assert codes == [250, 250, 250, 250, 250, 250]
    payload = TWO.removeprefix(b"BDAT 8\r\n")
    assert message.end - message.start == len(payload)
    assert message.sha256 == hashlib.sha256(payload).hexdigest()
    assert (message.content, message.content_bytes) == (b"S: x\r\n\r\n.\r\nQUIT", 15)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("stream", "codes"),
    [
        (b"EHLO c\r\n" + ONE + b"NOOP\r\n", [250, 503, 250]),
        (b"EHLO c\r\nMAIL FROM:<>\r\n" + ONE + b"NOOP\r\n", [250, 250, 554, 250]),
        (ENVELOPE + b"BDAT\r\n", [250, 250, 250, 501]),
        (ENVELOPE + b"BDAT x\r\n", [250, 250, 250, 501]),
        (ENVELOPE + b"BDAT 1 FIRST\r\n", [250, 250, 250, 501]),
        (ENVELOPE + b"BDAT 3\r\nabcDATA\r\n", [250, 250, 250, 250, 503]),
        (ENVELOPE + b"BDAT 3\r\nabcRSET\r\nDATA\r\n", [250, 250, 250, 250, 250, 503]),
    ],
)
def test_chunks_out_of_place(stream: bytes, codes: list[int], step: int) -> None:
    """A chunk that is refused is read to its end, and none of it is taken for a command."""
    found, messages, _ = run(stream, step)
    assert (found, messages) == (codes, [])


def test_a_reset_discards_chunks() -> None:
    """The payload that was under way is none any more."""
    *_, begun = run(ENVELOPE + b"BDAT 3\r\nabc")
    assert begun.payload_start == len(ENVELOPE) + len(b"BDAT 3\r\n")
    *_, reset = run(ENVELOPE + b"BDAT 3\r\nabcRSET\r\n")
    assert reset.payload_start is None


@pytest.mark.parametrize("step", STEPS)
def test_an_empty_last_chunk(step: int) -> None:
    """It ends the message, and its command belongs to the payload."""
    stream = ENVELOPE + b"BDAT 3\r\nabcBDAT 0 LAST\r\n"
    codes, (message,), _ = run(stream, step)
    assert codes == [250, 250, 250, 250, 250]
    assert message.content == b"abc"
    assert message.end == len(stream)
    assert message.sha256 == hashlib.sha256(b"abcBDAT 0 LAST\r\n").hexdigest()


@pytest.mark.parametrize("step", STEPS)
def test_chunks_beyond_the_limit(step: int) -> None:
    """552 after the chunk that is too much; the next one has no transaction any more."""
    stream = ENVELOPE + b"BDAT 8\r\n12345678BDAT 3\r\n123BDAT 1 LAST\r\nx"
    codes, _, session = run(stream, step, Limits(message_bytes=10))
    assert codes == [250, 250, 250, 250, 552, 503]
    assert (session.refused or "").startswith("552")


def test_without_the_offer_there_is_no_bdat() -> None:
    """A server that does not offer CHUNKING does not know the command."""
    session = SmtpSession(Limits())
    assert session.feed(ENVELOPE + b"BDAT 3\r\n")[0].splitlines()[-1].startswith(b"502")
