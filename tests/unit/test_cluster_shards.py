"""Shards that are built elsewhere and put in place here: wholly, once, or not at all."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from dataset_making import ENGINE, SPEC, PureEngine, build, spec_of

from seglab.cluster import shards
from seglab.cluster.shards import BuildRequest, ShardArchive, build_archive, cancel, install_shard
from seglab.core.files import lock_folder
from seglab.dataset.check import check
from seglab.dataset.folder import begin, finish
from seglab.dataset.reading import rows
from seglab.dataset.result import ShardResult
from seglab.engine import register
from seglab.errors import InputError

SEED = 3


@pytest.fixture(autouse=True)
def pure():
    """Let no test see what another one wanted of the engine."""
    PureEngine.reset()


def request_of(owner_id="me", engine=ENGINE):
    """What asks for the small dataset."""
    spec = spec_of()
    return BuildRequest(spec.text, spec.where, SEED, 40, owner_id, engine)


def archive_of(tmp_path, number=0, name="scratch"):
    """A shard as it comes back."""
    scratch = tmp_path / f"{name}-{number}"
    scratch.mkdir()
    return build_archive(scratch, request_of(), number)


@pytest.fixture
def out(tmp_path):
    """A dataset that has been begun."""
    begin(spec_of(), SEED, tmp_path / "far", ENGINE)
    return tmp_path / "far"


def names(folder):
    """All files below a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_same_dataset_as_at_home(tmp_path, out):
    """Shards put in place in any order make the very files and rows of a build at home."""
    build(tmp_path / "home", seed=SEED)
    for number in (2, 0, 1):
        install_shard(spec_of(), SEED, number, out, archive_of(tmp_path, number))
    finish(spec_of(), SEED, out)
    assert names(out) == names(tmp_path / "home")
    assert list(rows(out)) == list(rows(tmp_path / "home"))
    assert check(out).findings == []


def test_a_shard_that_comes_twice(tmp_path, out):
    """Of two machines' shards with other times in them, the first one stays as it is."""
    install_shard(spec_of(), SEED, 0, out, archive_of(tmp_path))
    before = {name: (out / name).read_bytes() for name in names(out)}
    PureEngine.dead.add("ethernet")
    other = archive_of(tmp_path, 0, "other")
    assert ShardResult.from_json(other.result).failed
    there = install_shard(spec_of(), SEED, 0, out, other)
    assert there.failed == ()
    assert {name: (out / name).read_bytes() for name in names(out)} == before


def test_a_damaged_shard_is_replaced(tmp_path, out):
    """Where a file of a shard is gone, the shard that comes takes its place, wholly."""
    archive = archive_of(tmp_path)
    install_shard(spec_of(), SEED, 0, out, archive)
    (out / "wire" / "00000.zip").unlink()
    install_shard(spec_of(), SEED, 0, out, archive)
    assert (out / "wire" / "00000.zip").read_bytes() == archive.files["wire/00000.zip"]


def test_a_part_that_the_new_shard_has_not(tmp_path, out):
    """Rows of an earlier, damaged shard do not stay beside those of the new one."""
    stale = out / "data" / "test-00002.parquet"
    stale.parent.mkdir()
    stale.write_bytes(b"rows of long ago")
    PureEngine.dead |= {"unimpaired", "ethernet", "tunnel-1420"}
    archive = archive_of(tmp_path, 2)
    assert archive.files == {}
    install_shard(spec_of(), SEED, 2, out, archive)
    assert not stale.exists()


def spoilt(archive, how):
    """A shard that is not what was asked for."""
    name = "wire/00000.zip"
    data = archive.files[name]
    match how:
        case "a flipped bit":
            return replace(archive, files=archive.files | {name: data[:-1] + b"\xff"})
        case "a file less":
            return replace(archive, files={k: v for k, v in archive.files.items() if k != name})
        case "a file elsewhere":
            moved = archive.result.replace(b'"wire/00000.zip"', b'"../escaped.zip"')
            files = {k: v for k, v in archive.files.items() if k != name} | {"../escaped.zip": data}
            return ShardArchive(moved, files)
        case "fewer sessions":
            return replace(
                archive, result=archive.result.replace(b'"planned": 50', b'"planned": 9')
            )
        case _:
            return replace(archive, result=b"rubbish")


@pytest.mark.parametrize(
    "how", ["a flipped bit", "a file less", "a file elsewhere", "fewer sessions", "rubbish"]
)
def test_refused(tmp_path, out, how):
    """What is not the shard that was asked for is refused, and nothing is written."""
    archive = archive_of(tmp_path)
    bad = spoilt(archive, how)
    assert bad != archive
    before = names(tmp_path)
    with pytest.raises(InputError):
        install_shard(spec_of(), SEED, 0, out, bad)
    assert names(tmp_path) == before


def test_another_shard_or_seed(tmp_path, out):
    """A shard is refused under another number, and in a dataset of another seed."""
    archive = archive_of(tmp_path)
    with pytest.raises(InputError, match="another one"):
        install_shard(spec_of(), SEED, 1, out, archive)
    with pytest.raises(InputError, match="another one"):
        install_shard(spec_of(), SEED + 1, 0, out, archive)


def test_a_shard_that_is_built_at_home(tmp_path, out):
    """A shard that a process here is building is left to it; what it has left behind goes."""
    archive = archive_of(tmp_path)
    work = out / "building" / "00000"
    work.mkdir(parents=True)
    (work / "sessions.jsonl").write_bytes(b"")
    lock = lock_folder(work)
    with pytest.raises(InputError, match="another seglab"):
        install_shard(spec_of(), SEED, 0, out, archive)
    os.close(lock)
    install_shard(spec_of(), SEED, 0, out, archive)
    assert not work.exists()


def test_too_large_to_travel(tmp_path):
    """A shard that is larger than may travel is refused where it was built."""
    with pytest.raises(InputError, match="choose a smaller shard_sessions"):
        build_archive(tmp_path, request_of(), 0, bytes_max=1000)


def test_called_off(tmp_path):
    """What is under way for one order ends; another's goes on."""
    waiting = {}
    both = threading.Barrier(3, timeout=20)

    class Patient(PureEngine):
        """Waits until it is let go."""

        async def run(self, specs, on_record):
            event = asyncio.Event()
            let_go = asyncio.get_running_loop().call_soon_threadsafe
            waiting[threading.current_thread().name] = lambda: let_go(event.set)
            await asyncio.to_thread(both.wait)
            await event.wait()
            await super().run(specs, on_record)

    register("patient", Patient)

    def work(owner_id):
        threading.current_thread().name = owner_id
        scratch = tmp_path / owner_id
        scratch.mkdir()
        return build_archive(scratch, request_of(owner_id, "patient"), 2)

    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.submit(work, "mine"), pool.submit(work, "theirs")
        both.wait()
        assert cancel("nobody") == 0
        assert cancel("mine") == 1
        with pytest.raises(InputError, match="called off"):
            mine.result(timeout=20)
        assert not theirs.done()
        waiting["theirs"]()
        assert theirs.result(timeout=20).files
    assert cancel("mine") == cancel("theirs") == 0


def test_the_plan_as_it_is_read_elsewhere():
    """A machine says which plan it reads, and refuses one that names what it has not."""
    request = request_of()
    assert shards.check_worker(request) != shards.check_worker(replace(request, seed=SEED + 1))
    text = SPEC.replace('"ethernet"', '"tokenring"')
    with pytest.raises(InputError, match="tokenring"):
        shards.check_worker(replace(request, text=text))
