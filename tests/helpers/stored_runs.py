"""Run folders that are made from given sessions, for tests of what is computed from stored runs."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from synthetic import reads_of, simulated

from seglab.core.record import SessionRecord
from seglab.reproduction.paper import paper
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Experiment, Manifest

PAPER = paper().scenarios
"""The paper's scenarios 1 to 3, by number."""

EXPERIMENTS = tuple(Experiment(f"scenario-{n}", f"title {n}", f"scenarios.{n}") for n in PAPER)
"""The same scenarios as a manifest lists them."""


def published_sessions(times: int = 1) -> Iterator[SessionRecord]:
    """Sessions whose reads are those that the paper prints, over a wire that allows them.

    Args:
        times: how many sessions there are for each printed one.
    """
    for number, scenario in PAPER.items():
        for index, sizes in enumerate(scenario.sessions * times):
            yield simulated(
                index,
                writes=scenario.writes,
                gap_ms=scenario.gap_ms or 0,
                reads=reads_of(sizes),
                scenario=f"scenario-{number}",
                session_id=f"scenario-{number}.{index:04}",
            )


def stored_run(
    path: Path,
    records: Iterable[SessionRecord],
    *,
    status: str | None = "complete",
    command: str = "run",
    **manifest: Any,
) -> Path:
    """Store a run of these sessions.

    Args:
        path: the run folder; it is created.
        records: the sessions.
        status: the status of the run; with ``None`` it is left as if its writer had been killed.
        command: the command of the run.
        manifest: other fields of the manifest.

    Returns:
        The path of the run folder.
    """
    with RunFolder.create(path, Manifest(command=command, **manifest)) as folder:
        for item in records:
            folder.append(item)
        if status:
            folder.finalise(status)
    return path
