"""A mail program that the lab knows by name: what it consists of, and how to hand it a message.

One TOML file in ``senders/programs`` describes one program that sends, and one in ``servers`` one
that serves; ``senders/programs/README.md`` shows every key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from seglab.core import plugins
from seglab.core.lookup import named
from seglab.core.parameters import shown
from seglab.core.specfile import SIZE_MAX_BYTES, SpecTable, decode
from seglab.errors import InputError

TREE_PYPI: Final = "/usr/lib/seglab/pypi"
"""Where a program finds packages of PyPI, as it sees the file system."""

TREE_NPM: Final = "/usr/lib/seglab/npm"
"""Where a program finds ``node_modules``."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,31}")
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9.+-]+")
_PYPI = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+")
_NPM = re.compile(r"(@[a-z0-9._-]+/)?[A-Za-z0-9._-]+@[0-9][A-Za-z0-9.+-]*")
_DIGEST = re.compile(r"sha(256:[0-9a-f]{64}|512-[A-Za-z0-9+/]{86}==)")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_TEXT_MAX = 1 << 16


@dataclass(frozen=True, slots=True)
class NamedProgram:
    """A mail program that the lab knows by name.

    Attributes:
        name: the file's name without its ending.
        title: one line for people.
        source: where its behaviour or its interface is described.
        settings: what of its settings matters for how it writes; empty where all are its defaults.
        debian: packages of Debian or Ubuntu.
        pypi: packages of PyPI, each as ``NAME==VERSION``.
        npm: packages of npm, each as ``NAME@VERSION``.
        digests: of packages of PyPI (``sha256:`` and hexadecimal) and npm (``sha512-`` and base64).
        needs: programs of the machine that it runs on, each with the Debian package that brings it
            where the machine has none.
        runtime: a command that prints the version of what runs it; empty where nothing does.
        accounts: users that the program expects to be there; each gets a group of the same name.
        files: configuration and scripts, by their absolute path, with placeholders.
        environment: variables, with placeholders.
        command: the program and its arguments, with placeholders.
        send: the shell's command that hands the message to a daemon; ``None`` for other programs.
        ready: what says that a daemon is ready for it, as for `seglab try --ready`.
        done: what says that the session is over, as for `seglab try --done`.
        build_debian: packages that are needed to build it, and are gone afterwards.
        build: the shell's commands that build it; ``None`` for a program that is ready. ``TOOLS``
            is the folder that those packages are unpacked in, ``TREE`` that of the program's files.
    """

    name: str
    title: str
    source: str
    command: tuple[str, ...]
    settings: str = ""
    debian: tuple[str, ...] = ()
    pypi: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)
    runtime: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    send: str | None = None
    ready: str | None = None
    done: str | None = None
    build_debian: tuple[str, ...] = ()
    build: str | None = None

    @property
    def needs_nothing(self) -> bool:
        """Whether it can run without an installation."""
        return not (self.debian or self.pypi or self.npm or self.needs or self.build)

    @property
    def main_package(self) -> str:
        """The package whose version is the program's; empty where it has no package."""
        found = [*self.pypi, *self.npm, *self.debian, *self.build_debian]
        return re.split(r"==|(?<=.)@", found[0])[0] if found else ""


SERVER_ENDING: Final = "-server"
"""How the names of programs that serve end, so that none is also the name of one that sends."""


@cache
def programs() -> Mapping[str, NamedProgram]:
    """Return all programs that the lab knows and that send, by name.

    Raises:
        InputError: a file cannot be used; says where and why.
    """
    return _programs_in(plugins.shipped("senders") / "programs")


@cache
def servers() -> Mapping[str, NamedProgram]:
    """Return all programs that the lab knows and that serve, by name.

    Raises:
        InputError: a file cannot be used; says where and why.
    """
    found = _programs_in(plugins.shipped("servers"))
    for name, server in found.items():
        if not name.endswith(SERVER_ENDING):
            raise InputError(f"servers/{name}.toml: expected a name that ends in {SERVER_ENDING}")
        if server.send is not None or server.done is not None:
            raise InputError(f"servers/{name}.toml: a server gets no message; leave out send, done")
    return found


def _programs_in(folder: Path) -> Mapping[str, NamedProgram]:
    found = {}
    for file in plugins.files(folder, ".toml"):
        where = f"{folder.name}/{file.name}"
        with file.open("rb") as content:
            table = SpecTable(where, decode(content.read(SIZE_MAX_BYTES), where))
        found[file.stem] = parse(file.stem, table)
    return found


