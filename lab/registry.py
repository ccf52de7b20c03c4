"""Finds the senders, networks and scenarios: one file each, in the packages that hold them.

A new one is a new file. Nothing else lists them: the command line, the matrix, the tests and the
plots all ask here.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from lab import network as network_
from lab import scenario as scenario_
from lab.errors import InputError, nearest
from lab.network import Network
from lab.scenario import Scenario
from lab.sender import Sender
from lab.specfile import SIZE_MAX_BYTES, Table, decode, read

_T = TypeVar("_T")
_ENDING = ".toml"


@cache
def senders() -> Mapping[str, Sender]:
    """All senders by name."""
    return senders_in(importlib.import_module("senders"))


@cache
def networks() -> Mapping[str, Network]:
    """All networks by name, which is the file's without its ending."""
    return dict(_specs("lab.networks", network_.parse))


@cache
def scenarios() -> Mapping[str, Scenario]:
    """All scenarios by name, which is the file's without its ending."""
    return dict(_specs("scenarios", _parse_scenario))


def sender(name: str) -> Sender:
    """The sender of that name.

    Raises:
        InputError: there is none; has the nearest name.
    """
    return _known("sender", name, senders())


def network(name: str) -> Network:
    """The network of that name.

    Raises:
        InputError: there is none; has the nearest name.
    """
    return _known("network", name, networks())


def scenario(name_or_path: str | Path) -> Scenario:
    """The scenario of that name, or in that file of the user's own.

    A string is a path where it ends in ``.toml`` or holds a slash.

    Raises:
        InputError: there is none, or the file cannot be used; says where and why.
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and path.suffix != _ENDING and path.name == name_or_path:
        known = scenarios()
        if name_or_path not in known:
            raise InputError(
                f"unknown scenario {name_or_path!r}; {nearest(name_or_path, known)}; "
                f"a file of your own needs the ending {_ENDING}"
            )
        return known[name_or_path]
    return _parse_scenario(path.stem, Table(str(path), read(path)))


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


def _specs(package: str, parse: Callable[[str, Table], _T]) -> Iterable[tuple[str, _T]]:
    for file in sorted(resources.files(package).iterdir(), key=lambda file: file.name):
        if file.name.endswith(_ENDING):
            name = file.name.removesuffix(_ENDING)
            yield name, parse(name, _table(package, file))


def _table(package: str, file: Traversable) -> Table:
    where = f"{package.replace('.', '/')}/{file.name}"
    return Table(where, decode(file.read_bytes()[:SIZE_MAX_BYTES], where))


def _parse_scenario(name: str, table: Table) -> Scenario:
    return scenario_.parse(name, table, senders(), networks())


def _known(kind: str, name: str, known: Mapping[str, _T]) -> _T:
    if name not in known:
        raise InputError(f"unknown {kind} {name!r}; {nearest(name, known)}")
    return known[name]
