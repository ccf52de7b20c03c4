"""Reads the user's own mail: a file, a folder of ``.eml`` files, or an mbox (RFC 4155).

A file that begins with ``From`` and a space is an mbox, whatever its name. Inside an mbox, a mail
begins at a line of that form that follows an empty line and has a time and a year.

A mail must have one of the header fields that RFC 5322 defines. So a file whose lines only look
like fields, such as a table of passwords, is refused, whatever its name.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from seglab.core.parameters import PAYLOAD_MAX_BYTES
from seglab.core.text import safe
from seglab.errors import InputError
from seglab.mail.stored import StoredMail, mail

MAILS_MAX: Final = 100_000
"""The most mails that a source may have."""

FILE_MAX_BYTES: Final = 1 << 30
"""The largest mbox; a file of one mail may have ``PAYLOAD_MAX_BYTES``."""

_FIELDS: Final = (
    "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID",
    "In-Reply-To", "References", "Received", "Return-Path", "Resent-From", "Resent-Date",
)  # fmt: skip
"""Header fields of RFC 5322, 3.6, without ``Comments`` and ``Keywords``: other files have them."""

_ENDING = ".eml"
_MBOX_START = b"From "
_SEPARATOR = re.compile(
    rb"""
      (?: \A From[ ]
      | (?: (?<=\n\n) | (?<=\r\n\r\n) )
        From[ ] (?= [^\r\n]{0,200} \d:\d\d [^\r\n]{0,20} [ ]\d{4} )
      ) [^\r\n]* (?: \r?\n | \Z )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class MailSource:
    """The user's own mails, always in the same order.

    Attributes:
        path: the file or folder.
        mails: those that can be sent: of a folder by their path, of an mbox as they lie in it.
        skipped: how many were left out because they cannot be sent.
        first_skipped: the first one that was left out, and why; empty where none was.
    """

    path: str
    mails: tuple[StoredMail, ...]
    skipped: int = 0
    first_skipped: str = ""

    @property
    def skipped_words(self) -> str | None:
        """How many mails were left out, and why the first one was; ``None`` where none was."""
        if not self.skipped:
            return None
        total = self.skipped + len(self.mails)
        return f"left out {self.skipped} of {total} mails: {self.first_skipped}"

    def mail(self, repeat: int) -> StoredMail:
        """The mail that a repeat sends: all mails in turn, then all of them again."""
        return self.mails[repeat % len(self.mails)]


@lru_cache(maxsize=8)
def read_source(path: Path, *, skip_bad: bool = False) -> MailSource:
    """Find all mails of a file, a folder, or an mbox.

    Args:
        path: an absolute path.
        skip_bad: leaves out what is no mail, or cannot be carried by SMTP; otherwise that is an
            error.

    Raises:
        InputError: a mail cannot be sent, or there is none; says where and why.
    """
    mails: list[StoredMail] = []
    skipped = 0
    first_skipped = ""
    for file, name in _files(path):
        for found in _mails(file, name):
            if isinstance(found, StoredMail):
                mails.append(found)
            elif skip_bad:
                skipped += 1
                first_skipped = first_skipped or found
            else:
                raise InputError(f"{found}; skip_bad = true leaves such mails out")
            if len(mails) > MAILS_MAX:
                raise InputError(f"{path}: more than {MAILS_MAX} mails")
    if not mails:
        raise InputError(f"{path}: none of its {skipped} mails can be sent: {first_skipped}")
    return MailSource(str(path), tuple(mails), skipped, first_skipped)


def _files(path: Path) -> Sequence[tuple[Path, str]]:
    """The files to read, each with the name by which sessions call it."""
    try:
        if not path.is_dir():
            return [(path, path.name)]
        found = [p for p in path.rglob("*") if p.suffix.lower() == _ENDING and p.is_file()]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if not found:
        raise InputError(f"{path}: no {_ENDING} file in this folder")
    return [(file, file.relative_to(path).as_posix()) for file in sorted(found)]


def _mails(file: Path, name: str) -> Iterator[StoredMail | str]:
    """Yield the mails of a file in turn, or a line of text for one that cannot be sent."""
    where = safe(str(file))
    if where != str(file):
        yield f"{where}: expected a file's name of printable characters"
        return
    try:
        data = _content(file)
    except OSError as error:
        yield f"{where}: {error.strerror or error}"
        return
    except InputError as error:
        yield f"{where}: {error}"
        return
    if not data.startswith(_MBOX_START):
        yield _stored(data, file, name, where)
        return
    separators = [match.span() for match in _SEPARATOR.finditer(data)]
    ends = [start for start, _ in separators[1:]]
    for number, ((_, start), end) in enumerate(zip(separators, [*ends, len(data)], strict=True), 1):
        text = data[start:end]
        at = f"{where}: mail {number}"
        if text.strip() and end == len(data) and (problem := _cut_short(text)):
            yield f"{at}: {problem}"
            continue
        size = len(text) - (text.endswith(b"\n\n") + 2 * text.endswith(b"\r\n\r\n"))
        yield _stored(data[start : start + size], file, f"{name}:{number}", at, start, quoted=True)


def _stored(
    data: bytes, file: Path, name: str, where: str, start: int = 0, *, quoted: bool = False
) -> StoredMail | str:
    if len(data) > PAYLOAD_MAX_BYTES:
        return f"{where}: {len(data)} bytes; expected {PAYLOAD_MAX_BYTES} at most"
    try:
        message = mail(data, quoted=quoted)
    except InputError as error:
        return f"{where}: {error}"
    if not message.field_spans(*_FIELDS):
        return f"{where}: not a mail: its header has none of the fields of RFC 5322, such as From"
    digest = hashlib.sha256(data).hexdigest()
    return StoredMail(str(file), name, start, start + len(data), digest, quoted)


def _content(file: Path) -> bytes:
    """The content of a regular file. One that is too large is refused before it is read.

    Raises:
        InputError: the file cannot be a source, by its type or size.
    """
    # The file is opened first and examined then, so that nobody can replace it in between. A pipe
    # would block without O_NONBLOCK.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as opened:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise InputError("expected a regular file")
        start = opened.read(len(_MBOX_START))
        limit = FILE_MAX_BYTES if start == _MBOX_START else PAYLOAD_MAX_BYTES
        if state.st_size > limit:
            raise InputError(f"{state.st_size} bytes; expected {limit} at most")
        return start + opened.read(limit)


def _cut_short(text: bytes) -> str | None:
    """Say why an mbox must have been cut in its last mail; ``None`` where it was not."""
    if not text.endswith((b"\n", b"\r")):
        return "the mbox is cut short: its last line has no end"
    if b"\n\n" not in text and b"\r\n\r\n" not in text:
        return "the mbox is cut short: no empty line ends the last mail's header"
    return None
