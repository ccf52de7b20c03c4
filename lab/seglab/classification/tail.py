"""Reads files as they grow, like ``tail -f``; it looks again, as not every file system tells."""

import os
import select
import stat
from io import FileIO
from pathlib import Path
from typing import Final

from seglab.core.text import safe
from seglab.errors import InputError

CHUNK_BYTES: Final = 1 << 18


class Tail:
    """A file that grows, is emptied, or is replaced by another of its name.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        """Begin at the file's beginning.

        Raises:
            InputError: it cannot be opened now.
        """
        self.path = path
        try:
            self._file = _opened(path)
        except OSError as error:
            raise InputError(f"{safe(str(path))}: {error.strerror or error}") from error

    def poll(self) -> tuple[bool, bytes]:
        """What is new.

        Returns:
            Whether the file was emptied or replaced since the last call, so that what comes now
            begins another; and the next bytes, none if nothing is new. Of a file that was
            replaced, the rest comes first.
        """
        if data := self._file.read(CHUNK_BYTES):
            return False, data
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            return True, self._file.read(CHUNK_BYTES)
        if not self._replaced():
            return False, b""
        try:
            successor = _opened(self.path)
        except OSError:  # between the old one's going and the new one's coming
            return False, b""
        self.close()
        self._file = successor
        return True, self._file.read(CHUNK_BYTES)

    @property
    def ended(self) -> bool:
        """A file may always grow."""
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
        """Args: descriptor to read from."""
        self.ended = False
        self._descriptor = descriptor

    def poll(self) -> tuple[bool, bytes]:
        """What is new, as ``Tail.poll``; a pipe is never another one."""
        ready, _, _ = select.select([self._descriptor], [], [], 0)
        if not ready:
            return False, b""
        data = os.read(self._descriptor, CHUNK_BYTES)
        self.ended = not data
        return False, data

    def close(self) -> None:
        """The pipe is somebody else's to close."""


def _opened(path: Path) -> FileIO:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "is no regular file, so it cannot be followed; give a pipe as -")
    return FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # some of /proc would wait
