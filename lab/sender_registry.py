"""Finds the senders: apart from the other registries, since the lab's client needs only these."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType

from lab.errors import InputError, nearest
from lab.sender import Sender


@cache
def senders() -> Mapping[str, Sender]:
    """All senders by name."""
    return senders_in(importlib.import_module("senders"))


def sender(name: str) -> Sender:
    """The sender of that name.

    Raises:
        InputError: there is none; has the nearest name.
    """
    known = senders()
    if name not in known:
        raise InputError(f"unknown sender {name!r}; {nearest(name, known)}")
    return known[name]


def senders_in(package: ModuleType) -> dict[str, Sender]:
    """The senders of a package's modules, by name.

    Raises:
        InputError: a module cannot be imported, has no sender, more than one, or one whose name
            is taken; names the file.
    """
    found: dict[str, Sender] = {}
    files: dict[str, str] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module, file = _imported(f"{package.__name__}.{info.name}")
        values = [name for name, value in vars(module).items() if isinstance(value, Sender)]
        if values != ["SENDER"]:
            others = f", found {', '.join(sorted(values))}" if values else ", found none"
            raise InputError(f"{file}: expected one sender, called SENDER{others}")
        one: Sender = module.SENDER
        if one.name in found:
            raise InputError(f"{file}: the name {one.name!r} is taken by {files[one.name]}")
        found[one.name] = one
        files[one.name] = file
    return found


def _imported(name: str) -> tuple[ModuleType, str]:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever somebody's module raises
        spec = importlib.util.find_spec(name)
        file = name if spec is None else spec.origin
        raise InputError(f"{file}: cannot be imported: {type(error).__name__}: {error}") from error
    return module, module.__file__ or name
