"""Builds the shards of a dataset on this machine, and leaves nothing of a build that it refuses."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from seglab.core.files import remove_folders
from seglab.dataset.layout import Layout
from seglab.dataset.settling import SettlingProcess, settle_in_thread
from seglab.dataset.shard import ShardBuild, stored_engine
from seglab.dataset.spec import DatasetSpec
from seglab.engine import DEFAULT_TIME_LIMIT_S, SIMULATORS, kept, schedule
from seglab.engine.base import OnLine
from seglab.engine.slots import PrioritySemaphore
from seglab.errors import SeglabError, is_refusal

SHARDS_AT_ONCE: Final = 2
"""How many shards are built at once; the second uses the slots that the first leaves free."""

ALONE_MOST: Final = 2000
"""Up to this number of sessions, a process that settles shards takes longer to start than it saves.
"""


async def build_shards(
    spec: DatasetSpec,
    seed: int,
    out: Path,
    shards: Iterator[int],
    *,
    jobs: int,
    on_record: OnLine,
) -> None:
    """Build shards one after the other, ``SHARDS_AT_ONCE`` at a time.

    While the last sessions of a shard end, and while its files are written, sessions of the next
    shard run. An engine whose processes can carry out one shard after the other keeps them. The
    files of a large simulated dataset are written by a process of its own; where sessions are
    carried out in real time, it would take the processors from them while it starts.

    Args:
        spec: of the dataset.
        seed: of the dataset.
        out: the dataset's folder, in which the dataset has begun.
        shards: the numbers of the shards to build.
        jobs: how many sessions run side by side.
        on_record: called once for each session: when it is complete, or has failed for good.

    Raises:
        SeglabError: as ``build_shard``; in an exception group.
    """
    slots = PrioritySemaphore(jobs * schedule.SLOT)
    engine = stored_engine(Layout(out))

    settling = SettlingProcess()
    alone = engine not in SIMULATORS or spec.sessions <= ALONE_MOST
    settle = settle_in_thread if alone else settling.settle

    async def work() -> None:
        for shard in shards:
            await ShardBuild(
                spec,
                seed,
                shard,
                out,
                jobs=jobs,
                time_limit_s=DEFAULT_TIME_LIMIT_S,
                on_record=on_record,
                slots=slots,
                engine=engine,
                settle=settle,
            ).run()

    async with kept(engine), settling, asyncio.TaskGroup() as tasks:
        for _ in range(SHARDS_AT_ONCE):
            tasks.create_task(work())


@contextmanager
def unless_refused(out: Path) -> Iterator[None]:
    """Remove a dataset that begins in this block, if the block raises before it holds anything.

    It stays where the same build could go better the next time (``is_refusal``), where a session
    is recorded, or where the labs wrote to a log. What was in the folder before stays too.
    """
    absent = [folder for folder in (out, *out.parents) if not folder.exists()]
    was_empty = bool(absent) or (out.is_dir() and not any(out.iterdir()))
    try:
        yield
    except SeglabError as error:
        if was_empty and is_refusal(error):
            _remove_begun(Layout(out), absent)
        raise


def _remove_begun(layout: Layout, made: list[Path]) -> None:
    files = [path for path in layout.path.rglob("*") if path.is_file()]
    if any(path.stat().st_size for path in files if path != layout.manifest):
        return
    with suppress(OSError):
        layout.manifest.unlink(missing_ok=True)
    layout.remove_building()
    for folder in layout.folders:
        remove_folders([folder])
    remove_folders(made)
