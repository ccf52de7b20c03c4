"""Reference runs: keeping what a later run is compared with, and comparing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from seglab.core.files import replace_file, writing
from seglab.errors import InputError
from seglab.reproduction.comparison import Comparison, compare
from seglab.reproduction.stored_summary import StoredSummary
from seglab.runs.folder import MANIFEST, RunFolder
from seglab.runs.manifest import Manifest

if TYPE_CHECKING:
    from seglab.report.summary import RunSummary

SUMMARY: Final = "summary.json"

KEPT_FIGURES: Final = (
    "sizes.svg",
    "separation-*.svg",
    "sequences-*.svg",
    "timeline-scenario-2.svg",
    "timeline-listing-10.svg",
    "timeline-listing-13.svg",
)
"""The figures that a reference keeps: those that say most, as small files."""

_SIZE_MAX_BYTES = 1 << 26


def load(path: Path) -> tuple[StoredSummary, Manifest]:
    """A reference: what was kept of a run, or the run's own folder.

    Raises:
        InputError: neither is there, or it is damaged; says which file.
    """
    kept = path / SUMMARY
    if not kept.exists():
        if not (path / MANIFEST).exists():
            raise InputError(
                f"{path}: no reference is here; expected {SUMMARY} and {MANIFEST},"
                " or the folder of a run"
            )
        from seglab.report.summary import summarise  # noqa: PLC0415, it imports SciPy and PyArrow

        folder = RunFolder.open(path)
        summary, _ = summarise(folder)
        return StoredSummary.of(summary.to_dict()), folder.manifest
    return _parsed(kept, StoredSummary.from_json), _parsed(path / MANIFEST, Manifest.from_json)


def against(
    reference: tuple[StoredSummary, Manifest] | None, summary: "RunSummary"
) -> Comparison | None:
    """A run held against a reference, where there is one."""
    if reference is None:
        return None
    return compare(*reference, StoredSummary.of(summary.to_dict()), summary.manifest)


def as_json_text(summary: "RunSummary", comparison: Comparison | None) -> str:
    """What ``--json`` prints."""
    found = summary.to_dict()
    if comparison is not None:
        found["comparison"] = comparison.to_dict()
    return json.dumps(found, indent=2)


def keep(folder: RunFolder, summary: "RunSummary", out: Path) -> None:
    """Write what a later run can be compared with: summary, environment and some figures.

    Raises:
        InputError: the folder cannot be written.
        EnvironmentLacksError: the disk is full.
    """
    figures = [file for pattern in KEPT_FIGURES for file in sorted(folder.figures.glob(pattern))]
    # verdicts are in the summary; where the run lay is nobody's business
    manifest = replace(summary.manifest, verdicts=None)
    stored = summary.to_dict() | {"run": "", "figures": [f"figures/{f.name}" for f in figures]}
    _write(out / SUMMARY, json.dumps(stored, indent=1).encode() + b"\n")
    _write(out / MANIFEST, manifest.to_json())
    for file in figures:
        _write(out / "figures" / file.name, file.read_bytes())


_T = TypeVar("_T")


def _parsed(path: Path, parse: Callable[[bytes], _T]) -> _T:
    try:
        with path.open("rb") as file:
            text = file.read(_SIZE_MAX_BYTES)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    try:
        return parse(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _write(path: Path, data: bytes) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file: file.write(data))
