"""A stored run as Python programs read it."""

import os
from collections.abc import Iterator
from pathlib import Path

from seglab.errors import InputError
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Manifest
from seglab.runs.stored_session import StoredSession, sessions_of


class StoredRun:
    """A stored run: iterate over it for its sessions, and take ``len`` for their number.

    The sessions are read from the disk each time, a few at a time, in the natural order of their
    ids. Sessions that failed are among them; ``session.complete`` tells.

    Attributes:
        path: the run folder.
        manifest: what ran, on which machine, with which settings in force.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Use ``open_run`` instead."""
        self._folder = folder
        self.path: Path = folder.path
        self.manifest: Manifest = folder.manifest

    def __len__(self) -> int:
        return len(self._folder.statuses())

    def __iter__(self) -> Iterator[StoredSession]:
        return sessions_of(self.path, self._folder.sessions())

    def session(self, session_id: str) -> StoredSession:
        """The session of that id.

        Raises:
            InputError: the run has no such session, or a stored file is damaged.
        """
        for session in self:
            if session.session_id == session_id:
                return session
        raise InputError(f"{self.path}: holds no session {session_id!r}")

    def __repr__(self) -> str:
        return f"<StoredRun {self.path}: {len(self)} sessions, {self.manifest.status}>"


def open_run(path: str | os.PathLike[str]) -> StoredRun:
    """Open a stored run, whether it is complete, was interrupted, or still goes on.

    Example::

        run = seglab.open_run("runs/mine")
        for session in run:
            print(session.session_id, session.network, [read.end for read in session.reads])

    Args:
        path: the run folder, as ``seglab run`` or ``seglab.run`` wrote it.

    Raises:
        InputError: no run is stored there, or a stored file is damaged.
    """
    return StoredRun(RunFolder.open(Path(path).absolute()))
