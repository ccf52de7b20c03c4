"""Running a scenario from Python, as ``seglab run`` does on the command line."""

import os
from collections.abc import Callable, Collection
from pathlib import Path

from seglab.engine import DEFAULT_ENGINE, DEFAULT_JOBS, DEFAULT_TIME_LIMIT_S, check_name
from seglab.errors import InputError
from seglab.execution.carry_out import DEFAULT_SEED, carry_out, new_run_path
from seglab.execution.request import RunRequest
from seglab.experiment.scenario import Scenario
from seglab.runs.folder import RunFolder
from seglab.runs.stored_run import StoredRun, open_run
from seglab.runs.stored_session import StoredSession


def run(
    scenario: str | os.PathLike[str] | Scenario,
    *,
    senders: Collection[str] = (),
    networks: Collection[str] = (),
    sessions: int | None = None,
    engine: str = DEFAULT_ENGINE,
    seed: int = DEFAULT_SEED,
    jobs: int = DEFAULT_JOBS,
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    out: str | os.PathLike[str] | None = None,
    on_session: Callable[[StoredSession], None] | None = None,
) -> StoredRun:
    """Run a scenario on an engine, and return its sessions as a stored run.

    Example::

        run = seglab.run("scenario-1", sessions=20, out="runs/mine")
        for session in run:
            print(session.session_id, len(session.writes), len(session.reads))

    Args:
        scenario: the name of a shipped scenario, the path of a TOML file, or a value, for instance
            ``dataclasses.replace(seglab.scenario("scenario-1"), sessions=5)``. A string is a path
            where it ends in ``.toml`` or holds a slash.
        senders: the names of the senders to keep; empty keeps all.
        networks: the names of the networks to keep; empty keeps all.
        sessions: how many sessions of each sender on each network; ``None`` is the scenario's own
            number.
        engine: the name of the engine that carries the sessions out.
        seed: all randomness of the run comes from it.
        jobs: how many sessions run side by side.
        time_limit_s: how long one session may take, beyond its sender's pauses and its network's
            own time, before it is marked as failed.
        out: the run folder, new or empty; ``None`` makes one below ``runs``, in the current folder.
        on_session: is called with each session as soon as it has ended.

    Returns:
        The run. It also holds the sessions that failed: ``session.complete`` tells them apart.

    Raises:
        InputError: the scenario, a name or a number cannot be used, or ``out`` is not empty.
        EnvironmentLacksError: the engine cannot run on this machine, or the disk is full.
        KeyboardInterrupt: Ctrl-C. The run folder holds the sessions that had ended, and
            ``seglab run --resume`` continues it.
    """
    if jobs < 1:
        raise InputError(f"jobs: expected 1 or more, found {jobs}")
    if not time_limit_s > 0:
        raise InputError(f"time_limit_s: expected a positive number, found {time_limit_s}")
    check_name(engine)
    given = scenario if isinstance(scenario, str | Scenario) else Path(scenario)
    request = RunRequest((given,), _names(senders), _names(networks), sessions)
    planned = request.specs(seed)
    name = given.name if isinstance(given, Scenario) else Path(given).stem
    manifest = request.manifest("run", seed, jobs, time_limit_s, engine)
    path = (new_run_path(name) if out is None else Path(out)).absolute()
    with RunFolder.create(path, manifest) as folder:
        carry_out(
            folder,
            [planned],
            jobs=jobs,
            time_limit_s=time_limit_s,
            on_record=None
            if on_session is None
            else lambda record: on_session(StoredSession.of(record, path)),
        )
    return open_run(path)


def _names(given: Collection[str]) -> tuple[str, ...]:
    """The names as a tuple, also where the caller gave one name instead of several."""
    return (given,) if isinstance(given, str) else tuple(given)
