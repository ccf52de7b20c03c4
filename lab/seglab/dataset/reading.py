"""Reads the sessions of a dataset or a run one after another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seglab.core.record import SessionRecord
from seglab.dataset.columns import SPLITS
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import read_manifest
from seglab.dataset.splits import PARTS
from seglab.errors import InputError, nearest


def records(path: Path, split: str | None = None, column: str = "split") -> Iterator[SessionRecord]:
    """Yield the sessions of a dataset, of a run folder, or of one Parquet file, in their order.

    Args:
        path: the folder or file.
        split: leaves out all parts but this one: ``train``, ``validation`` or ``test``. A run has
            no parts.
        column: the column that has the part: ``split``, ``split_network`` or ``split_template``.

    Yields:
        Each session. One row group at a time is in memory.

    Raises:
        InputError: no dataset or run is there, or a file is damaged.
    """
    if split is not None and split not in PARTS:
        raise InputError(f"split {split!r}: {nearest(split, PARTS)}")
    if column not in SPLITS:
        raise InputError(f"column {column!r}: {nearest(column, SPLITS)}")
    if path.is_dir() and read_manifest(Layout(path).manifest) is None:
        return _of_run(path, split)
    return _of_dataset(path, split, column)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a dataset or of one Parquet file, with the columns that records lack.

    Raises:
        InputError: as ``records``.
    """
    from seglab.runs.parquet import read_rows  # noqa: PLC0415 -- PyArrow only where it is used

    for file in data_files(path):
        yield from read_rows(file)


def data_files(path: Path) -> list[Path]:
    """The Parquet files of a dataset, shard by shard; ``path`` itself where it is a file.

    Raises:
        InputError: the dataset has none.
    """
    if not path.is_dir():
        return [path]
    found = list((path / "data").glob("*-*.parquet"))
    if not found:
        raise InputError(f"{path}: no shard is built here")
    order: dict[str, int] = {part: number for number, part in enumerate(PARTS)}

    def place(file: Path) -> tuple[str, int]:
        part, _, shard = file.stem.partition("-")
        return shard, order.get(part, len(PARTS))

    return sorted(found, key=place)


def _of_dataset(path: Path, split: str | None, column: str) -> Iterator[SessionRecord]:
    for row in rows(path):
        if split is not None and row.get(column) != split:
            continue
        try:
            yield SessionRecord.from_row(row)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _of_run(path: Path, split: str | None) -> Iterator[SessionRecord]:
    from seglab.runs.folder import RunFolder  # noqa: PLC0415 -- PyArrow only where it is used

    if split is not None:
        raise InputError(f"{path}: a run has no splits; build a dataset for them")
    return RunFolder.open(path).sessions()
