"""Whole commands, called in this process, over files of the other kinds and their mixtures.

The first line of an input has the command's arguments as JSON, in which ``FILE`` stands for the
rest. What a user sees is examined: the exit code, that lines of JSON are JSON, and that nothing
reaches a terminal that is not printable.
"""

import contextlib
import gzip
import io
import json
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import click

from fuzz import captures, json_lines, servers, specs, tables
from fuzz.kind import CASE_BYTES, LINE_MAX, Kind
from seglab import cli
from seglab.core.text import safe
from seglab.errors import SeglabError

_CODES: Final = frozenset((0, 1, 2))
_FILE = "FILE"
_CLASSIFY: Final[tuple[tuple[str, ...], ...]] = (
    ("--json",),
    (),
    ("--explain", "1"),
    ("--by", "client"),
    ("--protocol", "raw", "--json"),
    ("--layer", "reads"),
    ("--weights", "example"),
    ("--style", "relay"),
    ("--min-confidence", "0.5"),
)


def make(random: Random) -> bytes:
    """Return arguments and a file."""
    how = random.randrange(10)
    if how < 7:
        source = random.choice(
            (
                captures.make,
                captures.make,
                servers.make_log,
                _observations,
                tables.make,
                lambda random: servers.make_log(random) + captures.make(random),
            )
        )
        data = source(random)
        if random.random() < 0.1:
            data = gzip.compress(data, 1, mtime=0) + random.choice((b"", b"x", data[:9]))
        classifier = random.choice(("paper", "paper", "boundaries"))
        arguments = ["classify", _FILE, "--classifier", classifier, *random.choice(_CLASSIFY)]
    elif how == 7:
        data = specs.make(random)
        arguments = ["classify", "--weights", _FILE, "--json", _FILE]
    elif how == 8:
        data = tables.make(random)
        arguments = ["regress", "paper", "--sessions", _FILE, "--check", "answers"]
    else:
        data = random.choice((tables.make, json_lines.make))(random)
        arguments = random.choice((["report", _FILE], ["dataset", "check", _FILE]))
    return json.dumps(arguments).encode() + b"\n" + data


def _observations(random: Random) -> bytes:
    lines = (json_lines.make(random).partition(b"\n")[2] for _ in range(random.randint(1, 4)))
    return b"\n".join(lines)


def check(data: bytes) -> None:
    """A command ends with one of its exit codes, and prints what can be printed."""
    head, _, content = data.partition(b"\n")
    arguments = json.loads(head)
    with TemporaryDirectory(prefix="seglab-fuzz-") as folder:
        path = Path(folder, "x")
        path.write_bytes(content)
        seen_by_the_user([str(path) if one == _FILE else one for one in arguments])


def seen_by_the_user(arguments: list[str]) -> None:
    """Run a command in this process, and examine its exit code and what it prints.

    ``cli.main`` reads ``sys.argv``, ends the process, and handles signals; this is its inside.

    Raises:
        AssertionError: the user would see what no user should.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "oe")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _ended(arguments)
    printed, said = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    assert code in _CODES, f"exit code {code}"
    for line in said.split("\n"):
        assert line.isprintable(), f"standard error: {line[:200]!r}"
        assert len(line) <= LINE_MAX, f"standard error: {line[:200]!r}"
    for line in printed.split("\n"):
        if "--json" in arguments and line:
            json.loads(line)
        for cell in line.split("\t"):
            assert cell.isprintable(), f"standard output: {line[:200]!r}"
    assert code != 2 or said.strip(), "it says nothing of what is wrong"


def _ended(arguments: list[str]) -> int:
    """Run a command as the command line does; return its exit code."""
    try:
        return cli._run(arguments)
    except click.ClickException as error:
        click.echo(safe(" ".join(error.format_message().split())), err=True)
        return error.exit_code
    except SeglabError as error:
        click.echo(f"seglab: {safe(str(error))}", err=True)
        return error.exit_code


COMMANDS: Final = Kind(
    "commands",
    "whole commands over files of all kinds",
    make,
    check,
    lambda data: [data[: data.index(b"\n") + 1], *data[data.index(b"\n") + 1 :].splitlines(True)],
    growth_bytes=4 * CASE_BYTES,
)
