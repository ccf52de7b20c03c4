"""Messages: exact lengths, the form of mail on the wire, and the same bytes for the same seed."""

import hashlib
from email.parser import BytesParser
from email.policy import SMTP
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.mail import fields, words
from lab.mail.fields import Story
from lab.message import (
    END_OF_DATA,
    HEADER_MAX_BYTES,
    LINE_MAX,
    Message,
    MessageSpec,
    generate,
    raw,
    stuffed,
)

SEEDS = st.integers(0, 2**64 - 1)


@st.composite
def specs(draw: st.DrawFn) -> MessageSpec:
    """Any lengths that fit each other."""
    received = draw(st.none() | st.sampled_from([*fields.RECEIVED_BYTES]))
    shortest = MessageSpec(payload_bytes=10_000, received_bytes=received).header.min_bytes
    header = draw(st.none() | st.integers(shortest, 3000))
    payload = draw(st.integers((header or shortest) + 7, 12_000))
    return MessageSpec(payload_bytes=payload, header_bytes=header, received_bytes=received)


@given(SEEDS, specs())
def test_lengths_are_exact(seed: int, spec: MessageSpec) -> None:
    """Payload, header block and first field have the very lengths that were asked for."""
    message = generate(seed, spec)
    assert len(message.wire) == spec.payload_bytes
    if spec.header_bytes is not None:
        assert message.header_end == spec.header_bytes
    if spec.received_bytes is not None:
        assert len(message.fields[0]) == spec.received_bytes


@given(SEEDS, specs())
def test_form_on_the_wire(seed: int, spec: MessageSpec) -> None:
    """Lines end in CRLF and are short; the first line with only a dot is the last line."""
    wire = generate(seed, spec).wire
    lines = wire.split(b"\r\n")
    assert lines.pop() == b""
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    assert max(map(len, lines)) <= LINE_MAX + 1  # a stuffed dot is not the line's own
    assert lines.index(b".") == len(lines) - 1
    assert wire.endswith(END_OF_DATA)
    assert wire.isascii()


@given(SEEDS, specs())
def test_server_gets_back_the_text(seed: int, spec: MessageSpec) -> None:
    """Undoing dot-stuffing as RFC 5321, 4.5.2 says yields the headers and the body."""
    message = generate(seed, spec)
    lines = message.wire.removesuffix(b".\r\n").splitlines(keepends=True)
    plain = b"".join(line.removeprefix(b".") for line in lines)
    assert plain == message.headers + b"\r\n" + message.body


@given(SEEDS, specs())
def test_headers_are_mail(seed: int, spec: MessageSpec) -> None:
    """A parser of another's finds the fields, Received first, Date and From once each."""
    message = generate(seed, spec)
    parsed = BytesParser(policy=SMTP).parsebytes(message.headers + b"\r\n")
    assert parsed.keys()[0] == "Received"
    assert len(parsed.keys()) == len(message.fields)
    assert not parsed.defects
    assert parsed.keys().count("Date") == 1
    assert len(parsed["From"].addresses) == 1
    assert b"".join(message.fields) == message.headers


def test_natural_header_has_no_filler() -> None:
    """Where the header's length is left open and there is room, nothing pads it."""
    message = generate(3, MessageSpec(payload_bytes=20_000))
    assert b"X-ID" not in message.headers
    assert b"Subject: " in message.headers


def test_some_lines_begin_with_a_dot() -> None:
    """The generated text makes use of dot-stuffing, so that servers are tried with it."""
    assert b"\r\n.." in generate(1, MessageSpec(payload_bytes=20_000)).wire


@given(SEEDS, specs())
def test_same_seed_same_bytes(seed: int, spec: MessageSpec) -> None:
    """A message is a function of its seed and its lengths."""
    assert generate(seed, spec) == generate(seed, spec)
    assert generate(seed, spec).wire != generate(seed + 1, spec).wire


def test_draws_only_what_python_keeps() -> None:
    """Only ``random()``, whose sequence is the same in every Python, is ever drawn from."""

    class OnlyRandom(Random):
        def getrandbits(self, _k: int) -> int:
            raise AssertionError("drew by another method")

    draw = OnlyRandom(1)
    lexicon = words.lexicon("built-in")
    story = Story.drawn(draw, lexicon)
    assert fields.received(draw, story, 120)
    assert fields.adjustable(draw, story, "Message-ID", None)
    assert next(words.lines(draw, lexicon.words))


