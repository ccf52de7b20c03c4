"""The file that ``seglab serve --out`` appends to: whole lines, also after a crash or a rotation.

A line that was torn, by a full disk or a power cut, has no end. The next one would continue it, and
both would be lost, so a file that does not end with a newline gets one when it is opened.

There are two ways to rotate the file, and with both the lines of one connection stay together:

- Another program renames the file and then has ``reopen`` called, by a signal. Before the lines of
  the next connection, the path is opened again.
- With a ``Rotation``, the file is renamed here once it is large enough: ``FILE`` becomes
  ``FILE.1``, ``FILE.1`` becomes ``FILE.2``, and so on. Files move up only as far as the first
  number that is free, and each renaming is one step of the file system. So a crash in between
  leaves a free number and loses nothing. Where no number is free, the oldest file is replaced.
"""

import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seglab.core.text import safe


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a log is rotated, and what is kept.

    Attributes:
        size_bytes: from this size on, the file is renamed before the lines of a connection.
        keep: how many renamed files there are at most.
    """

    size_bytes: int
    keep: int


class LogFile(io.TextIOBase):
    """Appends text to a file, without a buffer; only ASCII."""

    def __init__(
        self, path: Path, warn: Callable[[str], object], rotation: Rotation | None = None
    ) -> None:
        """Open the file, or make it.

        Args:
            path: of the file.
            warn: takes the reason why the file could not be rotated, as a line of text.
            rotation: when the file is renamed here; ``None`` for never.

        Raises:
            OSError: the file cannot be opened, or is none that can be rotated.
        """
        self._path = path
        self._warn = warn
        self._rotation = rotation
        self._full_bytes = 0 if rotation is None else rotation.size_bytes
        self._reopen = False
        self._file = _opened(path)
        if rotation is not None and not stat.S_ISREG(os.fstat(self._file).st_mode):
            os.close(self._file)
            raise OSError(0, "is no regular file, so it cannot be rotated")

    def reopen(self) -> None:
        """Have ``begin`` open the path again."""
        self._reopen = True

    def begin(self) -> None:
        """Rotate the file if that is due: what is written from now on may be in another file."""
        if self._reopen:
            self._reopen = False
            self._open_again()
        elif self._rotation is not None and os.fstat(self._file).st_size >= self._full_bytes:
            self._rotate(self._rotation)

    def write(self, text: str) -> int:
        """Append text, all of it.

        Raises:
            OSError: it cannot be written; a part of it may be in the file.
        """
        data = memoryview(text.encode("ascii"))
        while data:
            data = data[os.write(self._file, data) :]
        return len(text)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._file)
        super().close()

    def _rotate(self, rotation: Rotation) -> None:
        """Rename the file and those before it, and open a new one.

        If that fails, the lines go on into the same file, until it has grown by as much again.
        """
        self._full_bytes = os.fstat(self._file).st_size + rotation.size_bytes
        try:
            if self._is_at_its_path():  # else somebody has renamed it already
                _move_up(self._path, rotation.keep)
        except OSError as error:
            self._warn(
                f"warning: {safe(str(self._path))}: cannot rotate the log: {error.strerror}; "
                "it goes on in the same file"
            )
            return
        if self._open_again():
            self._full_bytes = rotation.size_bytes

    def _is_at_its_path(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _open_again(self) -> bool:
        try:
            file = _opened(self._path)
        except OSError as error:
            self._warn(
                f"warning: {safe(str(self._path))}: cannot open the log again: {error.strerror}; "
                "the file that was open gets the lines"
            )
            return False
        os.close(self._file)
        self._file = file
        return True


def numbered(path: Path, number: int) -> Path:
    """Return what a log is called after so many rotations; 0 is the log itself."""
    return path.with_name(f"{path.name}.{number}") if number else path


def _move_up(path: Path, keep: int) -> None:
    """Give each of the log's files the next number, up to the first number that is free.

    The last file that is kept is replaced where no number is free.
    """
    free = next((n for n in range(1, keep) if not os.path.lexists(numbered(path, n))), keep)
    for number in reversed(range(free)):
        numbered(path, number).replace(numbered(path, number + 1))


def _opened(path: Path) -> int:
    """Open a file for appending, and end its last line where that was torn."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and found.st_size and _last_byte(path) != b"\n":
            os.write(file, b"\n")
    except BaseException:
        os.close(file)
        raise
    return file


def _last_byte(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1)
    except OSError:  # it may be written, but not read
        return b""
