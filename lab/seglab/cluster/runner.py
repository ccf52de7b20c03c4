"""Asks a classifier on the workers of a cluster, a block of observations at a time.

The classifier is known there by its reference alone: a built-in one, ``package.module:name`` that
can be imported there, or a program that can be started there. Each block is asked by a process of
its own, which goes with the block.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seglab.classification.registry import classifier
from seglab.cluster.dask import Cluster, Failed, connected
from seglab.core.observation import Observation
from seglab.core.text import one_line
from seglab.errors import InputError
from seglab.regress.judgement import Answer, ClassifierFailedError
from seglab.runners.program import PREFIX, ForeignAsker

BLOCK_MIN: Final = 250
BLOCK_MAX: Final = 4000
"""How many observations a block has: a process for each must pay, and all workers have some."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a classifier said of a block; ``failed`` says why there is not an answer to each."""

    answers: list[Answer]
    failed: str | None = None


class ClusterAsker:
    """A classifier that is asked on a cluster."""

    def __init__(self, cluster: Cluster, reference: str, time_limit_s: float = 10.0) -> None:
        """Take the cluster, how the classifier is found there, and the time for one answer."""
        self._cluster = cluster
        self._reference = reference
        self._time_limit_s = time_limit_s

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """An answer to each observation, in order.

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
        gathered: list[Answer] = []
        for at in starts:
            block = found[f"answers-{at}"]
            failed = block.reason if isinstance(block, Failed) else block.failed
            gathered += [] if isinstance(block, Failed) else block.answers
            if failed is not None:
                raise ClassifierFailedError(failed, gathered)
        return gathered

    def fresh(self) -> "ClusterAsker":
        """The same: every block is asked by a new process."""
        return self


@contextlib.contextmanager
def open_classifier_on(
    address: str, reference: str, time_limit_s: float = 10.0
) -> Iterator[tuple[str, ClusterAsker]]:
    """As ``seglab.runners.open.open_classifier``, on the workers of a cluster.

    Raises:
        InputError: there is no such classifier here, or not on every worker.
        EnvironmentLacksError: as ``connected``.
    """
    name = reference if reference.startswith(PREFIX) else classifier(reference).name
    with connected(address) as cluster:
        for who, found in cluster.everywhere(why_not, reference).items():
            reason = found.reason if isinstance(found, Failed) else found
            if reason is not None:
                raise InputError(f"{address}: {who}: {reason}")
        yield name, ClusterAsker(cluster, reference, time_limit_s)


def answers(
    _scratch: Path, reference: str, time_limit_s: float, block: list[Observation]
) -> Answers:
    """On a worker: the classifier's answers to a block, as far as it gave any."""
    try:
        with ForeignAsker(_command(reference), time_limit_s) as asker:
            return Answers(asker.ask(block))
    except ClassifierFailedError as error:
        return Answers(error.answered, error.reason)


def why_not(reference: str) -> str | None:
    """On a worker: why a classifier cannot be asked there; ``None`` where it can.

    It is loaded by a process of its own, as when it is asked: a worker lives long, and would keep
    the module that it had loaded first.
    """
    if reference.startswith(PREFIX):
        with contextlib.suppress(InputError), ForeignAsker(_command(reference)):
            return None
        return f"{reference}: cannot be started there"
    ended = subprocess.run(
        _command(reference),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    if ended.returncode == 0:
        return None
    lines = ended.stderr.decode("utf-8", "replace").split("\n")
    said = [line for line in lines if line.strip()] or [f"exit status {ended.returncode}"]
    return one_line(said[-1])


def _command(reference: str) -> str | list[str]:
    if reference.startswith(PREFIX):
        return reference.removeprefix(PREFIX)
    return [sys.executable, "-m", "seglab.runners.worker_main", reference]
