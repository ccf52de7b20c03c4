"""Which shipped sender writes as a program did: the senders themselves are asked."""

from itertools import accumulate, pairwise
from typing import Any

import pytest

from seglab.core.trace import SocketOption, WriteCall
from seglab.mail.message import Message, MessageSpec, generate
from seglab.sender import SetOption, Write
from seglab.sender.likeness import MSG_MORE, Likeness, ProgramWrites, likeness
from seglab.sender.registry import senders
from seglab.sender.steps import at_mss

MSS = 1448


def written(name: str, given: dict[str, Any], mail: MessageSpec, mss: int = MSS) -> ProgramWrites:
    """What a program does that writes as a sender with these parameters."""
    sender = senders()[name]
    parameters = sender.resolve(given)
    message = sender.message_for(parameters, mail, 3)
    steps = at_mss([*sender.steps(message, parameters)], mss)
    pieces = [step for step in steps if isinstance(step, Write)]
    ends = accumulate((len(piece.data) for piece in pieces), initial=0)
    calls = [
        WriteCall(n, "sendto", a, b, b - a, b - a, MSG_MORE if piece.more else 0)
        for n, (piece, (a, b)) in enumerate(zip(pieces, pairwise(ends), strict=True))
    ]
    options = [SocketOption(0, "TCP_NODELAY", "set", int(parameters["nodelay"]))]
    options += [
        SocketOption(0, "TCP_CORK", "set", int(step.on))
        for step in steps
        if isinstance(step, SetOption) and step.name == "cork"
    ]
    return ProgramWrites(message.wire, calls, options, mss)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("single_write", {}),
        ("single_write", {"terminator_bytes": 3, "nodelay": True}),
        ("relay", {}),
        ("distinct_from", {}),
        ("headers_then_body", {"with_empty_line": True, "body_buffer_bytes": 1024}),
        ("custom_headers", {"headers": ("Date", "To"), "body_apart": False}),
        ("line_by_line", {}),
        ("line_by_line", {"lines": 7, "terminator_bytes": 5}),
        ("fixed_buffer", {"buffer_bytes": 5000}),
        ("fixed_buffer", {"buffer_bytes": 4096, "hold": "more", "nodelay": False}),
        ("fixed_buffer", {"buffer_bytes": 4096, "hold": "cork"}),
        ("fixed_buffer", {"buffer_bytes": 8192, "fills": "unstuffed", "terminator_bytes": 3}),
        ("fixed_buffer", {"buffer_bytes": 4096, "fills": "lines"}),
    ],
)
def test_the_sender_that_wrote_is_found(name: str, given: dict[str, Any]) -> None:
    """It is found with the parameters that differ from its defaults."""
    found = likeness(written(name, given, MessageSpec(payload_bytes=25_000)))
    assert found is not None
    assert (found.sender, {**found.parameters}) == (name, given)


def test_a_buffer_that_follows_the_mss_is_found_by_its_writes() -> None:
    """A multiple of the MSS, or the same bytes at this MSS: both write so, and one is named."""
    found = likeness(
        written("fixed_buffer", {"mss_multiple": 4}, MessageSpec(payload_bytes=25_000))
    )
    assert found is not None
    assert found.parameters in ({"mss_multiple": 4}, {"buffer_bytes": 4 * MSS})


def test_other_writes_are_like_no_sender() -> None:
    """Cuts at random places are nobody's; so is MSG_MORE at one write in the middle."""
    wire = generate(1, MessageSpec()).wire
    ends = (0, 301, 377, 5000, len(wire))
    calls = [WriteCall(0, "write", a, b, b - a, b - a, None) for a, b in pairwise(ends)]
    assert likeness(ProgramWrites(wire, calls, (), MSS)) is None
    edges = pairwise((0, 2048, 4096, len(wire)))
    flags = (0, MSG_MORE, 0)
    more = [
        WriteCall(0, "sendto", a, b, b - a, b - a, flag)
        for (a, b), flag in zip(edges, flags, strict=True)
    ]
    assert likeness(ProgramWrites(wire, more, (), MSS)) is None


def test_profiles_that_write_the_same_are_named() -> None:
    """Smtplib writes a mail at once; curl writes it with its end of data apart."""
    plain = likeness(written("single_write", {}, MessageSpec()))
    assert plain is not None
    assert "smtplib" in plain.profiles
    assert "curl" not in plain.profiles
    apart = likeness(
        written("single_write", {"terminator_bytes": 3, "nodelay": True}, MessageSpec())
    )
    assert apart is not None
    assert "curl" in apart.profiles


def test_a_payload_that_is_no_mail() -> None:
    """A payload without a header block is asked about as well."""
    message = Message.raw(b"hello\r\n.\r\n")
    calls = [WriteCall(0, "write", 0, 10, 10, 10, None)]
    found = likeness(ProgramWrites(message.wire, calls, (), MSS))
    assert found is not None
    assert found.sender == "single_write"


def test_words() -> None:
    """Parameters stand in brackets, as a scenario's file spells their values."""
    assert str(Likeness("relay", {}, ())) == "relay"
    parameters = {"headers": ("To", "Date"), "nodelay": True, "lines": 3}
    assert str(Likeness("x", parameters, ())) == "x(headers=To+Date, nodelay=true, lines=3)"
