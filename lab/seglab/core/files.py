"""Files that are written wholly or not at all, and folders that one process at a time writes to."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from seglab.errors import DiskFullError, InputError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def replace_file(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Put a new file in the place of ``path``, wholly or not at all.

    Args:
        path: may exist or not; readers see the old content or the new, never a part.
        write: writes the content to the open file.
        durable: whether to wait until it is on the disk, so that a loss of power leaves it there.
            What can be made again needs no wait.

    Raises:
        OSError: nothing has changed, and no temporary file is left.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        parent = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


@contextmanager
def writing(path: str | Path, remedy: str = "") -> Iterator[None]:
    """Turn an ``OSError`` inside the block into a one-line error about ``path``.

    Args:
        path: what is written.
        remedy: what the user can do where it cannot be written; empty says nothing.

    Raises:
        DiskFullError: the disk is full, or the user's quota is used up.
        InputError: the path cannot be written for any other reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            continued = (
                "what is recorded stays readable. Free some space, then continue with --resume"
            )
            raise DiskFullError(f"{path}: the disk is full; {remedy or continued}") from error
        advice = f"; {remedy}" if remedy else ""
        raise InputError(f"{path}: cannot be written: {error.strerror or error}{advice}") from error


def make_folder(path: Path) -> list[Path]:
    """Make a folder, and those above it that are not there.

    Returns:
        The folders that this call made, the innermost first.

    Raises:
        OSError: it cannot be made.
    """
    made: list[Path] = []
    try:
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                with suppress(FileExistsError):  # somebody else may make it at the same time
                    folder.mkdir()
                    made.insert(0, folder)
        path.mkdir(exist_ok=True)  # fails where it is a file
    except BaseException:
        remove_folders(made)
        raise
    return made


def remove_folders(made: Iterable[Path]) -> None:
    """Remove folders that ``make_folder`` made, as far as they are empty."""
    with suppress(OSError):
        for folder in made:
            folder.rmdir()


def lock_folder(path: Path, what: str = "run") -> int:
    """Lock a folder for writing.

    A file system that has no locks grants every request.

    Args:
        path: the folder.
        what: what the folder holds, for the error message.

    Returns:
        A file descriptor. The kernel releases the lock when it is closed, or the process ends.

    Raises:
        InputError: another process holds the lock.
        OSError: the folder cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise InputError(f"{path}: another seglab is writing this {what}") from error
    except OSError:
        pass  # a file system that has no locks
    return fd


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock of a folder."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system that has no locks
    else:
        return False
    finally:
        os.close(fd)


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file wholly, or not at all.

    Raises:
        EnvironmentLacksError: it cannot be written; says why.
    """
    with writing(path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            Path(path).unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
