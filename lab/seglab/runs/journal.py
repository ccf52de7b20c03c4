"""The append-only journal of a run: a line for each session that has ended.

The writer hands a line to the kernel as soon as the session ends, so killing the writer loses no
session that had ended. At worst the last line is torn; it then lacks its newline.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from seglab.core.decoding import UNREADABLE, words
from seglab.errors import InputError


@dataclass(frozen=True, slots=True)
class Entry:
    """The place of one record in a journal.

    Attributes:
        session_id: the session's id.
        status: how the session ended: ``complete`` or ``failed``.
        offset: where the line begins in the file, in bytes.
        length: the line's length in bytes, with its newline.
    """

    session_id: str
    status: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class _Head:
    """The fields of a line that an entry needs; the others are not decoded."""

    session_id: str
    status: str


_HEAD = msgspec.json.Decoder(_Head)


def entries(path: Path) -> Iterator[Entry]:
    """Yield an entry for each line of a journal, in the order of writing.

    A torn last line is left out.

    Raises:
        InputError: a line that is not torn is not a record; says which line.
    """
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                head = _HEAD.decode(line)
            except UNREADABLE as error:
                raise InputError(
                    f"{path}: line {number} is not a session record ({words(error)});"
                    " remove that line to use the others"
                ) from error
            yield Entry(head.session_id, head.status, offset, len(line))
            offset += len(line)


class JournalWriter:
    """Appends lines to a journal, each one wholly or not at all."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal, and cut a torn last line.

        Raises:
            InputError: a line that is not torn is not a record.
            OSError: the file cannot be opened or written.
        """
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            self._end = sum(entry.length for entry in entries(path))
            os.ftruncate(self._fd, self._end)
        except BaseException:
            self.close()
            raise

    def append(self, line: bytes) -> None:
        """Write one line and its newline. If that fails, the journal is as it was before.

        Raises:
            OSError: for instance, the disk is full.
        """
        data = memoryview(line + b"\n")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            os.ftruncate(self._fd, self._end)
            raise
        self._end += len(line) + 1

    def close(self) -> None:
        """Close the file. Closing it twice does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
