"""Checking a dataset: whatever is wrong with it is found, and is one line."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_making import SESSIONS, SPEC, PureEngine, build, spec_of

from seglab.dataset import records, row_checks, shard_check
from seglab.dataset.check import check
from seglab.dataset.check_result import DEFECTS_MAX
from seglab.dataset.folder import begin
from seglab.dataset.layout import Layout
from seglab.dataset.plan import fingerprint, planned
from seglab.dataset.result import FailedSession, read_result
from seglab.dataset.stored_files import file_entry
from seglab.dataset.summary_figure import summary_figure
from seglab.errors import InputError
from seglab.experiment.plan import message
from seglab.runs.parquet import ADDED_COLUMNS
from seglab.sender.named import sender


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


def test_several_processes_find_the_same(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many processes check the shards, findings, notes and counts are the same."""
    rewritten(copy, "train-00000.parquet", lambda rows: rows[1:])
    rewritten(copy, "test-00001.parquet", lambda rows: [row | {"mss": 7} for row in rows])
    rewritten(copy, "train-00002.parquet", lambda rows: [*rows, rows[0]])
    alone = check(copy)
    assert {finding.check for finding in alone.findings} >= {"completeness", "plan", "duplicates"}
    monkeypatch.setattr(shard_check, "PROCESSES_FROM_SESSIONS", 0)
    assert check(copy, processes=2) == alone


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
    # a digest in the manifest is held to its file, to the list of digests, and is a change itself
    most = 3 if name == "manifest.json" else 2
    assert len(found) <= most, "one change, and a dozen lines"


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
    """A label, or a setting, that is not what was planned is found, and both are reported.

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
    """A row that another shard has as well is a duplicate, and where it belongs is reported."""
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
    """A number that no session of the dataset has is reported with those of the shard."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["number"] = number
        return rows

    rewritten(copy, "train-00001.parquet", change)
    assert any(f"its number is {number}, the shard has " in line for line in lines(copy))


def test_a_missing_column(copy: Path) -> None:
    """A file without one of the columns is reported by the column's name."""
    file = copy / "data" / "test-00002.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["style", "split_network"]), file)
    settled(copy)
    found = lines(copy)
    assert "schema: data/test-00002.parquet: no column style" in found
    assert "schema: data/test-00002.parquet: no column split_network" in found


def test_no_parquet(copy: Path) -> None:
    """A file that is something else is reported in one line."""
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
    """Where a whole file is wrong, the first findings are reported, and how many more there are."""

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
    """Of twenty million shards that are missing, the first are reported, and how many there are."""
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


def swapped(layer: str) -> Change:
    """Two sessions of the same sizes that take a layer from each other."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        one = next(row for row in rows if row["sender"] == "single_write")
        other = next(
            row for row in rows
            if row["payload_bytes"] == one["payload_bytes"]
            and row["mss"] == one["mss"]
            and row["sender"] == "fixed_buffer"
        )  # fmt: skip
        one[layer], other[layer] = other[layer], one[layer]
        if layer == "writes":  # so that the laws of conservation hold
            for row in (one, other):
                row["segments"], row["reads"] = (
                    [{**s, "t_sent_ns": 10**9, "t_arrived_ns": 2 * 10**9} for s in row["segments"]],
                    [{**r, "t_ns": 3 * 10**9} for r in row["reads"]],
                )
        return rows

    return change


def edited(edit: Callable[[dict[str, Any]], object], sender: str = "fixed_buffer") -> Change:
    """A change of one row of a sender."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        edit(next(row for row in rows if row["sender"] == sender))
        return rows

    return change


def merged(layer: str) -> Callable[[dict[str, Any]], object]:
    """An edit that joins the first two of a row's writes or segments."""

    def edit(row: dict[str, Any]) -> None:
        first, second, *others = row[layer]
        row[layer] = [{**second, "start": first["start"]}, *others]

    return edit


def cut(layer: str) -> Callable[[dict[str, Any]], object]:
    """An edit that cuts the first of a row's writes or segments in two."""

    def edit(row: dict[str, Any]) -> None:
        first, *others = row[layer]
        row[layer] = [{**first, "end": 100}, {**first, "start": 100}, *others]

    return edit


