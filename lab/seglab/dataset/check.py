"""Checks a dataset: its files, its rows, and that both are what its manifest says.

It reads a shard at a time, or one in each of several processes (``shard_check``). So its memory
does not grow with the dataset, except for eight bytes for each message and part.
"""

from collections.abc import Callable, Collection, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

from seglab.dataset.check_result import DEFECTS_MAX, CheckResult
from seglab.dataset.label_counts import Leaks
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import DatasetManifest, read_manifest
from seglab.dataset.remake import other_versions
from seglab.dataset.row_checks import MisplacedRow, Sample
from seglab.dataset.shard_check import ShardChecker, checked_shards
from seglab.dataset.spec import DatasetSpec
from seglab.dataset.splits import PARTS
from seglab.dataset.stored_files import file_entry
from seglab.errors import InputError
from seglab.runs.parquet import read_rows

OnProgress = Callable[[str, int], None]
"""Called with what the check reads next, and with the number of sessions that it has checked."""


def check(
    path: Path,
    on_progress: OnProgress | None = None,
    *,
    trusted: Collection[str] = (),
    thorough: bool = False,
    processes: int = 1,
) -> CheckResult:
    """Check a dataset.

    Args:
        path: its folder.
        on_progress: called whenever the check begins to read something else.
        thorough: makes all rows again from the seed, and compares all with their captures; without
            it, a sample of about ``SAMPLE_SESSIONS``.
        trusted: the absolute paths of own senders, which are code that the check may run.
        processes: how many check shards side by side at most, where the dataset is large.

    Raises:
        InputError: no dataset is there.
        PartDiedError: one of the processes was killed.
    """
    layout = Layout(path)
    manifest = read_manifest(layout.manifest)
    if manifest is None:
        raise InputError(f"{path}: no dataset is here (manifest.json is missing)")
    found = CheckResult(manifest)
    if manifest.status != "complete":
        found.add("completeness", "manifest.json", "the build has not finished; continue it")
    _check_files(layout, found, on_progress)
    spec = _spec(found, trusted)
    sample = _sample(found, spec, thorough=thorough)
    leaks = Leaks()
    misplaced: list[MisplacedRow] = []
    checker = ShardChecker(path, manifest, spec, sample, dict(found.found))
    shards = _shards_there(layout, found)
    for checked in checked_shards(checker, shards, 1 if trusted else processes):
        found.merge(checked.found)
        leaks.merge(checked.leaks)
        misplaced += checked.misplaced
        if on_progress is not None:
            on_progress("rows", found.counts.sessions)
    _report_misplaced(layout, misplaced, found)
    for column, words in leaks.found():
        found.add("leakage", column, words)
    if not found.findings:  # what is missing may be what makes it unbalanced
        for words in (*_empty_parts(found, spec), *found.counts.missing_labels()):
            found.add("balance", "split", words)
    _check_totals(found)
    return found


def _check_files(layout: Layout, found: CheckResult, on_progress: OnProgress | None) -> None:
    """Every file of the manifest is unchanged, and the folders hold no other file."""
    files = found.manifest.files
    sums = _sums(layout, found)
    for name, file in files.items():
        if on_progress is not None:
            on_progress(name, 0)
        if not _is_inside(name):
            found.add("checksums", name, "not the name of a file inside the dataset")
            continue
        path = layout.path / name
        try:
            there = file_entry(path)
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
    for path in sorted(layout.path.rglob("*")):
        name = layout.name(path)
        if name.startswith("building/"):
            continue
        if path.is_symlink():
            found.add("checksums", name, "is a symbolic link; expected the file itself")
        elif files and name not in files and _is_foreign(path, name):
            found.add("checksums", name, "is not in manifest.json")


def _is_foreign(path: Path, name: str) -> bool:
    """Whether a reader could take a file for a part of the dataset."""
    own = name.startswith(("data/", "wire/", "shards/"))
    return path.is_file() and (own or path.suffix.lower() == ".parquet")


def _sums(layout: Layout, found: CheckResult) -> dict[str, str] | None:
    """The digests in ``SHA256SUMS`` by file; compares the manifest's own with its content.

    Returns:
        ``None`` where the build has not finished, or the file cannot be read.
    """
    if found.manifest.status != "complete":
        return None
    try:
        lines = layout.sums.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        found.add("checksums", "SHA256SUMS", f"cannot be read: {error.strerror or error}")
        return None
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if sums.get("manifest.json") != file_entry(layout.manifest).sha256:
        found.add("checksums", "manifest.json", "its content has changed, by SHA256SUMS")
    return sums


