"""Asks a classifier on the workers of a cluster, a block of observations at a time.

A worker finds the classifier by its reference alone: one that comes with seglab,
``package.module:name`` that can be imported there, or a program that can be started there. A new
process answers each block, and ends with it.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from seglab.classification.answer import Answer, ClassifierFailedError
from seglab.classification.reference import Program, parse
from seglab.classification.registry import classifier
from seglab.cluster.dask import Cluster, Failed, connected
from seglab.core.observation import Observation
from seglab.core.text import one_line
from seglab.errors import InputError
from seglab.runners.blocks import BlockResult, joined
from seglab.runners.program import ProgramRunner

BLOCK_MIN: Final = 250
"""The fewest observations of a block, so that starting a process for it pays."""

BLOCK_MAX: Final = 4000
"""The most observations of a block, so that all workers have some."""

_LOADING_S: Final = 60


class ClusterRunner:
    """A classifier that the workers of a cluster run.

    Attributes:
        name: the classifier's name.
        summary: what it is, in one line for people.
    """

    def __init__(
        self,
        cluster: Cluster,
        reference: str,
        time_limit_s: float = 10.0,
        *,
        name: str | None = None,
        summary: str = "",
    ) -> None:
        """Take the cluster, how workers find the classifier, and the time for one answer."""
        self.name = reference if name is None else name
        self.summary = summary
        self._cluster = cluster
        self._reference = reference
        self._time_limit_s = time_limit_s

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """Return an answer to each observation, in order.

        Raises:
            ClassifierFailedError: it took too long, ended, or could not be started.
            EnvironmentLacksError: the cluster is gone.
        """
        share = -(-len(observations) // (2 * self._cluster.threads))
        size = min(max(share, BLOCK_MIN), BLOCK_MAX)
        starts = range(0, len(observations), size)
        jobs = (
            (f"answers-{at}", (self._reference, self._time_limit_s, observations[at : at + size]))
            for at in starts
        )
        found = dict(self._cluster.each(answers, jobs))
        return joined(_result(found[f"answers-{at}"]) for at in starts)

    def restarted(self) -> "ClusterRunner":
        """Return the same runner, since a new process answers each block."""
        return self


@contextlib.contextmanager
def open_runner_on(
    address: str, reference: str, time_limit_s: float = 10.0
) -> Iterator[ClusterRunner]:
    """Start a classifier as ``seglab.runners.open.open_runner`` does, on the workers of a cluster.

    Raises:
        InputError: there is no such classifier here, or not on every worker.
        EnvironmentLacksError: as ``connected``.
    """
    name, summary = reference, "a program"
    if not isinstance(parse(reference), Program):
        here = classifier(reference)
        name, summary = here.name, here.summary
    with connected(address) as cluster:
        for worker, found in cluster.everywhere(why_not, reference).items():
            reason = found.reason if isinstance(found, Failed) else found
            if reason is not None:
                raise InputError(f"{address}: {worker}: {reason}")
        yield ClusterRunner(cluster, reference, time_limit_s, name=name, summary=summary)


def answers(
    _scratch: Path, reference: str, time_limit_s: float, block: list[Observation]
) -> BlockResult:
    """Let the classifier answer a block; this function runs on a worker."""
    try:
        with ProgramRunner(_command(reference), time_limit_s) as runner:
            return BlockResult(runner.ask(block))
    except ClassifierFailedError as error:
        return BlockResult(error.answered, error.reason)


def why_not(reference: str) -> str | None:
    """Return why a classifier cannot be asked here, or ``None`` if it can; runs on a worker.

    A process of its own loads the classifier, as when it is asked. A worker lives long, and would
    keep the first version of the module that it had loaded.
    """
    if isinstance(parse(reference), Program):
        with contextlib.suppress(InputError), ProgramRunner(_command(reference)):
            return None
        return f"{reference}: cannot be started there"
    ended = subprocess.run(
        _command(reference),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=_LOADING_S,
        check=False,
    )
    if ended.returncode == 0:
        return None
    lines = ended.stderr.decode("utf-8", "replace").split("\n")
    said = [line for line in lines if line.strip()] or [f"exit status {ended.returncode}"]
    return one_line(said[-1])


def _command(reference: str) -> str | list[str]:
    """Return what is started on a worker: the program, or Python with the classifier."""
    match parse(reference):
        case Program(command):
            return command
    return [sys.executable, "-m", "seglab.runners.worker_main", reference]


def _result(returned: BlockResult | Failed) -> BlockResult:
    """Return a block's answers; none, with the reason, where the job itself failed."""
    return BlockResult([], returned.reason) if isinstance(returned, Failed) else returned
