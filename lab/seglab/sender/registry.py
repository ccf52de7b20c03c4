"""Finds the senders by name.

The other registries are in ``seglab.experiment.registry``. This one is apart from them because the
lab's client needs senders only, and has to start in milliseconds.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from seglab.core import plugins
from seglab.errors import InputError, nearest
from seglab.sender.sender import Sender


@cache
def senders() -> Mapping[str, Sender]:
    """All shipped senders by name."""
    return senders_in(plugins.shipped("senders"))


def sender(name: str) -> Sender:
    """The sender of that name.

    Raises:
        InputError: there is none; has the nearest name.
    """
    known = senders()
    if name not in known:
        raise InputError(f"unknown sender {name!r}; {nearest(name, known)}")
    return known[name]


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
