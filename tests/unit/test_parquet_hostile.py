"""Parquet files that a stranger made: whatever they ask for or hold, one line and little memory."""

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import simulated

from seglab.core.record import SessionRecord
from seglab.errors import InputError
from seglab.runs import parquet
from seglab.runs.parquet import (
    GROUP_MAX_VALUES,
    ROW_MAX_BYTES,
    SCHEMA,
    read_rows,
    read_sessions,
    write_sessions,
)
from seglab.runs.parquet_footer import row_groups

LIMIT_BYTES = 2 << 30

READ = f"""
import resource, sys
from pathlib import Path
from seglab.errors import InputError
from seglab.runs.parquet import read_sessions
resource.setrlimit(resource.RLIMIT_AS, ({LIMIT_BYTES}, {LIMIT_BYTES}))
count = 0
try:
    for record in read_sessions(Path(sys.argv[1])):
        count += 1
except InputError as error:
    print(error)
print(count)
"""

ROW = simulated(1).to_row()


def read_apart(file: Path) -> list[str]:
    """What a process with little memory says of a file, and how many records it got."""
    done = subprocess.run(
        [sys.executable, "-c", READ, file], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def written(file: Path, columns: dict[str, Any], rows: int, **options: Any) -> Path:
    """A file of equal rows, in which some columns have other values."""
    table = pa.Table.from_pylist([ROW | columns] * rows, schema=SCHEMA)
    pq.write_table(table, file, compression="zstd", **options)
    return file


@pytest.mark.parametrize("column", ["error", "captures", "header_fields"])
def test_a_text_that_is_repeated(tmp_path: Path, column: str) -> None:
    """A text of 16 MiB in each of 256 rows, in a file of 50 kB: 4.3 GB, if each row had its own."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 256), pa.array(["x" * (16 << 20)]))
    number, nothing = pa.array([1] * 256), pa.nulls(256, pa.string())
    value = {
        "error": text,
        "captures": pa.StructArray.from_arrays([text, nothing], ["client", "server"]),
        "header_fields": pa.ListArray.from_arrays(
            pa.array(range(257), type=pa.int32()),
            pa.StructArray.from_arrays(
                [text, pa.array([0] * 256), number], ["name", "start", "end"]
            ),
        ),
    }[column]
    rows = pa.Table.from_pylist([ROW] * 256, schema=SCHEMA)
    rows = rows.set_column(SCHEMA.get_field_index(column), column, value)
    file = tmp_path / "s.parquet"
    pq.write_table(rows, file, compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert file.stat().st_size < 100_000
    assert read_apart(file) == ["256"]


def test_a_row_of_many_texts(tmp_path: Path) -> None:
    """A row must not hold more than a row may."""
    field = {"name": "x" * 100_000, "start": 0, "end": 1}
    file = written(tmp_path / "s.parquet", {"header_fields": [field] * 1000}, 1)
    line, count = read_apart(file)
    assert line.startswith(f"{file}: a row of 1000")
    assert line.endswith(f"expected {ROW_MAX_BYTES} at most")
    assert count == "0"


def test_a_number_that_is_repeated(tmp_path: Path) -> None:
    """A list of more items than any session has, in a few bytes."""
    count = GROUP_MAX_VALUES + 1
    items = pa.StructArray.from_arrays(
        [pa.array([0]).take(pa.array([0] * count))] * 3,
        fields=[*SCHEMA.field("reads").type.value_type],
    )
    reads = pa.ListArray.from_arrays(pa.array([0, count], type=pa.int32()), items)
    rows = pa.Table.from_pylist([ROW], schema=SCHEMA)
    file = tmp_path / "s.parquet"
    pq.write_table(rows.set_column(SCHEMA.get_field_index("reads"), "reads", reads), file)
    assert file.stat().st_size < 100_000
    line, read = read_apart(file)
    assert f"a row group with {count} values of reads.list.element.t_ns" in line
    assert read == "0"


def test_a_large_row_group(tmp_path: Path) -> None:
    """Half a gigabyte of text that compresses to a few kilobytes."""
    rows = pa.Table.from_pylist([ROW] * 540, schema=SCHEMA)
    texts = pa.array(["x" * (1 << 20)]).take(pa.array([0] * 540))
    rows = rows.set_column(SCHEMA.get_field_index("error"), "error", texts)
    file = tmp_path / "s.parquet"
    pq.write_table(rows, file, compression="zstd", use_dictionary=False)
    del rows, texts
    line, read = read_apart(file)
    assert f"{file}: a row group of 5" in line
    assert read == "0"


def test_texts_that_build_on_each_other(tmp_path: Path) -> None:
    """An encoding whose size cannot be told beforehand is refused."""
    file = written(
        tmp_path / "s.parquet",
        {"error": "x" * 1000},
        10,
        use_dictionary=False,
        column_encoding={"error": "DELTA_BYTE_ARRAY"},
    )
    with pytest.raises(InputError, match="error is encoded as DELTA_BYTE_ARRAY; expected plain"):
        next(read_sessions(file))


IMPOSSIBLE = {
    "no mss": ({"mss": 0}, "mss is 0 - at `$.mss`"),
    "negative mss": ({"mss": -1}, "at `$.mss`"),
    "large mss": ({"mss": 2**62}, "at `$.mss`"),
    "negative header": ({"header_end": -5}, "at `$.header_end`"),
    "header beyond": ({"header_end": ROW["payload_bytes"] + 1}, "at `$.header_end`"),
    "negative payload": ({"payload_bytes": -1}, "at `$.payload_bytes`"),
    "large payload": ({"payload_bytes": 2**62}, "at `$.payload_bytes`"),
    "negative start": ({"reads": [{"t_ns": 0, "start": -1, "end": 5}]}, "at `$.reads[0].start`"),
    "large end": ({"writes": [{"t_ns": 0, "start": 0, "end": 2**62}]}, "at `$.writes[0].end`"),
    "large time": ({"writes": [{"t_ns": 2**62, "start": 0, "end": 2}]}, "at `$.writes[0].t_ns`"),
    "no bytes": ({"reads": [{"t_ns": 0, "start": 5, "end": 5}]}, "at `$.reads[0]`"),
    "backwards": (
        {"header_fields": [{"name": "a", "start": 9, "end": 5}]},
        "9:5 is no range of bytes - at `$.header_fields[0]`",
    ),
    "negative MTU": ({"mtu_changes": [{"t_ns": 0, "mtu": -1}]}, "at `$.mtu_changes[0].mtu`"),
    "negative window": ({"initcwnd": -1}, "at `$.initcwnd`"),
}


@pytest.mark.parametrize("fault", IMPOSSIBLE)
def test_values_that_no_session_has(tmp_path: Path, fault: str) -> None:
    """A row with an impossible value is one line, which names the column."""
    columns, words = IMPOSSIBLE[fault]
    file = written(tmp_path / "s.parquet", columns, 1)
    with pytest.raises(InputError) as raised:
        list(read_sessions(file))
    assert str(raised.value).startswith(f"{file}: not a session record: ")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_failed_session_may_end_within_its_headers() -> None:
    """A session that broke off early has written less than the header block that it had to send."""
    row = ROW | {"status": "failed", "error": "refused", "payload_bytes": 0, "header_end": 300}
    row |= {"writes": [], "segments": [], "reads": []}
    assert SessionRecord.from_row(row).header_end == 300


def test_a_failed_session_may_have_no_mss() -> None:
    """What ended before the handshake has no MSS, and is a record."""
    row = ROW | {"status": "failed", "mss": 0, "error": "refused"}
    assert SessionRecord.from_row(row).mss == 0


def dated(table: pa.Table) -> pa.Table:
    """A table with a date beyond those of Python."""
    dates = pa.array([2**62], type=pa.timestamp("us"))
    return table.set_column(table.schema.get_field_index("t0_ns"), "t0_ns", dates)


def mapped(table: pa.Table) -> pa.Table:
    """A table with a column of another nested type."""
    maps = pa.array([[("a", 1)]], type=pa.map_(pa.string(), pa.int64()))
    return table.set_column(table.schema.get_field_index("reads"), "reads", maps)


def no_text(table: pa.Table) -> pa.Table:
    """A table with text that is no UTF-8."""
    texts = pa.array([b"\xff\xfe"], type=pa.binary()).view(pa.string())
    return table.set_column(table.schema.get_field_index("error"), "error", texts)


@pytest.mark.parametrize("change", [dated, mapped, no_text])
def test_columns_of_another_kind(tmp_path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Whatever a column is, reading it is right or one line."""
    file = tmp_path / "s.parquet"
    pq.write_table(change(pa.Table.from_pylist([ROW], schema=SCHEMA)), file)
    with pytest.raises(InputError) as raised:
        list(read_sessions(file))
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


def test_foreign_columns_are_not_read(tmp_path: Path) -> None:
    """A column that a user added, of any kind, is left alone."""
    file = tmp_path / "s.parquet"
    table = pa.Table.from_pylist([ROW], schema=SCHEMA)
    dates = pa.array([2**62], type=pa.timestamp("us"))
    pq.write_table(table.append_column("mine", dates), file)
    assert list(read_sessions(file)) == [simulated(1)]
    (row,) = read_rows(file)
    assert "mine" not in row


def test_large_rows_are_small_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer ends a group before it is large, so that no file of ours is refused."""
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 100_000)
    file = tmp_path / "s.parquet"
    assert write_sessions(file, [simulated(n) for n in range(1000)]) == 1000
    groups = pq.ParquetFile(file).num_row_groups
    assert 1 < groups <= 4
    assert len(list(read_sessions(file))) == 1000


def test_the_footer_is_what_pyarrow_reads(tmp_path: Path) -> None:
    """Sizes and numbers of values, column by column, are those of another reader."""
    file = tmp_path / "s.parquet"
    write_sessions(file, [simulated(n) for n in range(50)])
    metadata = pq.read_metadata(file)
    with file.open("rb") as opened:
        groups = row_groups(opened)
    assert len(groups) == metadata.num_row_groups
    for number, group in enumerate(groups):
        expected = metadata.row_group(number)
        for index, chunk in enumerate(group):
            column = expected.column(index)
            assert chunk.path == column.path_in_schema
            assert chunk.values == column.num_values
            assert chunk.uncompressed_bytes == column.total_uncompressed_size
            assert not chunk.repeating


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_one_line(data: st.DataObject) -> None:
    """Flipped bytes, in the rows or in the footer, give rows or one line; never another error."""
    content = bytearray(SOUND)
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.just(len(content)) | places)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "s.parquet"
        file.write_bytes(content[:end])
        said = ""
        try:
            list(read_sessions(file))
        except InputError as error:
            said = str(error)
        assert "\n" not in said


def _sound() -> bytes:
    """A file of a few sessions."""
    buffer = BytesIO()
    write_sessions(buffer, [simulated(n) for n in range(5)])
    return buffer.getvalue()


SOUND = _sound()
