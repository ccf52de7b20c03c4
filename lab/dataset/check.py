"""Checks a dataset: its files, its rows, and that it is what its manifest says.

A shard at a time, so that the memory does not grow with the dataset, but for nine bytes a message.
"""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from lab.dataset.layout import Layout
from lab.dataset.manifest import Manifest, read_manifest
from lab.dataset.plan import Placed, planned
from lab.dataset.result import ShardResult, read_result
from lab.dataset.shard import described
from lab.dataset.spec import DatasetSpec
from lab.dataset.splits import PARTS
from lab.dataset.tally import Leaks, Tally
from lab.errors import InputError
from lab.record import SessionRecord
from lab.specfile import one_line
from lab.store import read_rows, schema_differences

FINDINGS_MAX = 20
"""Of one kind, in one file; what is beyond is counted."""

_AS_PLANNED = (
    "scenario", "sender", "variant", "style", "terminator", "network", "path_condition", "seed",
    "repeat", "nodelay", "message",
)  # fmt: skip

Report = Callable[[str, int], None]
"""Is told what is looked at, and how many sessions have been."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    Attributes:
        check: which check found it.
        where: a file, a session, or a column.
        what: in words.
    """

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where}: {self.what}"


@dataclass(slots=True)
class Checked:
    """What a check of a dataset found.

    Attributes:
        manifest: the dataset's.
        findings: what is wrong, in the order of the files.
        notes: what could not be checked, and why.
        tally: what it has of everything.
        more: how many findings are not listed, by check and place.
    """

    manifest: Manifest
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    more: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, check: str, where: str, what: str, group: str | None = None) -> None:
        """Take a finding down, unless there are many of its kind in its group."""
        key = (check, group or where)
        there = self.more.get(key, 0) + 1
        self.more[key] = there
        if there <= FINDINGS_MAX:
            self.findings.append(Finding(check, one_line(where), one_line(what)))

    def unlisted(self) -> Iterator[Finding]:
        """For each kind and place with many findings, how many more there are."""
        for (check, where), there in self.more.items():
            if there > FINDINGS_MAX:
                yield Finding(check, one_line(where), f"{there - FINDINGS_MAX} more of these")


def check(path: Path, report: Report | None = None) -> Checked:
    """Check a dataset.

    Args:
        path: its folder.
        report: is told how far it is.

    Raises:
        InputError: no dataset is there.
    """
    layout = Layout(path)
    manifest = read_manifest(layout.manifest)
    if manifest is None:
        raise InputError(f"{path}: no dataset is here (manifest.json is missing)")
    found = Checked(manifest)
    if manifest.status != "complete":
        found.add("completeness", "manifest.json", "the build has not finished; go on with it")
    _files(layout, found, report)
    spec = _spec(found)
    leaks = Leaks()
    for shard in _there(layout, found):
        if report is not None:
            report("rows", found.tally.sessions)
        _shard(layout, shard, spec, found, leaks)
        leaks.settle()
    for column, words in leaks.found():
        found.add("leakage", column, words)
    if not found.findings:  # else it may be unbalanced for what is missing
        for words in (*_empty_parts(found, spec), *found.tally.gaps()):
            found.add("balance", "split", words)
    _totals(found)
    return found


def _files(layout: Layout, found: Checked, report: Report | None) -> None:
    """Every file is there, as it was, and no other is."""
    files = found.manifest.files
    sums = _sums(layout, found)
    for name, file in files.items():
        if report is not None:
            report(name, 0)
        if not _is_inside(name):
            found.add("checksums", name, "no name of a file of this dataset")
            continue
        path = layout.path / name
        try:
            there = described(path)
        except FileNotFoundError:
            found.add("checksums", name, "missing")
            continue
        except OSError as error:
            found.add("checksums", name, f"cannot be read: {error.strerror or error}")
            continue
        if there.bytes != file.bytes:
            found.add("checksums", name, f"expected {file.bytes} bytes, found {there.bytes}")
        elif there.sha256 != file.sha256:
            found.add(
                "checksums", name,
                f"its content has changed: expected SHA-256 {file.sha256[:16]}..., "
                f"found {there.sha256[:16]}...",
            )  # fmt: skip
        if sums is not None and sums.get(name) != file.sha256:
            found.add(
                "checksums", "SHA256SUMS", f"says something else of {name} than manifest.json"
            )
    for folder in ("data", "wire", "shards"):
        for path in sorted((layout.path / folder).glob("*")):
            if (name := layout.name(path)) not in files and files:
                found.add("checksums", name, "is not in manifest.json")


def _sums(layout: Layout, found: Checked) -> dict[str, str] | None:
    """What ``SHA256SUMS`` says; holds the manifest itself to it."""
    if found.manifest.status != "complete":
        return None
    try:
        lines = layout.sums.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        found.add("checksums", "SHA256SUMS", f"cannot be read: {error.strerror or error}")
        return None
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if sums.get("manifest.json") != described(layout.manifest).sha256:
        found.add("checksums", "manifest.json", "its content has changed, by SHA256SUMS")
    return sums


