"""Sessions as Parquet: the one module that knows PyArrow.

The schema is explicit and nested: a row a session, with ``writes``, ``segments`` and ``reads``
as lists of structures. ``schema_version`` stands in the file's metadata as well as in a column,
so that a reader can refuse a file before it looks at any row.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from seglab.core.record import SCHEMA_VERSION, SessionRecord
from seglab.errors import InputError

ROW_GROUP_SESSIONS = 4096

_ROWS_AT_ONCE = 256
"""How many rows are Python's own values at a time: a long session has thousands of these."""

_VERSION_KEY = b"schema_version"


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _layer(*fields: pa.Field) -> pa.DataType:
    return pa.list_(_required("item", pa.struct(fields)))


_STAMPED = _layer(
    _required("t_ns", pa.int64()), _required("start", pa.int64()), _required("end", pa.int64())
)
_SEGMENTS = _layer(
    _required("t_sent_ns", pa.int64()),
    pa.field("t_arrived_ns", pa.int64()),
    _required("start", pa.int64()),
    _required("end", pa.int64()),
    _required("psh", pa.bool_()),
    _required("retransmission", pa.bool_()),
    _required("dropped", pa.bool_()),
    pa.field("drop_reason", pa.string()),
)
_FIELDS = _layer(
    _required("name", pa.string()), _required("start", pa.int64()), _required("end", pa.int64())
)
_CAPTURES = pa.struct([pa.field("client", pa.string()), pa.field("server", pa.string())])

SCHEMA = pa.schema(
    [
        _required("session_id", pa.string()),
        _required("scenario", pa.string()),
        _required("sender", pa.string()),
        _required("style", pa.string()),
        pa.field("terminator", pa.string()),
        _required("network", pa.string()),
        _required("path_condition", pa.string()),
        _required("engine", pa.string()),
        _required("seed", pa.uint64()),
        _required("repeat", pa.int64()),
        _required("mtu", pa.int64()),
        _required("mss", pa.int64()),
        _required("timestamps", pa.bool_()),
        _required("status", pa.string()),
        pa.field("error", pa.string()),
        _required("payload_bytes", pa.int64()),
        pa.field("payload_sha256", pa.string()),
        _required("writes", _STAMPED),
        _required("segments", _SEGMENTS),
        _required("reads", _STAMPED),
        _required("variant", pa.string()),
        _required("parameters", pa.string()),
        _required("t0_ns", pa.int64()),
        _required("duration_ns", pa.int64()),
        _required("reader", pa.string()),
        _required("buffer_bytes", pa.int64()),
        pa.field("initcwnd", pa.int64()),
        _required("nodelay", pa.bool_()),
        _required("congestion_control", pa.string()),
        _required("message", pa.string()),
        _required("captures", _CAPTURES),
        _required(
            "mtu_changes", _layer(_required("t_ns", pa.int64()), _required("mtu", pa.int64()))
        ),
        pa.field("header_end", pa.int64()),
        _required("header_fields", _FIELDS),
        _required("schema_version", pa.int64()),
    ],
    metadata={_VERSION_KEY: str(SCHEMA_VERSION).encode()},
)

LABELS = (
    _required("number", pa.int64()),
    _required("template", pa.string()),
    _required("message_id", pa.string()),
    _required("split", pa.string()),
    pa.field("split_network", pa.string()),
    pa.field("split_template", pa.string()),
)
"""What a dataset's rows have beside a session's own columns."""

DATASET_SCHEMA = pa.schema([*SCHEMA, *LABELS], metadata=SCHEMA.metadata)


def write_dataset(file: BinaryIO, rows: Iterable[dict[str, Any]]) -> int:
    """Write a dataset's rows, those of a session with the labels; else as ``write_sessions``."""
    return _write_rows(file, rows, DATASET_SCHEMA)


def write_sessions(file: Path | BinaryIO, records: Iterable[SessionRecord]) -> int:
    """Write records as one Parquet file, in row groups, compressed with zstd.

    Args:
        file: a path, or an open binary file (which stays open, for a caller that must sync it).
        records: taken one row group at a time, so a run need not fit the memory.

    Returns:
        How many records were written.

    Raises:
        OSError: the file cannot be written, for instance on a full disk.
    """
    if isinstance(file, Path):
        with file.open("wb") as opened:
            return write_sessions(opened, records)
    return _write_rows(file, (record.to_row() for record in records), SCHEMA)


def _write_rows(file: BinaryIO, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> int:
    written = 0
    remaining = iter(rows)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batches := list(_batches(islice(remaining, ROW_GROUP_SESSIONS), schema)):
            writer.write_table(pa.Table.from_batches(batches))
            written += sum(batch.num_rows for batch in batches)
    return written


def _batches(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    remaining = iter(rows)
    while some := list(islice(remaining, _ROWS_AT_ONCE)):
        yield pa.RecordBatch.from_pylist(some, schema=schema)


def read_sessions(path: Path) -> Iterator[SessionRecord]:
    """The records of a Parquet file, in its order, one row group at a time.

    Raises:
        InputError: the file is absent, is not Parquet, is no file of sessions, or comes from a
            later version of seglab.
    """
    for row in _rows(path, columns=None):
        try:
            yield SessionRecord.from_row(row)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def read_rows(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file of sessions as they are, a row group at a time.

    Args:
        path: of the file.
        columns: those that are wanted; ``None`` for all. One that is not there is left out.

    Raises:
        InputError: as ``read_sessions``.
    """
    return _rows(path, columns)


def schema_differences(path: Path) -> list[str]:
    """How a file's columns differ from a dataset's, in words; empty where they do not.

    Raises:
        InputError: as ``read_sessions``.
    """
    with _opened(path) as file:
        found: pa.Schema = file.schema_arrow
    differences = []
    for field in DATASET_SCHEMA:
        index = found.get_field_index(field.name)
        if index < 0:
            differences.append(f"no column {field.name}")
        elif found.field(index).type != field.type:
            kind = _first_line(TypeError(str(found.field(index).type)))[:80]
            differences.append(f"column {field.name} is {kind}, expected {field.type}"[:200])
    return differences


def read_statuses(path: Path) -> dict[str, str]:
    """How each session ended, by its id: all that ``resume`` needs, at the cost of two columns.

    Raises:
        InputError: as ``read_sessions``.
    """
    return {r["session_id"]: r["status"] for r in _rows(path, columns=["session_id", "status"])}


def _rows(path: Path, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=columns):
            yield from batch.to_pylist()


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file of sessions; what goes wrong with it, at any time, is one line."""
    try:
        with path.open("rb") as opened, pq.ParquetFile(opened) as file:  # names may be no UTF-8
            _refuse_foreign(path, file.schema_arrow)
            yield file
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {_first_line(error)}") from error


def _refuse_foreign(path: Path, schema: pa.Schema) -> None:
    version = (schema.metadata or {}).get(_VERSION_KEY, b"").decode("ascii", "replace")
    if not version.isdecimal() or not {"session_id", "status"} <= set(schema.names):
        raise InputError(f"{path}: Parquet, but not sessions of seglab (no schema_version)")
    if int(version) > SCHEMA_VERSION:
        raise InputError(
            f"{path}: has schema_version {version}, this seglab reads up to {SCHEMA_VERSION};"
            " read it with the seglab that wrote it, or a later one"
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