EDITS = {
    "writes swapped": (swapped("writes"), "plan", "its seed gives"),
    "segments swapped": (swapped("segments"), "captures", "capture has "),
    "writes merged": (edited(merged("writes")), "plan", "write 0 ends at 2048, its seed"),
    "write cut": (edited(cut("writes")), "plan", "write 0 ends at 100, its seed gives 1024"),
    "segments merged": (
        edited(merged("segments")), "captures", "the client's capture has no segment 0:",
    ),
    "segment cut": (
        edited(cut("segments")), "captures", "the client's capture has no segment 0:100(100)",
    ),
    "digest": (
        edited(lambda row: row.update(payload_sha256="0" * 64)), "plan", "payload_sha256 is '000",
    ),
    "header": (edited(lambda row: row.update(header_end=9)), "plan", "header_end is 9, its seed"),
    "fields": (
        edited(lambda row: row["header_fields"].pop()), "plan", "header_fields is (HeaderField(",
    ),
    "PSH": (
        edited(lambda row: row["segments"][0].update(psh=not row["segments"][0]["psh"])),
        "captures", "capture says otherwise than the row whether segment 0:",
    ),
    "times": (
        edited(lambda row: row["segments"][-1].update(t_sent_ns=row["writes"][-1]["t_ns"])),
        "captures", "at another time than the row",
    ),
    "order": (lambda rows: rows[::-1], "plan", "is not in its order"),
    "reference": (
        edited(lambda row: row["captures"].update(client=row["captures"]["server"])),
        "captures", "captures.client is 'wire/00000.zip/",
    ),
    "no reference": (
        edited(lambda row: row["captures"].update(client=None)), "captures", "is None, expected",
    ),
}  # fmt: skip


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("edit", EDITS)
def test_edits_that_fit_each_other(copy: Path, edit: str, thorough: bool) -> None:
    """What the seed or the captures say otherwise is found, though all digests are right."""
    change, name, words = EDITS[edit]
    rewritten(copy, "train-00000.parquet", change)
    found = [str(one) for one in check(copy, thorough=thorough).findings]
    assert any(line.startswith(f"{name}: ") and words in line for line in found), found


def archived(path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    """Change the captures of the first shard, and all digests with them."""
    name = path / "wire" / "00000.zip"
    with zipfile.ZipFile(name) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in change(content).items():
            archive.writestr(entry, data)
    settled(path)


def rotated(content: dict[str, bytes]) -> dict[str, bytes]:
    """Each capture under the name of the next one of its vantage."""
    names = [name for name in content if name.endswith(".server.pcapng")]
    moved = dict(zip(names, [content[name] for name in (*names[1:], names[0])], strict=True))
    return content | moved


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: dict.fromkeys(content, b""), "not a capture of the lab: it is empty"),
        (lambda content: dict.fromkeys(content, b"x" * 99), "not a capture of the lab: "),
        (lambda content: {n: d[:200] for n, d in content.items()}, "capture not a capture of the"),
        (rotated, "the server's capture has "),
    ],
    ids=["emptied", "other content", "cut off", "swapped"],
)
def test_captures_of_other_content(
    copy: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], words: str
) -> None:
    """Captures are compared with their rows, whatever the archive's digest says."""
    archived(copy, change)
    found = lines(copy)
    assert any(line.startswith("captures: wire/00000.zip: ") and words in line for line in found)


def manifested(path: Path, **changes: object) -> None:
    """Change the manifest, the shards' fingerprints, and all digests with them."""
    layout = Layout(path)
    manifest = json.loads(layout.manifest.read_text()) | changes
    layout.manifest.write_text(json.dumps(manifest))
    for file in (path / "shards").glob("*.json"):
        result = json.loads(file.read_text()) | {"fingerprint": manifest["fingerprint"]}
        file.write_text(json.dumps(result))
    settled(path)


def test_a_changed_seed(copy: Path) -> None:
    """Another seed in the manifest is found, with its own fingerprint or the old one."""
    manifested(copy, seed=2)
    assert (
        "plan: manifest.json: its fingerprint is not that of its specification and seed"
        in lines(copy)
    )
    manifested(copy, seed=2, fingerprint=fingerprint(spec_of(), 2))
    assert any("seed is " in line and "planned was" in line for line in lines(copy))


def test_a_dropped_shard(copy: Path) -> None:
    """A shard that is gone from all files, and from the numbers of the manifest, is missed."""
    for path in (*copy.glob("*/*-00002.parquet"), *copy.glob("*/00002.*")):
        path.unlink()
    layout = Layout(copy)
    manifest = json.loads(layout.manifest.read_text())
    files = {name: file for name, file in manifest["files"].items() if "00002" not in name}
    manifested(copy, files=files, shards=2, planned=100, complete=100)
    found = lines(copy)
    assert "plan: manifest.json: shards is 2, its specification gives 3" in found
    assert f"plan: manifest.json: planned is 100, its specification gives {SESSIONS}" in found


def test_counts_that_are_not_those_of_the_rows(copy: Path) -> None:
    """The labels in the manifest are counted again."""
    layout = Layout(copy)
    manifest = json.loads(layout.manifest.read_text())
    manifest["labels"]["style"]["relay"]["train"] += 1
    layout.manifest.write_text(json.dumps(manifest))
    settled(copy)
    assert lines(copy) == ["completeness: manifest.json: its labels are not those of the rows"]


