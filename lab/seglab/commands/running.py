"""What ``run`` and ``reproduce`` share: options, carrying sessions out, and ending well."""

import asyncio
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Self, TypeVar

import click

from seglab.commands.progress import RunProgress
from seglab.commands.values import finite, given
from seglab.core.files import writing
from seglab.core.record import SessionRecord
from seglab.errors import SeglabError
from seglab.experiment.plan import SessionSpec
from seglab.kernel.engine import EngineOptions, KernelEngine
from seglab.networks.network import Network
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import RunStatus

_SETTLED = {"scenarios", "senders", "networks", "only", "sessions", "seed", "out"}

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


def refuse_settled() -> None:
    """Refuse what a run that is gone on with has settled: what runs, its seed, and its folder.

    Raises:
        click.UsageError: something of it stands on the command line.
    """
    settled = given(*_SETTLED)
    if settled:
        raise click.UsageError(
            f"--resume takes everything from the run folder; leave out {', '.join(settled)}"
        )


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
    rounds: Iterable[Sequence[Planned]],
    *,
    jobs: int,
    time_limit_s: float,
    voice: Voice,
) -> None:
    """Run what is not complete yet, and leave a valid run folder however that ends.

    Args:
        folder: the run, open for writing.
        rounds: the sessions; a later round is asked for when the one before has ended, and holds
            all sessions so far and perhaps more.
        jobs: sessions side by side.
        time_limit_s: for one session, beyond its sender's pauses and its network's own time.
        voice: how much to say.

    Raises:
        SeglabError: the run cannot go on; the folder says so, and holds what had ended.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the folder holds what had ended.
    """
    began = time.monotonic()
    with (
        Interruption() as interruption,
        _log_file(folder) as log,
        RunProgress(quiet=voice.quiet, verbose=voice.verbose) as progress,
    ):
        engine = KernelEngine(EngineOptions(jobs, time_limit_s, folder.path, log.fileno()))
        progress.left_s = engine.forecast.left_s

        def on_record(record: SessionRecord) -> None:
            folder.append(record)
            if record.error is not None:
                folder.log(f"{record.session_id}: failed: {record.error}")
            progress.ended(record.session_id, record.error)

        try:
            for specs in rounds:
                statuses = folder.statuses()
                todo = [p for p in specs if statuses.get(p[0].session_id) != "complete"]
                folder.update(counts=replace(folder.manifest.counts, planned=len(specs)))
                progress.plan(len(specs), len(specs) - len(todo))
                if todo:
                    asyncio.run(interruption.carry(partial(engine.run, todo, on_record)))
                interruption.check()
        except (KeyboardInterrupt, asyncio.CancelledError):
            _end(folder, engine, began, "interrupted")
            raise KeyboardInterrupt from None
        except SeglabError as error:
            folder.log(f"failed: {error}")
            with suppress(SeglabError):
                _end(folder, engine, began, "failed", str(error))
            raise
        except BaseException as error:
            with suppress(SeglabError, OSError):
                _end(folder, engine, began, "failed", f"{type(error).__name__}: {error}")
            raise
        _end(folder, engine, began, "complete")


class Interruption:
    """Makes Ctrl-C and SIGTERM call off the work under way, and lets nothing else be torn.

    However often they come: the first one is enough, and what follows it (the lab's end, the
    sessions' file, the manifest) takes its course.
    """

    def __init__(self) -> None:
        self._asked = False
        self._cancel: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells set it
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came."""
        if self._asked:
            raise KeyboardInterrupt

    async def carry(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do the work, unless and until a signal comes: then it is cancelled."""
        loop, task = asyncio.get_running_loop(), asyncio.create_task(_alone(work))
        self._cancel = partial(loop.call_soon_threadsafe, task.cancel)
        if self._asked:
            task.cancel()
        try:
            await task
        finally:
            self._cancel = None

    def _on_signal(self, _number: int, _frame: object) -> None:
        if not self._asked and self._cancel is not None:
            self._cancel()
        self._asked = True


async def _alone(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Unwrap the one error that matters from the groups of those that it caused."""
    try:
        await work()
    except BaseExceptionGroup as group:
        raise _first(group) from None


@contextmanager
def _log_file(folder: RunFolder) -> Iterator[BinaryIO]:
    """Where the processes of the labs write what they have to say."""
    path = folder.path / "log.txt"
    with writing(path):
        log = path.open("ab")
    with log:
        yield log


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return group


def _end(
    folder: RunFolder,
    engine: KernelEngine,
    began: float,
    status: RunStatus,
    error: str | None = None,
) -> None:
    """Write what was in force into the manifest, and close the run."""
    before_s = folder.manifest.timings.get("sessions", 0.0)
    timings = {"sessions": round(before_s + time.monotonic() - began, 3)}
    folder.update(
        timings=timings,
        sysctls=folder.manifest.sysctls | _in_force(engine, "sysctls"),
        offloads=folder.manifest.offloads | _in_force(engine, "offloads"),
        mtus=folder.manifest.mtus | _in_force(engine, "mtu"),
        routes=folder.manifest.routes | _in_force(engine, "routes"),
        rules=folder.manifest.rules | _in_force(engine, "rules"),
    )
    folder.finalise(status, error)


def _in_force(engine: KernelEngine, what: str) -> dict[str, Any]:
    """One kind of what was read back, by network and host."""
    return {
        network: {host: state[what] for host, state in hosts.items() if state[what]}
        for network, hosts in engine.environments.items()
    }


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
