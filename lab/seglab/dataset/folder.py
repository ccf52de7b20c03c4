"""Begins a dataset's folder, and finishes it: adds up its shards and describes all files."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from seglab.core.files import replace_file, writing
from seglab.core.ownership import keep_owner
from seglab.dataset.croissant import croissant
from seglab.dataset.datasheet import datasheet
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import DatasetManifest, read_manifest
from seglab.dataset.result import FileEntry, ShardResult, now, read_result
from seglab.dataset.spec import DatasetSpec
from seglab.dataset.stored_files import file_entry, has_all_files
from seglab.engine import DEFAULT_ENGINE, check_name
from seglab.errors import InputError


def begin(spec: DatasetSpec, seed: int, out: Path, engine: str | None = None) -> DatasetManifest:
    """Make a dataset's folder, or continue with the one that is there.

    Args:
        spec: of the dataset.
        seed: of the dataset.
        out: the folder.
        engine: the name of the engine that is to carry out the sessions; ``None`` takes the one
            that the dataset was begun with, or the default engine.

    Raises:
        InputError: the folder holds something else, or another dataset, or no engine has this
            name.
        EnvironmentLacksError: the disk is full.
    """
    keep_owner(out)
    layout = Layout(out)
    manifest = read_manifest(layout.manifest)
    if engine is None:
        engine = DEFAULT_ENGINE if manifest is None else manifest.engine
    fresh = DatasetManifest.begun(spec, seed, check_name(engine))
    if manifest is not None:
        _refuse_other(layout, manifest, fresh)
        return manifest
    with writing(out, "give another --out"):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            what = "is not empty and holds no dataset" if out.is_dir() else "is a file"
            raise InputError(f"{out}: {what}; give another --out")
        out.mkdir(parents=True, exist_ok=True)
        replace_file(layout.manifest, lambda file: file.write(fresh.to_json()))
    return fresh


def built(spec: DatasetSpec, out: Path, fingerprint: str) -> set[int]:
    """The shards that are built, judged by the sizes of their files.

    Raises:
        InputError: a shard's description is damaged.
    """
    layout = Layout(out)
    there = (path.stem for path in (out / "shards").glob("*.json"))
    return {
        shard
        for shard in map(int, filter(str.isdecimal, there))
        if shard < spec.shards
        and (result := read_result(layout.result(shard))) is not None
        and result.fingerprint == fingerprint
        and has_all_files(layout, result)
    }


def settled(spec: DatasetSpec, out: Path, fingerprint: str) -> set[int]:
    """The built shards whose sessions have all been tried.

    In the others, a part of the lab died over some sessions; a build does these again.

    Raises:
        InputError: a shard's description is damaged.
    """
    layout = Layout(out)
    return {
        shard
        for shard in built(spec, out, fingerprint)
        if (result := read_result(layout.result(shard))) is not None and not result.untried
    }


def missing_shards(spec: DatasetSpec, there: Collection[int]) -> Iterator[int]:
    """The numbers of the shards that are not built yet, in order."""
    return (shard for shard in range(spec.shards) if shard not in there)


def finish(spec: DatasetSpec, seed: int, out: Path) -> DatasetManifest:
    """Describe a dataset whose shards are all built. A finished dataset is left as it is.

    Raises:
        InputError: a shard is missing, or the folder holds another dataset.
        EnvironmentLacksError: the disk is full.
    """
    layout = Layout(out)
    manifest = begin(spec, seed, out)
    there = built(spec, out, manifest.fingerprint)
    if len(there) < spec.shards:
        raise InputError(
            f"{out}: {spec.shards - len(there)} of {spec.shards} shards are not built, the first "
            f"of them {next(missing_shards(spec, there))}; build them, then finish"
        )
    layout.remove_building()
    if manifest.status == "complete" and _as_described(layout, manifest, spec):
        return manifest
    manifest = _added_up(spec, layout, manifest)
    texts = {
        layout.datasheet: datasheet(manifest, spec).encode(),
        layout.croissant: croissant(manifest),
    }
    with writing(out):
        for path, text in texts.items():
            replace_file(path, lambda file, text=text: file.write(text))  # type: ignore[misc]
            manifest.files[layout.name(path)] = file_entry(path)
        manifest.files = dict(sorted(manifest.files.items()))
        text = manifest.to_json()
        replace_file(layout.manifest, lambda file: file.write(text))
        sums = _sums(layout, manifest, hashlib.sha256(text).hexdigest())
        replace_file(layout.sums, lambda file: file.write(sums))
    return manifest


def results(layout: Layout, shards: int) -> Iterator[ShardResult]:
    """Yield the stored descriptions of shards in order; a shard without one is left out."""
    for shard in range(shards):
        result = read_result(layout.result(shard))
        if result is not None:
            yield result


def _added_up(spec: DatasetSpec, layout: Layout, begun: DatasetManifest) -> DatasetManifest:
    """Make the manifest from the descriptions of all shards."""
    manifest = DatasetManifest.begun(spec, begun.seed, begun.engine)
    manifest.status, manifest.started, manifest.finished = "complete", begun.started, now()
    splits: dict[str, Counter[str]] = {}
    labels: dict[str, dict[str, Counter[str]]] = {}
    timings: dict[str, float] = {}
    for result in results(layout, spec.shards):
        manifest.complete += result.complete
        manifest.too_late += result.too_late
        manifest.redone += result.redone
        manifest.files |= result.files
        path = layout.result(result.shard)
        manifest.files[layout.name(path)] = file_entry(path)
        for column, counts in result.splits.items():
            splits.setdefault(column, Counter()).update(counts)
        for column, values in result.labels.items():
            for value, counts in values.items():
                labels.setdefault(column, {}).setdefault(value, Counter()).update(counts)
        _add_failures(manifest, result)
        _add_circumstances(manifest, result)
        spent = {"shards": result.seconds, "sessions": result.session_s}
        timings = {name: timings.get(name, 0.0) + value for name, value in spent.items()}
    manifest.splits = {column: dict(counts) for column, counts in splits.items()}
    manifest.labels = {
        column: {value: dict(counts) for value, counts in sorted(values.items())}
        for column, values in labels.items()
    }
    manifest.timings = {name: round(value, 3) for name, value in timings.items()}
    return manifest


def _add_failures(manifest: DatasetManifest, result: ShardResult) -> None:
    manifest.failed += len(result.failed)
    for failed in result.failed:
        entry = manifest.failures.setdefault(
            failed.network, {"failed": 0, "first": failed.session_id, "error": failed.error}
        )
        entry["failed"] += 1


def _add_circumstances(manifest: DatasetManifest, result: ShardResult) -> None:
    for network, hosts in result.environment.items():
        if manifest.environment.setdefault(network, hosts) != hosts:
            manifest.differing.setdefault(network, []).append(result.shard)
    known: list[tuple[list[Any], Any]] = [
        (manifest.versions, result.versions),
        (manifest.kernels, result.kernel),
        (manifest.machines, result.machine),
    ]
    for values, value in known:
        if value not in values:
            values.append(value)


def _as_described(layout: Layout, manifest: DatasetManifest, spec: DatasetSpec) -> bool:
    """Whether the manifest describes these files, and has the texts of the specification."""
    for result in results(layout, spec.shards):
        path = layout.result(result.shard)
        there = {**result.files, layout.name(path): file_entry(path)}
        if any(manifest.files.get(name) != file for name, file in there.items()):
            return False
    fresh = DatasetManifest.begun(spec, manifest.seed)
    same = all(
        getattr(fresh, name) == getattr(manifest, name)
        for name in ("title", "description", "licence", "creator")
    )
    return same and all(path.exists() for path in (layout.datasheet, layout.croissant, layout.sums))


def _refuse_other(layout: Layout, stored: DatasetManifest, fresh: DatasetManifest) -> None:
    if stored.engine != fresh.engine:
        words = f"holds a dataset of the {stored.engine} engine, not of the {fresh.engine} engine"
        raise InputError(f"{layout.path}: {words}; give another --out")
    if stored.fingerprint == fresh.fingerprint:
        return
    if stored.seed != fresh.seed:
        words = f"holds a dataset of another seed ({stored.seed}, not {fresh.seed})"
        raise InputError(f"{layout.path}: {words}; give another --out")
    if stored.name != fresh.name:
        why = f"its name is {stored.name}, not {fresh.name}"
    elif stored.planned != fresh.planned:
        why = f"it has {stored.planned} sessions, not {fresh.planned}"
    else:
        why = "a sender, network, message or split differs"
    raise InputError(
        f"{layout.path}: holds a dataset of another specification ({why}); give another --out"
    )


def _sums(layout: Layout, manifest: DatasetManifest, own: str) -> bytes:
    sums = {name: file.sha256 for name, file in manifest.files.items()}
    sums[layout.name(layout.manifest)] = own
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()


__all__ = ["FileEntry", "begin", "built", "finish", "missing_shards", "results", "settled"]
