"""A built dataset in the programs that people use: one line each, as the guide shows them."""

import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from dataset_making import SESSIONS, PureEngine, build

from seglab.dataset.columns import COLUMNS, SPLITS
from seglab.dataset.reading import rows

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.filterwarnings("ignore")  # those programs' own, which are not ours to mend

PARTS = {"train": 81, "validation": 27, "test": 27}
PROGRAMS = ("pandas", "polars", "duckdb", "datasets")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, in the folder that the guide's lines name."""
    folder = tmp_path_factory.mktemp("readers")
    PureEngine.reset()
    build(folder / "data" / "mine", seed=2014)
    return folder


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No program may ask anybody for anything."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))


def shown(document: str) -> dict[str, str]:
    """The lines of a document that open a dataset, by program."""
    text = (ROOT / document).read_text(encoding="utf-8")
    lines = re.findall(r"^((?:pandas|polars|duckdb|datasets)\..*data/mine.*)$", text, re.MULTILINE)
    return {line.split(".")[0]: line for line in lines}


def opened(built: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the guide's line gives."""
    monkeypatch.chdir(built)
    return eval(shown("docs/datasets.md")[program], {program: importlib.import_module(program)})


def test_a_line_for_each_program() -> None:
    """The guide shows one line for each program."""
    assert tuple(shown("docs/datasets.md")) == PROGRAMS


def test_pandas(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pandas has all rows, with lists of writes as they were."""
    frame = opened(built, "pandas", monkeypatch)
    assert frame["split"].value_counts().to_dict() == PARTS
    assert list(frame.columns) == [name for name in COLUMNS if "." not in name]
    row = frame.iloc[0]
    assert row["writes"][-1]["end"] == row["payload_bytes"]


def test_plain_sizes(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's lines for pandas give each row's sizes as numbers."""
    monkeypatch.chdir(built)
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(frame = pandas.*?)```", text, re.DOTALL)
    names = {"pandas": importlib.import_module("pandas")}
    exec(block, names)
    found = [*names["frame"].itertuples()]
    expected = [*rows(built / "data" / "mine")]
    assert len(found) == SESSIONS
    by_part = [(row["split"], [r["end"] - r["start"] for r in row["reads"]]) for row in expected]
    assert sorted((row.split, list(row.read_sizes)) for row in found) == sorted(by_part)
    assert all(row.segments == len(row.segment_sizes) for row in found)


def test_polars(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars has all rows, and reaches into the lists."""
    polars = importlib.import_module("polars")
    frame = opened(built, "polars", monkeypatch)
    assert dict(frame["split"].value_counts().iter_rows()) == PARTS
    ends = frame.select(polars.col("writes").list.last().struct.field("end")).to_series()
    assert ends.to_list() == frame["payload_bytes"].to_list()


def test_duckdb(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB has all rows, and reaches into the lists."""
    relation = opened(built, "duckdb", monkeypatch)
    assert dict(relation.aggregate("split, count(*)").fetchall()) == PARTS
    wrong = relation.filter("list_last(writes).end <> payload_bytes").aggregate("count(*)")
    assert wrong.fetchall() == [(0,)]


def test_hugging_face(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hugging Face datasets has the three parts by their names, without a network."""
    loaded = opened(built, "datasets", monkeypatch)
    assert {part: table.num_rows for part, table in loaded.items()} == PARTS
    row = loaded["test"][0]
    assert row["split"] == "test"
    assert row["writes"][-1]["end"] == row["payload_bytes"]


def test_hugging_face_streams(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be streamed as well, as a dataset that fits no memory has to be."""
    datasets = importlib.import_module("datasets")
    monkeypatch.chdir(built)
    stream = datasets.load_dataset("data/mine", split="validation", streaming=True)
    assert {row["split"] for row in stream} == {"validation"}


def plain(value: Any) -> Any:
    """A record of Croissant as the values that a row has."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return None if value != value else value  # noqa: PLR0124 -- not a number stands for nothing


def croissant(built: Path) -> Any:
    mlcroissant = importlib.import_module("mlcroissant")
    return mlcroissant.Dataset(jsonld=built / "data" / "mine" / "croissant.json")


def test_croissant_is_valid(built: Path) -> None:
    """Mlcroissant has neither an error nor a warning to tell."""
    issues = croissant(built).metadata.ctx.issues
    assert list(issues.errors) == []
    assert list(issues.warnings) == []


def test_croissant_has_the_rows(built: Path) -> None:
    """The records that mlcroissant makes are the rows, each layer with all of its fields."""

    def records() -> Iterator[dict[str, Any]]:
        for record in islice(croissant(built).records(record_set="sessions"), SESSIONS + 1):
            yield plain(record)

    expected = {row["session_id"]: row for row in rows(built / "data" / "mine")}
    found = {record["session_id"]: record for record in records()}
    assert found.keys() == expected.keys()
    for session_id, row in expected.items():
        assert found[session_id] == row


def test_croissant_knows_the_parts(built: Path) -> None:
    """The parts of the dataset are a record set of their own, of the type that is for them."""
    parts = [plain(record)["name"] for record in croissant(built).records(record_set="splits")]
    assert parts == list(PARTS)
    text = (built / "data" / "mine" / "croissant.json").read_text()
    (splits,) = (s for s in json.loads(text)["recordSet"] if s["@id"] == "splits")
    assert splits["dataType"] == "cr:Split"


def test_no_message_in_two_parts(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen by another program than ours: no payload and no message has two parts."""
    frame = opened(built, "pandas", monkeypatch)
    for column in SPLITS:
        for what in ("payload_sha256", "message_id"):
            parts = frame.dropna(subset=[column]).groupby(what)[column].nunique()
            assert Counter(parts.to_list()).keys() == {1}, (column, what)
