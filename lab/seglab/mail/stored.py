"""One of the user's own mails: where it lies, and how it becomes a message that SMTP can carry.

A mail is changed until it fits RFC 5321 and RFC 5322, or it is refused:

- each CR, LF or CRLF is the end of a line, and leaves as CRLF (RFC 5321, 2.3.8);
- a body line above 998 bytes is cut, with CRLF and a space between, as Postfix does; a header
  line is folded before a space where it has one (RFC 5322, 2.1.1 and 2.2.3);
- bytes above 127 in the body stay, and MAIL says ``BODY=8BITMIME`` (RFC 6152); in the header they
  need SMTPUTF8, which the server does not offer, and are refused;
- a NUL byte is refused: no SMTP extension that the server offers carries one;
- a file that does not begin with header fields is no mail.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from seglab.core.parameters import PAYLOAD_MAX_BYTES
from seglab.core.text import quoted
from seglab.errors import InputError
from seglab.mail.header_layout import header_layout
from seglab.mail.message import Message, MessageSpec

LINE_MAX_BYTES: Final = 998
"""The longest line without its CRLF (RFC 5322, 2.1.1; RFC 5321, 4.5.3.1.6)."""

_LINE_END = re.compile(rb"\r\n?")
_FIELD_START = re.compile(rb"[!-9;-~]+[ \t]*:")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail in a file.

    Attributes:
        path: the file, absolute.
        name: of the message in a session's row.
        start: the offset of the mail's first byte in the file.
        end: the offset after its last byte.
        sha256: of those bytes, in hexadecimal.
        quoted: whether it lies in an mbox, where ``>From`` stands for ``From``.
    """

    path: str
    name: str
    start: int
    end: int
    sha256: str
    quoted: bool = False

    def data(self) -> bytes:
        """Return the mail's bytes, as they lie in the file.

        Raises:
            InputError: the file cannot be read any more, or has changed.
        """
        try:
            with Path(self.path).open("rb") as file:
                file.seek(self.start)
                data = file.read(self.end - self.start)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise InputError(f"{self.path}: {self.name} has changed since the run was planned")
        return data

    def read(self) -> Message:
        """Read the message, and make it one that SMTP can carry.

        Raises:
            InputError: the file cannot be read any more, or has changed.
        """
        return mail(self.data(), quoted=self.quoted)


@dataclass(frozen=True, slots=True)
class LoadedMail(StoredMail):
    """A mail whose bytes were read before, for a process that cannot read the file.

    Attributes:
        content: the bytes.
        as_sent: whether they are what crossed the network, end of data included, and cross it again
            as they are: a program may send what SMTP forbids.
    """

    content: bytes = field(default=b"", repr=False)
    as_sent: bool = False

    def data(self) -> bytes:
        """Return the mail's bytes."""
        return self.content

    def read(self) -> Message:
        """Return the message as it crossed the network, or as ``StoredMail`` does."""
        if not self.as_sent:
            return StoredMail.read(self)
        end = header_layout(self.content).header_end or 0
        return Message(self.content[:end], self.content[end + 2 :], self.content)


def mail_of(values: dict[str, Any]) -> MessageSpec | StoredMail:
    """Make a ``MessageSpec``, ``StoredMail`` or ``LoadedMail`` of its plain values."""
    if "content" in values:
        return LoadedMail(**values)
    return StoredMail(**values) if "path" in values else MessageSpec(**values)


def mail(data: bytes, *, quoted: bool = False) -> Message:
    """Make a message of a file's bytes.

    Args:
        data: any bytes, with any line ends.
        quoted: whether to undo the ``>From`` of an mbox, as mboxrd says.

    Raises:
        InputError: SMTP cannot carry the bytes as a mail; says where and why.
    """
    if not data.strip():
        raise InputError("empty")
    text = _LINE_END.sub(b"\n", data)
    if (at := text.find(b"\0")) >= 0:
        raise InputError(f"{_line(text, at)}: a NUL byte, which SMTP cannot carry")
    if quoted:
        text = _QUOTED_FROM.sub(rb"\1", text)
    if not text.endswith(b"\n"):
        text += b"\n"
    headers, body = _split(text)
    _check(headers)
    message = Message(_crlf(headers, _folded), _crlf(body, _cut))
    if len(message.wire) > PAYLOAD_MAX_BYTES:
        raise InputError(
            f"{len(message.wire)} bytes on the wire; expected {PAYLOAD_MAX_BYTES} at most"
        )
    return message


def _split(text: bytes) -> tuple[bytes, bytes]:
    """Cut at the empty line: the header block, and what follows the line."""
    if text.startswith(b"\n"):
        raise InputError("not a mail: it begins with an empty line, not with a header field")
    end = text.find(b"\n\n")
    return (text, b"") if end < 0 else (text[: end + 1], text[end + 2 :])


def _check(headers: bytes) -> None:
    for number, line in enumerate(headers.splitlines(), 1):
        if not _FIELD_START.match(line) and (number == 1 or line[:1] not in (b" ", b"\t")):
            what = "not a mail: line 1" if number == 1 else f"line {number} of the header"
            raise InputError(
                f"{what} is no header field; expected 'Name: value', found {_shown(line)}"
            )
        if not line.isascii():
            raise InputError(
                f"line {number} of the header has bytes above 127, which need SMTPUTF8 (RFC 6531); "
                f"encode it by RFC 2047"
            )


def _crlf(text: bytes, shortened: Callable[[bytes], bytes]) -> bytes:
    lines = text.split(b"\n")
    if max(map(len, lines)) > LINE_MAX_BYTES:
        lines = [line if len(line) <= LINE_MAX_BYTES else shortened(line) for line in lines]
    return b"\r\n".join(lines)


def _folded(line: bytes) -> bytes:
    """Fold a long header line before the last space that lets it fit, or cut it."""
    parts = []
    start, mark = 0, b""
    while len(line) - start > LINE_MAX_BYTES - len(mark):
        at = start + LINE_MAX_BYTES - len(mark)
        fold = max(line.rfind(white, start + 1, at + 1) for white in (b" ", b"\t"))
        fits = fold > 0 and line[start:fold].strip()
        parts.append(mark + line[start : fold if fits else at])
        start, mark = (fold, b"") if fits else (at, b" ")
    return b"\r\n".join((*parts, mark + line[start:]))


def _cut(line: bytes) -> bytes:
    """Cut a long body line into parts, none of which begins inside a character of UTF-8."""
    parts = []
    start, room = 0, LINE_MAX_BYTES
    while len(line) - start > room:
        at = start + room
        while at > start + room - 3 and 0x80 <= line[at] < 0xC0:
            at -= 1
        parts.append(line[start:at])
        start, room = at, LINE_MAX_BYTES - 1
    return b"\r\n ".join((*parts, line[start:]))


def _line(text: bytes, at: int) -> str:
    number = text.count(b"\n", 0, at) + 1
    return f"line {number}"


def _shown(line: bytes) -> str:
    return f"'{quoted(line, 40)}'"
