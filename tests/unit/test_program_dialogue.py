"""What a program said beside its message."""

import pytest

from seglab.kernel.program.dialogue import WRITE_MAX_CHARACTERS, WRITES_MAX, dialogue, ranges


def said(*writes: bytes, payload: bytes = b"", names: dict[str, str] | None = None) -> list[str]:
    """The dialogue of a program that made these writes, one of which holds the payload."""
    stream = b"".join(writes)
    start = stream.index(payload) if payload else 0
    span = start, start + len(payload)
    calls, at = [], 0
    for write in writes:
        calls.append((0, "write", at, at + len(write)))
        at += len(write)
    sent = {(low, high): stream[low:high] for low, high in ranges(span, len(stream))}
    return dialogue(calls, span, sent, names or {})


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ((b"EHLO a\r\n", b"DATA\r\n", b"<mail>", b"QUIT\r\n"), ["EHLO a", "DATA", "QUIT"]),
        ((b"A\r\nB\r\nDATA\r\n<mail>QUIT\r\n",), ["A\nB\nDATA", "QUIT"]),
        ((b"DATA\r\n<ma", b"il>QUIT", b"\r\n"), ["DATA", "QUIT", ""]),
        ((b"RSET\r\n", b"<mail>"), ["RSET"]),
    ],
)
def test_writes_and_their_commands(writes: tuple[bytes, ...], expected: list[str]) -> None:
    """Each write has a text of its own; what of it is payload is left out."""
    assert said(*writes, payload=b"<mail>") == expected


def test_without_a_message() -> None:
    """All that it said is there."""
    assert said(b"EHLO a\r\n", b"\xff\r\n") == ["EHLO a", "\ufffd"]


def test_secrets_and_addresses() -> None:
    """No password is kept, and no address that another session does not have."""
    assert said(
        b"EHLO [10.64.0.2]\r\n",
        b"AUTH PLAIN AGEAYg==\r\nauth login  dXNlcg==\r\nAUTH LOGIN\r\n",
        names={"10.64.0.2": "CLIENT"},
    ) == ["EHLO [CLIENT]", "AUTH PLAIN ***\nauth login ***\nAUTH LOGIN"]


def test_limits() -> None:
    """A program that says very much fills no row."""
    found = said(*([b"x" * 2000] * (WRITES_MAX + 1)))
    assert (len(found), {*map(len, found)}) == (WRITES_MAX, {WRITE_MAX_CHARACTERS})
