"""Messages: exact lengths, the form of mail on the wire, and the same bytes for the same seed."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from email.parser import BytesParser
from email.policy import SMTP
from importlib import import_module
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.core import compiling
from seglab.mail import fields, running_text, words
from seglab.mail.fields import Story
from seglab.mail.filling import base64_lines
from seglab.mail.header import FIRST, HeaderSpec
from seglab.mail.kinds import KINDS
from seglab.mail.message import (
    END_OF_DATA,
    HEADER_MAX_BYTES,
    LINE_MAX,
    Message,
    MessageSpec,
    generate,
    raw,
    stuffed,
)

END_OF_PART = {
    "newsletter": b"</HTML>",
    "notification": b'.jpg" />',
    "picture": b"</html>",
    "stock_tip": b"</html>",
}

SEEDS = st.integers(0, 2**64 - 1)


@st.composite
def specs(draw: st.DrawFn) -> MessageSpec:
    """Any kind and any lengths that fit each other."""
    kind = draw(st.sampled_from([*KINDS]))
    received = draw(st.none() | st.sampled_from([*fields.RECEIVED_BYTES]))
    first = draw(st.none() | st.sampled_from(FIRST))
    values = {
        name: draw(st.sampled_from([*fields.value_range(name)]))
        for name in draw(st.sets(st.sampled_from(("From", "To", "Subject", "Message-ID"))))
    }
    marked = draw(st.sampled_from([{}, {"Subject": 900}, {"Subject": 900, "Message-ID": 1800}]))
    if kind == "stock_tip" and len(marked) == 2:  # in which the two stand the other way round
        marked = {"Message-ID": 900, "Subject": 1800}
    header = HeaderSpec(
        template=KINDS[kind].header,
        received_bytes=received,
        first=first,
        value_at=marked,
        value_bytes=values,
    )
    size = draw(st.none() | st.integers(header.min_bytes, 3000))
    least = (size or header.min_bytes) + KINDS[kind].body_min_bytes + 5
    return MessageSpec(
        kind=kind,
        payload_bytes=draw(st.integers(least, least + 9000)),
        header_bytes=size,
        received_bytes=received,
        first=first,
        value_at=marked,
        value_bytes=values,
    )


def field(message: Message, name: str) -> bytes:
    """The one field of that name."""
    ((start, end),) = message.field_spans(name)
    return message.headers[start:end]


@given(SEEDS, specs())
def test_lengths_are_exact(seed: int, spec: MessageSpec) -> None:
    """The payload and its parts have the very lengths and places that were asked for."""
    message = generate(seed, spec)
    assert len(message.wire) == spec.payload_bytes
    if spec.header_bytes is not None:
        assert message.header_end == spec.header_bytes
    if spec.received_bytes is not None:
        assert len(field(message, "Received")) == spec.received_bytes
    for name, size in spec.value_bytes.items():
        assert len(field(message, name)) == len(name) + len(":") + size + len("\r\n")
    for name, at in spec.value_at.items():
        assert message.wire[: at + 1].endswith(b"\r\n" + name.encode() + b": ")
    if spec.first is not None:
        assert message.wire.startswith(spec.first.encode() + b":")


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
def test_another_parser_takes_it_for_mail(seed: int, spec: MessageSpec) -> None:
    """The standard library finds the same fields, the required ones once, and no defect."""
    message = generate(seed, spec)
    parsed = BytesParser(policy=SMTP).parsebytes(message.headers + b"\r\n" + message.body)
    assert len(parsed.keys()) == len(message.fields)
    assert not [defect for part in parsed.walk() for defect in part.defects]
    assert parsed.keys().count("Date") == parsed.keys().count("From") == 1
    assert len(parsed["From"].addresses) == 1
    assert b"".join(message.fields) == message.headers


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("text", ["text/plain"]),
        ("newsletter", ["text/html"]),
        ("notification", ["text/html"]),
        ("picture", ["multipart/mixed", "text/plain", "text/html", "image/jpeg"]),
        ("stock_tip", ["multipart/alternative", "text/plain", "text/html"]),
    ],
)
@pytest.mark.parametrize("size", [6000, 6001, 6002, 6003])
def test_parts_of_each_kind(kind: str, types: list[str], size: int) -> None:
    """Each kind has the parts that its summary says, and what is encoded decodes."""
    message = generate(size, MessageSpec(kind=kind, payload_bytes=size))
    parsed = BytesParser(policy=SMTP).parsebytes(message.headers + b"\r\n" + message.body)
    parts = [*parsed.walk()]
    assert [part.get_content_type() for part in parts] == types
    for part in parts:
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            html = part.get_content_type() == "text/html"
            assert content.rstrip().endswith(
                END_OF_PART[kind] if html else (b".", b"\xff\xd9", b"")
            )
            # An odd length of base64 has a space at its end, on which this parser remarks.
            odd = kind == "notification" and len(message.body) % 2
            assert len(part.defects) == odd


def test_base64_of_any_length() -> None:
    """Lines of 76 characters at most that decode to what was asked for, at every length."""
    source = bytes(range(256)) * 3
    for size in range(10, 700):
        text = base64_lines(lambda length: source[:length], size)
        assert len(text) == size
        decoded = base64.b64decode(text)
        assert decoded == source[: len(decoded)]
        lines = text.split(b"\r\n")
        assert lines.pop() == b""
        assert all(1 <= len(line) <= 76 + size % 2 for line in lines)
        assert len(decoded) * 4 // 3 + 2 * len(lines) + size % 2 == size


def test_listing_7_ends_as_printed() -> None:
    """The picture's closing delimiter, its line end, and the end of data after an empty line."""
    wire = generate(1, MessageSpec(kind="picture", payload_bytes=9371)).wire
    assert re.search(rb"\r\n------=Part\.\d{3}\.\d{4}\.\d{10}--\r\n\r\n\.\r\n$", wire)


