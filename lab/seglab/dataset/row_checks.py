"""Checks the rows of one shard of a dataset: each row by itself, and all rows together."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglab.core.record import SessionRecord
from seglab.dataset.check_result import DEFECTS_MAX, CheckResult
from seglab.dataset.layout import Layout
from seglab.dataset.plan import PlacedSession
from seglab.dataset.result import ShardResult
from seglab.engine.record import empty_record
from seglab.errors import InputError
from seglab.runs.parquet import read_rows, schema_differences

_AS_PLANNED = (
    "session_id", "scenario", "sender", "variant", "parameters", "style", "terminator", "network",
    "path_condition", "engine", "seed", "repeat", "mtu", "mss", "timestamps", "reader",
    "buffer_bytes", "initcwnd", "nodelay", "congestion_control", "message",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MisplacedRow:
    """A row that is in another shard than the one that its number belongs to.

    Attributes:
        number: the row's.
        session_id: the row's.
        file: the file that holds it.
    """

    number: int
    session_id: str
    file: str


class ShardRows:
    """The rows of a shard, and the defects that they show.

    Attributes:
        misplaced: the first rows whose number belongs to another shard.
    """

    def __init__(
        self,
        layout: Layout,
        shard: int,
        result: ShardResult,
        plan: dict[int, PlacedSession] | None,
        found: CheckResult,
    ) -> None:
        self._layout = layout
        self._shard = shard
        self._result = result
        self._plan = plan
        self._found = found
        first = shard * found.manifest.shard_sessions
        end = min(first + found.manifest.shard_sessions, found.manifest.planned)
        self._range = range(first, end)
        if (result.first, result.planned) != (first, len(self._range)):
            words = f"is described as {result.planned} sessions from {result.first} on"
            found.add(
                "completeness", f"shard {shard}", f"{words}; planned were {first} to {end - 1}"
            )
        self._numbers: set[int] = set()
        self._ids: set[str] = set()
        self._captures: set[str] = set()
        self._readable = True
        self.misplaced: list[MisplacedRow] = []

    def of(self, part: str) -> Iterator[dict[str, Any]]:
        """Yield the sound rows of a part, and report what is wrong with the others."""
        path = self._layout.data(part, self._shard)
        name = self._layout.name(path)
        if not path.exists():
            self._readable &= name not in self._result.files
            return
        try:
            differences = schema_differences(path)
            for words in differences:
                self._found.add("schema", name, words)
            if differences:
                self._readable = False
                return
            for row in read_rows(path):
                if self._is_sound(row, part, name):
                    yield row
        except InputError as error:
            self._readable = False
            unreadable(self._found, path, self._layout, error)

    def settle(self) -> None:
        """Check all rows together against the plan and the captures, once ``of`` has read them."""
        where = f"shard {self._shard}"
        if self._readable:
            known = self._numbers | {entry.number for entry in self._result.failed}
            count = len(self._range)
            if (gone := count - len(known)) > 0:
                at = next(n for n in self._range if n not in known)
                self._found.add(
                    "completeness", where,
                    f"{gone} of {count} sessions are missing, the first of them number {at}",
                )  # fmt: skip
        self._check_archive()

    def _is_sound(self, row: dict[str, Any], part: str, name: str) -> bool:
        session_id = str(row["session_id"])
        try:
            record = SessionRecord.from_row(row)
        except InputError as error:
            self._found.add("schema", f"{name}: {session_id}", str(error), name)
            return False
        number = row["number"]
        if number in self._numbers or session_id in self._ids:
            self._found.add("duplicates", f"{name}: {session_id}", "is there twice", name)
            return False
        self._numbers.add(number)
        self._ids.add(session_id)
        self._check_laws(record, name)
        if number not in self._range:
            self._note_misplaced(number, session_id, name)
            return False
        if row["split"] != part:
            words = f"its split is {row['split']}, the file's is {part}"
            self._found.add("plan", f"{name}: {session_id}", words, name)
        self._check_plan(row, session_id, name)
        captures = (record.captures.client, record.captures.server)
        self._captures.update(path.rpartition("/")[2] for path in captures if path is not None)
        return True

    def _note_misplaced(self, number: int, session_id: str, name: str) -> None:
        if 0 <= number < self._found.manifest.planned and len(self.misplaced) < DEFECTS_MAX:
            self.misplaced.append(MisplacedRow(number, session_id, name))
            return
        there = f"{self._range.start} to {self._range.stop - 1}"
        words = f"its number is {number}, the shard has {there}"
        self._found.add("plan", f"{name}: {session_id}", words, name)

    def _check_plan(self, row: dict[str, Any], session_id: str, name: str) -> None:
        if self._plan is None:
            return
        place = self._plan[row["number"]]
        record = empty_record(place.spec, place.network, self._found.manifest.engine)
        expected = {column: getattr(record, column) for column in _AS_PLANNED} | {
            "template": place.template,
            "message_id": place.message_id,
            "split": place.split,
            "split_network": place.split_network,
            "split_template": place.split_template,
        }
        for column, value in expected.items():
            if row[column] != value:
                words = f"{column} is {row[column]!r}, planned was {value!r}"
                self._found.add("plan", f"{name}: {session_id}", words, name)
                return

    def _check_laws(self, record: SessionRecord, name: str) -> None:
        if record.status != "complete" or record.error is not None:
            words = f"status {record.status}: only complete sessions are rows"
            self._found.add("conservation", f"{name}: {record.session_id}", words, name)
            return
        for words in record.trace.violations()[:1]:
            self._found.add("conservation", f"{name}: {record.session_id}", words, name)

    def _check_archive(self) -> None:
        path = self._layout.wire(self._shard)
        name = self._layout.name(path)
        if name not in self._result.files or not path.exists():
            return
        try:
            with zipfile.ZipFile(path) as archive:
                there = set(archive.namelist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            self._found.add("captures", name, f"not a readable ZIP archive: {error}")
            return
        for gone in sorted(self._captures - there)[:1]:
            self._found.add(
                "captures", name,
                f"{len(self._captures - there)} captures of its rows are missing, such as {gone}",
            )  # fmt: skip


def unreadable(found: CheckResult, path: Path, layout: Layout, error: InputError) -> None:
    """Report a file that cannot be read, unless it is known to have changed."""
    name = layout.name(path)
    if ("checksums", name) not in found.found:
        found.add("schema", name, str(error).removeprefix(f"{path}: "))
