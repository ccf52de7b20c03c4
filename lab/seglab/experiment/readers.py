"""Named readers: how real servers read, as parameters, measured from the servers themselves.

A named reader is one file, ``servers/readers/NAME.toml``::

    summary = "Postfix's smtpd(8)"
    source = "https://www.postfix.org/smtpd.8.html"  # where the behaviour is described
    server = "postfix-server"                # the program that it was measured from
    version = "3.7.11"

    [reader]                                 # as in a scenario
    kind = "event-loop"
    buffer_bytes = 4096

    [measured]                               # by benchmarks/readers.py
    calls = ["poll, read 4096"]              # what it waits with, and what it asks for
    sessions = 96                            # of so many sessions
    networks = ["ethernet", "gprs"]
    system = "Linux 6.18"

Wherever a reader is described, ``name = "postfix"`` stands for these parameters. Others beside it
replace the reader's own.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from seglab.core import plugins
from seglab.core.specfile import SpecTable, read
from seglab.core.text import one_line
from seglab.errors import InputError, nearest
from seglab.experiment.reader import Reader
from seglab.software.program import servers

_SESSIONS_MAX: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class MeasuredCalls:
    """From what a named reader was measured.

    Attributes:
        calls: what the server waits with and asks for, the most frequent first.
        sessions: how many sessions it read.
        networks: the names of the networks that these crossed.
        system: whose kernel it was.
    """

    calls: tuple[str, ...]
    sessions: int
    networks: tuple[str, ...]
    system: str


@dataclass(frozen=True, slots=True)
class NamedReader:
    """How a real server reads.

    Attributes:
        name: the file's name without its ending.
        summary: one line for people.
        source: where the behaviour is described.
        server: the name of the program that was measured.
        version: its version.
        reader: its parameters.
        measured: from what; ``None`` before it was.
    """

    name: str
    summary: str
    source: str
    server: str
    version: str
    reader: Reader
    measured: MeasuredCalls | None

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        measured = None if self.measured is None else asdict(self.measured)
        return {
            "name": self.name,
            "kind": self.reader.kind,
            "buffer_bytes": self.reader.buffer_bytes,
            "turn_us": self.reader.turn_us,
            "wake_us": self.reader.wake_us,
            "server": self.server,
            "version": self.version,
            "summary": self.summary,
            "source": self.source,
            "measured": measured,
        }


def parse(name: str, table: SpecTable) -> NamedReader:
    """The named reader that a table describes.

    Raises:
        InputError: the table cannot be used; says where and why.
    """
    server = table.text("server")
    if server not in servers():
        raise InputError(
            f"{table.where}: server: unknown server {server!r}; {nearest(server, servers())}"
        )
    own = table.table("reader")
    try:
        reader = Reader.from_mapping(dict(own.items()))
    except ValueError as error:
        raise InputError(f"{table.where}: {one_line(str(error))}") from error
    found = NamedReader(
        name=name,
        summary=table.text("summary"),
        source=table.text("source"),
        server=server,
        version=table.text("version"),
        reader=reader,
        measured=_measured(table.table("measured")) if "measured" in table else None,
    )
    table.finish()
    return found


def _measured(table: SpecTable) -> MeasuredCalls:
    found = MeasuredCalls(
        calls=_lines(table, "calls"),
        sessions=table.integer("sessions", 1, _SESSIONS_MAX),
        networks=_lines(table, "networks"),
        system=table.text("system"),
    )
    table.finish()
    return found


def _lines(table: SpecTable, key: str) -> tuple[str, ...]:
    values = table.array(key, "a list of lines")
    for value in values:
        if not isinstance(value, str) or not value.isprintable():
            raise table.problem(key, "a list of texts, each in one line", value)
    return tuple(values)


def readers_in(folder: Path) -> dict[str, NamedReader]:
    """The named readers of a folder's TOML files, by name.

    Raises:
        InputError: a file cannot be used; says where and why.
    """
    return {
        file.stem: parse(file.stem, SpecTable(f"{folder.name}/{file.name}", read(file)))
        for file in plugins.files(folder, ".toml")
    }


@cache
def readers() -> Mapping[str, NamedReader]:
    """All shipped named readers by name."""
    return readers_in(plugins.shipped("servers") / "readers")


def named_reader(name: str) -> NamedReader:
    """The named reader of that name.

    Raises:
        InputError: there is none; the message has the nearest name.
    """
    if name not in readers():
        raise InputError(f"unknown reader {name!r}; {nearest(name, readers())}")
    return readers()[name]


def reader_of(mapping: Mapping[str, Any]) -> Reader:
    """The reader that a file describes: by its parameters, by a ``name``, or by both.

    Raises:
        ValueError: a key is unknown or a value cannot be used.
    """
    if "name" not in mapping:
        return Reader.from_mapping(mapping)
    name = mapping["name"]
    if not isinstance(name, str) or name not in readers():
        raise ValueError(f"reader name: {name!r}; {nearest(str(name), readers())}")
    given = {key: value for key, value in mapping.items() if key != "name"}
    return Reader.from_mapping(asdict(readers()[name].reader) | given)