def test_a_symbolic_link(copy: Path, tmp_path: Path) -> None:
    """A link is named, though what it leads to has the right digest."""
    file = copy / "data" / "train-00000.parquet"
    shutil.move(file, tmp_path / "elsewhere.parquet")
    file.symlink_to(tmp_path / "elsewhere.parquet")
    assert lines(copy) == [
        "checksums: data/train-00000.parquet: is a symbolic link; expected the file itself"
    ]


@pytest.mark.parametrize("name", ["more.parquet", "data/old/train-00000.parquet", "a/B.PARQUET"])
def test_a_stray_file(copy: Path, name: str) -> None:
    """Rows anywhere in the folder are found, since readers may take them."""
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(copy / "data" / "train-00001.parquet", copy / name)
    assert lines(copy) == [f"checksums: {name}: is not in manifest.json"]


def test_failed_sessions_that_are_none(copy: Path) -> None:
    """A session is a row or has failed, and once."""
    layout = Layout(copy)
    result = read_result(layout.result(0))
    assert result is not None
    row = pq.read_table(copy / "data" / "train-00000.parquet").to_pylist()[0]
    one = FailedSession(row["number"], row["session_id"], row["network"], "x")
    result.failed = (one, FailedSession(10**6, "x", "x", "x"))
    layout.result(0).write_bytes(result.to_json())
    settled(copy)
    found = lines(copy)
    number = row["number"]
    assert (
        f"completeness: shard 0: session number {number} is a row, and described as failed" in found
    )
    assert any("number 1000000 is there twice, or in no plan" in line for line in found)


def test_a_sample_of_a_large_dataset(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all rows are made again, a note says so, and ``thorough`` takes all."""
    monkeypatch.setattr(row_checks, "SAMPLE_SESSIONS", 20)
    rewritten(copy, "train-00000.parquet", edited(lambda row: row.update(header_end=9)))
    (note,) = check(copy).notes
    assert note.startswith("about 14.8% of the rows are made again from the seed and compared")
    thorough = check(copy, thorough=True)
    assert thorough.notes == []
    assert any("header_end is 9" in str(one) for one in thorough.findings)


def test_rows_of_other_versions_are_not_made_again(copy: Path) -> None:
    """Another Faker has other words: that is no finding."""
    layout = Layout(copy)
    manifest = json.loads(layout.manifest.read_text())
    manifest["versions"][0]["faker"] = "1.0"
    layout.manifest.write_text(json.dumps(manifest))
    rewritten(copy, "train-00000.parquet", edited(lambda row: row.update(header_end=9)))
    checked = check(copy)
    assert checked.findings == []
    assert checked.notes[0].startswith("rows are not made again from the seed: faker 1.0 built it")


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
    """A shard's description that is none is reported, and the others are checked all the same."""
    Layout(copy).result(1).write_text("{")
    manifest = json.loads(Layout(copy).manifest.read_text())
    file = file_entry(Layout(copy).result(1))
    manifest["files"]["shards/00001.json"] = {"bytes": file.bytes, "sha256": file.sha256}
    Layout(copy).manifest.write_text(json.dumps(manifest))
    found = lines(copy)
    assert any("shards/00001.json: not a shard's description" in line for line in found)
    assert not any("shard 2" in line for line in found)


def test_raw_payloads_that_look_like_the_end_of_a_header(tmp_path: Path) -> None:
    """Of 1500 random payloads, some begin with a line break: these have no header all the same."""
    text = (
        'title = "Raw"\nnetworks = ["unimpaired"]\nrepeats = 1500\ncaptures = false\n'
        'senders = [{ name = "raw_writes", parameters = { writes = [9], nodelay = true } }]\n'
    )
    spec = spec_of(text)
    places = [*planned(spec, 1, 0)]
    payloads = (message(p.spec, sender("raw_writes")).wire for p in places)
    assert any(payload.startswith(b"\n") for payload in payloads)
    build(tmp_path, spec)
    assert check(tmp_path, thorough=True).findings == []


@pytest.mark.parametrize("column", ["segment_sizes", "read_sizes"])
def test_sizes_that_are_not_those_of_the_layer(copy: Path, column: str) -> None:
    """The columns of plain sizes are compared with the ranges that they follow from."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0][column][0] += 1
        return rows

    rewritten(copy, "train-00000.parquet", change)
    layer = {"segment_sizes": "segments", "read_sizes": "reads"}[column]
    (found,) = lines(copy)
    assert found.startswith("conservation: data/train-00000.parquet: ")
    assert found.endswith(f": {column} are not the sizes of its {layer}")


def test_a_dataset_of_an_earlier_version(copy: Path) -> None:
    """Without the columns that were added since, it is sound, and its sessions are the same.

    Whose TCP a client had, and what the server offered, is not known of them.
    """
    before = [replace(record, client_tcp="", offers=()) for record in records(copy)]
    for file in (copy / "data").iterdir():
        table = pq.read_table(file)
        pq.write_table(table.drop_columns(sorted(ADDED_COLUMNS)), file)
    settled(copy)
    assert lines(copy) == []
    assert [*records(copy)] == before
