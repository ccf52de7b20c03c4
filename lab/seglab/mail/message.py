"""Messages to send: mail as it is on the wire, and raw payloads, the same for the same seed.

The generator meets the byte counts of a listing: it sets exactly how long the payload, the header
block and single fields are, and where the value of a field begins. It draws only by
``random.Random.random``, whose sequence Python keeps from version to version.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Self

from seglab.core.kept import Kept
from seglab.core.parameters import PAYLOAD_MAX_BYTES
from seglab.mail.fields import LINE_MAX, NATURAL_RECEIVED_BYTES, Story, received
from seglab.mail.filling import Filling
from seglab.mail.header import HEADER_MAX_BYTES, HeaderSpec
from seglab.mail.kinds import KINDS
from seglab.mail.parts import part_edges, part_line_edges
from seglab.mail.words import lexicon

__all__ = [
    "END_OF_DATA",
    "HEADER_MAX_BYTES",
    "LINE_MAX",
    "Message",
    "MessageSpec",
    "generate",
    "raw",
    "stuffed",
]

END_OF_DATA = b"\r\n.\r\n"
"""The end of mail data (RFC 5321, 4.1.1.4): the text's last CRLF, and a line with a dot."""

_ENVELOPE_BYTES = 2 + 3  # the empty line after the header block, and the final dot's line


@dataclass(frozen=True, slots=True)
class Message:
    """A payload, with its header block and its body apart.

    Attributes:
        headers: the header fields, each with its CRLF, without the empty line after them; empty
            for a raw payload.
        body: the text after the empty line, up to its last CRLF, before dot-stuffing.
        wire: what crosses the network: for mail everything from the first byte after the 354
            reply up to and with ``CRLF . CRLF``.
    """

    headers: bytes
    body: bytes
    wire: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not self.wire:
            object.__setattr__(self, "wire", _on_the_wire(self.headers, self.body))

    @classmethod
    def raw(cls, data: bytes) -> Self:
        """Make a payload that is no mail: exactly ``data`` crosses the network."""
        return cls(b"", data, data)

    @property
    def header_end(self) -> int:
        """The offset of the end of the last header field; the empty line begins there."""
        return len(self.headers)

    @property
    def fields(self) -> tuple[bytes, ...]:
        """The header fields, each with its folded lines and its last CRLF."""
        return tuple(_FIELD.findall(self.headers))

    def field_spans(self, *names: str) -> tuple[tuple[int, int], ...]:
        """The places of the fields with these names, as half-open ranges ``(start, end)``.

        Upper and lower case are the same. A range ends after the field's CRLF. Where a name occurs
        several times, each of its fields has a range.
        """
        wanted = {name.lower().encode() for name in names}
        return tuple(
            found.span()
            for found in _FIELD.finditer(self.headers)
            if found[0].partition(b":")[0].rstrip().lower() in wanted
        )

    @property
    def content_start(self) -> int:
        """Where the Content- fields begin that the header block ends with (RFC 2045, 3).

        They belong to the body. Without such fields it is ``header_end``.
        """
        start = self.header_end
        for one in reversed(self.fields):
            if not one.lower().startswith(b"content-"):
                break
            start -= len(one)
        return start

    @property
    def part_edges(self) -> tuple[int, ...]:
        """Where the pieces of a multipart message begin; empty where it has no parts."""
        return part_edges(self.wire, self.header_end)

    @property
    def part_line_edges(self) -> tuple[int, ...]:
        """The same where each line before a part's body is a piece; empty where it has no parts."""
        return part_line_edges(self.wire, self.header_end)

    @property
    def eight_bit(self) -> bool:
        """Whether a byte is above 127. SMTP carries such bytes only with 8BITMIME (RFC 6152)."""
        return not self.wire.isascii()

    def split(self, terminator_bytes: int) -> tuple[bytes, bytes]:
        """Cut ``wire`` before its last ``terminator_bytes``: the text, and the end of data."""
        cut = len(self.wire) - terminator_bytes
        return self.wire[:cut], self.wire[cut:]


