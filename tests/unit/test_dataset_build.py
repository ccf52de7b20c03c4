"""Building a dataset: whatever breaks it off, nothing is lost, and nothing is there twice."""

import json
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from dataset_making import ENGINE, SESSIONS, SPEC, Breakdown, PureEngine, build, spec_of

from seglab.core.files import lock_folder
from seglab.dataset import records, settling, shard
from seglab.dataset.check import check
from seglab.dataset.folder import begin, built, finish
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import read_manifest
from seglab.dataset.plan import fingerprint
from seglab.dataset.reading import rows
from seglab.dataset.result import read_result
from seglab.dataset.shard import ShardBuild, build_shard
from seglab.errors import EnvironmentLacksError, InputError


@pytest.fixture(autouse=True)
def _pure_engine() -> None:
    """Let no test see what another one wanted of the engine."""
    PureEngine.reset()


def ids(out: Path) -> list[str]:
    return [row["session_id"] for row in rows(out)]


def test_every_planned_session_is_a_row(tmp_path: Path) -> None:
    """A built dataset has each planned session once, in the file of its part."""
    manifest = build(tmp_path)
    assert manifest.complete == SESSIONS
    assert sorted(PureEngine.ran) == sorted(ids(tmp_path))
    assert len(set(PureEngine.ran)) == SESSIONS
    for path in (tmp_path / "data").iterdir():
        numbers = [row["number"] for row in rows(path)]
        assert numbers == sorted(numbers)
        assert {row["split"] for row in rows(path)} == {path.stem.split("-")[0]}
    assert not (tmp_path / "building").exists()


def test_manifest_counts_the_rows(tmp_path: Path) -> None:
    """The manifest's numbers are those of the rows, counted here once more."""
    manifest = build(tmp_path)
    found = list(rows(tmp_path))
    for column in ("split", "split_network", "split_template"):
        expected = Counter(row[column] for row in found if row[column] is not None)
        assert manifest.splits[column] == dict(expected)
    styles = Counter((row["style"], row["split"]) for row in found)
    for style, counts in manifest.labels["style"].items():
        assert counts == {part: n for (name, part), n in styles.items() if name == style}


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    """The common tool checks every file of the dataset, and finds all that there are."""
    build(tmp_path)
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert {line.split(":")[0] for line in ended.stdout.splitlines()} == there - {"SHA256SUMS"}


def test_captures_are_where_the_rows_say(tmp_path: Path) -> None:
    """A row names an archive and a file in it, which is that session's."""
    build(tmp_path)
    row = next(iter(rows(tmp_path)))
    archive, _, name = row["captures"]["client"].rpartition("/")
    with zipfile.ZipFile(tmp_path / archive) as opened:
        assert row["session_id"].encode() in opened.read(name)


def test_without_captures(tmp_path: Path) -> None:
    """Where the specification wants no packets, none are kept, and no row names any."""
    build(tmp_path, spec_of(SPEC.replace("repeats = 5", "repeats = 1\ncaptures = false")))
    assert list((tmp_path / "wire").iterdir()) == []
    assert all(row["captures"] == {"client": None, "server": None} for row in rows(tmp_path))


@pytest.mark.parametrize("after", [0, 1, 27, 49])
def test_a_shard_goes_on_where_it_broke_off(tmp_path: Path, after: int) -> None:
    """What had ended when a builder broke down is not carried out again, and is there once."""
    PureEngine.breaks_after = after
    with pytest.raises(Breakdown):
        build(tmp_path)
    before = list(PureEngine.ran)
    assert len(before) == after
    assert ShardBuild(spec_of(), 1, 0, tmp_path).recorded() == after
    PureEngine.breaks_after = None
    build(tmp_path)
    assert Counter(PureEngine.ran) == Counter(ids(tmp_path))
    assert Counter(PureEngine.ran).most_common(1)[0][1] == 1


def test_what_was_in_force_is_kept(tmp_path: Path) -> None:
    """A shard whose sessions had all ended before it was gone on with knows its labs' settings."""
    PureEngine.breaks_after = 49
    with pytest.raises(Breakdown):
        build(tmp_path, shards=[0])
    PureEngine.breaks_after = None
    build(tmp_path, shards=[0])
    result = read_result(Layout(tmp_path).result(0))
    assert result is not None
    assert set(result.environment) == {"unimpaired", "ethernet", "tunnel-1420"}