def program(name: str) -> NamedProgram:
    """Return the program of that name, one that sends or one that serves.

    Raises:
        InputError: there is no such program; the message has the nearest name.
    """
    return named("program", name, {**programs(), **servers()})


def server(name: str) -> NamedProgram:
    """Return the program of that name that serves.

    Raises:
        InputError: there is no such program; the message has the nearest name.
    """
    return named("server", name, servers())


def parse(name: str, table: SpecTable) -> NamedProgram:
    """Return the program that a table describes.

    Args:
        name: the file's name without its ending.
        table: the file's content.

    Raises:
        InputError: the table cannot be used; says where in which file, what was expected and what
            was found.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{table.file}: expected a name of small letters, digits, dots and dashes")
    packages = table.table("packages")
    debian = _words(packages, "debian", _DEBIAN, "names of Debian packages")
    pypi = _words(packages, "pypi", _PYPI, "packages of PyPI as NAME==VERSION")
    npm = _words(packages, "npm", _NPM, "packages of npm as NAME@VERSION")
    packages.finish()
    building = table.table("build")
    build_debian = _words(building, "debian", _DEBIAN, "names of Debian packages")
    build = building.lines("shell") if "build" in table else None
    building.finish()
    found = NamedProgram(
        name=name,
        title=table.text("title"),
        source=table.text("source"),
        command=_command(table),
        settings=table.text("settings", default=""),
        debian=debian,
        pypi=pypi,
        npm=npm,
        digests=_mapping(table.table("digests"), None, _DIGEST, "sha256:HEX or sha512-BASE64"),
        needs=_mapping(table.table("needs"), None, _DEBIAN, "the name of a Debian package"),
        runtime=_words(table, "runtime", None, "a command's words"),
        accounts=_words(table, "accounts", _ACCOUNT, "names of users"),
        files=_mapping(table.table("files"), re.compile(r"/[^\0]*[^/\0]"), None, "text"),
        environment=_mapping(table.table("environment"), _VARIABLE, None, "text"),
        build_debian=build_debian,
        build=build,
        **{key: table.lines(key) for key in ("send", "ready", "done") if key in table},
    )
    if found.send is None and found.ready is not None:
        raise InputError(f"{table.where}: ready: expected send as well")
    table.finish()
    for package in found.digests:
        if package not in (*pypi, *npm):
            raise InputError(f"{table.where}: digests: {shown(package)} is no package of this file")
    for package in pypi:
        if package not in found.digests:
            raise InputError(f"{table.where}: digests: {shown(package)} is missing")
    return found


def _command(table: SpecTable) -> tuple[str, ...]:
    """Return the command line; that of a shell's text where the file has one."""
    if "shell" not in table:
        return tuple(_texts(table, "command", table.array("command", "a command's words")))
    if "command" in table:
        raise InputError(f"{table.where}: expected command or shell, found both")
    return "/bin/sh", "-euc", table.lines("shell")


def _words(
    table: SpecTable, key: str, pattern: re.Pattern[str] | None, expected: str
) -> tuple[str, ...]:
    values = _texts(table, key, table.array(key, f"a list of {expected}", required=False))
    for value in values:
        if pattern is not None and not pattern.fullmatch(value):
            raise table.problem(key, expected, value)
    return tuple(values)


def _texts(table: SpecTable, key: str, values: list[object]) -> list[str]:
    found = []
    for value in values:
        if not isinstance(value, str) or "\0" in value or len(value) > _TEXT_MAX:
            raise table.problem(key, f"text of {_TEXT_MAX} characters at most", value)
        found.append(value)
    return found


def _mapping(
    table: SpecTable,
    keys: re.Pattern[str] | None,
    values: re.Pattern[str] | None,
    expected: str,
) -> dict[str, str]:
    """Return a table of texts, whose keys and values must look like this."""
    found = {}
    for key, value in table.items():
        if keys is not None and not keys.fullmatch(key):
            raise InputError(f"{table.where}: {shown(key)} cannot be used as a key here")
        (text,) = _texts(table, key, [value])
        if values is not None and not values.fullmatch(text):
            raise table.problem(key, expected, text)
        found[key] = text
    return found