def test_listing_3_ends_as_printed() -> None:
    """The last 36 bytes of the tip are a hyphen, 28 digits, two hyphens, CRLF, and '.CRLF'."""
    last = generate(1, MessageSpec(kind="stock_tip", payload_bytes=9836)).wire[-36:]
    assert re.fullmatch(rb"-[0-9a-f]{28}--\r\n\.\r\n", last)


def test_plain_text_does_without_faker() -> None:
    """The lab's client starts fast: only the kinds that need Faker's words import it."""
    code = (
        "import sys; import seglab.kernel.client; from seglab.mail.message import *;"
        "generate(1, MessageSpec()); assert 'faker' not in sys.modules;"
        "generate(1, MessageSpec(kind='newsletter')); assert 'faker' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_same_words_in_every_process() -> None:
    """What Faker draws is pinned: another process, with another hash seed, makes the same mail."""
    code = (
        "import hashlib; from seglab.mail.message import *; from seglab.mail.kinds import KINDS;"
        "print(*(hashlib.sha256(generate(5, MessageSpec(kind=k)).wire).hexdigest() for k in KINDS))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


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
    assert running_text.running_text(draw, lexicon.words, 9000, b"\r\n", 1)


@given(seed=SEEDS, size=st.integers(2, 3000), stuffed_bytes=st.integers(0, 1))
def test_the_compiled_text_is_the_same(seed: int, size: int, stuffed_bytes: int) -> None:
    """Both forms make it of the same draws, in the length that was asked for."""
    if compiling.built(compiling.MAIL) != "compiled":
        pytest.skip("the text of mail is not compiled here; that takes gcc and Python.h")
    choice = words.lexicon("built-in").words
    text = running_text.running_text(Random(seed), choice, size, b"\r\n", stuffed_bytes)
    assert len(text) + stuffed_bytes * (b"\r\n" + text).count(b"\r\n.") == size
    compiled = import_module(compiling.MAIL.copy_of(running_text.__name__))
    assert compiled.running_text(Random(seed), choice, size, b"\r\n", stuffed_bytes) == text


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
        ({"kind": "spam"}, "kind: expected one of text, newsletter, notification, .* found 'spam'"),
        ({"first": "Subject"}, "first: expected one of Received, Return-Path, From, "),
        ({"value_at": {"Date": 300}}, "value_at: expected some of From, To, .* found 'Date'"),
        ({"value_at": {"Subject": 100}}, "value_at.Subject: expected 208 to 65536, found 100"),
        ({"value_at": {"Subject": 400}, "header_bytes": 400}, "header_bytes: expected 481"),
        ({"first": "From", "value_at": {"From": 5}}, "value_at.From: the first field has"),
        ({"value_at": {"Subject": 900, "To": 900}}, "value_at.Subject: expected "),
        (
            {"value_at": {"Subject": 399.5}},
            "value_at.Subject: expected a whole number, found 399.5",
        ),
        ({"value_bytes": {"Subject": 1}}, "value_bytes.Subject: expected 2 to 70, found 1"),
        ({"value_bytes": {"Received": 80}}, "value_bytes: expected some of "),
    ],
)
def test_impossible_lengths(lengths: dict[str, Any], named: str) -> None:
    """Lengths that no message has are refused, by the field's name and with its range."""
    with pytest.raises(ValueError, match=named):
        MessageSpec(**lengths)
