"""Finds the senders: shipped ones by name, a user's own by the path of its file.

The other registries are in ``seglab.experiment.registry``. This one is apart from them because the
lab's client needs senders only, and has to start in milliseconds.
"""

import hashlib
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from seglab.core import plugins
from seglab.errors import InputError, nearest
from seglab.sender.sender import Sender

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""The names that a sender may have: they are parts of session ids and of file names."""


@dataclass(frozen=True, slots=True)
class SenderFile:
    """The file of a user's own sender.

    Attributes:
        path: absolute.
        sha256: of its content, in hexadecimal, when it was loaded.
    """

    path: str
    sha256: str


@cache
def senders() -> Mapping[str, Sender]:
    """All shipped senders by name."""
    return senders_in(plugins.shipped("senders"))


def sender(name: str, path: str | None = None) -> Sender:
    """The sender of that name.

    Args:
        name: of the sender.
        path: of the file that holds it; ``None`` for a shipped sender.

    Raises:
        InputError: there is no such sender; the message has the nearest name, or the file.
    """
    if path is not None:
        own = sender_of(Path(path))
        if own.name != name:
            raise InputError(f"{path}: expected a sender called {name!r}, found {own.name!r}")
        return own
    known = senders()
    if name not in known:
        raise InputError(f"unknown sender {name!r}; {nearest(name, known)}")
    return known[name]


def is_path(name: str) -> bool:
    """Whether a user means a file by this name of a sender: it has a slash, or ends in ``.py``."""
    return "/" in name or name.endswith(".py")


def own_sender(path: Path) -> tuple[Sender, SenderFile]:
    """Load a user's own sender.

    The file is Python code, and loading it runs that code.

    Raises:
        InputError: the file cannot be loaded, has no sender or more than one, or its sender's name
            cannot be used; names the file.
    """
    path = path.absolute()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    own = sender_of(path)
    if not NAME.fullmatch(own.name):
        raise InputError(
            f"{path}: SENDER.name: expected up to 64 letters, digits, '_' and '-', a letter first, "
            f"found {reprlib.repr(own.name)}"
        )
    if own.name in senders():
        raise InputError(
            f"{path}: SENDER.name: {own.name!r} is the name of a shipped sender; choose another"
        )
    return own, SenderFile(str(path), digest)


def senders_in(folder: Path) -> dict[str, Sender]:
    """The senders of a folder's Python files, by name.

    Raises:
        InputError: a file cannot be loaded, has no sender, more than one, or one whose name
            is taken; names the file.
    """
    found: dict[str, Sender] = {}
    files: dict[str, Path] = {}
    for file in plugins.files(folder, ".py"):
        one = sender_of(file)
        if one.name in found:
            raise InputError(f"{file}: the name {one.name!r} is taken by {files[one.name]}")
        found[one.name] = one
        files[one.name] = file
    return found


def sender_of(file: Path) -> Sender:
    """The one sender of a Python file.

    Raises:
        InputError: the file cannot be loaded, or has no sender or more than one; names the file.
    """
    module = plugins.load(file)
    values = [name for name, value in vars(module).items() if isinstance(value, Sender)]
    if values != ["SENDER"]:
        others = f", found {', '.join(sorted(values))}" if values else ", found none"
        raise InputError(f"{file}: expected one sender, called SENDER{others}")
    one: Sender = module.SENDER
    return one
