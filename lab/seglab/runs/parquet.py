"""Sessions as Parquet: the one module that imports PyArrow.

The schema is explicit and nested: a row a session, with ``writes``, ``segments`` and ``reads``
as lists of structures. ``schema_version`` stands in the file's metadata as well as in a column,
so that a reader can refuse a file before it looks at any row.

A stranger may have made the file, and a Parquet file can ask for far more memory than it has bytes:
a page may repeat one long string, or one number, as often as it likes. So a reader

- refuses a row group that is too large by the file's footer, or that is encoded in such a way that
  the footer cannot say it;
- reads no other columns than those of a session, and all texts as dictionaries, in which a text
  that is repeated is there once;
- refuses a row that is too large, and makes Python's own values of few rows at a time, as many as
  fit ``_CHUNK_BYTES``.

The writer keeps its row groups far below these limits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from seglab.core.record import SCHEMA_VERSION, SessionRecord
from seglab.core.text import one_line
from seglab.errors import InputError
from seglab.runs.parquet_footer import ColumnChunk, row_groups

ROW_GROUP_SESSIONS = 4096
"""The most rows that the writer puts into a row group."""

ROW_GROUP_BYTES: Final = 64 << 20
"""About the size at which the writer ends a row group before it has so many rows."""

GROUP_MAX_BYTES: Final = 512 << 20
"""The largest row group that is read, decompressed."""

GROUP_MAX_VALUES: Final = 1 << 24
"""The most values of one column, or of one field of a nested column, in a row group."""

ROW_MAX_BYTES: Final = 64 << 20
"""The largest row that is read; a write, segment or read counts as ``_ITEM_BYTES``."""

_ITEM_BYTES = 32
_ROWS_AT_ONCE = 256
_CHUNK_BYTES = 8 << 20

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
_CALLS = _layer(
    _required("t_ns", pa.int64()),
    _required("name", pa.string()),
    _required("start", pa.int64()),
    _required("end", pa.int64()),
    pa.field("asked_bytes", pa.int64()),
    _required("result", pa.int64()),
    pa.field("flags", pa.int64()),
)
_OPTIONS = _layer(
    _required("t_ns", pa.int64()),
    _required("name", pa.string()),
    _required("action", pa.string()),
    pa.field("value", pa.int64()),
)
_INTEGERS = pa.list_(_required("item", pa.int64()))
_TEXTS = pa.list_(_required("item", pa.string()))
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
        _required("client_tcp", pa.string()),
        _required("message", pa.string()),
        _required("captures", _CAPTURES),
        _required(
            "mtu_changes", _layer(_required("t_ns", pa.int64()), _required("mtu", pa.int64()))
        ),
        pa.field("late_ns", pa.int64()),
        pa.field("too_late", pa.bool_()),
        _required("discarded_late_ns", _INTEGERS),
        pa.field("header_end", pa.int64()),
        _required("header_fields", _FIELDS),
        _required("kind", pa.string()),
        _required("calls", _CALLS),
        _required("options", _OPTIONS),
        pa.field("exit_code", pa.int64()),
        _required("output", pa.string()),
        _required("notes", _TEXTS),
        _required("dialogue", _TEXTS),
        _required("offers", _TEXTS),
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
"""What the plan of a dataset says of its rows, beside the columns of a session."""

SIZES = (_required("segment_sizes", _INTEGERS), _required("read_sizes", _INTEGERS))
"""What a row of a dataset repeats as plain numbers: the sizes that an observation of it has.

They follow from ``segments`` and ``reads``, so a run does not store them.
"""

ADDED_COLUMNS = frozenset(
    {
        *("client_tcp", "late_ns", "too_late", "discarded_late_ns"),
        *("kind", "calls", "options", "exit_code", "output", "notes", "dialogue"),
        "offers",
        *(field.name for field in SIZES),
    }
)
"""Columns that the files of earlier versions lack. A record does without them."""

DATASET_SCHEMA = pa.schema([*SCHEMA, *LABELS, *SIZES], metadata=SCHEMA.metadata)


Row = tuple[Any, ...]
"""The values of a session in the order of a schema; a list in it may hold structs of msgspec."""

row_of: Final[Callable[[SessionRecord], Row]] = attrgetter(*SCHEMA.names)
"""Returns the values of a record in the order of ``SCHEMA``."""


def write_dataset(file: BinaryIO, rows: Iterable[Row]) -> int:
    """Write the rows of a dataset as ``write_sessions`` does.

    Args:
        file: an open binary file, which stays open.
        rows: of each session what ``row_of`` returns, and then its labels and sizes.

    Returns:
        How many rows were written.
    """
    return _write_rows(file, rows, DATASET_SCHEMA)


def write_sessions(file: Path | BinaryIO, records: Iterable[SessionRecord]) -> int:
    """Write records as one Parquet file, in row groups, compressed with zstd.

    Args:
        file: a path, or an open binary file, which stays open.
        records: the sessions. One row group of them is in memory at a time.

    Returns:
        How many records were written.

    Raises:
        OSError: the file cannot be written, for instance on a full disk.
    """
    if isinstance(file, Path):
        with file.open("wb") as opened:
            return write_sessions(opened, records)
    return _write_rows(file, map(row_of, records), SCHEMA)


def _write_rows(file: BinaryIO, rows: Iterable[Row], schema: pa.Schema) -> int:
    written = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(_batches(rows, schema)):
            writer.write_table(pa.Table.from_batches(group))
            written += sum(batch.num_rows for batch in group)
    return written


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Join batches to row groups of ``ROW_GROUP_SESSIONS`` rows; fewer, if they are large."""
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= ROW_GROUP_SESSIONS or size >= ROW_GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group