@pytest.mark.parametrize("length", fields.RECEIVED_BYTES)
def test_received_at_each_length(length: int) -> None:
    """Every length is met, in lines that may be folded but never too long."""
    draw = Random(length)
    story = Story.drawn(draw, words.lexicon("built-in"))
    field = fields.received(draw, story, length)
    assert len(field) == length
    assert field.endswith(b"\r\n")
    assert max(map(len, field.split(b"\r\n"))) <= LINE_MAX
    assert all(line.startswith(b"\t") for line in field.split(b"\r\n")[1:-1])


@given(st.integers(fields.FILLER_MIN_BYTES, 1000))
def test_filler_at_any_length(length: int) -> None:
    """A filler is one field of exactly that many bytes, with no empty folded line."""
    field = fields.filler(Random(0), length)
    assert len(field) == length
    first, *folded, last = field.split(b"\r\n")
    assert first.startswith(b"X-ID: ")
    assert last == b""
    assert all(len(line) >= 2 and line[:1] == b" " and line[1:2] != b" " for line in folded)


def test_listing_5_lengths() -> None:
    """A relay's Received of 77 bytes and a message of 3302, as in the paper's Listing 5."""
    message = generate(1, MessageSpec(payload_bytes=77 + 2896 + 329, received_bytes=77))
    assert len(message.wire) == 3302
    assert len(message.fields[0]) == 77


def test_raw_payload_repeats_itself_nowhere() -> None:
    """No 16 bytes occur twice, so a byte range in the wrong place cannot go unnoticed."""
    data = raw(7, 10_240).wire
    pieces = {data[start : start + 16] for start in range(len(data) - 15)}
    assert len(pieces) == 10_240 - 15


def test_raw_payload_of_a_seed() -> None:
    """The bytes are SHAKE-128's of the seed: a fixed function, not one library's generator."""
    assert raw(7, 100).wire == hashlib.shake_128(b"raw payload 7").digest(100)


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        (b"", b""),
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n"),
        (b"a.\r\n b.c\r\n", b"a.\r\n b.c\r\n"),
    ],
)
def test_dot_stuffing(body: bytes, wire: bytes) -> None:
    """Each line that begins with a dot gets one more (RFC 5321, 4.5.2)."""
    assert stuffed(body) == wire


@pytest.mark.parametrize("terminator_bytes", [0, 3, 5])
def test_split(terminator_bytes: int) -> None:
    """The end of data comes off in the two lengths of which the paper's logs show one."""
    body, end = Message(b"A: b\r\n", b"c\r\n").split(terminator_bytes)
    assert end == {0: b"", 3: b".\r\n", 5: b"\r\n.\r\n"}[terminator_bytes]
    assert body + end == b"A: b\r\n\r\nc\r\n.\r\n"


def test_fields_with_folded_lines() -> None:
    """A folded field is one field (RFC 5322, 2.2.3)."""
    message = Message(b"A: b\r\n\tc\r\n d\r\nE: f\r\n", b"")
    assert message.fields == (b"A: b\r\n\tc\r\n d\r\n", b"E: f\r\n")


@pytest.mark.parametrize(
    ("lengths", "named"),
    [
        ({"payload_bytes": 100}, "payload_bytes: expected 207"),
        ({"payload_bytes": 1 << 25}, "payload_bytes: expected 207 to 16777216"),
        ({"header_bytes": 199}, "header_bytes: expected 200"),
        ({"header_bytes": HEADER_MAX_BYTES + 1, "payload_bytes": 1 << 20}, "header_bytes: "),
        ({"header_bytes": 5995}, "payload_bytes: expected 6002"),
        ({"received_bytes": 71}, "received_bytes: expected 72 to 160"),
        ({"received_bytes": 161}, "received_bytes: expected 72 to 160"),
        ({"received_bytes": 160, "header_bytes": 287}, "header_bytes: expected 288"),
    ],
)
def test_impossible_lengths(lengths: dict[str, int], named: str) -> None:
    """Lengths that no message has are refused, by the field's name and with its range."""
    with pytest.raises(ValueError, match=named):
        MessageSpec(**lengths)
