"""Checking a dataset: whatever is wrong with it is found, and is one line."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_making import SESSIONS, SPEC, PureEngine, build, spec_of

from seglab.dataset.check import check
from seglab.dataset.check_result import DEFECTS_MAX
from seglab.dataset.folder import begin
from seglab.dataset.layout import Layout
from seglab.dataset.result import read_result
from seglab.dataset.shard import file_entry
from seglab.dataset.summary_figure import summary_figure
from seglab.errors import InputError


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset without a fault."""
    path = tmp_path_factory.mktemp("sound") / "dataset"
    PureEngine.reset()
    build(path)
    return path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return shutil.copytree(sound, tmp_path / "dataset")


def lines(path: Path) -> list[str]:
    """What a check finds, as the command prints it."""
    checked = check(path)
    found = [str(finding) for finding in (*checked.findings, *checked.unlisted())]
    assert all(line.isprintable() for line in found)
    return found


def settled(path: Path) -> None:
    """Make the digests those of what is there now, so that only the content can give it away."""
    layout = Layout(path)
    manifest = json.loads(layout.manifest.read_text())
    for number in range(manifest["shards"]):
        result = read_result(layout.result(number))
        if result is None:
            continue
        for name in list(result.files):
            if (path / name).exists():
                result.files[name] = file_entry(path / name)
        layout.result(number).write_bytes(result.to_json())
    for name in list(manifest["files"]):
        if (path / name).exists():
            file = file_entry(path / name)
            manifest["files"][name] = {"bytes": file.bytes, "sha256": file.sha256}
    layout.manifest.write_text(json.dumps(manifest))
    sums = {name: file["sha256"] for name, file in manifest["files"].items()}
    sums["manifest.json"] = file_entry(layout.manifest).sha256
    layout.sums.write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))


Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def rewritten(path: Path, name: str, change: Change) -> None:
    """Change a file's rows, and all digests with them."""
    file = path / "data" / name
    table = pq.read_table(file)
    rows = change(table.to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    settled(path)


def test_sound(sound: Path) -> None:
    """A dataset as it was built has no findings, all its rows are counted, and nothing is noted."""
    checked = check(sound)
    assert checked.findings == []
    assert checked.notes == []
    assert checked.counts.sessions == SESSIONS


def test_settling_is_sound(copy: Path) -> None:
    """What these tests do to hide a change from the digests is no finding by itself."""
    settled(copy)
    assert lines(copy) == []


FILES = (
    "data/train-00000.parquet",
    "wire/00001.zip",
    "README.md",
    "croissant.json",
    "shards/00002.json",
    "manifest.json",
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.02, 0.5, 0.98])
def test_one_flipped_byte(copy: Path, name: str, place: float) -> None:
    """One changed bit, wherever it is, is found, and the file is named."""
    data = bytearray((copy / name).read_bytes())
    data[int(len(data) * place)] ^= 1
    (copy / name).write_bytes(data)
    try:
        found = lines(copy)
    except InputError as error:  # the manifest cannot be read any more
        found = [str(error)]
    assert name in found[0]
    assert len(found) <= 2, "one change, and a dozen lines"


def test_a_flipped_byte_in_the_sums(copy: Path) -> None:
    """The list of digests is held to the manifest, and the manifest to it."""
    text = (copy / "SHA256SUMS").read_text()
    flipped = ("0" if text[0] != "0" else "1") + text[1:]
    (copy / "SHA256SUMS").write_text(flipped)
    (found,) = lines(copy)
    assert found.startswith("checksums: ")
    assert "SHA256SUMS" in found


def test_a_missing_file(copy: Path) -> None:
    """A file that is gone is missing, by its name."""
    (copy / "data" / "test-00001.parquet").unlink()
    assert "checksums: data/test-00001.parquet: missing" in lines(copy)


def test_a_missing_shard(copy: Path) -> None:
    """A shard of which nothing is left is named as such."""
    for path in (*copy.glob("*/*-00001.parquet"), *copy.glob("*/00001.*")):
        path.unlink()
    found = lines(copy)
    assert "completeness: shard 1: missing; build it" in found
    assert "checksums: wire/00001.zip: missing" in found


def test_a_file_too_many(copy: Path) -> None:
    """A file that does not belong to it is found, since readers would take its rows."""
    shutil.copy(copy / "data" / "train-00001.parquet", copy / "data" / "train-00009.parquet")
    assert lines(copy) == ["checksums: data/train-00009.parquet: is not in manifest.json"]


def test_a_duplicated_session(copy: Path) -> None:
    """A row that is there twice is found, though the digests are right."""
    rewritten(copy, "train-00000.parquet", lambda rows: [*rows, rows[3]])
    found = lines(copy)
    assert any(line.startswith("duplicates: data/train-00000.parquet: small-") for line in found)


