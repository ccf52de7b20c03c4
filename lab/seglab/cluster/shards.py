"""A shard that another machine builds: its files travel as bytes, and are installed here.

A worker builds in an empty folder that is its own; only this machine writes to the dataset. Two
workers may build the same shard, when one of them was believed to be dead. Then the first archive
to arrive is installed, and the second one is dropped.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from seglab.core.files import lock_folder, replace_file, writing
from seglab.dataset.layout import Layout
from seglab.dataset.plan import fingerprint, shard_range
from seglab.dataset.result import FileEntry, ShardResult
from seglab.dataset.shard import ShardBuild
from seglab.dataset.spec import DatasetSpec, parse_text
from seglab.dataset.splits import PARTS
from seglab.engine import DEFAULT_ENGINE, engine
from seglab.errors import InputError

BYTES_MAX: Final = 1 << 30
"""The largest shard that travels, in bytes: it is held in memory on its way."""

_cancellations: dict[str, set[Callable[[], object]]] = {}
"""Functions that each end a build which is running in this process, by its owner's id."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What a worker has to build, in a form that any machine can read.

    Attributes:
        text: the specification.
        where: its file's absolute path.
        seed: of the dataset.
        jobs: sessions side by side.
        owner_id: tells the run of the command that asks from all others.
        engine: the name of the engine that carries out the sessions.
    """

    text: str
    where: str
    seed: int
    jobs: int
    owner_id: str
    engine: str = DEFAULT_ENGINE

    @property
    def spec(self) -> DatasetSpec:
        """The specification, read with what this machine has."""
        return parse_text(self.text, self.where)


@dataclass(frozen=True, slots=True)
class ShardArchive:
    """A complete shard: its description as JSON, and its files by their names in the dataset."""

    result: bytes
    files: dict[str, bytes]


def check_worker(request: BuildRequest) -> str:
    """Return the fingerprint of the plan as this worker reads it, if it can build its shards.

    Raises:
        InputError: the specification names something that this machine does not have.
        EnvironmentLacksError: the engine cannot run here.
    """
    spec = request.spec
    engine(request.engine).check(spec.networks)
    return fingerprint(spec, request.seed)


def build_archive(
    scratch: Path, request: BuildRequest, shard: int, bytes_max: int = BYTES_MAX
) -> ShardArchive:
    """Build a shard in an empty folder; runs on a worker.

    Raises:
        InputError: the build was cancelled, or the shard became too large to travel.
        EnvironmentLacksError: as ``ShardBuild.run``.
        PartDiedError: as ``ShardBuild.run``.
    """
    spec = request.spec
    try:
        result = asyncio.run(_build(spec, scratch, request, shard))
    except asyncio.CancelledError:
        raise InputError(f"shard {shard} was called off") from None
    length = sum(file.bytes for file in result.files.values())
    if length > bytes_max:
        raise InputError(
            f"shard {shard} has {length >> 20} MiB, more than the {bytes_max >> 20} MiB that are "
            "sent home; choose a smaller shard_sessions"
        )
    layout = Layout(scratch)
    files = {name: (scratch / name).read_bytes() for name in result.files}
    return ShardArchive(layout.result(shard).read_bytes(), files)


def cancel(owner_id: str) -> int:
    """End the builds of an owner that run in this process; return how many there were."""
    ends = list(_cancellations.get(owner_id, ()))
    for end in ends:
        end()
    return len(ends)


def install_shard(
    spec: DatasetSpec, seed: int, shard: int, out: Path, archive: ShardArchive
) -> ShardResult:
    """Write a shard's files to the dataset, its description last, unless the shard is there.

    Raises:
        InputError: the archive is not what was asked for, or another process writes this shard.
        EnvironmentLacksError: the disk is full.
    """
    layout = Layout(out)
    result = _checked(spec, seed, shard, layout, archive)
    with writing(out), ExitStack() as stack:
        layout.make_folders(shard)
        stack.callback(os.close, lock_folder(layout.work(shard), f"shard ({shard})"))
        there = ShardBuild(spec, seed, shard, out).settled()
        if there is None:
            layout.result(shard).unlink(
                missing_ok=True
            )  # it describes files that were damaged since
            for path in _paths(layout, shard):
                name = layout.name(path)
                if name in archive.files:
                    replace_file(path, partial(_write, archive.files[name]))
                else:
                    path.unlink(missing_ok=True)
            replace_file(layout.result(shard), partial(_write, archive.result))
        shutil.rmtree(layout.work(shard), ignore_errors=True)
    return there or result


async def _build(spec: DatasetSpec, out: Path, request: BuildRequest, shard: int) -> ShardResult:
    with _cancellable(request.owner_id):
        return await ShardBuild(
            spec, request.seed, shard, out, jobs=request.jobs, engine=request.engine
        ).run()


@contextmanager
def _cancellable(owner_id: str) -> Iterator[None]:
    """Let ``cancel`` cancel the current task as long as the block lasts."""
    task = asyncio.current_task()
    assert task is not None
    end = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
    _cancellations.setdefault(owner_id, set()).add(end)
    try:
        yield
    finally:
        _cancellations[owner_id].discard(end)
        if not _cancellations[owner_id]:
            del _cancellations[owner_id]


def _checked(
    spec: DatasetSpec, seed: int, shard: int, layout: Layout, archive: ShardArchive
) -> ShardResult:
    """Return the description of a shard, once everything of it is what was asked for."""
    result = ShardResult.from_json(archive.result)
    planned = len(shard_range(spec, shard))
    allowed = {layout.name(path) for path in _paths(layout, shard)}
    found = {
        name: FileEntry(len(data), hashlib.sha256(data).hexdigest())
        for name, data in archive.files.items()
    }
    if (
        (result.shard, result.fingerprint) != (shard, fingerprint(spec, seed))
        or result.planned != planned
        or result.complete + len(result.failed) != planned
        or found != result.files
        or not found.keys() <= allowed
    ):
        raise InputError(f"shard {shard} came back as another one, or changed on its way")
    return result


def _paths(layout: Layout, shard: int) -> list[Path]:
    """Return the paths of all files that a shard may have besides its description."""
    return [*(layout.data(part, shard) for part in PARTS), layout.wire(shard)]


def _write(data: bytes, file: BinaryIO) -> None:
    file.write(data)
