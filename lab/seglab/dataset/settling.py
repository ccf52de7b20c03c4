"""Settles a shard: makes its files of the journal and the captures of its sessions.

The shard's description comes last: a shard with a description is complete. Whoever settles a shard
needs nothing but what is in ``EndedShard`` and in the shard's folder, so a process of its own can
do it (``SettlingProcess``), while sessions of the next shard run.
"""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from mmap import ACCESS_READ, mmap
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from seglab.core.child_processes import follow_parent
from seglab.core.files import replace_file, writing
from seglab.core.observation import sizes_of
from seglab.core.record import NO_CAPTURES, Captures, SessionRecord
from seglab.core.text import one_line
from seglab.dataset.captures import write_archive
from seglab.dataset.columns import LABELS, SPLITS
from seglab.dataset.layout import Layout
from seglab.dataset.plan import PlacedSession
from seglab.dataset.result import FailedSession, ShardResult, now
from seglab.dataset.splits import PARTS, Part
from seglab.dataset.stored_files import file_entry
from seglab.runs import journal
from seglab.runs.parquet import DATASET_SCHEMA, Row, row_of, write_dataset


class RowPlace(NamedTuple):
    """Where a session belongs in the dataset: what its row has beside its record.

    The first six are columns, and ``PlacedSession`` says what they mean.
    """

    number: int
    template: str
    message_id: str
    split: Part
    split_network: Part | None
    split_template: Part | None
    session_id: str
    network: str

    @classmethod
    def of(cls, place: PlacedSession) -> Self:
        """Return the place of a planned session."""
        return cls(
            place.number,
            place.template,
            place.message_id,
            place.split,
            place.split_network,
            place.split_template,
            place.spec.session_id,
            place.network.name,
        )


_COLUMNS: Final = RowPlace._fields.index("session_id")
"""How many columns of a row are of its place."""

_counted: Final[Callable[[Row], tuple[str | None, ...]]] = itemgetter(
    *map(DATASET_SCHEMA.names.index, (*SPLITS, *LABELS))
)
"""Returns by which values of a row it is counted."""


@dataclass(frozen=True, slots=True)
class EndedShard:
    """A shard whose sessions have all ended.

    Attributes:
        out: the dataset's folder.
        shard: its number.
        fingerprint: of the dataset's plan.
        places: its sessions, in the order of the plan.
        captures: whether captures are kept.
        environment: what was in force on each host (``ShardResult``).
        seconds: how long its sessions took.
    """

    out: Path
    shard: int
    fingerprint: str
    places: list[RowPlace]
    captures: bool
    environment: dict[str, Any]
    seconds: float


Settle = Callable[[EndedShard], Awaitable[ShardResult]]
"""What settles a shard."""


def settle(ended: EndedShard) -> ShardResult:
    """Write the shard's files, its description last.

    Doing it again changes nothing, as long as the shard's folder is there.

    Raises:
        InputError: a file cannot be written.
        DiskFullError: the disk is full.
    """
    began = time.monotonic()
    layout = Layout(ended.out)
    with writing(layout.path):
        result = _written(ended, layout)
        result.seconds = round(ended.seconds + time.monotonic() - began, 3)
        text = result.to_json()
        replace_file(layout.result(ended.shard), lambda file: file.write(text))
    return result


async def settle_in_thread(ended: EndedShard) -> ShardResult:
    """Settle a shard in a thread of this process."""
    return await asyncio.to_thread(settle, ended)


class SettlingProcess:
    """Settles shards in a process of its own, which starts with the first one.

    In a thread, settling would hold up the thread that gives an engine its sessions: Python's own
    code runs in one of them at a time. Where the process is killed, a thread takes over.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process."""
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown)

    async def settle(self, ended: EndedShard) -> ShardResult:
        """Settle a shard."""
        try:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, get_context("spawn"), _begin)
            return await asyncio.wrap_future(self._pool.submit(_settle_alone, ended))
        except BrokenExecutor:
            self._pool = None
            return await settle_in_thread(ended)


def _begin() -> None:
    """Prepare the process: what is there now stays, so no search for garbage looks at it."""
    follow_parent()
    gc.disable()
    gc.freeze()


def _settle_alone(ended: EndedShard) -> ShardResult:
    """Settle a shard in a process of its own, and look for cycles of objects only at the end.

    Rows leave none behind, and looking for them meanwhile would take a fifth of the time.
    """
    try:
        return settle(ended)
    finally:
        gc.collect()


def _written(ended: EndedShard, layout: Layout) -> ShardResult:
    """Make the shard's files from the journal and the captures."""
    lines = layout.journal(ended.shard)
    newest = {entry.session_id: entry for entry in journal.entries(lines)}
    placed = [(place, newest[place.session_id]) for place in ended.places]
    result = ShardResult(
        shard=ended.shard,
        fingerprint=ended.fingerprint,
        first=ended.places[0].number,
        planned=len(placed),
        environment=ended.environment,
    )
    archive = layout.name(layout.wire(ended.shard)) if ended.captures else None

    values: Counter[tuple[str | None, ...]] = Counter()

    def rows(part: str) -> Iterator[Row]:
        with lines.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as stored:
            for place, entry in placed:
                if place.split == part and entry.status == "complete":
                    line = stored[entry.offset : entry.offset + entry.length]
                    record = _stored(line, archive)
                    row = (
                        *row_of(record),
                        *place[:_COLUMNS],
                        sizes_of(record, "segments"),
                        sizes_of(record, "reads"),
                    )
                    result.count(record)
                    values[_counted(row)] += 1
                    yield row

    there = {place.split for place, entry in placed if entry.status == "complete"}
    for part in PARTS:
        path = layout.data(part, ended.shard)
        if part in there:
            replace_file(path, partial(write_dataset, rows=rows(part)))
            result.files[layout.name(path)] = file_entry(path)
        else:
            path.unlink(missing_ok=True)
    result.count_values(values)
    result.failed = tuple(_failed(lines, placed))
    path = layout.wire(ended.shard)
    if ended.captures and result.complete:
        names = [entry.session_id for _, entry in placed if entry.status == "complete"]
        folder = layout.work(ended.shard) / "wire"
        replace_file(path, lambda file: write_archive(file, folder, names))
        result.files[layout.name(path)] = file_entry(path)
    else:
        path.unlink(missing_ok=True)
    result.finished = now()
    return result


def _stored(line: bytes, archive: str | None) -> SessionRecord:
    """Return the record of a session from its line of the journal.

    Args:
        line: as ``SessionRecord.to_json`` made it.
        archive: the name of the archive that the captures will be in; ``None`` if none are kept.
    """
    record = SessionRecord.from_json(line)
    if record.captures == NO_CAPTURES:
        return record
    paths = record.captures.client, record.captures.server
    names = (path and archive and f"{archive}/{path.rpartition('/')[2]}" for path in paths)
    return replace(record, captures=Captures(*names))


def _failed(
    lines: Path, placed: Iterable[tuple[RowPlace, journal.Entry]]
) -> Iterator[FailedSession]:
    """Yield the sessions that failed."""
    with lines.open("rb") as file:
        for place, entry in placed:
            if entry.status != "complete":
                file.seek(entry.offset)
                error = SessionRecord.from_json(file.read(entry.length)).error
                reason = one_line(error or "")
                yield FailedSession(place.number, place.session_id, place.network, reason)