def test_a_lost_session(copy: Path) -> None:
    """A row that is gone is missed, and so is its number."""
    lost: list[int] = []

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lost.append(rows[2]["number"])
        return rows[:2] + rows[3:]

    rewritten(copy, "validation-00000.parquet", change)
    assert (
        f"completeness: shard 0: 1 of 50 sessions are missing, the first of them number {lost[0]}"
        in lines(copy)
    )


def test_a_segment_above_the_mss(copy: Path) -> None:
    """A segment that no link could carry is found by the conservation laws, in their words."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["mss"] = 1000
        return rows

    rewritten(copy, "train-00000.parquet", change)
    found = [line for line in lines(copy) if line.startswith("conservation: ")]
    assert len(found) == 1
    assert "exceeds the MSS 1000" in found[0]


@pytest.mark.parametrize(
    ("layer", "words"), [("writes", "writes end at"), ("reads", "reads end at")]
)
def test_lost_bytes(copy: Path, layer: str, words: str) -> None:
    """A layer that does not hold the whole payload is found."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0][layer].pop()
        return rows

    rewritten(copy, "test-00000.parquet", change)
    assert any("conservation" in line and words in line for line in lines(copy))


def test_a_leak(copy: Path) -> None:
    """A payload that is in two parts is found, whatever else the rows say."""
    taken = pq.read_table(copy / "data" / "train-00000.parquet").to_pylist()[0]

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["payload_sha256"] = taken["payload_sha256"]
        return rows

    rewritten(copy, "test-00000.parquet", change)
    (found,) = [line for line in lines(copy) if line.startswith("leakage: split: ")]
    assert "1 payload is in train as well as in test" in found
    assert taken["payload_sha256"][:16] in found


def test_a_session_in_the_wrong_part(copy: Path) -> None:
    """A row whose part is not the plan's is found twice: by the plan, and by its file."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["split"] = "test"
        return rows

    rewritten(copy, "train-00000.parquet", change)
    found = lines(copy)
    assert any("its split is test, the file's is train" in line for line in found)
    assert any("split is 'test', planned was 'train'" in line for line in found)
    assert any(line.startswith("leakage: ") for line in found)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("style", "line_by_line"),
        ("seed", 5),
        ("parameters", "{}"),
        ("message_id", "x"),
        ("mtu", 1501),
        ("mss", 1 << 16),
        ("timestamps", False),
        ("reader", "recv-loop"),
        ("buffer_bytes", 1 << 17),
        ("initcwnd", 11),
        ("congestion_control", "cubic"),
    ],
)
def test_a_changed_value(copy: Path, column: str, value: object) -> None:
    """A label, or a setting, that is not what was planned is found, and both are told.

    A larger MSS would hide a segment above it.
    """

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0][column] = value
        return rows

    rewritten(copy, "train-00002.parquet", change)
    assert any(
        line.startswith("plan: ") and f"{column} is {value!r}" in line for line in lines(copy)
    )


@pytest.mark.parametrize(("own", "other"), [(0, 1), (2, 1)])
def test_a_session_in_two_shards(copy: Path, own: int, other: int) -> None:
    """A row that another shard has as well is a duplicate, and where it belongs is told."""
    twice = pq.read_table(copy / "data" / f"train-{own:05}.parquet").to_pylist()[0]
    name = f"train-{other:05}.parquet"
    rewritten(copy, name, lambda rows: [*rows, twice])
    where = f"data/{name}: {twice['session_id']}"
    assert lines(copy) == [f"duplicates: {where}: is there twice, in shard {own} as well"]


def test_a_session_in_another_shard(copy: Path) -> None:
    """A row that was moved to another shard is missing from its own, and no duplicate."""
    moved: list[dict[str, Any]] = []

    def take(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        moved.append(rows.pop(0))
        return rows

    rewritten(copy, "train-00000.parquet", take)
    rewritten(copy, "train-00001.parquet", lambda rows: rows + moved)
    found = lines(copy)
    name = f"data/train-00001.parquet: {moved[0]['session_id']}"
    words = f"its number is {moved[0]['number']}, which belongs to shard 0"
    assert f"plan: {name}: {words}" in found
    assert any(line.startswith("completeness: shard 0: 1 of ") for line in found)
    assert not any(line.startswith("duplicates: ") for line in found)


@pytest.mark.parametrize("number", [-1, 10**9])
def test_a_number_that_is_none(copy: Path, number: int) -> None:
    """A number that no session of the dataset has is told with those of the shard."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["number"] = number
        return rows

    rewritten(copy, "train-00001.parquet", change)
    assert any(f"its number is {number}, the shard has " in line for line in lines(copy))


