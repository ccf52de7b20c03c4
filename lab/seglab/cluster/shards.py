"""A shard that is built on another machine: its files as bytes, and put in place at home.

Whoever builds it has a folder of their own, and nobody but the dataset's owner writes to the
dataset. So a shard that two machines have built, since one of them was taken for dead, is there
once: what comes second finds the first and is dropped.
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
"""How large a shard may be that travels: it is in memory on its way."""

_calls_off: dict[str, set[Callable[[], object]]] = {}
"""What ends the builds of this process that are under way, by whose they are."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built, as anyone can read it.

    Attributes:
        text: the specification.
        where: its file's absolute path.
        seed: of the dataset.
        jobs: sessions side by side.
        whose: tells those who gave the order from others.
        engine: the name of the engine that carries out the sessions.
    """

    text: str
    where: str
    seed: int
    jobs: int
    whose: str
    engine: str = DEFAULT_ENGINE

    @property
    def spec(self) -> DatasetSpec:
        """The specification, read with what this machine has."""
        return parse_text(self.text, self.where)


@dataclass(frozen=True, slots=True)
class Packed:
    """A complete shard: its own description, and its files by their names in the dataset."""

    result: bytes
    files: dict[str, bytes]


def ready(order: Order) -> str:
    """The fingerprint of the plan as this machine reads it, if it can build any of its shards.

    Raises:
        InputError: the specification names what this machine has not.
        EnvironmentLacksError: the engine cannot run here.
    """
    spec = order.spec
    engine(order.engine).check(spec.networks)
    return fingerprint(spec, order.seed)


def build_packed(scratch: Path, order: Order, shard: int) -> Packed:
    """Build a shard in a folder of its own.

    Raises:
        InputError: it was called off, or became too large to travel.
        EnvironmentLacksError: as ``build_shard``.
        PartDiedError: likewise.
    """
    spec = order.spec
    try:
        result = asyncio.run(_build(spec, scratch, order, shard))
    except asyncio.CancelledError:
        raise InputError(f"shard {shard} was called off") from None
    length = sum(file.bytes for file in result.files.values())
    if length > BYTES_MAX:
        raise InputError(
            f"shard {shard} has {length >> 20} MiB, more than the {BYTES_MAX >> 20} MiB that are "
            "sent home; choose a smaller shard_sessions"
        )
    layout = Layout(scratch)
    files = {name: (scratch / name).read_bytes() for name in result.files}
    return Packed(layout.result(shard).read_bytes(), files)


def call_off(whose: str) -> int:
    """End all builds of this process that are somebody's; how many there were."""
    ends = list(_calls_off.get(whose, ()))
    for end in ends:
        end()
    return len(ends)


def put(spec: DatasetSpec, seed: int, shard: int, out: Path, packed: Packed) -> ShardResult:
    """Put a shard in its place, its description last; one that is there stays as it is.

    Raises:
        InputError: it is not what was asked for, or another process writes this shard.
        EnvironmentLacksError: the disk is full.
    """
    layout = Layout(out)
    result = _checked(spec, seed, shard, layout, packed)
    with writing(out), ExitStack() as stack:
        layout.make_folders(shard)
        stack.callback(os.close, lock_folder(layout.work(shard), f"shard ({shard})"))
        there = ShardBuild(spec, seed, shard, out).built()
        if there is None:
            layout.result(shard).unlink(missing_ok=True)  # of files that have been damaged since
            for path in _paths(layout, shard):
                name = layout.name(path)
                if name in packed.files:
                    replace_file(path, partial(_write, packed.files[name]))
                else:
                    path.unlink(missing_ok=True)
            replace_file(layout.result(shard), partial(_write, packed.result))
        shutil.rmtree(layout.work(shard), ignore_errors=True)
    return there or result


async def _build(spec: DatasetSpec, out: Path, order: Order, shard: int) -> ShardResult:
    with _can_be_called_off(order.whose):
        return await ShardBuild(
            spec, order.seed, shard, out, jobs=order.jobs, engine=order.engine
        ).run()


@contextmanager
def _can_be_called_off(whose: str) -> Iterator[None]:
    """Let ``call_off`` cancel the current task as long as the block lasts."""
    task = asyncio.current_task()
    assert task is not None
    end = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
    _calls_off.setdefault(whose, set()).add(end)
    try:
        yield
    finally:
        _calls_off[whose].discard(end)
        if not _calls_off[whose]:
            del _calls_off[whose]


def _checked(
    spec: DatasetSpec, seed: int, shard: int, layout: Layout, packed: Packed
) -> ShardResult:
    """The description of a shard that is wholly what was asked for."""
    result = ShardResult.from_json(packed.result)
    planned = len(shard_range(spec, shard))
    allowed = {layout.name(path) for path in _paths(layout, shard)}
    found = {
        name: FileEntry(len(data), hashlib.sha256(data).hexdigest())
        for name, data in packed.files.items()
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
    """All files that a shard may have beside its description."""
    return [*(layout.data(part, shard) for part in PARTS), layout.wire(shard)]


def _write(data: bytes, file: BinaryIO) -> None:
    file.write(data)
