"""The append-only journal of a run: one finished session a line.

A line goes to the kernel in full as soon as the session ends, so killing the writer loses
nothing that had finished. At worst the last line is torn; it is recognised by its missing
newline.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from seglab.errors import InputError


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one record stands in a journal."""

    session_id: str
    status: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class _Head:
    """The columns that an entry needs; the others are not even decoded."""

    session_id: str
    status: str


_HEAD = msgspec.json.Decoder(_Head)


def entries(path: Path) -> Iterator[Entry]:
    """The whole lines of a journal in the order of writing; a torn last line is left out.

    Raises:
        InputError: a line that is whole is no record; says which.
    """
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                head = _HEAD.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise InputError(
                    f"{path}: line {number} is not a session record ({error});"
                    " remove that line to use the others"
                ) from error
            yield Entry(head.session_id, head.status, offset, len(line))
            offset += len(line)


class JournalWriter:
    """Appends lines to a journal, each of them wholly or not at all."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal, and cut a torn last line.

        Raises:
            InputError: a line that is whole is no record.
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
        """Write one line and its newline; if that fails, the journal is as it was before.

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
        """Close the file; closing twice does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
