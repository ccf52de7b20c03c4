"""Checks the rows of one shard of a dataset: each row by itself, and all rows together.

Each row is held to the laws of conservation and to the plan. Rows of the sample are also made again
from the seed (``remake``), and compared with their captures (``capture_checks``): so a change is
found that makes rows, files and digests fit each other.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from seglab.core.observation import LAYERS, sizes_of
from seglab.core.record import SessionRecord
from seglab.dataset import capture_checks, remake
from seglab.dataset.captures import VANTAGES, ZIP_FAULTS
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


CAPTURE_MAX_BYTES: Final = 256 << 20
"""The largest capture that is read; a payload has at most 16 MiB."""

SAMPLE_SESSIONS: Final = 2000
"""About how many sessions of a large dataset are made again and compared with their captures."""


class Sample:
    """Which sessions are made again, and compared with their captures.

    The draw differs from check to check, so that nobody knows beforehand which rows it has.

    Attributes:
        share: of the sessions.
        remade: whether the sample's rows are made again.
        captures: whether each row must have captures.
    """

    def __init__(self, planned: int, *, thorough: bool, remade: bool, captures: bool) -> None:
        self.share = 1.0 if thorough else min(1.0, SAMPLE_SESSIONS / max(planned, 1))
        self.remade = remade
        self.captures = captures
        self._draw = Random()

    def has(self, _number: int) -> bool:
        """Draw whether a session belongs to the sample."""
        return self.share >= 1 or self._draw.random() < self.share


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
        sample: Sample,
    ) -> None:
        self._layout = layout
        self._shard = shard
        self._result = result
        self._plan = plan
        self._found = found
        self._sample = sample
        self._archive: zipfile.ZipFile | None = None
        self._archive_name = layout.name(layout.wire(shard))
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
        self._last: dict[str, int] = {}
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
        if self._archive is not None:
            self._archive.close()
        self._check_archive()
        self._check_failed()

    def _check_failed(self) -> None:
        """The sessions that are described as failed are planned ones, no rows, and were tried."""
        where = f"shard {self._shard}"
        if untried := self._result.untried:
            words = (
                f"{len(untried)} of {len(self._range)} sessions were not tried, because a part of "
                f"the lab died ({untried[0].error}); the same build does them again"
            )
            self._found.add("completeness", where, words)
        seen: set[int] = set()
        for entry in self._result.failed:
            place = None if self._plan is None else self._plan.get(entry.number)
            if entry.number not in self._range or entry.number in seen:
                words = f"the failed session number {entry.number} is there twice, or in no plan"
            elif entry.number in self._numbers:
                words = f"session number {entry.number} is a row, and described as failed"
            elif place is not None and place.spec.session_id != entry.session_id:
                words = f"the failed session number {entry.number} has another session_id"
            else:
                seen.add(entry.number)
                continue
            self._found.add("completeness", where, words)

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
        self._check_sizes(row, record, name)
        if number not in self._range:
            self._note_misplaced(number, session_id, name)
            return False
        if row["split"] != part:
            words = f"its split is {row['split']}, the file's is {part}"
            self._found.add("plan", f"{name}: {session_id}", words, name)
        if number < self._last.get(part, -1):
            self._found.add("plan", f"{name}: {session_id}", "is not in its order", name)
        self._last[part] = number
        as_planned = self._check_plan(row, session_id, name)
        self._name_captures(record, session_id, name)
        if self._sample.has(number):
            if as_planned:
                self._check_remade(record, number, name)
            self._check_captures(record, name)
        return True

    def _name_captures(self, record: SessionRecord, session_id: str, name: str) -> None:
        """Note which captures a row names; they must be its own, in its shard's archive."""
        for vantage in VANTAGES:
            path = getattr(record.captures, vantage)
            expected = f"{self._archive_name}/{session_id}.{vantage}.pcapng"
            if path is not None:
                self._captures.add(path.rpartition("/")[2])
            if path != expected and (path is not None or self._sample.captures):
                words = f"captures.{vantage} is {path!r}, expected {expected!r}"
                self._found.add("captures", f"{name}: {session_id}", words, name)

    def _check_remade(self, record: SessionRecord, number: int, name: str) -> None:
        if self._plan is None or not self._sample.remade:
            return
        try:
            words = remake.differences(record, self._plan[number])
        except InputError as error:
            self._sample.remade = False
            self._found.notes.append(f"rows are not made again from the seed: {error}")
            return
        if words is not None:
            self._found.add("plan", f"{name}: {record.session_id}", words, name)

    def _check_captures(self, record: SessionRecord, name: str) -> None:
        for vantage in VANTAGES:
            path = getattr(record.captures, vantage)
            if path is None or not record.complete:
                continue
            capture = self._capture(path.rpartition("/")[2])
            if capture is None:  # the archive as a whole is checked elsewhere
                continue
            if (words := capture_checks.differences(record, vantage, capture)) is not None:
                where = f"{self._archive_name}: {record.session_id}"
                self._found.add("captures", where, f"the {vantage}'s capture {words}", name)

    def _capture(self, name: str) -> bytes | None:
        """The content of a capture; ``None`` where the archive does not have it."""
        try:
            if self._archive is None:
                self._archive = zipfile.ZipFile(self._layout.wire(self._shard))
            if self._archive.getinfo(name).file_size > CAPTURE_MAX_BYTES:
                return b""
            return self._archive.read(name)
        except (KeyError, *ZIP_FAULTS):
            return None

    def _note_misplaced(self, number: int, session_id: str, name: str) -> None:
        if 0 <= number < self._found.manifest.planned and len(self.misplaced) < DEFECTS_MAX:
            self.misplaced.append(MisplacedRow(number, session_id, name))
            return
        there = f"{self._range.start} to {self._range.stop - 1}"
        words = f"its number is {number}, the shard has {there}"
        self._found.add("plan", f"{name}: {session_id}", words, name)

    def _check_plan(self, row: dict[str, Any], session_id: str, name: str) -> bool:
        """Compare a row's labels and settings with the plan; returns whether they are equal."""
        if self._plan is None:
            return False
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
                return False
        return True

    def _check_laws(self, record: SessionRecord, name: str) -> None:
        if record.status != "complete" or record.error is not None:
            words = f"status {record.status}: only complete sessions are rows"
            self._found.add("conservation", f"{name}: {record.session_id}", words, name)
            return
        for words in record.trace.violations()[:1]:
            self._found.add("conservation", f"{name}: {record.session_id}", words, name)

    def _check_sizes(self, row: dict[str, Any], record: SessionRecord, name: str) -> None:
        """Compare the columns of plain sizes with the layers, if there are any."""
        for layer in LAYERS:
            column = f"{layer.removesuffix('s')}_sizes"
            if column not in row:
                continue
            if row[column] != sizes_of(record, layer):
                words = f"{column} are not the sizes of its {layer}"
                self._found.add("conservation", f"{name}: {record.session_id}", words, name)

    def _check_archive(self) -> None:
        path = self._layout.wire(self._shard)
        name = self._layout.name(path)
        if name not in self._result.files or not path.exists():
            return
        try:
            with zipfile.ZipFile(path) as archive:
                there = set(archive.namelist())
        except ZIP_FAULTS as error:
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
