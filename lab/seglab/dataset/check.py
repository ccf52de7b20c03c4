"""Checks a dataset: its files, its rows, and that it is what its manifest says.

A shard at a time, so that the memory does not grow with the dataset, but for nine bytes a message.
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

from seglab.dataset.findings import FINDINGS_MAX, Checked
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import Manifest, read_manifest
from seglab.dataset.plan import planned
from seglab.dataset.result import read_result
from seglab.dataset.shard import described
from seglab.dataset.shard_rows import Astray, ShardRows, unreadable
from seglab.dataset.spec import DatasetSpec
from seglab.dataset.splits import PARTS
from seglab.dataset.tally import Leaks
from seglab.errors import InputError
from seglab.runs.parquet import read_rows

Report = Callable[[str, int], None]
"""Is told what is looked at, and how many sessions have been."""


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
    astray: list[Astray] = []
    for shard in _there(layout, found):
        if report is not None:
            report("rows", found.tally.sessions)
        astray += _shard(layout, shard, spec, found, leaks)
        leaks.settle()
    _rows_astray(layout, astray, found)
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


def _shard(
    layout: Layout, shard: int, spec: DatasetSpec | None, found: Checked, leaks: Leaks
) -> list[Astray]:
    """Check a shard; gives the rows that belong to another."""
    manifest = found.manifest
    where = f"shard {shard}"
    try:
        result = read_result(layout.result(shard))
    except InputError as error:
        unreadable(found, layout.result(shard), layout, error)
        return []
    if result is None:
        return []
    if result.fingerprint != manifest.fingerprint:
        found.add("completeness", where, "belongs to another specification or seed")
    plan = None if spec is None else {p.number: p for p in planned(spec, manifest.seed, shard)}
    rows = ShardRows(layout, shard, result, plan, found)
    for part in PARTS:
        for row in rows.of(part):
            found.tally.add(row)
            leaks.add(row)
    rows.settle()
    return rows.astray


def _rows_astray(layout: Layout, astray: list[Astray], found: Checked) -> None:
    """Rows in a shard that is not theirs: there twice, if their own has them as well."""

    @cache
    def numbers(shard: int) -> set[int]:
        there: set[int] = set()
        for path in (layout.data(part, shard) for part in PARTS):
            try:
                there.update(row["number"] for row in read_rows(path, ["number"]))
            except (InputError, KeyError):  # which has been told, or there is none
                continue
        return there

    for one in astray:
        own = one.number // found.manifest.shard_sessions
        where = f"{one.file}: {one.session_id}"
        if one.number in numbers(own):
            found.add("duplicates", where, f"is there twice, in shard {own} as well", one.file)
        else:
            words = f"its number is {one.number}, which belongs to shard {own}"
            found.add("plan", where, words, one.file)


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
