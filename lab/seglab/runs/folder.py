"""The folder of a run: safe against Ctrl-C, ``kill -9`` and a full disk.

While a run goes on, each finished session is one line of the journal ``sessions.jsonl``. At the
end the journal becomes ``sessions.parquet``, and only then goes. ``run.json``, the manifest, is
replaced as a whole. So at every instant the folder can be opened, and holds all that finished.

    run.json  sessions.parquet (or sessions.jsonl)  wire/  figures/  report.html  log.txt
"""

import heapq
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Self

from seglab.core.files import is_locked, lock_folder, replace_file, writing
from seglab.core.record import SessionRecord
from seglab.errors import InputError
from seglab.runs import journal
from seglab.runs.manifest import Counts, Manifest, RunStatus, now
from seglab.runs.parquet import read_sessions, read_statuses, write_sessions

MANIFEST = "run.json"
JOURNAL = "sessions.jsonl"
SESSIONS = "sessions.parquet"


class RunFolder:
    """A run on disk: made with ``create``, gone on with by ``resume``, or ``open``ed to read.

    One process at a time writes to a run; a lock on the folder, which the kernel gives up
    with the process, keeps a second one out.
    """

    def __init__(self, path: Path, manifest: Manifest, *, lock: int | None = None) -> None:
        """Use ``create``, ``resume`` or ``open`` instead."""
        self.path = path
        self.manifest = manifest
        self._lock = lock
        self._writer: journal.JournalWriter | None = None
        self._statuses: dict[str, str] = {}

    @classmethod
    def create(cls, out: Path, manifest: Manifest) -> Self:
        """Start a run in a folder that is new or empty, and hold its lock.

        Raises:
            InputError: the folder holds something, or cannot be made; says what to do.
            EnvironmentLacksError: the disk is full.
        """
        with writing(out):
            _make_empty(out)
            folder = cls(out, manifest, lock=lock_folder(out))
            with folder._closed_on_error():
                folder._save()
                folder._prepare()
        return folder

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Go on with a stored run: cut a torn journal, hold the lock, be ready to append.

        Raises:
            InputError: no run is there, or another process is writing it.
        """
        manifest = _load(path)
        with writing(path):
            folder = cls(path, manifest, lock=lock_folder(path))
            with folder._closed_on_error():
                folder._prepare()
                folder.update(status="running", error=None, finished=None)
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a stored run, whether it is complete, was interrupted, or still goes on.

        Raises:
            InputError: no run is there.
        """
        manifest = _load(path)
        if manifest.status == "running" and not is_locked(path):
            manifest = replace(manifest, status="interrupted")
        folder = cls(path, manifest)
        folder._learn_statuses()
        return folder

    @property
    def writable(self) -> bool:
        """Whether this process holds the run's lock."""
        return self._lock is not None

    @property
    def wire(self) -> Path:
        """The folder of the captures."""
        return self.path / "wire"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.path / "report.html"

    def statuses(self) -> dict[str, str]:
        """The recorded sessions: how each ended (``complete``, ``failed``), by its id."""
        return dict(self._statuses)

    def append(self, record: SessionRecord) -> None:
        """Record a finished session; it survives whatever happens from here on.

        A session recorded again (a failed one, after ``resume``) replaces the earlier record.

        Raises:
            EnvironmentLacksError: the disk is full. What was recorded before stays readable.
        """
        with writing(self.path / JOURNAL):
            if self._writer is None:
                self._writer = journal.JournalWriter(self.path / JOURNAL)
            self._writer.append(record.to_json())
        self._statuses[record.session_id] = record.status

    def sessions(self) -> Iterator[SessionRecord]:
        """All recorded sessions in the natural order of their ids, not held in memory at once.

        Raises:
            InputError: a stored file is damaged.
        """
        newest, written = {}, self.path / JOURNAL
        if written.exists():
            newest = {entry.session_id: entry for entry in journal.entries(written)}
        ordered = sorted(newest.values(), key=lambda entry: natural_sort_key(entry.session_id))
        stored = self.path / SESSIONS
        earlier = (
            (record for record in read_sessions(stored) if record.session_id not in newest)
            if stored.exists()
            else iter(())
        )
        yield from heapq.merge(
            earlier,
            _read_entries(written, ordered),
            key=lambda record: natural_sort_key(record.session_id),
        )

    def update(self, **changes: Any) -> None:
        """Replace fields of the manifest, and ``run.json`` as a whole.

        Raises:
            EnvironmentLacksError: the disk is full; ``run.json`` is as it was before.
        """
        self.manifest = replace(self.manifest, **changes)
        self._save()

    def finalise(self, status: RunStatus, error: str | None = None) -> None:
        """Turn the journal into ``sessions.parquet``, and say in the manifest how the run ended.

        The journal goes only once the Parquet file is safely on disk under its name.

        Raises:
            EnvironmentLacksError: the disk is full; the journal stays, and the run readable.
        """
        with writing(self.path / SESSIONS):
            replace_file(self.path / SESSIONS, lambda file: _write_all(file, self.sessions()))
            self._close_journal()
            (self.path / JOURNAL).unlink(missing_ok=True)
        ended = list(self._statuses.values())
        counts = Counts(
            planned=max(self.manifest.counts.planned, len(ended)),
            complete=ended.count("complete"),
            failed=ended.count("failed"),
        )
        self.update(status=status, error=error, counts=counts, finished=now())

    def log(self, text: str) -> None:
        """Add a line with the time to ``log.txt``; a full disk does not stop a run here."""
        line = f"{now()} {' '.join(text.splitlines())}\n"
        with suppress(OSError), (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line)

    def close(self) -> None:
        """Give the lock up; the manifest stays as it was last written."""
        self._close_journal()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        """Make the subfolders, take up the journal, and learn what is recorded."""
        self.wire.mkdir(exist_ok=True)
        self.figures.mkdir(exist_ok=True)
        self._writer = journal.JournalWriter(self.path / JOURNAL)
        self._learn_statuses()

    def _learn_statuses(self) -> None:
        if (self.path / SESSIONS).exists():
            self._statuses = read_statuses(self.path / SESSIONS)
        if (self.path / JOURNAL).exists():
            self._statuses |= {e.session_id: e.status for e in journal.entries(self.path / JOURNAL)}

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _save(self) -> None:
        data = self.manifest.to_json()
        with writing(self.path / MANIFEST):
            replace_file(self.path / MANIFEST, lambda file: file.write(data))

    def _close_journal(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def natural_sort_key(name: str) -> tuple[str | int, ...]:
    """A sort key by which ``scenario-1/2`` comes before ``scenario-1/10``."""
    return tuple(
        int(part) if index % 2 else part for index, part in enumerate(re.split(r"(\d+)", name))
    )


def _write_all(file: BinaryIO, records: Iterator[SessionRecord]) -> None:
    write_sessions(file, records)


def _read_entries(path: Path, ordered: list[journal.Entry]) -> Iterator[SessionRecord]:
    if not ordered:
        return
    with path.open("rb") as file:
        for entry in ordered:
            file.seek(entry.offset)
            yield SessionRecord.from_json(file.read(entry.length))


def _load(path: Path) -> Manifest:
    try:
        text = (path / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no run is stored here ({MANIFEST} is missing)") from error
    except OSError as error:
        raise InputError(f"{path / MANIFEST}: {error.strerror}") from error
    try:
        return Manifest.from_json(text)
    except InputError as error:
        raise InputError(f"{path / MANIFEST}: {error}") from error


def _make_empty(out: Path) -> None:
    if (out / MANIFEST).exists():
        raise InputError(
            f"{out}: already holds a run; go on with it by --resume {out}, or give another --out"
        )
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise InputError(f"{out}: is not empty and holds no run; give another --out")
