"""Carrying out the sessions of a run on an engine, and leaving a valid run folder."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from seglab.core.files import writing
from seglab.core.lateness import lateness_words
from seglab.core.record import SessionRecord
from seglab.engine import DEFAULT_JOBS, DEFAULT_TIME_LIMIT_S, Engine, EngineOptions
from seglab.engine import engine as engine_by_name
from seglab.engine.base import Planned
from seglab.errors import SeglabError, is_refusal
from seglab.execution.interruption import Interruption
from seglab.execution.progress import NoProgress, ProgressListener
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import RunStatus

DEFAULT_SEED: Final = 2014


def new_run_path(name: str) -> Path:
    """The path of a new run folder: below ``runs``, named after what runs and the time."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{name}-{stamp}-{secrets.token_hex(2)}"


def carry_out(
    folder: RunFolder,
    rounds: Iterable[Sequence[Planned]],
    *,
    jobs: int = DEFAULT_JOBS,
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    repetition: int = 0,
    progress: ProgressListener | None = None,
    on_record: Callable[[SessionRecord], None] | None = None,
) -> None:
    """Run the sessions that are not complete yet, and leave a valid run folder however that ends.

    Args:
        folder: the run, open for writing; its manifest names the engine.
        rounds: the sessions. The next round is taken when all sessions of the one before have
            ended; it holds all sessions so far, and perhaps more.
        jobs: how many sessions run side by side.
        time_limit_s: how long one session may take, beyond its sender's pauses and its network's
            own time.
        repetition: the number of this run among several of the same plan, from 0.
        progress: learns how the run goes.
        on_record: takes each session's record once the folder has it.

    Raises:
        SeglabError: the run cannot continue. The folder says so, and holds what had ended. Where
            nothing had, and the run is one that this machine refuses, the folder is gone.
        KeyboardInterrupt: Ctrl-C or SIGTERM came. The folder holds what had ended.
    """
    began = time.monotonic()
    progress = progress or NoProgress()
    with Interruption() as interruption, _log_file(folder) as log:
        options = EngineOptions(
            jobs, time_limit_s, folder.path, log.fileno(), repetition=repetition
        )
        engine = engine_by_name(folder.manifest.engine, options)
        progress.left_s = engine.forecast.left_s

        def keep(record: SessionRecord) -> None:
            folder.append(record)
            if record.error is not None:
                folder.log(f"{record.session_id}: failed: {record.error}")
            for line in _lateness_lines(record):
                folder.log(line)
            progress.ended(record.session_id, record.error)
            if on_record is not None:
                on_record(record)

        try:
            for specs in rounds:
                statuses = folder.statuses()
                todo = [p for p in specs if statuses.get(p[0].session_id) != "complete"]
                folder.update(counts=replace(folder.manifest.counts, planned=len(specs)))
                progress.plan(len(specs), len(specs) - len(todo))
                if todo:
                    interruption.run(partial(engine.run, todo, keep))
                interruption.check()
        except (KeyboardInterrupt, asyncio.CancelledError):
            _end(folder, engine, began, "interrupted")
            raise KeyboardInterrupt from None
        except SeglabError as error:
            if is_refusal(error) and folder.discard():
                raise
            folder.log(f"failed: {error}")
            with suppress(SeglabError):
                _end(folder, engine, began, "failed", str(error))
            raise
        except BaseException as error:
            with suppress(SeglabError, OSError):
                _end(folder, engine, began, "failed", f"{type(error).__name__}: {error}")
            raise
        _end(folder, engine, began, "complete")
        if words := lateness_words(folder.manifest.late_ms, folder.manifest.redone):
            folder.log(words)


def _lateness_lines(record: SessionRecord) -> Iterator[str]:
    """Say what ``log.txt`` has about a session that was late."""
    if record.discarded_late_ns:
        late = ", ".join(f"{late_ns / 1e6:.1f}" for late_ns in record.discarded_late_ns)
        yield f"{record.session_id}: carried out again, since it was late by {late} ms"
    if record.complete and record.too_late and record.late_ns is not None:
        yield f"{record.session_id}: too late, by {record.late_ns / 1e6:.1f} ms"


@contextmanager
def _log_file(folder: RunFolder) -> Iterator[BinaryIO]:
    """Open the file for what the processes of the labs print."""
    path = folder.path / "log.txt"
    with writing(path):
        log = path.open("ab")
    with log:
        yield log


def _end(
    folder: RunFolder,
    engine: Engine,
    began: float,
    status: RunStatus,
    error: str | None = None,
) -> None:
    """Write into the manifest what was in force on each host, and end the run."""
    before_s = folder.manifest.timings.get("sessions", 0.0)
    timings = {"sessions": round(before_s + time.monotonic() - began, 3)}
    folder.update(
        timings=timings,
        sysctls=folder.manifest.sysctls | _in_force(engine, "sysctls"),
        offloads=folder.manifest.offloads | _in_force(engine, "offloads"),
        mtus=folder.manifest.mtus | _in_force(engine, "mtu"),
        routes=folder.manifest.routes | _in_force(engine, "routes"),
        rules=folder.manifest.rules | _in_force(engine, "rules"),
        strays=folder.manifest.strays | _in_force(engine, "strays"),
        recorder=folder.manifest.recorder | _in_force(engine, "recorder"),
    )
    folder.finalise(status, error)


def _in_force(engine: Engine, what: str) -> dict[str, Any]:
    """One kind of setting that was read back, by network and host."""
    return {
        network: {host: state[what] for host, state in hosts.items() if state.get(what)}
        for network, hosts in engine.environments.items()
    }