_FIELD = re.compile(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSpec:
    """The measures of a generated message.

    Attributes:
        kind: a name of ``seglab.mail.kinds.KINDS``.
        payload_bytes: the length of all that crosses the network after the 354 reply, stuffed
            dots and ``CRLF . CRLF`` included.
        header_bytes: the length of the header block without the empty line; ``None`` leaves it
            to the seed.
        first: the name of the first header field; ``None`` leaves it to the sender, or to the
            kind where the sender has no opinion.
        received_bytes: the length of the ``Received`` field; ``None`` leaves it to the seed.
        value_at: the offset at which a field's value begins, right after the colon, by the
            field's name.
        value_bytes: the length of a field's value, from after the colon to before the CRLF, by
            the field's name.

    Raises:
        ValueError: no such message can be made; begins with the attribute's name.
    """

    kind: str = "text"
    payload_bytes: int = 6000
    header_bytes: int | None = None
    first: str | None = None
    received_bytes: int | None = None
    value_at: Mapping[str, int] = field(default_factory=dict)
    value_bytes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, found {self.kind!r}")
        header = self.header
        shortest = (header.header_bytes or header.min_bytes) + self._besides_header_bytes
        if not shortest <= self.payload_bytes <= PAYLOAD_MAX_BYTES:
            raise ValueError(
                f"payload_bytes: expected {shortest} to {PAYLOAD_MAX_BYTES}, "
                f"found {self.payload_bytes}"
            )

    @property
    def name(self) -> str:
        """The name of the message in a session's row."""
        return self.kind

    @property
    def header(self) -> HeaderSpec:
        """The header block that the message is to have."""
        return _header(self)

    @property
    def header_limit_bytes(self) -> int:
        """The most bytes that the header block takes where its length is not given."""
        half = (self.payload_bytes - _ENVELOPE_BYTES) // 2
        room = self.payload_bytes - self._besides_header_bytes
        return max(self.header.min_bytes, min(half, room))

    @property
    def _besides_header_bytes(self) -> int:
        return _ENVELOPE_BYTES + KINDS[self.kind].body_min_bytes


def _header_of(spec: MessageSpec) -> HeaderSpec:
    return HeaderSpec(
        template=KINDS[spec.kind].header,
        header_bytes=spec.header_bytes,
        first=spec.first,
        received_bytes=spec.received_bytes,
        value_at=spec.value_at,
        value_bytes=spec.value_bytes,
    )


_header = Kept(_header_of)


def raw(seed: int, payload_bytes: int) -> Message:
    """Make a payload of pseudo-random bytes, in which no byte range looks like another one."""
    return Message.raw(hashlib.shake_128(b"raw payload %d" % seed).digest(payload_bytes))


def generate(seed: int, spec: MessageSpec) -> Message:
    """Make the mail that ``spec`` describes."""
    draw = Random(seed)
    kind = KINDS[spec.kind]
    words = lexicon(kind.lexicon)
    story = Story.drawn(draw, words, kind.boundary(draw), kind.subjects)
    headers = spec.header.block(draw, story, spec.header_limit_bytes)
    size = spec.payload_bytes - len(headers) - _ENVELOPE_BYTES
    return Message(headers, kind.body(Filling(draw, words, story, size)))


def with_received(message: Message, seed: int) -> Message:
    """Add a Received field on top, unless the message begins with one (RFC 5321, 4.4)."""
    if message.headers.lower().startswith(b"received:"):
        return message
    draw = Random(seed)
    story = Story.drawn(draw, lexicon("built-in"))
    own = received(draw, story, NATURAL_RECEIVED_BYTES)
    return Message(own + message.headers, message.body)


def stuffed(body: bytes) -> bytes:
    """Add a dot to each line that begins with one (RFC 5321, 4.5.2)."""
    doubled = body.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled


def _on_the_wire(headers: bytes, body: bytes) -> bytes:
    return headers + b"\r\n" + stuffed(body) + b".\r\n"