def _batches(rows: Iterable[Row], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    remaining = iter(rows)
    kinds = [field.type for field in schema]
    while some := list(islice(remaining, _ROWS_AT_ONCE)):
        columns = zip(*some, strict=True)
        arrays = [_array(kind, values) for kind, values in zip(kinds, columns, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Make a column. The values of a struct's type have its fields as their attributes.

    PyArrow makes the same of dictionaries, but making these takes longer than all of this.
    """
    if pa.types.is_list(kind):
        offsets = _plain(pa.int32(), [0, *accumulate(map(len, values))])
        items = _array(kind.value_type, [*chain.from_iterable(values)])
        return pa.ListArray.from_arrays(offsets, items, kind)
    if pa.types.is_struct(kind):
        parts = zip(*map(attrgetter(*(part.name for part in kind)), values), strict=True)
        found = [*parts] or [()] * kind.num_fields
        arrays = [_array(part.type, one) for part, one in zip(kind, found, strict=True)]
        return pa.StructArray.from_arrays(arrays, fields=[*kind])
    return _plain(kind, values)


def _plain(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Make an array of texts, truth values or whole numbers; ``None`` is no value.

    It is made of its buffers (Arrow Columnar Format 1.5), since ``pa.array`` takes half a second
    to import pandas where that is installed.
    """
    bits = None
    if None in values:
        bits = _bits([value is not None for value in values])
        nothing = "" if pa.types.is_string(kind) else 0
        values = [nothing if value is None else value for value in values]
    if pa.types.is_string(kind):
        texts = [value.encode() for value in values]
        ends = np.array([0, *accumulate(map(len, texts))], np.int32)
        buffers = [pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    elif pa.types.is_boolean(kind):
        buffers = [_bits(values)]
    else:
        buffers = [pa.py_buffer(np.array(values, kind.to_pandas_dtype()))]
    return pa.Array.from_buffers(kind, len(values), [bits, *buffers])


def _bits(values: Sequence[Any]) -> pa.Buffer:
    """Return a bit for each value, set where the value is true."""
    return pa.py_buffer(np.packbits(np.array(values, np.bool_), bitorder="little"))


def read_sessions(path: Path) -> Iterator[SessionRecord]:
    """Yield the records of a Parquet file in its order, one row group in memory at a time.

    Raises:
        InputError: the file does not exist, is not Parquet, does not hold sessions, or comes from
            a later version of seglab.
    """
    for row in _rows(path, columns=None):
        try:
            yield SessionRecord.from_row(row)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def read_rows(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file of sessions, one row group in memory at a time.

    Args:
        path: the file's path.
        columns: the names of the columns to read; ``None`` reads all. A column that the file lacks
            is left out.

    Raises:
        InputError: as ``read_sessions``.
    """
    return _rows(path, columns)


def schema_differences(path: Path) -> list[str]:
    """How the columns of a file differ from those of a dataset, in words; empty if they do not.

    Raises:
        InputError: as ``read_sessions``.
    """
    with _opened(path) as file:
        found: pa.Schema = file.schema.to_arrow_schema()
    differences = []
    for field in DATASET_SCHEMA:
        index = found.get_field_index(field.name)
        if index < 0 and field.name in ADDED_COLUMNS:
            continue
        if index < 0:
            differences.append(f"no column {field.name}")
        elif found.field(index).type != field.type:
            kind = _first_line(TypeError(str(found.field(index).type)))[:80]
            differences.append(f"column {field.name} is {kind}, expected {field.type}"[:200])
    return differences


def read_statuses(path: Path) -> dict[str, str]:
    """How each session ended, by its id. Reads two columns only.

    Raises:
        InputError: as ``read_sessions``.
    """
    return {r["session_id"]: r["status"] for r in _rows(path, columns=["session_id", "status"])}


def _rows(path: Path, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        with path.open("rb") as opened:
            groups = row_groups(opened)
        if len(groups) != file.num_row_groups:
            raise ValueError("the footer is damaged")
        known = [name for name in DATASET_SCHEMA.names if name in file.schema_arrow.names]
        wanted = known if columns is None else [name for name in columns if name in known]
        for number, group in enumerate(groups):
            _refuse_large_group(path, group, wanted)
            for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[number], columns=wanted):
                batch.validate(full=True)  # a damaged file may have indices into nowhere
                for chunk in _chunks(path, batch):
                    yield from chunk.to_pylist()


def _refuse_large_group(path: Path, group: list[ColumnChunk], columns: list[str]) -> None:
    """Refuse a row group that would take too much memory, or might, by the file's footer."""
    wanted = [chunk for chunk in group if chunk.path.partition(".")[0] in columns]
    size = sum(chunk.uncompressed_bytes for chunk in wanted)
    if not all(chunk.uncompressed_bytes >= 0 for chunk in wanted) or size > GROUP_MAX_BYTES:
        raise InputError(f"{path}: a row group of {size} bytes; expected {GROUP_MAX_BYTES} at most")
    for chunk in wanted:
        if not 0 <= chunk.values <= GROUP_MAX_VALUES:
            raise InputError(
                f"{path}: a row group with {chunk.values} values of {one_line(chunk.path)}; "
                f"expected {GROUP_MAX_VALUES} at most"
            )
        if chunk.repeating:
            raise InputError(
                f"{path}: {one_line(chunk.path)} is encoded as DELTA_BYTE_ARRAY; expected plain "
                "text or a dictionary"
            )


def _chunks(path: Path, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch into parts of few bytes, each of one row at least.

    Raises:
        InputError: a row is too large.
    """
    sizes = sum((_sizes(column) for column in batch.columns), np.zeros(batch.num_rows))
    start, total = 0, 0.0
    for row, size in enumerate(sizes):
        if size > ROW_MAX_BYTES:
            raise InputError(f"{path}: a row of {size:.0f} bytes; expected {ROW_MAX_BYTES} at most")
        if total + size > _CHUNK_BYTES and row > start:
            yield batch.slice(start, row - start)
            start, total = row, 0.0
        total += size
    yield batch.slice(start)


def _sizes(array: pa.Array) -> npt.NDArray[np.float64]:
    """About how many bytes each value takes as Python's own, without what all values take.

    Texts count by their length and items of a list by ``_ITEM_BYTES``. The numbers are floats,
    so that no sum of them overflows.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = _sizes(array.dictionary)
        if not len(lengths):
            return np.zeros(len(array))
        return np.asarray(lengths[_numbers(array.indices)])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        items = _sizes(array.values) + _ITEM_BYTES
        ends = np.concatenate([[0.0], np.cumsum(items)])
        offsets = _numbers(array.offsets)
        return np.asarray(ends[offsets[1:]] - ends[offsets[:-1]])
    if pa.types.is_struct(kind):
        parts = (_sizes(array.field(number)) for number in range(kind.num_fields))
        return sum(parts, np.zeros(len(array)))
    if any(of(kind) for of in _OF_BYTES):
        from pyarrow import compute  # noqa: PLC0415 - slow to import, and only readers need it

        return _numbers(compute.binary_length(array)).astype(np.float64)
    if not any(of(kind) for of in _OF_FEW_BYTES):  # a date may be one that Python does not have
        raise pa.ArrowInvalid(f"a column of type {kind}")
    return np.zeros(len(array))


def _numbers(array: pa.Array) -> npt.NDArray[np.integer[Any]]:
    """Return whole numbers as NumPy has them, with 0 where there is no value.

    PyArrow's own way imports pandas, as ``pa.array`` does.
    """
    kind = array.type.to_pandas_dtype()
    if not len(array):
        return np.empty(0, kind)
    whole = array.fill_null(_plain(array.type, [0])[0])
    return np.frombuffer(whole.buffers()[1], kind)[whole.offset : whole.offset + len(whole)]


_OF_BYTES: Final = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file of sessions; any error inside the block becomes an ``InputError``."""
    try:
        with path.open("rb") as opened:  # PyArrow cannot open names that are no UTF-8
            with pq.ParquetFile(opened) as file:
                _refuse_foreign(path, file.schema_arrow)
                metadata, texts = file.metadata, _texts(file.schema)
            with pq.ParquetFile(opened, metadata=metadata, read_dictionary=texts) as file:
                yield file
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {_first_line(error)}") from error


_OF_FEW_BYTES: Final = (
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_floating,
    pa.types.is_null,
)


def _texts(schema: pq.ParquetSchema) -> list[str]:
    """The paths of all columns and fields that are texts."""
    columns = (schema.column(number) for number in range(len(schema)))
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


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
    return one_line(next(iter(str(error).splitlines()), type(error).__name__))
