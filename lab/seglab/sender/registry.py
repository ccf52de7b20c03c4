"""Finds the shipped senders by name.

A user's own sender is code that nobody has vouched for, so ``seglab.confined.own_sender`` loads it.

The other registries are in ``seglab.experiment.registry``. This one is apart from them because the
lab's client needs senders only, and has to start in milliseconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from seglab.core import plugins
from seglab.errors import InputError
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


def is_path(name: str) -> bool:
    """Whether a user means a file by this name of a sender: it has a slash, or ends in ``.py``."""
    return "/" in name or name.endswith(".py")


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
    """The one sender of a Python file, whose code runs in this process.

    Raises:
        InputError: the file cannot be loaded, or has no sender or more than one; names the file.
    """
    try:
        return sender_in(plugins.load(file))
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error


def sender_in(module: ModuleType) -> Sender:
    """The one sender of a module.

    Raises:
        ValueError: the module has no sender, or more than one.
    """
    values = [name for name, value in vars(module).items() if isinstance(value, Sender)]
    if values != ["SENDER"]:
        others = f", found {', '.join(sorted(values))}" if values else ", found none"
        raise ValueError(f"expected one sender, called SENDER{others}")
    one: Sender = module.SENDER
    return one
