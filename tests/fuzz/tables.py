"""Parquet: rows of runs and datasets whose values, types, columns, encodings or bytes are changed.

A file is read as the commands read it. PyArrow may crash over bytes; the process that examines is
there for that.
"""

import io
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from synthetic import simulated

from fuzz.json_lines import use_record
from fuzz.kind import Kind, Refusal, outcome
from fuzz.mutation import changed_bytes, changed_tree, scalar
from seglab.core.record import SessionRecord
from seglab.runs.parquet import (
    DATASET_SCHEMA,
    GROUP_MAX_BYTES,
    SCHEMA,
    read_rows,
    read_sessions,
    read_statuses,
    schema_differences,
)

_ROWS = 6
_KEPT = 1000


@cache
def _rows() -> tuple[dict[str, Any], ...]:
    return tuple(simulated(at, writes=(1500, 700, 5), mss=1440).to_row() for at in range(_ROWS))


def _labelled(row: dict[str, Any], number: int) -> dict[str, Any]:
    labels = {"number": number, "template": "short", "message_id": "a", "split": "train"}
    return row | labels | {"split_network": None, "split_template": "test"}


_TYPES: Final[tuple[Callable[[], pa.DataType], ...]] = (
    *(pa.int8, pa.int32, pa.uint64, pa.float16, pa.float64, pa.bool_, pa.string, pa.large_string),
    *(pa.binary, pa.date32, pa.null, lambda: pa.timestamp("ns"), lambda: pa.decimal128(30, 3)),
    *(lambda: pa.dictionary(pa.int8(), pa.string()), lambda: pa.list_(pa.int64())),
    *(lambda: pa.list_(pa.list_(pa.string())), lambda: pa.struct([("a", pa.int64())])),
    *(lambda: pa.map_(pa.string(), pa.int64()), lambda: pa.list_(pa.int64(), 2)),
    lambda: pa.time64("ns"),
)


def _table(random: Random) -> pa.Table:
    """Return a table of sessions with other values, types or columns in some places."""
    schema = random.choice((SCHEMA, DATASET_SCHEMA))
    rows = [dict(row) for row in random.choices(_rows(), k=random.choice((0, 1, 3, 6)))]
    if schema is DATASET_SCHEMA:
        rows = [_labelled(row, number) for number, row in enumerate(rows)]
    if rows and random.random() < 0.7:
        at = random.randrange(len(rows))
        rows[at] = changed_tree(random, rows[at], most=3)
    try:
        table = pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        table = _typed(rows, schema)
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        table = _changed(random, table)
    return table


def _typed(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return the rows as columns of whatever type their values have; others are left out."""
    columns: dict[str, pa.Array] = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(name) for row in rows]
        kind = schema.field(name).type if name in schema.names else None
        for wanted in (kind, None):
            try:
                columns[str(name)] = pa.array(values, type=wanted)
                break
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                continue
    return pa.table(columns).replace_schema_metadata(schema.metadata)


def _changed(random: Random, table: pa.Table) -> pa.Table:
    if not table.num_columns:
        return table
    at = random.randrange(table.num_columns)
    field, how = table.field(at), random.randrange(6)
    if how == 0:
        return table.remove_column(at)
    if how == 1:
        return table.rename_columns(
            [
                random.choice(table.column_names) if i == at else n
                for i, n in enumerate(table.column_names)
            ]
        )
    if how == 2:
        metadata = random.choice((b"", b"99", b"1", b"-1", b"x", b"\xff", b"1" * 5000))
        return table.replace_schema_metadata({b"schema_version": metadata})
    if how == 3:
        extra = pa.array([scalar_text(random)] * table.num_rows)
        return table.append_column(random.choice(("number", "split", "x", "")), extra)
    kind = random.choice(_TYPES)()
    try:
        column = table.column(at).cast(kind, safe=False)
    except (pa.ArrowException, ValueError, TypeError):
        column = pa.nulls(table.num_rows, kind)
    return table.set_column(at, pa.field(field.name, kind), column)


def scalar_text(random: Random) -> str:
    """Return any value as text."""
    return str(scalar(random))[:1000]


def make(random: Random) -> bytes:
    """Return a Parquet file, good or not."""
    table, file = _table(random), io.BytesIO()
    dictionary = random.random() < 0.6
    options: dict[str, Any] = {
        "compression": random.choice(("zstd", "snappy", "none", "gzip", "brotli")),
        "use_dictionary": dictionary,
        "data_page_version": random.choice(("1.0", "2.0")),
        "row_group_size": random.choice((1, 2, 1000)),
        "write_statistics": random.random() < 0.7,
        "data_page_size": random.choice((64, 1 << 20)),
    }
    if not dictionary and random.random() < 0.3:
        texts = [field.name for field in table.schema if field.type == pa.string()]
        encoding = random.choice(("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"))
        options["column_encoding"] = dict.fromkeys(texts, encoding)
    try:
        pq.write_table(table, file, **options)
    except (pa.ArrowException, ValueError, TypeError, OSError, KeyError):
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(_rows()[:2]), schema=SCHEMA), file)
    data = file.getvalue()
    if random.random() < 0.35:
        data = _bytes_changed(random, data)
    return data


def changed_file(random: Random, data: bytes) -> bytes:
    """Return a file with the same rows but for some values; any file where they do not fit."""
    file = io.BytesIO()
    try:
        table = pq.ParquetFile(io.BytesIO(data)).read()
        rows = changed_tree(random, table.to_pylist(), most=3)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file, compression="zstd")
    except (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError, LookupError):
        return make(random)
    return file.getvalue()


def _bytes_changed(random: Random, data: bytes) -> bytes:
    """Change bytes, mostly of the footer, which says all about the rest."""
    if random.random() < 0.3 or len(data) < 12:
        return changed_bytes(random, data, 3)
    length = int.from_bytes(data[-8:-4], "little")
    start = max(4, len(data) - 8 - length)
    footer = changed_bytes(random, data[start:-8], 3)
    if random.random() < 0.9:
        return data[:start] + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    return data[:start] + footer + data[-8:]


def check(data: bytes) -> None:
    """A file is refused in one line, or its rows can be used."""
    with TemporaryDirectory(prefix="seglab-fuzz-") as folder:
        path = Path(folder, "x.parquet")
        path.write_bytes(data)
        found: list[SessionRecord] = []

        def read() -> None:
            found.extend(islice(read_sessions(path), _KEPT))

        refused = outcome(read)
        statuses = outcome(lambda: read_statuses(path))
        outcome(lambda: schema_differences(path))
        rows = outcome(lambda: list(islice(read_rows(path), _KEPT)))
        if refused is None:
            assert not isinstance(statuses, Refusal), statuses.text
            assert not isinstance(rows, Refusal), rows.text
            assert len(rows) == len(found)
        for record in found:
            use_record(record)


PARQUET: Final = Kind(
    "parquet",
    "sessions as Parquet",
    make,
    check,
    lambda data: [data[at : at + 512] for at in range(0, len(data), 512)],
    growth_bytes=2 * GROUP_MAX_BYTES,
)
