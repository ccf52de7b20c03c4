"""Checks the shards of a dataset, each by itself: in this process, or in several.

What a shard's check finds is a value of its own, which ``check`` adds up in the order of the
shards. So the result does not depend on how many processes there are.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from seglab.core.child_processes import follow_parent
from seglab.dataset.check_result import CheckResult
from seglab.dataset.label_counts import Leaks
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import DatasetManifest
from seglab.dataset.plan import planned
from seglab.dataset.result import read_result
from seglab.dataset.row_checks import MisplacedRow, Sample, ShardRows, unreadable
from seglab.dataset.spec import DatasetSpec
from seglab.dataset.splits import PARTS
from seglab.errors import InputError, PartDiedError

PROCESSES_FROM_SESSIONS: Final = 20_000
"""From so many planned sessions on, several processes save more time than they take to start."""

_AHEAD = 2  # shards for each process that are under way or wait


@dataclass(slots=True)
class CheckedShard:
    """What the check of one shard found.

    Attributes:
        found: findings, notes and counts.
        leaks: the messages of its rows.
        misplaced: its rows that belong to another shard.
    """

    found: CheckResult
    leaks: Leaks = field(default_factory=Leaks)
    misplaced: list[MisplacedRow] = field(default_factory=list)


@dataclass(slots=True)
class ShardChecker:
    """Checks shards of one dataset.

    Attributes:
        path: the dataset's folder.
        manifest: the dataset's.
        spec: its specification; ``None`` where rows cannot be compared with the plan.
        sample: which rows are made again.
        known: how many defects of files are known already, as ``CheckResult.found``.
    """

    path: Path
    manifest: DatasetManifest
    spec: DatasetSpec | None
    sample: Sample
    known: dict[tuple[str, str], int]

    def check(self, shard: int) -> CheckedShard:
        """Check the rows of a shard."""
        layout, manifest = Layout(self.path), self.manifest
        done = CheckedShard(CheckResult(manifest, found=dict(self.known)))
        found = done.found
        try:
            result = read_result(layout.result(shard))
        except InputError as error:
            unreadable(found, layout.result(shard), layout, error)
            return done
        if result is None:
            return done
        if result.fingerprint != manifest.fingerprint:
            words = "belongs to another specification or seed"
            found.add("completeness", f"shard {shard}", words)
        plan = None
        if self.spec is not None:
            plan = {place.number: place for place in planned(self.spec, manifest.seed, shard)}
        rows = ShardRows(layout, shard, result, plan, found, self.sample)
        for part in PARTS:
            for row in rows.of(part):
                found.counts.add(row)
                done.leaks.add(row)
        rows.settle()
        found.counts.settle()
        done.leaks.settle()
        done.misplaced = rows.misplaced
        return done


def checked_shards(
    checker: ShardChecker, shards: Sequence[int], processes: int
) -> Iterator[CheckedShard]:
    """Check shards and yield what was found, in their order.

    Args:
        checker: checks one.
        shards: their numbers.
        processes: how many work side by side at most.

    Raises:
        PartDiedError: one of the processes was killed.
    """
    processes = min(processes, len(shards))
    if processes <= 1 or checker.manifest.planned < PROCESSES_FROM_SESSIONS:
        yield from map(checker.check, shards)
        return
    arguments = (
        checker.path, checker.manifest, checker.spec is not None, checker.sample, checker.known
    )  # fmt: skip
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, arguments) as pool:
        waiting = iter(shards)
        under_way: deque[Future[CheckedShard]] = deque(
            pool.submit(_check, shard) for shard in islice(waiting, processes * _AHEAD)
        )
        try:
            while under_way:
                yield under_way.popleft().result()
                under_way.extend(pool.submit(_check, shard) for shard in islice(waiting, 1))
        except BrokenExecutor as error:
            raise PartDiedError("a process of the check was killed; check it again") from error
        finally:
            for future in under_way:
                future.cancel()


_checkers: list[ShardChecker] = []
"""The checker of this process, where it is one of several."""


def _begin(
    path: Path,
    manifest: DatasetManifest,
    with_plan: bool,
    sample: Sample,
    known: dict[tuple[str, str], int],
) -> None:
    follow_parent()
    spec = manifest.dataset(()) if with_plan else None
    _checkers[:] = [ShardChecker(path, manifest, spec, sample, known)]


def _check(shard: int) -> CheckedShard:
    return _checkers[0].check(shard)
