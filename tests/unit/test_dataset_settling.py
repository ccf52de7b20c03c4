"""Making a shard's files in a process of its own: the same files, and nothing depends on it."""

import asyncio
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import pytest
from dataset_making import PureEngine, build, spec_of

from seglab.dataset import building
from seglab.dataset.building import build_shards
from seglab.dataset.folder import begin
from seglab.dataset.layout import Layout
from seglab.dataset.result import ShardResult
from seglab.dataset.settling import EndedShard, SettlingProcess
from seglab.errors import InputError

SEED, SHARDS = 1, 3


@pytest.fixture(autouse=True)
def _pure_engine() -> None:
    """Let no test see what another one wanted of the engine."""
    PureEngine.reset()


@pytest.fixture
def by_thread(tmp_path: Path) -> dict[str, bytes]:
    """The files of the rows and captures, as a thread of this process makes them."""
    build(tmp_path / "one", spec_of())
    return files(tmp_path / "one")


def files(out: Path) -> dict[str, bytes]:
    """The files with rows and captures of a dataset."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for folder in ("data", "wire")
        for path in (out / folder).iterdir()
    }


def build_here(out: Path) -> int:
    """Build the dataset, and return how many sessions ended."""
    ended: list[str] = []
    begin(spec_of(), SEED, out, PureEngine.name)
    shards: Iterator[int] = iter(range(SHARDS))
    asyncio.run(
        build_shards(
            spec_of(), SEED, out, shards, jobs=4, on_record=lambda one: ended.append(one.session_id)
        )
    )
    assert not (out / "building").exists() or not any((out / "building").iterdir())
    return len(ended)


def test_a_process_of_its_own(
    tmp_path: Path, by_thread: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large dataset's files come from a process, are the same, and the process ends."""
    seen: list[int] = []
    settle = SettlingProcess.settle

    async def watched(self: SettlingProcess, ended: EndedShard) -> ShardResult:
        result = await settle(self, ended)
        seen.append(len(set(active_children()) - before))
        return result

    monkeypatch.setattr(building, "ALONE_MOST", 0)
    monkeypatch.setattr(building, "SIMULATORS", {PureEngine.name})
    monkeypatch.setattr(SettlingProcess, "settle", watched)
    before = set(active_children())
    assert build_here(tmp_path / "other") == len(PureEngine.ran) / 2
    assert seen == [1] * SHARDS
    assert set(active_children()) == before
    assert files(tmp_path / "other") == by_thread


def test_the_process_is_killed(
    tmp_path: Path, by_thread: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it dies, the files are made all the same."""
    killed: list[int | None] = []
    settle = SettlingProcess.settle

    async def deadly(self: SettlingProcess, ended: EndedShard) -> ShardResult:
        for process in set(active_children()) - before:
            process.kill()
            process.join()
            killed.append(process.pid)
        return await settle(self, ended)

    monkeypatch.setattr(building, "ALONE_MOST", 0)
    monkeypatch.setattr(building, "SIMULATORS", {PureEngine.name})
    monkeypatch.setattr(building, "SHARDS_AT_ONCE", 1)
    monkeypatch.setattr(SettlingProcess, "settle", deadly)
    before = set(active_children())
    build_here(tmp_path / "other")
    assert len(killed) == 1  # that of the first shard; then a thread, and a new one for the third
    assert files(tmp_path / "other") == by_thread


def test_what_goes_wrong_in_the_process_is_said_here(tmp_path: Path) -> None:
    """An error crosses over to the process of the command with its words."""

    async def settled() -> None:
        async with SettlingProcess() as process:
            await process.settle(EndedShard(tmp_path, 0, "", [], False, {}, 0.0))

    with pytest.raises(InputError, match="No such file"):
        asyncio.run(settled())
    assert not Layout(tmp_path).result(0).exists()
