"""Messages to send: mail as it is on the wire, and raw payloads, the same for the same seed.

The generator sets the lengths of the payload, of the header block and of single fields exactly,
and where a field's value begins, so that a listing's byte counts can be met. It draws only by
``random.Random.random``, whose sequence Python keeps from version to version.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Self

from seglab.core.parameters import PAYLOAD_MAX_BYTES
from seglab.mail.fields import LINE_MAX, NATURAL_RECEIVED_BYTES, Story, received
from seglab.mail.filling import Filling
from seglab.mail.header import HEADER_MAX_BYTES, HeaderSpec
from seglab.mail.kinds import KINDS
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
    """A payload, and where its header block ends.

    Attributes:
        headers: the header fields, each with its CRLF, without the empty line after them; of
            no bytes for a raw payload.
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
        """A payload without mail's form: what crosses the network is ``data``."""
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
        """Where the fields of these names stand, in any case of letters: half-open ranges.

        A range ends after the field's CRLF. Of several fields of one name, each counts.
        """
        wanted = {name.lower().encode() for name in names}
        return tuple(
            found.span()
            for found in _FIELD.finditer(self.headers)
            if found[0].partition(b":")[0].rstrip().lower() in wanted
        )

    @property
    def eight_bit(self) -> bool:
        """Whether a byte is above 127, which SMTP carries by 8BITMIME alone (RFC 6152)."""
        return not self.wire.isascii()

    def split(self, terminator_bytes: int) -> tuple[bytes, bytes]:
        """The wire's bytes cut before the last ``terminator_bytes``: text, and end of data."""
        cut = len(self.wire) - terminator_bytes
        return self.wire[:cut], self.wire[cut:]


_FIELD = re.compile(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSpec:
    """What a generated message is to be.

    Attributes:
        kind: what mail it is: a name of ``seglab.mail.kinds.KINDS``.
        payload_bytes: all that crosses the network after the 354 reply, dot-stuffing and
            ``CRLF . CRLF`` counted.
        header_bytes: the header block without the empty line; ``None`` leaves it to the seed.
        first: the name of the first header field; ``None`` leaves it to the sender, and else to
            the kind.
        received_bytes: the ``Received`` field; ``None`` leaves it to the seed.
        value_at: the offset at which a field's value begins, right after the colon, by the
            field's name.
        value_bytes: the length of a field's value, from after the colon to before the CRLF, by
            the field's name.

    Raises:
        ValueError: no message is like this; begins with the attribute's name.
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
        least = (header.header_bytes or header.min_bytes) + self._around_bytes
        if not least <= self.payload_bytes <= PAYLOAD_MAX_BYTES:
            raise ValueError(
                f"payload_bytes: expected {least} to {PAYLOAD_MAX_BYTES}, "
                f"found {self.payload_bytes}"
            )

    @property
    def name(self) -> str:
        """What the message is called in a session's row."""
        return self.kind

    @property
    def header(self) -> HeaderSpec:
        """What the header block is to be."""
        return HeaderSpec(
            layout=KINDS[self.kind].layout,
            header_bytes=self.header_bytes,
            first=self.first,
            received_bytes=self.received_bytes,
            value_at=self.value_at,
            value_bytes=self.value_bytes,
        )

    @property
    def header_limit_bytes(self) -> int:
        """The most of the payload that a header block of no given length takes."""
        half = (self.payload_bytes - _ENVELOPE_BYTES) // 2
        room = self.payload_bytes - self._around_bytes
        return max(self.header.min_bytes, min(half, room))

    @property
    def _around_bytes(self) -> int:
        return _ENVELOPE_BYTES + KINDS[self.kind].body_min_bytes


def raw(seed: int, payload_bytes: int) -> Message:
    """A payload of pseudo-random bytes, so that no byte range looks like another one."""
    return Message.raw(hashlib.shake_128(b"raw payload %d" % seed).digest(payload_bytes))


def generate(seed: int, spec: MessageSpec) -> Message:
    """A mail exactly as ``spec`` says."""
    draw = Random(seed)
    kind = KINDS[spec.kind]
    words = lexicon(kind.lexicon)
    story = Story.drawn(draw, words, kind.boundary(draw), kind.subjects)
    headers = spec.header.block(draw, story, spec.header_limit_bytes)
    size = spec.payload_bytes - len(headers) - _ENVELOPE_BYTES
    return Message(headers, kind.body(Filling(draw, words, story, size)))


def with_received(message: Message, seed: int) -> Message:
    """The message with a Received field on top, unless one is there (RFC 5321, 4.4)."""
    if message.headers.lower().startswith(b"received:"):
        return message
    draw = Random(seed)
    story = Story.drawn(draw, lexicon("built-in"))
    own = received(draw, story, NATURAL_RECEIVED_BYTES)
    return Message(own + message.headers, message.body)


def stuffed(body: bytes) -> bytes:
    """The text with a dot added before each line that begins with one (RFC 5321, 4.5.2)."""
    doubled = body.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled


def _on_the_wire(headers: bytes, body: bytes) -> bytes:
    return headers + b"\r\n" + stuffed(body) + b".\r\n"