def test_a_missing_column(copy: Path) -> None:
    """A file without one of the columns is told by the column's name."""
    file = copy / "data" / "test-00002.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["style", "split_network"]), file)
    settled(copy)
    found = lines(copy)
    assert "schema: data/test-00002.parquet: no column style" in found
    assert "schema: data/test-00002.parquet: no column split_network" in found


def test_no_parquet(copy: Path) -> None:
    """A file that is something else is told in one line."""
    (copy / "data" / "test-00002.parquet").write_bytes(b"\x1b[31mhello")
    settled(copy)
    assert any("not a readable Parquet file" in line for line in lines(copy))


def test_captures_that_are_gone(copy: Path) -> None:
    """An archive without the captures that its rows name is found; so is one that is none."""
    with zipfile.ZipFile(copy / "wire" / "00000.zip", "w") as archive:
        archive.writestr("other", b"x")
    (copy / "wire" / "00001.zip").write_bytes(b"x" * 100)
    settled(copy)
    found = lines(copy)
    assert any(line.startswith("captures: wire/00000.zip: 100 captures of its") for line in found)
    assert any("wire/00001.zip: not a readable ZIP archive" in line for line in found)


def test_many_findings_are_counted(copy: Path) -> None:
    """Where a whole file is wrong, the first findings are told, and how many more there are."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            row["mss"] = 10
        return rows

    rewritten(copy, "train-00000.parquet", change)
    found = [line for line in lines(copy) if line.startswith("conservation: ")]
    total = pq.read_metadata(copy / "data" / "train-00000.parquet").num_rows
    assert len(found) == DEFECTS_MAX + 1
    assert found[-1].endswith(f"{total - DEFECTS_MAX} more of these")


def test_an_unfinished_build(tmp_path: Path) -> None:
    """What has been built so far is checked; that it is not all is a finding."""
    PureEngine.reset()
    build(tmp_path, shards=[0])
    found = lines(tmp_path)
    assert "completeness: manifest.json: the build has not finished; continue it" in found
    assert "completeness: shard 2: missing; build it" in found


def test_a_build_that_has_hardly_begun(tmp_path: Path) -> None:
    """Of twenty million shards that are missing, the first are told, and how many there are."""
    begin(spec_of(SPEC.replace("repeats = 5", "repeats = 37_037_038")), 1, tmp_path)
    found = lines(tmp_path)
    assert len(found) == DEFECTS_MAX + 2
    assert "completeness: shard 19: missing; build it" in found
    assert f"completeness: shards: {20_000_001 - DEFECTS_MAX} more are missing" in found


def test_nothing_there(tmp_path: Path) -> None:
    """A folder without a dataset is refused."""
    with pytest.raises(InputError, match="no dataset is here"):
        check(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="not the manifest of a dataset"):
        check(tmp_path)


def test_paths_outside(copy: Path) -> None:
    """A manifest that names files elsewhere is not followed."""
    layout = Layout(copy)
    manifest = json.loads(layout.manifest.read_text())
    manifest["files"]["../../etc/passwd"] = {"bytes": 1, "sha256": "x"}
    layout.manifest.write_text(json.dumps(manifest))
    assert any(
        "../../etc/passwd: not the name of a file inside the dataset" in line
        for line in lines(copy)
    )


def test_a_plan_that_cannot_be_made(copy: Path) -> None:
    """Where the specification names what this seglab lacks, the rows are checked without a plan."""
    layout = Layout(copy)
    manifest = json.loads(layout.manifest.read_text())
    manifest["spec"] = SPEC.replace('"relay"', '"a_sender_of_somebody"')
    layout.manifest.write_text(json.dumps(manifest))
    settled(copy)
    checked = check(copy)
    assert checked.findings == []
    assert "unknown sender 'a_sender_of_somebody'" in checked.notes[0]
    assert checked.counts.sessions == SESSIONS


def test_picture(sound: Path) -> None:
    """The figure is drawn in both formats, the same each time, and says how many sessions."""
    checked = check(sound)
    once, again = summary_figure(checked), summary_figure(checked)
    assert once == again
    assert once["png"].startswith(b"\x89PNG")
    assert once["svg"].startswith(b"<?xml")


def test_a_damaged_shard_description(copy: Path) -> None:
    """A shard's description that is none is told, and the others are checked all the same."""
    Layout(copy).result(1).write_text("{")
    manifest = json.loads(Layout(copy).manifest.read_text())
    file = file_entry(Layout(copy).result(1))
    manifest["files"]["shards/00001.json"] = {"bytes": file.bytes, "sha256": file.sha256}
    Layout(copy).manifest.write_text(json.dumps(manifest))
    found = lines(copy)
    assert any("shards/00001.json: not a shard's description" in line for line in found)
    assert not any("shard 2" in line for line in found)
