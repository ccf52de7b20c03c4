"""A built dataset as Python programs read it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seglab.dataset.layout import MANIFEST, Layout
from seglab.dataset.manifest import DatasetManifest, read_manifest
from seglab.dataset.reading import records, rows
from seglab.errors import InputError
from seglab.runs.stored_session import StoredSession, sessions_of


class Dataset:
    """A dataset: iterate over it for its sessions, and take ``len`` for their number.

    The sessions are read from the disk each time, a few at a time, shard by shard.

    Attributes:
        path: the dataset's folder.
        manifest: what the dataset is, how it was made, and its files.
    """

    def __init__(self, path: Path, manifest: DatasetManifest) -> None:
        """Use ``open_dataset`` instead."""
        self.path = path
        self.manifest = manifest

    def __len__(self) -> int:
        return self.manifest.complete

    def __iter__(self) -> Iterator[StoredSession]:
        return self.sessions()

    def sessions(self, split: str | None = None, column: str = "split") -> Iterator[StoredSession]:
        """The sessions of one part of the dataset.

        Args:
            split: ``train``, ``validation`` or ``test``; ``None`` is the whole dataset.
            column: which of the dataset's splits: ``split``, ``split_network`` or
                ``split_template``.

        Raises:
            InputError: there is no such split or column, or a stored file is damaged.
        """
        return sessions_of(self.path, records(self.path, split, column))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as they are stored, with the labels that a session does not have.

        These labels are ``number``, ``template``, ``message_id``, ``split``, ``split_network`` and
        ``split_template``.

        Raises:
            InputError: a stored file is damaged.
        """
        return rows(self.path)

    def __repr__(self) -> str:
        return f"<Dataset {self.path}: {len(self)} sessions, {self.manifest.status}>"


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Open a dataset that ``seglab dataset build`` has built.

    Example::

        dataset = seglab.open_dataset("data/mine")
        styles = {session.style for session in dataset.sessions(split="train")}

    Args:
        path: the dataset's folder.

    Raises:
        InputError: no dataset is there, or its manifest is damaged.
    """
    folder = Path(path).absolute()
    manifest = read_manifest(Layout(folder).manifest)
    if manifest is None:
        raise InputError(f"{folder}: no dataset is stored here ({MANIFEST} is missing)")
    return Dataset(folder, manifest)
