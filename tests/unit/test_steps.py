"""Steps and the SMTP dialogue around a sender's payload."""

import pytest

from seglab.confined.exchange import step_from, stored_step
from seglab.experiment import registry
from seglab.mail.message import Message, MessageSpec, generate
from seglab.sender import smtp as smtp_dialogue
from seglab.sender.smtp import Envelope
from seglab.sender.steps import Expect, MssBuffer, SetOption, Step, Wait, Write, at_mss, command


def test_write_holds_at_least_one_byte() -> None:
    """An empty write reaches no wire, so it would be a range of nothing in the trace."""
    with pytest.raises(ValueError, match="no bytes"):
        Write(b"")


@pytest.mark.parametrize(
    ("mss", "sizes"),
    [(536, [4096, 4096, 1808]), (1448, [5792, 4208]), (8948, [10_000])],
)
def test_a_buffer_that_follows_the_mss(mss: int, sizes: list[int]) -> None:
    """4 segments where that is more than 4096 bytes, as Postfix has it from version 3.5 on."""
    data = bytes(range(250)) * 40
    script = [Expect(354), Write(data, more=True, buffer=MssBuffer(4096, 4)), Write(b".")]
    first, *calls, last = at_mss(script, mss)
    assert (first, last) == (script[0], script[-1])
    assert all(isinstance(call, Write) and call.more and call.buffer is None for call in calls)
    pieces = [call.data for call in calls if isinstance(call, Write)]
    assert [*map(len, pieces)] == sizes
    assert b"".join(pieces) == data


@pytest.mark.parametrize(("least_bytes", "segments"), [(0, 4), (4096, -1)])
def test_a_buffer_has_a_size(least_bytes: int, segments: int) -> None:
    """A buffer of nothing would never be full."""
    with pytest.raises(ValueError, match="no buffer has"):
        MssBuffer(least_bytes, segments)


@pytest.mark.parametrize(
    "step",
    [
        Write(b"a"),
        Write(b"a", payload=False, more=True),
        Write(b"a", more=True, buffer=MssBuffer(4096, 4)),
        Wait(1.5),
        SetOption("cork", True),
        Expect(354),
    ],
)
def test_steps_travel_from_a_worker(step: Step) -> None:
    """What a user's own sender yields arrives as it was."""
    assert step_from(stored_step(step)) == step


@pytest.mark.parametrize("kind", ["payload+0x4", "payload+4096", "payload+4096x4x4", "peyload"])
def test_steps_of_an_unknown_kind_are_refused(kind: str) -> None:
    """A worker's answer is a stranger's data."""
    with pytest.raises(ValueError, match=r"no buffer has|unknown kind"):
        step_from((kind, b"a"))


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
