"""The name server of a program's lab, by messages made by hand after RFC 1035."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.kernel.program.resolver import answer

NAME = b"\x07example\x03org\x00"
A, TXT, MX, AAAA = 1, 16, 15, 28


def question(kind: int, flags: int = 0x0100, count: int = 1, group: int = 1) -> bytes:
    """A question for a type of ``example.org``."""
    head = struct.pack("!HHHHHH", 0xBEEF, flags, count, 0, 0, 0)
    return head + NAME + struct.pack("!HH", kind, group)


def read(reply: bytes | None) -> tuple[int, int, bytes]:
    """Flags, number of answers, and what the one answer has."""
    assert reply is not None
    number, flags, questions, answers, authority, additional = struct.unpack_from("!HHHHHH", reply)
    assert (number, questions, authority, additional) == (0xBEEF, 1, 0, 0)
    rest = reply[12:]
    assert rest.startswith(NAME)
    record = rest[len(NAME) + 4 :]
    if not answers:
        assert record == b""
        return flags, 0, b""
    assert record[:2] == b"\xc0\x0c"  # the name of the question, at offset 12
    _, group, ttl, length = struct.unpack_from("!HHIH", record, 2)
    assert group == 1
    assert ttl > 0
    assert len(record) == 12 + length
    return flags, answers, record[12:]


@pytest.mark.parametrize(("server", "kind"), [("10.64.0.9", A), ("fd00:2::9", AAAA)])
def test_every_name_is_the_server(server: str, kind: int) -> None:
    """It has an address of the network's version of IP, and none of the other."""
    flags, answers, data = read(answer(question(kind), server))
    assert flags == 0x8580  # a response, authoritative, recursion desired and available, no error
    assert (answers, data) == (1, ip_address(server).packed)
    assert read(answer(question(A + AAAA - kind), server))[1:] == (0, b"")


def test_every_domain_has_the_server_as_its_mx() -> None:
    """With a preference and the server's name."""
    _, _, data = read(answer(question(MX), "10.64.0.9"))
    assert data == b"\x00\x0a" + b"\x02mx\x06seglab\x04test\x00"


@pytest.mark.parametrize("asked", [question(TXT), question(A, group=3)])
def test_nothing_else_is_there(asked: bytes) -> None:
    """The name exists, without such a record."""
    flags, answers, _ = read(answer(asked, "10.64.0.9"))
    assert (flags & 0xF, answers) == (0, 0)


def test_other_kinds_of_questions() -> None:
    """A status query, for example, is not implemented."""
    assert read(answer(question(A, flags=0x1000), "10.64.0.9"))[0] & 0xF == 4


@pytest.mark.parametrize(
    "message",
    [b"", question(A)[:11], question(A)[:-1], question(A, flags=0x8000), question(A, count=2)],
)
def test_no_question(message: bytes) -> None:
    """It is not answered."""
    assert answer(message, "10.64.0.9") is None


@given(st.binary(max_size=100))
def test_whatever_comes(message: bytes) -> None:
    """An answer repeats the number of the question, or there is none."""
    reply = answer(message, "10.64.0.9")
    assert reply is None or reply[:2] == message[:2]
