"""A dataset described: the table of columns, the datasheet, Croissant, and the guide."""

import inspect
import json
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from dataset_making import SESSIONS, SPEC, PureEngine, build, spec_of

from seglab.dataset import records
from seglab.dataset import spec as spec_module
from seglab.dataset.columns import COLUMNS
from seglab.dataset.croissant import croissant
from seglab.dataset.layout import Layout
from seglab.dataset.reading import data_files
from seglab.dataset.spec import read_spec
from seglab.runs.parquet import DATASET_SCHEMA, read_rows


@pytest.fixture(autouse=True)
def _pure_engine() -> None:
    """Let no test see what another one wanted of the engine."""
    PureEngine.reset()


def test_columns_are_those_of_the_rows() -> None:
    """The table of columns has each column and field of a row, in order, with its type."""
    kinds = {"string": "text", "bool": "boolean", "struct": "struct", "list": "list"}
    expected = {}
    for field in DATASET_SCHEMA:
        kind = kinds.get(str(field.type).split("<")[0], "integer")
        lists = {"list<item: int64": "integers", "list<item: string": "texts"}
        kind = lists.get(str(field.type).split(" not null")[0], kind)
        expected[field.name] = kind
        inner = field.type.value_type if kind == "list" else field.type
        if kind in ("list", "struct"):
            for own in inner:
                expected[f"{field.name}.{own.name}"] = kinds.get(str(own.type), "integer")
    assert {name: column.kind for name, column in COLUMNS.items()} == expected
    assert list(COLUMNS) == list(expected)


def test_plain_sizes_are_those_of_the_layers(tmp_path: Path) -> None:
    """Pandas has them as lists of numbers; over a perfect path each segment and read counts."""
    build(tmp_path)
    columns = ["segments", "segment_sizes", "reads", "read_sizes"]
    found = [row for file in data_files(tmp_path) for row in read_rows(file, columns)]
    assert len(found) == SESSIONS
    for row in found:
        assert row["segment_sizes"] == [s["end"] - s["start"] for s in row["segments"]]
        assert row["read_sizes"] == [r["end"] - r["start"] for r in row["reads"]]


def test_croissant_has_every_column(tmp_path: Path) -> None:
    """The metadata for machines has every column and field, and every file with its digest."""
    manifest = build(tmp_path)
    value = json.loads(croissant(manifest))
    sessions = value["recordSet"][1]
    assert sessions["@id"] == "sessions"
    names = []
    for field in sessions["field"]:
        names.append(field["name"])
        names += [f"{field['name']}.{own['name']}" for own in field.get("subField", ())]
    assert names == list(COLUMNS)
    files = {f["@id"]: f["sha256"] for f in value["distribution"] if f["@type"] == "cr:FileObject"}
    assert files == {name: file.sha256 for name, file in manifest.files.items()}
    stored = json.loads(Layout(tmp_path).croissant.read_text())
    assert stored["license"] == "https://spdx.org/licenses/CC0-1.0.html"


def test_datasheet_says_what_counts(tmp_path: Path) -> None:
    """The datasheet has the composition, the splits, the limits, and which columns are equal."""
    manifest = build(tmp_path)
    text = Layout(tmp_path).datasheet.read_text()
    for heading in ("Composition", "Splits", "Labels", "Known limits", "Recommended use"):
        assert f"\n## {heading}\n" in text
    assert f"{SESSIONS} sessions were planned, {SESSIONS} are here" in text
    assert f" --seed {manifest.seed} --out DIR\n" in text
    counts = manifest.splits["split_network"]
    left = SESSIONS - sum(counts.values())
    cells = " | ".join(
        str(n) for n in (*(counts[p] for p in ("train", "validation", "test")), left)
    )
    assert f"| `split_network` | {cells} |" in text
    assert all(f"`{name}`" in text for name in COLUMNS)
    assert "`tunnel-1420` for test" in text


def test_documented_columns() -> None:
    """The guide's table says of each column whether it is equal from build to build."""
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    rows_ = "".join(f"| `{n}` | {c.origin} | {c.meaning} |\n" for n, c in COLUMNS.items())
    assert f"| column | from | meaning |\n| --- | --- | --- |\n{rows_}\n" in text


def test_documented_specification() -> None:
    """The guide's table has the keys of a specification; its example of splits is good."""
    root = Path(__file__).parents[2]
    text = (root / "docs" / "datasets.md").read_text()
    _, _, section = text.partition("\n## The specification\n")
    section = section.partition("\n## ")[0]
    keys = re.findall(r"^\| `\[*(\w+)\]*` \|", section, re.MULTILINE)
    asked = re.findall(
        r'(?:table\.\w+|_prose)\(\s*(?:table, )?"(\w+)"', inspect.getsource(spec_module)
    )
    assert set(keys) == {*asked, "senders", "networks"}
    example = read_spec(root / "examples" / "dataset.toml")
    assert example.sessions == 864
    (splits,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    names = '"unimpaired", "pppoe", "gprs", "tunnel-1400"'
    whole = SPEC.partition("[splits]")[0].replace('name = "long"\n', "")
    whole = re.sub(r"networks = \[.*\]", f"networks = [{names}]", whole)
    assert spec_of(whole + splits).splits.networks["gprs"] == "test"


def test_documented_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's programs run as they stand: one builds a dataset shard by shard, one reads it."""
    root = Path(__file__).parents[2]
    blocks = re.findall(
        r"```python\n(.*?)```", (root / "docs" / "datasets.md").read_text(), re.DOTALL
    )
    *_with_other_programs, reading, building = blocks
    (tmp_path / "examples").mkdir()
    text = (root / "examples" / "dataset.toml").read_text()
    small = text.replace("repeats = 12 ", "repeats = 2 ").replace("= 500 ", "= 60 ")
    (tmp_path / "examples" / "dataset.toml").write_text(small)
    monkeypatch.chdir(tmp_path)
    exec(building, {})
    output = StringIO()
    with redirect_stdout(output):
        exec(reading, {})
    expected = [r.style for r in records(tmp_path / "data" / "mine", split="test")]
    assert [line.split()[0] for line in output.getvalue().splitlines()] == expected
    assert expected
