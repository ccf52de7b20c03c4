"""The options that several commands share, and how a command that runs sessions ends."""

import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click

from seglab.commands.values import STORED, finite, given
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
    "reader",
    "server",
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
    """``--compare``, for every command that compares its run with an earlier one."""
    return click.option(
        "--compare",
        "reference",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Print what differs from an earlier run. DIR is its run folder, or what `seglab report"
        " --keep` kept of it.",
    )(command)


def selection_options(verb: str) -> Callable[[Command], Command]:
    """``--sender`` and ``--network``, for every command that can leave out some of a scenario."""

    def decorate(command: Command) -> Command:
        sender = click.option(
            "--sender",
            "senders",
            multiple=True,
            metavar="NAME|profile:NAME|FILE.py",
            help=f"{verb} only this sender, a profile of a program, or the one in your own file. "
            "May be repeated.",
        )
        network = click.option(
            "--network",
            "networks",
            multiple=True,
            metavar="NAME",
            help=f"{verb} only this network. May be repeated.",
        )
        return sender(network(command))

    return decorate


def seed_option(words: str) -> Callable[[Command], Command]:
    """``--seed``, for every command that draws random numbers."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=DEFAULT_SEED,
        show_default=True,
        metavar="N",
        help=words,
    )


def resume_option(
    words: str = "Continue the interrupted run in DIR: complete sessions stay, all others run.",
) -> Callable[[Command], Command]:
    """``--resume``, for every command that makes a run folder."""
    return click.option("--resume", "resumed", type=STORED, metavar="DIR", help=words)


def jobs_option(
    words: str = "How many sessions run side by side. One over a slow link mostly waits, and counts"
    " for less.",
) -> Callable[[Command], Command]:
    """``--jobs``, for every command that runs sessions."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, 2000),
        default=DEFAULT_JOBS,
        show_default=True,
        metavar="N",
        help=words,
    )


def cluster_option(words: str) -> Callable[[Command], Command]:
    """``--cluster``, for every command that can give its work to a cluster."""
    return click.option(
        "--cluster",
        metavar="tcp://HOST:PORT",
        help=f"{words} of the Dask cluster whose scheduler has this address.  [default: on this"
        " machine]",
    )


def engine_option(command: Command) -> Command:
    """``--engine``, for every command that runs sessions."""
    return click.option(
        "--engine",
        default=DEFAULT_ENGINE,
        show_default=True,
        metavar="NAME",
        callback=lambda _context, _parameter, value: check_name(value),
        help=f"The engine that carries out the sessions: {' or '.join(engine_names())}.",
    )(command)


def time_limit_option(name: str, text: str) -> Callable[[Command], Command]:
    """The option for the time that a session may take, ``time_limit_s``."""
    return click.option(
        name,
        "time_limit_s",
        type=click.FloatRange(0.1, 86_400),
        callback=finite,
        default=DEFAULT_TIME_LIMIT_S,
        show_default=True,
        metavar="SECONDS",
        help=text,
    )


def session_options(command: Command) -> Command:
    """The options of ``run`` and ``reproduce``."""
    for option in reversed(
        (
            click.option(
                "--sessions",
                type=click.IntRange(1, 1_000_000),
                metavar="N",
                help="How many sessions of each sender on each network.  [default: the scenario's"
                " own number]",
            ),
            seed_option("All randomness comes from it: the same seed plans the same sessions."),
            jobs_option(),
            time_limit_option(
                "--time-limit",
                "How long a session may take, beyond its sender's pauses and its network's own"
                " time, before it is marked as failed.",
            ),
            engine_option,
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                metavar="DIR",
                help="The run folder, new or empty.  [default: runs/NAME-DATE-TIME]",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
            click.option("-q", "--quiet", is_flag=True, help="Print no progress."),
            click.option(
                "-v",
                "--verbose",
                is_flag=True,
                help="Print a line for each session that fails, and why.",
            ),
        )
    ):
        command = option(command)
    return command


def interrupted(folder: RunFolder, again: str | None = None) -> NoReturn:
    """Tell a user who pressed Ctrl-C what is kept and how to continue, and exit with 130.

    Args:
        folder: what was interrupted.
        again: how to continue; by default its own command does with ``--resume``.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if folder.writable:
        with suppress(SeglabError):
            folder.update(status="interrupted")  # also where only the report was missing
    ended = len(folder.statuses())
    again = again or shlex.join(["seglab", folder.manifest.command, "--resume", str(folder.path)])
    click.echo(
        f"interrupted: {ended} sessions are kept in {folder.path}; continue with: {again}", err=True
    )
    sys.exit(130)
