"""What ``run`` and ``reproduce`` share: options, carrying sessions out, and ending well."""

import asyncio
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from lab.commands.progress import RunProgress
from lab.errors import SeglabError
from lab.kernel.engine import EngineOptions, KernelEngine
from lab.network import Network
from lab.plan import SessionSpec
from lab.record import SessionRecord
from lab.runfolder import RunFolder

DEFAULT_JOBS = 40
DEFAULT_SEED = 2014
DEFAULT_TIME_LIMIT_S = 60.0

Planned = tuple[SessionSpec, Network]
"""A session, and the network it runs over."""

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Voice:
    """How much a command says while it works."""

    quiet: bool = False
    verbose: bool = False


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
            click.option(
                "--seed",
                type=click.IntRange(0, 2**63 - 1),
                default=DEFAULT_SEED,
                show_default=True,
                help="All randomness of the lab flows from it.",
            ),
            click.option(
                "--jobs",
                type=click.IntRange(1, 2000),
                default=DEFAULT_JOBS,
                show_default=True,
                metavar="N",
                help="Sessions side by side.",
            ),
            click.option(
                "--time-limit",
                "time_limit_s",
                type=click.FloatRange(0.1, 86_400),
                default=DEFAULT_TIME_LIMIT_S,
                show_default=True,
                metavar="SECONDS",
                help="A session that takes longer is marked failed.",
            ),
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


def default_out(name: str) -> Path:
    """A new run folder's path: below ``runs``, named after what ran and when."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{name}-{stamp}-{secrets.token_hex(2)}"


def carry_out(
    folder: RunFolder,
    specs: Sequence[Planned],
    *,
    jobs: int,
    time_limit_s: float,
    voice: Voice,
) -> None:
    """Run what is not complete yet, and leave a valid run folder however that ends.

    Raises:
        SeglabError: the run cannot go on; the folder says so, and holds what had ended.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the folder holds what had ended.
    """
    done = {session for session, status in folder.statuses().items() if status == "complete"}
    todo = [(spec, path) for spec, path in specs if spec.session_id not in done]
    with (folder.path / "log.txt").open("ab") as log:
        engine = KernelEngine(EngineOptions(jobs, time_limit_s, folder.path, log.fileno()))
        with RunProgress(
            len(specs), len(specs) - len(todo), quiet=voice.quiet, verbose=voice.verbose
        ) as progress:

            def on_record(record: SessionRecord) -> None:
                folder.append(record)
                if record.error is not None:
                    folder.log(f"{record.session_id}: failed: {record.error}")
                progress.ended(record.session_id, record.error)

            try:
                asyncio.run(_interruptible(engine, todo, on_record))
            except (KeyboardInterrupt, asyncio.CancelledError):
                _end(folder, engine, "interrupted")
                raise KeyboardInterrupt from None
            except SeglabError as error:
                folder.log(f"failed: {error}")
                with suppress(SeglabError):
                    _end(folder, engine, "failed", str(error))
                raise
    _end(folder, engine, "complete")


async def _interruptible(
    engine: KernelEngine, specs: Sequence[Planned], on_record: Callable[[SessionRecord], None]
) -> None:
    """Let SIGTERM end a run as Ctrl-C does; unwrap the one error that matters."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await engine.run(specs, on_record)
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return group


def _end(folder: RunFolder, engine: KernelEngine, status: Any, error: str | None = None) -> None:
    folder.update(
        sysctls={
            network: {host: state["sysctls"] for host, state in hosts.items()}
            for network, hosts in engine.environments.items()
        }
        or folder.manifest.sysctls,
        offloads={
            network: {
                device: values
                for state in hosts.values()
                for device, values in state["offloads"].items()
            }
            for network, hosts in engine.environments.items()
        }
        or folder.manifest.offloads,
    )
    folder.finalise(status, error)


def interrupted(folder: RunFolder) -> None:
    """Tell a user who pressed Ctrl-C what is kept and how to go on."""
    ended = len(folder.statuses())
    click.echo(
        f"interrupted: {ended} sessions are kept in {folder.path}; "
        f"go on with: seglab run --resume {folder.path}",
        err=True,
    )
    sys.exit(130)
