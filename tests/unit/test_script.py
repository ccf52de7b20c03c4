"""The steps of a session, made before it begins: what a sender may do wrong, and what they need."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from seglab.mail.message import MessageSpec
from seglab.sender import replies, script
from seglab.sender.steps import Expect, Wait, Write


def test_what_a_session_needs() -> None:
    """Pauses, twenty round trips, and the bytes over the slowest link."""
    steps = [Write(bytes(2500)), Wait(3), Expect(250), Wait(0.5)]
    assert script.needed_s(steps, 0.5, 0.02) == pytest.approx(3.5 + 10 + 1)
    assert script.needed_s(steps, 0.5, None) == pytest.approx(13.5)


def odd_sender(steps: Any) -> Any:
    """A sender with these steps."""
    return SimpleNamespace(
        protocol="raw",
        resolve=lambda parameters: parameters,
        message_for=lambda *_: b"",
        steps=steps,
    )


def failing(*_: object) -> Iterator[Any]:
    """Raises after its first step."""
    yield Write(b"x")
    raise ValueError("no\nsecond line " + "x" * 1000)


def stubborn(*_: object) -> Iterator[Any]:
    """Computes for ever, and lets no ordinary exception end that."""
    while True:
        try:
            while True:
                pass
        except Exception:
            continue
    yield


def endless(*_: object) -> Iterator[Any]:
    """Always has one more step."""
    while True:
        yield Wait(0)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (failing, r"the sender raised ValueError: no second line x+"),
        (stubborn, r"the sender took more than 0\.1 s to make its steps"),
        (endless, r"the sender yielded more than 50 steps"),
        (lambda *_: [42], r"the sender yielded 42, which is no step"),
        (lambda *_: [b"bytes"], r"the sender yielded b'bytes', which is no step"),
        (lambda *_: [Write("text")], r"the sender yielded Write\(data='t.*, which is no step"),
        (lambda *_: None, r"the sender raised TypeError: .*not iterable"),
        (list, r"the sender raised TypeError: list expected .*"),
    ],
)
def test_what_a_sender_does_wrong_is_its_sessions_failure(
    steps: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found before anything is sent, and told in one line of bounded length."""
    monkeypatch.setattr(script, "MAKING_LIMIT_S", 0.1)
    monkeypatch.setattr(script, "STEPS_MAX", 50)
    with pytest.raises(script.ScriptError) as caught:
        script.make_script(odd_sender(steps), {}, MessageSpec(), 1)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    assert re.fullmatch(reason, text)


def test_a_session_carries_one_message() -> None:
    """A sender that begins a second mail is refused by name, since a row has room for one."""
    one = [Write(b"DATA", payload=False), Write(b"a"), Write(b"b"), Write(b"QUIT", payload=False)]
    two = [*one[:3], Write(b"MAIL", payload=False), Write(b"c")]
    assert script.make_script(odd_sender(lambda *_: one), {}, MessageSpec(), 1) == one
    with pytest.raises(script.ScriptError, match="a session carries one message"):
        script.make_script(odd_sender(lambda *_: two), {}, MessageSpec(), 1)


def test_replies_in_any_pieces() -> None:
    """A reply of several lines counts when its last line is there, and the next one stays."""
    stream = b"250-one\r\n250-two\r\n250 three\r\n354 go on\r\n"
    waiting = replies.Replies()
    taken = []
    for at in range(len(stream)):
        waiting.feed(stream[at : at + 1])
        if not taken and waiting.take(250):
            taken.append(at + 1)
    assert taken == [stream.index(b"354")]
    assert waiting.take(354)
    assert not waiting.take(354)


def test_a_reply_of_another_code() -> None:
    """The error has the line that came."""
    waiting = replies.Replies()
    waiting.feed(b"550-no\r\n550 never\r\n")
    with pytest.raises(replies.ReplyError, match=r"replied b'550 never' where 250 was expected"):
        waiting.take(250)


def test_a_reply_without_end() -> None:
    """It is refused at its limit, before it fills the memory."""
    waiting = replies.Replies()
    waiting.feed(bytes(replies.REPLY_MAX_BYTES))
    with pytest.raises(replies.ReplyError, match="longer than 65536 bytes"):
        waiting.feed(b"x")