def _is_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def _there(layout: Layout, found: Checked) -> list[int]:
    """The shards that there are, in order; takes down those that are missing."""
    total = found.manifest.shards
    names = (path.stem for path in (layout.path / "shards").glob("*.json"))
    there = {n for n in map(int, filter(str.isdecimal, names)) if n < total}
    gaps = (shard for shard in range(total) if shard not in there)
    for shard in islice(gaps, FINDINGS_MAX):
        found.add("completeness", f"shard {shard}", "missing; build it")
    if (more := total - len(there) - FINDINGS_MAX) > 0:
        found.add("completeness", "shards", f"{more} more are missing")
    return sorted(there)


def _spec(found: Checked) -> DatasetSpec | None:
    """The specification, to hold the rows to the plan; without it, that is left out."""
    try:
        spec = found.manifest.dataset()
    except InputError as error:
        found.notes.append(f"rows are not held to the plan, which this seglab cannot make: {error}")
        return None
    fresh = Manifest.begun(spec, found.manifest.seed)
    if fresh.fingerprint != found.manifest.fingerprint:
        found.notes.append(
            "rows are not held to the plan: this seglab plans another dataset from the "
            "specification (a sender, a network or the mails have changed)"
        )
        return None
    return spec


def _unreadable(found: Checked, path: Path, layout: Layout, error: InputError) -> None:
    """Take a file down that cannot be read, unless it is known to have changed."""
    name = layout.name(path)
    if ("checksums", name) not in found.more:
        found.add("schema", name, str(error).removeprefix(f"{path}: "))


def _shard(
    layout: Layout, shard: int, spec: DatasetSpec | None, found: Checked, leaks: Leaks
) -> None:
    manifest = found.manifest
    where = f"shard {shard}"
    try:
        result = read_result(layout.result(shard))
    except InputError as error:
        _unreadable(found, layout.result(shard), layout, error)
        return
    if result is None:
        return
    if result.fingerprint != manifest.fingerprint:
        found.add("completeness", where, "belongs to another specification or seed")
    plan = None if spec is None else {p.number: p for p in planned(spec, manifest.seed, shard)}
    rows = _ShardRows(layout, shard, result, plan, found)
    for part in PARTS:
        for row in rows.of(part):
            found.tally.add(row)
            leaks.add(row)
    rows.settle()


class _ShardRows:
    """The rows of a shard, held to all that must be true of each, and of all together."""

    def __init__(
        self,
        layout: Layout,
        shard: int,
        result: ShardResult,
        plan: dict[int, Placed] | None,
        found: Checked,
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

    def of(self, part: str) -> Iterator[dict[str, Any]]:
        """The sound rows of a part; takes down what is wrong with the others."""
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
            _unreadable(self._found, path, self._layout, error)

    def settle(self) -> None:
        """Hold the shard's rows together to its plan, and to its captures."""
        where = f"shard {self._shard}"
        if self._readable:
            told = self._numbers | {entry.number for entry in self._result.failed}
            count = len(self._range)
            if (gone := count - len(told)) > 0:
                at = next(n for n in self._range if n not in told)
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
        if row["split"] != part:
            words = f"its split is {row['split']}, the file's is {part}"
            self._found.add("plan", f"{name}: {session_id}", words, name)
        self._check_plan(row, session_id, name)
        self._check_laws(record, name)
        captures = (record.captures.client, record.captures.server)
        self._captures.update(path.rpartition("/")[2] for path in captures if path is not None)
        return True

    def _check_plan(self, row: dict[str, Any], session_id: str, name: str) -> None:
        if row["number"] not in self._range:
            there = f"{self._range.start} to {self._range.stop - 1}"
            words = f"its number is {row['number']}, the shard has {there}"
            self._found.add("plan", f"{name}: {session_id}", words, name)
            return
        if self._plan is None:
            return
        place = self._plan[row["number"]]
        expected = {column: getattr(place.spec, column, None) for column in _AS_PLANNED} | {
            "session_id": place.spec.session_id,
            "message": place.spec.message_name,
            "template": place.template,
            "message_id": place.message_id,
            "split": place.split,
            "split_network": place.split_network,
            "split_template": place.split_template,
            "parameters": msgspec.json.encode(place.spec.parameters).decode(),
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


def _empty_parts(found: Checked, spec: DatasetSpec | None) -> Iterator[str]:
    """Parts that were to have sessions, and have none: there are too few messages."""
    if spec is not None and found.tally.sessions:
        for part, pct in spec.splits.pct.items():
            if pct and not found.tally.splits["split"][part]:
                yield f"no session is in {part}, which was to have {pct} %; more repeats"


def _totals(found: Checked) -> None:
    """The counts in the manifest are those of the rows."""
    manifest, tally = found.manifest, found.tally
    if manifest.status != "complete" or found.findings:
        return
    if tally.sessions != manifest.complete:
        words = f"says {manifest.complete} sessions, the rows are {tally.sessions}"
        found.add("completeness", "manifest.json", words)
    if manifest.complete + manifest.failed != manifest.planned:
        words = f"{manifest.planned} planned, but {manifest.complete} + {manifest.failed} told of"
        found.add("completeness", "manifest.json", words)


__all__ = ["Checked", "Finding", "check"]
