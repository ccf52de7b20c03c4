"""Reads the sessions for ``regress``: a dataset, a run folder, a Parquet file, or the sample."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from seglab.core.record import SessionRecord
from seglab.errors import InputError
from seglab.regress.case import Case, LayerChoice, cases
from seglab.runs.folder import MANIFEST, RunFolder
from seglab.runs.parquet import read_sessions

SAMPLE = "sample"
"""What names the sessions that come with seglab."""

_DATASET_MANIFEST = "manifest.json"


def load(
    source: str | Path, layers: LayerChoice, split: str | None = None, column: str = "split"
) -> list[Case]:
    """Return the cases of all complete sessions of a source.

    Args:
        source: ``sample``, or the path of a run folder, a dataset, or a Parquet file of sessions.
        layers: what the classifier is shown of each session.
        split: only this part of a dataset: ``train``, ``validation`` or ``test``.
        column: the dataset's column that says which part a session is in.

    Raises:
        InputError: there is no such source, or no complete session in it; says what to do.
    """
    found = list(cases(records(source, split, column), layers))
    if not found:
        part = "" if split is None else f" in its part {split!r}"
        raise InputError(f"{source}: holds no complete session{part}")
    return found


def records(
    source: str | Path, split: str | None = None, column: str = "split"
) -> Iterator[SessionRecord]:
    """Yield the sessions of a source, in its order.

    Raises:
        InputError: as ``load``.
    """
    path = Path(source)
    if source != SAMPLE and (path / _DATASET_MANIFEST).exists():
        from seglab.dataset import records as of_dataset  # noqa: PLC0415 -- only where it is used

        yield from of_dataset(path, split, column)
    elif split is not None:
        raise InputError(f"{source}: has no parts; only a dataset has")
    elif source == SAMPLE:
        with resources.as_file(resources.files("seglab.regress") / "sample.parquet") as sample:
            yield from read_sessions(sample)
    elif path.is_file():
        yield from read_sessions(path)
    elif (path / MANIFEST).exists():
        yield from RunFolder.open(path).sessions()
    elif path.exists():
        raise InputError(f"{path}: neither a run folder (run.json) nor a dataset (manifest.json)")
    else:
        raise InputError(f"{path}: no such file or folder")
