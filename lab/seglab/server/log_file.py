"""The file that ``seglab serve --out`` appends to: whole lines, also after a crash or a rotation.

A line that was torn, by a full disk or a power cut, has no end. The next one would continue it, and
both would be lost, so a file that does not end with a newline gets one when it is opened.

After ``reopen``, which a signal handler may call, the next line opens the path again. A program
that rotates logs renames the file, and then sends the signal.
"""

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path


class LogFile(io.TextIOBase):
    """Appends text to a file, without a buffer; only ASCII."""

    def __init__(self, path: Path, warn: Callable[[str], object]) -> None:
        """Open the file, or make it.

        Args:
            path: of the file.
            warn: takes the reason why the file could not be opened again, as a line of text.

        Raises:
            OSError: the file cannot be opened.
        """
        self._path = path
        self._warn = warn
        self._reopen = False
        self._file = _opened(path)

    def reopen(self) -> None:
        """Have the next line open the path again."""
        self._reopen = True

    def write(self, text: str) -> int:
        """Append text, all of it.

        Raises:
            OSError: it cannot be written; a part of it may be in the file.
        """
        if self._reopen:
            self._reopen = False
            self._open_again()
        data = memoryview(text.encode("ascii"))
        while data:
            data = data[os.write(self._file, data) :]
        return len(text)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._file)
        super().close()

    def _open_again(self) -> None:
        try:
            file = _opened(self._path)
        except OSError as error:
            self._warn(
                f"warning: {self._path}: cannot open the log again: {error.strerror}; "
                "the file that was open gets the lines"
            )
            return
        os.close(self._file)
        self._file = file


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
