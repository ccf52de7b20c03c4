"""Reads files as they grow, like ``tail -f``.

It looks for new bytes again and again, since not every file system reports changes.
"""

import os
import select
import stat
from io import FileIO
from pathlib import Path
from typing import Final

from seglab.core.text import safe
from seglab.errors import InputError

CHUNK_BYTES: Final = 1 << 18
"""How many bytes are read at once."""


class Tail:
    """A file that grows, is emptied, or is replaced by another file of its name.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, to read it from its beginning.

        Raises:
            InputError: the file cannot be opened.
        """
        self.path = path
        try:
            self._file = _opened(path)
        except OSError as error:
            raise InputError(f"{safe(str(path))}: {error.strerror or error}") from error

    def poll(self) -> tuple[bool, bytes]:
        """Return what is new.

        Returns:
            Whether the file was emptied or replaced since the last call, so that the bytes are
            the first of another file; and the next bytes, none if nothing is new. The rest of a
            file that was replaced comes before its successor.
        """
        if data := self._file.read(CHUNK_BYTES):
            return False, data
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            return True, self._file.read(CHUNK_BYTES)
        if not self._replaced():
            return False, b""
        if data := self._file.read(CHUNK_BYTES):  # written just before it was renamed
            return False, data
        try:
            successor = _opened(self.path)
        except OSError:  # the old file is gone, and the new one is not there yet
            return False, b""
        self.close()
        self._file = successor
        return True, self._file.read(CHUNK_BYTES)

    @property
    def ended(self) -> bool:
        """Whether no more bytes can come: never, since a file may always grow."""
        return False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _replaced(self) -> bool:
        try:
            now = self.path.stat()
        except OSError:
            return False
        return not os.path.samestat(now, os.fstat(self._file.fileno()))


class Pipe:
    """An open pipe, polled like a growing file.

    Attributes:
        ended: whether all writers have closed it.
    """

    def __init__(self, descriptor: int) -> None:
        """Take the descriptor to read from; its owner closes it."""
        self.ended = False
        self._descriptor = descriptor

    def poll(self) -> tuple[bool, bytes]:
        """Return what is new, as ``Tail.poll`` does; a pipe is never replaced."""
        ready, _, _ = select.select([self._descriptor], [], [], 0)
        if not ready:
            return False, b""
        data = os.read(self._descriptor, CHUNK_BYTES)
        self.ended = not data
        return False, data

    def close(self) -> None:
        """Leave the pipe open, since its owner closes it."""


def _opened(path: Path) -> FileIO:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "is no regular file, so it cannot be followed; give a pipe as -")
    return FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # some of /proc would wait
