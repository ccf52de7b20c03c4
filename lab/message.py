"""Messages to send: mail as it is on the wire, and raw payloads, the same for the same seed.

The generator sets the payload's, the header block's and the first header field's lengths
exactly, so that a listing's byte counts can be met. It draws only by ``random.Random.random``,
whose sequence Python keeps from version to version.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Self

from lab import text
from lab.parameters import PAYLOAD_MAX_BYTES
from lab.text import HEADER_REST_MIN_BYTES, RECEIVED_BYTES

END_OF_DATA = b"\r\n.\r\n"
"""The end of mail data (RFC 5321, 4.1.1.4): the text's last CRLF, and a line with a dot."""

LINE_MAX = 78
"""The longest line that is made, without its CRLF (RFC 5322, 2.1.1)."""

HEADER_MAX_BYTES = 1 << 16
_NATURAL_RECEIVED_BYTES = 150
_BODY_MIN_BYTES = 2
_PARAGRAPH_MIN_BYTES = 4
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

    def split(self, terminator_bytes: int) -> tuple[bytes, bytes]:
        """The wire's bytes cut before the last ``terminator_bytes``: text, and end of data."""
        cut = len(self.wire) - terminator_bytes
        return self.wire[:cut], self.wire[cut:]


_FIELD = re.compile(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSpec:
    """The lengths that a generated message is to have.

    Attributes:
        payload_bytes: all that crosses the network after the 354 reply, dot-stuffing and
            ``CRLF . CRLF`` counted.
        header_bytes: the header block without the empty line; ``None`` leaves it to the seed.
        received_bytes: the first header field, ``Received``; ``None`` leaves it to the seed.

    Raises:
        ValueError: no message has these lengths; begins with the field's name.
    """

    payload_bytes: int = 6000
    header_bytes: int | None = None
    received_bytes: int | None = None

    def __post_init__(self) -> None:
        received = self.received_bytes
        if received is not None and received not in RECEIVED_BYTES:
            raise ValueError(
                f"received_bytes: expected {RECEIVED_BYTES[0]} to {RECEIVED_BYTES[-1]}, "
                f"found {received}"
            )
        header = self.header_bytes
        header_min = self.header_min_bytes
        if header is not None and not header_min <= header <= HEADER_MAX_BYTES:
            raise ValueError(
                f"header_bytes: expected {header_min} to {HEADER_MAX_BYTES}, found {header}"
            )
        payload_min = (header or header_min) + _ENVELOPE_BYTES + _BODY_MIN_BYTES
        if not payload_min <= self.payload_bytes <= PAYLOAD_MAX_BYTES:
            raise ValueError(
                f"payload_bytes: expected {payload_min} to {PAYLOAD_MAX_BYTES}, "
                f"found {self.payload_bytes}"
            )

    @property
    def header_min_bytes(self) -> int:
        """The shortest header block with a first field as asked."""
        received = RECEIVED_BYTES[0] if self.received_bytes is None else self.received_bytes
        return received + HEADER_REST_MIN_BYTES


def raw(seed: int, payload_bytes: int) -> Message:
    """A payload of pseudo-random bytes, so that no byte range looks like another one."""
    return Message.raw(hashlib.shake_128(b"raw payload %d" % seed).digest(payload_bytes))


def generate(seed: int, spec: MessageSpec) -> Message:
    """A plain-text mail with exactly the lengths of ``spec``."""
    draw = Random(seed)
    headers = _headers(draw, spec)
    body = b"".join(_body(draw, spec.payload_bytes - len(headers) - _ENVELOPE_BYTES))
    return Message(headers, body)


def stuffed(body: bytes) -> bytes:
    """The text with a dot added before each line that begins with one (RFC 5321, 4.5.2)."""
    doubled = body.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled


def _on_the_wire(headers: bytes, body: bytes) -> bytes:
    return headers + b"\r\n" + stuffed(body) + b".\r\n"


def _headers(draw: Random, spec: MessageSpec) -> bytes:
    """A block that begins with Received; of a short message it takes half the room at most."""
    room = spec.payload_bytes - _ENVELOPE_BYTES - _BODY_MIN_BYTES
    limit = spec.header_bytes or max(spec.header_min_bytes, room // 2)
    received_bytes = spec.received_bytes
    if received_bytes is None:
        fits = limit >= _NATURAL_RECEIVED_BYTES + HEADER_REST_MIN_BYTES
        received_bytes = _NATURAL_RECEIVED_BYTES if fits else RECEIVED_BYTES[0]
    people = text.People(draw)
    block = [text.received(draw, people, received_bytes), *people.required_fields()]
    optional = people.optional_fields(draw)
    natural = b"".join([*block, *optional])
    if spec.header_bytes is None and len(natural) <= limit:
        return natural
    left = limit - sum(map(len, block))
    for candidate in optional:
        rest = left - len(candidate)
        if rest == 0 or rest >= text.FILLER_MIN_BYTES:
            block.append(candidate)
            left = rest
    if left:
        block.append(text.filler(draw, left))
    return b"".join(block)


def _body(draw: Random, body_bytes: int) -> Iterator[bytes]:
    """Lines of text that are ``body_bytes`` long on the wire, dot-stuffing counted."""
    left = body_bytes
    paragraph_lines = 0
    for line in text.lines(draw):
        if paragraph_lines == 0:
            paragraph_lines = 3 + int(draw.random() * 5)
            if left >= _PARAGRAPH_MIN_BYTES and left != body_bytes:
                yield b"\r\n"
                left -= 2
        paragraph_lines -= 1
        cost = len(line) + 2 + line.startswith(b".")
        if cost + _BODY_MIN_BYTES > left:
            yield _last_line(line.lstrip(b"."), left)
            return
        yield line + b"\r\n"
        left -= cost


def _last_line(line: bytes, length: int) -> bytes:
    """A line of exactly ``length`` bytes with its CRLF, made of ``line``'s text."""
    filled = (line + b" " + line)[: length - 2].rstrip(b" ")
    return filled.ljust(length - 2, b".") + b"\r\n"
