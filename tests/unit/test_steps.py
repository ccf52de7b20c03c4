"""Steps and the SMTP dialogue around a sender's payload."""

import pytest

from seglab.experiment import registry
from seglab.mail.message import Message, MessageSpec, generate
from seglab.sender import smtp as smtp_dialogue
from seglab.sender.smtp import Envelope
from seglab.sender.steps import Expect, Wait, Write, command


def test_write_holds_at_least_one_byte() -> None:
    """An empty write reaches no wire, so it would be a range of nothing in the trace."""
    with pytest.raises(ValueError, match="no bytes"):
        Write(b"")


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf")])
def test_wait_is_a_time_that_passes(seconds: float) -> None:
    """A sender cannot wait backwards or for ever."""
    with pytest.raises(ValueError, match="cannot wait"):
        Wait(seconds)


def test_command_is_one_line_outside_the_payload() -> None:
    """A command ends in CRLF and is not counted as payload."""
    assert command("DATA") == Write(b"DATA\r\n", payload=False)


@pytest.mark.parametrize("line", ["RSET\r\nQUIT", "RCPT TO:<x>\n", "MAIL FROM:<\u00e9@x>"])
def test_command_refuses_a_second_line(line: str) -> None:
    """What is put into a command cannot smuggle in another one."""
    with pytest.raises(ValueError, match="one line of ASCII"):
        command(line)


def test_dialogue_of_an_smtp_sender() -> None:
    """The commands and replies of RFC 5321, each awaited, the payload after 354."""
    sender = registry.sender("single_write")
    message = Message(b"From: <a@b.example>\r\n", b"hello\r\n")
    envelope = Envelope("c.example", "s@c.example", "r@d.example")
    assert [*smtp_dialogue.session(sender, message, sender.defaults, envelope)] == [
        Expect(220),
        Write(b"EHLO c.example\r\n", payload=False),
        Expect(250),
        Write(b"MAIL FROM:<s@c.example>\r\n", payload=False),
        Expect(250),
        Write(b"RCPT TO:<r@d.example>\r\n", payload=False),
        Expect(250),
        Write(b"DATA\r\n", payload=False),
        Expect(354),
        Write(b"From: <a@b.example>\r\n\r\nhello\r\n.\r\n"),
        Expect(250),
        Write(b"QUIT\r\n", payload=False),
        Expect(221),
    ]


def test_dialogue_of_a_raw_sender_is_its_payload() -> None:
    """Raw TCP has no commands and awaits nothing."""
    sender = registry.sender("raw_writes")
    message = sender.message_for(sender.defaults, MessageSpec(), 1)
    assert [*smtp_dialogue.session(sender, message, sender.defaults)] == [Write(message.wire)]


def test_every_smtp_sender_waits_for_354_before_its_payload() -> None:
    """No payload byte may precede the reply to DATA: the relative stream begins after it."""
    message = generate(1, MessageSpec())
    for sender in registry.senders().values():
        if sender.protocol == "smtp":
            steps = [*smtp_dialogue.session(sender, message, sender.defaults)]
            first = next(n for n, s in enumerate(steps) if isinstance(s, Write) and s.payload)
            assert steps[first - 1] == Expect(354)