@pytest.mark.parametrize("step", ["write_dataset", "write_archive", "read_result", "rmtree"])
def test_a_shard_broken_off_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A builder that dies between two files leaves none half written, and loses no session."""
    calls: list[object] = []
    where = {"rmtree": shard.shutil, "read_result": shard}.get(step, settling)
    real = getattr(where, step)

    def dies(*args: object, **options: object) -> object:
        calls.append(args)
        if step == "read_result":
            return real(*args)
        if len(calls) == 1:
            if args and hasattr(args[0], "write"):
                args[0].write(b"half of it")
            raise Breakdown
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(where, step, dies)
        if step == "read_result":
            patch.setattr(shard.ShardResult, "to_json", lambda _self: 1 / 0)
        with pytest.raises((Breakdown, ZeroDivisionError)):
            build(tmp_path, shards=[0])
    assert not list(tmp_path.rglob(".*.new"))
    ran = len(PureEngine.ran)
    build(tmp_path)
    assert len(PureEngine.ran) == SESSIONS
    assert ran == 50
    assert sorted(ids(tmp_path)) == sorted(PureEngine.ran)
    assert not (tmp_path / "building").exists()


def test_a_torn_journal(tmp_path: Path) -> None:
    """The line that a killed builder was writing is cut, and its session carried out again."""
    PureEngine.breaks_after = 30
    with pytest.raises(Breakdown):
        build(tmp_path, shards=[0])
    journal = tmp_path / "building" / "00000" / "sessions.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    PureEngine.breaks_after = None
    build(tmp_path)
    assert sorted(ids(tmp_path)) == sorted(set(PureEngine.ran))
    assert len(PureEngine.ran) == SESSIONS + 1


def test_shards_in_any_order(tmp_path: Path) -> None:
    """Shards built in any order, by anyone, make the same dataset."""
    build(tmp_path / "one")
    build(tmp_path / "other", shards=[2, 0, 1])
    finish(spec_of(), 1, tmp_path / "other")
    names = {path.name for path in (tmp_path / "one" / "data").iterdir()}
    assert names == {path.name for path in (tmp_path / "other" / "data").iterdir()}
    for name in names:
        one, other = ((tmp_path / w / "data" / name).read_bytes() for w in ("one", "other"))
        assert one == other


def test_a_built_shard_is_left_alone(tmp_path: Path) -> None:
    """Building a shard again carries nothing out, and changes no file."""
    build(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    PureEngine.ran.clear()
    again = build_shard(spec_of(), 1, 1, tmp_path)
    finish(spec_of(), 1, tmp_path)
    assert again.complete == 50
    assert PureEngine.ran == []
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


def test_a_lost_file_is_built_again(tmp_path: Path) -> None:
    """A shard whose file is gone is not built any more: it is made again, the others are not."""
    build(tmp_path)
    (tmp_path / "data" / "test-00001.parquet").unlink()
    assert built(spec_of(), tmp_path, fingerprint(spec_of(), 1)) == {0, 2}
    PureEngine.ran.clear()
    PureEngine.dead = {"ethernet"}  # so that it is not the same as before
    manifest = build(tmp_path)
    assert len(PureEngine.ran) == 50
    assert 0 < manifest.failed == SESSIONS - len(set(ids(tmp_path))) < 50
    assert [f for f in check(tmp_path).findings if f.check != "balance"] == []


def test_a_failed_session_has_another_try(tmp_path: Path) -> None:
    """A session that fails once is carried out again; its row is the complete one."""
    name = "small-short.relay.ethernet.0000"
    PureEngine.fails = {name: 1}
    manifest = build(tmp_path)
    assert manifest.failed == 0
    assert PureEngine.ran.count(name) == 2
    assert ids(tmp_path).count(name) == 1


def test_a_session_that_always_fails(tmp_path: Path) -> None:
    """A session that fails again is no row; manifest and datasheet say which, and why."""
    name = "small-short.relay.ethernet.0000"
    PureEngine.fails = {name: 9}
    manifest = build(tmp_path)
    assert (manifest.complete, manifest.failed) == (SESSIONS - 1, 1)
    assert name not in ids(tmp_path)
    assert manifest.failures["ethernet"]["error"] == "it was to fail"
    result = read_result(Layout(tmp_path).result(0))
    assert result is not None
    assert [failed.session_id for failed in result.failed] == [name]
    assert "it was to fail" in Layout(tmp_path).datasheet.read_text()


def test_a_network_that_carries_nothing(tmp_path: Path) -> None:
    """Where all sessions of a network fail, none of them has another try."""
    PureEngine.dead = {"ethernet"}
    manifest = build(tmp_path)
    assert manifest.failed == SESSIONS // 3
    assert len(PureEngine.ran) == SESSIONS


def test_a_black_hole(tmp_path: Path) -> None:
    """What is lost in a black hole would be lost again: it has no other try."""
    spec = spec_of(SPEC.replace('"ethernet"', '"black-hole"'))
    PureEngine.fails = {"small-short.relay.black-hole.0000": 1}
    assert build(tmp_path, spec).failed == 1
    assert len(PureEngine.ran) == SESSIONS


def test_few_messages(tmp_path: Path) -> None:
    """A part that no message fell to is reported by a check, with its share."""
    text = SPEC.partition("[splits]")[0].replace("repeats = 5", "repeats = 1")
    build(tmp_path, spec_of(text))
    there = {row["split"] for row in rows(tmp_path)}
    assert there != {"train", "validation", "test"}, "another seed is needed here"
    told = [str(finding) for finding in check(tmp_path).findings]
    for part in {"validation", "test"} - there:
        assert (
            f"balance: split: no session is in {part}, which was to have 10 %; more repeats" in told
        )


def test_one_builder_a_shard(tmp_path: Path) -> None:
    """A second builder of the same shard is refused; one of another shard is not."""
    begin(spec_of(), 1, tmp_path, ENGINE)
    layout = Layout(tmp_path)
    layout.make_folders(0)
    lock = lock_folder(layout.work(0))
    try:
        with pytest.raises(InputError, match=r"another seglab is writing this shard \(0\)"):
            build_shard(spec_of(), 1, 0, tmp_path)
        build_shard(spec_of(), 1, 1, tmp_path)
    finally:
        __import__("os").close(lock)


def test_finish_wants_all_shards(tmp_path: Path) -> None:
    """A dataset with a gap is not described as complete."""
    build(tmp_path, shards=[0, 2])
    with pytest.raises(InputError, match="1 of 3 shards are not built, the first of them 1"):
        finish(spec_of(), 1, tmp_path)
    manifest = read_manifest(Layout(tmp_path).manifest)
    assert manifest is not None
    assert manifest.status == "building"


@pytest.mark.parametrize(
    ("text", "seed", "why"),
    [
        (SPEC, 2, "another seed (1, not 2)"),
        (SPEC.replace("repeats = 5", "repeats = 4"), 1, "it has 135 sessions, not 108"),
        (SPEC.replace("= 1024", "= 512"), 1, "a sender, network, message or split differs"),
    ],
)
def test_another_dataset_is_refused(tmp_path: Path, text: str, seed: int, why: str) -> None:
    """A folder that holds another dataset is refused, and says how they differ."""
    build(tmp_path, shards=[0])
    with pytest.raises(InputError) as raised:
        begin(spec_of(text), seed, tmp_path)
    assert why in str(raised.value)
    with pytest.raises(InputError, match="another specification"):
        build_shard(spec_of(text), seed, 0, tmp_path)


def test_another_engine_is_refused(tmp_path: Path) -> None:
    """A dataset has one engine: it is in the manifest and in every row, and it stays."""
    manifest = build(tmp_path)
    assert manifest.engine == ENGINE
    assert {row["engine"] for row in rows(tmp_path)} == {ENGINE}
    with pytest.raises(InputError, match="of the pure engine, not of the kernel engine"):
        begin(spec_of(), 1, tmp_path, "kernel")
    with pytest.raises(InputError, match=r"unknown engine 'kernal'; did you mean 'kernel'"):
        begin(spec_of(), 1, tmp_path, "kernal")
    assert begin(spec_of(), 1, tmp_path).engine == ENGINE


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    """A folder that holds other files is left alone, and so is a file."""
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="is not empty and holds no dataset"):
        begin(spec_of(), 1, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        begin(spec_of(), 1, tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_new_title_only_changes_the_words(tmp_path: Path) -> None:
    """The title may change afterwards: the shards stay, manifest and datasheet say the new one."""
    build(tmp_path)
    PureEngine.ran.clear()
    build(tmp_path, spec_of(SPEC.replace("Small", "Renamed")))
    assert PureEngine.ran == []
    assert "# Renamed" in Layout(tmp_path).datasheet.read_text()
    assert json.loads(Layout(tmp_path).manifest.read_text())["title"] == "Renamed"


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full the error says so, and what had ended is gone on with."""

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(settling, "write_archive", full)
        with pytest.raises(EnvironmentLacksError, match="the disk is full"):
            build(tmp_path)
    build(tmp_path)
    assert len(PureEngine.ran) == SESSIONS


def test_records(tmp_path: Path) -> None:
    """The records are the rows', all of them or one part's, by any of the columns."""
    build(tmp_path)
    assert [r.session_id for r in records(tmp_path)] == ids(tmp_path)
    assert all(r.trace.violations() == [] for r in records(tmp_path))
    for column in ("split", "split_network"):
        expected = [r["session_id"] for r in rows(tmp_path) if r[column] == "test"]
        assert [r.session_id for r in records(tmp_path, "test", column)] == expected
        assert expected
    with pytest.raises(InputError, match="did you mean 'train'"):
        records(tmp_path, "trian")
    with pytest.raises(InputError, match="no run is stored here"):
        list(records(tmp_path / "data" / ".." / "wire"))