def _is_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def _shards_there(layout: Layout, found: CheckResult) -> list[int]:
    """The shards that have a description, in order; reports the missing ones."""
    total = found.manifest.shards
    names = (path.stem for path in (layout.path / "shards").glob("*.json"))
    there = {n for n in map(int, filter(str.isdecimal, names)) if n < total}
    missing = (shard for shard in range(total) if shard not in there)
    for shard in islice(missing, DEFECTS_MAX):
        found.add("completeness", f"shard {shard}", "missing; build it")
    if (more := total - len(there) - DEFECTS_MAX) > 0:
        found.add("completeness", "shards", f"{more} more are missing")
    return sorted(there)


def _spec(found: CheckResult, trusted: Collection[str]) -> DatasetSpec | None:
    """The specification, with which rows are compared with the plan.

    Returns:
        ``None`` where this seglab cannot make the same plan from it; a note says why.
    """
    try:
        spec = found.manifest.dataset(trusted)
    except InputError as error:
        found.notes.append(
            f"rows are not compared with the plan, which this seglab cannot make: {error}"
        )
        return None
    fresh = DatasetManifest.begun(spec, found.manifest.seed)
    _check_against_plan(found, fresh)
    if fresh.fingerprint != found.manifest.fingerprint and other_versions(found.manifest):
        found.notes.append(
            "rows are not compared with the plan: this seglab plans another dataset from the "
            "specification (a sender, a network or the mails have changed)"
        )
        return None
    return spec


def _check_against_plan(found: CheckResult, fresh: DatasetManifest) -> None:
    """The manifest has the numbers that follow from its specification and seed."""
    manifest = found.manifest
    for name in ("planned", "shards", "shard_sessions"):
        says, planned_ = getattr(manifest, name), getattr(fresh, name)
        if says != planned_:
            words = f"{name} is {says}, its specification gives {planned_}"
            found.add("plan", "manifest.json", words)
    if fresh.fingerprint != manifest.fingerprint and not other_versions(manifest):
        words = "its fingerprint is not that of its specification and seed"
        found.add("plan", "manifest.json", words)


def _sample(found: CheckResult, spec: DatasetSpec | None, *, thorough: bool) -> Sample:
    """Which rows are made again from the seed; a note says so if they are not all."""
    versions = other_versions(found.manifest)
    if spec is not None and versions is not None:
        found.notes.append(f"rows are not made again from the seed: {versions}")
    captures = spec is not None and spec.captures
    planned_ = found.manifest.planned
    sample = Sample(planned_, thorough=thorough, remade=versions is None, captures=captures)
    if sample.share < 1:
        found.notes.append(
            f"about {sample.share:.1%} of the rows are made again from the seed and compared with "
            "their captures; --thorough does so for all"
        )
    return sample


def _report_misplaced(layout: Layout, misplaced: list[MisplacedRow], found: CheckResult) -> None:
    """Report the rows that are in a wrong shard, and say whether their own shard has them too."""

    @cache
    def numbers(shard: int) -> set[int]:
        there: set[int] = set()
        for path in (layout.data(part, shard) for part in PARTS):
            try:
                there.update(row["number"] for row in read_rows(path, ["number"]))
            except (InputError, KeyError):  # the file is missing, or was reported before
                continue
        return there

    for one in misplaced:
        own = one.number // found.manifest.shard_sessions
        where = f"{one.file}: {one.session_id}"
        if one.number in numbers(own):
            found.add("duplicates", where, f"is there twice, in shard {own} as well", one.file)
        else:
            words = f"its number is {one.number}, which belongs to shard {own}"
            found.add("plan", where, words, one.file)


def _empty_parts(found: CheckResult, spec: DatasetSpec | None) -> Iterator[str]:
    """Describe the parts that should have sessions and have none: there are too few messages."""
    if spec is not None and found.counts.sessions:
        for part, pct in spec.splits.pct.items():
            if pct and not found.counts.splits["split"][part]:
                yield f"no session is in {part}, which was to have {pct} %; more repeats"


def _check_totals(found: CheckResult) -> None:
    """The manifest's counts are those of the rows."""
    manifest, counts = found.manifest, found.counts
    if manifest.status != "complete" or found.findings:
        return
    if counts.sessions != manifest.complete:
        words = f"says {manifest.complete} sessions, the rows are {counts.sessions}"
        found.add("completeness", "manifest.json", words)
    if manifest.complete + manifest.failed != manifest.planned:
        words = f"{manifest.planned} planned, but {manifest.complete} + {manifest.failed} reported"
        found.add("completeness", "manifest.json", words)
    for name, counted in (("splits", counts.splits), ("labels", counts.labels)):
        if getattr(manifest, name) != counted:
            found.add("completeness", "manifest.json", f"its {name} are not those of the rows")
