"""The options that several commands share, and how a command that runs sessions ends."""

import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click

from seglab.commands.values import finite, given
from seglab.engine import (
    DEFAULT_ENGINE,
    DEFAULT_JOBS,
    DEFAULT_TIME_LIMIT_S,
    check_name,
    engine_names,
)
from seglab.errors import SeglabError
from seglab.execution.carry_out import DEFAULT_SEED
from seglab.runs.folder import RunFolder

_FIXED_BY_RUN: Final = {
    "scenarios",
    "senders",
    "networks",
    "only",
    "sessions",
    "seed",
    "out",
    "engine",
}
"""The parameters that a run keeps from its beginning to its end."""

Command = TypeVar("Command", bound=Callable[..., Any])


def reject_options_fixed_by_run() -> None:
    """Reject options that contradict ``--resume``: a run keeps its sessions, seed and folder.

    Raises:
        click.UsageError: one of these options stands on the command line.
    """
    fixed = given(*_FIXED_BY_RUN)
    if fixed:
        raise click.UsageError(
            f"--resume takes everything from the run folder; leave out {', '.join(fixed)}"
        )


def compare_option(command: Command) -> Command:
    """``--compare``, of every command that compares its run with an earlier one."""
    return click.option(
        "--compare",
        "reference",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Say what is different from an earlier run: its folder, or what was kept of it.",
    )(command)


def seed_option(words: str) -> Callable[[Command], Command]:
    """``--seed``, of every command that draws anything."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=DEFAULT_SEED,
        show_default=True,
        help=words,
    )


def jobs_option(
    words: str = "Sessions side by side; those that mostly wait for a slow link count less.",
) -> Callable[[Command], Command]:
    """``--jobs``, of every command that runs sessions."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, 2000),
        default=DEFAULT_JOBS,
        show_default=True,
        metavar="N",
        help=words,
    )


def cluster_option(words: str) -> Callable[[Command], Command]:
    """``--cluster``, of every command that can give its work to one."""
    return click.option(
        "--cluster",
        metavar="tcp://HOST:PORT",
        help=f"{words} of a Dask cluster, by its scheduler's address.  [default: here]",
    )


def engine_option(command: Command) -> Command:
    """``--engine``, of every command that runs sessions."""
    return click.option(
        "--engine",
        default=DEFAULT_ENGINE,
        show_default=True,
        metavar="NAME",
        callback=lambda _context, _parameter, value: check_name(value),
        help=f"The engine that carries out the sessions: {' or '.join(engine_names())}.",
    )(command)


def session_options(command: Command) -> Command:
    """The options of every command that runs sessions."""
    for option in reversed(
        (
            click.option(
                "--sessions",
                type=click.IntRange(1, 1_000_000),
                metavar="N",
                help="Sessions of each sender on each network.  [default: the scenario's own]",
            ),
            seed_option("All randomness of the lab flows from it."),
            jobs_option(),
            click.option(
                "--time-limit",
                "time_limit_s",
                type=click.FloatRange(0.1, 86_400),
                callback=finite,
                default=DEFAULT_TIME_LIMIT_S,
                show_default=True,
                metavar="SECONDS",
                help="A session that takes longer than its sender's pauses and its network's own"
                " time together, and then this, is marked failed.",
            ),
            engine_option,
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                metavar="DIR",
                help="The run folder.  [default: runs/NAME-DATE-TIME]",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
            click.option("-q", "--quiet", is_flag=True, help="Say nothing while working."),
            click.option(
                "-v", "--verbose", is_flag=True, help="Say why each failed session failed."
            ),
        )
    ):
        command = option(command)
    return command


def interrupted(folder: RunFolder) -> NoReturn:
    """Tell a user who pressed Ctrl-C what is kept and how to go on, and exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if folder.writable:
        with suppress(SeglabError):
            folder.update(status="interrupted")  # also where only the report was still to come
    ended = len(folder.statuses())
    again = shlex.join(["seglab", folder.manifest.command, "--resume", str(folder.path)])
    click.echo(
        f"interrupted: {ended} sessions are kept in {folder.path}; go on with: {again}", err=True
    )
    sys.exit(130)
